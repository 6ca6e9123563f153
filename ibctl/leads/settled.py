"""Months that are being paid or were paid: what is changed about their leads, they do not follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import add


@dataclass(frozen=True)
class Settled:
    """A month that is being paid or was paid, and whose commissions leads belong to."""

    month: str
    status: str
    # The IBs' emails.
    ibs: Sequence[str]
    leads: int


def together(one: Sequence[Settled], other: Sequence[Settled]) -> list[Settled]:
    """Join the months of the same leads, as they were and as they are."""
    return _joined(one, other, max)


def added(one: Sequence[Settled], other: Sequence[Settled]) -> list[Settled]:
    """Join the months that some leads belong to with those of others."""
    return _joined(one, other, add)


def _joined(one: Sequence[Settled], other: Sequence[Settled], count: Callable[[int, int], int]) -> list[Settled]:
    months: dict[tuple[str, str], Settled] = {}
    for found in (*one, *other):
        known = months.get((found.month, found.status), Settled(found.month, found.status, (), 0))
        ibs = sorted({*found.ibs, *known.ibs})
        months[found.month, found.status] = Settled(found.month, found.status, ibs, count(found.leads, known.leads))
    return [months[key] for key in sorted(months)]
