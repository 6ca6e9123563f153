"""Executes what months were calculated from once more, and compares with what is stored and with the data of today.

Five things can be wrong, and each is a finding of its own: the snapshot (its digest is not that of its contents), the
calculation (its figures do not follow from its inputs), the stored row (it shows other figures, or is missing for an IB
that would get one today), what a closed month carried on (not what its row says), and the inputs (they are others
today). The first are faults; moved inputs and missing rows
are what `drift` is about, and no fault where nothing of it is left to book.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import bulk, config, currencies, money
from ibctl.commissions import seals, units
from ibctl.commissions.calculation import draft_sql, plan_rules, rules, service, snapshots, sql
from ibctl.commissions.months import carrying, drifting
from ibctl.errors import NotFoundError
from ibctl.months import Month

# What a finding says of a row that is not there; its `after` is what the IB would be paid.
MISSING = "is missing"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    `kind` is snapshot, calculation, row, carry, user, lead, account, spend, rate or adjustment.

    `settled`: an input that moved or a row that is missing, of a closed or paid month with nothing left to book.
    """

    month: Month
    email: str
    kind: str
    what: str
    before: str | None
    after: str | None
    by: str
    settled: bool = False
    # Of the user, the lead, the account, the spend day, the rate or the adjustment.
    id: str | None = None


@dataclass
class Verified:
    """How many commissions were verified, how many were not made by ibctl and cannot be, and the settled findings."""

    rows: int = 0
    unmade: int = 0
    settled: int = 0


_ROWS = sa.text(
    f"""
    WITH draft AS MATERIALIZED (
      SELECT "userId", digest, {sql.EARNS} AS earned,
        CASE WHEN bad_leads + bad_days + unrated = 0 THEN "totalPayout" END AS pays
      FROM ({draft_sql.draft(draft_sql.AS_STORED)}) d
    ), stored AS (
      SELECT * FROM "IbCommission" WHERE year = :year AND month = :month
    )
    SELECT u.id AS "userId", u.email, c.id IS NULL AS missing, d.pays, n.id AS snapshot, md5(n.plan::text) AS key,
      nullif(n.inputs->'adjustments', '[]') AS booked, n.figures, n."leadIds", n."leadCaptured", n."leadQualified",
      n."leadCpas", n."dayAmounts", n."dayRates",
      n.digest <> {draft_sql.digest("n")} AS forged,
      n.digest IS DISTINCT FROM d.digest AS other, (:closed OR c."paymentStatus" IN ('PROCESSING', 'PAID'))
        AND coalesce(d.earned, 0) - coalesce({sql.EARNED}, 0) = coalesce(b.booked, 0) AS settled,
      {", ".join(f'c."{name}"::numeric' for name in rules.FIGURES)}
    FROM stored c FULL JOIN draft d ON d."userId" = c."userId"
    JOIN "User" u ON u.id = coalesce(c."userId", d."userId")
    LEFT JOIN (
      ibctl.commission_state s JOIN ibctl.commission_snapshot n
        ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
    ) ON s.id = c.id
    LEFT JOIN {drifting.BOOKED} b ON b."userId" = u.id
    """
)
_PLANS = sa.text(
    """
    SELECT DISTINCT ON (1) md5(n.plan::text) AS key, n.plan FROM "IbCommission" c
    JOIN ibctl.commission_state s ON s.id = c.id JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
    WHERE c.year = :year AND c.month = :month AND n.year = :year AND n.month = :month
    """
)
_MONTHS = sa.text(
    'SELECT year, month FROM "IbCommission" UNION SELECT year, month FROM ibctl.closed_month ORDER BY 1, 2'
)


def stored_months(session: Session, wanted: Month | None = None) -> list[Month]:
    """Return the months that have commissions or are closed, in their order, or the one that is `wanted`.

    Raises NotFoundError when nothing of that one is stored.
    """
    stored = [Month(*row) for row in session.execute(_MONTHS)]
    if wanted is None:
        return stored
    if wanted not in stored:
        raise NotFoundError(
            f"nothing of {wanted} is stored: `ibctl commissions run --month {wanted}` calculates it first"
        )
    return [wanted]


def verify(session: Session, month: Month, counted: Verified) -> Iterator[Finding]:
    """Yield what is wrong with a month's commissions, by email; `counted` is counted up.

    Raises RequestError where the month was calculated in another currency or zone than the settings say.
    """
    units.require(session, month)
    return _verified(session, month, counted)


def _verified(session: Session, month: Month, counted: Verified) -> Iterator[Finding]:
    parameters = {**service.draft_parameters(month), "closed": seals.closed(session, month) is not None}
    session.execute(sql.PLAN_FOR_SETS)
    plans = {row.key: plan_rules.from_json(row.plan) for row in session.execute(_PLANS, parameters)}
    faults: list[Finding] = []
    others: dict[str, Mapping[str, Any]] = {}
    missing: dict[str, Mapping[str, Any]] = {}
    with bulk.streamed(session, _ROWS, parameters) as found:
        for row in found:
            if row["missing"]:
                missing[row["userId"]] = {name: row[name] for name in ("email", "pays", "settled")}
                continue
            if row["snapshot"] is None:
                counted.unmade += 1
                continue
            counted.rows += 1
            faults += _faults(month, row, plans[row["key"]])
            if row["other"]:
                others[row["userId"]] = {name: row[name] for name in ("email", "snapshot", "settled")}
    if parameters["closed"]:
        faults += _uncarried(session, month)
    # Sorted here, for mostly there are none: rows that the server sorts come only when it has them all.
    yield from sorted(faults, key=lambda fault: fault.email)
    found_today = [*_missing(session, month, missing), *_moved(session, month, others)]
    for finding in sorted(found_today, key=lambda finding: finding.email):
        counted.settled += finding.settled
        yield finding


def _faults(month: Month, row: Mapping[str, Any], terms: plan_rules.Terms) -> Iterator[Finding]:
    email, stored = row["email"], row["figures"]
    if row["forged"]:
        yield Finding(month, email, "snapshot", "contents do not have the digest that was kept", None, None, "")
    # `units.require` has seen to it that it is the currency of then.
    base = config.settings().base_currency
    again = rules.figures(terms, snapshots.amounts(row, row["booked"] or (), base=base))
    for name, before, after in rules.differing(stored, again):
        yield Finding(month, email, "calculation", name, _shown(before), _shown(after), "")
    shown = {name: Decimal(row[name]) for name in rules.FIGURES}
    for name, before, after in rules.differing(_as_stored(stored), shown, rules.FIGURES):
        yield Finding(month, email, "row", name, _shown(before), _shown(after), "written outside ibctl")


def _uncarried(session: Session, month: Month) -> Iterator[Finding]:
    for email, owed, carried in carrying.uneven(session, month):
        yield Finding(month, email, "carry", "carriedOut", _shown(owed), _shown(carried), "")


def _shown(amount: Decimal) -> str:
    return currencies.digits(amount, config.settings().base_currency)


def _as_stored(figures: dict[str, str]) -> dict[str, Decimal]:
    """Return figures as a double keeps them: with 15 digits."""
    return {name: money.from_float(float(figures[name])) for name in rules.FIGURES}


def _missing(session: Session, month: Month, missing: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Name the IBs without a row that would get one today, with what they would be paid and what wrote that last."""
    # Of a month that was never run that is everybody: their inputs are never all in memory.
    each = drifting.changes(session, month, dict.fromkeys(missing))
    while some := list(islice(each, drifting.BATCH)):
        by = drifting.causes(session, (one for _, inputs in some for one in inputs))
        for user, inputs in some:
            row, last = missing[user], max((by[one.id] for one in inputs), default=(0, ""))
            pays = "cannot be calculated" if row["pays"] is None else _shown(row["pays"])
            yield Finding(month, row["email"], "row", MISSING, None, pays, last[1], bool(row["settled"]))


def _moved(session: Session, month: Month, others: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    found = dict(drifting.changes(session, month, {user: other["snapshot"] for user, other in others.items()}))
    by = drifting.causes(session, (one for inputs in found.values() for one in inputs))
    for user, other in others.items():
        for one in found[user]:
            yield Finding(
                month, other["email"], one.what, one.label, one.before, one.after, by[one.id][1],
                bool(other["settled"]), one.id,
            )  # fmt: skip
