"""Importing a file: good rows in, bad rows out. What each row must be is the importing area's own affair."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import typer

from ibctl import errors, output, rendering, tabular
from ibctl.errors import RequestError

T = TypeVar("T")
# How many refused rows are shown; all of them are in the reject file.
SHOWN = 5

FORMATS = "CSV, .csv.gz, .xlsx or one JSON object a line; - is standard input."
RejectsOption = Annotated[
    Path | None, typer.Option(help="Where refused rows go; default: FILE.rejects.csv.", show_default=False)
]
EncodingOption = Annotated[str | None, typer.Option(help="The file's encoding, where it is not UTF-8.")]
DelimiterOption = Annotated[str | None, typer.Option(help="What separates cells, where it is unclear.")]
SheetOption = Annotated[str | None, typer.Option(help="The workbook's sheet, where it is not the first.")]


class RowError(ValueError):
    """A row that cannot be taken: a code that its area documents, the field at fault (or ""), what is wrong with it."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field, self.message = code, field, message


@dataclass
class Reading(Generic[T]):
    """Reads a file's rows with `read`, which gets a row's number and its cells by field, and may raise RowError.

    The cells are as they were before an export neutralised them, and not stripped.

    A row with more or fewer cells than the header is refused with code `cells`. `good` counts the rows that were read,
    `refused` the others by code.
    """

    file: tabular.Table
    columns: Mapping[str, int]
    rejects: tabular.RejectFile
    read: Callable[[int, Mapping[str, str]], T]
    good: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[T]:
        """Yield what the good rows mean, and put the others into the reject file."""
        width = len(self.file.header)
        for number, cells in self.file.rows(on_bytes):
            try:
                if len(cells) != width:
                    raise RowError("cells", "", tabular.misfit(cells, width))
                row = self.read(number, self._fields(cells))
            except RowError as exc:
                self._refuse(number, cells, exc)
                continue
            self.good += 1
            yield row

    def _fields(self, cells: list[str]) -> dict[str, str]:
        # Hardly a cell begins with an apostrophe, and a call for each of millions would be felt.
        return {
            field: rendering.unneutralise(cell) if (cell := cells[index])[:1] == "'" else cell
            for field, index in self.columns.items()
        }

    def _refuse(self, number: int, cells: list[str], why: RowError) -> None:
        self.rejects.add(number, cells, why.code, why.field, why.message)
        self.refused[why.code] += 1
        if self.rejects.count <= SHOWN:
            output.note(f"row {number} refused: {why.field and why.field + ': '}{why.message}")


# What a message quotes of a file, and the list of its headers, which may be cells.
_QUOTED = re.compile(r"'[^']*'|; it has .*")


@contextmanager
def unquoted() -> Iterator[None]:
    """Let no message quote a file's cells: for files of names and accounts."""
    try:
        yield
        return
    except RequestError as exc:
        message = _QUOTED.sub(lambda found: "'…'" if found[0].startswith("'") else "", str(exc))
    raise RequestError(message)


COLUMNS = [output.Column("rows", "number"), output.Column("outcome"), output.Column("code")]


def outcome(good: Mapping[str, int], refused: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yield what became of a file's rows, for people and scripts: read, then `good` by word, then `refused` by code."""
    yield {"rows": sum(good.values()) + sum(refused.values()), "outcome": "read", "code": ""}
    for word, count in good.items():
        yield {"rows": count, "outcome": word, "code": ""}
    for code, count in refused.items():
        yield {"rows": count, "outcome": "refused", "code": code}


def finish(rejects: tabular.RejectFile, good: int) -> None:
    """Say where the refused rows are, and end with the exit code that tells how many were good.

    Raises RequestError when none was, typer.Exit (6) when some were refused.
    """
    if rejects.count:
        kept = f" (kept: {rejects.kept})" if rejects.kept else ""
        where = "written to" if rejects.is_device else "to mend and import:"
        output.note(f"rows refused: {rejects.count:,}; {where} {rejects.path}{kept}")
    if not good:
        raise RequestError(f"{rejects.source.path} has no row that can be imported, so nothing was written")
    if rejects.count:
        raise typer.Exit(errors.PARTIAL)
