"""CSV files that people and spreadsheets made: opened strictly, read row by row, refused in one clear line.

Nothing is guessed silently. The encoding is what the file's mark says, else UTF-8, else what `--encoding` says; the
delimiter is the one that the header and the rows agree on, Excel's own `sep=` line, or what `--delimiter` says. A row's
number is the line of the file on which it begins (the header of a plain file is 1, its first row 2), so it stays right
behind cells that hold line breaks; in a file without such cells it is also a spreadsheet's row number. Lines without
any value are no rows. What is wrong with one row is for the importer to refuse; what makes the file unreadable
(a quote that never closes, a byte that is no text) refuses the file.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ibctl import rendering
from ibctl.errors import RequestError
from ibctl.tabular import text
from ibctl.tabular.source import Source
from ibctl.tabular.table import ROWS_PER_REPORT, Table, require_names

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# A cell beyond this is a quote that was never closed, not a value. An importer's own limit for a text is lower.
CELL_LIMIT = 1_000_000


@dataclass(frozen=True, kw_only=True)
class CsvFile(Table):
    """A CSV file that decodes from end to end, and whose delimiter is known."""

    encoding: str
    header_line: int

    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the cells of each row; see `Table.rows`. A row whose quoting is broken ends it."""
        with self.source.opened() as content, text.lines(content.stream, self.encoding) as lines:
            for number, row in enumerate(_records(lines, self.delimiter, self.path)):
                if any(row[1]) and row[0] > self.header_line:
                    yield row
                if not number % ROWS_PER_REPORT and on_bytes is not None:
                    on_bytes(content.position())
        if on_bytes is not None:
            on_bytes(self.size)


# -------------------------------------------------------------------------------------------------------------- opening


def open_csv(source: Source, *, encoding: str | None = None, delimiter: str | None = None) -> CsvFile:
    """Check a file from end to end, as CSV; `encoding` and `delimiter` are what `named_...` give.

    Raises RequestError, in one line that names the file and mostly the line, for what cannot be read as CSV.
    """
    with source.opened() as content:
        found = text.encoding_of(source.path, content.stream, encoding)
        start, line, excel = _start(content.stream, found)
        separator = delimiter or excel or _sniff(source.path, start)
        header, header_line = _header(source.path, content.stream, found, separator, line)
    return CsvFile(
        source=source, header=header, delimiter=separator, marked=found != "utf-8", encoding=found,
        header_line=header_line,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- delimiter and header


def named_delimiter(name: str) -> str:
    """Return the character that a user named, itself or by its word. Raises ValueError for what separates no cells."""
    by_name = {word: character for character, word in DELIMITERS.items()} | {"\\t": "\t"}
    character = by_name.get(name.lower(), name)
    if len(character) != 1 or character.isalnum() or character in "\"\r\n\0'@+-_ ":
        raise ValueError(f"'{name}' will not do: write , ; | or tab")
    return character


def _start(stream: io.BufferedReader, encoding: str) -> tuple[list[str], int, str | None]:
    """Return the file's first lines without Excel's own `sep=;`, the line they then begin on, and that separator."""
    stream.seek(0)
    start: list[str] = []
    size = 0
    with text.lines(stream, encoding) as lines:
        for line in lines:
            start.append(line)
            size += len(line)
            if size > text.SAMPLE:
                break
    found = re.fullmatch(r'"?sep=([^"\r\n])"?[\r\n]*', start[0], re.IGNORECASE) if start else None
    return (start[1:], 2, found[1]) if found else (start, 1, None)


def _sniff(path: Path, start: list[str]) -> str:
    """Choose the delimiter that cuts the header and most of the first rows into the same number of cells."""
    scores: dict[str, tuple[float, int]] = {}
    for delimiter in DELIMITERS:
        widths = _widths(start, delimiter)
        if widths and widths[0] > 1:
            scores[delimiter] = (widths.count(widths[0]) / len(widths), widths[0])
    if not scores:
        return ","  # one column
    best = max(scores.values())
    winners = [delimiter for delimiter, score in scores.items() if score == best]
    if len(winners) > 1:
        names = " or ".join(DELIMITERS[delimiter] for delimiter in winners)
        raise RequestError(f"{path}: its cells may be separated by {names}: say which with --delimiter")
    return winners[0]


def _widths(start: list[str], delimiter: str) -> list[int]:
    widths = []
    try:
        for cells in csv.reader(start, delimiter=delimiter):
            if any(cells):
                widths.append(len(cells))
    except csv.Error:  # a cell beyond the limit; what was read until then decides
        pass
    return widths


def _header(
    path: Path, stream: io.BufferedReader, encoding: str, delimiter: str, first_line: int
) -> tuple[list[str], int]:
    stream.seek(0)
    with text.lines(stream, encoding) as lines:
        for line, cells in _records(lines, delimiter, path):
            header = [cell.strip() for cell in cells]
            if line >= first_line and any(header):
                return _names(path, line, header), line
    raise RequestError(f"{path} is empty")


def _names(path: Path, line: int, header: list[str]) -> list[str]:
    if "\0" in "".join(header):
        raise RequestError(f"{path} is binary, not text")
    require_names(path, header, f"line {line}")
    # As a reject file has them.
    return [rendering.unneutralise(name) for name in header]


def _records(lines: Iterator[str], delimiter: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield every record with the number of its first line. Raises RequestError where the quoting is broken."""
    csv.field_size_limit(CELL_LIMIT)
    reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    line = 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as exc:
        raise RequestError(f"{path}, line {line}: {_quoting(str(exc))}") from None


def _quoting(problem: str) -> str:
    if "expected after" in problem:
        return "text follows the quote that closes a cell (a quote inside a quoted cell is written twice)"
    if "unexpected end" in problem:
        return "a quote is opened and never closed"
    if "field larger" in problem:
        return f"a cell is longer than {CELL_LIMIT:,} characters; most likely a quote is opened and never closed"
    return f"cannot be read as CSV ({problem})"
