from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ibctl.commissions.months import drifting
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import earner
from tests.conftest import Result, ok

Run = Callable[..., Result]
PLAN = 'name = "{name}"\nversion = 1\nfrom = "{since}"\n[commission]\nrate = {rate}\n{more}'
BONUS = "[bonus]\ntiers = [{ from = 100, percent = 10 }]\n"


@pytest.fixture
def plan(database: str, ibctl: Run) -> Callable[..., None]:
    """Let everybody be paid by a plan from a month on."""

    def add(name: str, rate: str, since: str, more: str = "") -> None:
        Path(f"{name}.toml").write_text(PLAN.format(name=name, since=since, rate=rate, more=more))
        ok(ibctl("commissions", "plans", "add", f"{name}.toml"))
        ok(ibctl("commissions", "plans", "assign", "--all", "--plan", name, "--from", since))

    return add


def drifted(ibctl: Run, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ibctl("commissions", "drift", *arguments, "-f", "json").stdout)
    return found


@contextmanager
def counting(words: str) -> Iterator[list[str]]:
    """Gather the statements that hold these words."""
    found: list[str] = []

    def gather(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if words in statement:
            found.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", gather)
    try:
        yield found
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", gather)


def close(ibctl: Run, month: str = "2025-10") -> None:
    ok(ibctl("commissions", "close", month, "--yes"))


def test_what_is_added_and_what_is_taken_away_are_not_netted(platform: Platform, ibctl: Run) -> None:
    leads = [platform.lead(platform.user(f"{name}@x.y"), "2025-09-03", "2025-09-04", 500) for name in "ab"]
    ok(ibctl("commissions", "close", "2025-09", "--yes"))
    for lead, cpa in zip(leads, ("600", "400"), strict=True):
        ok(ibctl("leads", "edit", lead, "--cpa-earned", cpa))
    assert "2 IBs, +30.00 USD and -30.00 USD not booked" in ibctl("commissions", "drift", "2025-09").stderr
    asked = ibctl("commissions", "true-up", "2025-09")
    assert (asked.exit_code, "book 2 IBs, +30.00 USD and -30.00 USD into 2025-10" in asked.stderr) == (2, True)
    done = ok(ibctl("commissions", "true-up", "2025-09", "--yes"))
    assert "booked 2 IBs, +30.00 USD and -30.00 USD into 2025-10" in done.stderr
    unasked = ibctl("commissions", "reopen", "2025-09", "--reason", "r")
    words = "open 2025-09 again, and take back 2 adjustments (+30.00 USD and -30.00 USD)"
    assert (unasked.exit_code, words in unasked.stderr) == (2, True)
    again = ok(ibctl("commissions", "reopen", "2025-09", "--reason", "r", "--yes"))
    assert "2025-09 is open; 2 adjustments (+30.00 USD and -30.00 USD) taken back" in again.stderr
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(0,)]


def test_a_closed_month_that_nothing_has_touched_does_not_drift(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    clean = ok(ibctl("commissions", "drift"))
    assert "nothing is different" in clean.stderr


# Bug class: a restatement of spend within 28 days that edited the closed month.
def test_restated_spend_of_a_closed_month_never_edits_it_and_shows_in_drift(
    platform: Platform, ibctl: Run, plan: Callable[..., None]
) -> None:
    plan("bonus", "0.30", "2025-01", BONUS)
    ib = platform.user("ib@x.y")
    account = platform.account(ib)
    day = platform.spend(ib, account, "2025-10-10", 200)
    close(ibctl)
    before = platform.commissions()
    platform.sql('UPDATE "AdSpendHistory" SET "dailySpend" = 250 WHERE id = %s', day)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    assert platform.commissions() == before
    found = ibctl("commissions", "drift", "2025-10")
    assert found.exit_code == 7
    assert f"ib@x.y: spend act_{account} 2025-10-10: 200.00 USD → 250.00 USD; by written outside ibctl" in found.stderr
    (row,) = drifted(ibctl, "2025-10")
    assert (row["then"], row["now"], row["difference"]) == (20, 25, 5)


def test_drift_names_the_change_set_that_caused_it(platform: Platform, ibctl: Run) -> None:
    lead = platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    ok(ibctl("leads", "edit", lead, "--cpa-earned", "50"))
    (row,) = drifted(ibctl)
    assert row["causes"] == [f"change set 2 (tester: ibctl leads edit {lead})"]
    assert row["moved"] == [f"lead {lead} cpaEarned: 100.00 → 50.00"]


def test_a_true_up_books_the_difference_once_at_the_terms_of_the_closed_month(
    platform: Platform, ibctl: Run, plan: Callable[..., None]
) -> None:
    plan("old", "0.30", "2025-10")
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    plan("new", "0.50", "2025-11")
    late = platform.user("late@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-05", 200)
    platform.lead(late, "2025-10-03", "2025-10-05", 10)  # had no row at all
    platform.lead(ib, "2025-11-03", "2025-11-05", 100)
    before = platform.commissions()
    done = ok(ibctl("commissions", "true-up", "2025-10", "--reason", "late leads", "--yes"))
    assert "booked 2 IBs, +63.00 USD into 2025-11" in done.stderr
    assert platform.commissions() == before
    assert drifted(ibctl) == []
    assert "there is nothing to book" in ok(ibctl("commissions", "true-up", "--yes")).stderr
    ok(ibctl("commissions", "run", "--month", "2025-11"))
    paid: dict[str, float] = dict(
        platform.sql(
            'SELECT email, "totalPayout" FROM "IbCommission" c JOIN "User" u ON u.id = "userId" WHERE month = 11'
        )
    )
    assert paid == {"ib@x.y": 50 + 60, "late@x.y": 3}
    assert (
        "true-up: 2025-10 earns 90.00 instead of 30.00" in ibctl("commissions", "explain", "ib@x.y", "2025-11").stdout
    )


@pytest.mark.parametrize(
    ("corrected", "booked"),
    [
        (("--cpa-earned", "40"), {"true-up": -18, "clawback": -12}),
        (("--cpa-earned", "150"), {"true-up": 15, "clawback": -45}),
        (("--status", "rejected", "--clear", "qualified-at"), {"true-up": -30, "clawback": 0}),
    ],
)
def test_a_clawback_after_a_true_up_takes_back_what_is_left_and_nothing_twice(
    platform: Platform, ibctl: Run, corrected: tuple[str, ...], booked: dict[str, float]
) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    platform.lead(ib, "2025-10-03", "2025-10-04", 7)
    close(ibctl)
    ok(ibctl("leads", "edit", lead, *corrected))
    ok(ibctl("commissions", "true-up", "--yes"))
    ok(ibctl("commissions", "clawback", lead, "--reason", "r", "--yes"))
    assert dict(platform.sql("SELECT kind, amount FROM ibctl.adjustment")) == booked
    assert drifted(ibctl) == []


def test_a_clawback_waits_for_a_true_up_where_only_a_part_of_the_difference_is_booked(
    platform: Platform, ibctl: Run
) -> None:
    ib = platform.user("ib@x.y")
    lead, other = (platform.lead(ib, "2025-10-03", "2025-10-04", cpa) for cpa in (150.05, 100))
    close(ibctl)
    ok(ibctl("leads", "edit", other, "--cpa-earned", "50"))
    ok(ibctl("commissions", "true-up", "--yes"))
    ok(ibctl("leads", "edit", lead, "--cpa-earned", "1150.05"))
    early = ibctl("commissions", "clawback", lead, "--reason", "r", "--yes")
    assert (early.exit_code, "`ibctl commissions true-up 2025-10` has booked that" in early.stderr) == (3, True)
    ok(ibctl("commissions", "true-up", "--yes"))
    ok(ibctl("commissions", "clawback", lead, "--reason", "r", "--yes"))
    assert drifted(ibctl) == []
    # 75.02 was earned, 15.00 is left: the other lead's.
    assert platform.sql("SELECT sum(amount) FROM ibctl.adjustment") == [(Decimal("-60.02"),)]


@pytest.mark.parametrize(("cpa", "leads"), [(99.95, 3), (33.333, 4)])
def test_clawbacks_of_all_leads_take_back_what_all_have_earned_to_the_cent(
    platform: Platform, ibctl: Run, cpa: float, leads: int
) -> None:
    ib = platform.user("ib@x.y")
    ids = [platform.lead(ib, "2025-10-03", "2025-10-04", cpa) for _ in range(leads)]
    close(ibctl)
    ((earned,),) = platform.sql('SELECT "totalPayout"::numeric FROM "IbCommission"')
    for lead in ids:
        ok(ibctl("commissions", "clawback", lead, "--reason", "r", "--yes"))
        assert drifted(ibctl) == []
    assert platform.sql("SELECT sum(amount) FROM ibctl.adjustment WHERE kind = 'clawback'") == [(-earned,)]


def test_a_clawback_says_where_else_a_true_up_has_booked_the_lead(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-09-03", "2025-09-04", 100)
    close(ibctl, "2025-09")
    close(ibctl, "2025-10")
    ok(ibctl("leads", "edit", lead, "--qualified-at", "2025-10-05"))
    ok(ibctl("commissions", "true-up", "--yes"))
    done = ok(ibctl("commissions", "clawback", lead, "--reason", "r", "--yes"))
    assert "counted in 2025-10 of ib@x.y by now" in done.stderr
    ok(ibctl("commissions", "true-up", "2025-10", "--yes"))
    assert platform.sql("SELECT sum(amount) FROM ibctl.adjustment") == [(-30,)]


def test_a_lead_that_was_taken_back_is_put_down_to_the_clawback(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ok(ibctl("leads", "edit", lead, "--first-name", "Zed"))
    close(ibctl)
    ok(ibctl("--no-color", "commissions", "clawback", lead, "--reason", "r", "--yes"))
    ok(ibctl("leads", "add", "--email", "b@x.y", "--ib", ib, "--captured-at", "2025-10-03T10:00Z"))
    (row,) = json.loads(ibctl("commissions", "verify", "2025-10", "-f", "json").stdout)[:1]
    assert "ibctl commissions clawback" in row["by"]


def test_drift_of_a_row_in_a_payout_says_that_it_waits(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PROCESSING\'')
    ok(ibctl("leads", "edit", lead, "--cpa-earned", "40"))
    assert "but 1 only when their payout is reconciled, or cancelled" in ibctl("commissions", "drift").stderr


def test_a_true_up_is_not_put_down_to_a_lead_that_a_clawback_has_booked(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    taken, corrected = (platform.lead(ib, "2025-10-03", "2025-10-04", 100) for _ in range(2))
    close(ibctl)
    ok(ibctl("commissions", "clawback", taken, "--reason", "r", "--yes"))
    ok(ibctl("leads", "edit", corrected, "--cpa-earned", "40"))
    ok(ibctl("commissions", "true-up", "--yes"))
    ((reason,),) = platform.sql("SELECT reason FROM ibctl.adjustment WHERE kind = 'true-up'")
    assert (corrected in reason, taken in reason) == (True, False)


def test_drift_names_only_what_has_moved_since_it_was_booked_last(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    first, second = (platform.lead(ib, "2025-10-03", "2025-10-04", 100) for _ in range(2))
    close(ibctl)
    ok(ibctl("leads", "edit", first, "--cpa-earned", "40"))
    ok(ibctl("commissions", "true-up", "--yes"))
    ok(ibctl("leads", "edit", second, "--cpa-earned", "90"))
    (row,) = drifted(ibctl)
    assert (row["difference"], row["moved"]) == (-3, [f"lead {second} cpaEarned: 100.00 → 90.00"])
    assert row["causes"] == [f"change set 4 (tester: ibctl leads edit {second})"]
    # What was booked already moves again: from what it was booked with.
    ok(ibctl("commissions", "true-up", "--yes"))
    ok(ibctl("leads", "edit", first, "--cpa-earned", "50"))
    (row,) = drifted(ibctl)
    assert (row["difference"], row["moved"]) == (3, [f"lead {first} cpaEarned: 40.00 → 50.00"])


def test_a_true_up_that_is_undone_makes_its_inputs_drift_again(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    ok(ibctl("leads", "edit", lead, "--cpa-earned", "40"))
    ok(ibctl("commissions", "true-up", "--yes"))
    ok(ibctl("undo", "3", "--yes"))
    (row,) = drifted(ibctl)
    assert (row["difference"], row["moved"]) == (-18, [f"lead {lead} cpaEarned: 100.00 → 40.00"])


def test_what_went_and_was_booked_is_not_named_when_something_new_comes(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    platform.sql('DELETE FROM "Lead"')
    ok(ibctl("commissions", "true-up", "--yes"))
    new = platform.lead(ib, "2025-10-03", "2025-10-04", 10)
    (row,) = drifted(ibctl)
    assert (row["difference"], lead in str(row["moved"]), new in str(row["moved"])) == (3, False, True)


def test_a_clawback_needs_the_data_of_today_where_a_true_up_went_by_them(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    ok(ibctl("leads", "edit", lead, "--cpa-earned", "40"))
    ok(ibctl("commissions", "true-up", "--yes"))
    platform.spend(ib, platform.account(ib, "EUR"), "2025-10-02", 10)
    refused = ibctl("commissions", "clawback", lead, "--reason", "r", "--yes")
    assert (refused.exit_code, "cannot be derived from the data of today" in refused.stderr) == (3, True)


def test_a_dry_true_up_shows_what_it_would_book_and_writes_nothing(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    platform.lead(ib, "2025-10-03", "2025-10-05", 200)
    dry = ok(ibctl("commissions", "true-up", "2025-10", "--dry-run"))
    assert "dry run: nothing was written" in dry.stderr
    assert platform.sql("SELECT count(*) FROM ibctl.adjustment") == [(0,)]
    unasked = ibctl("commissions", "true-up", "2025-10")
    assert (unasked.exit_code, "book 1 IB, +60.00 USD" in unasked.stderr) == (2, True)


def test_it_is_booked_behind_the_last_month_that_is_paid(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    for month in ("09", "10"):
        platform.lead(ib, f"2025-{month}-03", f"2025-{month}-04", 100)
        ok(ibctl("commissions", "run", "--month", f"2025-{month}"))
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    platform.lead(ib, "2025-09-03", "2025-09-05", 100)
    ok(ibctl("commissions", "true-up", "2025-09", "--yes"))
    assert platform.sql("SELECT year, month, amount FROM ibctl.adjustment") == [(2025, 11, 30)]


def test_a_row_in_a_payout_under_way_drifts_but_is_trued_up_only_when_it_is_paid(
    platform: Platform, ibctl: Run
) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PROCESSING\'')
    platform.lead(ib, "2025-10-03", "2025-10-05", 100)
    assert len(drifted(ibctl)) == 1
    assert "nothing to book" in ok(ibctl("commissions", "true-up", "--yes")).stderr
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    ok(ibctl("commissions", "true-up", "--yes"))
    assert platform.sql("SELECT amount FROM ibctl.adjustment") == [(30,)]


def test_a_corrected_exchange_rate_is_drift_and_never_a_silent_change(
    platform: Platform, ibctl: Run, plan: Callable[..., None]
) -> None:
    plan("bonus", "0.30", "2025-01", BONUS)
    ib = platform.user("ib@x.y")
    platform.spend(ib, platform.account(ib, "EUR"), "2025-10-02", 1000)
    platform.rate("2025-10-02", "EUR", "1.10")
    close(ibctl)
    before = platform.commissions()
    platform.sql("UPDATE ibctl.exchange_rate SET rate = 1.20")
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    assert platform.commissions() == before
    (row,) = drifted(ibctl)
    assert (row["difference"], row["moved"]) == (10, ["rate EUR 2025-10-02: 1.10 → 1.20"])


def test_an_ib_who_became_an_administrator_keeps_what_was_earned(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    platform.sql("UPDATE \"User\" SET role = 'ADMIN'")
    assert drifted(ibctl) == []


def test_what_the_web_application_calculated_is_left_out_and_named(platform: Platform, ibctl: Run) -> None:
    earner(platform, "web@x.y", 100, "PAID")
    earner(platform, "open@x.y", 100)
    for command in (["drift"], ["drift", "2025-10"], ["true-up", "2025-10", "--yes"]):
        said = ok(ibctl("commissions", *command)).stderr
        assert "ibctl did not calculate 1 commission and cannot know what stands behind: web@x.y 2025-10." in said
        assert "`ibctl commissions explain IB MONTH`" in said
    assert "left out" not in ok(ibctl("commissions", "drift", "2025-09")).stderr
    assert "left out" not in ok(ibctl("commissions", "drift", "--ib", "open@x.y")).stderr


def test_drift_of_many_ibs_reads_the_data_of_today_once(
    platform: Platform, ibctl: Run, plan: Callable[..., None]
) -> None:
    plan("bonus", "0.30", "2025-01", BONUS)
    for number in range(4):
        ib = platform.user(f"ib{number}@x.y")
        platform.lead(ib, "2025-10-03", "2025-10-04", 100)
        platform.spend(ib, platform.account(ib), "2025-10-02", 200)
    close(ibctl)
    platform.sql('UPDATE "AdSpendHistory" SET "dailySpend" = 300')
    platform.lead(platform.user("new@x.y"), "2025-10-03", "2025-10-04", 100)
    with (
        counting("), ib AS MATERIALIZED") as drafts, counting("ibctl.change c") as lookups,
        counting("FROM ibctl.commission_snapshot WHERE id") as snapshots,
    ):  # fmt: skip
        rows = drifted(ibctl, "2025-10")
    assert [(row["email"], row["difference"], row["inputs"]) for row in rows] == [
        *((f"ib{number}@x.y", 10, 1) for number in range(4)), ("new@x.y", 30, 3),
    ]  # fmt: skip
    assert (len(drafts), len(lookups), len(snapshots)) == (2, 1, 1)


def test_drift_is_the_same_however_few_ibs_are_held_in_memory_at_once(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ibs = [platform.user(f"ib{number}@x.y") for number in range(5)]
    for ib in ibs:
        platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    close(ibctl)
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 90 WHERE "userId" = ANY(%s)', ibs[::2])
    platform.sql('DELETE FROM "Lead" WHERE "userId" = ANY(%s)', ibs[1::2])
    monkeypatch.setattr(drifting, "BATCH", 2)
    with counting("FROM ibctl.commission_snapshot WHERE id") as batches:
        found = drifted(ibctl)
    assert [(row["email"], row["difference"]) for row in found] == [
        (f"ib{number}@x.y", -30 if number % 2 else -3) for number in range(5)
    ]
    assert len(batches) == 3


def test_the_drift_of_all_months_is_summed_and_explains_the_newest(platform: Platform, ibctl: Run) -> None:
    leads = []
    for number, month in enumerate(["2025-08", "2025-09", "2025-10"]):
        for name in "ab":
            ib = platform.user(f"{name}{number}@x.y")
            leads.append(platform.lead(ib, f"{month}-03", f"{month}-04", 100))
        close(ibctl, month)
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 90 WHERE id = ANY(%s)', leads[:4])
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 110.10 WHERE id = ANY(%s)', leads[4:])
    found = ibctl("commissions", "drift", "--columns", "email,difference,moved")
    said = [line.partition(":")[0] for line in found.stderr.splitlines()]
    assert (found.exit_code, said[:3]) == (7, ["a2@x.y", "b2@x.y", "a1@x.y"])
    assert "6 IBs, +6.06 USD and -12.00 USD not booked" in found.stderr
    assert f"lead {leads[0]} cpaEarned: 100.00 → 90.00" in found.stdout
    rows = drifted(ibctl)
    assert [(row["month"], row["email"]) for row in rows[:3]] == [
        ("2025-10", "a2@x.y"), ("2025-10", "b2@x.y"), ("2025-09", "a1@x.y"),
    ]  # fmt: skip
    assert [row["difference"] for row in rows] == [3.03, 3.03, -3, -3, -3, -3]


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_drift_shows_no_month_where_one_cannot_be_derived(platform: Platform, ibctl: Run, form: str) -> None:
    ib = platform.user("ib@x.y")
    for month in ("2025-09", "2025-10"):
        platform.lead(ib, f"{month}-03", f"{month}-04", 100)
        close(ibctl, month)
    platform.sql('UPDATE "Lead" SET "cpaEarned" = 90')
    platform.spend(ib, platform.account(ib, "EUR"), "2025-09-02", 10)
    assert len(drifted(ibctl, "2025-10")) == 1
    for arguments in ([], ["-o", "drift.out"]):
        refused = ibctl("commissions", "drift", "-f", form, *arguments)
        assert (refused.exit_code, refused.stdout) == (3, "")
        assert "2025-09 of ib@x.y cannot be derived from the data of today" in refused.stderr
    assert not Path("drift.out").exists()
