from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time

from ibctl import config
from tests.commissions.conftest import Platform, Strict
from tests.conftest import Result, ok

Run = Callable[..., Result]
WHY = ("--reason", "because")


@pytest.fixture
def ib(platform: Platform, ibctl: Run) -> str:
    """An IB whose October of two leads, 100 and 200, comes to 90."""
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    platform.lead(ib, "2025-10-03", "2025-10-05", 200)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    return ib


def payout(platform: Platform, month: int = 10) -> tuple[Any, ...]:
    ((amount, status),) = platform.sql(
        'SELECT "totalPayout"::numeric, "paymentStatus" FROM "IbCommission" WHERE year = 2025 AND month = %s', month
    )
    return amount, status


def lead_of(platform: Platform, cpa: int) -> str:
    ((lead,),) = platform.sql('SELECT id FROM "Lead" WHERE "cpaEarned" = %s', cpa)
    return str(lead)


def test_an_adjustment_is_a_line_of_the_month_and_of_its_explanation(ib: str, platform: Platform, ibctl: Run) -> None:
    done = ok(ibctl("commissions", "adjust", "ib@x.y", "2025-10", "-12.50", "--reason", "paid  twice", "--yes"))
    assert "booked -12.50 USD for ib@x.y in 2025-10" in done.stderr
    assert payout(platform) == (Decimal("77.5"), "PENDING")
    assert "manual: paid twice" in ibctl("commissions", "explain", "ib@x.y", "2025-10").stdout
    ((actor, reason),) = platform.sql("SELECT actor, reason FROM ibctl.adjustment")
    assert (actor, reason) == ("tester", "paid twice")
    ok(ibctl("undo", "2", "--yes"))
    assert payout(platform) == (90, "PENDING")


def test_a_long_reason_stands_whole_below_its_adjustment_on_a_narrow_terminal(
    ib: str, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = "the broker's statement of 3 November has two of the leads of this IB as one and the same person"
    ok(ibctl("commissions", "adjust", "ib@x.y", "2025-10", "-12.50", "--reason", reason, "--yes"))
    monkeypatch.setenv("COLUMNS", "80")
    printed = ok(ibctl("commissions", "adjustments")).stdout
    assert max(map(len, printed.splitlines())) <= 80
    assert " ".join(printed.split()).endswith(f"ib@x.y 2025-10 manual -12.50 – {reason}")


def test_an_adjustment_alone_makes_a_row_and_below_zero_it_pays_nothing(platform: Platform, ibctl: Run) -> None:
    platform.user("ib@x.y")
    ok(ibctl("commissions", "adjust", "ib@x.y", "2025-10", "-5", *WHY, "--yes"))
    assert payout(platform) == (0, "PENDING")
    (row,) = json.loads(ibctl("commissions", "show", "ib@x.y", "2025-10", "-f", "json").stdout)
    assert (row["balance"], row["carriedOut"]) == (-5, -5)


@freeze_time("2025-10-20")
def test_a_month_under_way_counts_what_is_booked_at_once(ib: str, platform: Platform, ibctl: Run) -> None:
    done = ok(ibctl("commissions", "adjust", "ib@x.y", "2025-10", "5", *WHY, "--yes"))
    assert "cannot be calculated" not in done.stderr
    assert payout(platform) == (95, "PENDING")
    done = ok(ibctl("commissions", "clawback", lead_of(platform, 100), *WHY, "--yes"))
    assert "cannot be calculated" not in done.stderr
    assert payout(platform) == (65, "PENDING")
    assert ok(ibctl("commissions", "verify", "2025-10"))


@freeze_time("2025-10-20")
def test_what_is_booked_into_a_month_that_cannot_be_calculated_yet_waits_for_the_run(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    before = platform.commissions()
    platform.spend(ib, platform.account(ib, "EUR"), "2025-10-19", 10)
    done = ok(ibctl("commissions", "adjust", "ib@x.y", "2025-10", "5", *WHY, "--yes"))
    assert "without that until `ibctl commissions run --month 2025-10`" in done.stderr
    done = ok(ibctl("commissions", "adjust", "ib@x.y", "2025-12", "7", *WHY, "--yes"))
    assert "without that until `ibctl commissions run --month 2025-12`" in done.stderr
    assert platform.commissions() == before
    assert platform.sql("SELECT month, amount FROM ibctl.adjustment ORDER BY 1") == [(10, 5), (12, 7)]
    platform.rate("2025-10-19", "EUR", "1.1")
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    assert payout(platform) == (95, "PENDING")


@pytest.mark.parametrize("status", ["PROCESSING", "PAID"])
def test_a_row_in_a_payout_takes_nothing_more(ib: str, platform: Platform, ibctl: Run, status: str) -> None:
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = %s', status)
    refused = ibctl("commissions", "adjust", "ib@x.y", "2025-10", "5", *WHY, "--yes")
    assert (refused.exit_code, f"is {status} and stays as it is" in refused.stderr) == (3, True)
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["adjust", "ib@x.y", "2025-10", "5"], 2, "--reason: say why"),
        (["adjust", "ib@x.y", "2025-10", "0", *WHY], 2, "'0' is no sum to book"),
        (["adjust", "ib@x.y", "2025-10", "0.005", *WHY], 2, "'0.005' is no sum to book"),
        (["adjust", "ib@x.y", "2025-10", "five", *WHY], 2, "'five' is not an amount"),
        (["adjust", "ib@x.y", "2025-10", "5", *WHY], 2, "pass --yes"),
        (["adjust", "nobody@x.y", "2025-10", "5", *WHY, "--yes"], 3, "nobody@x.y"),
        (["hold", "ib@x.y", "2025-10"], 2, "--reason: say why"),
        (["hold", "ib@x.y", "2025-10", *WHY, "--until", "soon"], 2, "--until: 'soon' is not a day"),
        (["hold", "ib@x.y", "2025-10", *WHY, "--until", "2025-11-30"], 2, "--until: 2025-11-30 is past"),
        (["release", "ib@x.y", "2025-10", *WHY], 3, "2025-10 of ib@x.y is not held"),
        (["clawback", "nobody@x.y", *WHY, "--yes"], 3, "there is no lead 'nobody@x.y'"),
        (["clawback", "nobody@x.y", *WHY, "--code", "x"], 2, "--code: 'x' is none of fraud"),
    ],
)
def test_what_cannot_be_booked_is_said_in_a_line(
    ib: str, process: Run, arguments: list[str], code: int, message: str
) -> None:
    failed = process("commissions", *arguments)
    assert (failed.exit_code, failed.stdout) == (code, "")
    assert message in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("wrong", ["rate", "amount", "cpa"])
def test_what_one_ib_cannot_be_calculated_for_names_nothing_of_others(
    ib: str, platform: Platform, ibctl: Run, wrong: str
) -> None:
    other = platform.user("a@x.y")
    for user in (other, ib):
        if wrong == "cpa":
            platform.lead(user, "2025-10-03", "2025-10-04", float("nan"))
        else:
            account = platform.account(user, "EUR" if wrong == "rate" else "USD")
            platform.spend(user, account, "2025-10-19", 10 if wrong == "rate" else -10)
    failed = ibctl("commissions", "adjust", "ib@x.y", "2025-10", "5", *WHY, "--yes")
    assert failed.exit_code == 3
    assert "1 " in failed.stderr
    others = platform.sql(
        'SELECT id FROM "Lead" WHERE "userId" = %s UNION SELECT id FROM "FacebookAdAccount" WHERE "userId" = %s',
        other, other,
    )  # fmt: skip
    assert not any(row[0] in failed.stderr for row in others)
    assert "a@x.y" not in failed.stderr
    assert "…" not in failed.stderr


# ------------------------------------------------------------------------------------------------------------- clawback

PLAN = 'name = "{name}"\nversion = 1\nfrom = "2025-01"\n[commission]\nrate = {rate}\n'


# Bug class: a refund of a lead earned at 30 % after the rate became 35 %.
def test_a_paid_lead_is_taken_back_at_the_rate_that_it_was_earned_at(
    ib: str, platform: Platform, ibctl: Run, tmp_path: Path
) -> None:
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    (tmp_path / "p.toml").write_text(PLAN.format(name="better", rate="0.35"))
    ok(ibctl("commissions", "plans", "add", "p.toml"))
    ok(ibctl("commissions", "plans", "assign", "--all", "--plan", "better", "--from", "2025-11"))
    platform.lead(ib, "2025-11-03", "2025-11-04", 1000)
    ok(ibctl("commissions", "run", "--month", "2025-11"))
    before = platform.sql('SELECT * FROM "IbCommission" WHERE month = 10')
    lead = lead_of(platform, 200)
    done = ok(ibctl("commissions", "clawback", lead, "--code", "refund", "--reason", "charged back", "--yes"))
    assert f"-60.00 USD for ib@x.y in 2025-11: what {lead} earned in 2025-10 by default, version 1" in done.stderr
    assert payout(platform, 11) == (350 - 60, "PENDING")
    assert platform.sql('SELECT * FROM "IbCommission" WHERE month = 10') == before
    again = ibctl("commissions", "clawback", lead, *WHY, "--yes")
    assert (again.exit_code, "was taken back on" in again.stderr) == (3, True)
    # The lead is set right in the data as well: there is nothing left to book.
    platform.sql('UPDATE "Lead" SET "qualifiedAt" = NULL WHERE id = %s', lead)
    assert ibctl("commissions", "drift", "2025-10").exit_code == 0


def test_a_lead_of_an_open_month_is_simply_counted_no_more(ib: str, platform: Platform, ibctl: Run) -> None:
    done = ok(ibctl("commissions", "clawback", lead_of(platform, 200), "--code", "fraud", *WHY, "--yes"))
    assert "counts no more in 2025-10 of ib@x.y, which is open" in done.stderr
    assert payout(platform) == (30, "PENDING")
    found = ibctl("commissions", "why-not", "ib@x.y", "2025-10", "-f", "json")
    assert [row["code"] for row in json.loads(found.stdout)] == ["clawed_back"]


def test_a_lead_counts_no_more_in_any_open_month_whoever_s_it_is(ib: str, platform: Platform, ibctl: Run) -> None:
    lead, other = lead_of(platform, 200), platform.user("other@x.y")
    ok(ibctl("commissions", "close", "2025-10", "--yes"))
    platform.lead(other, "2025-11-03", "2025-11-04", 100)
    ok(ibctl("leads", "assign", lead, "--ib", "other@x.y", "--yes"))
    ok(ibctl("leads", "edit", lead, "--qualified-at", "2025-11-02T10:00Z", "--yes"))
    ok(ibctl("commissions", "run", "--month", "2025-11"))
    assert payout(platform, 11) == (90, "PENDING")
    taken = ibctl("commissions", "clawback", lead, "--code", "fraud", *WHY, "--dry-run")
    assert "; 2025-11 of other@x.y, open too, does without it as well; dry run" in taken.stderr
    done = ok(ibctl("commissions", "clawback", lead, "--code", "fraud", *WHY, "--yes"))
    assert "-60.00 USD for ib@x.y in 2025-11: what" in done.stderr
    payouts = 'SELECT "totalPayout" FROM "IbCommission" WHERE "userId" = %s AND month = 11'
    assert (platform.sql(payouts, ib), platform.sql(payouts, other)) == ([(0,)], [(30,)])
    ok(ibctl("undo", platform.sql("SELECT max(id)::text FROM ibctl.change_set")[0][0], "--yes"))
    assert platform.sql(payouts, other) == [(90,)]


@freeze_time("2025-11-20")
def test_an_open_month_that_cannot_be_calculated_yet_is_named_by_a_clawback(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    lead, other = lead_of(platform, 200), platform.user("other@x.y")
    ok(ibctl("commissions", "close", "2025-10", "--yes"))
    platform.sql('UPDATE "Lead" SET "qualifiedAt" = %s WHERE id = %s', "2025-11-02", lead)
    ok(ibctl("leads", "assign", lead, "--ib", "other@x.y", "--yes"))
    ok(ibctl("commissions", "run", "--month", "2025-11"))
    platform.spend(other, platform.account(other, "EUR"), "2025-11-19", 10)
    done = ok(ibctl("commissions", "clawback", lead, *WHY, "--yes"))
    assert "without that until `ibctl commissions run --month 2025-11`" in done.stderr


def test_a_lead_in_a_payout_under_way_waits_for_its_end(ib: str, platform: Platform, ibctl: Run) -> None:
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PROCESSING\'')
    refused = ibctl("commissions", "clawback", lead_of(platform, 200), *WHY, "--yes")
    assert (refused.exit_code, "is in a payout under way" in refused.stderr) == (3, True)


def test_a_lead_that_never_earned_cannot_be_taken_back(ib: str, platform: Platform, ibctl: Run) -> None:
    lead = platform.lead(ib, "2025-10-03")
    refused = ibctl("commissions", "clawback", lead, *WHY, "--yes")
    assert (refused.exit_code, "has earned in no month that ibctl calculated" in refused.stderr) == (3, True)


def test_what_was_booked_names_its_lead_as_the_leads_that_earned_are_named(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    leads = [lead_of(platform, 100), lead_of(platform, 200)]
    platform.lead(ib, "2025-11-03", "2025-11-04", 1000)
    for lead in leads:
        ok(ibctl("commissions", "clawback", lead, "--reason", "refunded", "--yes"))
    ok(ibctl("commissions", "adjust", "ib@x.y", "2025-11", "5", "--lead", leads[0], "--reason", "amends", "--yes"))
    ok(ibctl("commissions", "adjust", "ib@x.y", "2025-11", "7", "--reason", "a gift", "--yes"))
    ok(ibctl("commissions", "run", "--month", "2025-11"))
    wanted = ["clawback: refunded ({0})", "clawback: refunded ({1})", "manual: amends ({0})", "manual: a gift"]

    explained = ok(ibctl("commissions", "explain", "ib@x.y", "2025-11", "-f", "csv")).stdout
    for line in wanted:
        assert line.format(*(f"{lead}@x.com" for lead in leads)) in explained
    (stated,) = json.loads(ok(ibctl("commissions", "statement", "ib@x.y", "2025-11", "-f", "json")).stdout)
    for lines in (stated["entries"], stated["derivation"]):
        labels = {line["label"] for line in lines}
        assert {line.format(*leads) for line in wanted} <= labels
    assert "@x.com" not in json.dumps(stated)

    columns = ok(ibctl("commissions", "adjustments")).stdout.strip().splitlines()[0].split()
    assert columns == ["email", "month", "kind", "amount", "reason", "lead"]


@pytest.mark.parametrize("command", ["adjust", "clawback", "hold", "release", "reopen"])
def test_a_reason_that_is_required_is_said_to_be(ibctl: Run, command: str) -> None:
    helped = " ".join(ok(ibctl("commissions", command, "--help")).stdout.split())
    assert "Why; required, kept" in helped


# ---------------------------------------------------------------------------------------------------------------- holds


def test_a_held_month_is_calculated_on_but_not_paid_until_it_is_released(
    ib: str, platform: Platform, ibctl: Run
) -> None:
    with freeze_time("2025-11-03"):
        ok(ibctl("commissions", "hold", "ib@x.y", "2025-10", "--reason", "one address", "--until", "2025-11-30"))
    assert payout(platform) == (90, "HELD")
    platform.lead(ib, "2025-10-03", "2025-10-06", 100)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    assert payout(platform) == (120, "HELD")
    listed = ibctl("commissions", "holds", "-f", "json")
    (row,) = json.loads(listed.stdout)
    assert (row["email"], row["reason"], row["until"], row["actor"]) == (
        "ib@x.y", "one address", "2025-11-30", "tester"
    )  # fmt: skip
    assert "1 of them were to be looked at by now" in listed.stderr
    refused = ibctl("commissions", "hold", "ib@x.y", "2025-10", *WHY)
    assert (refused.exit_code, "is held already, by tester: one address" in refused.stderr) == (3, True)
    ok(ibctl("commissions", "release", "ib@x.y", "2025-10", "--reason", "two persons"))
    assert payout(platform) == (120, "PENDING")
    assert json.loads(ibctl("commissions", "holds", "-f", "json").stdout) == []
    (row,) = json.loads(ibctl("commissions", "holds", "--all", "-f", "json").stdout)
    assert (row["releasedBy"], row["releaseReason"]) == ("tester", "two persons")


@freeze_time("2025-11-30 23:00")
def test_a_hold_can_be_looked_at_again_today_but_not_yesterday(ib: str, platform: Platform, ibctl: Run) -> None:
    refused = ibctl("commissions", "hold", "ib@x.y", "2025-10", *WHY, "--until", "2025-11-29")
    assert (refused.exit_code, payout(platform)) == (2, (90, "PENDING"))
    ok(ibctl("commissions", "hold", "ib@x.y", "2025-10", *WHY, "--until", "2025-11-30"))


def test_a_month_can_be_held_before_there_is_a_row_of_it(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    ok(ibctl("commissions", "hold", "ib@x.y", "2025-10", *WHY))
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    assert payout(platform) == (30, "HELD")


@pytest.mark.parametrize("status", ["PROCESSING", "PAID"])
def test_what_is_being_paid_can_no_longer_be_held(ib: str, platform: Platform, ibctl: Run, status: str) -> None:
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = %s', status)
    assert ibctl("commissions", "hold", "ib@x.y", "2025-10", *WHY).exit_code == 3
    assert payout(platform) == (90, status)


def test_a_month_that_was_carried_on_is_not_held_but_the_one_that_it_went_into(
    ib: str, platform: Platform, ibctl: Run, strict: Strict
) -> None:
    strict()
    platform.sql('DELETE FROM "Lead" WHERE "cpaEarned" = 200')
    ok(ibctl("commissions", "close", "2025-10", "--yes"))
    refused = ibctl("commissions", "hold", "ib@x.y", "2025-10", *WHY)
    assert (refused.exit_code, payout(platform)) == (3, (0, "PENDING"))
    assert "30.00 USD of 2025-10 went on into 2025-11: hold that one" in refused.stderr
    ok(ibctl("commissions", "hold", "ib@x.y", "2025-11", *WHY))


# Bug class: sums in different currencies that were added up.
def test_an_adjustment_in_another_currency_stops_the_run(
    ib: str, platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ok(ibctl("commissions", "adjust", "ib@x.y", "2025-10", "5", *WHY, "--yes"))
    monkeypatch.setenv("IBCTL_BASE_CURRENCY", "EUR")
    config.use_env_file(None)
    before = platform.commissions()
    stopped = ibctl("commissions", "run", "--month", "2025-10")
    assert stopped.exit_code == 3
    assert (
        "1 adjustment(s) of 2025-10 are in another currency than EUR, and currencies are never added" in stopped.stderr
    )
    assert platform.commissions() == before


# Bug class: yen and won, which have no cents, taken for hundredths, and dinars, which have thousandths, cut to them.
@pytest.mark.parametrize(
    ("currency", "spent", "rate", "in_dollars"),
    [("JPY", 12_345, "0.0067", 82.71), ("KRW", 1_234_567, "0.00069", 851.85), ("KWD", 12.345, "3.2609", 40.26)],
)
def test_spend_in_yen_won_and_dinars_counts_as_such(
    platform: Platform, ibctl: Run, currency: str, spent: float, rate: str, in_dollars: float
) -> None:
    ib = platform.user("ib@x.y")
    platform.spend(ib, platform.account(ib, currency), "2025-10-02", spent)
    platform.rate("2025-10-02", currency, rate)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    assert platform.sql('SELECT "totalAdSpend" FROM "IbCommission"') == [(in_dollars,)]


def test_a_kind_that_there_is_not_is_refused(database: str, ibctl: Run) -> None:
    failed = ibctl("commissions", "adjustments", "--kind", "nonsense")
    assert failed.exit_code == 2
    assert "'nonsense' is no kind of adjustment: write one of manual, clawback, true-up, carry" in failed.stderr
