"""A real PostgreSQL for every test, and `ibctl` as a callable.

The server is the embedded one, once for a session, with fsync off. A template database is built by running the
migrations; each test that asks for `database` gets a copy of its own, so that no test sees another's rows.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from typer.testing import CliRunner

from ibctl import cli, config, db, embedded
from ibctl.admin.database import schema
from ibctl.integrations.facebook import client
from tests.fakes.graph import Server as Graph

# How fast a machine happens to be says nothing about a property.
settings.register_profile("ibctl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ibctl")

# A shell lets what it starts in the background ignore Ctrl-C, and so would the processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Words after `ibctl` → what a shell offers to go on with.
Tab = Callable[[str], list[str]]
KEY = "0123456789abcdefghijklmnopqrstuv"
TEMPLATE = "ibctl_template"
ROOT = Path(__file__).parent.parent
# Nothing in a test needs to survive a power cut.
UNSAFE_BUT_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "60"}


@dataclass(frozen=True)
class Server:
    """The session's server; `url` addresses one of its databases."""

    base: str

    def url(self, name: str) -> str:
        return self.base.replace("/ibctl?", f"/{name}?")

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def create(self, name: str, template: str = "template1") -> str:
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def drop(self, name: str) -> None:
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@dataclass(frozen=True)
class Result:
    """How a run of `ibctl` ended."""

    exit_code: int
    stdout: str
    stderr: str


def ok(result: Result) -> Result:
    """Have a run that ended well."""
    assert result.exit_code == 0, result.stdout + result.stderr
    return result


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    # Not pytest's own folder: that has mode 0700, and the server's user must be able to pass when root runs the tests.
    folder = Path(tempfile.mkdtemp(prefix="ibctl-test-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield Server(embedded.start(folder / "pg", settings=UNSAFE_BUT_FAST))
    finally:
        embedded.stop(folder / "pg")
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def template(server: Server) -> str:
    url = server.create(TEMPLATE)
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        schema.upgrade(connection)
    return TEMPLATE


@pytest.fixture(autouse=True)
def isolation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No setting of the developer's reaches a test, and no cached one leaves it."""
    for name in [*config.SETTINGS, *(name for name in os.environ if name.startswith("IBCTL_")), "COLUMNS"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IBCTL_ACTOR", "tester")
    monkeypatch.setenv("ENCRYPTION_KEY", KEY)
    monkeypatch.setenv("IBCTL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    config.use_env_file(None)
    config.use_command([])
    db.forget()
    yield
    config.use_env_file(None)
    db.forget()


@pytest.fixture
def empty_database(server: Server) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture
def database(server: Server, template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated database of the test's own, as DATABASE_URL."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    url = server.create(name, template)
    monkeypatch.setenv("DATABASE_URL", url)
    config.use_env_file(None)
    db.forget()
    yield url
    db.forget()
    server.drop(name)


@pytest.fixture
def sql(database: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Run one statement as the web application would: outside ibctl, committed at once."""

    def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(database, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def ibctl() -> Callable[..., Result]:
    """Run a command in this process: `ibctl("users", "list", input="…")`."""

    def run(*arguments: str | Path, input: str | bytes | None = None) -> Result:
        db.forget()
        outcome = CliRunner().invoke(cli.app, [str(a) for a in arguments], input=input, prog_name="ibctl")
        if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
            raise outcome.exception
        return Result(outcome.exit_code, outcome.stdout, outcome.stderr)

    return run


def pressed(words: str, shell: str = "bash") -> dict[str, str]:
    """What a shell puts into the environment of `ibctl` when somebody presses Tab after `ibctl` and these words."""
    line = f"ibctl {words}"
    if shell == "zsh":
        return {"_IBCTL_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": line}
    return {"_IBCTL_COMPLETE": f"complete_{shell}", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}


@pytest.fixture
def tab(ibctl: Callable[..., Result]) -> Tab:
    """Press Tab in bash: `tab("leads list --ib a")` is what it offers."""

    def press(words: str) -> list[str]:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in pressed(words).items():
                environment.setenv(name, value)
            offered = ibctl()
        assert offered.stderr == ""
        return [line for line in offered.stdout.splitlines() if line]

    return press


@pytest.fixture
def facebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Graph]:
    """A Graph server with an empty world, and the settings that lead to it."""
    with Graph() as graph:
        monkeypatch.setenv("IBCTL_GRAPH_URL", graph.url)
        monkeypatch.setenv("FACEBOOK_APP_ID", graph.world.app_id)
        monkeypatch.setenv("FACEBOOK_APP_SECRET", graph.world.app_secret)
        # Short for what never comes, and long enough for what a busy machine sends.
        monkeypatch.setenv("IBCTL_HTTP_TIMEOUT", "0.5")
        config.use_env_file(None)
        yield graph


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Nobody waits for Facebook, though its client's clock moves on as if; how long it would have been is kept."""
    waited: list[float] = []
    monkeypatch.setattr(client, "monotonic", lambda: time.monotonic() + sum(waited))
    monkeypatch.setattr(client, "pause", lambda seconds, stop: waited.append(seconds))
    return waited


@pytest.fixture
def process() -> Callable[..., Result]:
    """Run a command in a process of its own, as cron would (no terminal)."""

    def run(*arguments: str | Path, input: str = "", env: dict[str, str] | None = None, timeout: float = 60) -> Result:
        done = subprocess.run(
            command(arguments), input=input, env={**os.environ, **(env or {})}, text=True, capture_output=True,
            timeout=timeout, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def command(arguments: Sequence[str | Path]) -> list[str]:
    """The argument vector that runs `ibctl` with this interpreter."""
    return [sys.executable, "-m", "ibctl", *map(str, arguments)]
