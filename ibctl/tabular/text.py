"""Text files that people give to ibctl: opened with one clear line for whatever is wrong, decoded without guessing.

The encoding is what the file's own mark says, else UTF-8, else what `--encoding` says. Where none of them fits, the
refusal names the byte and its line, and shows how the likely encodings would read it.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ibctl.errors import RequestError

SAMPLE = 64 * 1024
CHUNK = 1024 * 1024
# A line beyond this is none: a reader would hold all of it.
LONGEST_LINE = 64 * CHUNK

# UTF-32's first: it begins as UTF-16's does.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NOT_TEXT = {
    # A workbook that is not packed never comes here, nor does what gzip packed once.
    b"PK\x03\x04": "an Excel workbook or a zip archive: unpack it first",
    b"\xd0\xcf\x11\xe0": "an Excel workbook, an old one (.xls) or one with a password: save it as .xlsx without",
    b"\x1f\x8b": "compressed with gzip, twice: unpack it first",
    b"%PDF": "a PDF",
}
# What a file without a mark comes in where it is not UTF-8.
_LIKELY = ("cp1252", "cp1250", "iso8859-2", "cp1251", "cp1253", "cp1254", "mac-roman", "cp850")


@contextmanager
def lines(stream: io.BufferedReader, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Give the lines from the stream's position on, with their own ends; leaves the stream open."""
    wrapper = io.TextIOWrapper(stream, encoding=encoding, errors="strict", newline="")
    try:
        yield wrapper
    finally:
        wrapper.detach()


def named_encoding(name: str) -> str:
    """Return Python's name of an encoding that a user named. Raises ValueError for one that does not exist."""
    try:
        "".encode(name)  # also refuses codecs that are not about text
        codecs.getincrementaldecoder(name)
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError(f"'{name}' is not known: write one like utf-8, cp1252 or utf-16") from None


def encoding_of(path: Path, stream: io.BufferedReader, wanted: str | None = None) -> str:
    """Return the encoding of a whole open file, which decodes from end to end; `wanted` is what the user named.

    Raises RequestError for an empty or binary file, one whose mark says otherwise, and a byte that does not decode.
    """
    stream.seek(0)
    sample = stream.read(SAMPLE)
    if not sample:
        raise RequestError(f"{path} is empty")
    for magic, what in _NOT_TEXT.items():
        if sample.startswith(magic):
            raise RequestError(f"{path} is not text but {what}")
    encoding = _marked(path, sample, wanted) or wanted or "utf-8"
    if wanted is None and encoding == "utf-8" and b"\0" in sample and _is_binary(sample):
        raise RequestError(f"{path} is binary, not text (or UTF-16 without its mark: then pass --encoding utf-16-le)")
    _require_decodable(path, stream, encoding)
    return encoding


def _marked(path: Path, sample: bytes, wanted: str | None) -> str | None:
    mark = next((name for beginning, name in _MARKS.items() if sample.startswith(beginning)), None)
    family = (mark or "").removesuffix("-sig")
    if mark is not None and wanted is not None and not wanted.startswith(family):
        raise RequestError(f"{path} begins with the mark of {family}, so it is not {wanted}: leave --encoding out")
    if mark is None and wanted in ("utf-16", "utf-32"):
        raise RequestError(
            f"{path} does not begin with the mark of {wanted}: pass --encoding {wanted}-le or {wanted}-be"
        )
    return mark


def _is_binary(sample: bytes) -> bool:
    # A stray NUL in one cell is that row's fault, not the file's.
    if b"\0" in sample.splitlines()[0]:
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return True
    return False


def _require_decodable(path: Path, stream: io.BufferedReader, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    may_skip = encoding in ("utf-8", "utf-8-sig")
    stream.seek(0)
    position = last_end = 0
    while True:
        chunk = stream.read(CHUNK)
        if b"\n" in chunk or b"\r" in chunk:
            last_end = position
        elif position - last_end > LONGEST_LINE:
            raise RequestError(f"{path} has a line that is longer than {LONGEST_LINE // CHUNK} MB: is it a text file?")
        pending = decoder.getstate()[0]
        # Nearly every file is ASCII nearly everywhere, and asking for that costs a tenth of decoding.
        if not (may_skip and position and chunk and not pending and chunk.isascii()):
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as exc:
                raise _undecodable(path, stream, position - len(pending) + exc.start, encoding) from None
        if not chunk:
            return
        position += len(chunk)


def _undecodable(path: Path, stream: io.BufferedReader, offset: int, encoding: str) -> RequestError:
    stream.seek(0)
    line, left = 1, offset
    while left > 0:
        chunk = stream.read(min(CHUNK, left))
        line += chunk.count(b"\n")
        left -= len(chunk)
    reach = min(30, offset)
    stream.seek(offset - reach)
    before, after = stream.read(reach), stream.read(30)
    readings = _readings(before, after)
    return RequestError(
        f"{path}, line {line}: byte 0x{after[0]:02X} is not {encoding}; pass --encoding with what the file is in"
        + (f": {readings}" if readings else "")
    )


def _readings(before: bytes, after: bytes) -> str:
    """Show the cell around an undecodable byte as each likely encoding reads it."""
    end = re.compile(rb"[,;|\t\r\n\"]")
    cell = end.split(before)[-1] + end.split(after)[0]
    by_text: dict[str, list[str]] = {}
    for name in _LIKELY:
        try:
            text = cell.decode(name)
        except UnicodeDecodeError:
            continue
        if text.isprintable():
            by_text.setdefault(text, []).append(name)
    return ", ".join(f"{' or '.join(names)} reads '{text}'" for text, names in by_text.items())
