"""Exchange rates: importing and listing them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from ibctl import currencies, db
from ibctl.commissions import rates
from ibctl.imports import RowError
from tests.ads.conftest import outcome
from tests.commissions.conftest import Platform
from tests.conftest import Result, command

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
HEADER = "date,currency,rate,source"
ROW = {"date": "2025-10-01", "currency": "EUR", "rate": "1.0842"}
IMPORT = ["commissions", "rates", "import"]


def file(folder: Path, *rows: str, header: str = HEADER, name: str = "rates.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def stored(sql: Sql) -> list[tuple[Any, ...]]:
    return sql('SELECT date::text, currency, "baseCurrency", rate, source FROM ibctl.exchange_rate ORDER BY 1, 2, 3')


# ------------------------------------------------------------------------------------------------------- what a row is


@given(st.decimals(min_value=Decimal("0.000000000001"), max_value=10**9, places=12))
def test_a_rate_is_kept_exactly(rate: Decimal) -> None:
    assert rates.read(ROW | {"rate": f"{rate:f}"}, base="USD", source="ECB").rate == rate


def test_a_source_in_the_row_counts_before_the_one_for_the_file() -> None:
    assert rates.read(ROW | {"source": " bank  statement "}, base="USD", source="ECB").source == "bank statement"
    assert rates.read(ROW | {"source": " "}, base="USD", source="ECB").source == "ECB"


@freeze_time("2025-10-31T09:00:00Z")
@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"date": ""}, "date_invalid", "date"),
        ({"date": "01.10.2025"}, "date_invalid", "date"),
        ({"date": "9999-10-01"}, "date_invalid", "date"),
        ({"date": "2025-11-01"}, "date_future", "date"),
        ({"currency": ""}, "currency_invalid", "currency"),
        ({"currency": "EURO"}, "currency_invalid", "currency"),
        ({"currency": "E1R"}, "currency_invalid", "currency"),
        ({"currency": "XXQ"}, "currency_invalid", "currency"),
        ({"currency": "ÄÖÜ"}, "currency_invalid", "currency"),
        ({"currency": "usd"}, "currency_invalid", "currency"),
        ({"baseCurrency": "CHF"}, "currency_invalid", "baseCurrency"),
        ({"rate": ""}, "rate_invalid", "rate"),
        ({"rate": "NaN"}, "rate_invalid", "rate"),
        ({"rate": "inf"}, "rate_invalid", "rate"),
        ({"rate": "0"}, "rate_invalid", "rate"),
        ({"rate": "0.000"}, "rate_invalid", "rate"),
        ({"rate": "-1.08"}, "rate_invalid", "rate"),
        ({"rate": "1,08"}, "rate_invalid", "rate"),
        ({"rate": "1e-3"}, "rate_invalid", "rate"),
        ({"rate": "0.0000000000001"}, "rate_invalid", "rate"),
        ({"rate": "1000000000000"}, "rate_invalid", "rate"),
        ({"source": "x" * 201}, "source_invalid", "source"),
        ({"source": "E\0B"}, "source_invalid", "source"),
        ({"source": ""}, "source_invalid", "source"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_code(change: dict[str, str], code: str, field: str) -> None:
    with pytest.raises(RowError) as caught:
        rates.read(ROW | change, base="USD", source=None if "source" in change else "ECB")
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_rate_can_be_in_a_currency_that_has_been_withdrawn_since() -> None:
    assert rates.read(ROW | {"date": "2022-10-01", "currency": "hrk"}, base="EUR", source="ECB").currency == "HRK"
    with pytest.raises(ValueError, match="'HRK' is not a currency"):
        currencies.parse("HRK")


@freeze_time("2025-10-31T10:30:00Z")
def test_a_day_that_has_begun_somewhere_can_have_a_rate() -> None:
    assert rates.read(ROW | {"date": "2025-11-01"}, base="USD", source="ECB")


# --------------------------------------------------------------------------------------------------------------- import


def test_rates_are_imported_with_their_sources(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    path = file(tmp_path, "2025-10-01,eur,1.0842,ECB", "2025-10-01,JPY,0.0067,bank", "2025-10-02,EUR,1.1,")
    run = ibctl(*IMPORT, path, "--source", "Reuters")
    assert (run.exit_code, outcome(run)) == (0, {"added": 3})
    assert run.stderr == "rates written: 3; change set 1, `ibctl undo 1` takes it back\n"
    assert stored(sql) == [
        ("2025-10-01", "EUR", "USD", Decimal("1.0842"), "ECB"),
        ("2025-10-01", "JPY", "USD", Decimal("0.0067"), "bank"),
        ("2025-10-02", "EUR", "USD", Decimal("1.1"), "Reuters"),
    ]


def test_the_base_currency_is_a_setting(sql: Sql, ibctl: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, "2025-10-01,EUR,1.0842,ECB", "2025-10-01,USD,0.92,ECB")
    assert ibctl(*IMPORT, path).exit_code == 6
    monkeypatch.setenv("IBCTL_BASE_CURRENCY", "EUR")
    run = ibctl(*IMPORT, path)
    assert run.exit_code == 6
    assert "EUR is the base currency: its rate is always 1" in run.stderr
    assert [row[1:4] for row in stored(sql)] == [("EUR", "USD", Decimal("1.0842")), ("USD", "EUR", Decimal("0.92"))]


def test_importing_rates_again_writes_nothing(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    ibctl(*IMPORT, file(tmp_path, "2025-10-01,EUR,1.10,ECB"))
    before = sql("SELECT * FROM ibctl.exchange_rate")
    run = ibctl(*IMPORT, file(tmp_path, "2025-10-01,EUR,1.1000,ECB"))
    assert outcome(run) == {"unchanged": 1}
    assert "change set" not in run.stderr
    assert sql("SELECT * FROM ibctl.exchange_rate") == before
    assert sql("SELECT count(*) FROM ibctl.change_set") == [(1,)]


def test_a_rate_or_source_that_differs_replaces_the_stored_one(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    ibctl(*IMPORT, file(tmp_path, "2025-10-01,EUR,1.10,ECB", "2025-10-02,EUR,1.2,ECB", "2025-10-03,EUR,1.3,ECB"))
    ids = sql("SELECT id FROM ibctl.exchange_rate ORDER BY date")
    run = ibctl(*IMPORT, file(tmp_path, "2025-10-01,EUR,1.11,ECB", "2025-10-02,EUR,1.2,bank", "2025-10-03,EUR,1.3,ECB"))
    assert outcome(run) == {"changed": 2, "unchanged": 1}
    assert [row[3:] for row in stored(sql)] == [
        (Decimal("1.11"), "ECB"), (Decimal("1.2"), "bank"), (Decimal("1.3"), "ECB"),
    ]  # fmt: skip
    assert sql("SELECT id FROM ibctl.exchange_rate ORDER BY date") == ids


def test_the_same_day_and_currency_twice_is_refused_naming_the_first(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    run = ibctl(*IMPORT, file(tmp_path, "2025-10-01,EUR,1.1,ECB", "2025-10-01,eur,1.2,ECB"))
    assert run.exit_code == 6
    assert "row 3 refused: date: row 2 has this day and currency already" in run.stderr
    assert [row[3] for row in stored(sql)] == [Decimal("1.1")]
    refused = csv.DictReader(io.StringIO((tmp_path / "rates.csv.rejects.csv").read_text()))
    assert [(row["_row"], row["_code"], row["rate"]) for row in refused] == [("3", "duplicate", "1.2")]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [([], 2, "pass --source"), (["--source", " "], 2, "pass --source"), (["--source", "ECB"], 0, "written: 1")],
)
def test_somebody_must_vouch_for_a_rate(
    database: str, ibctl: Run, tmp_path: Path, options: list[str], code: int, message: str
) -> None:
    run = ibctl(*IMPORT, file(tmp_path, "2025-10-01,EUR,1.1", header="date,currency,rate"), *options)
    assert run.exit_code == code
    assert message in run.stderr


def test_a_dry_run_says_what_would_happen_and_writes_nothing(sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    run = ibctl(*IMPORT, file(tmp_path, "2025-10-01,EUR,1.1,ECB"), "--dry-run")
    assert outcome(run) == {"added": 1}
    assert run.stderr == "rates written: 1; dry run: nothing was written\n"
    assert (stored(sql), sql("SELECT * FROM ibctl.change_set")) == ([], [])


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b"", 3, "is empty"),
        (b"date,currency,rate,source\n2025-10-01,EUR,NaN,ECB\n", 3, "has no row that can be imported"),
        (b"date,currency,rate,source\n2025-10-01,EUR,1.1,ECB\n2025-10-02,EUR,x,ECB\n", 6, "'x' is not a rate"),
        (b"date;currency;source\n2025-10-01;EUR;ECB\n", 3, "has no column rate"),
    ],
    ids=["empty", "nothing good", "in part", "no rate"],
)
def test_the_process_ends_with_the_code_that_says_what_became_of_the_file(
    sql: Sql, process: Run, tmp_path: Path, content: bytes, code: int, message: str
) -> None:
    path = tmp_path / "rates.csv"
    path.write_bytes(content)
    run = process(*IMPORT, path)
    assert run.exit_code == code
    assert message in run.stderr
    assert "Traceback" not in run.stderr
    assert len(stored(sql)) == (code == 6)


def test_an_import_waits_for_one_that_has_not_finished(sql: Sql, database: str, tmp_path: Path) -> None:
    with db.transaction() as session:
        db.lock(session, "exchange rates")
        run = subprocess.Popen(
            command([*IMPORT, file(tmp_path, "2025-10-01,EUR,1.1,ECB")]), stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 30
        while not sql("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"):
            assert time.monotonic() < deadline, "the import does not wait"
            time.sleep(0.05)
    assert "waiting for" in run.communicate(timeout=60)[1]
    assert (run.returncode, len(stored(sql))) == (0, 1)


# ------------------------------------------------------------------------------------------------------- settled months


@pytest.fixture
def settled(platform: Platform) -> Platform:
    """anna spent euros in September, which is paid, and in October, which is not; EUR has rates for all days."""
    anna = platform.user("anna@x.y")
    account = platform.account(anna, "eur")
    for day in ("2025-09-30", "2025-10-01"):
        platform.spend(anna, account, day, 10)
        platform.rate(day, "EUR", "1.1")
    for month, status in ((9, "PAID"), (10, "PENDING")):
        platform.sql(
            'INSERT INTO "IbCommission" (id, "userId", year, month, "paymentStatus", "updatedAt")'
            " VALUES (%s, %s, 2025, %s, %s, now())",
            f"c{month}", anna, month, status,
        )  # fmt: skip
    return platform


def test_a_changed_rate_that_counted_in_a_paid_month_is_taken_and_warned_about(
    settled: Platform, ibctl: Run, tmp_path: Path
) -> None:
    run = ibctl(*IMPORT, file(tmp_path, "2025-09-30,EUR,1.2,ECB", "2025-10-01,EUR,1.2,ECB"))
    assert run.exit_code == 0
    warnings = [line for line in run.stderr.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 1
    assert "2025-09 is PAID for anna@x.y" in warnings[0]
    assert "rates of EUR that counted in them have changed" in warnings[0]
    assert [row[3] for row in stored(settled.sql)] == [Decimal("1.2"), Decimal("1.2")]


def test_rates_that_are_new_or_counted_nowhere_are_no_news(settled: Platform, ibctl: Run, tmp_path: Path) -> None:
    settled.rate("2025-09-30", "JPY", "0.006")
    rows = ["2025-09-30,EUR,1.1,another source", "2025-09-29,EUR,1.2,ECB", "2025-09-30,JPY,0.007,ECB"]
    run = ibctl(*IMPORT, file(tmp_path, *rows))
    assert outcome(run) == {"added": 1, "changed": 2}
    assert "Warning" not in run.stderr


# ----------------------------------------------------------------------------------------------------------------- list


@pytest.fixture
def known(platform: Platform) -> Platform:
    for day, currency, rate in [
        ("2025-09-30", "EUR", "1.1"), ("2025-10-01", "EUR", "1.0842"), ("2025-10-01", "JPY", "0.006700000001"),
        ("2025-10-31", "EUR", "12"),
    ]:  # fmt: skip
        platform.rate(day, currency, rate)
    return platform


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ([], [("2025-10-31", "EUR"), ("2025-10-01", "EUR"), ("2025-10-01", "JPY"), ("2025-09-30", "EUR")]),
        (["--currency", "jpy"], [("2025-10-01", "JPY")]),
        (["--month", "2025-09"], [("2025-09-30", "EUR")]),
        (["--from", "2025-10-02"], [("2025-10-31", "EUR")]),
        (["--to", "2025-09-30"], [("2025-09-30", "EUR")]),
        (["--currency", "CHF"], []),
    ],
)
def test_rates_are_listed_newest_first_and_by_filters(
    known: Platform, ibctl: Run, options: list[str], found: list[tuple[str, str]]
) -> None:
    run = ibctl("commissions", "rates", "list", "--format", "json", *options)
    assert [(row["date"], row["currency"]) for row in json.loads(run.stdout)] == found
    assert ("no rates" in run.stderr) == (not found)


def test_a_listing_that_was_cut_says_so_and_shows_all_decimals(known: Platform, ibctl: Run) -> None:
    run = ibctl("commissions", "rates", "list", "--limit", "3")
    assert "the newest 3 of 4 rates; --limit 0 shows all" in run.stderr
    assert "0.006700000001" in run.stdout


def test_a_listing_as_csv_can_be_imported_and_changes_nothing(known: Platform, ibctl: Run, tmp_path: Path) -> None:
    before = known.sql("SELECT * FROM ibctl.exchange_rate ORDER BY id")
    out = tmp_path / "out.csv"
    assert ibctl("commissions", "rates", "list", "--limit", "0", "--format", "csv", "-o", out).exit_code == 0
    run = ibctl(*IMPORT, out)
    assert (run.exit_code, outcome(run)) == (0, {"unchanged": 4})
    assert known.sql("SELECT * FROM ibctl.exchange_rate ORDER BY id") == before


@pytest.mark.parametrize(
    "options", [["--month", "10/2025"], ["--from", "x"], ["--month", "2025-10", "--to", "2025-10-01"]]
)
def test_a_filter_that_makes_no_sense_is_refused(database: str, ibctl: Run, options: list[str]) -> None:
    assert ibctl("commissions", "rates", "list", *options).exit_code == 2
