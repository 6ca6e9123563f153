"""The one place where Facebook's SDK is used: calls that are patient with Graph, and that never show a token.

A `Line` is what all calls of a run share: connections, the app's quota, the way to stop. `line.graph(token)` speaks for
one token. Reading is tried again after a passing failure; writing only where doing it twice does no harm, since Graph
knows no idempotency key. Rate limits are waited for, up to `max_wait` seconds for each call.
"""

from __future__ import annotations

import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ibctl import config
from ibctl.errors import ConfigError
from ibctl.integrations.facebook import failures, usage
from ibctl.integrations.facebook.failures import (
    RETRIES,
    BlockedError,
    GraphError,
    OutcomeUnknownError,
    RateLimitError,
    RefusedError,
    StaleCursorError,
    TooMuchDataError,
    UnavailableError,
)

MAX_WAIT = 300.0  # seconds
CONNECT_TIMEOUT = 10.0  # seconds
BATCH = 50  # Graph's own limit, which the SDK does not know
PAGE = 200
LEAST_PAGE = 25
RESTARTS = 3
# Percent of a quota from which calls are spread out, and from which they pause.
BUSY, FULL = 75.0, 95.0
FULL_WAIT = 60.0
FACEBOOK = "https://graph.facebook.com"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
# What a token of Facebook's looks like, in texts that quote one that is not ours.
_TOKEN = re.compile(r"\bEA[0-9A-Za-z]{12,}|(?<=access_token=)[^&\s\"']+")
Params = Mapping[str, Any]


def pause(seconds: float, stop: threading.Event) -> None:
    """Wait, unless the run is being stopped."""
    stop.wait(seconds)


class Line:
    """What all calls of a run share; `with Line() as line`. Safe for threads."""

    def __init__(self, *, max_wait: float = MAX_WAIT, connections: int = 4) -> None:
        import requests.adapters

        self.settings = config.settings()
        self.max_wait = max_wait
        self.stop = threading.Event()
        self.adapter = requests.adapters.HTTPAdapter(pool_connections=4, pool_maxsize=connections, pool_block=False)
        self._free_at = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.adapter.close()

    def graph(self, token: str | None) -> Graph:
        """Return the way to Graph for a token; None: for calls that carry none."""
        return Graph(self, token, self.settings.facebook_app_secret)

    def app(self) -> Graph:
        """Return the way to Graph for the app itself. Raises ConfigError without the app's id and secret."""
        app_id, secret = self.app_credentials()
        return Graph(self, f"{app_id}|{secret}", None, by_app=True)

    def app_credentials(self) -> tuple[str, str]:
        """Return the app's id and secret. Raises ConfigError where one is not set."""
        app_id, secret = self.settings.facebook_app_id, self.settings.facebook_app_secret
        if not app_id or not secret:
            raise ConfigError(
                "FACEBOOK_APP_ID and FACEBOOK_APP_SECRET are not set: only the app can ask this of Facebook"
            )
        return app_id, secret

    def hold(self, seconds: float) -> None:
        """Let every further call of the run wait so long."""
        with self._lock:
            self._free_at = max(self._free_at, monotonic() + seconds)

    def held(self) -> float:
        """Return the seconds for which calls still have to wait."""
        return max(0.0, self._free_at - monotonic())

    def pause(self, seconds: float) -> None:
        """Wait. Raises UnavailableError when the run is being stopped."""
        pause(seconds, self.stop)
        if self.stop.is_set():
            raise UnavailableError("interrupted")


@dataclass(frozen=True)
class Inner:
    """One call of a batch. For a path with a query (`debug_token`), the parameters travel in the batch's body."""

    method: str
    path: str
    params: Params


class Graph:
    """Graph for one token. Paths are like `act_900/insights`; answers are what the JSON says."""

    def __init__(self, line: Line, token: str | None, app_secret: str | None, *, by_app: bool = False) -> None:
        self.line = line
        self._by_app = by_app
        self._secrets = [secret for secret in (token, app_secret, line.settings.facebook_app_secret) if secret]
        self._session = _session(line, token, app_secret)
        self._session.requests.hooks["response"].append(self._guard)
        self._api = _api(self._session, line.settings.graph_version)
        self._free_at = 0.0

    # --------------------------------------------------------------------------------------------------------- calling

    def get(self, path: str, params: Params | None = None) -> Any:
        """Read. Raises GraphError of the kinds in `failures`, after its retries."""
        return self._patiently(lambda: self._call("GET", path, params, None), again=True)

    def post(
        self, path: str, params: Params | None = None, *, files: Mapping[str, Any] | None = None, again: bool = False
    ) -> Any:
        """Write. `again`: doing it twice does no harm, so it may be sent again after a passing failure.

        Otherwise raises OutcomeUnknownError where it may have been carried out without saying so.
        """
        return self._patiently(lambda: self._call("POST", path, params, files), again=again)

    def rows(self, path: str, params: Params | None = None, *, limit: int = PAGE) -> list[dict[str, Any]]:
        """Read a whole list; begins anew when Facebook forgets where it was."""
        for restart in range(RESTARTS + 1):
            try:
                return [row for page in self.pages(path, params, limit=limit) for row in page]
            except StaleCursorError:
                if restart == RESTARTS:
                    raise
        raise AssertionError("unreachable")

    def pages(self, path: str, params: Params | None = None, *, limit: int = PAGE) -> Iterator[list[dict[str, Any]]]:
        """Yield a list page by page; an empty page ends it only when no other follows.

        Asks for smaller pages when one is too much. Raises StaleCursorError in the middle: then read it from its start.
        """
        place: Params = {}
        seen: set[str] = set()
        while True:
            try:
                page = self.get(path, {**(params or {}), **place, "limit": limit})
            except TooMuchDataError:
                if limit <= LEAST_PAGE:
                    raise
                limit = max(limit // 2, LEAST_PAGE)
                continue
            yield _data(page)
            place = _next(page)
            if not place:
                return
            if (mark := str(sorted(place.items()))) in seen:
                raise UnavailableError(f"Facebook's list {path} does not end: it names the same next page again")
            seen.add(mark)

    def batch(self, calls: Sequence[Inner], *, again: bool = False) -> list[Any]:
        """Send many calls in one, 50 at a time; returns for each its answer or the GraphError that it met.

        What Facebook left unanswered, or what passes, is sent again where `again` says that this does no harm. Once it
        takes us for abusive, nothing further is sent.
        """
        results: list[Any] = [None] * len(calls)
        for start in range(0, len(calls), BATCH):
            self._batch(calls[start : start + BATCH], start, results, again)
            if blocked := next((one for one in results if isinstance(one, BlockedError)), None):
                return [blocked if one is None else one for one in results]
        return results

    def _batch(self, calls: Sequence[Inner], start: int, results: list[Any], again: bool) -> None:
        waiting, waited = dict(enumerate(calls, start)), 0.0
        for attempt in range(RETRIES + 1):
            self._send(waiting, results, again)
            waiting = {number: call for number, call in waiting.items() if _passes(results[number], attempt)}
            seconds = max((_pause(results[number], attempt) for number in waiting), default=0.0)
            if not waiting or not again or waited + seconds > self.line.max_wait:
                break
            self.line.pause(seconds)
            waited += seconds
        unanswered = UnavailableError if again else OutcomeUnknownError
        for number in range(start, start + len(calls)):
            if results[number] is None:
                results[number] = unanswered("Facebook left this call of a batch unanswered")

    def _send(self, calls: Mapping[int, Inner], results: list[Any], again: bool) -> None:
        """Send calls in one, and put what came of each into `results`; None: it was left unanswered."""
        batch = self._api.new_batch()
        for number, call in calls.items():
            results[number] = None
            keep = _keeper(results, number, self._read)
            batch.add(call.method, tuple(call.path.split("/")), params=dict(call.params), success=keep, failure=keep)
        self._patiently(lambda: self._reaching(batch.execute), again=again)

    def _read(self, response: Any) -> Any:
        """Return the answer of a batch's inner call, or the failure that it is."""
        body = response.json()
        if isinstance(body, dict) and isinstance(body.get("error"), dict):
            return self._failure(body["error"], 0.0)
        if not isinstance(body, dict | list) or (response.status() or 200) >= 400:
            return UnavailableError(f"Facebook answered a call of a batch with {response.status()} and no JSON")
        return body

    # -------------------------------------------------------------------------------------------------------- patience

    def _patiently(self, call: Callable[[], Any], *, again: bool) -> Any:
        waited = 0.0
        for attempt in range(RETRIES + 1):
            waited += self._wait_for_quota(self.line.max_wait - waited)
            try:
                return call()
            except RateLimitError as limit:
                if attempt == RETRIES:
                    raise
                waited += self._wait_for_limit(limit, attempt, self.line.max_wait - waited)
            except UnavailableError as failure:
                if not again and not isinstance(failure, _NeverSentError):
                    raise OutcomeUnknownError(
                        f"{failure}; whether it was carried out is not known", failure.code
                    ) from None
                if attempt >= failure.retries:
                    raise
                self.line.pause(_backoff(attempt))
        raise AssertionError("unreachable")

    def _wait_for_quota(self, allowed: float) -> float:
        """Wait until the app and this token are free to call; returns for how long."""
        seconds = max(self.line.held(), self._free_at - monotonic())
        if seconds <= 0:
            return 0.0
        if seconds > allowed:
            raise RateLimitError(f"Facebook's quota is used up for {_minutes(seconds)}", wait=seconds)
        self.line.pause(seconds)
        return seconds

    def _wait_for_limit(self, limit: RateLimitError, attempt: int, allowed: float) -> float:
        seconds = limit.wait if limit.wait else 5.0 * 2**attempt * random.uniform(1, 1.25)  # noqa: S311 - no secret
        if limit.of_app:
            self.line.hold(seconds)
        if seconds > allowed:
            limit.wait = seconds
            raise limit
        self.line.pause(seconds)
        return seconds

    def _note(self, used: usage.Usage) -> None:
        """Spread calls out as a quota fills, and pause before it is full."""
        for share, hold in ((used.app, self.line.hold), (used.account, self._hold)):
            if share >= FULL:
                hold(max(FULL_WAIT, used.wait))
            elif share >= BUSY:
                hold((share - BUSY) / (FULL - BUSY) * 5)

    def _hold(self, seconds: float) -> None:
        self._free_at = max(self._free_at, monotonic() + seconds)

    # --------------------------------------------------------------------------------------------------------- one call

    def _call(self, method: str, path: str, params: Params | None, files: Mapping[str, Any] | None) -> Any:
        from facebook_business.exceptions import FacebookError

        place, given = tuple(path.split("/")), dict(params or {})
        try:
            return self._reaching(lambda: self._api.call(method, place, params=given, files=files)).json()
        except FacebookError:
            # Its text holds the parameters. An error object never gets so far: this is an answer `success: false`.
            raise RefusedError(f"Facebook answered that it did not do it: {method} {path}") from None

    def _reaching(self, send: Callable[[], Any]) -> Any:
        import requests

        try:
            return send()
        except requests.RequestException as exc:
            raise self._unreachable(exc) from None

    def _guard(self, response: Any, *_: Any, **__: Any) -> Any:
        """Look at an answer before the SDK does, which takes some failures for success and stumbles over others."""
        used = usage.read(response.headers)
        try:
            body = response.json()
        except ValueError:
            raise UnavailableError(f"Facebook answered {response.status_code} without JSON") from None
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict):
            raise self._failure(error, used.wait)
        if error is not None or response.status_code >= 400 or not isinstance(body, dict | list):
            raise UnavailableError(f"Facebook answered {response.status_code} in a form that is none of its own")
        self._note(used)
        return response

    def _failure(self, error: Mapping[str, Any], wait: float) -> GraphError:
        """Return what an error object means, without any token that it quotes."""
        return failures.kind(json.loads(self._redacted(json.dumps(error))), wait or None, by_app=self._by_app)

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return _TOKEN.sub("…", text)

    def _unreachable(self, exc: Exception) -> UnavailableError:
        """Say what went wrong on the way, without the exception's own text: it holds the URL."""
        import requests

        where, settings = urlsplit(self._session.GRAPH).netloc, self.line.settings
        if isinstance(exc, requests.ConnectTimeout):
            return _NeverSentError(f"{where} does not answer: no connection within {CONNECT_TIMEOUT:g} s")
        if isinstance(exc, requests.Timeout):
            return UnavailableError(
                f"{where} does not answer: nothing within {settings.http_timeout:g} s (IBCTL_HTTP_TIMEOUT)"
            )
        if isinstance(exc, requests.exceptions.SSLError):
            return _NeverSentError(f"{where} is not trusted: its certificate is not what it should be")
        if isinstance(exc, requests.exceptions.ProxyError):
            return _NeverSentError(f"the proxy on the way to {where} does not answer: check HTTPS_PROXY")
        if _refused_connection(exc):
            return _NeverSentError(f"cannot connect to {where}: check the network, or IBCTL_GRAPH_URL")
        return UnavailableError(f"the connection to {where} broke off")


class _NeverSentError(UnavailableError):
    """The call did not leave this machine, so that even a write may be tried again."""


def _refused_connection(exc: Exception) -> bool:
    import urllib3

    cause = exc.args[0] if exc.args else None
    return isinstance(getattr(cause, "reason", None), urllib3.exceptions.NewConnectionError)


def _session(line: Line, token: str | None, app_secret: str | None) -> Any:
    """Make the SDK's session: token in a header, a timeout, our connections, and nothing from ~/.netrc."""
    from facebook_business.session import FacebookSession

    settings = line.settings
    connect = min(CONNECT_TIMEOUT, settings.http_timeout)
    session = FacebookSession(
        settings.facebook_app_id, app_secret if token else None, token, timeout=(connect, settings.http_timeout)
    )
    session.GRAPH = settings.graph_url
    session.requests.params.pop("access_token", None)
    session.requests.auth = _Bearer(token)
    for scheme in ("https://", "http://"):
        session.requests.mount(scheme, line.adapter)
    if settings.graph_url != FACEBOOK:
        session.requests.verify = True  # not Facebook's own chain, which the SDK insists on
    if urlsplit(settings.graph_url).hostname in _LOOPBACK:
        session.requests.trust_env = False  # no proxy leads to this machine
    return session


class _Bearer:
    """Puts the token into the header. As the session's `auth`, it also keeps ~/.netrc from replacing it."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _api(session: Any, version: str) -> Any:
    # Never FacebookAdsApi.init: it makes one token the process's default, and installs a crash reporter.
    from facebook_business.api import FacebookAdsApi

    return FacebookAdsApi(session, api_version=version)


def _passes(result: Any, attempt: int) -> bool:
    """Whether what came of a batch's call may be another the next time."""
    if isinstance(result, UnavailableError):
        return attempt < result.retries
    return attempt < RETRIES and (result is None or isinstance(result, RateLimitError))


def _pause(result: Any, attempt: int) -> float:
    """Seconds to wait before a call of a batch is sent again."""
    if isinstance(result, RateLimitError):
        return result.wait or 5.0 * 2**attempt
    return _backoff(attempt)


def _keeper(results: list[Any], number: int, read: Callable[[Any], Any]) -> Callable[[Any], None]:
    def keep(response: Any) -> None:
        results[number] = read(response)

    return keep


def _data(page: Any) -> list[dict[str, Any]]:
    data = page.get("data") if isinstance(page, dict) else None
    if not isinstance(data, list):
        raise UnavailableError("Facebook answered a list without its rows")
    return data


def _next(page: Mapping[str, Any]) -> Params:
    """Return the parameters that lead to the next page; none: this was the last."""
    paging = page.get("paging") or {}
    if "next" not in paging:
        return {}
    if after := (paging.get("cursors") or {}).get("after"):
        return {"after": after}
    return {
        name: value
        for name, value in parse_qsl(urlsplit(str(paging["next"])).query)
        if name in ("after", "offset", "until", "since", "__paging_token")
    }


def _backoff(attempt: int) -> float:
    """Seconds before the next try: 0.5, 1, 2, 4, 8, each more or less by half, so that runs do not march in step."""
    return 0.5 * float(2**attempt) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
