"""What closed and paid months would be today, why, and booking the difference into an open month.

Drift is what a month *earns*: commission and bonus, at the terms that it was calculated by. What was booked about the
month already, clawbacks and earlier true-ups, is taken off: `difference` is what nobody has booked yet.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import clock, config, db, ids
from ibctl.commissions import ibs, seals, units
from ibctl.commissions.calculation import draft_sql, moved, rules, service, snapshots, sql
from ibctl.commissions.calculation.moved import Moved
from ibctl.commissions.calculation.snapshots import Snapshot
from ibctl.commissions.months import carrying
from ibctl.errors import RequestError
from ibctl.models.platform import User
from ibctl.months import Month


@dataclass(frozen=True)
class Drift:
    """What an IB's month earned when it was calculated last, and earns by the data of today; in the base currency.

    `booked` was booked about the month since; `difference` is `now` less `then` and `booked`. `moved` are the inputs
    that have moved since the last true-up, without the leads that clawbacks have booked, unless there are no others.
    """

    user_id: str
    email: str
    month: Month
    # PENDING, HELD, PROCESSING, PAID; None where the IB has no row.
    status: str | None
    then: Decimal
    now: Decimal
    booked: Decimal
    moved: Sequence[Moved]
    # The change sets that wrote the inputs that moved, the newest first.
    causes: Sequence[str]

    @property
    def difference(self) -> Decimal:
        """What a true-up books."""
        return self.now - self.then - self.booked


# What was booked about a month since, and by the last true-up, if any, what the month was made of then.
BOOKED = """(
  SELECT "userId", sum(amount) AS booked, bool_or(kind = 'true-up') AS trued,
    (array_agg("snapshotId" ORDER BY "createdAt" DESC, id DESC) FILTER (WHERE kind = 'true-up'))[1] AS snapshot
  FROM ibctl.adjustment
  WHERE "sourceYear" = :year AND "sourceMonth" = :month AND kind IN ('true-up', 'clawback') GROUP BY 1
)"""
# A row calculated by ibctl of a month that is closed, or that is being paid or paid. In a closed month an IB without a
# row earned nothing.
_DRIFT = sa.text(
    f"""
    WITH draft AS MATERIALIZED ({draft_sql.draft(draft_sql.AS_STORED)}), made AS MATERIALIZED (
      SELECT c."userId", c."paymentStatus" AS status, n.id AS snapshot, {sql.EARNED} AS earned
      FROM "IbCommission" c
      LEFT JOIN (
        ibctl.commission_state s JOIN ibctl.commission_snapshot n
          ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
      ) ON s.id = c.id
      WHERE c.year = :year AND c.month = :month
    ), settled AS {BOOKED}
    SELECT u.id AS "userId", u.email, m.status, CASE WHEN s.trued THEN s.snapshot ELSE m.snapshot END AS snapshot,
      coalesce(m.earned, 0.00) AS "then",
      coalesce({sql.EARNS}, 0.00) AS "now", coalesce(s.booked, 0.00) AS booked,
      d.bad_leads + d.bad_days + d.unrated AS unsound
    FROM draft d FULL JOIN made m USING ("userId") FULL JOIN settled s USING ("userId") JOIN "User" u ON u.id = "userId"
    WHERE (:closed OR m.status IN ('PROCESSING', 'PAID')) AND (m.status IS NULL OR m.snapshot IS NOT NULL)
      AND (CAST(:ib AS text) IS NULL OR u.id = :ib)
    """
)
_FINAL = sa.text(
    """
    SELECT DISTINCT year, month FROM (
      SELECT year, month FROM ibctl.closed_month
      UNION SELECT c.year, c.month FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
      WHERE c."paymentStatus" IN ('PROCESSING', 'PAID')) m
    ORDER BY year DESC, month DESC
    """
)
# A row for each of the users, in their order: of whoever has nothing in the month, with nulls.
_TODAY = sa.text(
    f"""
    SELECT asked.id AS asked, d.* FROM unnest(CAST(:users AS text[])) WITH ORDINALITY AS asked (id, number)
    LEFT JOIN ({draft_sql.whole(draft_sql.AS_STORED)} WHERE d."userId" = ANY(:users)) d ON d."userId" = asked.id
    ORDER BY asked.number
    """
)
# Rows that are being paid or paid, of which ibctl kept nothing. In a closed month there are no others.
_UNMADE = sa.text(
    """
    SELECT u.email || ' ' || to_char(make_date(c.year, c.month, 1), 'YYYY-MM')
    FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
    WHERE c."paymentStatus" IN ('PROCESSING', 'PAID')
      AND NOT EXISTS (SELECT FROM ibctl.commission_state s WHERE s.id = c.id)
      AND (CAST(:year AS int) IS NULL OR (c.year, c.month) = (:year, :month))
      AND (CAST(:ib AS text) IS NULL OR c."userId" = :ib)
    ORDER BY c.year DESC, c.month DESC, u.email
    """
)
_TAKEN_BACK = sa.text(
    """
    SELECT "leadId" FROM ibctl.adjustment WHERE kind = 'clawback' AND "sourceYear" = :year AND "sourceMonth" = :month
    """
)


# How many IBs' months are held in memory at once.
BATCH = 500
# How many inputs that moved the reason of a true-up names.
NAMED = 3


def final_months(session: Session) -> list[Month]:
    """Return the months that are closed, or have rows that are being paid or paid, the newest first."""
    return [Month(*row) for row in session.execute(_FINAL)]


def unmade(session: Session, month: Month | None, *, ib: str | None = None) -> list[str]:
    """Name the settled commissions, of all months without one, that ibctl did not calculate, like "ib@x.y 2025-10".

    What they were made of is not known, so nobody can say what has moved since.
    """
    values = {"year": month and month.year, "month": month and month.month, "ib": ib}
    return list(session.scalars(_UNMADE, values))


def drift(session: Session, month: Month, *, ib: str | None = None) -> Iterator[Drift]:
    """Yield the IBs whose month earns something else today and of whom that is not booked yet, by email.

    What has moved of them is in memory for a few at once: of a month that was restated, that is every spend day.
    Raises RequestError, before the first, where an input of today is no amount or has no rate, or the month was
    calculated in another currency or zone.
    """
    units.require(session, month, ib=ib)
    values = {**service.draft_parameters(month, ib=ib), "closed": seals.closed(session, month) is not None}
    session.execute(sql.PLAN_FOR_SETS)
    rows = [row for row in session.execute(_DRIFT, values).mappings() if row["now"] - row["then"] != row["booked"]]
    _require_sound(month, [row["email"] for row in rows if row["unsound"]])
    by_user = {row["userId"]: row for row in sorted(rows, key=lambda row: row["email"])}
    taken_back = frozenset(session.scalars(_TAKEN_BACK, values))
    each = changes(session, month, {user: row["snapshot"] for user, row in by_user.items()})
    while some := [(user, _unbooked(inputs, taken_back)) for user, inputs in islice(each, BATCH)]:
        by = causes(session, (one for _, inputs in some for one in inputs))
        yield from (_drift(month, by_user[user], inputs, by) for user, inputs in some)


def _require_sound(month: Month, unsound: Sequence[str]) -> None:
    if unsound:
        raise RequestError(
            f"{month} of {', '.join(unsound[:5])} cannot be derived from the data of today: an amount or an exchange "
            f"rate is missing; `ibctl commissions rates import` brings rates"
        )


def today(session: Session, month: Month, ib: User) -> Snapshot | None:
    """Return what an IB's month would be made of today, at the terms it was calculated by; None: of nothing.

    Raises RequestError where an input of today is no amount or has no rate.
    """
    units.require(session, month, ib=ib.id)
    values = {**service.draft_parameters(month, ib=ib.id), "users": [ib.id]}
    row = session.execute(_TODAY, values).mappings().first()
    if row is None or row["userId"] is None:
        return None
    _require_sound(month, [ib.email] if row["bad_leads"] + row["bad_days"] + row["unrated"] else [])
    return snapshots.snapshot(row)


def _unbooked(found: Sequence[Moved], taken_back: Collection[str]) -> Sequence[Moved]:
    """Return what moved without adjustments, and without what clawbacks have booked, unless there is nothing else."""
    inputs = [one for one in found if one.what != "adjustment"]
    return [one for one in inputs if one.id not in taken_back] or inputs


def _drift(month: Month, row: sa.RowMapping, found: Sequence[Moved], by: Mapping[str, tuple[int, str]]) -> Drift:
    newest_first = sorted({by[one.id] for one in found}, reverse=True)
    return Drift(
        row["userId"], row["email"], month, row["status"], row["then"], row["now"], row["booked"], found,
        [words for _, words in newest_first],
    )  # fmt: skip


def changes(session: Session, month: Month, kept: Mapping[str, str | None]) -> Iterator[tuple[str, list[Moved]]]:
    """Yield for each IB's id in `kept`, in order, what of its month is another input today than in the snapshot there.

    None names no snapshot: everything is new. The data of today are read once for all of them.
    """
    why = snapshots.reasons(session, month)
    for rows in _today(session, month, list(kept)) if kept else ():
        gone = [row["asked"] for row in rows if row["userId"] is None]
        roles = ibs.roles(session, month, gone) if gone else {}
        then = _inputs(session, [kept[row["asked"]] for row in rows])
        for row, before in zip(rows, then, strict=True):
            user = row["asked"]
            after = (
                rules.Inputs(role=roles[user]) if user in roles else snapshots.told(snapshots.snapshot(row).inputs, why)
            )
            yield user, moved.moved(user, _told(before, why, role=after.role), after)


def _told(before: rules.Inputs | None, why: Mapping[str, str], *, role: str) -> rules.Inputs:
    return rules.Inputs(role=role) if before is None else snapshots.told(before, why)


def _today(session: Session, month: Month, users: list[str]) -> Iterator[Sequence[sa.RowMapping]]:
    values = {**service.draft_parameters(month, ib=users[0] if len(users) == 1 else None), "users": users}
    streamed = {"stream_results": True, "yield_per": BATCH}
    with session.execute(_TODAY, values, execution_options=streamed) as found:
        # The size that the statement streams by does not hold for mappings: without one they come all at once.
        yield from found.mappings().partitions(BATCH)


def _inputs(session: Session, snapshot_ids: Sequence[str | None]) -> Iterator[rules.Inputs | None]:
    kept = snapshots.by_ids(session, [one for one in snapshot_ids if one])
    return (kept[one].inputs if one else None for one in snapshot_ids)


# A lead that was taken back counts no more: that is written in an adjustment. Of an account's changes, only those of
# its role.
_CAUSES = sa.text(
    """
    SELECT DISTINCT ON (i.id) i.id, s.id AS number, s.actor, s.command
    FROM (
      SELECT id, id AS row FROM unnest(CAST(:ids AS text[])) AS i (id)
      UNION ALL SELECT "leadId", id FROM ibctl.adjustment WHERE kind = 'clawback' AND "leadId" = ANY(:ids)
    ) i LEFT JOIN ibctl.change c ON c."rowId" = i.row
      AND (c."tableName" IN ('Lead', 'FacebookAdAccount', 'AdSpendHistory', 'exchange_rate', 'adjustment')
        OR c."tableName" = 'User' AND EXISTS (
          SELECT FROM ibctl.change_image o WHERE o."changeSetId" = c."changeSetId" AND o.step = c.step
            AND o."tableName" = 'User' AND o."rowId" = c."rowId" AND o."before"->>'role' <> o."after"->>'role'))
    LEFT JOIN ibctl.change_set s ON s.id = c."changeSetId" ORDER BY i.id, c."changeSetId" DESC NULLS LAST
    """
)


_GLOBAL_OPTIONS = re.compile(r"^ibctl(?: --no-color| --env-file(?:=| )(?:'[^']*'|\S)+)+")


def causes(session: Session, found: Iterable[Moved]) -> Mapping[str, tuple[int, str]]:
    """Say of each input by its id what wrote it last: the number of the change set, and words for it.

    What ibctl did not write has the number 0. All are looked up at once: one by one, a month would take minutes.
    """
    ids_ = list({one.id for one in found})
    # For a handful the index of changes, for many a join over all of them.
    session.execute(sql.PLAN_FREELY)
    return {row.id: _cause(row) for row in session.execute(_CAUSES, {"ids": ids_})}


def _cause(row: Any) -> tuple[int, str]:
    if row.number is None:
        return 0, "written outside ibctl"
    # Without options: the global ones come before the command.
    command = _GLOBAL_OPTIONS.sub("ibctl", row.command).partition(" --")[0]
    return row.number, f"change set {row.number} ({row.actor}: {command})"


# -------------------------------------------------------------------------------------------------------------- true-up

_TARGETS = sa.text(f"""SELECT "userId", number FROM ({carrying.TARGET}) t WHERE "userId" = ANY(:users)""")
# What the month is made of now is kept, so that what moves later is held against that.
_BOOK = sa.text(
    f"""
    WITH b AS MATERIALIZED (
      SELECT * FROM unnest(CAST(:ids AS text[]), CAST(:users AS text[]), CAST(:numbers AS int[]),
        CAST(:amounts AS numeric[]), CAST(:reasons AS text[])) AS b (id, "userId", number, amount, reason)
    ), kept AS (
      INSERT INTO ibctl.commission_snapshot (id, "commissionId", "userId", year, month, "createdAt", "changeSetId",
        {sql.columns(sql.KEPT, "")})
      SELECT gen_random_uuid(), b.id, b."userId", :year, :month, :now, :change_set, {sql.columns(sql.KEPT)}
      FROM ({draft_sql.whole(draft_sql.AS_STORED)}) d JOIN b USING ("userId") RETURNING id, "userId"
    ), made AS MATERIALIZED (
      SELECT n."userId", jsonb_build_object('plan', n.plan->'name', 'version', n.plan->'version') AS terms
      FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
      JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
      WHERE c.year = :year AND c.month = :month
    )
    INSERT INTO ibctl.adjustment (id, "userId", year, month, kind, amount, currency, reason, "sourceYear",
      "sourceMonth", terms, "snapshotId", actor, "createdAt")
    SELECT b.id, b."userId", number / 12, number % 12 + 1, 'true-up', amount, :currency, reason, :year, :month,
      made.terms, kept.id, :actor, :now
    FROM b LEFT JOIN kept USING ("userId") LEFT JOIN made USING ("userId")
    """
)


@dataclass(frozen=True, slots=True)
class TrueUp:
    """A difference in what `month` earns, in the base currency, that was booked into another: `booked`."""

    user_id: str
    email: str
    month: Month
    difference: Decimal
    booked: Month
    reason: str


def true_up(session: db.Transaction, month: Month) -> list[TrueUp]:
    """Book what a closed or paid month would be different today into an open month of each IB.

    Booked twice it is not: what has been booked is no difference any more. Rows in a payout under way wait for its end,
    for a cancelled one is simply calculated again.
    """
    db.lock(session, seals.LOCK)
    is_closed = seals.closed(session, month) is not None
    differing = (one for one in drift(session, month) if is_closed or one.status == "PAID")
    found = [replace(one, moved=one.moved[:NAMED], causes=()) for one in differing]
    targets = _targets(session, month, [one.user_id for one in found])
    booked = [_true_up(one, targets[one.user_id]) for one in found]
    session.execute(sql.PLAN_FOR_SETS)
    session.execute(_BOOK, {**_bookings(month, booked), "change_set": session.change_set_id})
    return booked


def _targets(session: Session, month: Month, users: Sequence[str]) -> dict[str, Month]:
    start = carrying.number(carrying.first_open(session, month.next))
    rows = session.execute(_TARGETS, {"start": start, "users": list(users)})
    return {row.userId: Month(row.number // 12, row.number % 12 + 1) for row in rows}


def _bookings(month: Month, booked: Sequence[TrueUp]) -> dict[str, Any]:
    settings = config.settings()
    return {
        **service.draft_parameters(month), "currency": settings.base_currency, "actor": settings.actor,
        "now": clock.now(), "ids": list(ids.cuids(len(booked))), "users": [one.user_id for one in booked],
        "numbers": [carrying.number(one.booked) for one in booked],
        "amounts": [one.difference for one in booked], "reasons": [one.reason for one in booked],
    }  # fmt: skip


def _true_up(one: Drift, into: Month) -> TrueUp:
    before = f", of which {one.booked:,} was booked before" if one.booked else ""
    because = "; ".join(part.in_words for part in one.moved[:NAMED]) or "its inputs were corrected"
    reason = f"{one.month} earns {one.now:,} instead of {one.then:,}{before}: {because}"
    return TrueUp(one.user_id, one.email, one.month, one.difference, into, reason)
