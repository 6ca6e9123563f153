"""`ibctl leads pull`: from Facebook's forms into leads, once each."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ibctl import config
from ibctl.ads.forms import rules as form_rules
from ibctl.ads.forms import service as form_leads
from ibctl.integrations.facebook.forms import Form, FormLead, Question
from tests.ads.campaigning import FORM, PAGE, Shop, shop
from tests.ads.conftest import Ads
from tests.conftest import Result, command
from tests.fakes.graph import Broken, Fault, Server, forms

HOUR, DAY = 3600, 86_400
ZOE = {"email": "zoe@x.y", "full_name": "Zoë Brandt", "phone_number": "+491701234567"}


@pytest.fixture
def anna(ads: Ads, facebook: Server, pauses: list[float], ibctl: Any, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("IBCTL_HTTP_TIMEOUT", "20")  # nothing here tests slowness, and the machine may be busy
    config.use_env_file(None)
    return shop(ads, facebook, ibctl)


def pull(anna: Shop, *more: str) -> Result:
    where = () if {"--form", "--page", "--all"} & set(more) else ("--all",)
    return anna.ibctl("leads", "pull", *where, *more)


def fill(anna: Shop, answers: dict[str, Any], *, form: str = FORM, ago: float = HOUR, **more: Any) -> str:
    return forms.lead(anna.world, form, answers, ago=ago, **more)


def leads(anna: Shop, columns: str = 'email, "firstName", phone, source, u.email') -> list[tuple[Any, ...]]:
    columns = columns.replace("email, ", "l.email, ", 1) if columns.startswith("email") else columns
    return anna.ads.sql(f'SELECT {columns} FROM "Lead" l LEFT JOIN "User" u ON u.id = l."userId" ORDER BY l.email')


def activities(anna: Shop) -> list[tuple[Any, ...]]:
    return anna.ads.sql(
        'SELECT l.email, a."activityType", a.metadata FROM "LeadActivity" a JOIN "Lead" l ON l.id = a."leadId"'
        ' ORDER BY a."createdAt"'
    )


def rows(run: Result) -> list[dict[str, Any]]:
    return list(json.loads(run.stdout))


# --------------------------------------------------------------------------------------------------------------- taking


def test_what_was_filled_in_becomes_a_lead_of_the_pages_ib(anna: Shop) -> None:
    fill(anna, ZOE)
    run = pull(anna)
    assert run.exit_code == 0, run.stderr
    assert leads(anna) == [("zoe@x.y", "Zoë Brandt", "+491701234567", "facebook", "anna@x.y")]
    ((captured,),) = anna.ads.sql('SELECT "leadCapturedAt" FROM "Lead"')
    assert abs(datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1) - captured) < timedelta(minutes=2)


def test_the_forms_own_questions_and_where_it_came_from_are_kept(anna: Shop) -> None:
    questions = [
        {"key": "email", "type": "EMAIL"},
        {"key": "你用哪个经纪商", "label": "你用哪个经纪商?", "type": "CUSTOM"},
        {"key": "experience", "label": "Experience", "type": "CUSTOM",
         "options": [{"key": "key_1", "value": "none"}, {"key": "key_2", "value": "some"}]},
    ]  # fmt: skip
    form = forms.form(anna.world, PAGE, "With questions", questions=questions)
    answers = {"email": "a@x.y", "你用哪个经纪商": "None yet", "experience": ["key_1", "key_2"]}
    ad: dict[str, Any] = {"campaign_id": "77", "campaign_name": "US 1", "ad_id": "78", "ad_name": "Ad"}
    consents = [{"checkbox_key": "news", "is_checked": "1"}, {"checkbox_key": "calls", "is_checked": ""}]
    id_ = fill(anna, answers, form=form, custom_disclaimer_responses=consents, **ad)
    pull(anna, "--form", form)
    ((email, kind, details),) = activities(anna)
    assert (email, kind) == ("a@x.y", "form_submitted")
    assert details == {
        "facebookLeadId": id_, "formId": form, "formName": "With questions", "pageId": PAGE, "platform": "fb", **ad,
        "answers": {"你用哪个经纪商?": "None yet", "Experience": ["none", "some"]},
        "consents": {"news": True, "calls": False},
    }  # fmt: skip
    assert anna.ads.sql('SELECT id, "campaignId" FROM ibctl.form_lead') == [(id_, "77")]


def test_a_lead_belongs_to_the_ib_whose_campaign_brought_it(anna: Shop) -> None:
    campaign = anna.world.campaign("900", "Leads")
    anna.run("campaigns", "sync")
    bo = anna.ads.user("bo@x.y")
    anna.ads.sql('UPDATE "AdCampaign" SET "userId" = %s', bo)
    fill(anna, ZOE, campaign_id=campaign)
    fill(anna, {"email": "organic@x.y"})
    pull(anna)
    assert leads(anna, "email, u.email") == [("organic@x.y", "anna@x.y"), ("zoe@x.y", "bo@x.y")]


def test_a_page_of_several_ibs_asks_whose_the_leads_are(anna: Shop) -> None:
    other = anna.ads.account(anna.ads.user("bo@x.y"), "act_5")
    anna.ads.sql('UPDATE "FacebookAdAccount" SET "pageId" = %s WHERE id = %s', PAGE, other)
    fill(anna, ZOE)
    run = pull(anna)
    assert (run.exit_code, leads(anna)) == (3, [])
    assert "belongs to 2 IBs, so it is not clear whose its leads are: give --ib" in run.stderr
    assert pull(anna, "--ib", "bo@x.y", "--source", "fb-form").exit_code == 0
    assert leads(anna, "email, source, u.email") == [("zoe@x.y", "fb-form", "bo@x.y")]


def test_somebody_who_is_a_lead_already_stays_as_they_are_and_gets_the_activity(anna: Shop) -> None:
    bo = anna.ads.user("bo@x.y")
    anna.ads.sql(
        'INSERT INTO "Lead" (id, "userId", email, source, "leadCapturedAt", "updatedAt")'
        " VALUES ('l1', %s, 'Zoe@X.y', 'google', '2025-01-01', now())",
        bo,
    )
    fill(anna, ZOE)
    run = pull(anna, "-f", "json")
    assert run.exit_code == 0, run.stderr
    (found,) = leads(anna, 'l.id, l."firstName", source, u.email, "leadCapturedAt"::text')
    assert found == ("l1", "Zoë Brandt", "google", "bo@x.y", "2025-01-01 00:00:00")
    assert [email for email, *_ in activities(anna)] == ["Zoe@X.y"]
    assert "leads that stay with another IB, whose they were already: 1" in run.stderr
    assert (rows(run)[0]["created"], rows(run)[0]["updated"]) == (0, 1)


def test_one_person_who_fills_in_twice_is_one_lead_with_two_activities(anna: Shop) -> None:
    fill(anna, ZOE, ago=3 * HOUR)
    fill(anna, {"email": "ZOE@x.y"}, ago=2 * HOUR)
    fill(anna, {"email": "other@x.y", "phone_number": "+49 170 1234567"}, ago=HOUR)
    run = pull(anna, "-f", "json")
    assert run.exit_code == 0, run.stderr
    assert [email for email, *_ in leads(anna)] == ["zoe@x.y"]
    assert len(activities(anna)) == 3
    assert (rows(run)[0]["created"], rows(run)[0]["refused"]) == (1, 0)


@pytest.mark.parametrize(
    "typed", ["a\0b", "half \ud83d of a pair", "\u202egnp.exe", "=HYPERLINK(1)", "x" * 20_000, "", "'", "\x1b[2J"]
)
def test_nothing_that_somebody_types_keeps_others_from_being_leads(anna: Shop, typed: str) -> None:
    fill(anna, {"email": "odd@x.y", "full_name": typed, typed or "empty": typed})
    fill(anna, ZOE)
    run = pull(anna)
    assert run.exit_code in (0, 6), run.stderr
    assert ("zoe@x.y",) in leads(anna, "l.email")
    assert "\x1b[2J" not in run.stderr + run.stdout


def test_test_leads_are_left_out(anna: Shop) -> None:
    fill(anna, {"email": "test@fb.com", "full_name": "<test lead: dummy data for full_name>"})
    run = pull(anna, "-f", "json")
    assert (run.exit_code, leads(anna), rows(run)[0]["tests"]) == (0, [], 1)


def test_what_cannot_be_a_lead_is_refused_into_a_file_once(anna: Shop) -> None:
    (anna.ads.folder / f"facebook-form-{FORM}.rejects.csv").write_text("an older one\n")
    fill(anna, {"email": "not an email"})
    fill(anna, ZOE)
    run = pull(anna)
    assert (run.exit_code, len(leads(anna))) == (6, 1)
    assert (anna.ads.folder / f"facebook-form-{FORM}.rejects.csv").read_text() == "an older one\n"
    path = anna.ads.folder / f"facebook-form-{FORM}.rejects-2.csv"
    assert f"leads refused: 1; to mend and import: {path.name}" in run.stderr
    path.write_text(path.read_text().replace("not an email", "mended@x.y"))
    assert anna.ibctl("leads", "import", path).exit_code == 0
    assert leads(anna, "email, u.email") == [("mended@x.y", "anna@x.y"), ("zoe@x.y", "anna@x.y")]
    assert pull(anna).exit_code == 0


def test_a_dry_run_takes_nothing(anna: Shop) -> None:
    fill(anna, ZOE, ago=2 * HOUR)
    fill(anna, ZOE)
    run = pull(anna, "--dry-run", "-f", "json")
    assert (run.exit_code, leads(anna), rows(run)[0]["created"]) == (0, [], 1)
    assert anna.ads.sql("SELECT count(*) FROM ibctl.lead_form") == [(0,)]


def test_a_pull_can_be_taken_back_and_made_again(anna: Shop) -> None:
    fill(anna, ZOE)
    run = pull(anna)
    ((number,),) = anna.ads.sql("SELECT max(id) FROM ibctl.change_set")
    assert f"change set {number}" in run.stderr
    assert anna.ibctl("undo", str(number), "--yes").exit_code == 0
    assert (leads(anna), activities(anna)) == ([], [])
    assert pull(anna).exit_code == 0
    assert len(leads(anna)) == 1


# ------------------------------------------------------------------------------------------------------------- how far


def test_the_second_pull_goes_on_where_the_first_ended_and_takes_nothing_twice(anna: Shop) -> None:
    fill(anna, ZOE, ago=2 * DAY)
    pull(anna)
    changes = anna.ads.change_sets()
    run = pull(anna, "-f", "json")
    assert (rows(run)[0]["known"], anna.ads.change_sets(), len(activities(anna))) == (1, changes, 1)
    (asked,) = anna.server.calls[-1].params["filtering"]
    age = datetime.now(UTC).timestamp() - asked["value"]
    assert 2.9 * DAY < age < 3.1 * DAY  # the newest, and a day before it
    fill(anna, {"email": "new@x.y"}, ago=10)
    pull(anna)
    assert [email for email, *_ in leads(anna)] == ["new@x.y", "zoe@x.y"]


def test_what_appears_late_is_still_taken(anna: Shop) -> None:
    fill(anna, ZOE, ago=HOUR)
    pull(anna)
    fill(anna, {"email": "late@x.y"}, ago=5 * HOUR)
    pull(anna)
    assert len(leads(anna)) == 2


def test_a_form_is_read_ninety_days_back_and_what_is_lost_is_said(anna: Shop) -> None:
    anna.world.objects[FORM]["expired_leads_count"] = 7
    fill(anna, ZOE, ago=89 * DAY)
    fill(anna, {"email": "old@x.y"}, ago=91 * DAY)
    run = pull(anna)
    assert "has 7 leads that are over 90 days old" in run.stderr
    assert [email for email, *_ in leads(anna)] == ["zoe@x.y"]
    anna.ads.sql("UPDATE ibctl.lead_form SET \"readUntil\" = now() - interval '100 days'")
    assert "was last read up to" in pull(anna).stderr


def test_many_leads_over_many_pages_with_empty_ones_between(anna: Shop) -> None:
    anna.world.empty_pages = True
    for number in range(450):
        fill(anna, {"email": f"l{number}@x.y"}, ago=DAY + number)
    pull(anna)
    assert len(leads(anna)) == 450


# ---------------------------------------------------------------------------------------------------------- which forms


def test_only_active_forms_unless_archived_ones_are_asked_for(anna: Shop) -> None:
    old = forms.form(anna.world, PAGE, "Old", status="ARCHIVED")
    fill(anna, ZOE, form=old)
    pull(anna)
    assert leads(anna) == []
    pull(anna, "--archived")
    assert len(leads(anna)) == 1


def test_one_form_one_page_or_all(anna: Shop) -> None:
    second = forms.form(anna.world, PAGE, "Second")
    fill(anna, ZOE, form=second)
    fill(anna, {"email": "b@x.y"})
    pull(anna, "--form", second)
    assert [email for email, *_ in leads(anna)] == ["zoe@x.y"]
    pull(anna, "--page", PAGE)
    assert len(leads(anna)) == 2
    assert anna.ibctl("leads", "pull").exit_code == 2
    assert pull(anna, "--page", "1").exit_code == 3
    run = pull(anna, "--form", "123")
    assert (run.exit_code, "no connected page has the form 123" in run.stderr) == (3, True)


def test_a_form_that_cannot_be_read_stops_no_other(anna: Shop) -> None:
    second = forms.form(anna.world, PAGE, "Second")
    fill(anna, ZOE, form=second)
    denied = Fault(200, None, "(#200) Requires leads_retrieval permission")
    anna.server.fail(f"{FORM}/leads", denied, times=9)
    run = pull(anna)
    assert (run.exit_code, "leads_retrieval" in run.stderr, FORM in run.stderr) == (6, True, True)
    assert len(leads(anna)) == 1


def test_a_failure_on_a_later_page_takes_nothing_of_the_form(anna: Shop) -> None:
    for number in range(250):
        fill(anna, {"email": f"l{number}@x.y"}, ago=HOUR + number)
    anna.server.fail(f"{FORM}/leads", Fault(100, None, "(#100) bad"), after=1, times=9)
    assert pull(anna, "--form", FORM).exit_code == 5
    assert (leads(anna), anna.ads.sql("SELECT count(*) FROM ibctl.lead_form")) == ([], [(0,)])


def test_a_pull_killed_between_forms_is_finished_by_the_next(anna: Shop) -> None:
    second = forms.form(anna.world, PAGE, "Second")
    fill(anna, ZOE)
    fill(anna, {"email": "b@x.y"}, form=second)
    anna.server.fail(f"{second}/leads", Broken("slow", seconds=10))
    killed = subprocess.Popen(command(["leads", "pull", "--all"]), stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while not anna.server.seen(f"{second}/leads"):
        assert time.monotonic() < end
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert [email for email, *_ in leads(anna)] == ["zoe@x.y"]
    assert pull(anna).exit_code == 0
    assert [email for email, *_ in leads(anna)] == ["b@x.y", "zoe@x.y"]
    assert len(activities(anna)) == 2


def test_two_pulls_at_once_take_each_lead_once(anna: Shop) -> None:
    for number in range(30):
        fill(anna, {"email": f"l{number}@x.y"}, ago=HOUR + number)
    runs = [subprocess.Popen(command(["leads", "pull", "--all"]), stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    assert (len(leads(anna)), len(activities(anna))) == (30, 30)


def test_quiet_is_silent_when_all_is_well(anna: Shop) -> None:
    fill(anna, ZOE)
    run = pull(anna, "--quiet")
    assert (run.exit_code, run.stdout, run.stderr) == (0, "", "")


def test_no_token_comes_out(anna: Shop) -> None:
    anna.server.fail("leads", Broken("dropped"), times=30)
    run = pull(anna)
    assert run.exit_code == 5
    assert not [text for text in anna.world.tokens if text in run.stderr + run.stdout]


# --------------------------------------------------------------------------------------------------------------- rules


def form(**questions: str) -> Form:
    asked = {key: Question(type_, key, {}) for key, type_ in questions.items()}
    return Form("1", "F", "ACTIVE", PAGE, 0, asked)


def filled(**answers: str) -> FormLead:
    listed = {name: [value] for name, value in answers.items()}
    return FormLead("9", datetime(2026, 11, 20, 8, 49, 14), listed, {}, {})


@pytest.mark.parametrize(
    ("questions", "answers", "expected"),
    [
        ({}, {"email": " a@x.y ", "full_name": "Jo"}, ["a@x.y", "", "Jo"]),
        ({}, {"work_email": "a@x.y", "first_name": "Jo", "last_name": "Doe"}, ["a@x.y", "", "Jo Doe"]),
        ({}, {"full_name": "Jo Doe", "last_name": "Doe", "phone_number": "+1"}, ["", "+1", "Jo Doe"]),
        ({"mail": "EMAIL", "tel": "PHONE"}, {"mail": "a@x.y", "tel": "+2"}, ["a@x.y", "+2", ""]),
        ({"email": "CUSTOM"}, {"email": "yes, please"}, ["", "", ""]),
    ],
)
def test_contacts_are_found_by_the_questions_type_or_else_by_name(
    questions: dict[str, str], answers: dict[str, str], expected: list[str]
) -> None:
    cells = form_rules.cells(form(**questions), filled(**answers), owner="u1", source="facebook")
    assert cells == [*expected, "u1", "facebook", "2026-11-20T08:49:14Z"]


def test_a_span_never_begins_before_what_facebook_keeps() -> None:
    now = datetime(2026, 11, 20)
    assert form_leads.span(None, now).since == now - timedelta(days=90)
    assert form_leads.span(now, now) == form_leads.Span(now - timedelta(days=1))
    assert form_leads.span(now - timedelta(days=89, hours=12), now).since == now - timedelta(days=90)
    old = now - timedelta(days=91)
    assert form_leads.span(old, now) == form_leads.Span(now - timedelta(days=90), old)
