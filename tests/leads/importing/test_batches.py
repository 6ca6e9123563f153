"""What is remembered of an import, and imports that are committed chunk by chunk."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.leads.conftest import Platform
from tests.leads.importing.test_import import counts, rejects
from tests.leads.importing.test_interrupted import held, kill, start, wait_until_gone, waiting

Run = Callable[..., Result]
Write = Callable[..., Path]
STATE = 'SELECT rows, created, unchanged, refused, checkpoint, "finishedAt" IS NOT NULL FROM ibctl.lead_import'


def rows(start: int, stop: int) -> list[str]:
    """One row in ten is refused."""
    return [f"u{n}@x.com,name {n}" if n % 10 else f"bad {n},=cmd" for n in range(start, stop)]


def test_an_import_is_a_batch_with_its_refused_rows(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email;name;odd", 'bad;"two\nlines";x', "a@x.com;Ann;y", "worse;=cmd;", "short")
    assert ibctl("leads", "import", path, "--reason", "partner list").exit_code == 6
    (listed,) = json.loads(ibctl("leads", "imports", "list", "--format", "json").stdout)
    assert {key: listed[key] for key in ("id", "fileName", "mode", "state", "rows", "created", "refused")} == {
        "id": 1, "fileName": "leads.csv", "mode": "create", "state": "complete", "rows": 4, "created": 1, "refused": 3,
    }  # fmt: skip
    shown = ibctl("leads", "imports", "show", "1").stdout
    assert "checkpoint" in shown
    table = ibctl("leads", "imports", "rejects", "1").stdout
    assert "email_invalid" in table
    # The rows can be had again, as they were in the reject file.
    again = ibctl("leads", "imports", "rejects", "1", "--format", "csv", "--output", "again.csv")
    assert again.exit_code == 0
    first = rejects(path.with_name("leads.csv.rejects.csv"), ";")
    assert rejects(Path("again.csv")) == first
    mended = Path("again.csv").read_text().replace("bad,", "mended@x.com,")
    Path("again.csv").write_text(mended)
    assert counts(ibctl("leads", "import", "again.csv", "--format", "json"))["created"] == 1


def test_a_refused_row_with_a_nul_is_kept_as_it_is(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email,name", "a@x.com,N\0UL", "b@x.com,")
    assert ibctl("leads", "import", path).exit_code == 6
    ibctl("leads", "imports", "rejects", "1", "--format", "csv", "--output", "again.csv")
    assert Path("again.csv").read_bytes() == path.with_name("leads.csv.rejects.csv").read_bytes()


def test_an_import_that_was_undone_says_so(platform: Platform, ibctl: Run, file: Write) -> None:
    ibctl("leads", "import", file("email", "a@x.com"))
    ibctl("undo", "1", "--yes")
    assert "undone" in ibctl("leads", "imports", "list").stdout


def test_again_imports_a_file_anew(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email", "a@x.com", "b@x.com")
    ibctl("leads", "import", path)
    platform.sql("DELETE FROM \"Lead\" WHERE email = 'a@x.com'")
    assert counts(ibctl("leads", "import", path, "--again", "--format", "json")) == {
        "read": 2, "created": 1, "unchanged": 1,
    }  # fmt: skip


def test_an_import_that_does_not_exist_is_named(platform: Platform, ibctl: Run, file: Write) -> None:
    assert "nothing was imported yet" in ibctl("leads", "imports", "show", "7").stderr
    ibctl("leads", "import", file("email", "a@x.com"))
    done = ibctl("leads", "imports", "rejects", "7")
    assert (done.exit_code, "there is no import 7: the newest is 1" in done.stderr) == (3, True)


# ------------------------------------------------------------------------------------------------------------ by chunks


@pytest.mark.parametrize("chunk", [1, 7, 25, 50, 1000])
def test_chunks_come_to_the_same_as_a_whole(platform: Platform, ibctl: Run, file: Write, chunk: int) -> None:
    path = file("email,name", *rows(0, 50))
    whole = ibctl("leads", "import", path, "--dry-run", "--format", "json", "--rejects", "whole.csv")
    done = ibctl("leads", "import", path, "--chunk", str(chunk), "--format", "json")
    assert (done.exit_code, counts(done)) == (whole.exit_code, counts(whole))
    assert platform.sql(STATE) == [(50, 45, 0, 5, 51, True)]
    assert path.with_name("leads.csv.rejects.csv").read_bytes() == Path("whole.csv").read_bytes()
    # One batch, one change set: a single undo takes all of it back.
    assert platform.sql("SELECT counts FROM ibctl.change_set") == [({"Lead": {"insert": 45}},)]
    assert ibctl("undo", "1", "--yes").exit_code == 0
    assert platform.count() == 0


def test_chunks_of_an_update_are_undone_together(platform: Platform, ibctl: Run, file: Write) -> None:
    for n in range(9):
        platform.lead(email=f"u{n}@x.com", broker=f"b{n}")
    before = platform.sql('SELECT * FROM "Lead" ORDER BY id')
    path = file("email,broker,cpa", *(f"u{n}@x.com,,{n}.50" for n in range(12)))
    done = ibctl("leads", "import", path, "--mode", "upsert", "--chunk", "4")
    assert done.exit_code == 0
    assert "import 1: 3 leads created, 9 updated; change set 1" in done.stderr
    assert ibctl("undo", "1", "--yes").exit_code == 0
    assert platform.sql('SELECT * FROM "Lead" ORDER BY id') == before


@contextmanager
def fourth_chunk_waiting(platform: Platform, database: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start an import by chunks of ten rows, whose fourth chunk waits at the door."""
    platform.sql("CREATE SEQUENCE public.chunk_number")
    with held(database, "SELECT pg_advisory_lock(42)"):
        platform.sql(
            """CREATE FUNCTION public.wait_at_the_fourth() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('public.chunk_number') = 4 THEN PERFORM pg_advisory_xact_lock(42); END IF; RETURN NULL;
               END $$"""
        )
        platform.sql(
            'CREATE TRIGGER w AFTER INSERT ON "Lead" FOR EACH STATEMENT EXECUTE FUNCTION public.wait_at_the_fourth()'
        )
        run = start(path, "--chunk", "10")
        waiting(database, 1)
        yield run
    wait_until_gone(database)
    platform.sql('DROP TRIGGER w ON "Lead"')


def test_a_killed_import_by_chunks_keeps_the_chunks_and_is_gone_on_with(
    platform: Platform, database: str, ibctl: Run, file: Write
) -> None:
    path = file("email,name", *rows(0, 60))
    with fourth_chunk_waiting(platform, database, path) as run:
        kill(run)
    assert platform.sql(STATE) == [(30, 27, 0, 3, 31, False)]
    assert "unfinished" in ibctl("leads", "imports", "list").stdout

    anew = ibctl("leads", "import", path)
    assert anew.exit_code == 3
    assert "was cut short after row 31: `--resume 1` goes on with it, `ibctl undo 1` takes back" in anew.stderr
    done = ibctl("leads", "import", path, "--resume", "1", "--format", "json")
    assert done.exit_code == 6
    assert counts(done) == {"read": 30, "created": 27, "unchanged": 0, "email_invalid": 3}
    assert platform.sql(STATE) == [(60, 54, 0, 6, 61, True)]
    # The refused rows of the chunks before are in the file too.
    found = rejects(path.with_name("leads.csv.rejects.csv"))
    assert [row["email"] for row in found] == [f"bad {n}" for n in range(0, 60, 10)]
    assert platform.count() == 54
    assert ibctl("undo", "1", "--yes").exit_code == 0
    assert platform.count() == 0


@pytest.fixture
def unfinished(platform: Platform, ibctl: Run, file: Write) -> Path:
    """An import of 20 rows that was cut short after 10."""
    path = file("email,name", *rows(0, 10), *rows(10, 20))
    whole = path.read_text()
    path.write_text("\n".join(whole.splitlines()[:11]) + "\n")
    ibctl("leads", "import", path, "--chunk", "5")
    path.write_text(whole)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    platform.sql('UPDATE ibctl.lead_import SET sha256 = %s, "finishedAt" = NULL', digest)
    return path


def test_only_the_same_file_is_gone_on_with(platform: Platform, ibctl: Run, unfinished: Path) -> None:
    before = platform.everything()
    other = unfinished.with_name("other.csv")
    other.write_text("email\nz@x.com\n")
    done = ibctl("leads", "import", other, "--resume", "1")
    assert (done.exit_code, "import 1 is of another file, leads.csv" in done.stderr) == (3, True)
    assert platform.everything() == before
    assert ibctl("leads", "import", unfinished, "--resume", "1").exit_code == 6
    assert platform.count() == 18
    done = ibctl("leads", "import", unfinished, "--resume", "1")
    assert (done.exit_code, "import 1 is complete since" in done.stderr) == (3, True)


def test_its_own_terms_hold_when_it_goes_on(platform: Platform, ibctl: Run, unfinished: Path) -> None:
    done = ibctl("leads", "import", unfinished, "--resume", "1", "--mode", "upsert", "--dayfirst")
    assert done.exit_code == 2
    assert "--resume goes on with the terms of import 1: leave --mode, --dayfirst out" in done.stderr


def test_what_was_taken_back_is_not_gone_on_with(platform: Platform, ibctl: Run, unfinished: Path) -> None:
    ibctl("undo", "1", "--yes")
    done = ibctl("leads", "import", unfinished, "--resume", "1")
    assert (done.exit_code, "import 1 has been taken back" in done.stderr) == (3, True)


def test_two_that_go_on_with_one_import_do_not_double_it(
    platform: Platform, database: str, ibctl: Run, unfinished: Path
) -> None:
    with held(database, 'LOCK TABLE "Lead" IN ACCESS EXCLUSIVE MODE'):
        runs = [start(unfinished, "--resume", "1", "--chunk", "3") for _ in range(2)]
        waiting(database, 2)
    codes = sorted((run.communicate(timeout=60), run.returncode)[1] for run in runs)
    # One of them is told that the other goes on; between two chunks either may be the one.
    assert codes in ([3, 6], [3, 3])
    if codes == [3, 3]:
        assert ibctl("leads", "import", unfinished, "--resume", "1").exit_code == 6
    assert platform.count() == 18
    assert platform.sql("SELECT created, refused FROM ibctl.lead_import") == [(18, 2)]


def test_an_import_by_chunks_that_is_interrupted_says_how_to_go_on(
    platform: Platform, database: str, ibctl: Run, file: Write
) -> None:
    path = file("email,name", *rows(0, 60))
    with fourth_chunk_waiting(platform, database, path) as run:
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=20)
    assert run.returncode == 130
    assert stderr.splitlines()[-2:] == [
        "import 1 is unfinished: `--resume 1` goes on with it, `ibctl undo 1` takes back what it has done",
        "Error: interrupted",
    ]
    assert platform.count() == 27
    assert ibctl("leads", "import", path, "--resume", "1").exit_code == 6
    assert platform.count() == 54


def test_an_import_that_is_interrupted_in_its_first_chunk_has_done_nothing(
    platform: Platform, database: str, file: Write
) -> None:
    path = file("email,name", *rows(0, 40))
    before = platform.everything()
    with held(database, "LOCK TABLE ibctl.lead_import IN SHARE MODE"):
        run = start(path, "--chunk", "10")
        waiting(database, 1)
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=20)
    assert (run.returncode, stderr.splitlines()[-1]) == (130, "Error: interrupted")
    assert "unfinished" not in stderr
    assert platform.everything() == before


@pytest.mark.parametrize("last", ["bad", "u0@x.com"], ids=["refused", "unchanged"])
def test_a_last_chunk_that_writes_nothing_hides_no_way_back(
    platform: Platform, ibctl: Run, file: Write, last: str
) -> None:
    done = ibctl("leads", "import", file("email", "u0@x.com", "u1@x.com", last), "--chunk", "1")
    assert done.exit_code == (6 if last == "bad" else 0)
    assert "import 1: 2 leads created; change set 1, `ibctl undo 1` takes it back" in done.stderr


def test_the_rest_of_an_import_that_is_refused_hides_no_way_back(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email", "a@x.com", "b@x.com")
    ibctl("leads", "import", path, "--chunk", "1")
    path.write_text("email\na@x.com\nb@x.com\nbad\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    platform.sql('UPDATE ibctl.lead_import SET sha256 = %s, "finishedAt" = NULL', digest)
    done = ibctl("leads", "import", path, "--resume", "1")
    assert done.exit_code == 6
    assert "import 1: 0 leads created; change set 1, `ibctl undo 1` takes it back" in done.stderr
    assert "nothing was written" not in done.stderr


@pytest.mark.parametrize("cell", ["nobody@x.com", ""], ids=["refused", "unchanged"])
def test_chunks_that_write_nothing_do_not_bar_the_file(platform: Platform, ibctl: Run, file: Write, cell: str) -> None:
    if not cell:
        platform.lead(email="a@x.com")
        platform.lead(email="b@x.com")
    before = platform.everything()
    path = file("email,ib", f"a@x.com,{cell}", f"b@x.com,{cell}")
    done = ibctl("leads", "import", path, "--chunk", "1")
    assert (done.exit_code, "so nothing was written" in done.stderr) == ((3, True) if cell else (0, False))
    assert platform.everything() == before
    platform.user("nobody@x.com")
    platform.sql('DELETE FROM "Lead"')
    done = ibctl("leads", "import", path, "--chunk", "1")
    assert (done.exit_code, platform.count()) == (0, 2)
    assert "nothing to do" in ibctl("leads", "import", path).stderr


def test_an_unfinished_import_that_wrote_nothing_does_not_bar_the_file(
    platform: Platform, ibctl: Run, unfinished: Path
) -> None:
    platform.sql("UPDATE ibctl.lead_import SET created = 0")
    platform.sql('DELETE FROM "Lead"')
    assert ibctl("leads", "import", unfinished).exit_code == 6
    assert platform.count() == 18
