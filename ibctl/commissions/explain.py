"""Takes one stored commission apart: every lead and spend day behind it, and whether the row still says the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, select

from ibctl import money
from ibctl.commissions import rules, service, sql
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.commissions import CommissionSnapshot, CommissionState
from ibctl.models.platform import IbCommission, User
from ibctl.months import Month


@dataclass(frozen=True)
class Explanation:
    """The derivation of one commission.

    `payout` and `spend` are lines that add up to totalPayout and totalAdSpend; `differences` are the figures that the
    stored row shows otherwise: (name, stored, derived).
    """

    commission: IbCommission
    email: str
    plan: Mapping[str, Any]
    inputs: Mapping[str, Any]
    payout: list[rules.Line]
    spend: list[rules.Line]
    # None: the row was made by something else than ibctl, and the derivation is from the data of today.
    snapshot: CommissionSnapshot | None
    differences: list[tuple[str, Decimal, Decimal]]


def find(session: Session, ib: User, month: Month) -> IbCommission:
    """Return the stored commission of an IB and month. Raises NotFoundError, which says why there may be none."""
    found = session.exec(
        select(IbCommission).where(
            IbCommission.user_id == ib.id, IbCommission.year == month.year, IbCommission.month == month.month
        )
    ).first()
    if found is not None:
        return found
    if _draft(session, ib, month) is None:
        raise NotFoundError(
            f"{ib.email} has no commission for {month}, and none is due: neither a lead nor ad spend falls in it"
        )
    raise NotFoundError(f"{ib.email} has no commission for {month} yet: run `ibctl commissions run --month {month}`")


def explain(session: Session, ib: User, month: Month) -> Explanation:
    """Derive the stored commission of an IB and month from its single leads and spend days.

    Raises NotFoundError when there is no such row.
    """
    commission = find(session, ib, month)
    snapshot = current_snapshot(session, commission.id)
    plan, inputs = (snapshot.plan, snapshot.inputs) if snapshot is not None else _live(session, ib, month)
    derived = rules.figures(plan, inputs)
    return Explanation(
        commission=commission,
        email=ib.email,
        plan=plan,
        inputs=inputs,
        payout=_named(session, rules.payout_lines(plan, inputs)),
        spend=rules.spend_lines(inputs),
        snapshot=snapshot,
        differences=_differences(commission, derived),
    )


def current_snapshot(session: Session, commission_id: str) -> CommissionSnapshot | None:
    """Return the snapshot that stands behind a commission now, or None when ibctl did not make it."""
    state = session.get(CommissionState, commission_id)
    return session.get(CommissionSnapshot, state.snapshot_id) if state else None


def _draft(session: Session, ib: User, month: Month) -> Any:
    return session.execute(sql.SELECT_DRAFT, service.draft_parameters(month, ib=ib.id)).mappings().first()


def _live(session: Session, ib: User, month: Month) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    plan = {**rules.DEFAULT_PLAN, "rate": str(rules.DEFAULT_RATE)}
    draft = _draft(session, ib, month)
    if draft is None:
        return plan, service.empty_inputs(month)
    if draft["bad_leads"] or draft["bad_days"] or draft["unrated"]:
        raise RequestError(
            f"{month} of {ib.email} was not made by ibctl and cannot be derived from the data of today: an amount or "
            f"an exchange rate is missing; `ibctl commissions run --month {month} --dry-run` names it"
        )
    return plan, draft["inputs"]


def _named(session: Session, lines: list[rules.Line]) -> list[rules.Line]:
    """Put the leads' emails where the snapshot, which keeps no personal data, has ids."""
    wanted = [line.id for line in lines if line.id]
    query = sa.text('SELECT id, coalesce(email, phone, "trackingToken", id) FROM "Lead" WHERE id = ANY(:ids)')
    names = {row[0]: row[1] for row in session.execute(query, {"ids": wanted})}
    return [replace(line, label=names.get(line.id or "", line.label)) for line in lines]


def _differences(commission: IbCommission, derived: Mapping[str, Decimal | int]) -> list[tuple[str, Decimal, Decimal]]:
    stored = service.as_row(commission, "")
    pairs = ((name, money.from_float(float(stored[name])), Decimal(derived[name])) for name in rules.FIGURES)
    return [pair for pair in pairs if pair[1] != pair[2]]
