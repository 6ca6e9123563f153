"""What the server formats is what Python would have written, byte for byte."""

import csv
import io
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ibctl import db, exports, output
from ibctl.errors import RequestError, UsageError
from tests.conftest import Result, command

Run = Callable[..., Result]

NASTY = [
    "", "'", "''", "'=x", "''=x", "=cmd()", "-12.50", "+49", "@x", "\tx", "\rx", "\nx", "a\rb", "a\r\nb", "two\nlines",
    'say "hi"', '"', "a,b;c|d", "\\.", "\\N", "NULL", " x ", "😀", "שלום", "\u202ex", "é", "%s %(x)s :name", "0", "Ā",
]  # fmt: skip
text = st.one_of(st.none(), st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"]), max_size=8)).map(
    lambda value: value and value.replace("\0", "")
)
moment = st.one_of(
    st.none(),
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(
        lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
    ),
)
double = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([0.0, -0.0, 0.1 + 0.2, 100.0, 1e15, 1e16, 123456789012345680.0, 1e-5, 1e300, math.inf, -math.inf]),
    st.decimals(0, 10**9, places=2).map(float),
)
numeric = st.one_of(st.none(), st.decimals(-(10**12), 10**12, places=4))
row = st.tuples(
    text, text, moment, double, numeric, st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1)),
    st.one_of(st.none(), st.booleans()), st.one_of(st.none(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
)  # fmt: skip
TABLE = """
    CREATE TABLE public.hostile (n int, a text, "b,""c" varchar, at timestamp(3), d double precision, m numeric, i int,
      f boolean, day date)
"""
KEYS = ["n", "a", 'b,"c', "at", "d", "m", "i", "f", "day"]
COLUMNS = [output.Column(key) for key in KEYS]


@pytest.fixture
def hostile(database: str) -> str:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLE.encode())
    return database


def fill(database: str, table: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("TRUNCATE public.hostile")
        with connection.cursor() as cursor, cursor.copy("COPY public.hostile FROM STDIN") as stream:
            for number, values in enumerate(table):
                stream.write_row((number, *values))


def query(all_digits: bool = False, limit: int = 0) -> exports.Query:
    return exports.Query("SELECT * FROM hostile WHERE n >= :first", {"first": 0}, "q.n DESC", limit, all_digits)


def by_server(columns: list[output.Column], path: Path, wanted: exports.Query) -> bytes:
    with db.reading() as session:
        exports.write(session, wanted, columns, output.Listing(output.Format.csv, path))
    return path.read_bytes()


def by_python(columns: list[output.Column], path: Path, wanted: exports.Query) -> bytes:
    with db.reading() as session:
        output.show(exports.rows(session, wanted), columns, output.Listing(output.Format.csv, path))
    return path.read_bytes()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(row, max_size=6), all_digits=st.booleans(), limit=st.integers(0, 4))
@example(table=[(value, value, None, None, None, None, None, None) for value in NASTY], all_digits=False, limit=0)
def test_the_server_writes_what_python_would_have_written(
    hostile: str, tmp_path: Path, table: list[tuple[Any, ...]], all_digits: bool, limit: int
) -> None:
    fill(hostile, table)
    wanted = query(all_digits, limit)
    server = by_server(COLUMNS, tmp_path / "server.csv", wanted)
    python = by_python(COLUMNS, tmp_path / "python.csv", wanted)
    assert read(server, all_digits) == read(python, all_digits)


def read(written: bytes, all_digits: bool) -> Any:
    """What is compared. Of the shortest digits that give a double back, the two may choose different last ones."""
    if not all_digits:
        return written
    rows = list(csv.reader(io.StringIO(written.decode(), newline="")))
    return [[float(cell) if row is not rows[0] and cell and index == 4 else cell for index, cell in enumerate(row)]
            for row in rows]  # fmt: skip


@pytest.mark.parametrize(("column", "value"), [("a", "\\."), ("a", ""), ("a", None), ("d", math.nan), ("a", "=x")])
def test_a_single_column_is_written_the_same_way(hostile: str, tmp_path: Path, column: str, value: Any) -> None:
    fill(hostile, [(value if column == "a" else None, None, None, value if column == "d" else None, *[None] * 4)])
    (chosen,) = [one for one in COLUMNS if one.key == column]
    server = by_server([chosen], tmp_path / "server.csv", query())
    assert server == by_python([chosen], tmp_path / "python.csv", query())


def test_numbers_are_plain_decimals_and_what_is_no_number_is_empty(hostile: str, tmp_path: Path) -> None:
    fill(hostile, [(None, None, None, value, Decimal("1.50"), 0, True, None) for value in (0.1 + 0.2, -0.0, math.inf)])
    columns = [output.Column("d"), output.Column("m"), output.Column("f")]
    assert by_server(columns, tmp_path / "x.csv", query()) == (b"d,m,f\n,1.50,true\n0,1.50,true\n0.3,1.50,true\n")
    assert b"0.30000000000000004,1.50,true\n" in by_server(columns, tmp_path / "x.csv", query(True))


def test_a_time_that_python_cannot_hold_is_written_all_the_same(hostile: str, tmp_path: Path) -> None:
    fill(hostile, [(None, None, at, *[None] * 5) for at in ("infinity", "-infinity", "10000-01-01")])
    columns = [output.Column("n"), output.Column("at")]
    expected = "n,at\n2,10000-01-01 00:00:00\n1,-infinity\n0,infinity\n"
    assert by_server(columns, tmp_path / "x.csv", query()).decode() == expected


def test_rows_are_sorted_by_what_is_stored_not_by_what_is_written(hostile: str, tmp_path: Path) -> None:
    moments = ["-infinity", "2025-01-01", "10000-01-01", "infinity"]
    fill(hostile, [(None, None, moment, n, None, None, None, None) for n, moment in enumerate(moments)])
    latest_first = exports.Query("SELECT * FROM hostile", {}, "q.at DESC")
    written = by_server([output.Column("n"), output.Column("at")], tmp_path / "out.csv", latest_first)
    assert [line.split(b",")[0] for line in written.splitlines()[1:]] == [b"3", b"2", b"1", b"0"]


def test_a_type_that_the_server_would_write_differently_is_written_by_python(hostile: str, tmp_path: Path) -> None:
    wanted = exports.Query("""SELECT 1 AS n, '{"b": 1,  "a": "é"}'::json AS j""", {}, "n")
    columns = [output.Column("n"), output.Column("j")]
    assert by_server(columns, tmp_path / "x.csv", wanted).decode() == 'n,j\n1,"{""b"": 1, ""a"": ""é""}"\n'


def test_the_order_the_limit_and_the_chosen_columns_hold(hostile: str, tmp_path: Path) -> None:
    fill(hostile, [(str(n), None, None, None, None, n, None, None) for n in range(5)])
    path = tmp_path / "x.csv"
    with db.reading() as reading:
        exports.write(reading, query(limit=2), COLUMNS, output.Listing(output.Format.csv, path, "I, a"))
        with pytest.raises(UsageError, match="no column 'z'"):
            exports.write(reading, query(), COLUMNS, output.Listing(output.Format.csv, path, "z"))
        with pytest.raises(RequestError, match="cannot write"):
            exports.write(reading, query(), COLUMNS, output.Listing(output.Format.csv, tmp_path / "no" / "x.csv"))
    assert path.read_text() == "i,a\n4,4\n3,3\n"


def test_other_formats_are_written_by_python(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(hostile, [("=x", None, None, math.nan, None, 7, None, None)])
    with db.reading() as reading:
        exports.write(reading, query(), COLUMNS[:2] + COLUMNS[4:5], output.Listing(output.Format.json))
    assert capsys.readouterr().out == '[\n  {"n": 0, "a": "=x", "d": null}\n]\n'


# ------------------------------------------------------------------------------------------------------- the commands

LEADS = """
    INSERT INTO "Lead" (id, email, "firstName", "leadCapturedAt", "updatedAt")
    SELECT 'l' || n, n || '@x.com', repeat('x', 200), timestamp '2025-01-01' + n * interval '1 s', now()
    FROM generate_series(1, 100000) n
"""


@pytest.fixture
def many(sql: Callable[..., Any]) -> None:
    sql(LEADS)


def started(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)


def test_a_reader_that_has_enough_ends_an_export_quietly(many: None) -> None:
    with started("leads", "export") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"id,leadCapturedAt,")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_an_interrupted_export_leaves_no_file(many: None, sql: Callable[..., Any], tmp_path: Path) -> None:
    # The server sleeps before the last row, so that the signal surely comes in the middle.
    names = [f'"{name}"' for (name,) in sql("SELECT column_name FROM information_schema.columns "
             "WHERE table_schema = 'public' AND table_name = 'Lead'")]  # fmt: skip
    sleepy = "CASE WHEN id = 'l1' THEN pg_sleep(60)::text ELSE email END AS email"
    selected = ", ".join(sleepy if name == '"email"' else name for name in names)
    sql('ALTER TABLE public."Lead" RENAME TO hidden')
    sql(f'CREATE VIEW public."Lead" AS SELECT {selected} FROM public.hidden')
    with started("leads", "export", "--columns", "id,email", "--output", tmp_path / "leads.csv") as process:
        deadline = time.monotonic() + 30
        while not sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert errors == b"Error: interrupted\n"
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == []


def test_the_same_leads_come_out_by_either_way(
    sql: Callable[..., Any], ibctl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql("INSERT INTO \"User\" (id, email, password, role, \"updatedAt\") VALUES ('u', 'ib@x.com', 'x', 'IB', now())")
    for number, value in enumerate(NASTY):
        sql(
            'INSERT INTO "Lead" (id, email, "firstName", "userId", "trackingToken", "leadCapturedAt", "qualifiedAt", '
            '"cpaEarned", "updatedAt") VALUES (%s, %s, %s, %s, %s, %s, %s, %s, now())',
            f"l{number}", value, value, "u" if number % 2 else None, str(number) + value,
            datetime(2025, 1, 1) + number * timedelta(days=2),
            datetime(2025, 10, 31, 23, 59, 59, 999000) if number % 3 else None, 0.1 + 0.2,
        )  # fmt: skip
    asked = ["--ib ib@x.com", "--qualified", "--search x", "--limit 3", "--month 2025-01", ""]
    options = [one.split() for one in asked]
    server = [ibctl("leads", "export", *chosen).stdout for chosen in options]
    monkeypatch.setattr(exports, "_FORMATS", {})
    assert [ibctl("leads", "export", *chosen).stdout for chosen in options] == server
    assert len(set(server)) == len(options)
    assert len(server[3].splitlines()) == 4
    assert "\n".join(server[-1].splitlines()).count("2025-10-31T23:59:59.999Z,0,0.3,") > 5
