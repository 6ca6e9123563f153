"""What a user sees: rows as table, JSON, CSV or ids on stdout; notes, questions and errors on stderr.

Values print the same way everywhere: times as UTC `2025-10-31T23:59:59.999Z` (JSON, CSV) or `2025-10-31 23:59` (table),
money with its cents. What a lead typed in a form can neither move the terminal's cursor nor run in a spreadsheet.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, Literal, NoReturn, TextIO

import typer

from ibctl import config, money, outfiles, rendering, tables, utf8
from ibctl.errors import RequestError, UsageError

Row = Mapping[str, Any]


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    json = "json"
    csv = "csv"
    ids = "ids"


FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to print the rows.")]
# For what has no ids: counts and sums, findings, the lines of a derivation.
SummaryFormatOption = Annotated[
    Literal["table", "json", "csv"], typer.Option("--format", "-f", help="How to print the result.")
]


def _unless_dash(path: Path | None) -> Path | None:
    # As for most programs, - is stdout.
    return None if path == Path("-") else path


OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Write to this file, whole or not at all, instead of stdout.", callback=_unless_dash
    ),
]
ColumnsOption = Annotated[str | None, typer.Option("--columns", help="The columns to show, separated by commas.")]
# What the database takes as a limit, in any of its types of numbers.
MOST_ROWS = 2_000_000_000
LimitOption = Annotated[
    int, typer.Option("--limit", "-n", min=0, max=MOST_ROWS, help="At most this many rows; 0 means all.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Do the work, show the result, and take it back.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", help="Why; kept in the audit record.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True)
class Column:
    """A column of a listing: its key in the rows (the schema's own name) and how its values look.

    `base` is money of the base currency, with its decimals; of `money` it is not known which currency it has.
    `prose`, one at most, are sentences: where a row of the table is too wide with them, they stand below it.
    """

    key: str
    kind: Literal["text", "money", "base", "number", "time", "date", "flag", "rate", "prose"] = "text"
    # Shown in a table without `--columns`. JSON and CSV show every column.
    brief: bool = True

    @property
    def pointed(self) -> bool:
        """Whether its values have a decimal point to be brought into line."""
        return self.kind in ("money", "base", "rate")

    @property
    def folds(self) -> bool:
        """Whether a table that is too wide folds it."""
        return self.kind in ("text", "prose")

    @property
    def right(self) -> bool:
        """Whether a table aligns it to the right."""
        return self.kind in ("money", "base", "number", "rate")


@dataclass(frozen=True)
class Listing:
    """The options that every listing shares, as one value."""

    format: Format = Format.table
    output: Path | None = None
    columns: str | None = None


# What a terminal shows of one cell: a broker's name of ten thousand letters would be all that there is to see. JSON,
# CSV, pipes and files have it whole.
LONGEST = 200
_color = True


def use_color(wanted: bool) -> None:
    """Take `--no-color`; `NO_COLOR` in the environment holds besides."""
    global _color
    _color = wanted


def _console(*, stderr: bool = False) -> Any:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # A table into a pipe or file is never cut to a width that nobody has.
    width = None if stream.isatty() or os.environ.get("COLUMNS") else 1000
    plain_text = not _color or bool(os.environ.get("NO_COLOR"))
    console = Console(
        file=stream, color_system=None if plain_text else "auto", highlight=False, width=width, soft_wrap=stderr
    )
    console.on_broken_pipe = _closed_pipe  # type: ignore[method-assign]
    return console


def _closed_pipe() -> NoReturn:
    # Rich would end the process with 1; `cli.py` knows what a closed pipe means.
    raise BrokenPipeError


def utf8_stdout() -> TextIO:
    """Return stdout for data: whatever the terminal's encoding, programs read UTF-8, as they do from a file."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="strict")
    return sys.stdout


# --------------------------------------------------------------------------------------------------- talking to people


def say(line: str) -> None:
    """Print a line of text on stdout, as data."""
    sys.stdout.write(rendering.one_line(line) + "\n")


def text(lines: str) -> None:
    """Print a text of several lines on stdout, like a plan as somebody wrote it."""
    utf8_stdout().write(rendering.printable(lines.rstrip("\n")) + "\n")


def data(document: str) -> None:
    """Print a whole document on stdout, as it is."""
    utf8_stdout().write(document)


def heading(line: str) -> None:
    """Print a line of text on stdout that stands out on a terminal."""
    from rich.text import Text

    _console().print(Text(rendering.one_line(line), style="bold"))


def note(message: str) -> None:
    """Say something on stderr."""
    _console(stderr=True).print(rendering.one_line(message), markup=False)


def error(message: str) -> None:
    """Print the one line of a failure on stderr."""
    from rich.text import Text

    line = Text.assemble(("Error:", "bold red"), " ", rendering.one_line(message))
    _console(stderr=True).print(line)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    from rich.text import Text

    _console(stderr=True).print(Text.assemble(("Warning:", "bold yellow"), " ", rendering.one_line(message)))


def some(names: Sequence[str], shown: int = 5) -> str:
    """Write the first few of many: `a, b, c, d, e and 32 more`."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest:,} more" if rest > 0 else "")


def confirm(effect: str, *, yes: bool) -> None:
    """Ask before something that destroys or moves money; `effect` names it ("37 IBs, 12,480.55 USD").

    Raises UsageError when nobody is there to answer, RequestError when the answer is no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{effect}: nobody is here to confirm; pass --yes")
    if not typer.confirm(f"{rendering.one_line(effect)}. Go on?", err=True):
        raise RequestError("not confirmed: nothing was written")


def secret(prompt: str, *, twice: bool = False) -> str:
    """Read a secret from a hidden prompt, or as one line of stdin when that is no terminal.

    Raises UsageError where there is none, or one that is no UTF-8.
    """
    if sys.stdin.isatty():
        value: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
        if utf8.escaped(value) != value:
            raise UsageError(f"{prompt}: it is not UTF-8 text: check the terminal's encoding")
        return value
    line = utf8.line_from_stdin()
    if not line:
        raise UsageError(f"{prompt}: expected it as one line on stdin, which is empty")
    return line


@contextmanager
def progress(description: str, total: int | None) -> Iterator[Any]:
    """Show a bar on a terminal, nothing elsewhere; yields a function that takes the work done so far."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    console = _console(stderr=True)
    # Rich sends stdout to the bar's console, stderr: right on one terminal, but a pipe would get no data.
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task(description, total=total)
        yield lambda done: bar.update(task, completed=done)


# ------------------------------------------------------------------------------------------------------------- listings


def show(rows: Iterable[Row], columns: Sequence[Column], listing: Listing, *, title: str | None = None) -> int:
    """Print rows in the asked format, to stdout or atomically to a file; returns how many.

    Raises UsageError for an unknown name in `--columns`, RequestError when the file cannot be written.
    """
    chosen = pick(columns, listing)
    counted = _Counter(rows)
    if listing.output is None:
        stream = sys.stdout if listing.format is Format.table else utf8_stdout()
        _write(counted, chosen, listing.format, stream, title)
    else:
        with outfiles.atomic_file(listing.output) as stream:
            _write(counted, chosen, listing.format, stream, title)
    return counted.count


def bars(amounts: Sequence[tuple[str, Decimal]]) -> None:
    """Draw amounts as bars on stdout, each with its label before and its value behind."""
    from rich.bar import Bar
    from rich.table import Table

    longest = max((abs(amount) for _, amount in amounts), default=Decimal(0))
    table = Table(box=None, pad_edge=False, show_header=False)
    for label, amount in amounts:
        bar = Bar(float(longest) or 1, 0, float(max(amount, Decimal(0))), width=40)
        table.add_row(rendering.one_line(label), bar, money.show(amount))
    _console().print(table)


def show_record(row: Row, columns: Sequence[Column], listing: Listing) -> None:
    """Print one row: a line for each field in a table, one object in JSON, one line in CSV."""
    if listing.format is not Format.table:
        show([row], columns, listing)
        return
    width = max(len(column.key) for column in columns)
    chosen = pick(columns, Listing(Format.json, columns=listing.columns))
    lines = [f"{column.key:<{width}}  {_shown(row[column.key], column)}\n" for column in chosen]
    if listing.output is None:
        sys.stdout.writelines(lines)
    else:
        with outfiles.atomic_file(listing.output) as stream:
            stream.writelines(lines)


def cut_note(shown: int, limit: int, total: int, what: str) -> None:
    """Say on stderr that a listing was cut, or that it is empty."""
    if total == 0:
        note(f"no {what}")
    elif limit and total > shown:
        note(f"the newest {shown:,} of {total:,} {what}; --limit 0 shows all")


class _Counter:
    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self.rows:
            self.count += 1
            yield row


def pick(columns: Sequence[Column], listing: Listing) -> list[Column]:
    """Return the columns that a listing has, in their order. Raises UsageError for an unknown name in `--columns`."""
    if listing.format is Format.ids and all(column.key != "id" for column in columns):
        raise UsageError("--format ids: these rows have no ids; there are table, json and csv")
    if listing.columns is None:
        return [c for c in columns if c.brief or listing.format in (Format.json, Format.csv)]
    by_key = {column.key.lower(): column for column in columns}
    names = [name.strip() for name in listing.columns.split(",") if name.strip()]
    unknown = [name for name in names if name.lower() not in by_key]
    if unknown or not names:
        known = ", ".join(column.key for column in columns)
        raise UsageError(f"--columns: no column '{', '.join(unknown)}'; there are {known}")
    return [by_key[name.lower()] for name in names]


def _write(rows: Iterable[Row], columns: list[Column], form: Format, stream: IO[str], title: str | None) -> None:
    if form is Format.table:
        _write_table(rows, columns, stream, title)
    elif form is Format.json:
        _write_json(rows, columns, stream)
    elif form is Format.csv:
        _write_csv(rows, columns, stream)
    else:
        stream.writelines(f"{row['id']}\n" for row in rows)
    stream.flush()


def _write_json(rows: Iterable[Row], columns: list[Column], stream: IO[str]) -> None:
    separator = "[\n  "
    for row in rows:
        item = {column.key: rendering.plain(row[column.key]) for column in columns}
        stream.write(separator + json.dumps(item, ensure_ascii=False))
        separator = ",\n  "
    stream.write("[]\n" if separator.startswith("[") else "\n]\n")


def _write_csv(rows: Iterable[Row], columns: list[Column], stream: IO[str]) -> None:
    writer = csv_writer(stream)
    keys = [column.key for column in columns]
    writer.writerow(keys)
    # Most cells are empty or harmless text: spared the call, a long export takes a third less.
    writer.writerows(
        [
            v if v is None or (type(v) is str and v[:1] not in rendering.FORMULA_STARTS) else rendering.cell(v)
            for v in cells
        ]
        for cells in ([row[key] for key in keys] for row in rows)
    )


def csv_writer(stream: IO[str], delimiter: str = ",") -> Any:
    """Return a CSV writer that ends lines with LF and quotes every cell that holds a line break of any kind."""
    # Before Python 3.13 the writer leaves a lone CR unquoted unless CR is part of the line's end.
    return csv.writer(_LineFeeds(stream), delimiter=delimiter, lineterminator="\r\n")


class _LineFeeds:
    def __init__(self, stream: IO[str]) -> None:
        self.stream = stream

    def write(self, record: str) -> None:
        self.stream.write(record[:-2] + "\n")


def _write_table(rows: Iterable[Row], columns: list[Column], stream: IO[str], title: str | None) -> None:
    lines = [[_cell(row[column.key], column, stream) for column in columns] for row in rows]
    if lines:
        tables.draw(_table_console(stream), columns, lines, title)


def _cell(value: Any, column: Column, stream: IO[str]) -> str:
    text = _shown(value, column)
    short = column.kind == "prose" or len(text) <= LONGEST or not stream.isatty()
    return text if short else text[: LONGEST - 1] + "…"


def _shown(value: Any, column: Column) -> str:
    currency = config.settings().base_currency if column.kind == "base" else ""
    return rendering.shown(value, column.kind, currency)


def _table_console(stream: IO[str]) -> Any:
    from rich.console import Console

    return _console() if stream is sys.stdout else Console(file=stream, width=1000, no_color=True)
