"""Opening a table: what format it has, by its content first and its name second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ibctl import output
from ibctl.errors import UsageError
from ibctl.tabular import jsonlines, workbook
from ibctl.tabular.csvfile import DELIMITERS, CsvFile, named_delimiter, open_csv
from ibctl.tabular.jsonlines import JsonLines, open_json_lines
from ibctl.tabular.source import Source, open_source
from ibctl.tabular.table import Table
from ibctl.tabular.text import named_encoding
from ibctl.tabular.workbook import Sheet, open_sheet

# The first line of a JSON file that is longer than this is read no further to recognise it.
_LONGEST_LINE = 1024 * 1024


@contextmanager
def open_table(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    decimal_comma: bool = False,
) -> Iterator[Table]:
    """Check a file of any format from end to end and yield it; `-` is standard input.

    With `decimal_comma`, numbers that a format has as such (a workbook's cells, JSON's numbers) come with a comma: what
    reads 1.234 as a thousand must not meet a number that is 1.234.

    Says on stderr what was found out about the file, unless it is plain CSV. Raises RequestError, in one line that
    names the file and mostly the line, for what cannot be read; UsageError for an option that its format does not have.
    """
    with open_source(path) as source:
        yield table_of(source, encoding=encoding, delimiter=delimiter, sheet=sheet, decimal_comma=decimal_comma)


def table_of(
    source: Source,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    decimal_comma: bool = False,
) -> Table:
    """Check a file that is open already, as `open_table` does."""
    table = _table(source, encoding, delimiter, sheet, decimal_comma)
    found = _found(table, encoding, delimiter, sheet)
    if found:
        output.note(f"{table.path.name}: {found}")
    return table


def _table(
    source: Source, encoding: str | None, delimiter: str | None, sheet: str | None, decimal_comma: bool
) -> Table:
    start = _start(source)
    if start.startswith(workbook.MAGIC) and not source.packed:
        _refuse(source, "an Excel workbook", encoding=encoding, delimiter=delimiter)
        return open_sheet(source, name=sheet, decimal_comma=decimal_comma)
    if _is_json_lines(source, start):
        _refuse(source, "JSON", delimiter=delimiter, sheet=sheet)
        return open_json_lines(
            source, encoding=_named("encoding", encoding, named_encoding), decimal_comma=decimal_comma
        )
    _refuse(source, "CSV", sheet=sheet)
    return open_csv(
        source,
        encoding=_named("encoding", encoding, named_encoding),
        delimiter=_named("delimiter", delimiter, named_delimiter),
    )


def _named(option: str, value: str | None, read: Callable[[str], str]) -> str | None:
    try:
        return read(value) if value is not None else None
    except ValueError as exc:
        raise UsageError(f"--{option} {exc}") from None


def _start(source: Source) -> bytes:
    with source.opened() as content:
        return content.stream.readline(_LONGEST_LINE)


def _is_json_lines(source: Source, start: bytes) -> bool:
    name = source.path.name.lower().removesuffix(".gz")
    line = start.decode("utf-8-sig", "replace")
    return jsonlines.is_object(line) or jsonlines.is_array(line) or name.endswith(jsonlines.NAMES)


def _refuse(source: Source, kind: str, **options: str | None) -> None:
    """Refuse the options that mean nothing for a format, rather than pass over them."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"--{name} '{value}': {source.path} is {kind}, which has none: leave the option out")


def _found(table: Table, encoding: str | None, delimiter: str | None, sheet: str | None) -> str:
    """Say what was found out about a file that could have been taken for another one."""
    if isinstance(table, Sheet):
        chosen_here = sheet is None and table.others
        return f"sheet '{table.name}' (others: {', '.join(table.others)}; --sheet names one)" if chosen_here else ""
    parts = []
    if isinstance(table, CsvFile | JsonLines) and encoding is None and not table.encoding.startswith("utf-8"):
        parts.append(f"encoding {table.encoding}")
    if isinstance(table, CsvFile) and delimiter is None and table.delimiter != ",":
        parts.append(f"cells separated by {DELIMITERS.get(table.delimiter, table.delimiter)}")
    return ", ".join(parts)
