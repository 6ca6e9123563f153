"""What comes in and goes out as bytes: words and lists that are no UTF-8, and a standard output that takes nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from tests.conftest import Result, command

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
# How Python has a byte on the command line that is no text.
FOREIGN = b"x\xff@example.com".decode("utf-8", "surrogateescape")


def refused(ended: Result, code: int, *words: str) -> None:
    assert ended.exit_code == code, ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
    for word in words:
        assert word in ended.stderr


# -------------------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize(
    "arguments",
    [
        ["leads", "show", FOREIGN],
        ["leads", "list", f"--search={FOREIGN}"],
        ["leads", "add", "--email", "a@example.com", "--reason", FOREIGN],
        ["leads", "edit", "a", "--clear", "phone", "--clear", FOREIGN],
        ["leads", "assign", "a", FOREIGN, "--unassign"],
        ["ads", "campaigns", "pause", FOREIGN],
    ],
)
def test_a_text_that_is_no_utf8_is_wrong_usage(process: Run, database: str, sql: Sql, arguments: list[str]) -> None:
    refused(process(*arguments), 2, r"'x\xff@example.com' is not UTF-8 text")
    assert sql("SELECT count(*) FROM ibctl.change_set") == [(0,)]


def test_an_unknown_option_or_command_that_is_no_utf8_is_wrong_usage(process: Run) -> None:
    for arguments in (["leads", FOREIGN], [FOREIGN], ["leads", "list", f"--{FOREIGN}"]):
        ended = process(*arguments)
        assert ended.exit_code == 2
        assert "Traceback" not in ended.stderr


def test_a_file_may_have_a_name_that_is_no_utf8(process: Run, database: str, sql: Sql, tmp_path: Path) -> None:
    name = b"n\xff.csv".decode("utf-8", "surrogateescape")
    (tmp_path / name).write_text("email,comment\na@example.com,x\nnonsense,y\n")
    ended = process("leads", "import", name)
    assert ended.exit_code == 6, ended.stderr
    assert (tmp_path / r"n\xff.csv.rejects.csv").exists()
    assert sql('SELECT "fileName" FROM ibctl.lead_import') == [(r"n\xff.csv",)]
    assert sql("SELECT command FROM ibctl.change_set") == [(r"ibctl leads import 'n\xff.csv'",)]
    assert r"n\xff.csv: columns that are not used: comment" in ended.stderr
    written = process("leads", "export", "--output", name)
    assert written.exit_code == 0, written.stderr
    assert "a@example.com" in (tmp_path / name).read_text()
    refused(process("leads", "import", FOREIGN), 3, r"x\xff@example.com does not exist")


# ------------------------------------------------------------------------------------------------------ standard input


def piped(content: bytes, *arguments: str) -> Result:
    done = subprocess.run(command(arguments), input=content, capture_output=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize(
    "arguments",
    [
        ["leads", "assign", "-", "--unassign"],
        ["leads", "set-status", "-", "contacted"],
        ["ads", "campaigns", "pause", "-"],
        ["ads", "templates", "add", "--file", "-"],
        ["commissions", "payouts", "create", "--month", "2025-10", "--only", "-"],
    ],
)
def test_a_list_that_is_no_utf8_is_wrong_usage(database: str, arguments: list[str]) -> None:
    refused(piped(b"one\ntwo\xff\n", *arguments), 2, "line 2: byte 0xFF is not UTF-8")


def test_a_mark_at_the_start_of_a_list_is_none_of_its_first_name(ibctl: Run, database: str, sql: Sql) -> None:
    for email in ("anna@example.com", "ben@example.com"):
        assert ibctl("leads", "add", "--email", email).exit_code == 0
    done = piped("\ufeffanna@example.com\r\n\r\nben@example.com\r\n".encode(), "leads", "set-status", "-", "contacted")
    assert done.exit_code == 0, done.stderr
    assert sql('SELECT DISTINCT status FROM "Lead"') == [("contacted",)]


def test_a_secret_has_no_mark_at_its_start(ibctl: Run, database: str, sql: Sql) -> None:
    assert ibctl("users", "add", "a@example.com", input="first-Secret-1\n").exit_code == 0
    done = piped("\ufeffsecond-Secret-2\r\n".encode(), "users", "set-password", "a@example.com", "--yes")
    assert done.exit_code == 0, done.stderr
    [(stored,)] = sql('SELECT password FROM "User"')
    assert bcrypt.checkpw(b"second-Secret-2", stored.encode())


@pytest.mark.parametrize("content", [b"hunter2\xff\n", "hunter2\n".encode("utf-16")])
@pytest.mark.parametrize(
    "arguments",
    [
        ["ads", "accounts", "connect", "--user", "a@example.com"],
        ["users", "add", "b@example.com"],
        ["users", "set-password", "a@example.com", "--yes"],
    ],
)
def test_a_secret_that_is_no_utf8_is_wrong_usage(
    ibctl: Run, database: str, arguments: list[str], content: bytes
) -> None:
    assert ibctl("users", "add", "a@example.com", input="first-Secret-1\n").exit_code == 0
    ended = piped(content, *arguments)
    refused(ended, 2, "byte 0xFF is not UTF-8")
    assert "hunter2" not in ended.stderr


# ----------------------------------------------------------------------------------------------------- standard output


def in_latin1(*arguments: str) -> tuple[int, bytes, str]:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command(arguments), env=environment, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr.decode("latin-1")


def test_a_terminal_that_lacks_a_letter_shows_something_plainer(ibctl: Run, database: str) -> None:
    assert ibctl("leads", "add", "--email", "a@example.com", "--first-name", "Łukasz").exit_code == 0
    code, out, err = in_latin1("leads", "show", "a@example.com")
    assert (code, err) == (0, "")
    assert re.search(rb"firstName +\\u0141ukasz\n", out)
    assert re.search(rb"phone +-\n", out)
    code, out, err = in_latin1("leads", "list", "--columns", "email,firstName,phone")
    assert (code, b"\\u0141ukasz" in out) == (0, True), err
    code, out, err = in_latin1("users", "list", "--role", "nobody…")
    assert (code, "nobody" in err) == (2, True)
    assert in_latin1("--help")[0] == 0


@pytest.mark.parametrize("form", ["json", "csv"])
def test_data_are_utf8_whatever_the_terminals_encoding(ibctl: Run, database: str, form: str) -> None:
    assert ibctl("leads", "add", "--email", "a@example.com", "--first-name", "Łukasz").exit_code == 0
    for verb in ("list", "export"):
        code, out, err = in_latin1("leads", verb, "--format", form)
        assert code == 0, err
        assert "Łukasz" in out.decode()


@pytest.mark.parametrize(
    "arguments",
    [
        ["leads", "list"],
        ["leads", "list", "--format", "json"],
        ["leads", "export"],
        ["leads", "show", "a@example.com"],
        ["leads", "funnel"],
        ["leads", "list", "--help"],
    ],
)
def test_a_full_standard_output_is_3(ibctl: Run, database: str, arguments: list[str]) -> None:
    assert ibctl("leads", "add", "--email", "a@example.com").exit_code == 0
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command(arguments), stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    refused(Result(done.returncode, "", done.stderr.decode()), 3, "cannot write to standard output: No space left")


def in_shell(redirection: str, *arguments: str) -> Result:
    line = ["sh", "-c", f'"$@" {redirection}', "sh", *command(arguments)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


def test_a_closed_standard_output_is_3_and_nothing_is_done(database: str, sql: Sql) -> None:
    refused(in_shell(">&-", "leads", "list"), 3, "standard output is closed")
    refused(in_shell(">&-", "leads", "add", "--email", "a@example.com"), 3, "standard output is closed")
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]


def test_other_streams_may_be_closed(ibctl: Run, database: str) -> None:
    assert ibctl("leads", "add", "--email", "a@example.com").exit_code == 0
    for redirection in ("<&-", "2>&-", "<&- 2>&-"):
        done = in_shell(redirection, "leads", "list", "--format", "json")
        assert done.exit_code == 0
        assert [row["email"] for row in json.loads(done.stdout)] == ["a@example.com"]
    assert in_shell("<&-", "leads", "assign", "-", "--unassign").exit_code == 2
