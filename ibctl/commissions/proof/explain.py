"""Takes one stored commission apart: every lead and spend day behind it, and whether the row still says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import sqlalchemy as sa
from sqlmodel import Session, select

from ibctl import money
from ibctl.commissions import ibs, seals
from ibctl.commissions.calculation import draft_sql, plan_rules, rules, service, snapshots, stored
from ibctl.commissions.calculation.rules import Inputs, Line
from ibctl.commissions.calculation.snapshots import Snapshot
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.platform import IbCommission, Role, User
from ibctl.months import Month

_DRAFT = sa.text(draft_sql.whole(draft_sql.IN_FORCE))


@dataclass(frozen=True)
class Explanation:
    """The derivation of one commission.

    `payout` and `spend` are trees whose lines add up to totalPayout and totalAdSpend; `differences` are the figures
    that the stored row shows otherwise: (name, stored, derived).
    """

    commission: IbCommission
    email: str
    snapshot: Snapshot
    payout: Line
    spend: Line
    differences: list[tuple[str, Decimal, Decimal]]

    @property
    def kept(self) -> bool:
        """Whether a run kept what it is derived from; else it is derived from the data of today."""
        return self.snapshot.digest is not None


def find(session: Session, ib: User, month: Month) -> IbCommission:
    """Return the stored commission of an IB and month. Raises NotFoundError, which says why there may be none."""
    found = session.exec(
        select(IbCommission).where(
            IbCommission.user_id == ib.id, IbCommission.year == month.year, IbCommission.month == month.month
        )
    ).first()
    if found is not None:
        return found
    role, closed = ibs.roles(session, month, [ib.id])[ib.id], seals.closed(session, month)
    if draft(session, ib, month) is None or (closed and role is not Role.IB):
        raise NotFoundError(f"{ib.email} has no commission for {month}, and none is due: {_nothing_due(ib, role)}")
    if closed:
        raise NotFoundError(
            f"{month} is closed, and {ib.email} has nothing in it; what is due since, "
            f"`ibctl commissions true-up {month}` books"
        )
    raise NotFoundError(f"{ib.email} has no commission for {month} yet: run `ibctl commissions run --month {month}`")


def _nothing_due(ib: User, role: Role) -> str:
    if role is not Role.IB:
        return f"its role {'is' if ib.role is role else 'was'} {role.value}, and leads and ad spend count only for IBs"
    return "neither a lead nor ad spend falls in it"


def explain(session: Session, ib: User, month: Month) -> Explanation:
    """Derive the stored commission of an IB and month from its single leads and spend days.

    Raises NotFoundError when there is no such row.
    """
    commission = find(session, ib, month)
    snapshot = snapshots.current(session, commission.id) or _live(session, ib, month)
    why = snapshots.reasons(session, month, ib=ib.id)
    snapshot = replace(snapshot, inputs=snapshots.told(snapshot.inputs, why))
    payout, spend = rules.payout(snapshot.terms, snapshot.inputs), rules.spend(snapshot.inputs)
    names = names_of(session, [line.lead for line in rules.flat(payout) if line.lead])
    return Explanation(
        commission=commission,
        email=ib.email,
        snapshot=snapshot,
        payout=rules.named(payout, names),
        spend=spend,
        differences=_differences(commission, rules.figures(snapshot.terms, snapshot.inputs)),
    )


def draft(session: Session, ib: User, month: Month) -> sa.RowMapping | None:
    """Return what a run would make of an IB's month today, as a row of the draft; None: it would make no row."""
    return session.execute(_DRAFT, service.draft_parameters(month, ib=ib.id)).mappings().first()


def _live(session: Session, ib: User, month: Month) -> Snapshot:
    found = draft(session, ib, month)
    if found is None:
        return _nothing(month)
    if found["bad_leads"] or found["bad_days"] or found["unrated"] or found["unplanned"]:
        raise RequestError(
            f"{month} of {ib.email} was not made by ibctl and cannot be derived from the data of today: an amount, an "
            f"exchange rate or a plan is missing; `ibctl commissions run --month {month} --dry-run` names it"
        )
    return replace(snapshots.snapshot(found), digest=None)


def _nothing(month: Month) -> Snapshot:
    """Return what an IB is calculated from that has nothing in a month."""
    parameters = service.draft_parameters(month)
    inputs = Inputs(
        base=parameters["base"], zone=parameters["zone"], start=parameters["from"], end=parameters["to"]
    )  # fmt: skip
    terms = plan_rules.DEFAULT_TERMS
    figures = {name: Decimal(value) for name, value in rules.figures(terms, inputs).items()}
    return Snapshot(terms, "", inputs, figures, None)


def names_of(session: Session, leads: Sequence[str]) -> Mapping[str, str]:
    """Return what people call leads, by their ids: a snapshot keeps no personal data."""
    query = sa.text('SELECT id, coalesce(email, phone, "trackingToken", id) FROM "Lead" WHERE id = ANY(:ids)')
    return {row[0]: row[1] for row in session.execute(query, {"ids": list(leads)})}


def _differences(commission: IbCommission, derived: Mapping[str, Decimal | int]) -> list[tuple[str, Decimal, Decimal]]:
    row = stored.as_row(commission, "")
    exact = {name: money.from_float(float(row[name])) for name in rules.FIGURES}
    return rules.differing(exact, derived, rules.FIGURES)
