"""Which returns more than one file tells of. Plain values only.

Sources name the same return each in its own way, or not at all, and date it by when it was booked or by when it counts.
So equal returns of a payment are one, unless one file shows both, or money left on a day between theirs. A return that
is counted too seldom holds money back until somebody looks; one that is counted too often is paid twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal

from ibctl.commissions.payouts.bank_files import Movement
from ibctl.commissions.payouts.evidence_rules import Payments, Told, belongs

# What equal returns have in common: the payment's reference, the currency and the amount.
_Kind = tuple[str, str, Decimal]


def repeated(new: Iterable[tuple[str, Movement]], payments: Payments, file: Told) -> frozenset[str]:
    """Return the ids of those new movements of a file that are returns other files told of already."""
    found = (
        _the_same(days, _told_elsewhere(kind, days, payments, file), _left(kind, payments, file))
        for kind, days in _returns(new, payments).items()
    )
    return frozenset(number for numbers in found for number in numbers)


def _returns(new: Iterable[tuple[str, Movement]], payments: Payments) -> Mapping[_Kind, Mapping[str, date]]:
    found: dict[_Kind, dict[str, date]] = defaultdict(dict)
    for number, movement in new:
        due = belongs(movement, payments)
        if due is not None and movement.direction == "credit":
            found[due.reference, movement.currency, movement.amount][number] = movement.booked_on
    return found


def _told_elsewhere(kind: _Kind, new: Mapping[str, date], payments: Payments, file: Told) -> list[date]:
    """Return the days of the equal returns that are kept already and not shown by this file, too."""
    reference, currency, amount = kind
    kept = Counter(one.day for one in payments.dues[reference].taken.get(currency, ()) if one.amount == -amount)
    shown = Counter(
        one.booked_on
        for one in file[reference]
        if (one.direction, one.currency, one.amount) == ("credit", currency, amount)
    )
    return list((kept - (shown - Counter(new.values()))).elements())


def _left(kind: _Kind, payments: Payments, file: Told) -> Collection[date]:
    """Return the days on which money left for a payment."""
    reference, currency, _ = kind
    kept = {one.day for one in payments.dues[reference].taken.get(currency, ()) if one.amount > 0}
    return kept | {one.booked_on for one in file[reference] if (one.direction, one.currency) == ("debit", currency)}


def _the_same(new: Mapping[str, date], told: list[date], left: Collection[date]) -> Iterator[str]:
    """Give the new returns that are one with a return that was told of, each with the nearest."""
    pairs = sorted(
        (abs(day - before), number, index)
        for number, day in new.items()
        for index, before in enumerate(told)
        if not any(min(day, before) < out < max(day, before) for out in left)
    )
    free = set(range(len(told)))
    seen: set[str] = set()
    for _, number, index in pairs:
        if number not in seen and index in free:
            seen.add(number)
            free.remove(index)
            yield number
