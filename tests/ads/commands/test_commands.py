"""`ibctl ads spend`, as it is used."""

from __future__ import annotations

import csv
import io
import json
import operator
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import pytest

from tests.ads.conftest import Ads, outcome
from tests.conftest import Result

Run = Callable[..., Result]

FACEBOOK = "Account ID,Account name,Day,Amount spent (USD),Impressions,Clicks (all),Link clicks,Leads,Results"


def test_a_file_of_spend_becomes_spend_days(ads: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,120.50,10000,150,5,2", "1,2025-10-02,80,0,0,,1"))
    assert (run.exit_code, outcome(run)) == (0, {"added": 2})
    assert run.stderr == "spend days written: 2; change set 1, `ibctl undo 1` takes it back\n"
    assert ads.days() == [("act_1", "2025-10-01", 120.5, 10000, 150, 5, 2), ("act_1", "2025-10-02", 80, 0, 0, 0, 1)]


def test_ratios_are_percent_of_all_clicks_and_money_per_click_and_lead(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,99.99,8000,120,4,0", "act_1,2025-10-02,1,0,0,0,0"))
    assert ads.days("ctr, cpc, cpl") == [
        ("act_1", "2025-10-01", 1.5, 0.83325, 24.9975),
        ("act_1", "2025-10-02", 0, 0, 0),
    ]


def test_running_totals_are_exact_where_adding_floats_is_not(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file(*(f"act_1,2025-10-{day:02},0.1,0,0,1,0" for day in range(1, 11))))
    assert reduce(operator.add, [0.1] * 10) != 1.0  # sum() compensates, from Python 3.12 on
    assert ads.days('"cumulativeSpend", "cumulativeLeads"')[-1] == ("act_1", "2025-10-10", 1.0, 10)


def test_a_day_in_the_middle_moves_the_running_totals_behind_it_and_nothing_before(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,1,0,0,1,0", "act_1,2025-10-03,3,0,0,3,0"))
    stamps = ads.days('h."updatedAt"')
    run = ibctl("ads", "spend", "import", ads.file("act_1,2025-10-02,2,0,0,2,0"))
    assert "spend days written: 1, others with new running totals: 1;" in run.stderr
    assert [row[2:] for row in ads.days('"cumulativeSpend", "cumulativeLeads"')] == [(1, 1), (3, 3), (6, 6)]
    assert ads.days('h."updatedAt"')[0] == stamps[0]
    assert ads.days('h."updatedAt"')[2] > stamps[1]


def test_accounts_have_running_totals_of_their_own(ads: Ads, ibctl: Run) -> None:
    ads.account(ads.user("bo@x.y"), "act_2", currency="JPY")
    ibctl("ads", "spend", "import", ads.file("act_2,2025-10-01,15000,0,0,1,0", "act_1,2025-10-01,1.5,0,0,1,0"))
    assert ads.days('"cumulativeSpend"') == [("act_1", "2025-10-01", 1.5), ("act_2", "2025-10-01", 15000)]


def test_the_owner_of_a_day_is_the_accounts_whatever_the_file_says(ads: Ads, ibctl: Run) -> None:
    other = ads.user("bo@x.y")
    path = ads.file(f"act_1,2025-10-01,1,{other}", header="account,date,dailySpend,userId")
    run = ibctl("ads", "spend", "import", path)
    assert "columns that are not used: userId" in run.stderr
    assert ads.sql('SELECT u.email FROM "AdSpendHistory" h JOIN "User" u ON u.id = h."userId"') == [("anna@x.y",)]


def test_a_day_stays_with_the_ib_it_was_booked_for_when_the_account_moves(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,1,0,0,0,0"))
    ads.sql('UPDATE "FacebookAdAccount" SET "userId" = %s', ads.user("bo@x.y"))
    run = ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,2,0,0,0,0", "act_1,2025-10-02,5,0,0,0,0"))
    owners = ads.sql(
        'SELECT u.email, "dailySpend" FROM "AdSpendHistory" h JOIN "User" u ON u.id = h."userId" ORDER BY 2'
    )
    assert owners == [("anna@x.y", 2), ("bo@x.y", 5)]
    assert "though the account now belongs to another: 1" in run.stderr


def test_importing_a_file_again_writes_nothing(ads: Ads, ibctl: Run) -> None:
    path = ads.file("act_1,2025-10-01,120.50,10000,150,5,2", "act_1,2025-10-02,0.1,3,2,1,0")
    ibctl("ads", "spend", "import", path)
    before = ads.whole()
    run = ibctl("ads", "spend", "import", path)
    assert (run.exit_code, ads.whole(), ads.change_sets()) == (0, before, 1)
    assert outcome(run) == {"unchanged": 2}
    assert "change set" not in run.stderr


def test_only_days_that_differ_are_written(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,1,0,0,0,0", "act_1,2025-10-02,1,0,0,0,0"))
    run = ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,1,0,0,0,0", "act_1,2025-10-02,1,7,0,0,0"))
    assert outcome(run) == {"changed": 1, "unchanged": 1}
    assert ads.sql('SELECT "rowId" FROM ibctl.change WHERE "changeSetId" = 2') == ads.sql(
        """SELECT id FROM "AdSpendHistory" WHERE "date" = '2025-10-02'"""
    )


def test_a_column_that_the_file_lacks_keeps_what_is_stored(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,10,1000,20,4,3"))
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,20,5", header="account,date,dailySpend,leads"))
    assert ads.days() == [("act_1", "2025-10-01", 20, 1000, 20, 5, 3)]
    assert ads.days("ctr, cpc, cpl") == [("act_1", "2025-10-01", 2, 1, 4)]


def test_an_empty_cell_is_nothing_as_in_facebooks_exports(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,10,1000,20,4,3"))
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,10,1000,20,,"))
    assert ads.days() == [("act_1", "2025-10-01", 10, 1000, 20, 0, 0)]


def test_what_facebook_exports_can_be_imported_as_it_is(ads: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "import", ads.file("1,Main,2025-10-01,12.50,1000,20,15,4,3", header=FACEBOOK))
    assert run.exit_code == 0
    assert "columns that are not used: Link clicks" in run.stderr
    assert ads.days() == [("act_1", "2025-10-01", 12.5, 1000, 20, 4, 3)]


def test_amounts_in_another_currency_than_the_accounts_are_refused(ads: Ads, ibctl: Run) -> None:
    ads.account(ads.user("bo@x.y"), "act_2", currency="EUR")
    rows = ["1,Main,2025-10-01,12.50,1,1,1,1,1", "2,Europe,2025-10-01,12.50,1,1,1,1,1"]
    run = ibctl("ads", "spend", "import", ads.file(*rows, header=FACEBOOK))
    assert run.exit_code == 6
    assert "row 3 refused: dailySpend: the amount is in USD, but account act_2 has EUR" in run.stderr
    assert [row[0] for row in ads.days()] == ["act_1"]


def test_a_report_that_is_not_broken_down_by_day_is_refused(ads: Ads, ibctl: Run) -> None:
    path = ads.file("1,2025-10-01,2025-10-31,5", header="Account ID,Reporting starts,Reporting ends,Amount spent (USD)")
    run = ibctl("ads", "spend", "import", path)
    assert (run.exit_code, ads.days()) == (3, [])
    assert "has no column date" in run.stderr


def test_good_rows_go_in_and_bad_ones_come_out_as_a_file_to_mend(ads: Ads, ibctl: Run) -> None:
    rows = ["act_1,2025-10-01,1,0,0,0,0", "act_404,2025-10-01,1,0,0,0,0", "act_1,2025-10-02,NaN,0,0,0,0"]
    run = ibctl("ads", "spend", "import", ads.file(*rows))
    assert run.exit_code == 6
    rejects = ads.folder / "spend.csv.rejects.csv"
    assert f"rows refused: 2; to mend and import: {rejects}" in run.stderr
    refused = list(csv.DictReader(io.StringIO(rejects.read_text())))
    assert [(row["_row"], row["_code"], row["account"]) for row in refused] == [
        ("3", "account_unknown", "act_404"),
        ("4", "amount_invalid", "act_1"),
    ]
    rejects.write_text(rejects.read_text().replace("act_404", "act_1").replace("NaN", "2"))
    assert ibctl("ads", "spend", "import", rejects).exit_code == 0
    assert [row[:3] for row in ads.days()] == [("act_1", "2025-10-01", 1), ("act_1", "2025-10-02", 2)]


def test_what_became_of_the_rows_is_told_to_scripts_too(ads: Ads, ibctl: Run) -> None:
    path = ads.file("act_1,2025-10-01,1,0,0,0,0", "act_404,2025-10-01,1,0,0,0,0", "act_1,2025-10-02,x,0,0,0,0")
    run = ibctl("ads", "spend", "import", path, "--format", "json")
    assert [(row["outcome"], row["code"], row["rows"]) for row in json.loads(run.stdout)] == [
        ("read", "", 3), ("added", "", 1), ("changed", "", 0), ("unchanged", "", 0),
        ("refused", "account_unknown", 1), ("refused", "amount_invalid", 1),
    ]  # fmt: skip
    assert ibctl("ads", "spend", "import", path, "--format", "ids").exit_code == 2


def test_the_same_account_and_day_twice_is_refused_naming_the_first(ads: Ads, ibctl: Run) -> None:
    rows = ["act_1,2025-10-01,1,0,0,0,0", "act_1,2025-10-02,1,0,0,0,0", "1,2025-10-01,1,0,0,0,0"]
    run = ibctl("ads", "spend", "import", ads.file(*rows))
    assert run.exit_code == 6
    assert "row 4 refused: date: row 2 has this account and day already" in run.stderr
    assert len(ads.days()) == 2


def test_a_refused_row_does_not_stand_in_the_way_of_a_good_one(ads: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,-1,0,0,0,0", "act_1,2025-10-01,1,0,0,0,0"))
    assert (run.exit_code, ads.days("1")) == (6, [("act_1", "2025-10-01", 1)])


def test_refused_rows_go_where_they_are_told_to(ads: Ads, ibctl: Run, tmp_path: Path) -> None:
    path = ads.file("act_1,2025-10-01,1,0,0,0,0", "act_2,2025-10-01,1,0,0,0,0")
    ibctl("ads", "spend", "import", path, "--rejects", tmp_path / "bad.csv")
    assert "account_unknown" in (tmp_path / "bad.csv").read_text()
    assert not (tmp_path / "spend.csv.rejects.csv").exists()


def test_an_import_of_which_no_row_was_good_fails(ads: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "import", ads.file("act_2,2025-10-01,1,0,0,0,0"))
    assert run.exit_code == 3
    assert "has no row that can be imported" in run.stderr
    assert (ads.folder / "spend.csv.rejects.csv").exists()


def test_a_dry_run_says_what_would_happen_and_writes_nothing(ads: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,1,0,0,0,0"), "--dry-run")
    assert (run.exit_code, outcome(run)) == (0, {"added": 1})
    assert run.stderr == "spend days written: 1; dry run: nothing was written\n"
    assert (ads.days(), ads.change_sets()) == ([], 0)


def test_the_reason_is_kept_in_the_record(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-10-01,1,0,0,0,0"), "--reason", "October restated", "--yes")
    assert ads.sql("SELECT reason, counts FROM ibctl.change_set") == [
        ("October restated", {"AdSpendHistory": {"insert": 1}})
    ]


@pytest.mark.parametrize("status", ["PROCESSING", "PAID"])
def test_spend_of_a_month_that_is_settled_is_taken_and_warned_about(ads: Ads, ibctl: Run, status: str) -> None:
    ((anna,),) = ads.sql('SELECT id FROM "User"')
    ads.commission(anna, 2025, 9, status)
    ads.commission(anna, 2025, 10, "PENDING")
    path = ads.file("act_1,2025-09-30,1,0,0,0,0", "act_1,2025-09-29,1,0,0,0,0", "act_1,2025-10-01,1,0,0,0,0")
    run = ibctl("ads", "spend", "import", path)
    assert run.exit_code == 0
    warnings = [line for line in run.stderr.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 1
    assert f"2025-09 is {status} for anna@x.y: those commissions stay as they are" in warnings[0]
    assert "(days: 2)" in warnings[0]


def test_nothing_is_warned_about_where_the_spend_of_a_settled_month_stays_the_same(ads: Ads, ibctl: Run) -> None:
    ibctl("ads", "spend", "import", ads.file("act_1,2025-09-30,1,0,0,0,0"))
    ((anna,),) = ads.sql('SELECT id FROM "User"')
    ads.commission(anna, 2025, 9, "PAID")
    more = ads.file("act_1,2025-09-30,1,99,9,0,0", "act_1,2025-09-29,0,0,0,0,0", "act_1,2025-08-31,5,0,0,0,0")
    run = ibctl("ads", "spend", "import", more)
    assert outcome(run) == {"added": 2, "changed": 1}
    assert "Warning" not in run.stderr


def test_more_leads_than_a_running_total_holds_are_refused_whole(ads: Ads, ibctl: Run) -> None:
    path = ads.file("act_1,2025-10-01,1,0,0,2147483647,0", "act_1,2025-10-02,1,0,0,1,0")
    run = ibctl("ads", "spend", "import", path)
    assert (run.exit_code, ads.days()) == (3, [])
    assert "account act_1 would have 2,147,483,648 leads by 2025-10-02" in run.stderr


def test_a_file_without_a_usable_account_column_is_refused(ads: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "import", ads.file("2025-10-01,1", header="date,dailySpend"))
    assert run.exit_code == 3
    assert "has no column account or accountName" in run.stderr


# ---------------------------------------------------------------------------------------------------- list and export


@pytest.fixture
def history(ads: Ads, ibctl: Run) -> Ads:
    ads.account(ads.user("bo@x.y"), "act_2", '=2+3, "Bo"', "EUR")
    rows = [
        "act_1,2025-09-30,1,10,1,1,0",
        "act_1,2025-10-01,0.00001,10,3,0,0",
        "act_1,2025-10-31,1234567.89,10,7,3,0",
        "act_2,2025-10-01,5.05,0,0,0,0",
    ]  # fmt: skip
    assert ibctl("ads", "spend", "import", ads.file(*rows)).exit_code == 0
    return ads


def listed(run: Result) -> list[tuple[str, str, float]]:
    assert run.exit_code == 0
    return [(row["email"], row["date"], row["dailySpend"]) for row in json.loads(run.stdout)]


@pytest.mark.parametrize(
    ("options", "days"),
    [
        ([], ["2025-10-31", "2025-10-01", "2025-10-01", "2025-09-30"]),
        (["--account", "act_2"], ["2025-10-01"]),
        (["--account", "Main"], ["2025-10-31", "2025-10-01", "2025-09-30"]),
        (["--ib", "BO@x.y"], ["2025-10-01"]),
        (["--month", "2025-10"], ["2025-10-31", "2025-10-01", "2025-10-01"]),
        (["--from", "2025-10-02"], ["2025-10-31"]),
        (["--to", "2025-09-30"], ["2025-09-30"]),
        (["--from", "2025-10-01", "--to", "2025-10-01", "--ib", "anna@x.y"], ["2025-10-01"]),
        (["--month", "2024-10"], []),
    ],
)
def test_spend_is_listed_newest_first_and_by_filters(
    history: Ads, ibctl: Run, options: list[str], days: list[str]
) -> None:
    assert [day for _, day, _ in listed(ibctl("ads", "spend", "list", "--format", "json", *options))] == days


def test_a_listing_that_was_cut_says_so(history: Ads, ibctl: Run) -> None:
    run = ibctl("ads", "spend", "list", "--limit", "1")
    assert "the newest 1 of 4 spend days; --limit 0 shows all" in run.stderr
    assert "1,234,567.89" in run.stdout


def test_a_listing_fits_80_columns(history: Ads, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = ibctl("ads", "spend", "list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("2025-10-31" in line and "1,234,567.89" in line and "USD" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--account", "act_404"], 3, "there is no ad account 'act_404'"),
        (["--ib", "nobody@x.y"], 3, "nobody@x.y"),
        (["--month", "october"], 2, "'october' is not a month"),
        (["--month", "2025-10", "--from", "2025-10-01"], 2, "--month excludes --from and --to"),
        (["--from", "2025-10-02", "--to", "2025-10-01"], 2, "--from 2025-10-02 is later than --to 2025-10-01"),
        (["--to", "yesterday"], 2, "--to: 'yesterday' is not a day"),
        (["--columns", "password"], 2, "no column 'password'"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(
    history: Ads, ibctl: Run, options: list[str], code: int, message: str
) -> None:
    run = ibctl("ads", "spend", "list", *options)
    assert (run.exit_code, run.stdout) == (code, "")
    assert message in run.stderr


def test_what_is_exported_can_be_imported_and_changes_nothing(history: Ads, ibctl: Run, tmp_path: Path) -> None:
    before = history.whole()
    assert ibctl("ads", "spend", "export", "--output", tmp_path / "all.csv").exit_code == 0
    run = ibctl("ads", "spend", "import", tmp_path / "all.csv")
    assert (run.exit_code, history.whole(), history.change_sets()) == (0, before, 1)
    assert outcome(run) == {"unchanged": 4}


def test_an_account_whose_name_a_spreadsheet_would_run_is_found_again(history: Ads, ibctl: Run, tmp_path: Path) -> None:
    columns = "date,adAccountName,dailySpend"
    ibctl("ads", "spend", "export", "--columns", columns, "--output", tmp_path / "all.csv")
    assert "\"'=2+3" in (tmp_path / "all.csv").read_text()
    run = ibctl("ads", "spend", "import", tmp_path / "all.csv")
    assert (run.exit_code, outcome(run)) == (0, {"unchanged": 4})


def test_even_sums_that_the_web_application_left_float_noise_in_survive_an_export(
    history: Ads, ibctl: Run, tmp_path: Path
) -> None:
    history.sql('UPDATE "AdSpendHistory" SET "dailySpend" = 0.1::float8 + 0.2::float8')
    before = history.whole()
    ibctl("ads", "spend", "export", "--output", tmp_path / "all.csv")
    assert "0.30000000000000004" in (tmp_path / "all.csv").read_text()
    assert ibctl("ads", "spend", "import", tmp_path / "all.csv").exit_code == 0
    assert history.whole() == before


def test_an_export_into_an_empty_history_restores_all_figures(history: Ads, ibctl: Run, tmp_path: Path) -> None:
    figures = (
        '"dailySpend", impressions, clicks, leads, conversions, ctr, cpc, cpl, "cumulativeSpend", "cumulativeLeads"'
    )
    before = history.days(figures)
    ibctl("ads", "spend", "export", "--output", tmp_path / "all.csv")
    history.sql('DELETE FROM "AdSpendHistory"')
    assert ibctl("ads", "spend", "import", tmp_path / "all.csv").exit_code == 0
    assert history.days(figures) == before


def test_an_export_has_all_columns_and_takes_the_filters(history: Ads, ibctl: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(ibctl("ads", "spend", "export", "--account", "act_2").stdout)))
    assert [row["dailySpend"] for row in rows] == ["5.05"]
    stored = {name for (name,) in history.sql(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'AdSpendHistory'"
    )}  # fmt: skip
    assert stored < set(rows[0])
