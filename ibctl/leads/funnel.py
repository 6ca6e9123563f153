"""How far leads came: captured, contacted, deposited, trading, qualified.

A lead has reached a stage when its fact or its status says so, or when it has reached a later one: who trades has been
contacted. So no stage has more leads than the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config
from ibctl.users import service as users

By = Literal["stage", "source", "ib", "broker", "month"]
STAGES = ("captured", "contacted", "deposited", "trading", "qualified")
# How many characters a bar that stands for all has; beside the names of groups there is less room.
BAR, GROUP_BAR = 20, 12

_KEYS = {
    "stage": "NULL",
    "source": "l.source",
    "ib": "u.email",
    "broker": "l.broker",
    "month": """to_char(l."leadCapturedAt" AT TIME ZONE 'UTC' AT TIME ZONE :zone, 'YYYY-MM')""",
}
# Which of a lead's facts are later than each stage, the stage's own included.
_QUALIFIED = """l."qualifiedAt" IS NOT NULL"""
_TRADING = f"""({_QUALIFIED} OR l."tradingStartAt" IS NOT NULL)"""
_DEPOSITED = f"""({_TRADING} OR l."depositedAt" IS NOT NULL)"""
_CONTACTED = f"""({_DEPOSITED} OR l.status NOT IN ('captured', 'rejected'))"""


def _statement(by: By) -> sa.TextClause:
    order = "1 DESC" if by == "month" else "2 DESC, 1"
    return sa.text(
        f"""
        SELECT {_KEYS[by]} AS key, count(*) AS captured, count(*) FILTER (WHERE {_CONTACTED}) AS contacted,
          count(*) FILTER (WHERE {_DEPOSITED}) AS deposited, count(*) FILTER (WHERE {_TRADING}) AS trading,
          count(*) FILTER (WHERE {_QUALIFIED}) AS qualified
        FROM "Lead" l LEFT JOIN "User" u ON u.id = l."userId"
        WHERE (CAST(:ib AS text) IS NULL OR l."userId" = :ib)
          AND (CAST(:since AS timestamp) IS NULL OR l."leadCapturedAt" >= :since)
          AND (CAST(:before AS timestamp) IS NULL OR l."leadCapturedAt" < :before)
        GROUP BY 1 ORDER BY {order}
        """
    )


@dataclass(frozen=True)
class Reached:
    """How many leads of a group reached each stage, in the order of `STAGES`; `key` names the group."""

    key: str | None
    leads: tuple[int, ...]


def reached(
    session: Session, by: By, *, ib: str | None = None, since: datetime | None = None, before: datetime | None = None
) -> list[Reached]:
    """Return how far the leads captured in a span (naive UTC) came, by what they have in common.

    The largest group comes first, of months the newest. Raises NotFoundError when the IB does not exist.
    """
    owner = users.find(session, ib).id if ib is not None else None
    values = {"ib": owner, "since": since, "before": before, "zone": config.settings().timezone.key}
    found = [Reached(key, tuple(counts)) for key, *counts in session.execute(_statement(by), values)]
    return [one for one in found if one.leads[0]]


def percent(part: int, whole: int) -> Decimal | None:
    """Return how many percent a part is, with one decimal; None of nothing."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP) if whole else None


def bar(part: int, whole: int, length: int = BAR) -> str:
    """Draw a part of a whole, in eighths of a character."""
    eighths = round(8 * length * part / whole) if whole else 0
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def by_stage(found: Reached) -> list[dict[str, Any]]:
    """Return one row for each stage: its leads, their share of all and of the stage before."""
    rows = []
    for stage, leads, earlier in zip(STAGES, found.leads, (found.leads[0], *found.leads), strict=False):
        share = percent(leads, found.leads[0])
        drawn = bar(leads, found.leads[0])
        rows.append(
            {"stage": stage, "leads": leads, "conversion": share, "ofPrevious": percent(leads, earlier), "bar": drawn}
        )
    return rows


def by_group(by: By, found: Reached) -> dict[str, Any]:
    """Return one row for a group: its leads by stage, and how many percent of them qualified."""
    qualified, captured = found.leads[-1], found.leads[0]
    counts = dict(zip(STAGES, found.leads, strict=True))
    return {
        by: found.key,
        **counts,
        "conversion": percent(qualified, captured),
        "bar": bar(qualified, captured, GROUP_BAR),
    }
