"""Exports: all rows of a query, streamed; as CSV the server formats them, and its COPY goes straight into the file.

Python needs several times as long to format a million rows as the server does to send them. What `output` makes of a
value in Python, `_FORMATS` does in SQL, byte for byte; a property test holds the two together. What the server cannot
write so (other formats than CSV, other types than these) goes through `output`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import money, outfiles, output

# How many rows Python holds in memory.
FETCH = 2_000


@dataclass(frozen=True)
class Query:
    """A SELECT without its order, the values bound in it, by what it is sorted, and a limit (0: all).

    The order is one of columns of `q`, the SELECT: a bare name would mean the column as it is written, which sorts
    otherwise, and four times as slowly. Doubles are written with the 15 digits of money (`money.from_float`), or with
    all that they have.
    """

    select: str
    values: Mapping[str, Any]
    order: str
    limit: int = 0
    all_digits: bool = False

    def sorted(self, columns: str) -> sa.TextClause:
        """Return the whole statement, for these of its columns (`q.name`) or expressions of them."""
        chosen = f"({self.select}) q"
        if self.limit:
            # Otherwise the server would format all rows to sort them.
            chosen = f"(SELECT * FROM {chosen} ORDER BY {self.order} LIMIT {self.limit:d}) q"
        return sa.text(f"SELECT {columns} FROM {chosen} ORDER BY {self.order}").bindparams(**self.values)


def write(session: Session, query: Query, columns: Sequence[output.Column], listing: output.Listing) -> None:
    """Write all rows of a query in the asked format, to stdout or atomically to a file. Raises as `output.show`."""
    chosen = [column.key for column in output.pick(columns, listing)]
    # Of a single column the two would differ: in what an empty cell is, and in `\.`, which COPY keeps for itself.
    if listing.format is output.Format.csv and len(chosen) > 1:
        types = _types(session, query)
        if all(types[key] in _FORMATS for key in chosen):
            _copy(session, query, [_formatted(key, types[key], query) for key in chosen], listing.output)
            return
    output.show(rows(session, query), columns, listing)


def rows(session: Session, query: Query) -> Iterator[dict[str, Any]]:
    """Yield the rows of a query, a few at a time; a double that is no number, which JSON does not know, is None."""
    options = {"stream_results": True, "yield_per": FETCH}
    found = session.execute(query.sorted("*"), execution_options=options)
    names = tuple(found.keys())
    decimal = all_digits if query.all_digits else exact
    for row in found:
        yield {name: decimal(v) if type(v) is float else v for name, v in zip(names, row, strict=True)}


# Most rows have one of a few amounts.
@lru_cache(maxsize=4096)
def exact(value: float) -> Decimal | None:
    """Return the decimal that a stored double stands for; None for NaN and infinities, which JSON does not know."""
    return abs(amount) if (amount := _finite(value, money.from_float)) == 0 else amount


@lru_cache(maxsize=4096)
def all_digits(value: float) -> Decimal | None:
    """Return a stored double with all of its digits, so that it is the same when it is read again; as `exact`."""
    return _finite(value, lambda number: Decimal(repr(number + 0.0)).normalize())


def _finite(value: float, decimal: Callable[[float], Decimal]) -> Decimal | None:
    return decimal(value) if math.isfinite(value) else None


# ----------------------------------------------------------------------------------------------------- on the server

# Nearly every cell begins with a letter, whose code is above those of all marks and digits: one look clears it.
_TEXT = r"""
    CASE WHEN ascii({0}) <= 64
      THEN CASE WHEN {0} ~ '^''*[=+\-@\t\r]' THEN '''' || {0} ELSE nullif({0}, '') END
      ELSE {0} END"""
# A microsecond more, and there are six decimals, of which three are kept: never slower than to_char. What Python
# cannot hold (infinity, five-digit years) is written as PostgreSQL does.
_TIME = """
    CASE WHEN {0} >= '0001-01-01' AND {0} < '10000-01-01'
      THEN substr(to_json({0} + interval '1 microsecond')::text, 2, 23) || 'Z'
      ELSE {0}::text END"""
_DOUBLE = "CASE WHEN {0} = 0 THEN 0 WHEN abs({0}) < 'Infinity' THEN {0}::{1}numeric END"
# By the type's number in PostgreSQL's catalogue.
_FORMATS = {
    25: _TEXT,
    1043: _TEXT,  # varchar
    1114: _TIME,  # timestamp
    1082: "to_char({0}, 'YYYY-MM-DD')",
    701: _DOUBLE,
    1700: "{0}",  # numeric
    20: "{0}", 21: "{0}", 23: "{0}",  # integers
    16: "{0}::text",  # boolean: true, not t
}  # fmt: skip


def _types(session: Session, query: Query) -> dict[str, int]:
    found: Any = session.execute(sa.text(f"SELECT * FROM ({query.select}) q LIMIT 0").bindparams(**query.values))
    return {column.name: column.type_code for column in found.cursor.description}


def _formatted(key: str, type_: int, query: Query) -> str:
    name = '"' + key.replace('"', '""') + '"'
    # As text a double has all of its digits, as numeric it would have 15.
    return _FORMATS[type_].format(f"q.{name}", "text::" if query.all_digits else "") + f" AS {name}"


# A million leads are sorted in memory, 80 MB in each of three processes; on disk they take half as long again. To
# compile their expressions takes longer than it saves.
_PLAN_FOR_MANY = sa.text("SELECT set_config('work_mem', '128MB', true), set_config('jit', 'off', true)")


def _copy(session: Session, query: Query, columns: Sequence[str], path: Path | None) -> None:
    connection = session.connection()
    session.execute(_PLAN_FOR_MANY)
    select = query.sorted(", ".join(columns)).compile(dialect=connection.dialect)
    statement = f"COPY ({select}) TO STDOUT (FORMAT csv, HEADER, ENCODING 'UTF8')"
    driver: Any = connection.connection.driver_connection
    try:
        with (
            _bytes_to(path) as stream,
            driver.cursor() as cursor,
            cursor.copy(statement, select.params or None) as read,
        ):
            for block in read:
                stream.write(block)
    except BaseException:
        # Ctrl-C leaves the connection in the middle of the COPY: a rollback would fail, and hide what happened.
        connection.invalidate()
        raise


@contextmanager
def _bytes_to(path: Path | None) -> Iterator[BinaryIO]:
    if path is not None:
        with outfiles.atomic_file(path) as stream:
            yield stream.buffer
        return
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.flush()
