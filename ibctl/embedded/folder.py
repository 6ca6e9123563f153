"""The data folder: whose it is, where it may lie, its lock, its files."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ibctl.errors import ConfigError

LOCK = "embedded.lock"
PORT = 5432  # the socket's number; on Windows the server takes a free port
SOCKET_PATH_LIMIT = 103  # bytes: macOS has 104 with the closing zero, Linux 108
LOG_LIMIT = 5_000_000  # bytes
LOCK_SECONDS = 360  # longer than a start, which may have a crash to recover from
WINDOWS = sys.platform == "win32"

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def is_root() -> bool:
    """Whether the caller is the superuser, as whom PostgreSQL refuses to run."""
    return sys.platform != "win32" and os.geteuid() == 0


def is_ours(root: Path) -> bool:
    """Whether this package made the folder."""
    return (root / LOCK).exists()


def own(data_dir: Path) -> Path:
    """Return the absolute path. Raises ConfigError when it is another user's: he would choose where we connect."""
    root = data_dir.absolute()
    with explained(root):
        if sys.platform == "win32" or not root.exists() or root.stat().st_uid == os.geteuid():
            return root
    raise ConfigError(f"{root} belongs to another user: run ibctl as that user, or set IBCTL_DATA_DIR to your own")


def socket_path(root: Path) -> Path:
    """Return where the server's socket is."""
    return root / "run" / f".s.PGSQL.{PORT}"


def check(root: Path) -> None:
    """Refuse a place that cannot work, before anything is made there. Raises ConfigError."""
    if not WINDOWS and len(os.fsencode(socket_path(root))) > SOCKET_PATH_LIMIT:
        raise ConfigError(
            f"the socket's path {socket_path(root)} is longer than the {SOCKET_PATH_LIMIT} bytes that the system "
            "allows: set IBCTL_DATA_DIR to a shorter path"
        )
    if "," in str(root):
        raise ConfigError(f"{root} has a comma, which libpq takes for two hosts: set IBCTL_DATA_DIR to another folder")
    # The names are read first: a lock that another process makes meanwhile is then seen in one way or the other.
    if root.exists() and {item.name for item in root.iterdir()} and not is_ours(root):
        raise ConfigError(f"{root} is not empty and not ibctl's: set IBCTL_DATA_DIR to another folder, or empty it")


def make(root: Path) -> None:
    """Make the folder and what is missing above it; what exists above it keeps its mode. Raises OSError."""
    for folder in reversed(root.parents):
        if not folder.exists():
            folder.mkdir(exist_ok=True)
            if is_root():  # whatever the umask: the server's user must pass
                folder.chmod(0o755)
    root.mkdir(exist_ok=True)
    root.chmod(0o711 if is_root() else 0o700)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises ConfigError when another process does not let go of it."""
    deadline = time.monotonic() + LOCK_SECONDS
    while (descriptor := lock(root)) is None:
        if time.monotonic() > deadline:
            raise ConfigError(f"another ibctl holds {root / LOCK} and does not let go: look for one that hangs")
        time.sleep(0.02)
    try:
        yield
    finally:
        os.close(descriptor)


def lock(root: Path) -> int | None:
    """Take the folder's lock; return the descriptor that holds it, or None while another process does. Raises OSError.

    The folder is made where it is missing. Closing the descriptor lets go.
    """
    make(root)  # also while we wait: `remove` may be what we wait for
    descriptor = os.open(root / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    with suppress(FileNotFoundError):
        # A lock on a file that was deleted while we waited is none: nobody else sees it.
        if _try_lock(descriptor) and os.path.samestat(os.fstat(descriptor), (root / LOCK).stat()):
            return descriptor
    os.close(descriptor)
    return None


@contextmanager
def workshop(root: Path) -> Iterator[Path]:
    """Make a folder for work, deleted at the end; what is whole by then is renamed out of it. Raises OSError."""
    work = Path(tempfile.mkdtemp(prefix="new.", dir=root))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only the caller can read, and wait until it is on the disk. Raises OSError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def settle(root: Path) -> None:
    """Wait until the folder's renames are on the disk. Raises OSError."""
    if not WINDOWS:  # where folders cannot be opened
        descriptor = os.open(root, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def pid_file(root: Path) -> list[str]:
    """Return the lines of postmaster.pid (pid, folder, start, port, …); empty ones where there is none."""
    try:
        lines = (root / "pgdata" / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    return [*lines, "", "", "", ""]


def recorded_pid(root: Path) -> int | None:
    """Return the postmaster's pid as it noted it; the process may be gone, or another one by now."""
    line = pid_file(root)[0].strip().removeprefix("-")  # the mark of a single-user server, for repairs
    return int(line) if line.isdigit() else None


def data_version(root: Path) -> str:
    """Return the major version of the cluster. Raises OSError."""
    return (root / "pgdata" / "PG_VERSION").read_text(encoding="ascii").strip()


def size(folder: Path) -> int:
    """Return the bytes in all files below `folder`."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # a running server's files come and go
                total += Path(place, name).stat().st_size
    return total


def trim_log(root: Path) -> None:
    """Empty the log when it has grown large. The server appends, so it may be cut while the server writes."""
    log = root / "server.log"
    with suppress(OSError):
        if log.stat().st_size > LOG_LIMIT:
            os.truncate(log, 0)


def delete(root: Path) -> None:
    """Delete what this package made, by name: what somebody else put there stays. Raises OSError."""
    for pattern in ("pgdata", "run", "new.*", "postgresql-*"):
        for folder in root.glob(pattern):
            shutil.rmtree(folder)
    for name in ("password", "server.log"):
        (root / name).unlink(missing_ok=True)
    if not WINDOWS:
        _delete_lock(root)


def delete_lock_where_open_files_stay(root: Path) -> None:
    """Finish `delete` on Windows, where the lock cannot be deleted while it is held."""
    if WINDOWS:
        _delete_lock(root)


def _delete_lock(root: Path) -> None:
    with suppress(OSError):  # another process is about to start anew, or there are foreign files
        (root / LOCK).unlink()
        root.rmdir()


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn an OSError into a ConfigError that names the file."""
    try:
        yield
    except OSError as exc:
        place = f": {exc.filename}" if exc.filename else ""
        raise ConfigError(f"the embedded server in {root} cannot be used: {exc.strerror or exc}{place}") from exc
