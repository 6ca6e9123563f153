"""Files out: whole or not at all where that is possible, and never more open than what they take the place of."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ibctl.errors import RequestError

# Bytes: a call of the system for each few lines would cost a large export a tenth of its time.
WRITTEN_AT_ONCE = 256 * 1024
# What these lead to is open already, by somebody who wants to go on with it.
_OPEN_ALREADY = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")


@contextmanager
def atomic_file(path: Path, *, private: bool = False, lasting: bool = True) -> Iterator[TextIO]:
    """Open a text file that appears under its name only when it is complete; a `private` one with mode 0600.

    A file that is there keeps its mode and owner, a link goes on leading to it, and what is no file (/dev/null, a pipe)
    is written to as it is. A `lasting` one is waited for until it lies on the disk; for thousands of files that can
    simply be made again, that would be most of the time. Raises RequestError naming the path when it cannot be written.
    """
    try:
        with _device(path) if is_device(path) else _replacement(path, private=private, lasting=lasting) as stream:
            yield stream
    except OSError as exc:
        raise RequestError(f"cannot write {path}: {exc.strerror}") from None


def make_folder(path: Path) -> None:
    """Make sure that a folder is there; a new one is its owner's only. Raises RequestError naming it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise RequestError(f"cannot make the folder {path}: {exc.strerror}") from None


def is_device(path: Path) -> bool:
    """Whether something is written to as it is: what is there and no file, and what this process has open already."""
    there = path.exists() and not path.is_file() and not path.is_dir()
    return there or str(path.absolute()).startswith(_OPEN_ALREADY)


def _device(path: Path) -> TextIO:
    # Appending: where standard output is a file, its beginning may hold what another program wrote.
    return path.open("a", WRITTEN_AT_ONCE, encoding="utf-8", newline="")


@contextmanager
def _replacement(path: Path, *, private: bool, lasting: bool) -> Iterator[TextIO]:
    target = Path(os.path.realpath(path))
    before = _standing(target)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", WRITTEN_AT_ONCE, encoding="utf-8", newline="") as stream:
            yield stream
            stream.flush()
            if lasting:
                os.fsync(stream.fileno())
        if not private:  # as it was made
            _open_up(name, before)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _standing(target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _open_up(name: str, before: os.stat_result | None) -> None:
    """Give a new file the mode and the owner of the one that it replaces; without one, the usual mode."""
    mode = 0o666 & ~_umask() if before is None else stat.S_IMODE(before.st_mode) & 0o777
    if before is not None and not _handed_over(name, before):
        # Of another group than before, which may do no more than anybody.
        mode &= ~0o070 | (mode & 0o007) << 3
    Path(name).chmod(mode)


def _handed_over(name: str, before: os.stat_result) -> bool:
    """Give a file to the owner and group that the former one had; False where this user may not."""
    now = Path(name).stat()
    if (now.st_uid, now.st_gid) == (before.st_uid, before.st_gid) or not hasattr(os, "chown"):
        return True
    try:
        os.chown(name, before.st_uid, before.st_gid)
    except PermissionError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
