"""Files that change leads which are there: how a row finds its lead, and what happens where both differ."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.leads.conftest import Platform
from tests.leads.importing.test_import import counts, rejects

Run = Callable[..., Result]
Write = Callable[..., Path]
OCTOBER = datetime(2025, 10, 1)


def refused(path: Path) -> list[tuple[str, str, str]]:
    found = rejects(path.with_name(f"{path.name}.rejects.csv"))
    return [(row["_row"], row["_code"], row["_field"]) for row in found]


# ---------------------------------------------------------------------------------------------------- a broker's report


def test_a_brokers_report_brings_dates_and_money_to_the_leads_that_are_there(
    platform: Platform, ibctl: Run, file: Write
) -> None:
    platform.lead(email="a@x.com", trackingToken="t1", leadCapturedAt=OCTOBER)
    platform.lead(email="b@x.com", trackingToken="t2", leadCapturedAt=OCTOBER, status="contacted")
    path = file(
        "click id,deposited,qualified,cpa,ftd",
        "t1,2025-10-03,2025-10-09,200,10",
        "t2,2025-10-04,,,",
        "t3,2025-10-04,,,",
    )
    done = ibctl("leads", "import", path, "--mode", "update", "--format", "json")
    assert done.exit_code == 6
    assert counts(done) == {"read": 3, "created": 0, "updated": 2, "unchanged": 0, "not_found": 1}
    assert platform.leads('status, "depositedAt", "qualifiedAt", "cpaEarned", "ftdEarned", "totalEarned"') == [
        ("qualified", datetime(2025, 10, 3), datetime(2025, 10, 9), 200.0, 10.0, 210.0),
        ("contacted", datetime(2025, 10, 4), None, 0.0, 0.0, 0.0),
    ]
    assert "import 1: 0 leads created, 2 updated; change set 1" in done.stderr


def test_an_upsert_creates_what_is_new(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(email="a@x.com", leadCapturedAt=OCTOBER)
    path = file("email,captured,deposited", "A@x.com,2025-09-01,2025-10-03", "b@x.com,2025-10-02,")
    done = ibctl("leads", "import", path, "--mode", "upsert", "--format", "json")
    assert counts(done) == {"read": 2, "created": 1, "updated": 1, "unchanged": 0}
    # The capture date decides the month: it stays, and that is said.
    assert platform.leads('email, "leadCapturedAt", "depositedAt"') == [
        ("a@x.com", OCTOBER, datetime(2025, 10, 3)),
        ("b@x.com", datetime(2025, 10, 2), None),
    ]
    assert "stayed where rows say otherwise, by the columns' rules: leadCapturedAt (1)" in done.stderr


@pytest.mark.parametrize("mode", ["update", "upsert"])
def test_the_same_report_again_writes_nothing(platform: Platform, ibctl: Run, file: Write, mode: str) -> None:
    platform.lead(email="a@x.com", phone="+49170 1234567", leadCapturedAt=OCTOBER, firstName=" Ann ")
    path = file("email,phone,first name,qualified,cpa", "a@x.com,+491701234567,Ann,2025-10-05,99.90")
    assert ibctl("leads", "import", path, "--mode", mode).exit_code == 0
    before = platform.everything()
    again = ibctl("leads", "import", path, "--mode", mode, "--again", "--format", "json")
    assert counts(again) == {"read": 1, "created": 0, "unchanged": 1}
    assert platform.everything() == before


def test_an_update_is_undone_byte_for_byte(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(email="a@x.com", firstName="", cpaEarned=0.1 + 0.2, leadCapturedAt=OCTOBER)
    platform.lead(phone="0170 1", leadCapturedAt=OCTOBER)
    before = platform.sql('SELECT * FROM "Lead" ORDER BY id')
    path = file("email,phone,first name,cpa,deposited", "a@x.com,01701,Ann,1,", "c@x.com,,,,2025-10-03")
    assert ibctl("leads", "import", path, "--mode", "upsert").exit_code == 6  # the first row fits two leads
    path.write_text("email,phone,first name,cpa,deposited\na@x.com,,Ann,1,2025-10-02\n,01701,Bob,,2025-10-03\n")
    assert ibctl("leads", "import", path, "--mode", "upsert").exit_code == 0
    assert ibctl("undo", "2", "--yes").exit_code == 0
    assert ibctl("undo", "1", "--yes").exit_code == 0
    assert platform.sql('SELECT * FROM "Lead" ORDER BY id') == before


# ----------------------------------------------------------------------------------------------------- finding the lead


def test_a_row_that_fits_two_leads_is_never_merged(platform: Platform, ibctl: Run, file: Write) -> None:
    one, two = sorted([platform.lead(email="a@x.com"), platform.lead(phone="+491701234567")])
    platform.lead(id="l1", email="twin@x.com")
    platform.lead(id="l2", email="TWIN@x.com")
    before = platform.everything()
    path = file("email,phone,broker", "a@x.com,+491701234567,B", "twin@x.com,,B")
    done = ibctl("leads", "import", path, "--mode", "upsert", "--format", "json")
    assert counts(done) == {"read": 2, "created": 0, "unchanged": 0, "ambiguous": 2}
    messages = [row["_message"] for row in rejects(path.with_name("leads.csv.rejects.csv"))]
    assert f"leads {one} and {two} have the row's email, phone" in messages[0]
    assert "leads l1 and l2 have the row's email" in messages[1]
    assert platform.everything() == before


def test_match_says_by_which_fields_a_row_finds_its_lead(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(email="a@x.com", phone="+491701234567", trackingToken="t1")
    path = file("email,phone,token,broker", "a@x.com,+491701234567,t1,B", "new@x.com,+491701234567,,B")
    done = ibctl("leads", "import", path, "--mode", "upsert", "--match", "tracking-token,email", "--format", "json")
    assert counts(done) == {"read": 2, "created": 0, "updated": 1, "unchanged": 0, "exists": 1}
    assert refused(path) == [("3", "exists", "phone")]


def test_two_rows_about_one_lead_change_it_once(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(email="a@x.com", trackingToken="t1", leadCapturedAt=OCTOBER)
    path = file(
        "email,token,deposited", "a@x.com,,2025-10-02", ",t1,2025-10-03", ",t9,2025-10-04", "b@x.com,t9,", "a@x.com,,"
    )
    done = ibctl("leads", "import", path, "--mode", "upsert", "--format", "json")
    assert counts(done) == {"read": 5, "created": 1, "updated": 1, "unchanged": 1, "duplicate": 2}
    assert refused(path) == [("3", "duplicate", "lead"), ("5", "duplicate", "trackingToken")]
    assert platform.leads('"depositedAt"')[0] == (datetime(2025, 10, 2),)


def test_a_contact_that_a_row_adds_may_not_be_another_leads(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(email="a@x.com")
    path = file("email,phone", "a@x.com,+491701234567", "b@x.com,+491701234567")
    done = ibctl("leads", "import", path, "--mode", "upsert", "--format", "json")
    assert counts(done) == {"read": 2, "created": 0, "updated": 1, "unchanged": 0, "duplicate": 1}
    assert platform.leads("email, phone") == [("a@x.com", "+491701234567")]


# ------------------------------------------------------------------------------------------------------ facts and rules


def test_facts_only_move_forward(platform: Platform, ibctl: Run, file: Write) -> None:
    lead = {"leadCapturedAt": OCTOBER, "depositedAt": datetime(2025, 10, 10), "status": "qualified"}
    platform.lead(email="a@x.com", qualifiedAt=datetime(2025, 10, 20), cpaEarned=150, **lead)
    platform.lead(email="b@x.com", **lead)
    platform.lead(email="c@x.com", **lead)
    path = file(
        "email,status,deposited,qualified",
        "a@x.com,rejected,2025-10-12,",  # later is a correction; a report does not un-qualify
        "b@x.com,,2025-10-09,",
        "c@x.com,captured,,2025-09-30",
    )
    done = ibctl("leads", "import", path, "--mode", "update", "--format", "json")
    assert counts(done) == {"read": 3, "created": 0, "updated": 1, "unchanged": 0, "date_backwards": 1, "date_order": 1}
    assert refused(path) == [("3", "date_backwards", "depositedAt"), ("4", "date_order", "qualifiedAt")]
    assert platform.leads('status, "depositedAt", "qualifiedAt", "cpaEarned"')[0] == (
        "qualified", datetime(2025, 10, 12), datetime(2025, 10, 20), 150.0,
    )  # fmt: skip


def test_a_lead_that_did_not_qualify_may_be_rejected(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(email="a@x.com", status="contacted")
    assert ibctl("leads", "import", file("email,status", "a@x.com,rejected"), "--mode", "update").exit_code == 0
    assert platform.leads("status") == [("rejected",)]


@pytest.mark.parametrize("mode", ["update", "upsert"])
@pytest.mark.parametrize("status", ["", "qualified", "rejected"])
def test_a_rejected_lead_is_not_qualified_by_a_report(
    platform: Platform, ibctl: Run, file: Write, mode: str, status: str
) -> None:
    lead = platform.lead(trackingToken="t", status="rejected", leadCapturedAt=OCTOBER)
    before = platform.everything()
    path = file("tracking token,qualified at,cpa,status", f"t,2025-10-20,50,{status}")
    done = ibctl("leads", "import", path, "--mode", mode, "--format", "json")
    assert done.exit_code == 3
    assert refused(path) == [("2", "status_conflict", "qualifiedAt")]
    assert f"`ibctl leads edit {lead} --status contacted`" in path.with_name("leads.csv.rejects.csv").read_text()
    assert platform.everything() == before
    assert ibctl("leads", "edit", lead, "--status", "contacted").exit_code == 0
    done = ibctl("leads", "import", path, "--mode", mode)
    assert done.exit_code == (3 if status == "rejected" else 0)
    assert platform.leads('status, "cpaEarned"') == [("contacted", 0) if status == "rejected" else ("qualified", 50)]


@pytest.mark.parametrize("mode", ["create", "upsert"])
def test_no_lead_is_created_as_rejected_and_qualified(platform: Platform, ibctl: Run, file: Write, mode: str) -> None:
    path = file("token,captured,status,qualified,cpa", "t,2025-10-01,rejected,2025-10-20,50", "t,2025-10-01,rejected,,")
    options = ("--mode", mode, "--format", "json")
    done = ibctl("leads", "import", path, *options)
    assert counts(done)["status_conflict"] == 1
    assert refused(path)[0] == ("2", "status_conflict", "qualifiedAt")
    assert platform.leads('"trackingToken", status') == [("t", "rejected")]


def test_what_is_both_already_stays_as_it_is(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(
        trackingToken="t", status="rejected", leadCapturedAt=OCTOBER, qualifiedAt=datetime(2025, 10, 20), cpaEarned=50,
        totalEarned=50, source="web",
    )  # fmt: skip
    before = platform.everything()
    path = file("token,status,captured,qualified,cpa", "t,rejected,2025-10-01,2025-10-20,50")
    for mode in ("create", "update", "upsert"):
        assert counts(ibctl("leads", "import", path, "--mode", mode, "--format", "json"))["unchanged"] == 1
    assert platform.everything() == before


def test_a_lead_is_taken_from_no_ib_by_a_file(platform: Platform, ibctl: Run, file: Write) -> None:
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    platform.lead(email="a@x.com", userId=one)
    platform.lead(email="b@x.com")
    path = file("email,ib", "a@x.com,two@x.com", "b@x.com,two@x.com")
    done = ibctl("leads", "import", path, "--mode", "update", "--format", "json")
    assert counts(done) == {"read": 2, "created": 0, "updated": 1, "unchanged": 0, "conflict": 1}
    assert platform.leads('"userId"') == [(one,), (two,)]


RULES = {
    # rule: (broker of a lead that has one, of one that has none, refused rows)
    "overwrite": ("New", "New", 0),
    "fill-empty": ("Old", "New", 0),
    "never": ("Old", None, 0),
    "error": ("Old", "New", 1),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_does_what_it_says(platform: Platform, ibctl: Run, file: Write, tmp_path: Path, rule: str) -> None:
    platform.lead(email="a@x.com", broker="Old")
    platform.lead(email="b@x.com")
    platform.lead(email="c@x.com", broker="Old")
    (tmp_path / "m.toml").write_text(f'mode = "update"\n[rules]\nbroker = "{rule}"\n')
    path = file("email,broker", "a@x.com,New", "b@x.com,New", "c@x.com,")
    done = ibctl("leads", "import", path, "--mapping", "m.toml", "--format", "json")
    filled, empty, conflicts = RULES[rule]
    assert counts(done).get("conflict", 0) == conflicts
    assert platform.leads("broker") == [(filled,), (empty,), ("Old",)]


def test_the_newer_one_counts_by_its_date(platform: Platform, ibctl: Run, file: Write, tmp_path: Path) -> None:
    for name, day in (("a", 10), ("b", 10), ("c", None)):
        platform.lead(
            email=f"{name}@x.com", broker="Old", leadCapturedAt=OCTOBER,
            depositedAt=day and datetime(2025, 10, day),
        )  # fmt: skip
    (tmp_path / "m.toml").write_text(
        'mode = "update"\nnewer_by = "depositedAt"\n[rules]\nbroker = "newer"\ndepositedAt = "newer"\n'
    )
    path = file("email,broker,deposited", "a@x.com,New,2025-10-11", "b@x.com,New,2025-10-09", "c@x.com,New,2025-10-02")
    done = ibctl("leads", "import", path, "--mapping", "m.toml")
    assert done.exit_code == 0
    assert platform.leads('broker, extract(day FROM "depositedAt")::int') == [("New", 11), ("Old", 10), ("New", 2)]


def test_an_empty_cell_changes_nothing(platform: Platform, ibctl: Run, file: Write, tmp_path: Path) -> None:
    platform.lead(email="a@x.com", broker="B", cpaEarned=5, phone="+491701234567", depositedAt=OCTOBER)
    (tmp_path / "m.toml").write_text(
        'mode = "update"\n[rules]\n' + "".join(f'{f} = "overwrite"\n' for f in ("broker", "phone", "depositedAt"))
    )
    before = platform.everything()
    done = ibctl("leads", "import", file("email,broker,cpa,phone,deposited", "a@x.com,,,,"), "--mapping", "m.toml")
    assert done.exit_code == 0
    assert platform.everything() == before


def test_money_that_changes_in_a_paid_month_is_taken_and_told(platform: Platform, ibctl: Run, file: Write) -> None:
    ib, former = platform.user("ib@x.com"), platform.user("former@x.com")
    lead = platform.lead(
        email="a@x.com", userId=ib, leadCapturedAt=OCTOBER, qualifiedAt=datetime(2025, 10, 5), cpaEarned=100
    )
    platform.lead(email="b@x.com", userId=ib, leadCapturedAt=OCTOBER)
    platform.commission(former, 2025, 10, "PAID")
    platform.commission(ib, 2025, 11, "PROCESSING")
    platform.sql(
        """INSERT INTO ibctl.lead_transfer (id, "leadId", "fromUserId", "toUserId", "effectiveAt", "createdAt")
           VALUES ('t', %s, %s, %s, '2025-11-01', now())""",
        lead, former, ib,
    )  # fmt: skip
    path = file("email,cpa,qualified", "a@x.com,90,", "b@x.com,,2025-11-02")
    done = ibctl("leads", "import", path, "--mode", "update")
    assert done.exit_code == 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning")]
    # The lead was the former owner's in October.
    assert "2025-10 is PAID for former@x.com" in warnings[0]
    assert "2025-11 is PROCESSING for ib@x.com" in warnings[1]
    assert len(warnings) == 2


LARGEST = 999_999_999_999.99


@pytest.mark.parametrize("mode", ["create", "update", "upsert"])
def test_what_a_lead_earned_in_all_is_an_amount_too(platform: Platform, ibctl: Run, file: Write, mode: str) -> None:
    platform.lead(email="a@x.com", leadCapturedAt=OCTOBER)
    before = platform.everything()
    path = file("email,ftd,cpa", f"a@x.com,{LARGEST},2", f"b@x.com,{LARGEST},2")
    done = ibctl("leads", "import", path, "--mode", mode, "--format", "json")
    assert (done.exit_code, counts(done)["amount_invalid"]) == (3, 2)
    assert refused(path) == [("2", "amount_invalid", "totalEarned"), ("3", "amount_invalid", "totalEarned")]
    assert platform.everything() == before


def test_what_a_lead_earned_with_what_it_has_is_an_amount_too(platform: Platform, ibctl: Run, file: Write) -> None:
    lead = platform.lead(email="a@x.com", leadCapturedAt=OCTOBER, ftdEarned=LARGEST, totalEarned=LARGEST)
    platform.lead(email="b@x.com", leadCapturedAt=OCTOBER, ftdEarned=LARGEST - 2, totalEarned=LARGEST - 2)
    path = file("email,cpa", "a@x.com,0.01", "b@x.com,2")
    done = ibctl("leads", "import", path, "--mode", "update", "--format", "json")
    assert (counts(done)["updated"], counts(done)["amount_invalid"]) == (1, 1)
    assert refused(path) == [("2", "amount_invalid", "totalEarned")]
    assert f"lead {lead} has" in path.with_name("leads.csv.rejects.csv").read_text()
    assert platform.leads('"totalEarned"') == [(LARGEST,), (LARGEST,)]
    # What was written comes back from its own export.
    assert ibctl("leads", "export", "--output", "out.csv").exit_code == 0
    assert counts(ibctl("leads", "import", "out.csv", "--format", "json"))["unchanged"] == 2


@pytest.mark.parametrize("chunk", [(), ("--chunk", "1")], ids=["whole", "chunks"])
def test_each_lead_of_a_settled_month_counts_once(
    platform: Platform, ibctl: Run, file: Write, chunk: tuple[str, ...]
) -> None:
    ib = platform.user("ib@x.com")
    platform.lead(email="a@x.com", userId=ib, leadCapturedAt=OCTOBER)
    platform.commission(ib, 2025, 10, "PROCESSING")
    path = file(
        "email,ib,captured,qualified", "a@x.com,,,2025-10-05", "b@x.com,ib@x.com,2025-10-02,2025-10-09",
        "c@x.com,ib@x.com,2025-10-03,",
    )  # fmt: skip
    done = ibctl("leads", "import", path, "--mode", "upsert", *chunk)
    assert done.exit_code == 0
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("Warning")]
    assert "2025-10 is PROCESSING for ib@x.com" in warning
    assert "though what counts in it has changed: 3 leads" in warning


# ---------------------------------------------------------------------------------------------------------- handing out


def test_new_leads_are_shared_among_active_ibs_by_turns(platform: Platform, ibctl: Run, file: Write) -> None:
    one, two, three = (platform.user(f"{name}@x.com") for name in ("a", "b", "c"))
    platform.user("gone@x.com", active=False)
    platform.user("boss@x.com", role="ADMIN")
    platform.lead(email="known@x.com")
    rows = [f"u{n}@x.com,{'c@x.com' if n == 1 else ''}" for n in range(6)]
    path = file("email,ib", "known@x.com,", *rows)
    assert ibctl("leads", "import", path, "--assign", "round-robin").exit_code == 0
    assert platform.leads('"userId"') == [(None,), (one,), (three,), (two,), (three,), (one,), (two,)]


def test_by_column_refuses_a_row_that_names_no_ib(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.user("a@x.com")
    path = file("email,ib", "u@x.com,a@x.com", "v@x.com,")
    done = ibctl("leads", "import", path, "--assign", "by-column", "--format", "json")
    assert counts(done) == {"read": 2, "created": 1, "unchanged": 0, "owner_missing": 1}
    assert (
        "no column that names an IB"
        in ibctl("leads", "import", file("email", "x@x.com"), "--assign", "by-column").stderr
    )


def test_assign_takes_an_ib_too(platform: Platform, ibctl: Run, file: Write) -> None:
    ib = platform.user("a@x.com")
    assert ibctl("leads", "import", file("email", "u@x.com"), "--assign", "a@x.com").exit_code == 0
    assert platform.leads('"userId"') == [(ib,)]
    assert ibctl("leads", "import", "leads.csv", "--assign", "a@x.com", "--ib", "a@x.com").exit_code == 2


def test_round_robin_without_an_active_ib_is_refused(platform: Platform, ibctl: Run, file: Write) -> None:
    done = ibctl("leads", "import", file("email", "u@x.com"), "--assign", "round-robin")
    assert (done.exit_code, platform.count()) == (3, 0)
    assert "there is no active IB" in done.stderr


# ------------------------------------------------------------------------------------------------------- all or nothing


def test_all_or_nothing_writes_nothing_where_a_row_is_refused(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email", "a@x.com", "bad")
    before = platform.everything()
    done = ibctl("leads", "import", path, "--all-or-nothing")
    assert done.exit_code == 3
    assert "1 of 2 rows were refused, and with --all-or-nothing nothing was written" in done.stderr
    assert refused(path) == [("3", "email_invalid", "email")]
    assert platform.everything() == before
    assert ibctl("leads", "import", file("email", "a@x.com"), "--all-or-nothing").exit_code == 0


# ------------------------------------------------------------------------------------------------------------ bad usage


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mode", "replace"), "--mode 'replace': write create, update or upsert"),
        (("--match", "name"), "--match 'name': name some of email, phone, trackingToken"),
        (("--match", "email,email"), "names a field twice"),
        (("--mode", "update", "--match", "phone"), "--match phone: the file has none of these columns"),
        (("--all-or-nothing", "--chunk", "5"), "exclude each other"),
    ],
)
def test_terms_that_cannot_be_are_named(
    platform: Platform, ibctl: Run, file: Write, options: tuple[str, ...], message: str
) -> None:
    done = ibctl("leads", "import", file("email", "a@x.com"), *options)
    assert (done.exit_code, message in done.stderr) == (2, True), done.stderr
    assert platform.count() == 0
