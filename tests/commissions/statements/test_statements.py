"""Statements: the account adds up from month to month, in every format, whatever is written in it."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import stat
from collections.abc import Callable
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ibctl import db, ids
from ibctl.commissions.statements import service as statements
from ibctl.commissions.statements.html import chart
from ibctl.months import Month
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import create, earner, payee
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
STATEMENT = ("commissions", "statement")


def stated(ibctl: Run, ib: str, month: str) -> dict[str, Any]:
    ended = ibctl(*STATEMENT, ib, month, "-f", "json")
    assert ended.exit_code == 0, ended.stderr
    (found,) = json.loads(ended.stdout)
    return dict(found)


def account(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["amount"]) for entry in found["entries"]]


def reconcile(ibctl: Run, batch: str, *rows: str) -> None:
    Path("paid.csv").write_text("\n".join(["reference,amount,currency,date,id", *rows]) + "\n")
    assert ibctl("commissions", "payouts", "reconcile", batch, "paid.csv", "--paid-is", "positive").exit_code in (0, 7)


@pytest.fixture
def year(platform: Platform, ibctl: Run) -> Platform:
    """a@x.y earned 120.00 in August, 60.03 in September and 30.00 in October; August was paid in September."""
    user = platform.user("a@x.y")
    payee(platform, "a@x.y", currency="EUR")
    platform.rate("2025-08-31", "EUR", "1.2")
    for day, cpa in (("2025-08-04", 400), ("2025-09-10", 200.1), ("2025-10-20", 100)):
        platform.lead(user, day, day, cpa)
    for month in ("2025-08", "2025-09", "2025-10"):
        assert ibctl("commissions", "run", "--month", month).exit_code == 0
    assert ibctl("commissions", "payouts", "create", "--month", "2025-08", "--yes").exit_code == 0
    reconcile(ibctl, "2025-08-1", "IB202508B1N00001,100.00,EUR,2025-09-03,T1")
    return platform


# ------------------------------------------------------------------------------------------------------------- accounts


def test_the_account_says_what_was_earned_paid_and_is_owed(year: Platform, ibctl: Run) -> None:
    found = stated(ibctl, "a@x.y", "2025-09")
    assert (found["opening"], account(found), found["closing"]) == (
        "120.00", [("payment", "-120.00"), ("commission", "60.03")], "60.03",
    )  # fmt: skip
    assert found["entries"][0]["label"] == "payment: IB202508B1N00001, bank_transfer, 100.00 EUR at 1.2"
    assert found["notes"] == ["The payout of 2025-09, 60.03 USD, is due."]
    assert [one["totalPayout"] for one in found["history"][-3:]] == ["0.00", "120.00", "60.03"]


def test_a_closing_balance_is_the_next_opening_balance(year: Platform, ibctl: Run) -> None:
    months = [stated(ibctl, "a@x.y", f"2025-{month:02d}") for month in range(8, 13)]
    for before, after in itertools.pairwise(months):
        assert before["closing"] == after["opening"]
    for found in months:
        moved = sum((Decimal(amount) for _, amount in account(found)), Decimal(0))
        assert Decimal(found["opening"]) + moved == Decimal(found["closing"])
    assert months[-1]["closing"] == "90.03"


def test_money_that_came_back_is_owed_again(year: Platform, ibctl: Run) -> None:
    reconcile(ibctl, "2025-08-1", "IB202508B1N00001,-100.00,EUR,2025-10-09,T2")
    found = stated(ibctl, "a@x.y", "2025-10")
    assert account(found) == [("returned", "120.00"), ("commission", "30.00")]
    assert found["closing"] == "210.03"


def test_a_payment_in_parts_counts_with_its_parts(year: Platform, ibctl: Run) -> None:
    year.rate("2025-09-30", "EUR", "1.2")
    create(ibctl, "--month", "2025-09")
    reconcile(
        ibctl, "2025-09-1", "IB202509B1N00001,10.00,EUR,2025-10-03,T1", "IB202509B1N00001,40.03,EUR,2025-10-04,T2"
    )
    found = stated(ibctl, "a@x.y", "2025-10")
    assert account(found) == [("payment", "-12.00"), ("payment", "-48.03"), ("commission", "30.00")]
    assert found["closing"] == "30.00"


def test_what_was_booked_into_the_month_is_an_entry_with_its_reason(year: Platform, ibctl: Run, sql: Sql) -> None:
    sql(
        'INSERT INTO ibctl.adjustment (id, "userId", year, month, kind, amount, currency, reason, actor, "createdAt")'
        " SELECT %s, id, 2025, 10, 'clawback', -12.5, 'USD', 'lead was refunded', 'x', now() FROM \"User\"",
        ids.cuid(),
    )
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    found = stated(ibctl, "a@x.y", "2025-10")
    assert account(found) == [("commission", "30.00"), ("adjustment", "-12.50")]
    assert found["entries"][1]["label"] == "clawback: lead was refunded"
    assert (found["totalPayout"], found["closing"]) == ("17.50", "77.53")


def test_a_row_that_the_web_application_made_and_marked_as_paid_counts_too(platform: Platform, ibctl: Run) -> None:
    earner(platform, "w@x.y", 50, "PAID", month=9)
    platform.sql('UPDATE "IbCommission" SET "paidAt" = \'2025-10-02 08:00\', "paymentMethod" = \'paypal\'')
    found = stated(ibctl, "w@x.y", "2025-10")
    assert (found["opening"], account(found), found["closing"]) == ("50.00", [("payment", "-50.00")], "0.00")
    assert stated(ibctl, "w@x.y", "2025-09")["closing"] == "50.00"


PLAN = """
name = "small"
version = 1
from = "2025-08"
[commission]
rate = 0.30
[payout]
minimum = 100
"""


def test_what_is_below_the_minimum_is_owed_until_it_is_paid(platform: Platform, ibctl: Run, sql: Sql) -> None:
    Path("plan.toml").write_text(PLAN)
    assert ibctl("commissions", "plans", "add", "plan.toml", "--yes").exit_code == 0
    assign = ("commissions", "plans", "assign", "--all", "--plan", "small", "--from", "2025-08", "--yes")
    assert ibctl(*assign).exit_code == 0
    user = platform.user("a@x.y")
    payee(platform, "a@x.y")
    for month, cpa in (("08", 100), ("09", 200), ("10", 100)):
        platform.lead(user, f"2025-{month}-04", f"2025-{month}-05", cpa)
        assert ibctl("commissions", "run", "--month", f"2025-{month}").exit_code == 0
        assert ibctl("commissions", "close", f"2025-{month}", "--yes").exit_code == 0
    found = [stated(ibctl, "a@x.y", f"2025-{month}") for month in ("08", "09", "10")]
    assert [(one["opening"], one["closing"], one["totalPayout"]) for one in found] == [
        ("0.00", "30.00", "0.00"), ("30.00", "90.00", "0.00"), ("90.00", "120.00", "120.00"),
    ]  # fmt: skip
    assert found[1]["notes"] == ["90.00 USD are carried on to a later month."]
    assert [account(one) for one in found] == [[("commission", amount)] for amount in ("30.00", "60.00", "30.00")]
    create(ibctl)
    reconcile(ibctl, "2025-10-1", "IB202510B1N00001,120.00,USD,2025-11-03,T1")
    assert stated(ibctl, "a@x.y", "2025-11")["closing"] == "0.00"


def test_balances_of_all_ibs_are_earned_less_paid(year: Platform, ibctl: Run) -> None:
    earner(year, "b@x.y", 70)
    with db.reading() as session:
        closing = {one.email: one.closing for one in statements.build(session, Month(2025, 10))}
    assert closing == {"a@x.y": Decimal("90.03"), "b@x.y": Decimal(70)}


def test_who_has_no_commission_gets_no_statement(year: Platform, ibctl: Run) -> None:
    ended = ibctl(*STATEMENT, "a@x.y", "2025-07")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "a@x.y has no commission up to 2025-07" in ended.stderr
    assert "`ibctl commissions run --month 2025-07` calculates it" in ended.stderr


def test_in_a_closed_month_nobody_is_sent_to_a_run_that_would_be_refused(year: Platform, ibctl: Run) -> None:
    year.user("new@x.y")
    for month in ("2025-08", "2025-09", "2025-10"):
        assert ibctl("commissions", "close", month, "--yes").exit_code == 0
    for ib, month, found in (
        (
            "new@x.y",
            "2025-10",
            "2025-10 is closed, and new@x.y has nothing in it nor before: there is nothing to state",
        ),
        ("new@x.y", "2025-11", "`ibctl commissions run --month 2025-11` calculates it"),
    ):
        ended = ibctl(*STATEMENT, ib, month)
        assert (ended.exit_code, ended.stdout, found in ended.stderr) == (3, "", True), ended.stderr


# -------------------------------------------------------------------------------------------------------------- formats


class Page(HTMLParser):
    """Collects a page's tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'&amp;"


@pytest.mark.parametrize("form", ["html", "md"])
def test_an_ib_called_script_runs_nothing(year: Platform, ibctl: Run, sql: Sql, form: str) -> None:
    sql('UPDATE "User" SET email = %s', f"{EVIL}@x.y")
    sql(
        'INSERT INTO ibctl.adjustment (id, "userId", year, month, kind, amount, currency, reason, actor, "createdAt")'
        " SELECT %s, id, 2025, 10, 'manual', 1, 'USD', %s, 'x', now() FROM \"User\"",
        ids.cuid(), EVIL + "|`[x](javascript:alert(3))`",
    )  # fmt: skip
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    text = ibctl(*STATEMENT, sql('SELECT id FROM "User"')[0][0], "2025-10", "-f", form).stdout
    if form == "html":
        page = Page(text)
        assert {tag for tag, _ in page.tags} & {"script", "img", "a", "iframe", "link"} == set()
        assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
        assert f"{EVIL}@x.y" in page.text
    else:
        assert not re.search(r"(?<!\\)[<|`](script|img|x|\[)", text)


def test_the_page_needs_nothing_else(year: Platform, ibctl: Run) -> None:
    text = ibctl(*STATEMENT, "a@x.y", "2025-10").stdout
    assert not re.search(r"https?:|src=|href=|url\(|@import", text)
    assert "default-src 'none'" in text
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("svg") == 1
    assert [tag for tag, _ in page.tags].count("rect") == 3
    assert "closing balance90.03" in page.text.replace("\n", "")


def test_csv_begins_with_the_opening_and_ends_with_the_closing_balance(year: Platform, ibctl: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(ibctl(*STATEMENT, "a@x.y", "2025-09", "-f", "csv").stdout)))
    assert [(row["kind"], row["amount"], row["balance"]) for row in rows] == [
        ("opening", "", "120.00"), ("payment", "-120.00", "0.00"), ("commission", "60.03", "60.03"),
        ("closing", "", "60.03"),
    ]  # fmt: skip


def test_markdown_derives_the_payout(year: Platform, ibctl: Run) -> None:
    text = ibctl(*STATEMENT, "a@x.y", "2025-09", "-f", "md").stdout
    assert "| 2025-09-30 | commission\\: 1" not in text
    assert "| **payout** |  |  | 60.03 |" in text
    assert "| | **closing balance** | | **60.03** |" in text


def test_a_chart_has_a_bar_for_each_month_that_paid_and_none_without() -> None:
    months = [Month(2025, number) for number in range(1, 13)]
    drawn = chart([(month, Decimal(month.month % 2) * 15_000) for month in months], "USD")
    assert (drawn.count("<rect"), drawn.count("15.0k")) == (6, 6)
    assert chart([(month, Decimal(0)) for month in months], "USD").count("<rect") == 0


# ------------------------------------------------------------------------------------------------------------- commands


def test_all_statements_are_files_of_their_own_readable_by_one(year: Platform, ibctl: Run, tmp_path: Path) -> None:
    earner(year, "b@x.y", 70)
    ended = ibctl(*STATEMENT, "--all", "2025-10", "-o", tmp_path / "out")
    assert (ended.exit_code, "2 statements of 2025-10" in ended.stderr) == (0, True)
    files = list((tmp_path / "out").iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert sorted("a@x.y" in path.read_text() for path in files) == [False, True]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "name an IB and a month"),
        (("a@x.y", "2025-10", "x"), 2, "name an IB and a month"),
        (("--all", "2025-10"), 2, "--all takes a folder"),
        (("--all", "2024-10", "-o", "out"), 3, "there is no commission up to 2024-10"),
        (("a@x.y", "October"), 2, "'October' is not a month"),
        (("nobody@x.y", "2025-10"), 3, "there is no IB 'nobody@x.y'"),
    ],
)
def test_what_cannot_be_stated_is_one_line(
    year: Platform, ibctl: Run, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = ibctl(*STATEMENT, *arguments)
    assert (ended.exit_code, ended.stdout, words in ended.stderr) == (code, "", True)
    assert len(ended.stderr.splitlines()) == 1
