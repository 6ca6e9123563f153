from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from ibctl import db
from ibctl.commissions.months import closing
from ibctl.errors import RequestError
from ibctl.months import Month
from tests.commissions.conftest import Platform, Strict
from tests.commissions.payout_cases import payee
from tests.conftest import Result, ok

Run = Callable[..., Result]


def close(ibctl: Run, month: str) -> Result:
    return ibctl("commissions", "close", month, "--yes")


def run(ibctl: Run, month: str) -> Result:
    return ok(ibctl("commissions", "run", "--month", month))


def payouts(platform: Platform) -> dict[int, Any]:
    return dict(platform.sql('SELECT month, "totalPayout"::numeric FROM "IbCommission" WHERE year = 2025'))


def test_a_closed_month_is_final_and_a_run_of_it_leaves_it_alone(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    closed = ok(close(ibctl, "2025-10"))  # calculates it, too
    assert "2025-10 is closed: 1 IB, 30.00 USD, 0.00 USD carried on" in closed.stderr
    platform.lead(ib, "2025-10-03", "2025-10-05", 100)
    before = platform.everything()
    again = run(ibctl, "2025-10")
    assert "2025-10 was closed on" in again.stderr
    assert platform.everything() == before
    quiet = ok(ibctl("commissions", "run", "--month", "2025-10", "--quiet"))
    assert (quiet.stdout, quiet.stderr) == ("", "")
    refused = ibctl("commissions", "adjust", "ib@x.y", "2025-10", "5", "--reason", "r", "--yes")
    assert (refused.exit_code, "2025-10 was closed on" in refused.stderr) == (3, True)


# Bug class: balances below the threshold of three months, that vanished or did not add up.
def test_balances_below_the_minimum_of_three_months_add_up_exactly(
    platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict()
    ib = platform.user("ib@x.y")
    for number, cpa in ((7, 50.05), (8, 66.7), (9, 33.35), (10, 100)):  # 15.015, 20.01, 10.005, 30
        platform.lead(ib, f"2025-{number:02}-03", f"2025-{number:02}-04", cpa)
    for month in ("2025-07", "2025-08", "2025-09"):
        ok(close(ibctl, month))
    run(ibctl, "2025-10")
    assert payouts(platform) == {7: 0, 8: 0, 9: 0, 10: Decimal("75.04")}  # 15.02 + 20.01 + 10.01 + 30
    lines = json.loads(ibctl("commissions", "adjustments", "--kind", "carry", "-f", "json").stdout)
    assert [(row["month"], row["amount"], row["reason"]) for row in lines] == [
        ("2025-10", 45.04, "below the minimum in 2025-09"),
        ("2025-09", 35.03, "below the minimum in 2025-08"),
        ("2025-08", 15.02, "below the minimum in 2025-07"),
    ]
    assert "carry: below the minimum in 2025-09" in ibctl("commissions", "explain", "ib@x.y", "2025-10").stdout


def test_less_than_the_smallest_unit_of_the_currency_is_carried_on_and_arrives(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_BASE_CURRENCY", "JPY")
    ib = platform.user("ib@x.y")
    for month, cpa in (("09", 1), ("10", 1_001), ("11", 1)):  # 0.30, 300.30 and 0.30 yen
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", cpa)
    ok(close(ibctl, "2025-09"))
    said = ok(ibctl("commissions", "explain", "ib@x.y", "2025-09")).stdout
    assert "less than 1 JPY: carried on" in said
    assert ok(ibctl("commissions", "dossier", "ib@x.y", "2025-09", "-o", "d")).exit_code == 0
    assert "findings: 0" in ok(ibctl("commissions", "verify")).stderr
    closed = ok(close(ibctl, "2025-10"))
    assert "2025-10 is closed: 1 IB, 300 JPY, 0.6 JPY carried on" in closed.stderr
    shown = closed.stdout + "".join(
        ok(ibctl("commissions", *words)).stdout for words in (["list"], ["adjustments"], ["show", "ib@x.y", "2025-10"])
    )
    assert (" 300 " in shown, " 0.3 " in shown, ".00" in shown) == (True, True, False), shown
    assert "1 open commission, 0 JPY to pay out" in ok(ibctl("commissions", "run", "--month", "2025-11")).stderr
    assert payouts(platform) == {9: 0, 10: 300, 11: 0}
    lines = json.loads(ibctl("commissions", "adjustments", "--kind", "carry", "-f", "json").stdout)
    assert [(row["month"], row["amount"], row["reason"]) for row in lines] == [
        ("2025-11", 0.6, "less than the smallest unit in 2025-10"),
        ("2025-10", 0.3, "less than the smallest unit in 2025-09"),
    ]
    assert (
        "0.6 JPY are carried on" in ok(ibctl("commissions", "statement", "ib@x.y", "2025-10", "--format", "md")).stdout
    )
    ok(ibctl("commissions", "dossier", "ib@x.y", "2025-10", "-o", "d10"))


@pytest.mark.parametrize("evidence", [False, True])
def test_what_a_payment_leaves_below_the_smallest_unit_is_carried_on(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch, evidence: bool
) -> None:
    monkeypatch.setenv("IBCTL_BASE_CURRENCY", "JPY")
    ib = platform.user("ib@x.y")
    payee(platform, "ib@x.y", currency="JPY")
    platform.lead(ib, "2025-09-03", "2025-09-04", 1001.50)  # 300.45 yen
    run(ibctl, "2025-09")
    ok(ibctl("commissions", "payouts", "create", "--month", "2025-09", "--yes"))
    if evidence:
        Path("bank.csv").write_text("reference,amount,currency,date\nIB202509B1N00001,300,JPY,2025-10-05\n")
        ok(ibctl("commissions", "payouts", "reconcile", "2025-09-1", "bank.csv", "--paid-is", "positive"))
    assert "1 IB, 0 JPY, 0.45 JPY carried on" in ok(close(ibctl, "2025-09")).stderr
    assert platform.sql("SELECT month, amount FROM ibctl.adjustment WHERE kind = 'carry'") == [(10, Decimal("0.45"))]
    assert "0.45" in ok(ibctl("commissions", "statement", "ib@x.y", "2025-10", "--format", "csv")).stdout


def test_a_month_in_which_something_was_held_meanwhile_is_not_closed_as_it_was_shown(
    platform: Platform, ibctl: Run
) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    month = Month(2025, 9)
    with db.transaction() as session:
        shown = closing.prepare(session, month)
    ok(ibctl("commissions", "hold", "ib@x.y", "2025-09", "--reason", "r", "--yes"))
    with pytest.raises(RequestError, match="2025-09 has changed since it was shown"), db.transaction() as session:
        closing.close(session, month, digest=shown.digest, reason=None)


def test_a_negative_month_is_carried_on_or_written_off_as_the_plan_says(
    platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict("reset")
    platform.user("forgiven@x.y")
    carried = platform.user("carried@x.y")
    ok(ibctl("commissions", "plans", "assign", "carried@x.y", "--plan", "default", "--from", "2025-01"))
    for email in ("forgiven@x.y", "carried@x.y"):
        ok(ibctl("commissions", "adjust", email, "2025-09", "-80", "--reason", "penalty", "--yes"))
    ok(close(ibctl, "2025-09"))
    ((user, amount),) = platform.sql("SELECT \"userId\", amount FROM ibctl.adjustment WHERE kind = 'carry'")
    assert (user, amount) == (carried, -80)


def test_what_waits_in_an_open_month_is_named_by_the_next_run(platform: Platform, ibctl: Run, strict: Strict) -> None:
    strict()
    ib = platform.user("ib@x.y")
    for month in ("09", "10"):
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", 100)
    run(ibctl, "2025-09")
    said = run(ibctl, "2025-10").stderr
    assert "1 balance of 2025-09, 30.00 USD: carried on when it is closed" in said


def test_a_held_balance_stays_where_it_is_and_is_carried_on_by_its_release(
    platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict()
    platform.lead(platform.user("ib@x.y"), "2025-09-03", "2025-09-04", 100)
    ok(ibctl("commissions", "hold", "ib@x.y", "2025-09", "--reason", "r"))
    ok(close(ibctl, "2025-09"))
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(0,)]
    done = ok(ibctl("commissions", "release", "ib@x.y", "2025-09", "--reason", "r"))
    assert "30.00 USD carried on" in done.stderr
    # It is held no more, so that nothing is carried twice.
    refused = ibctl("commissions", "hold", "ib@x.y", "2025-09", "--reason", "r")
    assert (refused.exit_code, "30.00 USD of 2025-09 went on into 2025-10" in refused.stderr) == (3, True)
    assert platform.sql("SELECT amount FROM ibctl.adjustment") == [(30,)]


def test_months_are_closed_in_their_order_once_and_when_they_are_over(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    for month in ("08", "09", "10"):
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", 100)
        run(ibctl, f"2025-{month}")
    assert "close 2025-08 first" in close(ibctl, "2025-09").stderr
    for month in ("2025-08", "2025-09"):
        ok(close(ibctl, month))
    assert "2025-09 was closed on" in close(ibctl, "2025-09").stderr
    refused = close(ibctl, "2025-07")
    assert "2025-09 is closed, and months are closed in their order: an earlier one only when" in refused.stderr
    platform.lead(ib, "2025-07-03", "2025-07-04", 100)
    assert "by `ibctl commissions run --month 2025-07`; then it can be closed" in close(ibctl, "2025-07").stderr
    run(ibctl, "2025-07")
    ok(close(ibctl, "2025-07"))
    with freeze_time("2025-10-31T23:00"):
        assert "2025-10 is not over yet in UTC" in close(ibctl, "2025-10").stderr
    assert [row["id"] for row in json.loads(ibctl("commissions", "months", "-f", "json").stdout)] == [
        "2025-09", "2025-08", "2025-07"
    ]  # fmt: skip


def test_a_balance_arrives_across_quiet_months_which_are_closed_in_between(
    platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict()
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-06-03", "2025-06-04", 100)
    platform.lead(ib, "2025-10-03", "2025-10-04", 200)
    ok(close(ibctl, "2025-06"))
    assert "1 balance of 2025-07, 30.00 USD: carried on when it is closed" in run(ibctl, "2025-10").stderr
    for month, missing in (("2025-10", "2025-07"), ("2025-08", "2025-07")):
        refused = close(ibctl, month)
        assert (refused.exit_code, f"close {missing} first: months are closed one after" in refused.stderr) == (3, True)
    for month in ("2025-07", "2025-08", "2025-09", "2025-10"):
        ok(close(ibctl, month))
    assert payouts(platform) == {6: 0, 7: 0, 8: 0, 9: 0, 10: 90}


def test_a_month_in_which_nothing_is_can_be_closed(platform: Platform, ibctl: Run) -> None:
    platform.user("ib@x.y")
    closed = ok(close(ibctl, "2025-09"))
    assert "2025-09 is closed: 0 IBs, 0.00 USD, 0.00 USD carried on" in closed.stderr
    ok(close(ibctl, "2025-10"))
    ok(ibctl("commissions", "reopen", "2025-10", "--reason", "r", "--yes"))
    assert platform.sql("SELECT id FROM ibctl.closed_month") == [("2025-09",)]
    assert platform.commissions() == []


def test_a_month_that_was_never_run_stops_a_later_close(platform: Platform, ibctl: Run, strict: Strict) -> None:
    strict()
    ib = platform.user("ib@x.y")
    for month in ("07", "08", "09"):
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", 100)
    ok(close(ibctl, "2025-07"))
    assert "close 2025-08 first" in close(ibctl, "2025-09").stderr
    for month in ("2025-08", "2025-09"):
        ok(close(ibctl, month))
    assert payouts(platform) == {7: 0, 8: 60, 9: 0}


def test_before_the_first_closing_what_is_booked_for_an_ib_without_a_row_stops_a_later_close(
    platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict()
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-09-03", "2025-09-04", 200)
    with freeze_time("2025-07-15"):
        ok(ibctl("commissions", "adjust", "ib@x.y", "2025-08", "20", "--reason", "r", "--yes"))
    assert platform.commissions() == []
    assert "close 2025-08 first" in close(ibctl, "2025-09").stderr
    for month in ("2025-08", "2025-09"):
        ok(close(ibctl, month))
    assert payouts(platform) == {8: 0, 9: 80}


# A month before the first closed one, calculated late, would otherwise neither be closed nor let another be.
def test_what_waits_before_the_first_closed_month_is_closed_late_and_carried_behind_the_last(
    platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict()
    ib = platform.user("ib@x.y")
    for month in ("08", "09", "10"):
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", 100)
    ok(close(ibctl, "2025-09"))
    run(ibctl, "2025-08")
    assert "close 2025-08 first" in close(ibctl, "2025-10").stderr
    ok(close(ibctl, "2025-08"))
    ok(close(ibctl, "2025-10"))
    assert payouts(platform) == {8: 0, 9: 0, 10: 90}


def test_what_waits_before_a_month_that_is_closed_is_named_by_every_run(
    platform: Platform, ibctl: Run, strict: Callable[..., None]
) -> None:
    strict()
    ib = platform.user("ib@x.y")
    for month in ("06", "09", "10"):
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", 100)
    ok(close(ibctl, "2025-09"))
    run(ibctl, "2025-06")
    for number in range(2):
        ok(ibctl("commissions", "adjust", platform.user(f"{number}@x.y"), "2025-08", "5", "--reason", "r", "--yes"))
    for more in ((), ("--quiet",)):
        said = " ".join(ok(ibctl("commissions", "run", "--month", "2025-10", *more)).stderr.split())
        # The last month of the span; closing it names those before it.
        assert "Warning: 2 balances of 2025-08, 10.00 USD: carried on when it is closed" in said
        assert "`ibctl commissions close 2025-08` does so late" in said
    ok(close(ibctl, "2025-06"))
    # Between two closed ones.
    assert "2 balances of 2025-08, 10.00 USD" in run(ibctl, "2025-10").stderr
    ok(close(ibctl, "2025-08"))
    assert "carried on when it is closed" not in run(ibctl, "2025-10").stderr


def test_a_late_month_that_is_paid_already_can_still_be_closed(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    payee(platform, "ib@x.y")
    platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    ok(close(ibctl, "2025-09"))
    platform.lead(ib, "2025-08-03", "2025-08-04", 100)
    run(ibctl, "2025-08")
    ok(ibctl("commissions", "payouts", "create", "--month", "2025-08", "--yes"))
    assert "2025-08 is closed" in ok(close(ibctl, "2025-08")).stderr


def test_a_month_that_is_closed_late_makes_none_after_it_necessary(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-08-03", "2025-08-04", 900)  # paid before there was ibctl
    for month in ("09", "10"):
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", 100)
    ok(close(ibctl, "2025-09"))
    ok(ibctl("commissions", "adjust", "ib@x.y", "2025-06", "-5", "--reason", "typo", "--yes"))
    assert "close 2025-06 first" in close(ibctl, "2025-10").stderr
    ok(close(ibctl, "2025-06"))
    assert "2025-09 is closed, and months are closed in their order" in close(ibctl, "2025-08").stderr
    ok(close(ibctl, "2025-10"))
    assert payouts(platform) == {6: 0, 9: 30, 10: 25}


def test_close_shows_first_how_sure_the_month_is(
    platform: Platform, ibctl: Run, strict: Strict, tmp_path: Path
) -> None:
    (tmp_path / "p.toml").write_text(
        'name = "bonus"\nversion = 1\nfrom = "2025-01"\n[commission]\nrate = 0.30\n'
        "[bonus]\ntiers = [{ from = 100, fixed = 25 }]\n"
    )
    ok(ibctl("commissions", "plans", "add", "p.toml"))
    ok(ibctl("commissions", "plans", "assign", "--all", "--plan", "bonus", "--from", "2025-01"))
    ib, held = platform.user("ib@x.y"), platform.user("held@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    platform.lead(ib, "2025-10-03", "2025-10-04", 200)
    platform.lead(held, "2025-10-03", "2025-10-04", 100)
    ok(ibctl("commissions", "hold", "held@x.y", "2025-10", "--reason", "r"))
    account = platform.account(ib)
    for day in ("2025-10-01", "2025-10-02"):
        platform.spend(ib, account, day, 60)
    platform.sql(
        'INSERT INTO ibctl.ad_account_state (id, "firstDay", "lastDay", "finalThrough")'
        " VALUES (%s, '2025-10-01', '2025-10-02', '2025-10-01')", account,
    )  # fmt: skip
    platform.sql('UPDATE "FacebookAdAccount" SET "tokenExpiresAt" = \'2025-01-01\'')
    platform.sql(
        'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, "updatedAt")'
        " VALUES ('c', %s, '1', '{}', 's', now())", lead,
    )  # fmt: skip
    shown = ok(ibctl("commissions", "close", "2025-10", "--dry-run", "-f", "json"))
    found = {row["of"]: (row["count"], row["sum"]) for row in json.loads(shown.stdout)}
    assert found["commissions"] == (2, 90 + 25 + 30)
    # Without the provisional day there is no bonus, without the lead whose account was never read 30 less.
    assert found["certain to be paid"] == (None, 60)
    assert found["held"] == (1, 30)
    assert found["provisional spend days"] == (1, None)
    assert found["expired Facebook tokens"] == (1, None)
    assert found["leads with old MT5 data"] == (1, None)
    assert platform.sql("SELECT count(*) FROM ibctl.closed_month") == [(0,)]
    unasked = ibctl("commissions", "close", "2025-10")
    assert (unasked.exit_code, "close 2025-10: 2 IBs, 145.00 USD" in unasked.stderr) == (2, True)


# --------------------------------------------------------------------------------------------------------------- reopen


def test_reopening_takes_back_what_closing_booked_and_the_month_follows_the_data_again(
    platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict()
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    ok(close(ibctl, "2025-09"))
    assert platform.sql("SELECT sum(amount) FROM ibctl.adjustment") == [(30,)]
    platform.lead(ib, "2025-09-03", "2025-09-05", 100)
    ok(ibctl("commissions", "true-up", "2025-09", "--yes"))
    assert ibctl("commissions", "reopen", "2025-09", "--yes").exit_code == 2
    ok(ibctl("commissions", "reopen", "2025-09", "--reason", "spend missing", "--yes"))
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(0,)]
    run(ibctl, "2025-09")
    assert payouts(platform)[9] == 60
    assert ibctl("commissions", "reopen", "2025-09", "--reason", "r", "--yes").exit_code == 3


def test_a_month_of_which_something_is_paid_is_not_reopened(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 100)
    ok(close(ibctl, "2025-10"))
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    refused = ibctl("commissions", "reopen", "2025-10", "--reason", "r", "--yes")
    assert (refused.exit_code, "the commission of ib@x.y for 2025-10 is PAID" in refused.stderr) == (3, True)


def test_closing_is_undone_as_a_whole_or_not_at_all(platform: Platform, ibctl: Run, strict: Strict) -> None:
    strict()
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ok(close(ibctl, "2025-09"))
    ((number,),) = platform.sql("SELECT max(id) FROM ibctl.change_set")
    run(ibctl, "2025-10")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\' WHERE month = 10')
    refused = ibctl("undo", str(number), "--yes")
    assert (refused.exit_code, "4 blocked" in refused.stderr) == (3, True)
    assert platform.sql("SELECT count(*) FROM ibctl.closed_month") == [(1,)]
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(1,)]
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PENDING\' WHERE month = 10')
    ok(ibctl("undo", str(number), "--yes"))
    assert platform.sql("SELECT count(*) FROM ibctl.closed_month") == [(0,)]
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(0,)]


@pytest.mark.parametrize("booked", ["clawback", "true-up"])
def test_a_closing_of_which_something_was_booked_since_is_not_undone_but_reopened(
    platform: Platform, ibctl: Run, booked: str
) -> None:
    lead = platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 100)
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    ((closing,),) = platform.sql('SELECT "changeSetId" FROM ibctl.closed_month')
    if booked == "clawback":
        ibctl("commissions", "clawback", lead, "--reason", "r", "--yes")
    else:
        ibctl("leads", "edit", lead, "--cpa-earned", "1000")
        ibctl("commissions", "true-up", "--yes")
    undone = ibctl("undo", closing, "--yes")
    assert (undone.exit_code, "`ibctl commissions reopen 2025-10`" in undone.stdout + undone.stderr) == (3, True)
    assert platform.sql("SELECT count(*) FROM ibctl.closed_month") == [(1,)]
    assert ibctl("commissions", "reopen", "2025-10", "--reason", "r", "--yes").exit_code == 0
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    worth = {"clawback": 0, "true-up": 300}[booked]
    assert platform.sql('SELECT sum("totalPayout") FROM "IbCommission"') == [(worth,)]


def test_a_clawback_of_a_month_that_was_opened_again_is_undone_by_its_own_change_set(
    platform: Platform, ibctl: Run
) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ok(close(ibctl, "2025-09"))
    run(ibctl, "2025-10")
    ok(ibctl("commissions", "clawback", lead, "--reason", "r", "--yes"))
    ((clawback,),) = platform.sql("SELECT max(id) FROM ibctl.change_set")
    ok(ibctl("commissions", "reopen", "2025-09", "--reason", "r", "--yes"))
    ((reopen,),) = platform.sql("SELECT max(id) FROM ibctl.change_set")
    refused = ibctl("undo", str(reopen), "--yes", "-f", "json")
    assert (refused.exit_code, "takes that back too" in refused.stdout) == (3, False)
    assert "2025-09 was opened again: `ibctl commissions close 2025-09` closes it" in refused.stdout
    assert "a clawback goes back by the undo of its own change set" in refused.stdout
    run(ibctl, "2025-09")
    assert payouts(platform) == {9: 0, 10: 30}
    undone = ibctl("undo", str(clawback), "--yes")
    assert (undone.exit_code, "1 adjustment deleted" in undone.stderr) == (6, True)
    for month in ("2025-09", "2025-10"):
        run(ibctl, month)
    assert payouts(platform) == {9: 30, 10: 30}
    ok(ibctl("commissions", "clawback", lead, "--reason", "r", "--yes"))
    assert payouts(platform) == {9: 0, 10: 30}


def test_a_clawback_that_was_returned_to_a_month_stays_when_that_is_closed_again(
    platform: Platform, ibctl: Run
) -> None:
    lead = platform.lead(platform.user("ib@x.y"), "2025-09-03", "2025-09-04", 100)
    ok(close(ibctl, "2025-09"))
    ok(ibctl("commissions", "clawback", lead, "--reason", "r", "--yes"))
    ((clawback,),) = platform.sql("SELECT max(id) FROM ibctl.change_set")
    ok(ibctl("commissions", "reopen", "2025-09", "--reason", "r", "--yes"))
    ok(close(ibctl, "2025-09"))
    refused = ibctl("undo", str(clawback), "--yes", "-f", "json")
    assert "2025-09 is closed: `ibctl commissions reopen 2025-09` comes first" in refused.stdout
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(1,)]
