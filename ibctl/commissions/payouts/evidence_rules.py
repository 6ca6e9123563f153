"""What a movement of money proves about a payment. Plain values only.

A payment is paid when what has left for it, less what has come back, is exactly what is due, in its currency. Movements
count in the order of their days, whichever file told of them first; what comes back when nothing was seen leaving
counts nothing, since no more can come back than has left. All else than what is due is a finding:

    unmatched   a payout that no payment of the batch is named by, or several are, of whichever batch; or one of an
                amount that is due but without a name
    early       dated before the batch's month was over, when nothing can have left for it; it counts nothing
    short       less has left than is due
    over        more has left than is due
    double      money has left once more for a payment that was settled
    returned    money came back
    repeated    another file told of the same return: it counts nothing (`evidence_repeats`)
    unseen      money came back of which nothing, or less, was seen leaving
    turned      the same, told by the sign of an amount alone: it may have left. The payment waits until that is clear
    currency    it left in another currency than is due
    cancelled   money has left for a payment that was cancelled
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ibctl import currencies
from ibctl.commissions.payouts.bank_files import Movement
from ibctl.commissions.payouts.rules import REFERENCE

# Banks break lines in the middle of a word, and number the parts (?20, ?21).
_BREAKS = re.compile(r"\?\d\d|\s")


# A file's movements by the payment that they belong to, as its reference.
Told = Mapping[str, Sequence[Movement]]


@dataclass(frozen=True)
class Taken:
    """A movement as it counts for a payment: its amount is above zero when money left.

    `doubtful`: that it came back is told by a sign alone. The others are kept evidence's own, None for a new one.
    """

    day: date
    amount: Decimal
    doubtful: bool = False
    bank_reference: str | None = None
    file: str | None = None
    sha256: str | None = None
    change_set: int | None = None


@dataclass(frozen=True)
class Net:
    """What movements come to: what is out, how much came back that was not seen leaving, and whether a sign may err."""

    sent: Decimal
    unseen: Decimal
    doubtful: bool


def net(taken: Iterable[Taken]) -> Net:
    """Count movements of one currency in the order of their days, of one day what left first; never below zero."""
    sent = unseen = Decimal(0)
    doubtful = False
    for one in sorted(taken, key=lambda each: (each.day, each.amount < 0)):
        sent += one.amount
        if sent < 0:
            sent, unseen, doubtful = Decimal(0), unseen - sent, doubtful or one.doubtful
    return Net(sent, unseen, doubtful)


@dataclass
class Due:
    """A payment of the batch: what is due, and what was taken as evidence for it, by currency."""

    id: str
    reference: str
    amount: Decimal
    currency: str
    status: str
    taken: dict[str, list[Taken]] = field(default_factory=dict)

    def take(self, currency: str, one: Taken) -> None:
        """Count a movement."""
        self.taken.setdefault(currency, []).append(one)

    def net(self, currency: str) -> Net:
        """What its movements in a currency come to."""
        return net(self.taken.get(currency, ()))

    @property
    def sent(self) -> Decimal:
        """What has left in its own currency, less what came back."""
        return self.net(self.currency).sent

    @property
    def settled(self) -> bool:
        """Whether exactly what is due has left."""
        return self.sent == self.amount

    @property
    def proven(self) -> bool:
        """Whether it is settled, and by nothing whose sign may err."""
        return self.settled and not self.net(self.currency).doubtful

    @property
    def at_rest(self) -> bool:
        """Whether nothing is to be done about its own currency: all has left, or of a cancelled payment nothing."""
        return self.sent == 0 if self.status == "CANCELLED" else self.proven

    @property
    def paid_on(self) -> date:
        """The day of the last movement: of a settled payment, the one that settled it."""
        return max(one.day for one in self.taken[self.currency])


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
        if self.finding is None or self.due is None:
            return self.finding is not None
        if self.movement.currency != self.due.currency and self.due.net(self.movement.currency).sent:
            return True
        return not self.due.at_rest


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


@dataclass(frozen=True)
class Payments:
    """What movements are held against: a batch's payments by reference, `dues`, and the references of other batches.

    Before the day `since` nothing can have left for the batch: its month was not over.
    """

    dues: Mapping[str, Due]
    elsewhere: Collection[str]
    since: date


def belongs(movement: Movement, payments: Payments) -> Due | None:
    """Return the payment that a movement proves something about; None when it names none, or several, of any batch.

    One that is dated before anything can have left proves nothing.
    """
    named = references(movement)
    found = [payments.dues[reference] for reference in named if reference in payments.dues]
    alone = len(found) == 1 and not any(reference in payments.elsewhere for reference in named)
    return found[0] if alone and movement.booked_on >= payments.since else None


def told(movements: Iterable[Movement], payments: Payments) -> Told:
    """Return what a file tells of each payment of a batch."""
    found: dict[str, list[Movement]] = {}
    for movement in movements:
        due = belongs(movement, payments)
        if due is not None:
            found.setdefault(due.reference, []).append(movement)
    return found


def _astray(movement: Movement, payments: Payments) -> str | None:
    """Return the finding of a movement that belongs to no payment; None where nobody has to explain it.

    That is one of another batch and, in a bank's statement, what merely passes through the account.
    """
    named = references(movement)
    early = movement.booked_on < payments.since
    if any(reference in payments.dues for reference in named):
        return "early" if early else "unmatched"
    if any(reference in payments.elsewhere for reference in named):
        return None
    could_be = not early and _could_be(movement, payments.dues.values())
    return "unmatched" if movement.listed or named or could_be else None


def _could_be(movement: Movement, dues: Iterable[Due]) -> bool:
    return movement.direction == "debit" and any(
        due.status == "PROCESSING" and (due.amount, due.currency) == (movement.amount, movement.currency)
        for due in dues
    )


def judge(movements: Iterable[tuple[str, Movement]], payments: Payments, repeated: Collection[str]) -> Iterator[Judged]:
    """Weigh the new movements of a file in the order of their days; the payments take them up, except the `repeated`.

    What does not concern the batch is passed over.
    """
    for number, movement in sorted(movements, key=lambda each: (each[1].booked_on, each[1].direction == "credit")):
        due = belongs(movement, payments)
        if number in repeated:
            yield Judged(number, movement, None, "repeated")
            continue
        finding = _astray(movement, payments) if due is None else _weigh(movement, due)
        if due is not None or finding is not None:
            yield Judged(number, movement, due, finding)


def taken(movement: Movement) -> Taken:
    """Return a new movement as it counts."""
    left = movement.direction == "debit"
    amount = movement.amount if left else -movement.amount
    return Taken(movement.booked_on, amount, not left and movement.paid_is is not None, movement.bank_reference)


def _weigh(movement: Movement, due: Due) -> str | None:
    before = due.net(movement.currency)
    due.take(movement.currency, taken(movement))
    if movement.currency != due.currency:
        return "currency"
    now = due.net(due.currency)
    if now.doubtful:
        return "turned"
    if movement.direction == "credit":
        return "unseen" if now.unseen > before.unseen else "returned"
    if due.status == "CANCELLED":
        return "cancelled"
    if due.settled:
        return None
    return "double" if before.sent == due.amount else "short" if due.sent < due.amount else "over"


def explain(one: Judged) -> str:
    """Say in words what is wrong with a movement, and what to do; nothing where nothing is, any more."""
    if not one.is_open:
        return "settled since" if one.finding else ""
    due = one.due
    if one.finding == "repeated":
        return (
            "another file told of the same return, so it counts nothing: if it came back twice, `ibctl undo` this and "
            "reconcile a file that shows both"
        )
    if one.finding == "early":
        return "is dated before the month was over, so it proves nothing: find out what it is"
    if due is None:
        return "names no single payment of the batch: find out whom it was for"
    match one.finding:
        case "currency":
            return _in_another(one.movement, due)
        case "turned":
            return _turned(one.movement)
        case "cancelled":
            return "the payment was cancelled: have it returned, or it is paid twice"
        case "unseen":
            return f"money came back of which nothing was seen leaving, so it counts nothing: {_remedy(due)}"
        case "double" if due.sent > due.amount:
            return f"{_remedy(due)}, or `ibctl undo` this if another file told of the same payment"
    return _remedy(due)


def _in_another(movement: Movement, due: Due) -> str:
    out = due.net(movement.currency).sent
    back = f"have {currencies.show(out, movement.currency)} returned, " if out else ""
    return f"{back}{currencies.show(due.amount, due.currency)} are due"


def _turned(movement: Movement) -> str:
    if movement.direction == "debit" or movement.paid_is is None:
        return (
            "only the sign says that the money before came back, and it may have left: find out; where it was "
            "misread, `ibctl undo` takes that file back"
        )
    return (
        "money came back of which nothing was seen leaving: where that sign means that it left, `ibctl undo` this and "
        f"say --paid-is {movement.other_sign}; else reconcile what tells of its leaving"
    )


def _remedy(due: Due) -> str:
    """Say what has to be done so that exactly what is due has left."""
    if due.status == "CANCELLED":
        return f"{currencies.show(due.sent, due.currency)} are out for a cancelled payment: have them returned"
    if due.sent > due.amount:
        return f"{currencies.show(due.sent - due.amount, due.currency)} too much: have it returned"
    missing = currencies.show(due.amount - due.sent, due.currency)
    if due.status == "PAID":
        return (
            f"{missing} came back after it was paid: `ibctl commissions payouts export` pays them again, to the payee "
            "as it is then"
        )
    if due.sent:
        return f"{missing} are missing: pay the rest under the same reference"
    return f"{missing} are missing: pay again under the same reference, or cancel the payment"
