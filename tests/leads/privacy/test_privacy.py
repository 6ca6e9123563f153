from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ibctl import crypto, ids
from tests.conftest import KEY, Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]
# All that says who somebody is, in what the tests below make of her.
PERSON = ("anna", "ädams", "4917012345678", "tok-1", "sys-9", "4711007", "rang twice", "kolb")


def dump(platform: Platform) -> str:
    """Every row of every table, as one text."""
    tables = platform.sql(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
        " WHERE schemaname IN ('public', 'ibctl')"
    )
    rows = (row for (table,) in tables for row in platform.sql(f"SELECT to_jsonb(t) FROM {table} t"))
    return json.dumps(list(rows), ensure_ascii=False).lower()


def anna(platform: Platform, ibctl: Run) -> str:
    """A client who was added, edited, called and merged by ibctl, and has an MT5 account; returns her id."""
    platform.user("ib@x.com")
    assert ibctl(
        "leads", "add", "--email", "Anna@Mail.com", "--first-name", "Ädams", "--phone", "+4917012345678",
        "--tracking-token", "tok-1", "--systeme-contact-id", "sys-9", "--ib", "ib@x.com",
        "--qualified-at", "2025-10-09", "--captured-at", "2025-10-03", "--cpa-earned", "150",
        "--reason", "anna@mail.com wrote; a channel for Ädams",
    ).exit_code == 0  # fmt: skip
    lead = str(platform.sql('SELECT id FROM "Lead"')[0][0])
    ibctl("leads", "edit", "anna@mail.com", "--broker", "Prime XBT")
    ibctl("leads", "activity", "add", "tok-1", "call", "--description", "rang  twice", "--metadata", '{"by": "Kolb"}')
    ibctl("leads", "activity", "add", "tok-1", "call", "--description", "rang twice")
    platform.sql(
        'INSERT INTO "InvestorCredential" (id, "leadId", login, password, server, "updatedAt")'
        " VALUES ('c1', %s, '4711007', %s, 'Live', now())",
        lead, crypto.encrypt("secret", KEY),
    )  # fmt: skip
    platform.lead(id="gone", email="anna.kolb@mail.com", leadCapturedAt="2025-10-05")
    assert ibctl("leads", "merge", lead, "anna.kolb@mail.com", "--yes").exit_code == 0
    return lead


def row(platform: Platform, lead: str) -> tuple[Any, ...]:
    return platform.sql(
        'SELECT email, "firstName", phone, "trackingToken", "systemeContactId", broker, "cpaEarned",'
        ' "qualifiedAt"::date::text FROM "Lead" WHERE id = %s',
        lead,
    )[0]


def test_nothing_says_any_more_who_the_person_was(platform: Platform, ibctl: Run) -> None:
    lead = anna(platform, ibctl)
    platform.lead(id="other", email="hannah@x.com", firstName="Hannah")
    assert all(word in dump(platform) for word in PERSON)
    done = ibctl("leads", "anonymize", "ANNA@mail.com", "--yes")
    assert done.exit_code == 0
    left = dump(platform).replace("hannah", "")
    assert [word for word in PERSON if word in left] == []
    assert row(platform, lead) == (None, None, None, f"erased-{lead}", None, "Prime XBT", 150.0, "2025-10-09")
    login, password, activities = platform.sql(
        'SELECT login, password, (SELECT count(*) FROM "LeadActivity") FROM "InvestorCredential"'
    )[0]
    assert (login, crypto.decrypt(password, KEY), activities) == ("erased-c1", "", 2)
    assert platform.sql("SELECT reason FROM ibctl.change_set ORDER BY id LIMIT 1") == [
        ("[erased] wrote; a channel for [erased]",)
    ]
    assert "cannot" not in done.stderr
    assert "takes it back" not in done.stderr


def test_an_id_of_any_form_is_found_in_the_record(platform: Platform, ibctl: Run) -> None:
    for number, lead in enumerate(('a,"b', "(c)", "d\\\\e", "")):
        platform.lead(id=lead, trackingToken=f"t{number}")
        ibctl("leads", "activity", "add", f"t{number}", "call", "--description", "rang Kolb")
        platform.sql('DELETE FROM "LeadActivity"')
        assert ibctl("leads", "anonymize", f"t{number}", "--yes").exit_code == 0
        assert "kolb" not in dump(platform), lead


def test_the_record_forgets_the_person_though_the_tables_have_changed_since(platform: Platform, ibctl: Run) -> None:
    lead = anna(platform, ibctl)
    ibctl("leads", "edit", lead, "--first-name", 'Ädams "Kolb", \\\\')
    platform.sql('ALTER TABLE "Lead" ADD COLUMN notes text, DROP COLUMN "leadType"')
    platform.sql('ALTER TABLE "LeadActivity" ALTER COLUMN metadata TYPE json')
    kept = 'SELECT c."rowId", c."after" - ARRAY[%s] FROM ibctl.change_image c WHERE "changeSetId" < 6 ORDER BY step, 1'
    says_who = "'email', 'firstName', 'phone', 'trackingToken', 'systemeContactId', 'description', 'metadata'"
    before = platform.sql(kept % says_who)
    assert ibctl("leads", "anonymize", lead, "--yes").exit_code == 0
    assert [word for word in PERSON if word in dump(platform)] == []
    assert platform.sql(kept % says_who) == before


def test_undo_of_anything_does_not_bring_the_person_back(platform: Platform, ibctl: Run) -> None:
    lead = anna(platform, ibctl)
    ibctl("leads", "anonymize", lead, "--yes")
    newest = platform.sql("SELECT max(id) FROM ibctl.change_set")[0][0]
    for number in (newest, newest - 1, 1):  # the erasure, the merge, the addition
        assert ibctl("undo", str(number), "--yes").exit_code in (0, 3, 6)
        assert [word for word in PERSON if word in dump(platform)] == []


def test_it_shows_what_will_be_lost_and_asks(platform: Platform, ibctl: Run, process: Run) -> None:
    lead = anna(platform, ibctl)
    before = dump(platform)
    shown = ibctl("leads", "anonymize", lead, "--dry-run", "--format", "json")
    counts = {one["what"]: one["rows"] for one in json.loads(shown.stdout)}
    assert (counts["leads"], counts["activities"], counts["MT5 accounts"]) == (1, 2, 1)
    assert "dry run: nothing was written" in shown.stderr
    asked = process("leads", "anonymize", lead)
    assert asked.exit_code == 2
    assert "1 lead, 2 activities and 1 MT5 account" in asked.stderr
    assert "this cannot be undone" in asked.stderr
    assert dump(platform) == before


def test_everybody_from_before_a_day_is_erased_once(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="old", email="old@x.com", leadCapturedAt="2023-12-31T23:59:59.999")
    platform.lead(id="new", email="new@x.com", leadCapturedAt="2024-01-01")
    assert ibctl("leads", "anonymize", "--before", "2024-01-01", "--yes").exit_code == 0
    assert platform.sql('SELECT id, email FROM "Lead" ORDER BY 1') == [("new", "new@x.com"), ("old", None)]
    again = ibctl("leads", "anonymize", "--before", "2024-01-01", "--yes")
    assert (again.exit_code, "nothing to do" in again.stderr) == (0, True)


def test_it_needs_leads_or_a_day(platform: Platform, ibctl: Run) -> None:
    platform.lead(id=ids.cuid(), email="a@x.com")
    for arguments, exit_code in (
        ((), 2), (("a@x.com", "--before", "2024-01-01"), 2), (("--before", "soon"), 2), (("b@x.com",), 3),
    ):  # fmt: skip
        assert ibctl("leads", "anonymize", *arguments, "--yes").exit_code == exit_code


def test_a_paid_commission_does_not_change(platform: Platform, ibctl: Run) -> None:
    lead = anna(platform, ibctl)
    ibctl("commissions", "run", "--month", "2025-10")
    platform.sql('UPDATE "IbCommission" SET "paymentStatus" = \'PAID\'')
    ibctl("leads", "anonymize", lead, "--yes")
    again = ibctl("commissions", "run", "--month", "2025-10")
    assert (again.exit_code, "would be different" in again.stderr) == (0, False)
    assert f"erased-{lead}" in ibctl("commissions", "explain", "ib@x.com", "2025-10", "--format", "csv").stdout


def test_refused_rows_of_imports_that_name_the_person_are_forgotten(platform: Platform, ibctl: Run) -> None:
    lead = anna(platform, ibctl)
    Path("leads.csv").write_text(
        "email,name,phone,cpa\n"
        "ANNA@mail.com,Ädams,,-1\n"  # known by her address
        "Ä <anna@mail.com>,x,,1\n"  # by a word of a cell
        ",Ädams,+49 (170) 1234-5678,-1\n"  # by her number, written otherwise
        "hannah@x.com,Hannah,,-1\n"
        "good@x.com,Good,,1\n"
    )
    assert ibctl("leads", "import", "leads.csv").exit_code == 6
    done = ibctl("leads", "anonymize", lead, "--yes")
    assert (done.exit_code, "3 rows that imports refused" in done.stderr) == (0, True), done.stderr
    assert platform.sql("SELECT row FROM ibctl.lead_import_reject") == [(5,)]
    assert [word for word in PERSON if word in dump(platform)] == ["anna"]  # Hannah's
    later = ibctl("leads", "anonymize", "--before", "2199-01-01", "--yes")
    assert later.exit_code == 0
    assert platform.sql("SELECT count(*) FROM ibctl.lead_import_reject") == [(0,)]


def test_commands_and_reasons_that_only_name_the_person_forget_her_too(platform: Platform, ibctl: Run) -> None:
    platform.user("ib@x.com")
    platform.lead(id="l1", email="irma.o'neill@x.com", phone="+4917012345678", trackingToken="tok-77")
    platform.lead(id="l2", email="other@x.com", trackingToken="plain")
    ibctl("leads", "assign", "irma.o'neill@x.com", "--ib", "ib@x.com")
    for number, reason in enumerate((
        "irma.o'neill@x.com asked", "mailto:IRMA.O'Neill@x.com, urgent", "(tok-77)", "rang +49 (170) 1234-5678",
        "a plain tok-777",
    )):  # fmt: skip
        words = ("leads", "assign", "irma.o'neill@x.com", "other@x.com", "--ib", "ib@x.com")
        assert ibctl(*words, "--reason", reason, "--yes").exit_code == 0
        ibctl("leads", "assign", "other@x.com", "--unassign", "--reason", f"{number}")
    done = ibctl("leads", "anonymize", "l1", "--yes", "--reason", "irma.o'neill@x.com wrote (GDPR)")
    assert done.exit_code == 0, done.stderr
    assert [word for word in ("irma", "neill", "tok-77)", "170") if word in dump(platform)] == []
    reasons = [reason for (reason,) in platform.sql("SELECT reason FROM ibctl.change_set ORDER BY id") if reason]
    assert reasons[::2] == [
        "[erased] asked", "mailto:[erased], urgent", "([erased])", "rang [erased]", "a plain tok-777",
        "[erased] wrote (GDPR)",
    ]  # fmt: skip
    assert platform.sql("SELECT command FROM ibctl.change_set WHERE id = 2")[0][0].startswith(
        "ibctl leads assign '[erased]' other@x.com --ib ib@x.com"
    )


def test_what_was_booked_about_the_person_says_no_more_who(platform: Platform, ibctl: Run) -> None:
    platform.user("ib@x.com")
    platform.lead(
        id="l1", email="jolanda.x@x.com", firstName="Jolanda", leadCapturedAt="2025-10-03", trackingToken="tok-88"
    )
    adjust = ("commissions", "adjust", "ib@x.com", "2025-10")
    assert ibctl(*adjust, "1", "--lead", "jolanda.x@x.com", "--reason", "Jolanda complained", "--yes").exit_code == 0
    assert ibctl(*adjust, "2", "--reason", "for jolanda.x@x.com", "--yes").exit_code == 0
    ibctl("commissions", "run", "--month", "2025-10")
    hold = ("commissions", "hold", "ib@x.com", "2025-10", "--reason", "see jolanda.x@x.com")
    assert ibctl(*hold, "--yes").exit_code == 0
    assert (
        ibctl("commissions", "release", "ib@x.com", "2025-10", "--reason", "jolanda.x@x.com wrote", "--yes").exit_code
        == 0
    )
    assert ibctl("commissions", "close", "2025-10", "--reason", "without tok-88", "--yes").exit_code == 0
    verified = ibctl("commissions", "verify", "2025-10")
    explained = ibctl("commissions", "explain", "ib@x.com", "2025-10")
    assert "for jolanda.x@x.com" in explained.stdout
    assert ibctl("leads", "anonymize", "jolanda.x@x.com", "--yes").exit_code == 0
    assert [word for word in ("jolanda", "tok-88") if word in dump(platform)] == []
    assert platform.sql("SELECT reason FROM ibctl.adjustment ORDER BY amount") == [("[erased]",), ("for [erased]",)]
    assert ibctl("commissions", "verify", "2025-10") == verified
    assert verified.exit_code == 0
    assert "for [erased]" in ibctl("commissions", "explain", "ib@x.com", "2025-10").stdout
