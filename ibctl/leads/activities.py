"""What happened to a lead, as the web application shows it."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl.errors import UsageError
from ibctl.leads import service
from ibctl.models.platform import LeadActivity

LONGEST_TYPE = 100
LONGEST_TEXT = 10_000


def add(session: Session, name: str, kind: str, *, description: str | None = None, metadata: str | None = None) -> str:
    """Note down what happened to a lead; returns the activity's id. `metadata` is JSON text.

    Raises UsageError for an empty or overlong text or malformed JSON, NotFoundError for an unknown lead.
    """
    activity = LeadActivity(
        lead_id="",
        activity_type=_text("TYPE", kind, LONGEST_TYPE),
        description=None if description is None else _text("--description", description, LONGEST_TEXT),
        details=None if metadata is None else _json(metadata),
    )
    activity.lead_id = service.find(session, name).id
    session.add(activity)
    session.flush()
    return activity.id


def _text(option: str, text: str, longest: int) -> str:
    value = text.strip()
    if not value or "\0" in value or len(value) > longest:
        problem = "is empty" if not value else "holds a NUL character" if "\0" in value else "is too long"
        raise UsageError(f"{option} {problem}: write 1 to {longest:,} characters")
    return value


def _json(text: str) -> Any:
    def refuse(word: str) -> None:
        raise ValueError(f"{word} is not JSON")

    try:
        value = json.loads(text, parse_constant=refuse)
        # Numbers beyond a double, and halves of surrogate pairs: Python reads what the database refuses.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise UsageError("--metadata holds half a surrogate pair (like \\ud800), which is no character") from None
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"--metadata is not JSON: {str(exc) or 'nested too deeply'}") from None
    if "\\u0000" in json.dumps(value):
        raise UsageError("--metadata holds a NUL character, which the database cannot keep")
    if value is None:
        raise UsageError("--metadata null says nothing: leave it out")
    return value


def listing(session: Session, name: str, *, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return a lead's activities as rows, newest first and at most `limit` (0: all), and how many there are.

    Raises NotFoundError for an unknown lead.
    """
    lead = service.find(session, name)
    mine = col(LeadActivity.lead_id) == lead.id
    total = session.exec(select(sa.func.count()).select_from(LeadActivity).where(mine)).one()
    query = select(LeadActivity).where(mine).order_by(col(LeadActivity.created_at).desc(), col(LeadActivity.id).desc())
    rows = [
        {
            "id": one.id,
            "createdAt": one.created_at,
            "activityType": one.activity_type,
            "description": one.description,
            "metadata": one.details,
        }
        for one in session.exec(query.limit(limit or None))
    ]
    return rows, total
