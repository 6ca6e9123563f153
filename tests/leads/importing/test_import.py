import csv
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ibctl import errors
from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]
Write = Callable[..., Path]


def counts(done: Result) -> dict[str, int]:
    """The rows of `--format json` by outcome, and by code where they were refused."""
    return {row["code"] or row["outcome"]: row["rows"] for row in json.loads(done.stdout)}


def rejects(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


# ------------------------------------------------------------------------------------------------------------ good rows


def test_a_files_rows_become_leads(platform: Platform, ibctl: Run, file: Write) -> None:
    ib = platform.user("ib@x.com")
    path = file(
        "E-mail,Name,Mobile,Affiliate,Type,Broker,Lead source,Status,Click id,Signup date,Deposited,First trade,"
        "Qualified,FTD,CPA,Total earned,Systeme id",
        'Anna@X.com,"Zoë ""Z"" Müller",+49 170 1234567,IB@x.com,trader,Prime XBT,fb,qualified,tok1,'
        "2025-10-01T10:00+02:00,2025-10-02,2025-10-03,2025-10-04,10.50,150,160.50,77",
        "ben@x.com,,,,,,,,,,,,,,,,",
    )
    done = ibctl("leads", "import", path, "--format", "json")
    assert done.exit_code == 0
    assert counts(done) == {"read": 2, "created": 2, "unchanged": 0}
    assert platform.leads(
        'email, "firstName", phone, "userId", "leadType", broker, source, status, "trackingToken", "leadCapturedAt",'
        ' "depositedAt", "tradingStartAt", "qualifiedAt", "ftdEarned", "cpaEarned", "totalEarned", "systemeContactId"'
    )[0] == (
        "anna@x.com", 'Zoë "Z" Müller', "+491701234567", ib, "trader", "Prime XBT", "fb", "qualified", "tok1",
        datetime(2025, 10, 1, 8), datetime(2025, 10, 2), datetime(2025, 10, 3), datetime(2025, 10, 4), 10.5, 150.0,
        160.5, "77",
    )  # fmt: skip
    ben = platform.sql(
        'SELECT "userId", "leadType", source, status, "cpaEarned", "leadCapturedAt" = "createdAt",'
        ' "updatedAt" = "createdAt",'
        " length(id), left(id, 1) FROM \"Lead\" WHERE email = 'ben@x.com'"
    )
    assert ben == [(None, "trader", "unknown", "captured", 0.0, True, True, 25, "c")]


def test_options_hold_for_rows_that_say_nothing(platform: Platform, ibctl: Run, file: Write) -> None:
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    path = file("email,ib,source,phone,captured", "a@x.com,,,0170 12345678,03/04/2025", f"b@x.com,{two},web,,")
    options = ("--ib", "one@x.com", "--source", "fb", "--region", "de", "--dayfirst")
    assert ibctl("leads", "import", path, *options).exit_code == 0
    assert platform.leads('"userId", source, phone') == [(one, "fb", "+4917012345678"), (two, "web", None)]
    assert platform.leads('"leadCapturedAt"')[0] == (datetime(2025, 4, 3),)


def test_a_qualified_lead_without_a_status_is_qualified(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email,captured,qualified", "a@x.com,2025-10-01,2025-10-02", "b@x.com,2025-10-01,")
    ibctl("leads", "import", path)
    assert platform.leads("status") == [("qualified",), ("captured",)]


def test_the_word_qualified_alone_is_taken_but_said_to_earn_nothing(
    platform: Platform, ibctl: Run, file: Write
) -> None:
    done = ibctl("leads", "import", file("email,status", "a@x.com,qualified", "b@x.com,captured"))
    assert done.exit_code == 0
    assert platform.leads('status, "qualifiedAt"')[0] == ("qualified", None)
    assert "created as qualified without a qualifiedAt, so that no commission counts them: 1 lead" in done.stderr


def test_other_encodings_and_delimiters_are_read_when_told(platform: Platform, ibctl: Run, tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_bytes("email#name\na@x.com#Søren\n".encode("cp1252"))
    assert "pass --encoding" in ibctl("leads", "import", path, "--delimiter", "#").stderr
    assert ibctl("leads", "import", path, "--delimiter", "#", "--encoding", "cp1252").exit_code == 0
    assert platform.leads('"firstName"') == [("Søren",)]


# --------------------------------------------------------------------------------------------------------- refused rows


def test_good_rows_go_in_and_bad_rows_out(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.user("ib@x.com")
    platform.user("gone@x.com", active=False)
    platform.user("boss@x.com", role="ADMIN")
    path = file(
        "email,name,ib,cpa",
        "good@x.com,Zoë,ib@x.com,1.50",
        "bad,=cmd(),ib@x.com,-1.50",
        "c@x.com,short",
        "d@x.com,D,nobody@x.com,",
        "e@x.com,E,gone@x.com,",
        "f@x.com,F,boss@x.com,",
        'g@x.com,"two\nlines",,1.005',
    )
    done = ibctl("leads", "import", path, "--format", "json")
    assert done.exit_code == errors.PARTIAL
    assert counts(done) == {
        "read": 7, "created": 1, "unchanged": 0, "amount_invalid": 1, "cells": 1, "email_invalid": 1,
        "owner_inactive": 1, "owner_unknown": 2,
    }  # fmt: skip
    refused = rejects(path.with_name("leads.csv.rejects.csv"))
    assert [(row["_row"], row["_code"], row["_field"]) for row in refused] == [
        ("3", "email_invalid", "email"), ("4", "cells", ""), ("5", "owner_unknown", "ib"),
        ("6", "owner_inactive", "ib"), ("7", "owner_unknown", "ib"), ("8", "amount_invalid", "cpaEarned"),
    ]  # fmt: skip
    assert [row["name"] for row in refused] == ["'=cmd()", "short", "D", "E", "F", "two\nlines"]
    assert refused[0]["cpa"] == "-1.50"
    assert "that account's role is ADMIN" in refused[4]["_message"]
    assert "rows refused: 6" in done.stderr


def test_a_mended_reject_file_is_imported_as_it_is(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.user("ib@x.com")
    path = file("email;name;ib", "bad;=Zoë;ib@x.com", "worse;Bob;ib@x.com", "good@x.com;Ann;ib@x.com")
    ibctl("leads", "import", path)
    first = path.with_name("leads.csv.rejects.csv")
    first.write_text(first.read_text().replace("bad;", "mended@x.com;"))
    done = ibctl("leads", "import", first, "--format", "json")
    assert counts(done) == {"read": 2, "created": 1, "unchanged": 0, "email_invalid": 1}
    assert platform.leads('email, "firstName"') == [("good@x.com", "Ann"), ("mended@x.com", "=Zoë")]
    # The second round's refused rows stand beside the first's.
    assert [row["email"] for row in rejects(path.with_name("leads.csv.rejects-2.csv"), ";")] == ["worse"]


def test_a_file_without_a_good_row_writes_nothing(platform: Platform, ibctl: Run, file: Write) -> None:
    before = platform.everything()
    done = ibctl("leads", "import", file("email", "bad", "worse"), "--rejects", "r.csv")
    assert done.exit_code == 3
    assert "no row that can be imported" in done.stderr
    assert len(rejects(Path("r.csv"))) == 2
    assert ibctl("leads", "import", file("email,name")).exit_code == 3
    assert platform.everything() == before


def test_an_older_reject_file_is_never_overwritten(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email", "bad", "good@x.com")
    Path("r.csv").write_text("precious")
    done = ibctl("leads", "import", path, "--rejects", "r.csv")
    assert Path("r.csv").read_text() == "precious"
    assert len(rejects(Path("r-2.csv"))) == 1
    assert "r-2.csv (kept: r.csv)" in done.stderr


def test_a_file_that_breaks_off_in_the_middle_changes_nothing(platform: Platform, ibctl: Run, file: Write) -> None:
    before = platform.everything()
    done = ibctl("leads", "import", file("email,name", *(f"u{n}@x.com,x" for n in range(3_000)), 'v@x.com,"open'))
    assert done.exit_code == 3
    assert "line 3002: a quote is opened and never closed" in done.stderr
    assert platform.everything() == before


def test_a_file_without_a_column_that_names_a_lead_is_refused(database: str, ibctl: Run, file: Write) -> None:
    done = ibctl("leads", "import", file("name,shoe size", "Zoë,38"))
    assert done.exit_code == 3
    assert "has no column email or phone or trackingToken; it has name, shoe size" in done.stderr


WRONG = [
    (("none.csv",), 3, "none.csv does not exist"),
    (("leads.csv", "--ib", "nobody@x.com"), 3, "there is no IB 'nobody@x.com'"),
    (("leads.csv", "--ib", "gone@x.com"), 3, "not active"),
    (("leads.csv", "--region", "XX"), 2, "--region: 'XX' is not a country"),
    (("leads.csv", "--encoding", "klingon"), 2, "--encoding 'klingon' is not known"),
    (("leads.csv", "--rejects", "no/such/r.csv"), 3, "cannot write no/such/r.csv"),
]


def test_what_is_wrong_with_the_request_ends_it(platform: Platform, process: Run, ibctl: Run, file: Write) -> None:
    platform.user("gone@x.com", active=False)
    file("email", "a@x.com")
    before = platform.everything()
    wrong_setting = process("leads", "import", "leads.csv", env={"IBCTL_PHONE_REGION": "XX"})
    assert wrong_setting.exit_code == 4
    assert "IBCTL_PHONE_REGION: 'XX' is not a country" in wrong_setting.stderr
    for number, (arguments, code, message) in enumerate(WRONG):
        done = (process if number < 2 else ibctl)("leads", "import", *arguments)
        assert (done.exit_code, done.stdout) == (code, ""), arguments
        assert message in done.stderr
    assert platform.everything() == before


# ----------------------------------------------------------------------------------------------- duplicates in the file


def test_of_two_rows_for_one_lead_the_first_wins(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file(
        "email,phone,token,name",
        "a@x.com,+49 170 1111111,t1,first",
        "A@X.COM,,,same email",
        ",+491701111111,,same phone",
        ",+49-170-111.1111,,same phone again",
        ",,t1,same token",
        "b@x.com,,T1,another token",
    )
    done = ibctl("leads", "import", path, "--format", "json")
    assert counts(done) == {"read": 6, "created": 2, "unchanged": 0, "duplicate": 4}
    assert [row[0] for row in platform.leads('"firstName"')] == ["first", "another token"]
    messages = [row["_message"] for row in rejects(path.with_name("leads.csv.rejects.csv"))]
    assert messages == [f"row 2 has the same {field}" for field in ("email", "phone", "phone", "trackingToken")]


def test_no_row_is_refused_for_the_sake_of_a_refused_one(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file(
        "email,phone,token,cpa",
        "a@x.com,,,bad",  # refused, so the next one is the first
        "a@x.com,+491701111111,,",
        "b@x.com,+491701111111,,",  # shares its phone
        "b@x.com,,t,",  # shares its email with a refused row only
        "c@x.com,,t,",
    )
    done = ibctl("leads", "import", path, "--format", "json")
    assert counts(done) == {"read": 5, "created": 2, "unchanged": 0, "amount_invalid": 1, "duplicate": 2}
    assert [(row["_row"], row["_message"]) for row in rejects(path.with_name("leads.csv.rejects.csv"))][1:] == [
        ("4", "row 3 has the same phone"),
        ("6", "row 5 has the same trackingToken"),
    ]


# ----------------------------------------------------------------------------------------- leads that are there already


def test_a_row_that_says_nothing_new_is_unchanged(platform: Platform, ibctl: Run, file: Write) -> None:
    ib = platform.user("ib@x.com")
    platform.lead(
        email="A@X.com", firstName=" Zoë ", phone="+49 170/111-1111", userId=ib, status="contacted", trackingToken="t1",
        leadCapturedAt=datetime(2025, 10, 1), cpaEarned=0.1 + 0.2, totalEarned=0.3,
    )  # fmt: skip
    before = platform.everything()
    path = file(
        "email,name,phone,ib,status,token,captured,cpa",
        "a@x.com,Zoë,+491701111111,ib@x.com,contacted,t1,2025-10-01,0.30",
        ",,+49 170 1111111,,,,,",
        ",,,,captured,t1,,",  # an earlier stage of its life
    )
    done = ibctl("leads", "import", path, "--format", "json")
    assert done.exit_code == 0
    assert counts(done) == {"read": 3, "created": 0, "unchanged": 3}
    assert platform.everything() == before


OTHERWISE = {
    "name": "Bob", "phone": "+491702222222", "ib": "two@x.com", "status": "rejected", "token": "other",
    "captured": "2025-10-02", "deposited": "2025-10-02", "cpa": "151", "broker": "Other", "type": "ib", "source": "web",
    "systeme id": "9",
}  # fmt: skip


def test_a_row_that_says_something_else_is_refused(platform: Platform, ibctl: Run, file: Write) -> None:
    one, _ = platform.user("one@x.com"), platform.user("two@x.com")
    leads = [
        platform.lead(
            email=f"{number}@x.com", firstName="Ann", phone=f"+49170{number:07}", userId=one,
            trackingToken=f"t{number}", cpaEarned=150, leadCapturedAt=datetime(2025, 10, 1),
        )
        for number in range(len(OTHERWISE))
    ]  # fmt: skip
    before = platform.everything()
    rows = [
        f"{number}@X.com" + "," * (number + 1) + value + "," * (len(OTHERWISE) - number - 1)
        for number, value in enumerate(OTHERWISE.values())
    ]
    path = file(f"email,{','.join(OTHERWISE)}", *rows)
    done = ibctl("leads", "import", path, "--format", "json")
    assert done.exit_code == 3
    assert counts(done) == {"read": 12, "created": 0, "unchanged": 0, "exists": 12}
    for lead, row in zip(leads, rejects(path.with_name("leads.csv.rejects.csv")), strict=True):
        assert row["_message"].startswith(f"lead {lead} has the same email; the row says otherwise about ")
    assert platform.everything() == before


def test_a_row_that_meets_two_leads_is_refused_with_the_surest_named(
    platform: Platform, ibctl: Run, file: Write
) -> None:
    by_token = platform.lead(trackingToken="t1")
    platform.lead(email="a@x.com")
    path = file("email,token", "a@x.com,t1", "new@x.com,t2")
    done = ibctl("leads", "import", path, "--format", "json")
    assert counts(done) == {"read": 2, "created": 1, "unchanged": 0, "exists": 1}
    (row,) = rejects(path.with_name("leads.csv.rejects.csv"))
    assert row["_message"] == f"lead {by_token} has the same trackingToken; the row says otherwise about email"


def test_of_two_leads_with_one_email_the_one_that_a_row_repeats_counts(
    platform: Platform, ibctl: Run, file: Write
) -> None:
    platform.lead(id="l1", email="a@x.com", broker="Other")
    platform.lead(id="l2", email="A@x.com", broker="Prime XBT")
    done = ibctl("leads", "import", file("email,broker", "a@x.com,Prime XBT", "a@x.com,Third"), "--format", "json")
    assert counts(done) == {"read": 2, "created": 0, "unchanged": 1, "exists": 1}


def test_a_placeholder_on_many_leads_and_rows_does_not_stop_the_import(
    platform: Platform, ibctl: Run, file: Write
) -> None:
    platform.sql(
        """INSERT INTO "Lead" (id, phone, "updatedAt")
           SELECT 'l' || n, '000000', now() FROM generate_series(1, 3000) n"""
    )
    path = file("email,phone", *(f"u{n}@x.com,000000" for n in range(3_000)), "good@x.com,")
    done = ibctl("leads", "import", path, "--format", "json")
    assert counts(done) == {"read": 3_001, "created": 1, "unchanged": 0, "exists": 3_000}


def test_the_same_file_again_is_not_imported_until_it_is_undone(platform: Platform, ibctl: Run, file: Write) -> None:
    path = file("email", "a@x.com", "bad")
    assert ibctl("leads", "import", path).exit_code == 6
    before = platform.everything()
    again = ibctl("leads", "import", path.rename("other.csv"))
    assert again.exit_code == 0
    assert "was imported on" in again.stderr
    assert "(import 1: 1 lead created, 0 updated, change set 1), nothing to do; for the 1 rows" in again.stderr
    assert platform.everything() == before
    assert ibctl("undo", "1", "--yes").exit_code == 0
    assert platform.count() == 0
    assert ibctl("leads", "import", "other.csv").exit_code == 6
    assert platform.count() == 1
    assert platform.sql('SELECT "fileName", rows, created, refused, mapping FROM ibctl.lead_import ORDER BY id') == [
        ("leads.csv", 2, 1, 1, {"email": "email"}),
        ("other.csv", 2, 1, 1, {"email": "email"}),
    ]


def test_a_dry_run_gives_the_real_answer_and_writes_nothing(platform: Platform, ibctl: Run, file: Write) -> None:
    platform.lead(email="known@x.com")
    path = file("email", "known@x.com", "a@x.com", "a@x.com", "bad")
    before = platform.everything()
    dry = ibctl("leads", "import", path, "--dry-run", "--format", "json")
    assert platform.everything() == before
    assert "1 lead created; dry run: nothing was written" in dry.stderr
    real = ibctl("leads", "import", path, "--format", "json")
    assert (real.exit_code, real.stdout) == (dry.exit_code, dry.stdout)
    assert platform.count() == 2
    # The same rows were refused, so the same file stands for both.
    assert [path.name for path in sorted(path.parent.glob("*rejects*"))] == ["leads.csv.rejects.csv"]


# --------------------------------------------------------------------------------------------------------- consequences


def test_leads_in_a_month_that_is_paid_are_warned_of(
    platform: Platform, ibctl: Run, file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", "Europe/Berlin")
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    platform.commission(one, 2025, 10, "PAID")
    platform.commission(two, 2025, 10, "PROCESSING")
    platform.commission(one, 2025, 11, "PENDING")
    path = file(
        "email,ib,captured,qualified",
        "a@x.com,one@x.com,2025-09-30T22:30Z,",  # October in Berlin
        "b@x.com,one@x.com,2025-09-01,2025-10-31T23:30Z",  # November there
        "c@x.com,two@x.com,2025-09-01,2025-10-31T22:30Z",
        "d@x.com,one@x.com,2025-09-30T23:00Z,",  # October in Berlin
    )
    done = ibctl("leads", "import", path)
    assert done.exit_code == 0
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 2
    assert "2025-10 is PAID for one@x.com" in warnings[0]
    assert "2 leads" in warnings[0]
    assert "2025-10 is PROCESSING for two@x.com" in warnings[1]


def test_an_import_is_recorded_row_by_row(platform: Platform, ibctl: Run, file: Write) -> None:
    ibctl("leads", "import", file("email", "a@x.com", "b@x.com"), "--reason", "partner list")
    assert platform.sql("SELECT actor, command, reason, counts FROM ibctl.change_set") == [
        ("tester", f"ibctl leads import {Path('leads.csv').absolute()} --reason 'partner list'", "partner list",
         {"Lead": {"insert": 2}}),
    ]  # fmt: skip


def test_a_file_may_hold_more_rows_than_are_read_at_once(platform: Platform, ibctl: Run, file: Write) -> None:
    lines: list[Any] = [f"u{n}@x.com,{'x' * 50}" if n % 10 else "bad," for n in range(6_000)]
    path = file("email,name", *lines)
    done = ibctl("leads", "import", path, "--format", "json")
    assert counts(done) == {"read": 6_000, "created": 5_400, "unchanged": 0, "email_invalid": 600}
    assert len(rejects(path.with_name("leads.csv.rejects.csv"))) == 600
    assert platform.count() == 5_400
