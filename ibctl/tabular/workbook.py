"""Excel workbooks (.xlsx): one sheet of them, its typed cells as the texts that a CSV file would hold.

Dates become ISO 8601, whole numbers have no point, other numbers at most the 15 digits that Excel shows, without an
exponent; a phone number typed as a number is its digits. A formula is the value that Excel last computed. A cell that
is an error (#N/A), and a formula that was never computed, is its row's fault where the column is wanted. A row's number
is the spreadsheet's own.

The sheet is in memory as long as it is open, unlike every other format: see MOST_BYTES.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from ibctl.errors import NotFoundError, RequestError
from ibctl.tabular import cell_faults
from ibctl.tabular.source import Source
from ibctl.tabular.table import ROWS_PER_REPORT, Misread, Table, require_names

MAGIC = b"PK\x03\x04"
# Of a sheet, unpacked. A million rows of eight columns have about 400 MB and take about 700 MB of memory.
MOST_BYTES = 1_000_000_000
# Whole numbers below this have all of their digits.
_EXACT = 1e15


@dataclass(frozen=True, kw_only=True)
class Sheet(Table):
    """A sheet whose first row with a value names the columns; `name` is its own, `others` those of the other sheets."""

    name: str
    others: Sequence[str]
    header_row: int
    first_column: int
    # What is wrong with which cells: by row (1 is the first) and column (0 is the first), both the spreadsheet's.
    faults: Mapping[int, Mapping[int, str]]
    decimal_comma: bool
    _cells: Any = field(repr=False)

    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield the spreadsheet's row number and the cells of each row; see `Table.rows`."""
        height = self._cells.total_height
        for number, values in enumerate(self._cells.iter_rows(), start=1):
            faults = self.faults.get(number)
            if number > self.header_row and (faults or any(value != "" for value in values)):
                cells = self._fitted(
                    [value if type(value) is str else as_text(value, self.decimal_comma) for value in values]
                )
                yield number, self._marked(cells, number, faults) if faults else cells
            if on_bytes is not None and number % ROWS_PER_REPORT == 0:
                on_bytes(self.size * number // height)
        if on_bytes is not None:
            on_bytes(self.size)

    def _fitted(self, cells: list[str]) -> list[str]:
        """Leave out the empty cells behind the header's: they are there for their colour or width."""
        width = len(self.header)
        while len(cells) > width and not cells[-1]:
            cells.pop()
        return cells

    def _marked(self, cells: list[str], number: int, faults: Mapping[int, str]) -> list[str]:
        for column, fault in faults.items():
            index = column - self.first_column
            if index < len(self.header) and index not in self._unused:
                place = f"{cell_faults.letters(column)}{number}"
                return Misread([*cells, place], f"cell {place} ({self.header[index]}) is {fault}")
        return cells


def open_sheet(source: Source, *, name: str | None = None, decimal_comma: bool = False) -> Sheet:
    """Read a sheet of a workbook, the first visible one unless `name` says which.

    Raises RequestError for what is no such workbook, or too large; NotFoundError when there is no such sheet.
    """
    import python_calamine

    broken = (python_calamine.CalamineError, zipfile.BadZipFile, ElementTree.ParseError, expat.ExpatError, zlib.error)
    with source.opened() as content:
        try:
            return _read(source, content.stream, name, decimal_comma)
        # RuntimeError is zipfile's word for a part that is encrypted, or packed in a way that it does not know.
        except (*broken, KeyError, ValueError, EOFError, RuntimeError) as exc:
            raise RequestError(f"{source.path} cannot be read as an Excel workbook, it is damaged ({exc})") from None


def _read(source: Source, stream: Any, name: str | None, decimal_comma: bool) -> Sheet:
    import python_calamine

    with zipfile.ZipFile(stream) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            raise RequestError(
                f"{source.path} is no Excel workbook (.xlsx) but another kind of archive: unpack it first"
            )
        stream.seek(0)
        book = python_calamine.CalamineWorkbook.from_filelike(stream)
        chosen, others = _choose(source, book, name)
        part = cell_faults.part_of(archive, chosen)
        _require_size(source, archive, part)
        sheet = book.get_sheet_by_name(chosen)
        header_row, header = _header(source, sheet)
        return Sheet(
            source=source, header=header, marked=True, name=chosen, others=others, header_row=header_row,
            first_column=(sheet.start or (0, 0))[1], faults=cell_faults.find(archive, part),
            decimal_comma=decimal_comma, _cells=sheet,
        )  # fmt: skip


def _choose(source: Source, book: Any, name: str | None) -> tuple[str, list[str]]:
    """Return the name of the sheet that is meant, and those of the others."""
    from python_calamine import SheetTypeEnum, SheetVisibleEnum

    sheets = [one for one in book.sheets_metadata if one.typ == SheetTypeEnum.WorkSheet]
    names = [one.name for one in sheets]
    visible = [one.name for one in sheets if one.visible == SheetVisibleEnum.Visible]
    if name is not None and name not in names:
        raise NotFoundError(f"{source.path} has no sheet '{name}'; it has {', '.join(names)}")
    if name is None and not visible:
        raise RequestError(f"{source.path} has no sheet that can be seen; --sheet names one of {', '.join(names)}")
    chosen = visible[0] if name is None else name
    return chosen, [other for other in visible if other != chosen]


def _require_size(source: Source, archive: zipfile.ZipFile, part: str) -> None:
    size = archive.getinfo(part).file_size
    if size > MOST_BYTES:
        raise RequestError(
            f"{source.path} has a sheet of {size / 1e9:,.1f} GB, which would have to be in memory: save it as CSV"
        )


def _header(source: Source, sheet: Any) -> tuple[int, list[str]]:
    for number, values in enumerate(sheet.iter_rows(), start=1):
        header = [as_text(value).strip() for value in values]
        while header and not header[-1]:
            header.pop()
        if header:
            require_names(source.path, header, f"row {number}")
            return number, header
    raise RequestError(f"{source.path} is empty: its sheet '{sheet.name}' has no cell with a value")


# --------------------------------------------------------------------------------------------------------------- values


def as_text(value: Any, decimal_comma: bool = False) -> str:
    """Write a cell's value as a CSV file would have it, which may be one with decimal commas."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        number = _number(float(value))
        return number.replace(".", ",") if decimal_comma else number
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    assert isinstance(value, timedelta)  # of a column that shows hours beyond 24
    seconds = round(value.total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    # 15 digits, as Excel keeps them: 0.1 + 0.2 is 0.3.
    return f"{Decimal(f'{value:.15g}'):f}"
