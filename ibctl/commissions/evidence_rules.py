"""What a movement of money proves about a payment. Plain values only.

A payment is paid when what has left for it, less what has come back, is exactly what is due, in its currency. All else
is a finding:

    unmatched   a payout that no payment of the batch is named by, or one of an amount that is due but without a name
    short       less has left than is due
    over        more has left than is due
    double      money has left once more for a payment that was settled
    returned    money came back
    currency    it left in another currency than is due
    cancelled   money has left for a payment that was cancelled
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from ibctl.commissions.bank_files import Movement
from ibctl.commissions.payout_rules import REFERENCE

# Banks break lines in the middle of a word, and number the parts (?20, ?21).
_BREAKS = re.compile(r"\?\d\d|\s")


@dataclass
class Due:
    """A payment of the batch: what is due, and what has left for it so far, less what came back."""

    id: str
    reference: str
    amount: Decimal
    currency: str
    status: str
    sent: Decimal = Decimal(0)
    paid_on: date | None = None

    @property
    def settled(self) -> bool:
        """Whether exactly what is due has left."""
        return self.sent == self.amount


@dataclass(frozen=True)
class Judged:
    """A movement, the payment that it belongs to, and what was wrong with it when it was taken."""

    id: str
    movement: Movement
    due: Due | None
    finding: str | None

    @property
    def is_open(self) -> bool:
        """Whether the finding still stands: a short payment may have been made up for, a double one returned."""
        if self.finding is None or self.due is None or self.finding == "currency":
            return self.finding is not None
        return not (self.due.sent == 0 if self.due.status == "CANCELLED" else self.due.settled)


def references(movement: Movement) -> list[str]:
    """Return what looks like a payment's reference in a movement's texts, the most likely first."""
    found = [match[0] for text in movement.texts for match in REFERENCE.finditer(text.upper())]
    found += [match[0] for text in movement.texts for match in REFERENCE.finditer(_BREAKS.sub("", text.upper()))]
    return list(dict.fromkeys(found))


def identified(batch: str, movements: Iterable[Movement]) -> Iterator[tuple[str, Movement]]:
    """Give each movement an id made of what it is, the same from whichever file; of equal ones, each its own."""
    seen: Counter[tuple[object, ...]] = Counter()
    for movement in movements:
        names = movement.bank_reference or "", *references(movement)[:1]
        key = (movement.direction, movement.booked_on, movement.amount.normalize(), movement.currency, *names)
        seen[key] += 1
        parts = "\x1f".join(map(str, (batch, *key, seen[key])))
        yield hashlib.sha256(parts.encode()).hexdigest()[:32], movement


def belongs(movement: Movement, dues: Mapping[str, Due]) -> Due | None:
    """Return the payment that a movement names; None when it names none, or several."""
    named = [dues[reference] for reference in references(movement) if reference in dues]
    return named[0] if len(named) == 1 else None


def is_ours(movement: Movement, dues: Mapping[str, Due], elsewhere: Collection[str]) -> bool:
    """Say whether a movement that names no payment of the batch is to be explained nevertheless.

    One of another batch is not; nor is, in a bank's statement, what merely passes through the account.
    """
    named = references(movement)
    if any(reference in elsewhere for reference in named):
        return False
    return movement.listed or bool(named) or _could_be(movement, dues.values())


def _could_be(movement: Movement, dues: Iterable[Due]) -> bool:
    return movement.direction == "debit" and any(
        due.status == "PROCESSING" and (due.amount, due.currency) == (movement.amount, movement.currency)
        for due in dues
    )


def judge(
    movements: Sequence[tuple[str, Movement]], dues: Mapping[str, Due], elsewhere: Collection[str]
) -> Iterator[Judged]:
    """Weigh movements one after the other; `dues` (by reference) take up what has been sent.

    `elsewhere` are the references of other batches. What does not concern the batch is passed over.
    """
    for number, movement in movements:
        due = belongs(movement, dues)
        if due is not None:
            yield Judged(number, movement, due, _weigh(movement, due))
        elif is_ours(movement, dues, elsewhere):
            yield Judged(number, movement, None, "unmatched")


def _weigh(movement: Movement, due: Due) -> str | None:
    if movement.currency != due.currency:
        return "currency"
    was_settled = due.settled
    due.sent += movement.amount if movement.direction == "debit" else -movement.amount
    if due.settled:
        # Also by the rest of a short payment, and by what is made again after it came back.
        due.paid_on = movement.booked_on
    if movement.direction == "credit":
        return "returned"
    if due.status == "CANCELLED":
        return "cancelled"
    if due.settled:
        return None
    return "double" if was_settled else "short" if due.sent < due.amount else "over"


def explain(one: Judged) -> str:
    """Say in words what is wrong with a movement, and what to do; nothing where nothing is, any more."""
    if not one.is_open:
        return "settled since" if one.finding else ""
    due = one.due
    if due is None:
        return "names no single payment of the batch: find out whom it was for"
    return {
        "short": f"{due.amount - due.sent:f} {due.currency} are missing: pay the rest under the same reference",
        "over": f"{due.sent - due.amount:f} {due.currency} too much: have it returned",
        "double": "was settled before: have it returned",
        "returned": "the money came back: pay again under the same reference, or cancel the payment",
        "currency": f"{due.amount:f} {due.currency} are due",
        "cancelled": "the payment was cancelled: have it returned, or it is paid twice",
    }[str(one.finding)]
