import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ibctl import db
from ibctl.errors import NotFoundError
from ibctl.leads import service
from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]


def rows(done: Result) -> list[dict[str, Any]]:
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


# ----------------------------------------------------------------------------------------------------------------- add


def test_a_lead_is_added_with_all_of_its_facts(platform: Platform, ibctl: Run) -> None:
    ib = platform.user("ib@x.com")
    done = ibctl(
        "leads", "add", "--email", " Anna@X.com", "--first-name", "Anna", "--phone", "0170 1234567", "--region", "DE",
        "--ib", "IB@x.com", "--source", "fb", "--broker", "Prime XBT", "--lead-type", "ib", "--tracking-token", "t1",
        "--captured-at", "2025-10-01T10:00+02:00", "--deposited-at", "2025-10-02", "--trading-start-at", "2025-10-03",
        "--qualified-at", "2025-10-04", "--ftd-earned", "10.10", "--cpa-earned", "0.20", "--systeme-contact-id", "7",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "added anna@x.com (c" in done.stderr
    assert "change set 1, `ibctl undo 1` takes it back" in done.stderr
    assert platform.leads(
        'email, "firstName", phone, "userId", source, broker, "leadType", "trackingToken", "leadCapturedAt",'
        ' "depositedAt", "tradingStartAt", "qualifiedAt", "ftdEarned", "cpaEarned", "totalEarned", "systemeContactId",'
        " status"
    ) == [
        ("anna@x.com", "Anna", "+491701234567", ib, "fb", "Prime XBT", "ib", "t1", datetime(2025, 10, 1, 8),
         datetime(2025, 10, 2), datetime(2025, 10, 3), datetime(2025, 10, 4), 10.1, 0.2, 10.3, "7", "qualified"),
    ]  # fmt: skip


NO_LEADS = [
    ((), 2, "a lead needs an email, a phone or a tracking token"),
    (("--email", "bad"), 2, "--email: 'bad' is not an email address"),
    (("--email", "a@x.com", "--cpa-earned", "-1"), 2, "--cpa-earned: '-1' is below zero"),
    (("--email", "a@x.com", "--qualified-at", "2025-10-01"), 2, "qualifiedAt 2025-10-01 00:00 is before"),
    (("--email", "a@x.com", "--status", "qualified"), 3, "has no qualifiedAt, and the word alone earns nothing"),
    (("--email", "a@x.com", "--ib", "nobody@x.com"), 3, "there is no IB 'nobody@x.com'"),
    (("--email", "TAKEN@x.com"), 3, "has the same email, taken@x.com: `ibctl leads show taken`"),
    (("--phone", "+49 170 1111111"), 3, "lead taken has the same phone"),
    (("--tracking-token", "t1"), 3, "lead taken has the same trackingToken"),
]


def test_what_makes_no_lead_is_refused(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="taken", email="Taken@x.com", phone="+49-170-1111111", trackingToken="t1")
    for options, code, message in NO_LEADS:
        done = ibctl("leads", "add", *options)
        assert (done.exit_code, platform.count()) == (code, 1), options
        assert message in done.stderr


def test_a_dry_run_adds_nothing(platform: Platform, ibctl: Run) -> None:
    done = ibctl("leads", "add", "--email", "a@x.com", "--dry-run")
    assert (done.exit_code, platform.count()) == (0, 0)
    assert "dry run: nothing was written" in done.stderr


# ---------------------------------------------------------------------------------------------------------------- list


@pytest.fixture
def listed(platform: Platform) -> Platform:
    ib = platform.user("ib@x.com")
    platform.lead(id="l1", email="Anna@X.com", userId=ib, leadCapturedAt=datetime(2025, 9, 30, 23), broker="Prime XBT",
                  status="qualified", qualifiedAt=datetime(2025, 10, 4))  # fmt: skip
    platform.lead(id="l2", phone="+491701111111", leadCapturedAt=datetime(2025, 10, 1), source="fb", firstName="100%_x")
    platform.lead(id="l3", trackingToken="t3", userId=ib, leadCapturedAt=datetime(2025, 10, 31, 23), leadType="ib")
    return platform


FILTERS = [
    ((), ["l3", "l2", "l1"]),
    (("--ib", "ib@x.com"), ["l3", "l1"]),
    (("--unassigned",), ["l2"]),
    (("--status", "qualified"), ["l1"]),
    (("--source", "FB"), ["l2"]),
    (("--broker", "prime xbt"), ["l1"]),
    (("--lead-type", "ib"), ["l3"]),
    (("--month", "2025-10"), ["l3", "l2"]),
    (("--captured-from", "2025-10-01"), ["l3", "l2"]),
    (("--captured-to", "2025-10-01"), ["l2", "l1"]),
    (("--captured-from", "2025-10-01", "--captured-to", "2025-10-01"), ["l2"]),
    (("--qualified",), ["l1"]),
    (("--not-qualified", "--ib", "ib@x.com"), ["l3"]),
    (("--search", "anna@"), ["l1"]),
    (("--search", "%_"), ["l2"]),
    (("--search", "T3"), ["l3"]),
    (("--search", "l2"), ["l2"]),
    (("--limit", "1"), ["l3"]),
]  # fmt: skip


def test_leads_are_listed_by_what_they_have_in_common(listed: Platform, ibctl: Run) -> None:
    for options, found in FILTERS:
        assert ibctl("leads", "list", *options, "--format", "ids").stdout.split() == found, options


def test_days_and_months_begin_in_the_platforms_zone(
    listed: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", "Europe/Berlin")
    assert ibctl("leads", "list", "--month", "2025-10", "--format", "ids").stdout.split() == ["l2", "l1"]
    assert ibctl("leads", "list", "--captured-from", "2025-11-01", "--format", "ids").stdout.split() == ["l3"]


def test_a_listing_says_when_it_was_cut_and_when_it_is_empty(listed: Platform, ibctl: Run) -> None:
    assert "the newest 2 of 3 leads" in ibctl("leads", "list", "--limit", "2").stderr
    assert ibctl("leads", "list", "--limit", "3").stderr == ""
    assert "no leads" in ibctl("leads", "list", "--search", "nobody").stderr


NONSENSE = [
    (("--ib", "ib@x.com", "--unassigned"), 2, "--ib and --unassigned exclude each other"),
    (("--month", "2025-10", "--captured-to", "2025-10-01"), 2, "--month excludes"),
    (("--captured-from", "2025-10-02", "--captured-to", "2025-10-01"), 2, "is later than --captured-to"),
    (("--captured-from", "1.10.2025"), 2, "--captured-from: '1.10.2025' is not a day"),
    (("--status", "foo"), 2, "'foo' is no status: write captured, contacted, qualified or rejected"),
    (("--lead-type", "foo"), 2, "'foo' is no type of lead: write trader or ib"),
    (("--ib", "nobody@x.com"), 3, "there is no user 'nobody@x.com'"),
]


def test_filters_that_make_no_sense_are_refused(database: str, ibctl: Run) -> None:
    for options, code, message in NONSENSE:
        done = ibctl("leads", "list", *options)
        assert (done.exit_code, done.stdout) == (code, ""), options
        assert message in done.stderr


def test_words_of_filters_are_taken_in_any_case(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", status="contacted", leadType="ib")
    platform.lead(id="l2", status="captured", leadType="trader")
    for verb in ("list", "export"):
        done = ibctl("leads", verb, "--status", "Contacted", "--lead-type", "IB", "--format", "ids")
        assert done.stdout.split() == ["l1"], done.stderr
        assert ibctl("leads", verb, "--status", "foo").exit_code == 2


def test_a_lead_cannot_forge_lines(platform: Platform, ibctl: Run) -> None:
    name = "Anna\nstatus            qualified\r\n\tx"
    platform.lead(id="l1", email="a@x.com", firstName=name)
    for shown in (
        ibctl("leads", "show", "l1").stdout,
        ibctl("leads", "list", "--columns", "firstName,status").stdout,
    ):
        assert r"Anna\nstatus            qualified\r\n\tx" in shown
    assert len([line for line in ibctl("leads", "show", "l1").stdout.splitlines() if line.startswith("status ")]) == 1
    assert rows(ibctl("leads", "list", "--format", "json"))[0]["firstName"] == name
    assert ibctl("leads", "export", "--output", "all.csv").exit_code == 0
    assert name in Path("all.csv").read_bytes().decode()


def test_a_listing_fits_into_80_columns(listed: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = ibctl("leads", "list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("anna@x.com" in line.lower() and "ib@x.com" in line and "qualified" in line for line in lines)


# ---------------------------------------------------------------------------------------------------------------- show


def test_a_lead_is_shown_with_all_that_hangs_on_it_but_no_password(platform: Platform, ibctl: Run) -> None:
    ibctl("leads", "add", "--email", "a@x.com", "--reason", "walk-in")
    ((lead,),) = platform.leads("id")
    platform.sql(
        'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, "updatedAt")'
        " VALUES ('k1', %s, '12345', 'SECRET', 'Srv-1', now())", lead,
    )  # fmt: skip
    platform.sql(
        'INSERT INTO "LeadActivity" (id, "leadId", "activityType", description, "updatedAt")'
        " VALUES ('a1', %s, 'call', 'left a message', now())", lead,
    )  # fmt: skip
    shown = ibctl("leads", "show", "A@x.com")
    assert shown.exit_code == 0
    for part in ("a@x.com", "12345", "Srv-1", "left a message", "walk-in"):
        assert part in shown.stdout
    (row,) = rows(ibctl("leads", "show", lead, "--format", "json"))
    assert row["credentials"][0]["login"] == "12345"
    assert row["activities"][0]["activityType"] == "call"
    assert row["changeSets"][0]["reason"] == "walk-in"
    assert "SECRET" not in shown.stdout + json.dumps(row)


def test_a_lead_is_named_by_id_token_or_email(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="A@x.com", trackingToken="t1")
    platform.lead(id="l2", email="b@x.com", trackingToken="l1")
    for name in ("l1", "t1", "a@X.com"):
        assert rows(ibctl("leads", "show", name, "-f", "json"))[0]["id"] == "l1"


def test_a_name_that_means_no_lead_or_several_is_refused(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="anna@x.com")
    platform.lead(id="l2", email="Anna@x.com")
    unknown = ibctl("leads", "show", "ann@x.org")
    assert unknown.exit_code == 3
    assert "there is no lead 'ann@x.org': did you mean" in unknown.stderr
    assert "there is no lead 'zz'" in ibctl("leads", "show", "zz").stderr
    with db.reading() as session, pytest.raises(NotFoundError):
        service.find(session, "a\0b")
    several = ibctl("leads", "show", "anna@x.com")
    assert several.exit_code == 3
    assert "means 2 leads, l" in several.stderr


# ---------------------------------------------------------------------------------------------------------------- edit


def test_facts_of_a_lead_are_set_and_its_total_follows(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="a@x.com", phone="+491701111111", leadCapturedAt=datetime(2025, 10, 1), ftdEarned=0.1)
    done = ibctl(
        "leads", "edit", "a@x.com", "--qualified-at", "2025-10-04", "--cpa-earned", "0.2", "--status", "qualified",
        "--clear", "phone",
    )  # fmt: skip
    assert done.exit_code == 0
    assert platform.leads('"qualifiedAt", "cpaEarned", "totalEarned", status, phone') == [
        (datetime(2025, 10, 4), 0.2, 0.3, "qualified", None)
    ]
    assert platform.sql('SELECT "updatedAt" > "createdAt" FROM "Lead"') == [(True,)]
    assert ibctl("undo", "1", "--yes").exit_code == 0
    assert platform.leads('"qualifiedAt", "cpaEarned", phone') == [(None, 0.0, "+491701111111")]


def test_what_a_lead_earned_in_all_is_an_amount_too(platform: Platform, ibctl: Run) -> None:
    most = "999999999999.99"
    added = ibctl("leads", "add", "--email", "a@x.com", "--ftd-earned", most, "--cpa-earned", "0.01")
    assert (added.exit_code, "ftdEarned and cpaEarned come to 1,000,000,000,000.00" in added.stderr) == (2, True)
    platform.lead(id="l", ftdEarned=float(most), totalEarned=float(most), email="b@x.com")
    assert ibctl("leads", "edit", "l", "--cpa-earned", "0.01").exit_code == 2
    assert platform.leads('"cpaEarned", "totalEarned"') == [(0.0, float(most))]


def test_an_edit_that_says_nothing_new_writes_nothing(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="a@x.com", leadCapturedAt=datetime(2025, 10, 1))
    before = platform.everything()
    done = ibctl("leads", "edit", "l1", "--email", "A@x.com", "--captured-at", "2025-10-01", "--clear", "phone")
    assert done.exit_code == 0
    assert "nothing to do" in done.stderr
    assert platform.everything() == before


IMPOSSIBLE = [
    ((), 2, "nothing to change"),
    (("--clear", "shoe-size"), 2, "--clear shoe-size: that is no field; what can be emptied is email, firstName"),
    (("--clear", "status"), 2, "--clear status: that cannot be empty"),
    (("--clear", "email"), 2, "a lead needs an email, a phone or a tracking token"),
    (("--clear", "phone", "--phone", "+491701111111"), 2, "--phone and --clear phone exclude each other"),
    (("--qualified-at", "2025-09-30"), 2, "is before leadCapturedAt"),
    (("--status", "qualified"), 3, "has no qualifiedAt"),
    (("--email", "b@x.com"), 3, "lead l2 has the same email"),
    (("--first-name", ""), 2, "--first-name is empty: `leads edit LEAD --clear firstName`"),
]


def test_what_a_lead_cannot_be_is_refused(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="a@x.com", leadCapturedAt=datetime(2025, 10, 1))
    platform.lead(id="l2", email="b@x.com")
    before = platform.everything()
    for options, code, message in IMPOSSIBLE:
        done = ibctl("leads", "edit", "l1", *options)
        assert done.exit_code == code, options
        assert message in done.stderr
    assert platform.everything() == before


def test_a_qualified_lead_does_not_lose_its_date_alone(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="a@x.com", status="qualified", qualifiedAt=datetime(2030, 1, 1))
    refused = ibctl("leads", "edit", "l1", "--clear", "qualified-at")
    works = ("--clear", "qualified-at", "--status", "contacted")
    assert (refused.exit_code, f"`ibctl leads edit LEAD {' '.join(works)}`" in refused.stderr) == (3, True)
    assert "--qualified-at DATE" not in refused.stderr
    assert ibctl("leads", "edit", "l1", *works).exit_code == 0
    assert platform.leads('status, "qualifiedAt"') == [("contacted", None)]


# --------------------------------------------------------------------------------------------------- assign, set-status


def test_leads_are_assigned_and_unassigned(platform: Platform, ibctl: Run) -> None:
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    platform.lead(id="l1", email="a@x.com", userId=one)
    platform.lead(id="l2", trackingToken="t2")
    done = ibctl("leads", "assign", "a@x.com", "t2", "l2", "--ib", "two@x.com")
    assert done.exit_code == 0
    assert "assigned to two@x.com: a@x.com (l1), t2 (l2)" in done.stderr
    assert platform.leads('"userId"') == [(two,), (two,)]
    assert "nothing to do" in ibctl("leads", "assign", "l1", "--ib", "two@x.com").stderr
    assert ibctl("leads", "assign", "l1", "--unassign").exit_code == 0
    assert platform.leads('id, "userId"') == [("l1", None), ("l2", two)]


NO_OWNERS = [
    ((), 2, "say who gets the leads"),
    (("--ib", "ib@x.com", "--unassign"), 2, "exclude each other"),
    (("--ib", "ib@x.com", "--round-robin", "all"), 2, "--ib, --round-robin, --weighted and --unassign exclude"),
    (("--round-robin", "ib@x.com, ib@x.com"), 2, "--round-robin names ib@x.com twice"),
    (("--round-robin", "all,all"), 2, "--round-robin names all twice"),
    (("--ib", "gone@x.com"), 3, "the account of IB gone@x.com is not active: `ibctl users activate gone@x.com`"),
    (("--ib", "boss@x.com"), 3, "there is no IB 'boss@x.com': that account's role is ADMIN"),
    (("nobody@x.com", "--ib", "ib@x.com"), 3, "there is no lead 'nobody@x.com'"),
]


def test_an_assignment_that_cannot_be_is_refused(platform: Platform, ibctl: Run) -> None:
    platform.user("ib@x.com")
    platform.user("gone@x.com", active=False)
    platform.user("boss@x.com", role="ADMIN")
    platform.lead(id="l1", email="a@x.com")
    before = platform.everything()
    for options, code, message in NO_OWNERS:
        done = ibctl("leads", "assign", "l1", *options)
        assert done.exit_code == code, options
        assert message in done.stderr
    assert platform.everything() == before


def test_the_status_of_leads_is_set(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="a@x.com")
    platform.lead(id="l2", email="b@x.com", qualifiedAt=datetime(2025, 10, 1))
    assert ibctl("leads", "set-status", "l1", "b@x.com", "CONTACTED").exit_code == 0
    assert platform.leads("status") == [("contacted",), ("contacted",)]
    assert ibctl("leads", "set-status", "l2", "qualified").exit_code == 0
    refused = ibctl("leads", "set-status", "l2", "l1", "qualified")
    assert refused.exit_code == 3
    assert "lead a@x.com has no qualifiedAt" in refused.stderr
    assert platform.leads("status") == [("contacted",), ("qualified",)]
    assert ibctl("leads", "set-status", "l1", "hot").exit_code == 2


# ------------------------------------------------------------------------------------------------------- settled months


PAID = "2025-10 is PAID for one@x.com"


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        (
            ("assign", "l1", "--ib", "two@x.com"),
            ["2025-10 is PAID for one@x.com", "2025-11 is PROCESSING for two@x.com"],
        ),
        (("edit", "l1", "--cpa-earned", "1"), [PAID]),
        (("edit", "l1", "--qualified-at", "2025-12-04"), [PAID]),
        (("edit", "l1", "--captured-at", "2025-09-01"), [PAID]),
        (("edit", "l1", "--first-name", "Bob"), []),
        (("set-status", "l1", "contacted"), []),
        (
            ("add", "--email", "b@x.com", "--ib", "one@x.com", "--captured-at", "2025-10-31"),
            [PAID],
        ),
        (("add", "--email", "b@x.com", "--ib", "one@x.com", "--captured-at", "2025-11-30"), []),
    ],
)
def test_a_change_in_a_month_that_is_paid_is_warned_of(
    platform: Platform, ibctl: Run, arguments: tuple[str, ...], warned: list[str]
) -> None:
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    platform.commission(one, 2025, 10, "PAID")
    platform.commission(one, 2025, 11, "HELD")
    platform.commission(two, 2025, 11, "PROCESSING")
    platform.lead(
        id="l1", email="a@x.com", userId=one, leadCapturedAt=datetime(2025, 10, 1), qualifiedAt=datetime(2025, 11, 2)
    )
    done = ibctl("leads", *arguments)
    assert done.exit_code == 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning")]
    assert len(warnings) == len(warned)
    for line, expected in zip(warnings, warned, strict=True):
        assert expected in line
        assert "that commission stays as it is" in line
        assert "`ibctl commissions drift 2025-" in line


@pytest.mark.parametrize("arguments", [("set-status", "l1", "rejected"), ("edit", "l1", "--status", "rejected")])
def test_a_rejected_lead_that_goes_on_to_earn_is_warned_of(
    platform: Platform, ibctl: Run, arguments: tuple[str, ...]
) -> None:
    platform.lead(id="l1", email="a@x.com", leadCapturedAt="2025-10-01", qualifiedAt="2025-10-02", status="qualified")
    done = ibctl("leads", *arguments)
    assert (done.exit_code, "they go on to earn: a@x.com" in done.stderr) == (0, True)
    assert "earn" not in ibctl("leads", "edit", "l1", "--clear", "qualified-at", "--clear", "phone").stderr


def test_a_change_in_a_month_that_is_closed_is_warned_of(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.com")
    platform.lead(id="l1", email="a@x.com", userId=one, leadCapturedAt="2025-10-01", qualifiedAt="2025-10-02")
    platform.lead(id="l2", email="b@x.com", leadCapturedAt="2025-10-01")
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    changed = ibctl("leads", "edit", "l1", "--cpa-earned", "1")
    assert (changed.exit_code, "2025-10 is CLOSED for one@x.com" in changed.stderr) == (0, True)
    assert "CLOSED" not in ibctl("leads", "edit", "l2", "--captured-at", "2025-10-03").stderr
    assert "CLOSED" not in ibctl("leads", "edit", "l1", "--first-name", "Zed").stderr
