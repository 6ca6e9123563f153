"""Row ids: cuid, version 1, as Prisma's `@default(cuid())` makes them.

`c`, the time in milliseconds (8 characters), a counter (4), the process and host (4), random characters (8): 25 in all,
in base 36. The time comes first, so that ids made later sort later and new rows lie together in the indexes.
"""

from __future__ import annotations

import itertools
import os
import platform
import re
import string
import time
from collections.abc import Iterator
from functools import cache

ALPHABET = string.digits + string.ascii_lowercase
BASE = len(ALPHABET)
RANDOM_LENGTH = 8
# How many `endless` makes at a time.
BATCH = 1_000

_cut = re.compile(f".{{{RANDOM_LENGTH}}}").findall
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
# `next` on it is one step under the GIL, so that no two threads get the same number.
_counter = itertools.count()
# Of the 256 values of a byte, 252 fall evenly on the 36 characters; the last four are thrown away.
_CHARACTERS = bytes(ord(ALPHABET[value % BASE]) for value in range(256))
_UNEVEN = bytes(range(252, 256))


def cuid() -> str:
    """Return a new id."""
    return f"c{_timestamp()}{_count()}{_fingerprint(os.getpid())}{_random(1)}"


def cuids(count: int) -> list[str]:
    """Return `count` new ids, all with the time of the first; in large numbers ten times faster than `cuid`."""
    stamp, fingerprint, random = _timestamp(), _fingerprint(os.getpid()), _random(count)
    # Without a call for each. The counter comes last, so that none of its numbers is taken for nothing.
    return [
        f"c{stamp}{_PAIRS[number // BASE**2 % BASE**2]}{_PAIRS[number % BASE**2]}{fingerprint}{characters}"
        for characters, number in zip(_cut(random), _counter, strict=False)
    ]


def endless() -> Iterator[str]:
    """Return an iterator of new ids for as long as they are asked for, where it is not known how many are needed."""
    return itertools.chain.from_iterable(map(cuids, itertools.repeat(BATCH)))


def _timestamp() -> str:
    text, milliseconds = "", time.time_ns() // 1_000_000
    while milliseconds:
        milliseconds, digit = divmod(milliseconds, BASE)
        text = ALPHABET[digit] + text
    return text


def _count() -> str:
    return _four(next(_counter) % BASE**4)


def _four(number: int) -> str:
    return _PAIRS[number // BASE**2] + _PAIRS[number % BASE**2]


@cache
def _fingerprint(pid: int) -> str:
    """Two characters of the process id, two of the host's name. By pid, so that a forked child has its own."""
    host = platform.node()
    return _PAIRS[pid % BASE**2] + _PAIRS[(sum(map(ord, host)) + len(host) + BASE) % BASE**2]


def _random(count: int) -> str:
    """Random characters for `count` ids, from the operating system: two processes never share a generator's state."""
    wanted = count * RANDOM_LENGTH
    drawn = b""
    while len(drawn) < wanted:
        drawn += os.urandom(wanted - len(drawn) + 16).translate(_CHARACTERS, delete=_UNEVEN)
    return drawn[:wanted].decode()
