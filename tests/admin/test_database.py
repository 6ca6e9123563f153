from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from ibctl import embedded
from tests.conftest import ROOT, Result

Run = Callable[..., Result]


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of the test's own, without DATABASE_URL."""
    folder = Path(tempfile.mkdtemp(prefix="ibctl-test-", dir="/tmp"))
    folder.chmod(0o711)
    monkeypatch.setenv("IBCTL_DATA_DIR", str(folder))
    yield folder
    embedded.remove(folder / "postgres")
    folder.rmdir()


def test_the_embedded_server_is_made_used_stopped_and_found_again(own_server: Path, process: Run) -> None:
    assert json.loads(process("db", "status", "-f", "json").stdout)[0]["state"] == "not created"
    assert "PostgreSQL 18" in process("db", "start").stderr
    assert "the database was empty and has been created" in process("db", "upgrade").stderr
    assert process("users", "add", "a@b.com", "--role", "ADMIN", input="correct horse battery\n").exit_code == 0
    (running,) = json.loads(process("db", "status", "-f", "json").stdout)
    assert running["state"] == "running"
    assert "has stopped" in process("db", "stop").stderr
    assert "was not running" in process("db", "stop").stderr
    # The next command starts it by itself, and the data are there.
    assert "a@b.com" in process("users", "list").stdout


def test_the_embedded_server_is_left_alone_when_there_is_an_address(database: str, process: Run) -> None:
    for verb in ("start", "stop", "status"):
        ended = process("db", verb)
        assert (ended.exit_code, "DATABASE_URL is set (environment)" in ended.stderr) == (3, True)


def test_info_says_which_database_this_is(database: str, ibctl: Run) -> None:
    (row,) = json.loads(ibctl("db", "info", "-f", "json").stdout)
    assert (row["schema"], row["pooler"], row["madeBy"], row["changeSets"]) == ("public", False, "ibctl", 0)
    assert row["revision"] == "ibctl_0002, platform_0001"
    assert "***" in row["address"]


def test_nobody_made_an_empty_database(empty_database: str, process: Run) -> None:
    shown = process("db", "info", "--format", "json", env={"DATABASE_URL": empty_database})
    assert [(row["madeBy"], row["revision"]) for row in json.loads(shown.stdout)] == [(None, None)]
    assert "madeBy      –" in process("db", "info", env={"DATABASE_URL": empty_database}).stdout


def test_a_database_of_the_web_applications_is_adopted(empty_database: str, process: Run) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute((ROOT / "tests/data/schema.sql").read_bytes())
    env = {"DATABASE_URL": empty_database}
    before = json.loads(process("db", "info", "-f", "json", env=env).stdout)[0]
    assert (before["madeBy"], before["revision"], before["changeSets"]) == ("the web application", None, None)
    assert "its own tables were not touched" in process("db", "upgrade", env=env).stderr
    assert process("db", "check", env=env).exit_code == 0


def test_check_lists_each_difference_and_ends_with_7(database: str, sql: Callable[..., object], process: Run) -> None:
    assert process("db", "check").exit_code == 0
    sql('ALTER TABLE "Lead" DROP COLUMN broker')
    ended = process("db", "check", "-f", "json")
    assert ended.exit_code == 7
    assert [one["object"] for one in json.loads(ended.stdout) if one["severity"] == "error"] == ['"Lead"."broker"']
