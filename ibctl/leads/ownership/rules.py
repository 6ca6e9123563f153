"""Who gets which of many leads, and from when a transfer counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from ibctl.errors import UsageError
from ibctl.months import Month

ALL = "all"
LARGEST_WEIGHT = 1_000


def names(text: str) -> list[str] | None:
    """Read `--round-robin`: IBs separated by commas; None for `all`. Raises UsageError."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise UsageError("--round-robin is empty: write IBs separated by commas, or all")
    twice = next((name for index, name in enumerate(found) if name in found[:index]), None)
    if twice is not None:
        raise UsageError(f"--round-robin names {twice} twice")
    return None if found == [ALL] else found


def weights(text: str) -> dict[str, int]:
    """Read `--weighted`: `ib@a=3,ib@b=1`, whole numbers from 1. Raises UsageError with the part that is wrong."""
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = (word.strip() for word in part.rpartition("="))
        if not name or not (number.isascii() and number.isdigit()) or not 1 <= int(number) <= LARGEST_WEIGHT:
            raise UsageError(f"--weighted: '{part.strip()}' is not an IB and a weight: write ib@x.y=3,ib@x.z=1")
        if name in found:
            raise UsageError(f"--weighted names {name} twice")
        found[name] = int(number)
    return found


def turns(weighted: Mapping[str, int]) -> list[str]:
    """Return whose turn it is, as a cycle in which each name comes as often as its weight, and as evenly as it can.

    With equal weights this is round robin, in the order of the names as they are given.
    """
    divisor = math.gcd(*weighted.values())
    shares = {name: weight // divisor for name, weight in weighted.items()}
    length, credit, cycle = sum(shares.values()), dict.fromkeys(shares, 0), []
    for _ in range(length):
        for name, share in shares.items():
            credit[name] += share
        # The first of those that have waited longest.
        chosen = max(credit, key=lambda name: credit[name])
        credit[chosen] -= length
        cycle.append(chosen)
    return cycle


def first_open(earliest: Month, sealed: Sequence[Month]) -> Month:
    """Return the month from which a transfer counts by itself: the one after the last sealed month that is not before
    the `earliest` in which something happened to the leads, or that earliest one.
    """
    last = max((month for month in sealed if month >= earliest), default=None)
    return earliest if last is None else last.next


def sealed_after(moment: datetime, ends: Mapping[Month, datetime]) -> Month | None:
    """Return the last of these months that ends after the moment: what counted in it would change hands."""
    return max((month for month, end in ends.items() if end > moment), default=None)
