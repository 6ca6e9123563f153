"""Files that users give as input: opened for their bytes with one clear line for whatever is wrong.

`-` is standard input. An import reads its file more than once, so that is copied into a temporary file which only this
user can read (mode 0600) and which has no name where the system allows it: not even a killed process leaves it behind.
What is packed with gzip is unpacked while it is read.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ibctl import utf8
from ibctl.errors import RequestError, UsageError

STANDARD_INPUT = Path("-")
_GZIP = b"\x1f\x8b"
_BUFFER = 128 * 1024

# Device, inode, size and time of the last change: what tells that a file is still the one that was checked.
Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Content:
    """A file's content, unpacked; `position` is how many of the file's own bytes have been read."""

    stream: io.BufferedReader
    position: Callable[[], int]


@dataclass(frozen=True)
class Source:
    """A file that can be read again and again, as long as it stays what it was; `path` is what messages call it."""

    path: Path
    packed: bool
    stamp: Stamp
    _raw: Callable[[], io.BufferedReader] = field(repr=False)

    @property
    def size(self) -> int:
        """The number of the file's own bytes."""
        return self.stamp[2]

    @contextmanager
    def opened(self) -> Iterator[Content]:
        """Open the content from its beginning.

        Raises RequestError when what is packed is damaged, and when the file was changed since it was first opened.
        """
        with self._unchanged() as raw:
            if not self.packed:
                yield Content(raw, raw.tell)
                return
            with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                try:
                    # The buffer spares the reader of lines many small reads.
                    yield Content(io.BufferedReader(unpacked, _BUFFER), raw.tell)
                except EOFError:
                    raise RequestError(f"{self.path} is cut off: its gzip data have no end") from None
                except (gzip.BadGzipFile, zlib.error) as exc:
                    raise RequestError(f"{self.path}: its gzip data are damaged ({exc})") from None

    def sha256(self) -> str:
        """Return the SHA-256, in hex, of the file's own bytes. Raises RequestError when it was changed."""
        with self._unchanged() as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()

    @contextmanager
    def _unchanged(self) -> Iterator[io.BufferedReader]:
        with self._raw() as raw:
            self._require_unchanged(raw)
            yield raw
            self._require_unchanged(raw)

    def _require_unchanged(self, raw: io.BufferedReader) -> None:
        if _stamp(raw) != self.stamp:
            raise RequestError(f"{self.path} was changed while it was being read: wait until it is complete")


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file, or what comes in on standard input.

    Raises RequestError for what does not exist, is no regular file, or cannot be read; UsageError for `-` where nobody
    pipes anything in.
    """
    if path != STANDARD_INPUT:
        yield _source(path, partial(_regular, path))
        return
    with tempfile.TemporaryFile(prefix="ibctl-") as copy:
        _spool(copy)
        # As a path it gives a name to the reject file, here where the command runs.
        yield _source(Path("stdin"), lambda: io.BufferedReader(_Reader(copy.fileno())))


def sha256(path: Path) -> str:
    """Return the SHA-256, in hex, of a file's bytes. Raises RequestError when it cannot be read."""
    with _regular(path) as raw:
        return hashlib.file_digest(raw, "sha256").hexdigest()


def _source(path: Path, raw: Callable[[], io.BufferedReader]) -> Source:
    # Reports and records name it, and so does its reject file: none of them can hold bytes that are no text.
    path = path.parent / utf8.escaped(path.name)
    with raw() as stream:
        return Source(path, stream.read(len(_GZIP)) == _GZIP, _stamp(stream), raw)


def _regular(path: Path) -> io.BufferedReader:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise RequestError(f"{path} is a directory: name a file in it")
        if not stat.S_ISREG(mode):
            raise RequestError(
                f"{path} is no regular file, and ibctl reads it more than once: save it to a file first, "
                "or pipe it in and write - for the file"
            )
        return path.open("rb")
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist") from None
    except OSError as exc:
        raise RequestError(f"cannot read {path}: {exc.strerror}") from None


def _stamp(stream: io.BufferedReader) -> Stamp:
    now = os.fstat(stream.fileno())
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


# ------------------------------------------------------------------------------------------------------- standard input


def _spool(copy: BinaryIO | Any) -> None:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "- is standard input, and nothing is piped in: write `… | ibctl …`, `ibctl … < FILE`, or a file"
        )
    try:
        shutil.copyfileobj(sys.stdin.buffer, copy, 1024 * 1024)
        copy.flush()
    except OSError as exc:
        raise RequestError(f"cannot keep a copy of standard input in {tempfile.gettempdir()}: {exc.strerror}") from None


class _Reader(io.RawIOBase):
    """Reads a descriptor that others read too: each reader has a position of its own."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor, self._position = descriptor, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def readinto(self, buffer: Any) -> int:
        os.lseek(self._descriptor, self._position, os.SEEK_SET)
        data = os.read(self._descriptor, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: os.fstat(self._descriptor).st_size}[whence]
        self._position = start + offset
        return self._position
