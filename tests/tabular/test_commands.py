"""Each importing command takes each format, and each failing path has its exit code, in a process of its own."""

import csv
import gzip
import io
import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from tests.conftest import Result, command

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]

LEADS = [["email", "first name", "cpa"], ["anna@example.com", "Zoë", "1.50"], ["ben@example.com", "'=x", "100"]]
RATES = [["date", "currency", "rate", "source"], ["2025-10-01", "EUR", "1.0842", "ECB"]]
SPEND = [["account", "date", "dailySpend", "leads"], ["act_1", "2025-10-01", "12.50", "3"]]
COMMANDS = {
    "leads import": (LEADS, 'SELECT email, "firstName", "cpaEarned" FROM "Lead" ORDER BY email'),
    "commissions rates import": (RATES, "SELECT date, currency, rate, source FROM ibctl.exchange_rate"),
    "ads spend import": (SPEND, 'SELECT date, "dailySpend", leads FROM "AdSpendHistory"'),
}
ACCOUNT = """
    INSERT INTO "User" (id, email, password, role, "updatedAt") VALUES ('u', 'ib@x.com', 'x', 'IB', now());
    INSERT INTO "FacebookAdAccount" (id, "userId", "adAccountId", currency, "updatedAt")
    VALUES ('a', 'u', 'act_1', 'USD', now())
"""


def as_csv(table: list[list[str]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows(table)
    return stream.getvalue().encode()


def as_json(table: list[list[str]]) -> bytes:
    # A text in JSON is itself: nothing took an apostrophe for the mark of a formula.
    rows = [[cell.removeprefix("'") for cell in row] for row in table[1:]]
    return "".join(json.dumps(dict(zip(table[0], row, strict=True))) + "\n" for row in rows).encode()


def as_workbook(table: list[list[str]]) -> bytes:
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in table:
        book.active.append(row)
        for cell in book.active[book.active.max_row]:
            if str(cell.value).startswith("="):
                cell.data_type = "s"  # a text, not a formula
    book.save(stream)
    return stream.getvalue()


FORMATS: dict[str, Callable[[list[list[str]]], bytes]] = {
    "x.csv": as_csv,
    "x.csv.gz": lambda table: gzip.compress(as_csv(table)),
    "x.xlsx": as_workbook,
    "x.ndjson": as_json,
    "x.jsonl.gz": lambda table: gzip.compress(as_json(table)),
}


@pytest.fixture
def account(sql: Sql) -> Sql:
    for statement in ACCOUNT.split(";"):
        sql(statement)
    return sql


@pytest.mark.parametrize("name", COMMANDS)
def test_every_import_takes_every_format_to_the_same_effect(
    account: Sql, ibctl: Run, tmp_path: Path, name: str
) -> None:
    table, stored = COMMANDS[name]
    effects = []
    for file, write in FORMATS.items():
        path = tmp_path / file
        path.write_bytes(write(table))
        # Each from the start: the first import is taken back before the next.
        done = ibctl(*name.split(), path)
        assert done.exit_code == 0, done.stderr
        effects.append(account(stored))
        account('TRUNCATE "Lead", "AdSpendHistory", ibctl.exchange_rate, ibctl.lead_import CASCADE')
    assert effects[0]
    assert effects == effects[:1] * len(FORMATS)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("format", ["x.csv", "x.csv.gz", "x.xlsx", "x.ndjson"])
def test_every_import_reads_standard_input(account: Sql, database: str, tmp_path: Path, name: str, format: str) -> None:
    table, stored = COMMANDS[name]
    done = subprocess.run(
        command([*name.split(), "-"]), input=FORMATS[format](table), capture_output=True, timeout=60, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert account(stored)
    assert list(tmp_path.iterdir()) == []


def test_the_rejects_of_standard_input_lie_where_the_command_ran(account: Sql, ibctl: Run, tmp_path: Path) -> None:
    content = as_csv([*LEADS, ["bad", "", ""]])
    done = ibctl("leads", "import", "-", input=content)
    assert done.exit_code == 6
    assert "rows refused: 1; to mend and import: stdin.rejects.csv" in done.stderr
    assert (tmp_path / "stdin.rejects.csv").read_text().splitlines()[1].endswith("bad,,")
    again = ibctl("leads", "import", "-", input=content)
    assert again.exit_code == 0
    assert "stdin was imported on" in again.stderr
    assert "nothing to do" in again.stderr


def test_a_reject_file_of_any_format_is_imported_as_it_is(account: Sql, ibctl: Run, tmp_path: Path) -> None:
    for file, write in FORMATS.items():
        path = tmp_path / file
        path.write_bytes(write([*LEADS, ["bad", "=x", "1.00"], ["worse", "-12.50", "-3"]]))
        first = ibctl("leads", "import", path, "--format", "csv")
        assert first.exit_code == 6
        assert "2,refused,email_invalid" in first.stdout
        rejects = tmp_path / f"{file}.rejects.csv"
        assert ibctl("leads", "import", rejects).exit_code == 3
        mended = rejects.read_text().replace("bad,", "carl@example.com,").replace("worse,", "dora@example.com,")
        rejects.write_text(mended.replace(",-3\n", ",3\n"))
        assert ibctl("leads", "import", rejects).exit_code == 0
        assert account('SELECT "firstName" FROM "Lead" WHERE email ~ \'^[cd]\' ORDER BY email') == [
            ("=x",),
            ("-12.50",),
        ]
        account('TRUNCATE "Lead", ibctl.lead_import CASCADE')


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_that_cannot_be_read_is_refused_with_its_reason_and_the_others_go_in(
    account: Sql, ibctl: Run, tmp_path: Path, name: str
) -> None:
    table, stored = COMMANDS[name]
    path = tmp_path / "x.ndjson"
    path.write_bytes(as_json(table) + b'{"broken\n' + json.dumps({table[0][1]: ["x"]}).encode())
    done = ibctl(*name.split(), path, "--format", "csv")
    assert done.exit_code == 6
    assert "2,refused,cells" in done.stdout
    reasons = (tmp_path / "x.ndjson.rejects.csv").read_text()
    assert "the line is no JSON object: Unterminated string" in reasons
    assert f"{table[0][1]} is a list" in reasons
    assert account(stored)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("indent", [1, None])
@pytest.mark.parametrize("file", ["x.json", "stdin"])
def test_a_json_array_is_refused_whole(
    account: Sql, ibctl: Run, tmp_path: Path, name: str, indent: int | None, file: str
) -> None:
    table, stored = COMMANDS[name]
    content = json.dumps([json.loads(line) for line in as_json(table).splitlines()], indent=indent)
    (tmp_path / "x.json").write_text(content)
    done = ibctl(*name.split(), "-" if file == "stdin" else tmp_path / file, input=content)
    assert (done.exit_code, done.stderr.count("\n"), account(stored)) == (3, 1, [])
    assert f"{file} is one JSON array: put each row on a line, as `jq -c '.[]'` does" in done.stderr


@pytest.mark.parametrize("file", ["x.xlsx", "x.ndjson"])
def test_a_number_is_no_thousand_because_amounts_have_a_decimal_comma(
    account: Sql, ibctl: Run, tmp_path: Path, file: str
) -> None:
    table: list[list[Any]] = [["email", "cpa"], ["0@x.com", 1.234], ["1@x.com", 1234.5], ["2@x.com", 12],
                              ["3@x.com", "1.234"], ["4@x.com", "1.234,50"]]  # fmt: skip
    path = tmp_path / file
    path.write_bytes(as_workbook(table) if file == "x.xlsx" else objects(table))
    assert ibctl("leads", "import", path, "--decimal-comma").exit_code == 6
    stored = account('SELECT email, "cpaEarned" FROM "Lead" ORDER BY email')
    assert stored == [("1@x.com", 1234.5), ("2@x.com", 12.0), ("3@x.com", 1234.0), ("4@x.com", 1234.5)]
    assert "'1.234' has more than two decimals,0@x.com" in (tmp_path / f"{file}.rejects.csv").read_text()


def objects(table: list[list[Any]]) -> bytes:
    return "".join(json.dumps(dict(zip(table[0], row, strict=True))) + "\n" for row in table[1:]).encode()


def test_a_cell_with_an_error_refuses_its_row(account: Sql, ibctl: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.xlsx"
    path.write_bytes(as_workbook([*LEADS, ["carl@example.com", "Carl", "#N/A"]]))
    assert ibctl("leads", "import", path).exit_code == 6
    assert "cell C4 (cpa) is an error, #N/A" in (tmp_path / "x.xlsx.rejects.csv").read_text()
    assert account('SELECT count(*) FROM "Lead"') == [(2,)]


@pytest.mark.parametrize(
    ("content", "options", "code", "message"),
    [
        (gzip.compress(as_csv(LEADS), mtime=0)[:-9], [], 3, "is cut off: its gzip data have no end"),
        (gzip.compress(as_csv(LEADS), mtime=0)[:-8] + b"12345678", [], 3, "its gzip data are damaged"),
        (as_workbook(LEADS)[:-100], [], 3, "cannot be read as an Excel workbook"),
        (as_workbook(LEADS), ["--sheet", "None"], 3, "has no sheet 'None'; it has Sheet"),
        (as_workbook(LEADS), ["--encoding", "utf-8"], 2, "is an Excel workbook, which has none"),
        (as_csv(LEADS), ["--sheet", "Sheet"], 2, "is CSV, which has none"),
        (b'{"email": "a@x.com"}\n', ["--delimiter", ","], 2, "is JSON, which has none"),
        (b"", [], 3, "is empty"),
    ],
)
def test_a_file_that_cannot_be_read_ends_in_one_line_and_writes_nothing(
    account: Sql, process: Run, tmp_path: Path, content: bytes, options: list[str], code: int, message: str
) -> None:
    path = tmp_path / "leads"
    path.write_bytes(content)
    done = process("leads", "import", path, *options)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert account('SELECT count(*) FROM "Lead"') == [(0,)]


def test_a_terminal_for_standard_input_says_what_to_do(database: str) -> None:
    leader, follower = pty.openpty()
    done = subprocess.run(
        command(["leads", "import", "-"]), stdin=follower, capture_output=True, text=True, timeout=60, check=False
    )
    os.close(leader)
    os.close(follower)
    assert done.returncode == 2
    assert "- is standard input, and nothing is piped in: write `… | ibctl …`" in done.stderr
    assert done.stderr.count("\n") == 1
