"""What goes wrong: Graph's errors as it words them, and answers that are no answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


class Fault(Exception):
    """An error object of Graph's. It comes with HTTP 400, as nearly all of them do."""

    def __init__(
        self,
        code: int,
        subcode: int | None = None,
        message: str = "",
        *,
        status: int = 400,
        transient: bool = False,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})
        self.error: dict[str, Any] = {
            "message": message or f"(#{code}) scripted",
            "type": "OAuthException",
            "code": code,
            "is_transient": transient,
            "fbtrace_id": "AbCdEf123",
            **more,
        }
        if subcode is not None:
            self.error["error_subcode"] = subcode

    @property
    def body(self) -> dict[str, Any]:
        return {"error": self.error}


@dataclass(frozen=True)
class Broken:
    """An answer that is no Graph error: wrong in form, late, or not there.

    `slow` answers rightly after `seconds`, `dropped` closes the connection without an answer (after having carried the
    request out), `refused` closes it before, `truncated` stops in the middle of the body. The others send `text` with
    `status`.
    """

    kind: Literal["slow", "dropped", "refused", "truncated", "raw"]
    seconds: float = 0.0
    status: int = 200
    text: str = ""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


HTML = Broken(
    "raw", status=502, text="<html><body><h1>502 Bad Gateway</h1></body></html>", content_type="text/html"
)  # fmt: skip


def no_such_object(node: str) -> Fault:
    return Fault(
        100, 33, f"Unsupported get request. Object with ID '{node}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation",
    )  # fmt: skip


def invalid(message: str, *fields: str, subcode: int | None = None, title: str = "", detail: str = "") -> Fault:
    more: dict[str, Any] = {"error_data": {"blame_field_specs": [[name] for name in fields]}} if fields else {}
    if title:
        more |= {"error_user_title": title, "error_user_msg": detail}
    return Fault(100, subcode, f"(#100) {message}", **more)


def bad_token(subcode: int = 467) -> Fault:
    words = {
        458: "The user has not authorized application 4242.",
        459: "You cannot access the app till you log in to www.facebook.com and follow the instructions given.",
        460: "The session has been invalidated because the user changed their password.",
        463: "Session has expired on Thursday, 26-Nov-26 00:00:00 PST.",
        467: "The session is invalid because the user logged out.",
    }
    return Fault(190, subcode, f"Error validating access token: {words.get(subcode, 'Invalid.')}")


def missing_permission(name: str) -> Fault:
    return Fault(200, None, f"(#200) Requires {name} permission to manage the object.", status=403)
