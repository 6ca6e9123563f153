"""Reads what stands behind a commission: the snapshot that a run kept, or what the data of today would make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.commissions.calculation import plan_rules
from ibctl.commissions.calculation.plan_rules import Terms
from ibctl.commissions.calculation.rules import Account, Booked, Inputs
from ibctl.months import Month


@dataclass(frozen=True)
class Snapshot:
    """What a commission was calculated from, and what came of it. Money in the base currency."""

    terms: Terms
    # The plan's file as it was; "" of the default plan.
    text: str
    inputs: Inputs
    # By the names of `rules.FIGURES` and `rules.BALANCE`.
    figures: Mapping[str, Decimal]
    payable_from: date | None
    # Of the kept snapshot; None where it was made from the data of today.
    digest: str | None = None
    change_set_id: int | None = None
    created_at: datetime | None = None


_CURRENT = sa.text(
    """
    SELECT n.* FROM ibctl.commission_state s JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
    WHERE s.id = :commission
    """
)
_BY_IDS = sa.text("SELECT * FROM ibctl.commission_snapshot WHERE id = ANY(:ids)")
_OF_MONTH = sa.text(
    """
    SELECT n.*, c.id AS commission, u.email FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
    JOIN ibctl.commission_state s ON s.id = c.id JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
    WHERE c.year = :year AND c.month = :month AND n.year = :year AND n.month = :month
      AND (CAST(:ib AS text) IS NULL OR c."userId" = :ib)
    """
)

_REASONS = sa.text(
    """
    SELECT id, reason FROM ibctl.adjustment
    WHERE year = :year AND month = :month AND (CAST(:ib AS text) IS NULL OR "userId" = :ib)
    """
)


def current(session: Session, commission_id: str) -> Snapshot | None:
    """Return the snapshot that stands behind a commission now, or None when ibctl did not make it."""
    row = session.execute(_CURRENT, {"commission": commission_id}).mappings().first()
    return snapshot(row) if row else None


def by_ids(session: Session, ids: Sequence[str]) -> dict[str, Snapshot]:
    """Return kept snapshots by their ids."""
    return {row["id"]: snapshot(row) for row in session.execute(_BY_IDS, {"ids": ids}).mappings()}


def of_month(
    session: Session, year: int, month: int, *, ib: str | None = None
) -> Iterator[tuple[sa.RowMapping, Snapshot]]:
    """Stream a month's snapshots with their rows (`commission`, `userId`, `email`, the snapshot's own columns)."""
    streamed = {"stream_results": True, "yield_per": 500}
    values = {"year": year, "month": month, "ib": ib}
    with session.execute(_OF_MONTH, values, execution_options=streamed) as found:
        for row in found.mappings():
            yield row, snapshot(row)


def snapshot(row: sa.RowMapping) -> Snapshot:
    """Read a row of the snapshots' table, or of a draft."""
    return Snapshot(
        terms=plan_rules.from_json(row["plan"]),
        text=row["plan"].get("text", ""),
        inputs=inputs(row),
        figures={name: Decimal(value) for name, value in row["figures"].items()},
        payable_from=row["payableFrom"],
        digest=row["digest"],
        change_set_id=row.get("changeSetId"),
        created_at=row.get("createdAt"),
    )


def inputs(row: sa.RowMapping) -> Inputs:
    """Return the inputs that a row of the snapshots' table, or of a draft, holds."""
    stored, days = row["inputs"], len(row["dayIds"])
    return replace(
        amounts(row, stored["adjustments"], base=stored["baseCurrency"]),
        zone=stored["zone"],
        role=stored["role"],
        start=_moment(stored["from"]),
        end=_moment(stored["to"]),
        accounts=[Account(one["id"], one["account"], one["currency"]) for one in stored["accounts"]],
        day_ids=row["dayIds"],
        day_accounts=[one["id"] for one in stored["accounts"] for _ in range(one["days"])],
        dates=row["dayDates"],
        rates=row["dayRates"] or [Decimal(1)] * days,
        rate_ids=row["dayRateIds"] or [None] * days,
    )


def amounts(row: Mapping[str, Any] | sa.RowMapping, adjustments: Sequence[Mapping[str, Any]], *, base: str) -> Inputs:
    """Return of the inputs that a row holds those that `rules.figures` needs; `adjustments` as they are stored.

    Without `dayRates`, all amounts are in the base currency: to keep a million ones takes longer than to add up.
    """
    return Inputs(
        base=base,
        lead_ids=row["leadIds"],
        captured=row["leadCaptured"],
        qualified=row["leadQualified"],
        cpas=row["leadCpas"],
        amounts=row["dayAmounts"],
        rates=row["dayRates"] or (),
        adjustments=[
            Booked(one["id"], one["kind"], Decimal(one["amount"]), lead_id=one["leadId"]) for one in adjustments
        ],
    )


def reasons(session: Session, month: Month, *, ib: str | None = None) -> Mapping[str, str]:
    """Return why what is booked into a month was booked, by the adjustments' ids: a snapshot keeps no free text."""
    values = {"year": month.year, "month": month.month, "ib": ib}
    return {row.id: row.reason for row in session.execute(_REASONS, values)}


def told(inputs: Inputs, why: Mapping[str, str]) -> Inputs:
    """Return inputs with the reasons of what was booked; one that was taken back since has none any more."""
    return replace(inputs, adjustments=[replace(one, reason=why.get(one.id, "")) for one in inputs.adjustments])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.removesuffix("Z"))
