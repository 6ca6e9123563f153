"""`ibctl undo` as a command: what it asks, says and records, and several at the same time."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from ibctl import config, db
from ibctl.admin.audit import undo as undoing
from ibctl.errors import RequestError
from ibctl.leads import service as leads
from tests.admin.undo_cases import Run, Sql, lead, state, take_back, user, write
from tests.conftest import command

# ------------------------------------------------------------------------------------------------------- the command


def test_an_unknown_change_set_is_not_found(database: str, process: Run, ibctl: Run) -> None:
    result = process("undo", "999", "--yes")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "there is no change set 999: nothing has been recorded yet" in result.stderr
    number = write(user("u"))
    assert f"the newest is {number}" in ibctl("undo", "999", "--yes").stderr
    assert ibctl("undo", "99999999999999999999", "--yes").exit_code == 3
    assert ibctl("undo", "abc", "--yes").exit_code == 2


def test_without_a_terminal_it_names_the_effect_and_the_flag(sql: Sql, process: Run) -> None:
    number = write(lead("l1"), lead("l2"))
    before = state(sql)
    result = process("undo", str(number))
    assert result.exit_code == 2
    assert f"take back change set {number} (tester, " in result.stderr
    assert "2 Lead deleted: nobody is here to confirm; pass --yes" in result.stderr
    assert state(sql) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize(("answer", "exit_code", "left"), [("n", 3, 2), ("y", 0, 0)])
def test_at_a_terminal_it_asks_and_takes_no_for_an_answer(sql: Sql, answer: str, exit_code: int, left: int) -> None:
    import pty

    number = write(lead("l1"), lead("l2"))
    ours, theirs = pty.openpty()
    with subprocess.Popen(command(["undo", str(number)]), stdin=theirs, stdout=theirs, stderr=theirs) as asking:
        os.close(theirs)
        shown = ""
        while "[y/N]" not in shown:
            shown += os.read(ours, 1000).decode()
        os.write(ours, f"{answer}\n".encode())
        with contextlib.suppress(OSError):  # Linux's way of saying that the other side has gone
            while more := os.read(ours, 1000).decode():
                shown += more
    os.close(ours)
    assert asking.returncode == exit_code, shown
    assert "2 Lead deleted. Go on?" in " ".join(shown.split())
    assert sql('SELECT count(*) FROM "Lead"') == [(left,)]


def test_a_dry_run_does_the_real_work_and_leaves_no_trace(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l1"), lead("l2"))
    sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'l1'")
    traces = (
        "SELECT (SELECT count(*) FROM ibctl.change), (SELECT count(*) FROM ibctl.change_set), last_value"
        " FROM ibctl.change_set_id_seq"
    )
    before, recorded = state(sql), sql(traces)
    result = ibctl("undo", number, "--dry-run", "--all", "--format", "json")
    assert result.exit_code == 6
    assert {row["id"]: row["result"] for row in json.loads(result.stdout)} == {"l1": "kept", "l2": "reversed"}
    assert "would take back" in result.stderr
    assert "nothing was written" in result.stderr
    assert (state(sql), sql(traces)) == (before, recorded)


def test_the_reason_and_what_was_undone_are_recorded(sql: Sql, ibctl: Run) -> None:
    number = write(lead("l"))
    ibctl("undo", number, "--yes", "--reason", "wrong file")
    assert sql("SELECT undoes, reason, counts FROM ibctl.change_set ORDER BY id DESC LIMIT 1") == [
        (number, "wrong file", {"Lead": {"delete": 1}})
    ]


def test_a_long_list_is_cut_and_says_how_to_see_all(sql: Sql, ibctl: Run) -> None:
    number = write(*(lead(f"l{n}") for n in range(5)))
    sql("UPDATE \"Lead\" SET status = 'contacted' WHERE id <> 'l0'")
    result = ibctl("undo", number, "--yes", "--limit", "2", "--format", "ids")
    assert result.stdout.split() == ["l1", "l2"]
    assert f"2 of 4 rows are listed; `ibctl undo {number} --dry-run --limit 0` lists all" in result.stderr


def test_it_says_what_was_done_also_when_nobody_reads_the_list(sql: Sql) -> None:
    number = write(*(lead(f"l{n}") for n in range(3000)))
    arguments = command(["undo", str(number), "--yes", "--all", "--limit", "0", "--format", "csv"])
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert f"took back change set {number}: 3,000 Lead deleted; change set {number + 1}" in running.stderr.read()
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]


@pytest.mark.parametrize("statement", [lead("new"), 'DELETE FROM "User"'])
def test_two_undos_at_once_one_works_and_the_other_finds_it_done(sql: Sql, statement: Any) -> None:
    write(user("u"))
    number = write(statement)
    started = threading.Event()
    outcomes: list[Any] = []

    def second() -> None:
        started.wait()
        try:
            outcomes.append(take_back(number))
        except RequestError as exc:
            outcomes.append(exc)

    thread = threading.Thread(target=second)
    thread.start()
    with db.transaction(undoes=number) as session:
        assert undoing.undo(session, number).left == 0
        started.set()
        time.sleep(0.5)
        assert not outcomes
    thread.join(10)
    assert "has been taken back already by change set" in str(outcomes[0])
    assert sql("SELECT count(*) FROM ibctl.change_set WHERE undoes = %s", number) == [(1,)]


def test_a_row_that_the_web_application_is_just_editing_is_waited_for_and_kept(sql: Sql, database: str) -> None:
    number = write(lead("l"), lead("m"))
    outcomes: list[undoing.Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(take_back(number)[0]))
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE \"Lead\" SET status = 'contacted' WHERE id = 'l'")
        thread.start()
        time.sleep(0.5)
        assert not outcomes
    thread.join(10)
    assert (outcomes[0].kept, outcomes[0].reversed) == (1, {"Lead": {"delete": 1}})
    assert sql('SELECT id, status FROM "Lead"') == [("l", "contacted")]


def test_many_rows_go_by_sets_and_halves(sql: Sql) -> None:
    with db.transaction() as session:
        session.execute(
            sa.text(
                'INSERT INTO "Lead" (id, "trackingToken", "updatedAt")'
                " SELECT 'l' || n, 't' || n, now() FROM generate_series(1, 6000) n"
            )
        )
    before = state(sql, ['"Lead"'])
    number = write('UPDATE "Lead" SET "trackingToken" = NULL, status = \'x\'')
    sql('INSERT INTO "Lead" (id, "trackingToken", "updatedAt") VALUES (\'thief\', \'t77\', now())')
    outcome, _ = take_back(number)
    assert (outcome.failed, outcome.reversed) == (1, {"Lead": {"update": 5999}})
    sql("DELETE FROM \"Lead\" WHERE id = 'thief'")
    assert take_back(number)[0].left == 0
    assert state(sql, ['"Lead"']) == before


@pytest.mark.parametrize("lock", ["commissions run", leads.LOCK])
def test_an_undo_of_leads_waits_for_a_run_that_counts_or_imports_leads(
    sql: Sql, monkeypatch: pytest.MonkeyPatch, lock: str
) -> None:
    number = write(lead("l"))
    monkeypatch.setenv("IBCTL_LOCK_TIMEOUT", "0.2")
    config.use_env_file(None)
    with db.transaction() as other:
        db.lock(other, lock)
        with pytest.raises(RequestError, match="is still at work after"):
            take_back(number)
    assert take_back(number)[0].left == 0


@pytest.mark.parametrize("words", [["--yes"], ["--dry-run"], []])
def test_the_last_active_administrator_is_not_undone(sql: Sql, ibctl: Run, words: list[str]) -> None:
    assert ibctl("users", "add", "boss@x.com", "--role", "ADMIN", input="a long password 1\n").exit_code == 0
    made = ibctl("undo", "1", *words)
    assert (made.exit_code, sql('SELECT email FROM "User"')) == (3, [("boss@x.com",)])
    assert "no active administrator would be left, nothing was written; make another one first" in made.stderr
    ibctl("users", "add", "ib@x.com", "--role", "IB", input="a long password 1\n")
    ibctl("users", "set-role", "ib@x.com", "--role", "ADMIN", "--yes")
    ((number,),) = sql("SELECT max(id) FROM ibctl.change_set")
    ibctl("users", "deactivate", "boss@x.com", "--yes")
    risen = ibctl("undo", str(number), *words)
    assert (risen.exit_code, sql("SELECT role FROM \"User\" WHERE email = 'ib@x.com'")) == (3, [("ADMIN",)])
    assert "no active administrator would be left" in risen.stderr
    assert ibctl("users", "activate", "boss@x.com").exit_code == 0
    assert ibctl("undo", str(number), "--yes").exit_code == 0
