"""The rows of a file that were refused, as a file that can be mended and imported as it is."""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from ibctl import outfiles, output, rendering
from ibctl.errors import RequestError, UsageError
from ibctl.tabular.source import STANDARD_INPUT
from ibctl.tabular.table import Table

REASONS = ("_row", "_code", "_field", "_message")
_REJECTS = re.compile(r"\.rejects(-\d+)?\.csv$")
_NUMBER = re.compile(r"[-+]?\d[\d.,]*", re.ASCII)


class RejectFile:
    """The refused rows of a file, as a file that can be mended and imported as it is.

    The columns `_row`, `_code`, `_field`, `_message` say which row, and why; then come the input's own, cell for cell.
    The reasons come first so that a row with too many or too few cells keeps its place under the header, and is refused
    again until it is mended. CSV whatever the input was; of a CSV file it keeps the delimiter. UTF-8, with a mark where
    the input was a workbook or not plain UTF-8.

    It is begun with the first refused row and appears, whole, when the `with` block ends without an exception. A file
    that is there already is kept, unless it is the same to the byte: the new one then takes the next free name
    (`leads.csv.rejects-2.csv`). `path` is the final name, `count` the number of rows, `kept` the older file's name.
    A `private` one can be read by its owner only.

    What is there and is no regular file (/dev/null, a pipe) is written to as it is: then `is_device`.
    """

    def __init__(self, path: Path, source: Table, *, private: bool = False) -> None:
        self.path, self.source, self.private = path, source, private
        self.count = 0
        self.kept: Path | None = None
        # The reasons of an earlier round, where the input is itself a reject file.
        self._old = {index for index, name in enumerate(source.header) if name in REASONS}
        self._exit = ExitStack()
        self._staged: Path | None = None
        self._writer: Any = None
        self.is_device = outfiles.is_device(path)

    def __enter__(self) -> RejectFile:
        """Begin; nothing is written yet.

        Raises RequestError where nothing could be, and UsageError for `-` and a file that is open already (/dev/stdout
        after `> FILE`), in which the rows and what else is said would lie upon each other, before any work is done.
        """
        if self.path == STANDARD_INPUT or (self.is_device and self.path.is_file()):
            raise UsageError(
                f"--rejects {self.path} will not do: refused rows go to a file of their own; name one, or /dev/null"
            )
        if self.path.is_dir():
            raise RequestError(f"cannot write {self.path}: it is a directory: name a file in it")
        folder = self.path.absolute().parent
        if not self.is_device and not os.access(folder, os.W_OK):
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
        self._writer.writerow([row, code, field, *map(harmless, [message, *own])])
        self.count += 1

    def _open(self) -> Any:
        target = self.path if self.is_device else self._stage()
        stream = self._exit.enter_context(outfiles.atomic_file(target, private=self.private))
        if self.source.marked:
            stream.write("\ufeff")
        writer = output.csv_writer(stream, delimiter=self.source.delimiter)
        own = (name for index, name in enumerate(self.source.header) if index not in self._old)
        # The exact opposite of what reading a header does.
        writer.writerow([*REASONS, *map(rendering.cell, own)])
        return writer

    def _stage(self) -> Path:
        self._staged = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        return self._staged

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


def harmless(cell: str) -> str:
    """Neutralise a cell that a spreadsheet would run, for an importer that takes it as the same value as before."""
    if cell.startswith("'") or _NUMBER.fullmatch(cell) or not rendering.looks_like_formula(cell):
        return cell
    return f"'{cell}"
