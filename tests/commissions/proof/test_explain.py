from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal

import pytest

from ibctl import config
from tests.commissions.conftest import Platform
from tests.conftest import Result

Run = Callable[..., Result]


@pytest.fixture
def ib(platform: Platform, ibctl: Run) -> str:
    """An IB with two qualified leads, one captured, spend in two currencies, and a commission of 30.0165 → 30.02."""
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    platform.lead(ib, "2025-09-30", "2025-10-05", 0.055)
    platform.lead(ib, "2025-10-06")
    platform.spend(ib, platform.account(ib), "2025-10-01", 10)
    platform.rate("2025-10-02", "EUR", "1.0815")
    platform.spend(ib, platform.account(ib, "EUR"), "2025-10-02", 33.33)
    ibctl("commissions", "run", "--month", "2025-10")
    return ib


def test_the_lines_of_the_payout_add_up_to_the_cent(ib: str, ibctl: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(ibctl("commissions", "explain", "ib@x.y", "2025-10", "-f", "csv").stdout)))
    leads = [Decimal(row["value"]) for row in rows if row["part"] == "lead"]
    assert leads == [Decimal("30.00"), Decimal("0.0165"), Decimal("0.0035")]
    (payout,) = [Decimal(row["value"]) for row in rows if row["label"] == "totalPayout"]
    assert sum(leads) == payout == Decimal("30.02")
    days = [Decimal(row["value"]) for row in rows if row["part"] == "spend" and row["total"] == "false"]
    assert sum(days) == Decimal("46.05")


def test_the_derivation_reads_from_the_leads_down_to_the_payout(ib: str, ibctl: Run) -> None:
    text = ibctl("commissions", "explain", "ib@x.y", "2025-10").stdout
    assert "2 captured in the month (totalLeads), 2 qualified in it" in text
    assert text.index("30.00") < text.index("0.0165") < text.index("rounding") < text.index("totalPayout")
    assert "1.0815" in text


def test_the_explanation_stays_what_was_calculated_when_the_data_move_on(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    before = ibctl("commissions", "explain", "ib@x.y", "2025-10", "-f", "json").stdout
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 1')
    platform.sql("UPDATE ibctl.exchange_rate SET rate = 9")
    assert ibctl("commissions", "explain", "ib@x.y", "2025-10", "-f", "json").stdout == before
    assert json.loads(before)[-1]["label"] == "totalAdSpend"


def test_a_figure_edited_outside_ibctl_is_named(ib: str, platform: Platform, ibctl: Run) -> None:
    platform.sql('UPDATE "IbCommission" SET "totalPayout" = 3000')
    warned = ibctl("commissions", "explain", "ib@x.y", "2025-10")
    assert "totalPayout is stored as 3,000.00 USD, but derives to 30.02 USD" in warned.stderr


def test_a_row_that_the_web_application_made_is_derived_from_the_data_of_today(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    platform.sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "totalPayout", "paymentStatus", "updatedAt")'
        " VALUES ('web', %s, 10, 2025, 29.5, 'PAID', now())", ib,
    )  # fmt: skip
    found = ibctl("commissions", "explain", "ib@x.y", "2025-10")
    assert "was not made by ibctl" in found.stderr
    assert "totalPayout is stored as 29.50 USD, but derives to 30.00 USD" in found.stderr
    assert "totalLeads is stored as 0, but derives to 1" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nobody@x.y", "2025-10"], 3, "nobody@x.y"),
        (["ib@x.y", "2025-13"], 2, "'2025-13' is not a month: write it like 2025-10"),
        (["ib@x.y", "2024-01"], 3, "and none is due: neither a lead nor ad spend falls in it"),
        (["ib@x.y", "2025-09"], 3, "run `ibctl commissions run --month 2025-09`"),
    ],
)
@pytest.mark.parametrize("verb", ["explain", "show"])
def test_what_cannot_be_explained_says_why(
    ib: str, process: Run, verb: str, arguments: list[str], code: int, message: str
) -> None:
    failed = process("commissions", verb, *arguments)
    assert (failed.exit_code, failed.stdout) == (code, "")
    assert message in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_what_is_due_since_a_month_was_closed_is_for_the_true_up(ib: str, platform: Platform, ibctl: Run) -> None:
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    platform.lead(platform.user("late@x.y"), "2025-10-03", "2025-10-04", 100)
    refused = ibctl("commissions", "explain", "late@x.y", "2025-10")
    assert refused.exit_code == 3
    assert "2025-10 is closed, and late@x.y has nothing in it" in refused.stderr
    assert "`ibctl commissions true-up 2025-10` books" in refused.stderr
    assert "commissions run" not in refused.stderr


def test_show_says_what_made_the_row(ib: str, ibctl: Run) -> None:
    (row,) = json.loads(ibctl("commissions", "show", "ib@x.y", "2025-10", "-f", "json").stdout)
    assert (row["totalPayout"], row["paymentStatus"], row["plan"], row["changeSetId"]) == (
        30.02,
        "PENDING",
        "default, version 1",
        1,
    )


def test_list_and_export_agree_and_say_the_total(ib: str, ibctl: Run) -> None:
    listed = ibctl("commissions", "list", "--month", "2025-10", "--status", "pending", "-f", "json")
    assert "1 commission, totalPayout 30.02 USD" in listed.stderr
    exported = list(csv.DictReader(io.StringIO(ibctl("commissions", "export", "--month", "2025-10").stdout)))
    assert [float(row["totalPayout"]) for row in exported] == [row["totalPayout"] for row in json.loads(listed.stdout)]
    assert ibctl("commissions", "list", "--status", "LOST").exit_code == 2
    assert "no commissions" in ibctl("commissions", "list", "--month", "2024-01").stderr


def test_a_moment_says_that_it_is_utc_where_months_are_cut_elsewhere(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", "Asia/Tokyo")
    config.use_env_file(None)
    platform.lead(platform.user("ib@x.y"), "2025-09-30T15:00", "2025-09-30T15:00", 100)
    ibctl("commissions", "run", "--month", "2025-10")
    explained = ibctl("commissions", "explain", "ib@x.y", "2025-10")
    assert ("2025-09-30 15:00" in explained.stdout, "qualifiedAt is UTC, the month is cut in Asia/Tokyo") == (
        True, explained.stderr.strip().splitlines()[0]
    )  # fmt: skip
