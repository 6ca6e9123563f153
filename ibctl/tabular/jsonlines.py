"""Newline-delimited JSON (NDJSON): one object a line, its keys the columns.

The columns are the keys of all lines, in the order in which they come; a key that a line lacks, and null, is an empty
cell. Numbers keep the digits that are written, true and false are the words. A line that is no object, and one with an
object or a list in a column that is wanted, is that row's fault. One JSON array, as an export writes it, is refused.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ibctl import rendering
from ibctl.errors import RequestError
from ibctl.tabular import text
from ibctl.tabular.source import Source
from ibctl.tabular.table import ROWS_PER_REPORT, Misread, Table

NAMES = (".ndjson", ".jsonl", ".json")
# Keys beyond this are values in the wrong place, such as ids; each would be a cell of every row.
MOST_COLUMNS = 1_000
_BLANK = "\ufeff \t\r\n"
_PUT_ON_LINES = "put each row on a line, as `jq -c '.[]'` does"
_NESTED = frozenset({dict, list})
# A whole array: its rows come next, or its end. A CSV file whose first column is called [x] is none.
_ARRAY = re.compile(r"\s*\[\s*([{\]]|$)")
_WORDS = {None: "", True: "true", False: "false"}


@dataclass(frozen=True, kw_only=True)
class JsonLines(Table):
    """A checked NDJSON file; at least one of its lines is an object."""

    encoding: str
    decimal_comma: bool

    def rows(self, on_bytes: Callable[[int], None] | None = None) -> Iterator[tuple[int, list[str]]]:
        """Yield the line number and the cells of each object; see `Table.rows`."""
        with self.source.opened() as content, text.lines(content.stream, self.encoding) as lines:
            for number, line in enumerate(lines, start=1):
                if not line.isspace():
                    yield number, self._cells(line)
                if on_bytes is not None and number % ROWS_PER_REPORT == 0:
                    on_bytes(content.position())
        if on_bytes is not None:
            on_bytes(self.size)

    def _cells(self, line: str) -> list[str]:
        try:
            values = _object(line, _WITH_COMMA if self.decimal_comma else _DECODER)
        except ValueError as exc:
            return Misread([*[""] * len(self.header), line.strip()], f"the line is no JSON object: {exc}")
        found = [values.get(key) for key in self.header]
        # Nearly every value is a text that stands for itself.
        cells = [v if type(v) is str and v[:1] != "'" else _cell(v) for v in found]
        if not _NESTED.isdisjoint(map(type, found)):
            for index, value in enumerate(found):
                if type(value) in _NESTED and index not in self._unused:
                    what = "an object" if isinstance(value, dict) else "a list"
                    return Misread([*cells, cells[index]], f"{self.header[index]} is {what}, not one value")
        return cells


def is_object(line: str) -> bool:
    """Whether a line is a JSON object."""
    try:
        _object(line)
    except ValueError:
        return False
    return True


def is_array(line: str) -> bool:
    """Whether a line begins a JSON array of objects."""
    return _ARRAY.match(line) is not None


def open_json_lines(source: Source, *, encoding: str | None = None, decimal_comma: bool = False) -> JsonLines:
    """Check a file from end to end, as NDJSON; `encoding` is what `named_encoding` gives.

    Raises RequestError for what cannot be read as such.
    """
    with source.opened() as content:
        found = text.encoding_of(source.path, content.stream, encoding)
        content.stream.seek(0)
        with text.lines(content.stream, found) as lines:
            header = _keys(source, lines)
    return JsonLines(source=source, header=header, encoding=found, decimal_comma=decimal_comma)


def _keys(source: Source, lines: Iterator[str]) -> list[str]:
    first = next((line for line in lines if line.strip(_BLANK)), "")
    if first.strip(_BLANK).startswith("["):
        raise RequestError(f"{source.path} is one JSON array: {_PUT_ON_LINES}")
    keys: dict[str, None] = {}
    for line in itertools.chain([first], lines):
        try:
            keys.update(dict.fromkeys(_object(line)))
        except ValueError:
            continue  # that row's fault
        if len(keys) > MOST_COLUMNS:
            raise RequestError(f"{source.path}: its lines have more than {MOST_COLUMNS:,} different keys")
    if not keys:
        raise RequestError(f"{source.path}: no line of it is a JSON object with keys: {_PUT_ON_LINES}")
    return list(keys)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it has '{next(name for name in names if names.count(name) > 1)}' twice")
    return values


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _decoder(mark: str) -> json.JSONDecoder:
    """Return what reads a line; numbers stay texts, with this decimal mark."""
    return json.JSONDecoder(
        parse_float=lambda number: number.replace(".", mark), parse_int=str, parse_constant=_constant,
        object_pairs_hook=_pairs,
    )  # fmt: skip


_DECODER, _WITH_COMMA = _decoder("."), _decoder(",")


def _object(line: str, decoder: json.JSONDecoder = _DECODER) -> dict[str, Any]:
    """Read a line. Raises ValueError saying what is wrong."""
    try:
        values = decoder.decode(line.strip(_BLANK))
    except json.JSONDecodeError as exc:
        raise ValueError(f"{exc.msg}, at its character {exc.pos + 1}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError(f"it begins with '{line.strip()[:20]}'")
    if "\\u" in line:
        _require_text(values)
    return values


def _require_text(values: dict[str, Any]) -> None:
    # JSON can escape half of a character's surrogate pair, which no encoding can write.
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has half of a surrogate pair (\\ud800 to \\udfff), which is no character") from None


def _cell(value: Any) -> str:
    if isinstance(value, str):
        # An importer takes off the apostrophe that a CSV export puts before a formula. This one is the value's own.
        return value if rendering.unneutralise(value) == value else f"'{value}"
    if value is None or isinstance(value, bool):
        return _WORDS[value]
    return json.dumps(value, ensure_ascii=False)
