"""`ibctl leads programmes`, `qualify` and `progress`, as an administrator uses them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.conftest import Result
from tests.leads.conftest import Platform
from tests.leads.qualification.qualifying import Broker, trading

Run = Callable[..., Result]
SET = ["leads", "programmes", "set"]
TERMS = ["--min-deposit", "200", "--min-lots", "0.5", "--cpa", "400"]


@pytest.fixture
def broker(platform: Platform) -> Broker:
    return Broker(platform)


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


# ----------------------------------------------------------------------------------------------------------- programmes


def test_new_terms_of_a_broker_succeed_the_old_ones(database: str, ibctl: Run) -> None:
    assert ibctl(*SET, "Prime XBT", "--from", "2025-08-01", *TERMS, "--days", "60").exit_code == 0
    done = ibctl(*SET, " prime xbt", "--from", "2025-10-01", *TERMS[:-1], "500")
    assert "set: prime xbt from 2025-10-01 on asks a deposit of 200.00 and 0.5 closed lots for a CPA of 500.00" in (
        done.stderr
    )
    listed = rows(ibctl("leads", "programmes", "list", "--broker", "PRIME XBT", "--format", "json"))
    assert [(one["effectiveFrom"], one["effectiveTo"], one["cpa"]) for one in listed] == [
        ("2025-10-01", None, 500),
        ("2025-08-01", "2025-09-30", 400),
    ]
    for day, cpa in (("2025-08-01", 400), ("2025-09-30", 400), ("2025-10-01", 500)):
        shown = rows(ibctl("leads", "programmes", "show", "PRIME xbt ", "--on", day, "--format", "json"))
        assert [one["cpa"] for one in shown] == [cpa]
    assert "from 2025-10-01" not in ibctl("leads", "programmes", "show", "Prime XBT").stderr


def test_terms_from_the_same_day_are_replaced_and_can_be_taken_back(
    platform: Platform, ibctl: Run, broker: Broker
) -> None:
    assert broker.asks("Axi", cpa="100") == "set"
    before = platform.sql("SELECT * FROM ibctl.lead_programme")
    done = ibctl(*SET, "AXI", "--from", "2025-10-01", *TERMS)
    assert "changed: AXI from 2025-10-01" in done.stderr
    assert platform.sql("SELECT broker, cpa FROM ibctl.lead_programme") == [("Axi", 400)]
    again = ibctl(*SET, "AXI", "--from", "2025-10-01", *TERMS)
    assert "nothing to do" in again.stderr
    assert platform.sql("SELECT max(id) FROM ibctl.change_set") == [(2,)]
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert platform.sql("SELECT * FROM ibctl.lead_programme") == before


@pytest.mark.parametrize("status", ["PROCESSING", "PAID"])
def test_terms_by_which_leads_count_in_a_paid_month_are_only_succeeded(
    platform: Platform, ibctl: Run, broker: Broker, status: str
) -> None:
    ib = platform.user("ib@x.com")
    broker.asks("Axi", min_lots="0.5")
    broker.lead("a@x.com", userId=ib, captured="2025-10-20 10:00", trades=[("2025-11-03", 0.5, 0.0)])
    broker.qualify()
    assert ibctl(*SET, "Axi", "--from", "2025-10-01", *TERMS, "--dry-run").exit_code == 0
    platform.commission(ib, 2025, 11, status)
    for since in ("2025-10-01", "2025-10-20"):
        refused = ibctl(*SET, "axi", "--from", since, *TERMS)
        assert refused.exit_code == 3
        assert f"count in 2025-11 ({status}: 1 lead)" in refused.stderr
        assert "give --from a day after 2025-10-20" in refused.stderr
    # Neither terms that touch nobody, nor another broker's, nor the same ones again.
    assert ibctl(*SET, "Axi", "--from", "2025-10-21", *TERMS).exit_code == 0
    assert ibctl(*SET, "Axi", "--from", "2025-09-01", *TERMS).exit_code == 0
    assert ibctl(*SET, "Other", "--from", "2025-10-01", *TERMS).exit_code == 0
    assert broker.asks("Axi", min_lots="0.5") == "unchanged"


def test_an_open_month_keeps_no_terms_from_being_changed(platform: Platform, ibctl: Run, broker: Broker) -> None:
    ib = platform.user("ib@x.com")
    broker.asks("Axi")
    broker.lead("a@x.com", userId=ib)
    broker.qualify()
    platform.commission(ib, 2025, 10, "HELD")
    assert ibctl(*SET, "Axi", "--from", "2025-10-01", *TERMS).exit_code == 0
    assert platform.leads('"cpaEarned"') == [(400.0,)]


def test_a_broker_without_terms_is_named(database: str, ibctl: Run, broker: Broker) -> None:
    unknown = ibctl("leads", "programmes", "show", "Nobody")
    assert (unknown.exit_code, "there is no programme for 'Nobody'" in unknown.stderr) == (3, True)
    broker.asks("Axi", since="2025-10-01")
    early = ibctl("leads", "programmes", "show", "Axi", "--on", "2025-09-30")
    assert (early.exit_code, "its first one is from 2025-10-01 on" in early.stderr) == (3, True)


def test_terms_that_cannot_be_are_wrong_usage(database: str, ibctl: Run) -> None:
    for wrong in (["--cpa", "-1"], ["--min-lots", "NaN"], ["--days", "0"], ["--from", "1999-12-31"]):
        assert ibctl(*SET, "Axi", "--from", "2025-10-01", *TERMS, *wrong).exit_code == 2, wrong
    assert ibctl(*SET, "Axi", *TERMS).exit_code == 2


# ----------------------------------------------------------------------------------------------------------- qualifying


def test_a_lead_that_has_met_the_terms_qualifies_and_earns_the_cpa(
    platform: Platform, ibctl: Run, broker: Broker
) -> None:
    ib = platform.user("ib@x.com")
    broker.asks("Prime XBT", min_deposit="200", min_lots="0.5", days=60, cpa="400.10")
    lead = broker.lead(
        "a@x.com", userId=ib, broker="prime xbt", trades=trading(0.2, 0.3, 5.0), balance=200.0,
        depositedAt="2025-10-06", ftdEarned=0.2,
    )  # fmt: skip
    broker.lead("b@x.com", broker="Prime XBT", depositedAt="2025-10-06")
    broker.lead("c@x.com", broker="Prime XBT")
    broker.lead("d@x.com", broker="Other")
    broker.lead("e@x.com", broker=" ")
    done = ibctl("leads", "qualify", "--format", "json")
    assert rows(done) == [
        {
            "id": lead, "qualifiedAt": "2025-10-07T02:00:00.000Z", "email": "a@x.com", "ib": "ib@x.com",
            "broker": "prime xbt", "leadCapturedAt": "2025-10-05T09:00:00.000Z", "cpaEarned": 400.1,
        }
    ]  # fmt: skip
    assert "leads qualified: 1, CPA 400.10 USD; change set 2" in done.stderr
    assert "the others: no broker 1, no programme 1, deadline over 2" in done.stderr
    assert "no programme: Other" in done.stderr
    assert platform.leads('"qualifiedAt", status, "cpaEarned", "totalEarned"')[0] == (
        datetime(2025, 10, 7, 2), "qualified", 400.1, 400.3,
    )  # fmt: skip
    assert platform.sql('SELECT count(*) FROM "Lead" WHERE "updatedAt" >= %s', datetime(2100, 1, 1)) == [(0,)]


def test_a_lead_from_before_the_first_programme_is_told_from_one_without(
    platform: Platform, ibctl: Run, broker: Broker
) -> None:
    broker.asks("axi", since="2025-11-01")
    broker.asks("axi", since="2025-12-01")
    broker.lead("a@x.com", broker=" AXI ")
    broker.lead("b@x.com", broker="Other")
    done = ibctl("leads", "qualify")
    assert "the others: no programme 2" in done.stderr
    assert "no programme: Other; " in done.stderr
    assert "captured before the broker's first programme: that of AXI begins on 2025-11-01; " in done.stderr


def test_why_the_others_do_not_qualify_is_counted(platform: Platform, ibctl: Run, broker: Broker) -> None:
    broker.asks("Axi", min_deposit="100", min_lots="1")
    broker.lead("a@x.com", depositedAt="2025-10-06", trades=trading(0.5))
    broker.lead("b@x.com", trades=trading(1.0))
    broker.lead("c@x.com", status="rejected")
    broker.lead("d@x.com", qualifiedAt="2025-10-06")
    assert "the others: deposit missing 1, lots short 1\n" in ibctl("leads", "qualify").stderr
    named = ibctl("leads", "qualify", "c@x.com", "d@x.com")
    assert "the others: already qualified 1, rejected 1\n" in named.stderr


def test_a_second_run_writes_nothing(platform: Platform, ibctl: Run, broker: Broker) -> None:
    broker.asks("Axi", min_lots="0.5")
    broker.lead("a@x.com", trades=trading(0.5))
    assert ibctl("leads", "qualify").exit_code == 0
    before = platform.everything()
    again = ibctl("leads", "qualify")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "leads qualified: 0, CPA 0.00 USD\n" in again.stderr
    assert platform.everything() == before
    assert ibctl("leads", "qualify", "--quiet") == Result(0, "", "")


def test_who_has_qualified_or_was_rejected_is_never_touched(platform: Platform, ibctl: Run, broker: Broker) -> None:
    broker.asks("Axi", cpa="400")
    broker.lead("a@x.com", qualifiedAt="2025-10-06", cpaEarned=7, status="contacted")
    broker.lead("b@x.com", status="rejected")
    before = platform.everything()
    assert ibctl("leads", "qualify").exit_code == 0
    assert ibctl("leads", "qualify", "a@x.com", "b@x.com").exit_code == 0
    assert platform.everything() == before


def test_undo_takes_back_all_that_a_run_has_written(platform: Platform, ibctl: Run, broker: Broker) -> None:
    broker.asks("Axi", min_lots="0.1")
    for number in range(6):
        broker.lead(f"{number}@x.com", trades=trading(0.05 * number), status="contacted", cpaEarned=3, ftdEarned=1)
    before = platform.leads("*")
    assert len(ibctl("leads", "qualify", "--format", "ids").stdout.split()) == 4
    assert platform.leads("*") != before
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert platform.leads("*") == before


def test_a_dry_run_shows_who_would_qualify_and_writes_nothing(platform: Platform, ibctl: Run, broker: Broker) -> None:
    broker.asks("Axi")
    broker.lead("a@x.com")
    before = platform.everything()
    done = ibctl("leads", "qualify", "--dry-run", "--format", "ids")
    assert len(done.stdout.split()) == 1
    assert "dry run: nothing was written" in done.stderr
    assert platform.everything() == before


def test_a_run_is_narrowed_down_to_leads_a_broker_or_an_ib(
    platform: Platform, ibctl: Run, broker: Broker, process: Run
) -> None:
    ib = platform.user("ib@x.com")
    broker.asks("Axi")
    broker.asks("Other")
    one = broker.lead("a@x.com", userId=ib)
    two = broker.lead("b@x.com", broker="Other")
    three = broker.lead("c@x.com", trackingToken="T3")
    run = ["leads", "qualify", "--dry-run", "--format", "ids"]
    assert ibctl(*run, "--ib", "IB@x.com").stdout.split() == [one]
    assert ibctl(*run, "--broker", "other ").stdout.split() == [two]
    assert set(ibctl(*run, "A@x.com", "T3").stdout.split()) == {one, three}
    assert ibctl(*run, "T3", "--broker", "Other").stdout == ""
    unknown = process("leads", "qualify", "nobody@x.com")
    assert (unknown.exit_code, "there is no lead 'nobody@x.com'" in unknown.stderr) == (3, True)
    assert ibctl("leads", "qualify", "--ib", "nobody@x.com").exit_code == 3
    assert platform.sql('SELECT count(*) FROM "Lead" WHERE "qualifiedAt" IS NOT NULL') == [(0,)]


def test_a_lead_that_qualifies_in_a_paid_month_is_told(platform: Platform, ibctl: Run, broker: Broker) -> None:
    paid, open_ = platform.user("paid@x.com"), platform.user("open@x.com")
    # Captured in September, which is paid too: that a lead qualifies does not change September.
    for month in (9, 10):
        platform.commission(paid, 2025, month, "PAID")
    platform.commission(open_, 2025, 10, "PENDING")
    broker.asks("Axi", since="2025-09-01", min_lots="0.5")
    for email, user in (("a@x.com", paid), ("b@x.com", open_)):
        broker.lead(email, userId=user, captured="2025-09-20", trades=trading(0.5))
    done = ibctl("leads", "qualify", "--quiet")
    assert done.exit_code == 0
    assert "Warning: 2025-10 is PAID for paid@x.com" in done.stderr
    assert "2025-09" not in done.stderr
    assert "open@x.com" not in done.stderr
    assert platform.sql('SELECT count(*) FROM "Lead" WHERE "qualifiedAt" IS NOT NULL') == [(2,)]


# ------------------------------------------------------------------------------------------------------------- progress


def test_progress_tells_what_is_there_what_is_asked_and_what_is_missing(
    platform: Platform, ibctl: Run, broker: Broker
) -> None:
    broker.asks("Axi", min_deposit="200", min_lots="0.5", days=3650)
    broker.lead("a@x.com", trades=trading(0.13), balance=150.0, depositedAt="2025-10-06")
    (found,) = rows(ibctl("leads", "progress", "A@x.com", "--format", "json"))
    until = "2035-10-03 09:00 UTC"
    assert (found["deadline"], found["lastScrapedAt"]) == ("2035-10-03T09:00:00.000Z", "2025-10-20T00:00:00.000Z")
    assert found["conditions"] == [
        {
            "condition": "deposit", "current": 150, "target": 200, "percent": 75, "state": "open", "metAt": None,
            "missing": f"needs 50.00 more by {until}",
        },
        {
            "condition": "lots", "current": 0.13, "target": 0.5, "percent": 26, "state": "open", "metAt": None,
            "missing": f"needs 0.37 lots by {until}",
        },
    ]  # fmt: skip
    shown = ibctl("leads", "progress", "a@x.com")
    assert "2025-10-20 00:00 UTC, " in shown.stdout
    assert f"needs 0.37 lots by {until}" in shown.stdout


def test_progress_tells_what_was_missed_and_that_nothing_was_ever_read(
    platform: Platform, ibctl: Run, broker: Broker
) -> None:
    broker.asks("Axi", min_lots="0.5", days=1)
    lead = broker.lead("a@x.com")
    assert "never: it has no MT5 account" in ibctl("leads", "progress", lead).stdout
    broker.account(lead, trading(0.5))
    broker.account(lead, login="unread", read_at=None)
    (found,) = rows(ibctl("leads", "progress", lead, "--format", "json"))
    assert found["lastScrapedAt"] is None
    assert [(one["state"], one["missing"]) for one in found["conditions"]] == [
        ("met", ""),
        ("missed", "0.5 lots short at the deadline"),
    ]


def test_progress_of_a_qualified_lead_tells_when_and_by_what(platform: Platform, ibctl: Run, broker: Broker) -> None:
    broker.asks("Axi", min_lots="0.5")
    broker.lead("a@x.com", trades=trading(0.5))
    broker.lead("b@x.com", broker=None, qualifiedAt="2025-10-06 10:00", status="qualified")
    assert (
        "a@x.com has met all conditions: `ibctl leads qualify a@x.com`" in ibctl("leads", "progress", "a@x.com").stderr
    )
    ibctl("leads", "qualify")
    done = ibctl("leads", "progress", "a@x.com", "--format", "json")
    assert "qualified on 2025-10-07 01:00 UTC, by change set 2 (`ibctl leads qualify`, tester)" in done.stderr
    assert (rows(done)[0]["changeSet"], rows(done)[0]["command"]) == (2, "ibctl leads qualify")
    other = ibctl("leads", "progress", "b@x.com")
    assert (other.exit_code, "qualified on 2025-10-06 10:00 UTC, not by ibctl" in other.stderr) == (0, True)


def test_progress_without_terms_says_what_to_do(platform: Platform, ibctl: Run, broker: Broker, process: Run) -> None:
    broker.asks("Axi", since="2025-10-06")
    broker.lead("a@x.com", broker=None)
    broker.lead("b@x.com", broker="Other")
    broker.lead("c@x.com")
    for lead, remedy in (
        ("a@x.com", "has no broker, so no terms hold for it: `ibctl leads edit a@x.com --broker BROKER`"),
        ("b@x.com", "at Other, and it has none: `ibctl leads programmes set 'Other'"),
        ("c@x.com", "at Axi, and the first programme of Axi begins on 2025-10-06"),
    ):
        refused = ibctl("leads", "progress", lead)
        assert (refused.exit_code, refused.stdout) == (3, "")
        assert remedy in refused.stderr
    assert process("leads", "progress", "nobody@x.com").exit_code == 3


def test_a_rejected_lead_is_told_to_be_one(platform: Platform, ibctl: Run, broker: Broker) -> None:
    broker.asks("Axi")
    broker.lead("a@x.com", status="rejected")
    assert "a@x.com is rejected: it does not qualify" in ibctl("leads", "progress", "a@x.com").stderr
