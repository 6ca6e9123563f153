"""Which function answers which path, what a request is to it, and how long lists come page by page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fakes.graph import faults

if TYPE_CHECKING:
    from tests.fakes.graph.world import Token, User, World

PAGE = 25


@dataclass(frozen=True)
class Request:
    """One call, with its parameters from query and body alike; those that look like JSON are decoded."""

    method: str
    # Without version and slashes: `act_900/insights`.
    path: str
    params: Mapping[str, Any]
    # Uploads by field: (file name, bytes).
    files: Mapping[str, tuple[str, bytes]]
    token: Token | None
    world: World
    # What the route's pattern caught.
    caught: Sequence[str] = ()

    @property
    def user(self) -> User:
        """Who calls. Raises Fault where the call has no user's token."""
        if self.token is None or self.token.user is None:
            raise faults.Fault(104, None, "An access token is required to request this resource.")
        return self.world.users[self.token.user]

    def require(self, *permissions: str) -> None:
        """Raise Fault unless the caller was granted one of them."""
        if not any(self.user.permissions.get(name) == "granted" for name in permissions):
            raise faults.missing_permission(permissions[0])

    @property
    def fields(self) -> list[str]:
        """The asked fields; a list on POST, joined by commas on GET."""
        asked = self.params.get("fields", [])
        return [name.strip() for name in asked.split(",") if name.strip()] if isinstance(asked, str) else list(asked)


Answer = Callable[[Request], Any]
ROUTES: list[tuple[str, re.Pattern[str], Answer]] = []


def route(method: str, pattern: str) -> Callable[[Answer], Answer]:
    """Let a function answer the paths that match as a whole; the first that was named wins."""

    def keep(answer: Answer) -> Answer:
        ROUTES.append((method, re.compile(pattern), answer))
        return answer

    return keep


def find(method: str, path: str) -> tuple[Answer, Sequence[str]]:
    for wanted, pattern, answer in ROUTES:
        if wanted == method and (found := pattern.fullmatch(path)):
            return answer, found.groups()
    raise faults.no_such_object(path)


def paged(request: Request, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Cut a list into pages by cursor. Where the world says so, each page but the last is followed by an empty one."""
    limit = int(request.params.get("limit", PAGE))
    if not 0 < limit <= 5000:
        raise faults.invalid("Param limit must be a number between 1 and 5000", "limit")
    start, empty = _position(request.params.get("after"))
    end = start if empty else min(start + limit, len(rows))
    more = end < len(rows)
    page: dict[str, Any] = {"data": [] if empty else list(rows[start:end])}
    if page["data"] or more:
        gap = request.world.empty_pages and not empty and more
        after = _cursor(end, gap)
        page["paging"] = {"cursors": {"before": _cursor(start, False), "after": after}}
        if more:
            # Real ones carry the token, and the SDK never calls them.
            page["paging"]["next"] = f"https://graph.facebook.com/next?access_token=SECRET&after={after}"
    return page


def _cursor(position: int, empty: bool) -> str:
    return base64.urlsafe_b64encode(f"{position}{'e' if empty else ''}".encode()).decode()


def _position(cursor: str | None) -> tuple[int, bool]:
    if cursor is None:
        return 0, False
    try:
        text = base64.urlsafe_b64decode(str(cursor)).decode()
        return int(text.rstrip("e")), text.endswith("e")
    except ValueError:
        raise faults.Fault(2642, None, "(#2642) Invalid cursors values") from None
