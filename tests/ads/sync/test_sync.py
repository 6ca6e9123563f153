"""`ibctl ads sync`, as it is used, against the Graph server."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from tests.ads.facebook import Connected, back
from tests.conftest import Result
from tests.fakes.graph import Broken, Fault, Server, faults
from tests.fakes.graph.world import Account

Run = Callable[..., Result]


@pytest.fixture
def one(connected: Connected) -> Account:
    """act_900, with three days of figures of which the last is today."""
    account = connected.account("900")
    account.spent(back(account, 0), "1.10", clicks=11, actions={"lead": 1, "purchase": 2})
    account.spent(back(account, 1), "2.20", clicks=0)
    account.spent(back(account, 27), "4.40", actions={"lead": 4, "complete_registration": 1})
    return account


def rows(run: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


# -------------------------------------------------------------------------------------------------------- what is read


def test_days_with_delivery_become_spend_days(one: Account, connected: Connected, ibctl: Run) -> None:
    run = ibctl("ads", "sync", "-f", "json")
    assert (run.exit_code, rows(run)[0]["added"]) == (0, 3)
    assert connected.ads.days() == [
        ("act_900", str(back(one, 27)), 4.4, 1000, 10, 4, 1),
        ("act_900", str(back(one, 1)), 2.2, 1000, 0, 0, 0),
        ("act_900", str(back(one, 0)), 1.1, 1000, 11, 1, 2),
    ]
    assert [day[2:] for day in connected.ads.days('ctr, cpc, cpl, "cumulativeSpend", "cumulativeLeads"')] == [
        (1, 0.44, 1.1, 4.4, 4), (0, 0, 0, 6.6, 4), (1.1, 0.1, 1.1, 7.7, 5),
    ]  # fmt: skip


def test_one_call_reads_28_days_that_end_today(one: Account, facebook: Server, ibctl: Run) -> None:
    one.spent(back(one, 28), "9")
    ibctl("ads", "sync")
    (call,) = facebook.calls
    assert call.params["time_range"] == {"since": str(back(one, 27)), "until": str(back(one, 0))}
    assert (call.params["level"], call.params["time_increment"]) == ("account", "1")
    # What Facebook ignores by now (attribution by report time), no longer returns (windows), or takes for an error
    # (date_format, summary) is not asked for.
    assert set(call.params) == {
        "level", "time_increment", "time_range", "fields", "limit", "appsecret_proof",
    }  # fmt: skip


def test_the_same_answer_again_writes_no_day(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    before = connected.ads.whole()
    run = ibctl("ads", "sync", "-f", "json")
    assert (rows(run)[0]["added"], rows(run)[0]["restated"], rows(run)[0]["unchanged"]) == (0, 0, 3)
    assert connected.ads.whole() == before


def test_a_lead_has_many_names_and_counts_once(connected: Connected, ibctl: Run) -> None:
    account = connected.account("900")
    account.spent(
        back(account, 1), "1",
        actions={"lead": 6, "offsite_conversion.custom.lead77": 50, "onsite_conversion.messaging_first_reply": 3,
                 "purchase": 2, "complete_registration": 1, "submit_application_total": 9},
    )  # fmt: skip
    ibctl("ads", "sync")
    assert connected.ads.days("h.leads, h.conversions") == [("act_900", str(back(account, 1)), 6, 3)]


def test_an_account_may_count_other_actions(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    ibctl("ads", "accounts", "edit", "act_900", "--leads", "purchase", "--conversions", "")
    run = ibctl("ads", "sync", "-f", "json")
    assert rows(run)[0]["restated"] == 2
    assert connected.ads.days("h.leads, h.conversions")[-1][2:] == (2, 0)


def test_since_reads_from_a_day_on_in_calls_of_90_days(one: Account, facebook: Server, ibctl: Run) -> None:
    one.spent(back(one, 200), "7")
    run = ibctl("ads", "sync", "--since", str(back(one, 200)), "-f", "json")
    assert (rows(run)[0]["added"], len(facebook.calls)) == (4, 3)


def test_facebook_keeps_37_months(one: Account, facebook: Server, ibctl: Run) -> None:
    run = ibctl("ads", "sync", "--since", "2015-01-01")
    assert (run.exit_code, "Facebook keeps 37 months" in run.stderr) == (0, True)
    first = date.fromisoformat(facebook.calls[0].params["time_range"]["since"])
    assert 37 * 30 < (one.today() - first).days < 37 * 31


@pytest.mark.parametrize("options", [["--since", "2025-10-01", "--days", "3"], ["--days", "0"], ["--since", "soon"],
                                     ["--max-wait", "ages"], ["--parallel", "0"]])  # fmt: skip
def test_wrong_options_are_2(options: list[str], one: Account, facebook: Server, ibctl: Run) -> None:
    assert (ibctl("ads", "sync", *options).exit_code, facebook.calls) == (2, [])


def test_a_since_in_the_future_is_3(one: Account, ibctl: Run) -> None:
    assert ibctl("ads", "sync", "--since", str(one.today() + timedelta(days=1))).exit_code == 3


def test_a_dry_run_writes_nothing(one: Account, connected: Connected, ibctl: Run) -> None:
    run = ibctl("ads", "sync", "--dry-run", "-f", "json")
    assert (rows(run)[0]["added"], connected.ads.days(), connected.ads.change_sets()) == (3, [], 0)
    assert "dry run: nothing was written" in run.stderr


def test_quiet_is_quiet(one: Account, ibctl: Run) -> None:
    run = ibctl("ads", "sync", "--quiet")
    assert (run.exit_code, run.stdout, run.stderr) == (0, "", "")


def test_without_accounts_nothing_happens(connected: Connected, ibctl: Run) -> None:
    run = ibctl("ads", "sync")
    assert (run.exit_code, run.stderr) == (0, "no ad account is connected\naccounts read: 0\n")


# ------------------------------------------------------------------------------------------------------- restatements


def test_what_facebook_tells_otherwise_is_kept_with_old_and_new(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    one.spent(back(one, 27), "5.50", actions={"lead": 5, "complete_registration": 1})
    run = ibctl("ads", "sync", "-f", "json")
    assert rows(run)[0]["restated"] == 1
    assert [day[2:] for day in connected.ads.days('"dailySpend", "cumulativeSpend", "cumulativeLeads"')] == [
        (5.5, 5.5, 5), (2.2, 7.7, 5), (1.1, 8.8, 6),
    ]  # fmt: skip
    told = rows(ibctl("ads", "spend", "restatements", "-f", "json"))
    assert [(r["adAccountId"], r["date"], r["field"], r["old"], r["new"]) for r in told] == [
        ("act_900", str(back(one, 27)), "dailySpend", 4.4, 5.5),
        ("act_900", str(back(one, 27)), "leads", 4, 5),
    ]


def test_a_new_day_is_no_restatement(one: Account, ibctl: Run) -> None:
    ibctl("ads", "sync")
    run = ibctl("ads", "spend", "restatements")
    assert (run.stdout, run.stderr) == ("", "no restatements\n")


def test_a_day_that_facebook_no_longer_names_is_one_of_zeros(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    del one.days["1", back(one, 1)]
    run = ibctl("ads", "sync", "-f", "json")
    assert rows(run)[0]["restated"] == 1
    assert connected.ads.days()[1] == ("act_900", str(back(one, 1)), 0, 0, 0, 0, 0)
    assert [day[2] for day in connected.ads.days('"cumulativeSpend"')] == [4.4, 4.4, 5.5]


def test_an_answer_without_any_figure_is_not_believed(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    before = connected.ads.whole()
    one.days.clear()
    run = ibctl("ads", "sync")
    assert (run.exit_code, "no figures at all" in run.stderr, connected.ads.whole() == before) == (5, True, True)


def test_undo_takes_a_sync_back_with_its_restatements(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    before = connected.ads.days('"dailySpend", "cumulativeSpend"'), connected.state('"firstDay", "lastDay"')
    one.spent(back(one, 1), "9.99")
    ibctl("ads", "sync")
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert (connected.ads.days('"dailySpend", "cumulativeSpend"'), connected.state('"firstDay", "lastDay"')) == before
    assert ibctl("ads", "spend", "restatements").stderr == "no restatements\n"


def test_restatements_are_filtered(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    one.spent(back(one, 1), "9.99")
    ibctl("ads", "sync")
    day = back(one, 1)
    for options, found in [
        (["--account", "act_900"], True), (["--ib", "ib900@x.y"], True), (["--ib", "anna@x.y"], False),
        (["--from", str(day), "--to", str(day)], True), (["--from", str(day + timedelta(days=1))], False),
    ]:  # fmt: skip
        assert bool(ibctl("ads", "spend", "restatements", *options).stdout) is found, options


def test_a_month_that_is_paid_is_named_when_its_spend_changes(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync")
    ((user,),) = connected.ads.sql("""SELECT id FROM "User" WHERE email = 'ib900@x.y'""")
    day = back(one, 1)
    connected.ads.commission(user, day.year, day.month, "PAID")
    one.spent(day, "100")
    run = ibctl("ads", "sync")
    assert f"{day:%Y-%m} is PAID for ib900@x.y: those commissions stay as they are" in run.stderr


# ------------------------------------------------------------------------------------------------ provisional and final


def test_a_day_is_final_when_it_was_read_at_an_age_of_28_days(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync", "--since", str(back(one, 40)))
    assert connected.state('"firstDay", "lastDay", "finalThrough"') == [(back(one, 40), back(one, 0), back(one, 28))]
    one.spent(back(one, 28), "1")
    ibctl("ads", "sync")
    quality = {
        row["date"]: row["quality"] for row in rows(ibctl("ads", "spend", "list", "-f", "json"))
    }  # fmt: skip
    assert quality == {
        str(back(one, 27)): "provisional",
        str(back(one, 1)): "provisional",
        str(back(one, 0)): "provisional",
    }
    one.spent(back(one, 29), "1")
    ibctl("ads", "sync", "--days", "35")
    listed = rows(ibctl("ads", "spend", "list", "-f", "json", "--to", str(back(one, 28))))
    assert {row["quality"] for row in listed} == {"final"}


def test_after_a_pause_of_the_runs_the_days_between_are_read_too(
    one: Account, connected: Connected, facebook: Server, ibctl: Run
) -> None:
    ibctl("ads", "sync")
    # As if it had been the run of ten days ago.
    connected.ads.sql(
        'UPDATE ibctl.ad_account_state SET "firstDay" = "firstDay" - 10, "lastDay" = "lastDay" - 10'
    )  # fmt: skip
    ibctl("ads", "sync")
    assert facebook.calls[-1].params["time_range"]["since"] == str(back(one, 37))
    assert connected.state('"finalThrough"') == [(back(one, 28),)]


def test_a_short_run_makes_nothing_final_that_it_did_not_read(one: Account, connected: Connected, ibctl: Run) -> None:
    ibctl("ads", "sync", "--since", str(back(one, 40)))
    ibctl("ads", "sync", "--days", "1")
    assert connected.state('"firstDay", "finalThrough"') == [(back(one, 40), back(one, 28))]


# ------------------------------------------------------------------------------------------------- zones and currencies


def test_month_ends_in_far_zones_and_odd_currencies_sum_exactly(
    connected: Connected, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freezegun import freeze_time

    places = {"1": ("JPY", "Pacific/Kiritimati"), "2": ("HUF", "Etc/GMT+12"), "3": ("USD", "America/New_York")}
    # Noon UTC on the last day of October: already November at +14:00, still the 31st at -12:00 (midnight there).
    with freeze_time("2026-10-31 12:00:00", tick=True):
        made = {number: connected.account(number, currency=c, zone=z) for number, (c, z) in places.items()}
        assert {n: a.today().isoformat() for n, a in made.items()} == {
            "1": "2026-11-01", "2": "2026-10-31", "3": "2026-10-31",
        }  # fmt: skip
        for account in made.values():
            for back_ in range(28):
                whole = account.currency in ("JPY", "HUF")
                account.spent(back(account, back_), "1001" if whole else "0.10", actions={"lead": 1})
        assert ibctl("ads", "sync").exit_code == 0
    sums = connected.ads.sql(
        'SELECT a.currency, to_char(h.date, \'YYYY-MM\'), sum(h."dailySpend"::numeric)::text, max(h."cumulativeSpend")'
        ' FROM "AdSpendHistory" h JOIN "FacebookAdAccount" a ON a.id = h."adAccountId" GROUP BY 1, 2 ORDER BY 1, 2'
    )
    assert sums == [
        ("HUF", "2026-10", "28028", 28028), ("JPY", "2026-10", "27027", 27027), ("JPY", "2026-11", "1001", 28028),
        ("USD", "2026-10", "2.8", 2.8),
    ]  # fmt: skip


def test_another_currency_than_the_stored_one_is_refused(one: Account, connected: Connected, ibctl: Run) -> None:
    one.currency = "EUR"
    run = ibctl("ads", "sync")
    assert (run.exit_code, "Facebook reports EUR, but the account is stored with USD" in run.stderr) == (5, True)
    assert connected.ads.days() == []


# --------------------------------------------------------------------------------------------------- failing accounts


@pytest.fixture
def two(one: Account, connected: Connected) -> tuple[Account, Account]:
    other = connected.account("901", currency="EUR")
    other.spent(back(other, 1), "3.30")
    return one, other


def test_an_account_that_fails_stops_no_other(
    two: tuple[Account, Account], connected: Connected, facebook: Server, ibctl: Run
) -> None:
    facebook.fail("act_900/insights", Fault(100, None, "(#100) Something is wrong"), times=9)
    run = ibctl("ads", "sync", "-f", "json")
    assert (run.exit_code, [row["adAccountId"] for row in rows(run)]) == (6, ["act_901"])
    assert "Warning: act_900 failed: Facebook says: (#100) Something is wrong (code 100" in run.stderr
    assert "accounts that failed: 1 (act_900)" in run.stderr
    assert [day[0] for day in connected.ads.days()] == ["act_901"]


def test_a_dead_token_makes_the_account_not_connected_and_later_runs_skip_it(
    two: tuple[Account, Account], connected: Connected, ibctl: Run
) -> None:
    connected.token("900").dead = 463
    assert ibctl("ads", "sync").exit_code == 6
    assert connected.ads.sql('SELECT "isConnected" FROM "FacebookAdAccount" ORDER BY "adAccountId"') == [
        (False,),
        (True,),
    ]
    again = ibctl("ads", "sync")
    assert (again.exit_code, "skipped: act_900 is not connected (Facebook says:" in again.stderr) == (0, True)


def test_a_user_who_has_to_log_in_at_facebook_first_leaves_the_account_connected(
    two: tuple[Account, Account], connected: Connected, ibctl: Run
) -> None:
    connected.token("900").dead = 459
    run = ibctl("ads", "sync")
    assert (run.exit_code, "act_900 failed" in run.stderr, "www.facebook.com" in run.stderr) == (6, True, True)
    connected.token("900").dead = None
    assert ibctl("ads", "sync").exit_code == 0  # the same token works again


def test_a_missing_permission_is_named_and_leaves_the_account_connected(
    two: tuple[Account, Account], connected: Connected, facebook: Server, ibctl: Run
) -> None:
    facebook.fail("act_900/insights", faults.missing_permission("ads_read"), times=9)
    run = ibctl("ads", "sync")
    assert (run.exit_code, "Requires ads_read permission" in run.stderr) == (6, True)
    assert connected.ads.sql('SELECT DISTINCT "isConnected" FROM "FacebookAdAccount"') == [(True,)]


def test_a_limit_beyond_the_patience_parks_the_account(
    two: tuple[Account, Account], connected: Connected, facebook: Server, ibctl: Run
) -> None:
    usage = json.dumps({"900": [{"type": "ads_insights", "call_count": 100, "estimated_time_to_regain_access": 30}]})
    facebook.fail("act_900/insights", Fault(80000, headers={"X-Business-Use-Case-Usage": usage}))
    run = ibctl("ads", "sync", "--max-wait", "5m")
    assert (run.exit_code, "act_900 parked until " in run.stderr) == (6, True)
    ((minutes, connected_still),) = connected.ads.sql(
        'SELECT round(extract(epoch FROM s."parkedUntil" - s."problemAt") / 60), a."isConnected" FROM'
        ' ibctl.ad_account_state s JOIN "FacebookAdAccount" a USING (id) WHERE problem IS NOT NULL'
    )
    assert (minutes, connected_still) == (30, True)
    asked = len(facebook.calls)
    again = ibctl("ads", "sync", "--account", "act_900", "--days", "3")
    assert (again.exit_code, len(facebook.calls) > asked) == (0, True)
    assert connected.state('problem, "parkedUntil"') == [(None, None), (None, None)]


def test_a_parked_account_is_left_alone_until_its_time_has_come(
    two: tuple[Account, Account], connected: Connected, facebook: Server, ibctl: Run
) -> None:
    parked = "UPDATE ibctl.ad_account_state SET \"parkedUntil\" = now() AT TIME ZONE 'UTC' + interval '%s minutes'"
    ibctl("ads", "sync")
    connected.ads.sql(parked.replace("%s", "30"))
    idle = ibctl("ads", "sync")
    assert (idle.exit_code, "skipped: act_900 is parked until 20" in idle.stderr) == (0, True)
    assert "accounts read: 0" in idle.stderr
    connected.ads.sql(parked.replace("%s", "-1"))
    assert "accounts read: 2" in ibctl("ads", "sync").stderr


def test_a_limit_within_the_patience_is_waited_for(
    one: Account, facebook: Server, pauses: list[float], ibctl: Run
) -> None:
    facebook.fail("act_900/insights", Fault(17, 2446079))
    assert (ibctl("ads", "sync").exit_code, pauses) == (0, [300])


@pytest.mark.parametrize(
    "odd", [Broken("truncated"), faults.HTML, Broken("dropped"), Broken("raw", text='{"data": [{"spend": "x"}]}')]
)
def test_nothing_is_written_or_zeroed_after_an_answer_in_part(
    odd: Broken, one: Account, connected: Connected, facebook: Server, ibctl: Run
) -> None:
    ibctl("ads", "sync")
    before = connected.ads.whole()
    facebook.fail("insights", odd, times=99)
    run = ibctl("ads", "sync")
    assert (run.exit_code, connected.ads.whole() == before) == (5, True)


def test_a_later_page_that_fails_writes_nothing_of_the_first(
    one: Account, connected: Connected, facebook: Server, ibctl: Run
) -> None:
    page = '{"data": [], "paging": {"cursors": {"after": "Mg=="}, "next": "https://x/"}}'
    facebook.fail("insights", Broken("raw", text=page))
    facebook.fail("insights", Fault(2), times=99)
    assert (ibctl("ads", "sync").exit_code, connected.ads.days()) == (5, [])


@pytest.mark.parametrize(
    "row",
    [
        '{"date_start": "2020-01-01", "date_stop": "2020-01-01", "spend": "1", "account_currency": "USD"}',
        '{"date_start": "DAY", "date_stop": "DAY", "spend": "-1", "account_currency": "USD"}',
        '{"date_start": "DAY", "date_stop": "DAY", "spend": "NaN", "account_currency": "USD"}',
        '{"date_start": "DAY", "date_stop": "DAY", "spend": "1", "clicks": "3000000000", "account_currency": "USD"}',
    ],
)
def test_figures_that_cannot_be_are_refused(
    row: str, one: Account, connected: Connected, facebook: Server, ibctl: Run
) -> None:
    text = '{"data": [' + row.replace("DAY", str(back(one, 1))) + "]}"
    facebook.fail("insights", Broken("raw", text=text), times=99)
    assert (ibctl("ads", "sync").exit_code, connected.ads.days()) == (5, [])


def test_too_much_data_is_read_by_report_and_in_halves(
    one: Account, connected: Connected, facebook: Server, ibctl: Run
) -> None:
    facebook.world.most_rows = 2
    run = ibctl("ads", "sync", "-f", "json")
    assert (run.exit_code, rows(run)[0]["added"], len(facebook.seen("act_900/insights", "POST"))) == (0, 3, 1)
    facebook.fail(
        r"^12\d+$", Broken("raw", text='{"id": "1", "async_status": "Job Failed", "async_percent_completion": 3}')
    )
    run = ibctl("ads", "sync", "-f", "json")
    assert (rows(run)[0]["unchanged"], len(facebook.seen("act_900/insights", "POST"))) == (3, 4)


def test_a_report_that_never_ends_fails_its_account(one: Account, facebook: Server, ibctl: Run) -> None:
    facebook.world.most_rows, facebook.world.report_ends = 2, "Job Running"
    run = ibctl("ads", "sync", "--days", "2")
    assert run.exit_code == 0  # two days are not too much
    facebook.world.most_rows = 0
    run = ibctl("ads", "sync", "--days", "1")
    assert (run.exit_code, "is at 40 % after" in run.stderr) == (5, True)


def test_a_report_run_that_is_not_found_at_once_is_waited_for(one: Account, facebook: Server, ibctl: Run) -> None:
    facebook.world.most_rows = 2
    facebook.fail(r"^12\d+$", faults.no_such_object("1"), times=2)
    assert ibctl("ads", "sync").exit_code == 0


def test_an_account_disconnected_or_unknown_is_3(one: Account, connected: Connected, ibctl: Run) -> None:
    assert ibctl("ads", "sync", "--account", "act_1").exit_code == 3
    connected.ads.sql('UPDATE "FacebookAdAccount" SET "accessToken" = NULL')
    assert ibctl("ads", "sync", "--account", "act_900").exit_code == 3


def test_a_newer_answer_of_another_run_stays(one: Account, connected: Connected, ibctl: Run) -> None:
    connected.ads.sql("""UPDATE "FacebookAdAccount" SET "lastSyncAt" = now() + interval '1 hour'""")
    run = ibctl("ads", "sync")
    assert (run.exit_code, "what it wrote is newer" in run.stderr, connected.ads.days()) == (5, True, [])
