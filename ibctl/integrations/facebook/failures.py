"""What went wrong at Facebook, as one of a few kinds. Graph answers nearly everything with HTTP 400: the code decides.

    UnavailableError        it may work in a moment: unknown or temporary errors, timeouts, answers that are none
    RateLimitError          too many calls: wait; of the account, or of the whole app
    TokenError              the token is dead: somebody has to sign in again (or has lost access for good)
    UserHeldError           Facebook wants something of the token's user first; then the same token works again
    PermissionMissingError  a permission is missing
    TooMuchDataError        ask for less: shorter ranges, or a report run
    StaleCursorError        the list has to be read from its start
    RefusedError            it can never work this way
    BlockedError            Facebook took the caller for abusive: stop writing for hours
    OutcomeUnknownError     a write that may have been carried out, or not: look before it is sent again
    WrongAppError           the app's id or secret is wrong; what says so of the app's own token is no TokenError
    VersionExpiredError     the API version is dead: nothing works until it is changed

Messages are one line and never hold a token. Codes: Marketing API error reference and Graph's error handling guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ibctl.errors import ServiceError


class GraphError(ServiceError):
    """Facebook did not do what was asked. `code` and `subcode` are Graph's; None where there was no answer."""

    def __init__(self, message: str, code: int | None = None, subcode: int | None = None) -> None:
        super().__init__(message)
        self.code, self.subcode = code, subcode


# How often a passing failure is tried again.
RETRIES = 5


class UnavailableError(GraphError):
    """A passing failure, still there after the retries, of which there are `retries` at the most."""

    def __init__(
        self, message: str, code: int | None = None, subcode: int | None = None, *, retries: int = RETRIES
    ) -> None:
        super().__init__(message, code, subcode)
        self.retries = retries


class RateLimitError(GraphError):
    """Too many calls. `wait` is in seconds, as Facebook estimates (None: it does not say)."""

    def __init__(
        self, message: str, code: int | None = None, subcode: int | None = None, *,
        wait: float | None = None, of_app: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(message, code, subcode)
        self.wait, self.of_app = wait, of_app


class TokenError(GraphError):
    """The token no longer works, and no retry helps."""


class UserHeldError(GraphError):
    """The token is asleep: it works again once its user has done what Facebook asks for, and a new one would not."""


class PermissionMissingError(GraphError):
    """A permission is missing; `permission` is its name where Facebook says it."""

    def __init__(
        self, message: str, code: int | None = None, subcode: int | None = None, permission: str | None = None
    ) -> None:
        super().__init__(message, code, subcode)
        self.permission = permission


class TooMuchDataError(GraphError):
    """More than Facebook gives in one answer, or works out in time."""


class StaleCursorError(GraphError):
    """The list has moved on: the cursor means nothing any more."""


class RefusedError(GraphError):
    """Facebook will never do this; `fields` are the parameters that it blames."""

    def __init__(
        self, message: str, code: int | None = None, subcode: int | None = None, fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, code, subcode)
        self.fields = fields


class BlockedError(GraphError):
    """Writing has to stop for hours: Facebook took it for abuse."""


class OutcomeUnknownError(GraphError):
    """A write was sent and no proper answer came: it may have been carried out."""


class SettingError(GraphError):
    """Nothing works with any token until a setting is changed."""

    exit_code = 4


class WrongAppError(SettingError):
    """The app's id or secret is wrong."""


class VersionExpiredError(SettingError):
    """The API version has ended."""


# Seconds, where Facebook documents a time and no header says it (rate limiting overview; error reference).
WAITS: Mapping[tuple[int, int | None], float] = {
    (17, 2446079): 300,  # the development tier's block of an ad account
    (4, 1504022): 300,
    (4, 1504039): 300,
    (613, 1487632): 3600,  # an ad set's budget, changed more than four times in an hour
    (613, 5044001): 5,  # over 100 changes a second
}
_UNAVAILABLE = {1, 2, 104, 960}
# What seldom passes is not tried as often as the rest.
_FEW_RETRIES: Mapping[tuple[int, int | None], int] = {(1, 99): 2, (104, None): 1}
_LIMITS = {4, 17, 32, 341, 613} | set(range(80000, 80015))
_OF_APP = {4, 341}
_REFUSED_PAIRS = {(2, 1504041), (2, 1504042), (17, 1885172), (613, 1487225), (190, 492)}
_DATA_PAIRS = {(2, 1504038), (100, 1504018), (100, 1487534), (-3, 1504045)}
_BLOCKED = {368, 1404078, 2859015}
_GONE = 1404163
_DEAD = {102, 190}
_WRONG_APP = {101}
_CHECK_APP = "check FACEBOOK_APP_ID and FACEBOOK_APP_SECRET"
_REDUCE = "reduce the amount of data"  # comes with code 1 or 100 and without a subcode of its own
_NAMED_PERMISSION = re.compile(r"\b([a-z]+(?:_[a-z]+)+)\b")
_SIGN_IN = "connect the account again with a new token (`ibctl ads accounts connect`)"
_CHECKPOINT = (190, 459)
_LOG_IN = "its user has to follow Facebook's instructions on www.facebook.com; a new token does not help"
_CONFIRM = "its user has to confirm the Facebook account first"


def kind(error: Mapping[str, Any], wait: float | None = None, *, by_app: bool = False) -> GraphError:
    """Turn the `error` object of an answer into a failure. `wait` is what the headers estimate, in seconds.

    `by_app`: the call was made with the app's own token, which consists of its id and secret.
    """
    code, subcode = _integer(error.get("code")), _integer(error.get("error_subcode"))
    told = _told(error, code, subcode)
    if by_app and code in _DEAD:
        return WrongAppError(f"{told}: {_CHECK_APP}", code, subcode)
    if (code, subcode) == _CHECKPOINT:
        return UserHeldError(f"{told}: {_LOG_IN}", code, subcode)
    if (code in _DEAD or _GONE in (code, subcode)) and (code, subcode) != (190, 492):
        return TokenError(f"{told}: {_remedy(code, subcode)}", code, subcode)
    if code == 2635:
        return VersionExpiredError(f"{told}: set IBCTL_GRAPH_VERSION to one that lives", code, subcode)
    if (code, subcode) in _REFUSED_PAIRS:
        return RefusedError(told, code, subcode, _blamed(error))
    if _BLOCKED & {code, subcode} or (code, subcode) == (613, None):
        return BlockedError(f"{told}: stop for some hours", code, subcode)
    if code in _LIMITS:
        known = WAITS.get((code or 0, subcode))
        return RateLimitError(told, code, subcode, wait=wait or known, of_app=code in _OF_APP)
    if (code, subcode) in _DATA_PAIRS or (code in (1, 100) and _REDUCE in str(error.get("message", "")).lower()):
        return TooMuchDataError(told, code, subcode)
    if _is_permission(code, subcode):
        return PermissionMissingError(told, code, subcode, _permission(str(error.get("message", ""))))
    if code in _WRONG_APP or (code == 1 and "client secret" in str(error.get("message", ""))):
        return WrongAppError(f"{told}: {_CHECK_APP}", code, subcode)
    if code == 100 and "appsecret_proof" in str(error.get("message", "")):
        # The secret is another one, or the token is another app's: only that account is known to be hit.
        return RefusedError(f"{told}: {_CHECK_APP}, or whether the token is this app's", code, subcode)
    if code == 2642:
        return StaleCursorError(told, code, subcode)
    if code in _UNAVAILABLE or code == -2 or error.get("is_transient") is True:
        return UnavailableError(told, code, subcode, retries=_FEW_RETRIES.get((code or 0, subcode), RETRIES))
    return RefusedError(told, code, subcode, _blamed(error))


def _is_permission(code: int | None, subcode: int | None) -> bool:
    return code == 10 or (code is not None and 200 <= code <= 299) or (code, subcode) == (100, 3191001)


def _permission(message: str) -> str | None:
    found = _NAMED_PERMISSION.search(message)
    return found[1] if found else None


def _remedy(code: int | None, subcode: int | None) -> str:
    if _GONE in (code, subcode):
        return "this user may not advertise any more"
    return _CONFIRM if subcode == 464 else _SIGN_IN


def _told(error: Mapping[str, Any], code: int | None, subcode: int | None) -> str:
    """One line: what Facebook writes for users where it does, else its message; the code; its trace."""
    for_users = ": ".join(str(error[name]) for name in ("error_user_title", "error_user_msg") if error.get(name))
    text = " ".join((for_users or str(error.get("message") or "no message")).split()).rstrip(".")
    number = f"code {code}/{subcode}" if subcode is not None else f"code {code}"
    blamed = ", ".join(_blamed(error))
    trace = f", trace {error['fbtrace_id']}" if error.get("fbtrace_id") else ""
    return f"Facebook says: {text} ({number}{', about ' + blamed if blamed else ''}{trace})"


def _blamed(error: Mapping[str, Any]) -> tuple[str, ...]:
    """The parameters that Facebook blames; `error_data` is an object, or one as text, or anything."""
    data = error.get("error_data")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except ValueError:
            return ()
    specs = data.get("blame_field_specs") if isinstance(data, dict) else None
    if not isinstance(specs, list):
        return ()
    return tuple(".".join(map(str, spec)) if isinstance(spec, list) else str(spec) for spec in specs)


def _integer(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
