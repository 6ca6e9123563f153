"""Runs a month. The figures are made in `draft_sql.py`; `stored.py` reads them, `proof/explain.py` takes one apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import clock, config, currencies, db, ids, months
from ibctl.commissions import seals, units
from ibctl.commissions.calculation import agreement, former, plan_rules, sql
from ibctl.commissions.calculation.former import Former
from ibctl.errors import RequestError
from ibctl.models.commissions import ClosedMonth
from ibctl.months import Month


@dataclass(frozen=True)
class Waiting:
    """Balances of an open month that are in no later one yet: how many rows, their sum in the base currency.

    `late`: a later month is closed, so that nobody comes to close it by itself.
    """

    month: Month
    rows: int
    sum: Decimal
    late: bool


@dataclass(frozen=True)
class RunResult:
    """How a month stands after a run; money in the base currency."""

    month: Month
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    # Whose rows are removed or without what they earned, because they are IBs no more.
    former: Sequence[Former] = ()
    held: int = 0
    # PROCESSING and PAID rows, left as they are; `drifted` of them would earn something else today.
    sealed: int = 0
    drifted: int = 0
    total_payout: Decimal = Decimal(0)
    # What closing the month would carry on: balances below the minimum, and negative ones.
    carried: Decimal = Decimal(0)
    # Of each span of open months before, the last whose balances wait for its closing to be carried on.
    waiting: Sequence[Waiting] = ()
    # The month is closed, and nothing was calculated.
    closed: ClosedMonth | None = None


def run(session: db.Transaction, month: Month, *, ib: str | None = None) -> RunResult:
    """Calculate a month for all IBs, or for the user id `ib`, and store it, with a snapshot behind each open row.

    A second run at the same time waits for the first. Rows whose figures and inputs have not changed are not written;
    what is written is calculated twice (`agreement.py`). A closed month is left alone. Raises RequestError when the
    month has not begun, when a rate is missing, when an amount in the month is no amount, when settled months beside it
    were cut in another zone, or when the two calculations disagree: the transaction must then end with it.
    """
    _require_begun(month)
    db.lock(session, seals.LOCK)
    closed = seals.closed(session, month)
    if closed is not None:
        return RunResult(month, closed=closed)
    units.require_one_cut(session, month)
    parameters = draft_parameters(month, ib=ib)
    session.execute(sql.PLAN_FOR_SETS)
    session.execute(sql.CREATE_DRAFT, parameters)
    _require_sound_inputs(session, month, parameters)
    with agreement.required(session, month):
        result = _store(session, month, parameters)
    session.execute(sql.DROP_DRAFT)
    return result


def _require_begun(month: Month) -> None:
    zone = config.settings().timezone
    if month > months.current(zone):
        raise RequestError(f"{month} has not begun yet in {zone.key}: there is nothing to calculate")


def draft_parameters(month: Month, *, ib: str | None = None) -> dict[str, Any]:
    """Return the parameters of a draft for a month under the settings."""
    settings = config.settings()
    start, end = month.bounds(settings.timezone)
    return {
        "year": month.year,
        "month": month.month,
        "from": start,
        "to": end,
        "first_day": month.first_day,
        "next_day": month.next.first_day,
        "zone": settings.timezone.key,
        "base": settings.base_currency,
        "unit": currencies.unit(settings.base_currency),
        "default": json.dumps({**plan_rules.as_json(plan_rules.DEFAULT_TERMS), "text": ""}),
        "ib": ib,
    }


def _require_sound_inputs(session: Session, month: Month, parameters: Mapping[str, Any]) -> None:
    refusals = (_bad_leads, _bad_days, _unrated, _unplanned, _foreign)
    for count, refusal in zip(session.execute(sql.PROBLEMS).one(), refusals, strict=True):
        if count:
            raise RequestError(f"{count} {refusal(session, month, count, parameters)}; nothing was written")


def _bad_leads(session: Session, month: Month, _count: int, parameters: Mapping[str, Any]) -> str:
    found = session.execute(sql.BAD_LEADS, parameters)
    named = ", ".join(f"{cpa} at lead {lead} of {email}" for lead, email, cpa in found)
    return (
        f"qualified lead(s) of {month} have a cpaEarned that is no amount: {named}. Correct them with "
        "`ibctl leads edit`"
    )


def _bad_days(session: Session, month: Month, _count: int, parameters: Mapping[str, Any]) -> str:
    found = session.execute(sql.BAD_DAYS, parameters)
    named = ", ".join(f"{amount} at {account} on {day}" for account, day, amount in found)
    return (
        f"spend day(s) of {month} have a dailySpend that is no amount: {named}. Import them again with "
        "`ibctl ads spend import`"
    )


def _unrated(session: Session, month: Month, count: int, parameters: Mapping[str, Any]) -> str:
    found = session.execute(sql.UNRATED, parameters).all()
    named = ", ".join(f"{currency} on {day} for {account} of {email}" for account, day, currency, email in found)
    more = ", …" if count > len(found) else ""
    return (
        f"spend day(s) of {month} have no exchange rate to {parameters['base']}: {named}{more}. Import them with "
        "`ibctl commissions rates import`"
    )


def _unplanned(session: Session, month: Month, _count: int, _parameters: Mapping[str, Any]) -> str:
    return (
        f"IB(s) are assigned to a plan of which no version is in force in {month}: "
        f"{', '.join(session.scalars(sql.UNPLANNED))}. `ibctl commissions plans history IB` names it: add a version "
        f"that holds in {month}, or assign another plan"
    )


def _foreign(_session: Session, month: Month, _count: int, parameters: Mapping[str, Any]) -> str:
    return (
        f"adjustment(s) of {month} are in another currency than {parameters['base']}, and currencies are never added: "
        "take them back with `ibctl undo`, or set IBCTL_BASE_CURRENCY as it was"
    )


def _store(session: db.Transaction, month: Month, parameters: dict[str, Any]) -> RunResult:
    values = {**parameters, "now": clock.now(), "change_set": session.change_set_id}
    gone = former.find(session, month, ib=values["ib"])
    removed = session.execute(sql.REMOVE_PENDING, values).scalar_one()
    rows = session.execute(sql.TO_WRITE).one()
    created = execute(session, sql.INSERT, {**values, "ids": ids.cuids(rows.new)}) if rows.new else 0
    # A row that is missing among the created ones was made by the web application since.
    updated = execute(session, sql.UPDATE, values) if rows.changed or created < rows.new else 0
    if rows.new or rows.changed:
        session.execute(sql.SNAPSHOT, values)
    summary = session.execute(sql.SUMMARY, values).one()
    return RunResult(
        month=month,
        created=created,
        updated=updated,
        unchanged=summary.open - created - updated,
        removed=removed,
        former=gone,
        held=summary.held,
        sealed=summary.sealed,
        drifted=summary.drifted,
        total_payout=summary.payout,
        carried=summary.carried,
        waiting=[*_waiting(session, month)],
    )


def _waiting(session: Session, month: Month) -> Iterator[Waiting]:
    last = seals.last_closed(session)
    for first, end in seals.open_spans(session, month):
        values = {
            "since_year": first.year if first else 0, "since_month": first.month if first else 0,
            "until_year": end.year, "until_month": end.month,
        }  # fmt: skip
        for row in session.execute(sql.WAITING, values):
            found = Month(row.year, row.month)
            yield Waiting(found, row.rows, row.sum, late=last is not None and found < last)


def execute(session: Session, statement: sa.TextClause, values: Mapping[str, Any]) -> int:
    """Execute a statement that writes; return how many rows it wrote."""
    result = session.execute(statement, values)
    return int(result.rowcount)  # type: ignore[attr-defined] # a CursorResult, which Session.execute does not say
