"""Closes months and opens them again. A closed month's figures are final, and what it does not pay is carried on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, select

from ibctl import clock, config, db, months
from ibctl.commissions import seals, units
from ibctl.commissions.calculation import rules, service, snapshots
from ibctl.commissions.calculation.former import Former
from ibctl.commissions.months import carrying
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.commissions import ClosedMonth
from ibctl.models.platform import Role, User
from ibctl.months import Month

# Hours after which what is known of an MT5 account is old.
STALE_HOURS = 48


@dataclass(frozen=True)
class Report:
    """How sure a month is before it is closed; money in the base currency.

    `certain` is what can be paid out whatever becomes of the provisional spend days and of the leads whose MT5 accounts
    have not been read of late; `total` is the payout as calculated, held rows included.
    """

    month: Month
    ibs: int
    total: Decimal
    certain: Decimal
    held: int
    held_sum: Decimal
    settled: int
    carried: Decimal
    written_off: Decimal
    former: Sequence[Former]
    days: int
    provisional_days: int
    expired_tokens: int
    stale_accounts: int
    digest: str

    @property
    def as_json(self) -> dict[str, Any]:
        """The totals as a closed month keeps them."""
        return {
            "ibs": self.ibs, "totalPayout": str(self.total), "certain": str(self.certain), "held": self.held,
            "heldSum": str(self.held_sum), "settled": self.settled, "carriedOut": str(self.carried),
            "writtenOff": str(self.written_off), "spendDays": self.days, "provisionalDays": self.provisional_days,
            "expiredTokens": self.expired_tokens, "staleAccounts": self.stale_accounts,
        }  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- close


def prepare(session: db.Transaction, month: Month) -> Report:
    """Bring a month up to date, and say how sure it is.

    Raises RequestError when it is not over, closed already, was calculated in another currency or zone, or an earlier
    or later month stands in the way.
    """
    db.lock(session, seals.LOCK)
    _require_closable(session, month)
    units.require(session, month)
    result = service.run(session, month)
    return _report(session, month, result.former)


def close(session: db.Transaction, month: Month, *, digest: str, reason: str | None) -> tuple[Report, Decimal]:
    """Close a month as `prepare` showed it, `digest` being that report's; return the report and what was carried on.

    Raises RequestError when the month has changed since.
    """
    report = prepare(session, month)
    if report.digest != digest:
        raise RequestError(f"{month} has changed since it was shown: look at it again; nothing was closed")
    carried = carrying.carry(session, month)
    session.add(
        ClosedMonth(
            id=str(month), year=month.year, month=month.month, closed_by=config.settings().actor, reason=reason,
            administrators=_administrators(session), totals=report.as_json, digest=report.digest,
            change_set_id=session.change_set_id, closed_at=clock.now(),
        )
    )  # fmt: skip
    session.flush()
    return report, carried


def _administrators(session: Session) -> list[str]:
    return list(session.exec(select(User.id).where(User.role != Role.IB).order_by(User.id)))


# The months up to one that are not closed, and in which something waits for that: a commission that is neither being
# paid nor paid, a balance to carry on, or a sum that was booked for an IB without one.
_WAITING = sa.text(
    """
    SELECT year, month FROM (
      SELECT c.year, c.month FROM "IbCommission" c WHERE c."paymentStatus" IN ('PENDING', 'HELD')
      UNION SELECT n.year, n.month FROM ibctl.commission_snapshot n
        JOIN ibctl.commission_state s ON s.id = n."commissionId" AND s."snapshotId" = n.id
        WHERE CAST(n.figures->>'carriedOut' AS numeric) <> 0
      UNION SELECT a.year, a.month FROM ibctl.adjustment a WHERE NOT EXISTS (
        SELECT FROM "IbCommission" c WHERE c."userId" = a."userId" AND c.year = a.year AND c.month = a.month)
    ) w
    WHERE (year, month) <= (:year, :month)
      AND NOT EXISTS (SELECT FROM ibctl.closed_month k WHERE k.year = w.year AND k.month = w.month)
    ORDER BY 1, 2
    """
)


_CALCULATED = sa.text('SELECT EXISTS (SELECT FROM "IbCommission" WHERE year = :year AND month = :month)')


def _require_closable(session: Session, month: Month) -> None:
    zone = config.settings().timezone
    if month >= months.current(zone):
        raise RequestError(f"{month} is not over yet in {zone.key}: it can be closed from {month.next.first_day} on")
    found = seals.closed(session, month)
    if found is not None:
        raise RequestError(f"{month} was closed on {found.closed_at:%Y-%m-%d} by {found.closed_by} already")
    _require_next(session, month)


def _require_next(session: Session, month: Month) -> None:
    """Refuse a month that is not the next one. Without a gap, what one carries on is in the month that is closed next.

    A month before the last closed one can still be closed when there is something in it; what that carries on goes into
    the month after the last closed one.
    """
    values = {"year": month.year, "month": month.month}
    waiting = [Month(*row) for row in session.execute(_WAITING, values)]
    following = seals.following(session)
    first = min([month, *waiting, *([following] if following else [])])
    if first < month:
        raise RequestError(
            f"close {first} first: months are closed one after the other, so that a balance always finds the next one"
        )
    late = following is not None and month < following
    if late and month not in waiting and not session.execute(_CALCULATED, values).scalar_one():
        last = seals.last_closed(session)
        raise RequestError(
            f"{last} is closed, and months are closed in their order: an earlier one only when there is something in "
            f"it, and there is nothing in {month}. What came late for it is calculated by "
            f"`ibctl commissions run --month {month}`; then it can be closed"
        )


# The ids of the spend days that are not final, and of the leads whose MT5 accounts have not been read of late.
_DOUBTS = sa.text(
    """
    WITH made AS MATERIALIZED (
      SELECT c."paymentStatus", n.* FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
      JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
      WHERE c.year = :year AND c.month = :month
    ), provisional AS MATERIALIZED (
      SELECT n.id, array_agg(d.id) AS days FROM made n
      CROSS JOIN LATERAL unnest(n."dayIds", n."dayDates") WITH ORDINALITY AS d (id, date, number)
      JOIN LATERAL (
        SELECT one->>'id' AS id, sum(CAST(one->>'days' AS int)) OVER (ORDER BY number) AS through,
          CAST(one->>'days' AS int) AS days
        FROM jsonb_array_elements(n.inputs->'accounts') WITH ORDINALITY AS e (one, number)
      ) of ON d.number > of.through - of.days AND d.number <= of.through
      LEFT JOIN ibctl.ad_account_state a ON a.id = of.id
      WHERE (d.date BETWEEN a."firstDay" AND a."finalThrough") IS NOT TRUE GROUP BY 1
    ), stale AS MATERIALIZED (
      SELECT n.id, array_agg(DISTINCT i."leadId") AS leads FROM made n
      CROSS JOIN LATERAL unnest(n."leadIds") AS l (id) JOIN "InvestorCredential" i ON i."leadId" = l.id
      WHERE (i."lastScrapedAt" > :fresh) IS NOT TRUE GROUP BY 1
    )
    SELECT n.*, coalesce(provisional.days, '{}') AS provisional, coalesce(stale.leads, '{}') AS stale
    FROM made n LEFT JOIN provisional ON provisional.id = n.id LEFT JOIN stale ON stale.id = n.id
    """
)
_DIGEST = sa.text(
    """
    SELECT encode(sha256(convert_to(
      coalesce(string_agg(n.digest || c."paymentStatus", '' ORDER BY n."userId" COLLATE "C"), ''), 'UTF8')), 'hex')
    FROM "IbCommission" c
    JOIN ibctl.commission_state s ON s.id = c.id
    JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" AND n.year = :year AND n.month = :month
    WHERE c.year = :year AND c.month = :month
    """
)
_TOKENS = sa.text(
    """
    SELECT count(*) FROM "FacebookAdAccount" a WHERE a."tokenExpiresAt" < :now AND EXISTS (
      SELECT FROM "AdSpendHistory" h WHERE h."adAccountId" = a.id AND h.date >= :first AND h.date < :next)
    """
)


def _report(session: Session, month: Month, gone: Sequence[Former]) -> Report:
    now = clock.now()
    values = {
        "year": month.year, "month": month.month, "now": now, "first": month.first_day, "next": month.next.first_day,
        "fresh": now - timedelta(hours=STALE_HOURS),
    }  # fmt: skip
    sums = _Sums()
    with session.execute(_DOUBTS, values, execution_options={"stream_results": True, "yield_per": 500}) as found:
        for row in found.mappings():
            sums.add(row)
    return Report(
        month=month, former=gone, digest=session.execute(_DIGEST, values).scalar_one(),
        expired_tokens=session.execute(_TOKENS, values).scalar_one(), **vars(sums),
    )  # fmt: skip


class _Sums:
    """Adds up a month row by row."""

    def __init__(self) -> None:
        self.ibs = self.held = self.settled = self.days = self.provisional_days = self.stale_accounts = 0
        self.total = self.certain = self.held_sum = self.carried = self.written_off = rules.ZERO

    def add(self, row: sa.RowMapping) -> None:
        """Count one row."""
        figures, status = {name: Decimal(value) for name, value in row["figures"].items()}, row["paymentStatus"]
        paid = figures["totalPayout"]
        self.ibs += 1
        self.days += len(row["dayIds"])
        self.provisional_days += len(row["provisional"])
        self.stale_accounts += len(row["stale"])
        if status in rules.SEALED:
            self.settled += 1
            self.carried += figures["carriedOut"]
            return
        self.total += paid
        if status == "HELD":
            self.held, self.held_sum = self.held + 1, self.held_sum + paid
            return
        self.carried += figures["carriedOut"]
        self.written_off += figures["writtenOff"]
        self.certain += min(paid, _without_doubts(row))


def _without_doubts(row: sa.RowMapping) -> Decimal:
    """Return what an IB would be paid without the spend days and leads that may still change."""
    snapshot = snapshots.snapshot(row)
    if not row["provisional"] and not row["stale"]:
        return snapshot.figures["totalPayout"]
    inputs = rules.without(snapshot.inputs, days=set(row["provisional"]), leads=set(row["stale"]))
    return Decimal(rules.figures(snapshot.terms, inputs)["totalPayout"])


# --------------------------------------------------------------------------------------------------------------- reopen

_SETTLED = sa.text(
    """
    SELECT u.email, to_char(make_date(c.year, c.month, 1), 'YYYY-MM') AS month, c."paymentStatus" AS status
    FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
    WHERE c."paymentStatus" IN ('PROCESSING', 'PAID') AND (c.year = :year AND c.month = :month OR EXISTS (
      SELECT FROM ibctl.adjustment a WHERE a."userId" = c."userId" AND a.year = c.year AND a.month = c.month
        AND a."sourceYear" = :year AND a."sourceMonth" = :month))
    ORDER BY 1 LIMIT 1
    """
)
# What the month itself calculates again once it is open.
_UNBOOK = sa.text(
    """
    DELETE FROM ibctl.adjustment WHERE "sourceYear" = :year AND "sourceMonth" = :month AND kind IN ('carry', 'true-up')
    """
)
# The open months that have taken in what closing booked, and are to do without it.
_TAKEN_IN = sa.text(
    """
    SELECT DISTINCT c.year, c.month FROM ibctl.adjustment a
    JOIN "IbCommission" c ON c."userId" = a."userId" AND c.year = a.year AND c.month = a.month
    WHERE a."sourceYear" = :year AND a."sourceMonth" = :month AND a.kind IN ('carry', 'true-up', 'clawback')
      AND c."paymentStatus" IN ('PENDING', 'HELD')
    ORDER BY 1, 2
    """
)
# A lead that was taken back is simply not counted in an open month.
_RETURN = sa.text(
    """
    UPDATE ibctl.adjustment SET amount = 0, year = "sourceYear", month = "sourceMonth"
    WHERE "sourceYear" = :year AND "sourceMonth" = :month AND kind = 'clawback' AND amount <> 0
    """
)


_BOOKED = sa.text(
    """
    SELECT count(*) AS count, coalesce(sum(amount) FILTER (WHERE amount > 0), 0.00) AS added,
      coalesce(sum(amount) FILTER (WHERE amount < 0), 0.00) AS taken
    FROM ibctl.adjustment
    WHERE "sourceYear" = :year AND "sourceMonth" = :month
      AND (kind IN ('carry', 'true-up') OR kind = 'clawback' AND amount <> 0)
    """
)


@dataclass(frozen=True)
class Reopened:
    """How many adjustments about a month were taken back: those above zero came to `added`, the others to `taken`.

    `former` are those whom the months that had taken them in, calculated again, do not pay any more.
    """

    count: int
    added: Decimal
    taken: Decimal
    former: Sequence[Former] = ()


def reopen(session: db.Transaction, month: Month) -> Reopened:
    """Open a closed month again, and take back what closing it booked, and what was booked about it since.

    Raises RequestError when a later month is closed, or anything of it is being paid or paid.
    """
    db.lock(session, seals.LOCK)
    found = seals.closed(session, month)
    if found is None:
        raise NotFoundError(f"{month} is not closed")
    last = seals.last_closed(session)
    if last is not None and last != month:
        raise RequestError(f"{last} is closed too: reopen that first")
    units.require(session, month)
    values = {"year": month.year, "month": month.month}
    settled = session.execute(_SETTLED, values).mappings().first()
    if settled is not None:
        raise RequestError(_cannot_reopen(month, settled))
    taken_in = [Month(row.year, row.month) for row in session.execute(_TAKEN_IN, values)]
    count, added, taken = session.execute(_BOOKED, values).one()
    session.execute(_UNBOOK, values)
    session.execute(_RETURN, values)
    session.delete(found)
    session.flush()
    return Reopened(count, added, taken, [*_calculated_again(session, taken_in)])


def _calculated_again(session: db.Transaction, taken_in: Sequence[Month]) -> Iterator[Former]:
    for month in taken_in:
        # A month under way is left to the next run: its rates may not be there yet.
        if month < months.current(config.settings().timezone):
            units.require(session, month)
            yield from service.run(session, month).former


def _cannot_reopen(month: Month, settled: sa.RowMapping) -> str:
    return (
        f"{month} cannot be opened again: the commission of {settled['email']} for {settled['month']} is "
        f"{settled['status']}. `ibctl commissions true-up {month}` books what is different today"
    )
