"""An IB's account in a month: what was owed before, what the month earned, what was paid, what is owed after.

    closing balance = opening balance + commission + bonus + adjustments + rounding + written off - payments
    opening balance = the same, over all that was before the month

What a month carries on is owed still, so it is no entry: the balances have it. A commission counts in its own month, a
payment on the day on which the bank booked it; what came back is a payment taken away. All of it is in the base
currency; a payment in another one counts with what it was made for. A commission that ibctl did not calculate counts
with its totalPayout, one that was marked as paid without evidence with its paidAt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config, currencies, money
from ibctl.commissions import seals, units
from ibctl.commissions.calculation import rules, snapshots, stored
from ibctl.commissions.calculation.rules import Line
from ibctl.commissions.calculation.snapshots import Snapshot
from ibctl.commissions.payouts.evidence_sql import MOVEMENTS, RETURNED
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.platform import User
from ibctl.months import Month

ZERO = Decimal("0.00")
# How many months the chart shows, the statement's own the last.
HISTORY = 12


@dataclass(frozen=True)
class Entry:
    """One entry of an IB's account: above zero it is owed more. `balance` is what is owed after it."""

    day: date
    # commission, bonus, adjustment, rounding, written-off, payment, returned
    kind: str
    label: str
    amount: Decimal
    balance: Decimal


@dataclass(frozen=True)
class Statement:
    """An IB's account in a month; money in `currency`, the base currency."""

    user_id: str
    email: str
    month: Month
    currency: str
    opening: Decimal
    entries: Sequence[Entry]
    # Of the month's commission; None where there is none.
    status: str | None
    payout: Decimal
    # What of a PAID payout has come back by now, whenever that was, and is not out again.
    returned: Decimal
    # From snapshot and its derivation; None where ibctl did not calculate the month.
    snapshot: Snapshot | None
    derivation: Line | None
    # The payouts of the last twelve months, this one's the last.
    history: Sequence[tuple[Month, Decimal]]

    @property
    def closing(self) -> Decimal:
        """What is owed at the month's end."""
        return self.entries[-1].balance if self.entries else self.opening

    def total(self, *kinds: str) -> Decimal:
        """What the entries of these kinds come to."""
        return sum((entry.amount for entry in self.entries if entry.kind in kinds), ZERO)

    def amount(self, value: Decimal, currency: str | None = None) -> str:
        """Write an amount, of the statement's currency if it has none of its own, with that one's decimals."""
        return currencies.digits(value, currency or self.currency)

    @property
    def notes(self) -> Iterator[str]:
        """Say what becomes of the closing balance."""
        payout = money.show(self.payout, self.currency)
        if self.status is None:
            yield f"There is no commission of {self.month}."
        elif self.payout and self.returned:
            yield f"The payout of {self.month}, {payout}, has been paid, but {self._back} came back and is owed again."
        elif self.payout and self.status in _BECOMES:
            yield f"The payout of {self.month}, {payout}, {_BECOMES[self.status]}."
        carried = self.snapshot.figures["carriedOut"] if self.snapshot else ZERO
        if carried:
            yield f"{money.show(carried, self.currency)} are carried on to a later month."

    @property
    def _back(self) -> str:
        return "all of it" if self.returned == self.payout else money.show(self.returned, self.currency)


_BECOMES = {"PENDING": "is due", "HELD": "is held for now", "PROCESSING": "is being paid out", "PAID": "has been paid"}


@dataclass(frozen=True)
class _Moved:
    """A payment, or one that came back."""

    day: date
    direction: str
    base_amount: Decimal
    label: str


# Parameters: year, month, ib (an id, or NULL for all). What a month adds to an account: all but what it carried in. The
# month's own snapshot comes along, NULL where there is none.
_EARNED = sa.text(
    f"""
    SELECT u.id AS ib, u.email, coalesce(e.opening, 0) AS opening, e.status, e.credit,
      coalesce(e.payout, 0) AS payout, coalesce(back.returned, 0) AS returned, coalesce(e.history, '[]') AS history,
      kept.*
    FROM "User" u
    JOIN (
      SELECT c."userId", sum(credit) FILTER (WHERE NOT own) AS opening, max(c.id) FILTER (WHERE own) AS commission,
        max(status) FILTER (WHERE own) AS status, max(payout) FILTER (WHERE own) AS payout,
        max(credit) FILTER (WHERE own) AS credit,
        jsonb_agg(jsonb_build_array(c.year, c.month, c.payout::text)) FILTER (WHERE recent) AS history
      FROM (
        SELECT k.id, k."userId", k.year, k.month, k."paymentStatus" AS status, k."totalPayout"::numeric AS payout,
          (k.year, k.month) = (:year, :month) AS own,
          k.year * 12 + k.month > CAST(:year AS int) * 12 + :month - :months AS recent,
          coalesce(CAST(n.figures->>'commissionAmount' AS numeric) + CAST(n.figures->>'bonusAmount' AS numeric)
            + CAST(n.figures->>'adjustments' AS numeric) + CAST(n.figures->>'rounding' AS numeric)
            + CAST(n.figures->>'writtenOff' AS numeric), k."totalPayout"::numeric) AS credit
        FROM "IbCommission" k
        LEFT JOIN (ibctl.commission_state s JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId") ON s.id = k.id
        WHERE (k.year, k.month) <= (:year, :month) AND (CAST(:ib AS text) IS NULL OR k."userId" = :ib)
      ) c GROUP BY 1
    ) e ON e."userId" = u.id
    LEFT JOIN (
      SELECT r."commissionId", sum(r.returned) AS returned
      FROM ibctl.payout_batch b JOIN LATERAL ({RETURNED}) r ON true WHERE (b.year, b.month) = (:year, :month) GROUP BY 1
    ) back ON back."commissionId" = e.commission
    LEFT JOIN (ibctl.commission_state own JOIN ibctl.commission_snapshot kept ON kept.id = own."snapshotId")
      ON own.id = e.commission
    ORDER BY u.email
    """
)
# Evidence where there is any, what it comes to rounded as a whole, so that parts of a payment add up to it; else, for
# what was marked as paid in another way, the row itself.
_PAID = sa.text(
    f"""
    SELECT "userId", day, direction, reference, method, amount, currency, rate, base
    FROM (
      SELECT "userId", day, direction, reference, method, amount, currency, rate,
        abs(round(base * sent / due, 2) - round(base * before / due, 2)) AS base
      FROM (
        SELECT i."userId", m."bookedOn" AS day, m.direction, i.reference, b.method, m.amount, m.currency, i.rate,
          i."baseAmount" AS base, i.amount AS due, m.sent, lag(m.sent, 1, CAST(0 AS numeric)) OVER (
            PARTITION BY m."itemId" ORDER BY m."bookedOn", m.direction DESC, m.id) AS before
        FROM ({MOVEMENTS}) m JOIN ibctl.payout_item i ON i.id = m."itemId" AND i.currency = m.currency
        JOIN ibctl.payout_batch b ON b.id = i."batchId"
      ) proven WHERE sent <> before
      UNION ALL
      SELECT c."userId", CAST(coalesce(c."paidAt", c."updatedAt") AT TIME ZONE 'UTC' AT TIME ZONE :zone AS date),
        'debit',
        c."paymentReference", c."paymentMethod", c."totalPayout"::numeric, CAST(:base AS text), 1,
        c."totalPayout"::numeric
      FROM "IbCommission" c
      WHERE c."paymentStatus" = 'PAID' AND NOT EXISTS (SELECT FROM ibctl.payout_item i WHERE i.claim = c.id)
    ) moved
    WHERE day < :end AND (CAST(:ib AS text) IS NULL OR "userId" = :ib)
    ORDER BY day, reference, direction DESC
    """
)


def of_ib(session: Session, ib: User, month: Month) -> Statement:
    """Return the account of one IB. Raises NotFoundError when there is nothing in it, up to the month."""
    for found in build(session, month, ib=ib.id):
        return found
    if seals.closed(session, month):
        raise NotFoundError(
            f"{month} is closed, and {ib.email} has nothing in it nor before: there is nothing to state"
        )
    raise NotFoundError(
        f"{ib.email} has no commission up to {month}, so there is nothing to state: "
        f"`ibctl commissions run --month {month}` calculates it"
    )


def build(session: Session, month: Month, *, ib: str | None = None) -> Iterator[Statement]:
    """Yield the accounts of all IBs that had a commission up to a month, or of one, in the order of their emails.

    Raises RequestError where the months were calculated in another currency than that of the settings, or a totalPayout
    is no amount.
    """
    units.require(session, month, ib=ib, before=True)
    _require_amounts(session, month, ib)
    settings = config.settings()
    values = {"year": month.year, "month": month.month, "ib": ib, "months": HISTORY}
    paid = _payments(session, {**values, "zone": settings.timezone.key, "base": settings.base_currency,
                               "end": month.next.first_day})  # fmt: skip
    why = snapshots.reasons(session, month, ib=ib)
    # In parts: the snapshots of all IBs would not fit into memory.
    streamed = {"stream_results": True, "yield_per": 500}
    with session.execute(_EARNED, values, execution_options=streamed) as found:
        for row in found.mappings():
            kept = snapshots.snapshot(row) if row["digest"] else None
            if kept is not None:
                kept = replace(kept, inputs=snapshots.told(kept.inputs, why))
            yield _statement(row, month, settings.base_currency, kept, paid.get(row["ib"], []))


def _require_amounts(session: Session, month: Month, ib: str | None) -> None:
    bad = stored.no_amounts(session, month, ib=ib, before=True)
    if bad:
        raise RequestError(
            f"what is no amount adds up to no balance: {', '.join(bad[:5])}. `ibctl commissions explain IB MONTH` says "
            "what it should be; `ibctl commissions run --month MONTH` sets it right where the month is open"
        )


def _payments(session: Session, values: Mapping[str, Any]) -> Mapping[str, list[_Moved]]:
    found: defaultdict[str, list[_Moved]] = defaultdict(list)
    for row in session.execute(_PAID, values):
        found[row.userId].append(_Moved(row.day, row.direction, row.base, _label(row)))
    return found


def _label(row: Any) -> str:
    """Name a payment: its reference and method, and what was sent where that is another currency."""
    parts = [part for part in (row.reference, row.method) if part]
    if row.rate != 1:
        parts.append(f"{currencies.show(row.amount, row.currency)} at {row.rate:f}")
    return ", ".join(parts) or "marked as paid"


def _statement(row: Any, month: Month, currency: str, snapshot: Snapshot | None, paid: Sequence[_Moved]) -> Statement:
    before = sum((_signed(one) for one in paid if one.day < month.first_day), ZERO)
    opening = row["opening"] + before
    moves = [*_credits(row, month, snapshot), *_debits(paid, month)]
    return Statement(
        user_id=row["ib"], email=row["email"], month=month, currency=currency, opening=opening,
        entries=_running(opening, moves), status=row["status"], payout=row["payout"], returned=row["returned"],
        snapshot=snapshot, derivation=rules.payout(snapshot.terms, snapshot.inputs) if snapshot else None,
        history=_history(month, row["history"]),
    )  # fmt: skip


def _signed(moved: _Moved) -> Decimal:
    return -moved.base_amount if moved.direction == "debit" else moved.base_amount


def _credits(
    row: Mapping[str, Any], month: Month, snapshot: Snapshot | None
) -> Iterator[tuple[date, str, str, Decimal]]:
    last = month.next.first_day - timedelta(days=1)
    if snapshot is None:
        if row["status"] is not None:
            yield last, "commission", "commission", row["credit"]
        return
    figures, terms = snapshot.figures, snapshot.terms
    leads = f"{figures['qualifiedLeads']} qualified leads, plan {terms.name} version {terms.version}"
    yield last, "commission", f"commission: {leads}", figures["commissionAmount"]
    if figures["bonusAmount"]:
        yield last, "bonus", "bonus on ad spend", figures["bonusAmount"]
    for one in snapshot.inputs.adjustments:
        if one.kind != "carry":
            yield last, "adjustment", one.label, one.amount
    if figures["rounding"]:
        yield last, "rounding", "rounding of the sum", figures["rounding"]
    if figures["writtenOff"]:
        yield last, "written-off", "negative balance written off", figures["writtenOff"]


def _debits(paid: Sequence[_Moved], month: Month) -> Iterator[tuple[date, str, str, Decimal]]:
    for one in paid:
        if one.day >= month.first_day:
            kind = "payment" if one.direction == "debit" else "returned"
            yield one.day, kind, f"{kind}: {one.label}", _signed(one)


def _running(opening: Decimal, moves: Sequence[tuple[date, str, str, Decimal]]) -> list[Entry]:
    balance, entries = opening, []
    # What was paid in the month was for earlier ones; what the month earned is booked at its end.
    for day, kind, label, amount in sorted(moves, key=lambda move: move[0]):
        balance += amount
        entries.append(Entry(day, kind, label, amount, balance))
    return entries


def _history(month: Month, stored: Sequence[Sequence[Any]]) -> list[tuple[Month, Decimal]]:
    payouts = {Month(year, number): Decimal(payout) for year, number, payout in stored}
    found = [month]
    while len(found) < HISTORY:
        found.insert(0, found[0].previous)
    return [(one, payouts.get(one, ZERO)) for one in found]
