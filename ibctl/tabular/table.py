"""Rows under named columns, whatever the file's format: what an importer sees of a file."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ibctl import output
from ibctl.errors import RequestError
from ibctl.tabular.source import Source

# How often a reader learns how far it is.
ROWS_PER_REPORT = 2_000


class Misread(list[str]):
    """The cells of a row that could not be read as one; `reason` says why.

    It always has a cell more than the header. So every importer refuses it as it refuses a row of the wrong length, and
    so it stays refused when the reject file is imported as it is.
    """

    def __init__(self, cells: Iterable[str], reason: str) -> None:
        super().__init__(cells)
        # In one line that a database takes.
        self.reason = " ".join(reason.split()).replace("\0", "\\0")


def misfit(cells: Collection[str], width: int) -> str:
    """Say why a row has not as many cells as the header, `width`."""
    return cells.reason if isinstance(cells, Misread) else f"the row has {len(cells)} cells, the header {width}"


@dataclass(frozen=True, kw_only=True)
class Table(ABC):
    """A checked file: it can be read from end to end, and has a header."""

    source: Source = field(repr=False)
    header: list[str]
    # Of its reject file, which is CSV whatever the format: what stands between the cells, and whether it begins with
    # the mark by which spreadsheets know UTF-8.
    delimiter: str = ","
    marked: bool = False
    # The columns whose cells nobody wants.
    _unused: set[int] = field(default_factory=set, repr=False)

    @property
    def path(self) -> Path:
        """What messages call the file, and what its reject file is named after."""
        return self.source.path

    @property
    def size(self) -> int:
        """The number of the file's bytes, of which `rows` reports how many it has read."""
        return self.source.size

    def sha256(self) -> str:
        """Return the SHA-256, in hex, of the file's bytes."""
        return self.source.sha256()

    def heed(self, columns: Collection[int]) -> None:
        """Learn which columns matter: what cannot be read in another one is no fault of its row."""
        self._unused.clear()
        self._unused.update(set(range(len(self.header))).difference(columns))

    @abstractmethod
    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the cells of each row; `on_bytes` is told how many bytes have been read.

        Cells are as they stand in the file, neither stripped nor unneutralised (`rendering.unneutralise`): only the
        caller knows which are text. A row can have more or fewer than the header. Can be called again. Raises
        RequestError where the file cannot be read on, and when it was changed since it was opened.
        """


# --------------------------------------------------------------------------------------------------------------- header


def _looks_like_data(cell: str) -> bool:
    """Whether a cell is an email address, a date, a number or a phone number, rather than a column's name."""
    start = cell[:100]
    numeric = re.fullmatch(r"[-+\d .,:;()/]+([TZ][-+\d.:Z]*)?", start, re.ASCII) and any(map(str.isdigit, start))
    return bool(numeric or re.fullmatch(r"[^@\s]+@[^@\s]+\.\w+", start))


def require_names(path: Path, header: list[str], where: str) -> None:
    """Make sure that a file's first row, which stands at `where` ("line 1"), names columns. Raises RequestError."""
    data = next(filter(_looks_like_data, header), None)
    if data is not None:
        first = f"the first {where.split()[0]}"
        raise RequestError(f"{path}: {where} looks like data ('{data}'): {first} must name the columns")


def plain_name(header: str) -> str:
    """Return a header as names are compared: without case, spaces, underscores, hyphens and other marks."""
    return "".join(character for character in header.casefold() if character.isalnum())


def columns(
    file: Table,
    aliases: Mapping[str, Collection[str]],
    required: Collection[str] = (),
    *,
    any_of: Collection[str] = (),
    renamed: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Find the column of each field by its header: `{"email": 2}`. A field's own name is always an alias of it.

    `renamed` gives headers another field than their own, or "" for none. Says on stderr which columns are not used, and
    which of `renamed` are not there; those whose name begins with `_` (a reject file's) are passed over in silence.
    Raises RequestError when a field of `required` is missing, or all of `any_of`, or a field comes twice.
    """
    fields = {plain_name(name): key for key, names in aliases.items() for name in (key, *names)}
    chosen = {plain_name(name): key for name, key in (renamed or {}).items()}
    fields |= chosen
    found: dict[str, int] = {}
    unused: list[str] = []
    for index, name in enumerate(file.header):
        if name.startswith("_"):
            continue
        key = fields.get(plain_name(name))
        if key == "":
            continue
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
    absent = [name for name in renamed or {} if plain_name(name) not in set(map(plain_name, file.header))]
    if absent:
        output.note(f"{file.path.name}: the mapping's columns {', '.join(absent)} are not there")
    file.heed(found.values())
    return found
