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
import filecmp
import io
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ibctl import output, textfile
from ibctl.errors import RequestError, UsageError
from ibctl.textfile import sha256 as sha256

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
# A cell beyond this is a quote that was never closed, not a value. An importer's own limit for a text is lower.
CELL_LIMIT = 1_000_000
# How often a reader learns how far it is.
ROWS_PER_REPORT = 2_000


@dataclass(frozen=True)
class CsvFile:
    """A checked file: it decodes from end to end, has a header, and its delimiter is known."""

    path: Path
    encoding: str
    delimiter: str
    header: list[str]
    size: int
    _header_line: int = field(default=1, repr=False)
    _stamp: textfile.Stamp = field(default=(0, 0, 0, 0), repr=False)

    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the cells of each row; `on_bytes` is told how many bytes have been read.

        Cells are as they stand in the file, neither stripped nor unneutralised (`output.unneutralise`): only the caller
        knows which are text. A row can have more or fewer than the header. Can be called again. Raises RequestError at
        a row whose quoting is broken, and when the file was changed since it was opened.
        """
        with textfile.binary(self.path) as binary, textfile.lines(binary, self.encoding) as text:
            self._require_unchanged(binary)
            for number, (line, cells) in enumerate(_records(text, self.delimiter, self.path)):
                if line > self._header_line and any(cells):
                    yield line, cells
                if on_bytes is not None and number % ROWS_PER_REPORT == 0:
                    on_bytes(binary.tell())
            self._require_unchanged(binary)
            if on_bytes is not None:
                on_bytes(self.size)

    def _require_unchanged(self, binary: io.BufferedReader) -> None:
        if textfile.stamp(binary) != self._stamp:
            raise RequestError(f"{self.path} was changed while it was being read: wait until it is complete")


# -------------------------------------------------------------------------------------------------------------- opening


@contextmanager
def open_csv(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> Iterator[CsvFile]:
    """Check a file from end to end and yield it.

    Raises RequestError, in one line that names the file and mostly the line, for what cannot be read as CSV;
    UsageError for an `encoding` or `delimiter` that does not exist.
    """
    wanted = textfile.named_encoding(encoding) if encoding is not None else None
    separator = _named_delimiter(delimiter) if delimiter is not None else None
    with textfile.binary(path) as binary:
        stamp = textfile.stamp(binary)
        found = textfile.encoding_of(path, binary, wanted)
        start, line, excel = _start(binary, found)
        separator = separator or excel or _sniff(path, start)
        header, header_line = _header(path, binary, found, separator, line)
        yield CsvFile(path, found, separator, header, stamp[2], header_line, stamp)


# ------------------------------------------------------------------------------------------------- delimiter and header


def _named_delimiter(name: str) -> str:
    by_name = {word: character for character, word in DELIMITERS.items()} | {"\\t": "\t"}
    character = by_name.get(name.lower(), name)
    if len(character) != 1 or character.isalnum() or character in "\"\r\n\0'@+-_ ":
        raise UsageError(f"--delimiter '{name}' will not do: write , ; | or tab")
    return character


def _start(binary: io.BufferedReader, encoding: str) -> tuple[list[str], int, str | None]:
    """Return the file's first lines without Excel's own `sep=;`, the line they then begin on, and that separator."""
    binary.seek(0)
    start: list[str] = []
    size = 0
    with textfile.lines(binary, encoding) as text:
        for line in text:
            start.append(line)
            size += len(line)
            if size > textfile.SAMPLE:
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


def _looks_like_data(cell: str) -> bool:
    """Whether a cell is an email address, a date, a number or a phone number, rather than a column's name."""
    start = cell[:100]
    numeric = re.fullmatch(r"[-+\d .,:;()/]+([TZ][-+\d.:Z]*)?", start, re.ASCII) and any(map(str.isdigit, start))
    return bool(numeric or re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", start))


def _header(
    path: Path, binary: io.BufferedReader, encoding: str, delimiter: str, first_line: int
) -> tuple[list[str], int]:
    binary.seek(0)
    with textfile.lines(binary, encoding) as text:
        for line, cells in _records(text, delimiter, path):
            header = [cell.strip() for cell in cells]
            if line >= first_line and any(header):
                return _names(path, line, header), line
    raise RequestError(f"{path} is empty")


def _names(path: Path, line: int, header: list[str]) -> list[str]:
    if "\0" in "".join(header):
        raise RequestError(f"{path} is binary, not text")
    data = next(filter(_looks_like_data, header), None)
    if data is not None:
        raise RequestError(f"{path}: line {line} looks like data ('{data}'): the first line must name the columns")
    return header


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


# ------------------------------------------------------------------------------------------------------ columns by name


def plain_name(header: str) -> str:
    """Return a header as names are compared: without case, spaces, underscores, hyphens and other marks."""
    return "".join(character for character in header.casefold() if character.isalnum())


def columns(
    file: CsvFile,
    aliases: Mapping[str, Collection[str]],
    required: Collection[str] = (),
    *,
    any_of: Collection[str] = (),
) -> dict[str, int]:
    """Find the column of each field by its header: `{"email": 2}`. A field's own name is always an alias of it.

    Says on stderr which columns are not used; those whose name begins with `_` (a reject file's) are passed over in
    silence. Raises RequestError when a field of `required` is missing, or all of `any_of`, or a field comes twice.
    """
    fields = {plain_name(name): key for key, names in aliases.items() for name in (key, *names)}
    found: dict[str, int] = {}
    unused: list[str] = []
    for index, name in enumerate(file.header):
        if name.startswith("_"):
            continue
        key = fields.get(plain_name(name))
        if key is None:
            unused.append(name or f"(number {index + 1}, without a name)")
        elif key in found:
            raise RequestError(f"{file.path}: '{file.header[found[key]]}' and '{name}' both mean {key}: remove one")
        else:
            found[key] = index
    missing = [key for key in required if key not in found]
    if any_of and not any(key in found for key in any_of):
        missing.append(" or ".join(any_of))
    if missing:
        raise RequestError(
            f"{file.path} has no column {', '.join(missing)}; it has {', '.join(filter(None, file.header))}"
        )
    if unused:
        output.note(f"{file.path.name}: columns that are not used: {', '.join(unused)}")
    return found


# --------------------------------------------------------------------------------------------------------- refused rows

REASONS = ("_row", "_code", "_field", "_message")
_REJECTS = re.compile(r"\.rejects(-\d+)?\.csv$")
_NUMBER = re.compile(r"[-+]?\d[\d.,]*", re.ASCII)


class RejectFile:
    """The refused rows of a file, as a file that can be mended and imported as it is.

    The columns `_row`, `_code`, `_field`, `_message` say which row, and why; then come the input's own, cell for cell.
    The reasons come first so that a row with too many or too few cells keeps its place under the header, and is refused
    again until it is mended. Same delimiter as the input; UTF-8, with a mark where the input was not plain UTF-8.

    It is begun with the first refused row and appears, whole, when the `with` block ends without an exception. A file
    that is there already is kept, unless it is the same to the byte: the new one then takes the next free name
    (`leads.csv.rejects-2.csv`). `path` is the final name, `count` the number of rows, `kept` the older file's name.
    A `private` one can be read by its owner only.
    """

    def __init__(self, path: Path, source: CsvFile, *, private: bool = False) -> None:
        self.path, self.source, self.private = path, source, private
        self.count = 0
        self.kept: Path | None = None
        # The reasons of an earlier round, where the input is itself a reject file.
        self._old = {index for index, name in enumerate(source.header) if name in REASONS}
        self._exit = ExitStack()
        self._staged: Path | None = None
        self._writer: Any = None

    def __enter__(self) -> RejectFile:
        """Begin; nothing is written yet. Raises RequestError where nothing could be, before any work is done."""
        folder = self.path.absolute().parent
        if not os.access(folder, os.W_OK):
            raise RequestError(f"cannot write {self.path}: {folder} is not a folder that can be written to")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the file under its name; after an exception there is none."""
        self._exit.__exit__(kind, error, trace)
        if self._staged is not None and kind is None:
            self._publish(self._staged)

    def add(self, row: int, cells: Sequence[str], code: str, field: str, message: str) -> None:
        """Write one refused row: its line number, its cells, a code, the field at fault (or ""), what is wrong."""
        if self._writer is None:
            self._writer = self._open()
        own = [cell for index, cell in enumerate(cells) if index not in self._old]
        self._writer.writerow([row, code, field, *map(_harmless, [message, *own])])
        self.count += 1

    def _open(self) -> Any:
        self._staged = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        stream = self._exit.enter_context(output.atomic_file(self._staged, private=self.private))
        if self.source.encoding != "utf-8":
            stream.write("\ufeff")
        writer = output.csv_writer(stream, delimiter=self.source.delimiter)
        writer.writerow([*REASONS, *(name for index, name in enumerate(self.source.header) if index not in self._old)])
        return writer

    def _publish(self, staged: Path) -> None:
        first, number = self.path, 1
        while self.path.exists() and not filecmp.cmp(staged, self.path, shallow=False):
            self.kept, number = first, number + 1
            self.path = first.with_name(f"{first.stem}-{number}{first.suffix}")
        staged.replace(self.path)


def rejects_path(path: Path) -> Path:
    """Return where the refused rows of a file go unless told: next to it, or here where that folder is not writable.

    Those of a reject file go where the first round's went, so that the rounds are numbered.
    """
    name = f"{_REJECTS.sub('', path.name)}.rejects.csv"
    beside = path.absolute().parent
    return path.with_name(name) if os.access(beside, os.W_OK) else Path(name)


def _harmless(cell: str) -> str:
    """Neutralise a cell that a spreadsheet would run, for an importer that takes it as the same value as before."""
    if cell.startswith("'") or _NUMBER.fullmatch(cell) or not output.looks_like_formula(cell):
        return cell
    return f"'{cell}"
