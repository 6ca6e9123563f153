"""The embedded server: a real PostgreSQL out of a wheel, for whoever has no `DATABASE_URL`.

Only the wheel's programs are used; what is done with them is decided here. A data folder holds

    embedded.lock     made first and removed last: one process at a time, and the mark that the folder is ours
    pgdata/           the cluster; made elsewhere and renamed, so it is whole or not there
    password          of the one role, `ibctl`; for the caller's eyes only
    run/              the socket; nothing listens on the network (on Windows: a loopback port)
    server.log        what the server said
    postgresql-…/     a copy of the wheel's programs, only where root's server could not reach them

As root the server runs as the system user `pgserver`, who owns `pgdata`, `run` and `server.log` and nothing else. The
server stays up when the process ends. Nothing but a connection proves that it lives: pid files and sockets outlast it.
`folder` knows the data folder, `programs` the wheel, `server` the running of the one on the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from ibctl.embedded import folder, programs, server
from ibctl.errors import RequestError

__all__ = ["Status", "remove", "start", "status", "stop"]


@dataclass(frozen=True)
class Status:
    """The state of an embedded server. `address` has no password in it; `started_at` is naive UTC."""

    state: Literal["running", "stopped", "not created"]
    data_dir: Path
    log: Path
    size: int
    version: str | None = None
    pid: int | None = None
    address: str | None = None
    started_at: datetime | None = None


def start(data_dir: Path, *, settings: Mapping[str, str] = {}) -> str:
    """Make sure that the server on `data_dir` is up, and return its libpq URL, password included.

    `settings` go into postgresql.conf when the data folder is first made. Raises ConfigError.
    """
    root = folder.own(data_dir)
    if url := server.answering(root):
        folder.trim_log(root)
        return url
    with folder.explained(root):
        programs.wheel()
        folder.check(root)
        programs.check_way(root)
        with folder.locked(root):
            return server.answering(root) or server.bring_up(root, settings)


def stop(data_dir: Path) -> bool:
    """Stop the server, ending its sessions, and wait for it; False when it was not running. Raises ConfigError."""
    root = folder.own(data_dir)
    if not folder.is_ours(root):
        return False
    with folder.explained(root), folder.locked(root):
        return server.shut_down(root)


def status(data_dir: Path) -> Status:
    """Say whether the server answers, and where. Raises ConfigError when the folder belongs to another user."""
    root = folder.own(data_dir)
    common: dict[str, Any] = {"data_dir": root, "log": root / "server.log", "size": folder.size(root / "pgdata")}
    if not (root / "pgdata").exists():
        return Status("not created", **common)
    version = folder.data_version(root)
    with suppress(OSError, ValueError):  # without a password, or a port, nothing can be running
        url = server.address(root)
        if found := server.identity(url):
            shown, pid = re.sub(r":[^:@/]+@", "@", url), folder.recorded_pid(root)
            return Status("running", version=found[0] or version, pid=pid, address=shown, started_at=found[1], **common)
    return Status("stopped", version=version, **common)


def remove(data_dir: Path) -> bool:
    """Stop the server and delete all that this package made; False when there was nothing.

    Raises RequestError when the folder is not an embedded server's, ConfigError when it cannot be stopped or deleted.
    """
    root = folder.own(data_dir)
    if not root.exists():
        return False
    if not folder.is_ours(root):
        raise RequestError(f"{root} was not made by ibctl's embedded server, so nothing was deleted: delete it by hand")
    with folder.explained(root):
        with folder.locked(root):
            server.shut_down(root)
            folder.delete(root)
        folder.delete_lock_where_open_files_stay(root)
    return True
