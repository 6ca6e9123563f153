"""Goes through every encrypted field of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config, crypto, sealing
from ibctl.crypto import SecretError

BATCH = 2_000  # rows held in memory


@dataclass
class Tally:
    """How the values of one encrypted column fared."""

    table: str
    column: str
    opened: int = 0
    failed: int = 0

    def __str__(self) -> str:
        failed = f", {self.failed:,} failed" if self.failed else ""
        return f"{self.table}.{self.column}: {self.opened + self.failed:,} checked{failed}"


class Check:
    """One pass over all encrypted values with the configured key; `tallies` fill as `failures` runs.

    Raises ConfigError for a key that is missing or of the wrong length.
    """

    def __init__(self) -> None:
        self.key = config.settings().encryption_key or ""
        crypto.key_bytes(self.key)
        self.tallies = {column: Tally(column.table.name, column.name) for column in sealing.columns()}

    @property
    def failed(self) -> int:
        """How many values have failed so far."""
        return sum(tally.failed for tally in self.tallies.values())

    @property
    def total(self) -> int:
        """How many values have been tried so far."""
        return sum(tally.opened for tally in self.tallies.values()) + self.failed

    @property
    def verdict(self) -> str:
        """The outcome in a line, with the likeliest cause when nothing could be decrypted."""
        if not self.failed:
            return f"all {self.total:,} encrypted values can be decrypted"
        if self.failed == self.total:
            return f"none of {self.total:,} encrypted values can be decrypted: ENCRYPTION_KEY is probably another one"
        return f"{self.failed:,} of {self.total:,} encrypted values cannot be decrypted"

    def count(self, session: Session) -> int:
        """Return how many values there are to try."""
        counts = (sa.select(sa.func.count(column)).select_from(column.table) for column in self.tallies)
        return sum(int(session.execute(count).scalar_one()) for count in counts)

    def failures(
        self, session: Session, *, limit: int = 0, progress: Callable[[int], None]
    ) -> Iterator[dict[str, str]]:
        """Try every value; yield table, column, id and problem of the first `limit` failures (0: of all), newest first.

        Goes on counting past the limit. Holds one batch in memory, however many rows there are; after each, `progress`
        gets the number of values tried.
        """
        for table in dict.fromkeys(column.table for column in self.tallies):
            for failure in self._table(session, table, progress):
                if not limit or self.failed <= limit:
                    yield failure

    def _table(self, session: Session, table: sa.Table, progress: Callable[[int], None]) -> Iterator[dict[str, str]]:
        columns = [column for column in self.tallies if column.table is table]
        query = (
            sa.select(table.c.id, *columns)
            .where(sa.or_(*(column.is_not(None) for column in columns)))
            .order_by(table.c.id.desc())
            .execution_options(stream_results=True, yield_per=BATCH)
        )
        for batch in session.execute(query).partitions():
            for row_id, *values in batch:
                for column, sealed in zip(columns, values, strict=True):
                    if sealed is not None and (problem := self._try(column, sealed)):
                        yield {"table": table.name, "column": column.name, "id": row_id, "problem": problem}
            progress(self.total)

    def _try(self, column: sa.Column[Any], sealed: crypto.Sealed) -> str | None:
        try:
            crypto.decrypt(sealed.text, self.key)
        except SecretError as exc:
            self.tallies[column].failed += 1
            return str(exc)
        self.tallies[column].opened += 1
        return None
