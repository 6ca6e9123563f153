"""What a workbook's sheet says wrongly: cells that are errors, and formulas without a value.

python-calamine, which reads the sheet, gives both as empty cells. An amount that is #N/A must not become an empty one,
so the sheet's XML is looked through for them: by a pattern first, since reading every cell takes a minute for a million
rows, and hardly a sheet has any.
"""

from __future__ import annotations

import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree
from xml.parsers import expat

_CHUNK = 1024 * 1024
# Longer than any match: `<f t="shared" ref="A1:A9" si="0"/>` with what follows it.
_OVERLAP = 1024
_ERROR = rb"\bt=[\"']e[\"']"
# An end of a formula that no value follows.
_WITHOUT_VALUE = rb"(?:<(?:\w+:)?f\b[^>]*/>|</(?:\w+:)?f>)\s*(?:</|<(?:\w+:)?v\s*/>|<(?:\w+:)?v></)"
_SUSPECT = re.compile(_ERROR + b"|" + _WITHOUT_VALUE)
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_STRICT_RELATION = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"
NOT_COMPUTED = "a formula without a value: open the workbook in Excel and save it"

Faults = Mapping[int, Mapping[int, str]]


def find(archive: zipfile.ZipFile, part: str) -> Faults:
    """Return what is wrong with which cells, by row (1 is the first) and column (0 is the first).

    `part` is the sheet's, of the archive. Raises ExpatError for what is no XML.
    """
    if not any(_SUSPECT.search(piece) for piece in _pieces(archive, part)):
        return {}
    reader = _FaultReader()
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            reader.parser.Parse(chunk)
        reader.parser.Parse(b"", True)
    return reader.faults


def part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return the name of the archive's part that holds a sheet. Raises KeyError, or ParseError for what is no XML."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 - expat expands no entity bombs
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    by_id = {relation.get("Id"): relation.get("Target", "") for relation in relations}
    for element in book.iter():
        if element.tag.endswith("}sheet") and element.get("name") == sheet:
            target = by_id[element.get(_RELATION) or element.get(_STRICT_RELATION)]
            return target[1:] if target.startswith("/") else f"xl/{target}"
    raise KeyError(sheet)


def letters(column: int) -> str:
    """Return a column's letters: 0 is A, 26 is AA."""
    text = ""
    while column >= 0:
        text = chr(ord("A") + column % 26) + text
        column = column // 26 - 1
    return text


def _pieces(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    before = b""
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            yield before + chunk
            before = chunk[-_OVERLAP:]


class _FaultReader:
    """Reads a sheet's XML, cell by cell."""

    def __init__(self) -> None:
        self.faults: dict[int, dict[int, str]] = defaultdict(dict)
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._row = self._column = 0
        self._kind = self._value = ""
        self._formula = self._in_value = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "row":
            self._row, self._column = int(attributes.get("r", self._row + 1)), -1
        elif tag == "c":
            self._column = _column(attributes["r"]) if "r" in attributes else self._column + 1
            self._kind, self._value, self._formula = attributes.get("t", "n"), "", False
        elif tag == "f":
            self._formula = True
        elif tag == "v":
            self._in_value = True

    def _text(self, text: str) -> None:
        if self._in_value:
            self._value += text

    def _end(self, name: str) -> None:
        tag = name.rpartition(" ")[2]
        if tag == "v":
            self._in_value = False
        elif tag == "c" and self._kind == "e":
            self.faults[self._row][self._column] = f"an error, {self._value or '#N/A'}"
        elif tag == "c" and self._formula and not self._value and self._kind != "str":
            self.faults[self._row][self._column] = NOT_COMPUTED


def _column(place: str) -> int:
    number: int = 0
    for character in place:
        if not character.isalpha():
            break
        number = number * 26 + ord(character.upper()) - ord("A") + 1
    return number - 1
