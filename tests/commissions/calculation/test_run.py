from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from freezegun import freeze_time

from ibctl import config
from ibctl.commissions.calculation import agreement
from tests.commissions.conftest import Platform
from tests.conftest import Result

Run = Callable[..., Result]


def payouts(platform: Platform) -> dict[str, tuple[Any, ...]]:
    rows = platform.sql(
        'SELECT email, "totalLeads", "qualifiedLeads", "totalCpaEarned", "totalAdSpend", "totalPayout", "paymentStatus"'
        ' FROM "IbCommission" c JOIN "User" u ON u.id = c."userId" ORDER BY email'
    )
    return {row[0]: row[1:] for row in rows}


def test_a_month_is_what_the_leads_and_days_of_it_make(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    account = platform.account(ib)
    platform.lead(ib, "2025-10-03", "2025-10-09", 600)
    platform.lead(ib, "2025-09-03", "2025-10-31T23:59:59.999", 250.5)  # captured before, qualified in the month
    platform.lead(ib, "2025-10-05", "2025-11-01", 999)  # qualifies only in the next
    platform.lead(ib, "2025-10-06", lead_type="ib")
    platform.spend(ib, account, "2025-10-01", 100.1)
    platform.spend(ib, account, "2025-10-31", 0.2)
    platform.spend(ib, account, "2025-11-01", 7)
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    assert payouts(platform) == {"ib@x.y": (3, 2, 850.5, 100.3, 255.15, "PENDING")}


def test_only_ibs_with_something_in_the_month_get_a_row_active_or_not(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("gone@x.y", active=False), "2025-10-03")
    platform.lead(platform.user("admin@x.y", role="ADMIN"), "2025-10-03", "2025-10-03", 100)
    platform.lead(None, "2025-10-03", "2025-10-03", 100)
    platform.lead(platform.user("later@x.y"), "2025-11-03")
    zero = platform.user("zero@x.y")
    platform.spend(zero, platform.account(zero), "2025-10-01", 0)
    ibctl("commissions", "run", "--month", "2025-10")
    assert list(payouts(platform)) == ["gone@x.y"]


# Bug class: an event within hours of the month's end, at +14:00 or -12:00, counted in two months or in none.
@pytest.mark.parametrize(
    ("zone", "first", "last", "before", "after"),
    [
        ("Pacific/Kiritimati", "09-30T10:00", "10-31T09:59:59.999", "09-30T09:59:59.999", "10-31T10:00"),
        ("Etc/GMT+12", "10-01T12:00", "11-01T11:59:59.999", "10-01T11:59:59.999", "11-01T12:00"),
        ("Europe/Berlin", "09-30T22:00", "10-31T22:59:59.999", "09-30T21:59:59.999", "10-31T23:00"),
    ],
)
def test_a_month_on_the_edge_of_a_zone_counts_every_lead_once(
    platform: Platform,
    ibctl: Run,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    first: str,
    last: str,
    before: str,
    after: str,
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", zone)
    config.use_env_file(None)
    ib = platform.user("ib@x.y")
    for instant in (first, last):
        platform.lead(ib, f"2025-{instant}", f"2025-{instant}", 10)
    for instant in (before, after):
        platform.lead(ib, f"2025-{instant}", f"2025-{instant}", 1000)
    ibctl("commissions", "run", "--month", "2025-10")
    assert payouts(platform)["ib@x.y"][:3] == (2, 2, 20)
    ibctl("commissions", "run", "--month", "2025-09")
    ibctl("commissions", "run", "--month", "2025-11")
    assert platform.sql('SELECT sum("qualifiedLeads") FROM "IbCommission"') == [(4,)]


# Bug class: a spend day, which is a date where its ad account is, moved into another month by a conversion to UTC.
@pytest.mark.parametrize("platform_zone", ["Pacific/Kiritimati", "UTC", "Etc/GMT+12"])
@pytest.mark.parametrize("account_zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_a_spend_day_at_the_end_of_a_month_counts_by_the_date_of_its_ad_account(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch, platform_zone: str, account_zone: str
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", platform_zone)
    config.use_env_file(None)
    ib = platform.user("ib@x.y")
    account = platform.account(ib, zone=account_zone)
    for day, amount in (("2025-09-30", 1), ("2025-10-01", 20), ("2025-10-31", 300), ("2025-11-01", 4000)):
        platform.spend(ib, account, day, amount)
    for month in ("2025-09", "2025-10", "2025-11"):
        assert ibctl("commissions", "run", "--month", month).exit_code == 0
    spend = platform.sql('SELECT month, "totalAdSpend" FROM "IbCommission" ORDER BY month')
    assert spend == [(9, 1), (10, 320), (11, 4000)]
    explained = ibctl("commissions", "explain", "ib@x.y", "2025-10", "--format", "csv", "--columns", "part,date").stdout
    assert [line for line in explained.splitlines() if line.startswith("spend,2")] == [
        "spend,2025-10-01", "spend,2025-10-31",
    ]  # fmt: skip


def test_the_cents_are_exact_where_floats_are_not(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    for _ in range(35):
        platform.lead(ib, "2025-10-03", "2025-10-03", 0.15)
    # 35 × 0.15 × 0.30 = 1.575 exactly, which is 1.58; binary floats make 1.5749999… of it.
    ibctl("commissions", "run", "--month", "2025-10")
    assert payouts(platform)["ib@x.y"][4] == 1.58


def test_a_second_run_without_change_writes_nothing(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-03", 100)
    platform.spend(ib, platform.account(ib), "2025-10-03", 10)
    ibctl("commissions", "run", "--month", "2025-10")
    before = platform.everything()
    second = ibctl("commissions", "run", "--month", "2025-10", "--format", "json")
    assert platform.everything() == before
    assert '"unchanged": 1' in second.stdout
    assert "change set" not in second.stderr


def test_an_open_row_follows_the_data_and_a_held_one_stays_held(platform: Platform, ibctl: Run) -> None:
    held, pending = platform.user("held@x.y"), platform.user("pending@x.y")
    for ib in (held, pending):
        platform.lead(ib, "2025-10-03", "2025-10-03", 100)
    ibctl("commissions", "run", "--month", "2025-10")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'HELD\' WHERE "userId" = %s', held)
    for ib in (held, pending):
        platform.lead(ib, "2025-10-04", "2025-10-04", 100)
    ibctl("commissions", "run", "--month", "2025-10")
    assert payouts(platform)["held@x.y"][4:] == (60.0, "HELD")
    assert payouts(platform)["pending@x.y"][4:] == (60.0, "PENDING")


@pytest.mark.parametrize("status", ["PROCESSING", "PAID"])
def test_a_sealed_row_is_never_touched_and_its_drift_is_reported(platform: Platform, ibctl: Run, status: str) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-03", 100)
    ibctl("commissions", "run", "--month", "2025-10")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = %s', status)
    before = platform.everything()
    assert "1 of 1" not in ibctl("commissions", "run", "--month", "2025-10").stderr
    platform.lead(ib, "2025-10-04", "2025-10-04", 100)
    after = ibctl("commissions", "run", "--month", "2025-10")
    assert platform.everything() == before
    assert "1 of 1 PROCESSING or PAID rows of 2025-10 would be different today" in after.stderr
    assert "`ibctl commissions drift 2025-10` says why" in " ".join(after.stderr.split())


def test_what_a_true_up_or_a_clawback_has_booked_is_no_drift_of_a_paid_row(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-03", 100)
    ibctl("commissions", "run", "--month", "2025-10")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    platform.lead(ib, "2025-10-04", "2025-10-04", 100)
    assert ibctl("commissions", "true-up", "2025-10", "--yes").exit_code == 0
    assert "would be different" not in ibctl("commissions", "run", "--month", "2025-10").stderr
    assert ibctl("commissions", "clawback", lead, "--reason", "r", "--yes").exit_code == 0
    assert "would be different" not in ibctl("commissions", "run", "--month", "2025-10").stderr
    platform.lead(ib, "2025-10-05", "2025-10-05", 10)
    assert "1 of 1 PROCESSING or PAID rows" in ibctl("commissions", "run", "--month", "2025-10").stderr


def test_an_ib_whose_leads_went_elsewhere_loses_the_pending_row_and_holds_zeros_when_held(
    platform: Platform, ibctl: Run
) -> None:
    pending, held, other = (platform.user(f"{name}@x.y") for name in ("pending", "held", "other"))
    for ib in (pending, held):
        platform.lead(ib, "2025-10-03", "2025-10-03", 100)
    ibctl("commissions", "run", "--month", "2025-10")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'HELD\' WHERE "userId" = %s', held)
    platform.sql('UPDATE "Lead" SET "userId" = %s', other)
    ibctl("commissions", "run", "--month", "2025-10")
    found = payouts(platform)
    assert list(found) == ["held@x.y", "other@x.y"]
    assert found["held@x.y"] == (0, 0, 0, 0, 0, "HELD")
    assert found["other@x.y"][4] == 60
    assert "derives to" not in ibctl("commissions", "explain", "held@x.y", "2025-10").stderr


def test_spend_in_another_currency_is_converted_day_by_day(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    euros, dollars = platform.account(ib, "EUR"), platform.account(ib)
    platform.rate("2025-10-01", "EUR", "1.10")
    platform.rate("2025-10-02", "EUR", "1.0815")
    platform.spend(ib, euros, "2025-10-01", 100)
    platform.spend(ib, euros, "2025-10-02", 33.33)
    platform.spend(ib, dollars, "2025-10-02", 1)
    ibctl("commissions", "run", "--month", "2025-10")
    assert payouts(platform)["ib@x.y"][3] == float(
        (Decimal("110") + Decimal("36.046395") + 1).quantize(Decimal("0.01"))
    )


def test_a_missing_rate_stops_the_run_and_names_account_and_day(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    account = platform.account(ib, "EUR")
    platform.lead(platform.user("other@x.y"), "2025-10-03", "2025-10-03", 100)
    platform.rate("2025-10-01", "EUR", "1.10")
    platform.spend(ib, account, "2025-10-01", 100)
    platform.spend(ib, account, "2025-10-02", 100)
    platform.spend(ib, account, "2025-10-03", 0)  # costs nothing, needs no rate
    before = platform.everything()
    failed = ibctl("commissions", "run", "--month", "2025-10")
    assert failed.exit_code == 3
    assert (
        f"1 spend day(s) of 2025-10 have no exchange rate to USD: EUR on 2025-10-02 for act_{account}" in failed.stderr
    )
    assert platform.everything() == before


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-5"])
def test_what_is_no_amount_stops_the_run_and_names_the_lead(platform: Platform, ibctl: Run, amount: str) -> None:
    lead = platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-03", float(amount))
    failed = ibctl("commissions", "run", "--month", "2025-10")
    assert failed.exit_code == 3
    assert f"at lead {lead} of ib@x.y" in failed.stderr
    assert platform.commissions() == []


def test_a_dry_run_shows_what_a_run_would_do_and_leaves_no_trace(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-03", 100)
    before = platform.everything()
    dry = ibctl("commissions", "run", "--month", "2025-10", "--dry-run", "--format", "json")
    assert platform.everything() == before
    assert "dry run: nothing was written" in dry.stderr
    assert ibctl("commissions", "run", "--month", "2025-10", "--format", "json").stdout == dry.stdout


@freeze_time("2025-11-01 00:30:00")
def test_without_a_month_the_last_full_one_is_run(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-31", "2025-10-31", 100)
    ibctl("commissions", "run")
    assert platform.sql('SELECT year, month FROM "IbCommission"') == [(2025, 10)]


@freeze_time("2025-10-15")
def test_a_month_that_has_not_begun_is_refused_and_one_under_way_is_said_to_be(platform: Platform, ibctl: Run) -> None:
    refused = ibctl("commissions", "run", "--month", "2025-11")
    assert (refused.exit_code, "2025-11 has not begun yet in UTC" in refused.stderr) == (3, True)
    assert "2025-10 is not over yet" in ibctl("commissions", "run", "--month", "2025-10").stderr


def test_cron_hears_nothing_when_all_is_well(platform: Platform, ibctl: Run) -> None:
    platform.lead(platform.user("ib@x.y"), "2025-10-03", "2025-10-03", 100)
    quiet = ibctl("commissions", "run", "--month", "2025-10", "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")


def test_a_row_that_the_web_application_made_is_taken_over(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-03", 100)
    platform.sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "totalPayout", "updatedAt")'
        " VALUES ('web', %s, 10, 2025, 29.99, now())", ib,
    )  # fmt: skip
    ibctl("commissions", "run", "--month", "2025-10")
    assert platform.sql('SELECT id, "totalPayout" FROM "IbCommission"') == [("web", 30.0)]


def test_each_row_keeps_what_it_was_calculated_from(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-10-03", "2025-10-04T05:06:07.089", 100)
    day = platform.spend(ib, platform.account(ib), "2025-10-03", 10)
    ibctl("commissions", "run", "--month", "2025-10")
    ((plan, leads, days, figures, digest),) = platform.sql(
        """
        SELECT plan, array["leadIds"[1], "leadCaptured"[1]::text, "leadQualified"[1]::text, "leadCpas"[1]::text],
          array["dayIds"[1], "dayDates"[1]::text, "dayAmounts"[1]::text, "dayRates"::text], figures, digest
        FROM ibctl.commission_snapshot n JOIN ibctl.commission_state s ON s."snapshotId" = n.id
        JOIN "IbCommission" c ON c.id = s.id
        """
    )
    assert (plan["name"], plan["tiers"]) == ("default", [{"from": "0", "rate": "0.30"}])
    assert leads == [lead, "2025-10-03 00:00:00", "2025-10-04 05:06:07.089", "100"]
    assert days == [day, "2025-10-03", "10", "{}"]
    assert figures["totalPayout"] == "30.00"
    assert len(digest) == 64


# What a fault in either calculation would look like: a cent more in the draft, once the statement has made it.
TAMPER = """
CREATE FUNCTION tamper() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
  UPDATE pg_temp.commission_draft d SET "totalPayout" = 30.01 FROM "User" u WHERE u.id = d."userId" AND u.email = '{}';
END $$;
CREATE EVENT TRIGGER tamper ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION tamper();
"""


# Most rows are checked in batches, the last of these while the others are written.
@pytest.mark.parametrize("wrong", range(5))
def test_two_calculations_that_disagree_by_a_cent_stop_the_run_and_name_the_row(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch, wrong: int
) -> None:
    for number in range(5):
        platform.lead(platform.user(f"ib{number}@x.y"), "2025-10-03", "2025-10-04", 100)
    monkeypatch.setattr(agreement, "BATCH", 2)
    platform.sql(TAMPER.format(f"ib{wrong}@x.y"))
    before = platform.everything()
    failed = ibctl("commissions", "run", "--month", "2025-10")
    assert failed.exit_code == 3
    assert f"2025-10 for ib{wrong}@x.y disagree: totalPayout is 30.01 in SQL and 30.00 in Python" in failed.stderr
    assert platform.everything() == before
