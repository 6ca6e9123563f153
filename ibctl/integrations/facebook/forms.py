"""Lead forms of pages, and what people filled in. Facebook keeps that for 90 days.

Reading it takes the page's own token, and of its user `leads_retrieval`; which ad it came from is told only to somebody
who may advertise for the ad's account (`ads_management`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ibctl.integrations.facebook.client import Graph
from ibctl.integrations.facebook.failures import UnavailableError
from ibctl.integrations.facebook.text import clean

DAYS_KEPT = 90
_FORM_FIELDS = "id,name,status,leads_count,expired_leads_count,questions,page"
_LEAD_FIELDS = (
    "id,created_time,ad_id,ad_name,adset_id,adset_name,campaign_id,campaign_name,form_id,platform,is_organic,field_data,"
    "custom_disclaimer_responses"
)


@dataclass(frozen=True)
class Question:
    """A question of a form: Facebook's `type` (EMAIL, PHONE, CUSTOM …), and for a choice its answers by key."""

    type: str
    label: str
    options: Mapping[str, str]


@dataclass(frozen=True)
class Form:
    """A lead form; `questions` by the name under which answers come. `expired` leads are too old to be read."""

    id: str
    name: str
    status: str
    page: str
    expired: int
    questions: Mapping[str, Question]


@dataclass(frozen=True)
class FormLead:
    """What somebody filled in. `created` is naive UTC; `answers` has each field's values; `ad` what is known of the ad.

    `ad` has the keys of Graph: ad_id, ad_name, adset_id, adset_name, campaign_id, campaign_name, platform.
    """

    id: str
    created: datetime
    answers: Mapping[str, Sequence[str]]
    ad: Mapping[str, str]
    # By the checkbox's key, whether it was ticked.
    consents: Mapping[str, bool]


def forms(graph: Graph, page: str) -> list[Form]:
    """Return a page's forms, in whatever state. Raises GraphError."""
    return [_form(row, page) for row in graph.rows(f"{page}/leadgen_forms", {"fields": _FORM_FIELDS})]


def _form(row: Mapping[str, Any], page: str) -> Form:
    return Form(
        id=row["id"],
        name=clean(row.get("name", "")),
        status=row.get("status", ""),
        page=page,
        expired=int(row.get("expired_leads_count") or 0),
        questions={clean(one["key"]): _question(one) for one in row.get("questions") or () if one.get("key")},
    )


def _question(row: Mapping[str, Any]) -> Question:
    options = {clean(one["key"]): clean(one.get("value", "")) for one in row.get("options") or () if "key" in one}
    return Question(str(row.get("type", "CUSTOM")), clean(row.get("label") or row["key"]), options)


def leads(graph: Graph, form: str, since: datetime) -> list[FormLead]:
    """Return what was filled in after a moment (naive UTC), the oldest first. Complete, or an error: GraphError."""
    after = int(since.replace(tzinfo=UTC).timestamp())
    asked = {
        "fields": _LEAD_FIELDS,
        "filtering": [{"field": "time_created", "operator": "GREATER_THAN", "value": after}],
    }
    found = {row["id"]: _lead(form, row) for row in graph.rows(f"{form}/leads", asked)}
    return sorted(found.values(), key=lambda lead: (lead.created, lead.id))


_OF_AD = ("ad_id", "ad_name", "adset_id", "adset_name", "campaign_id", "campaign_name", "platform")


def _lead(form: str, row: Mapping[str, Any]) -> FormLead:
    try:
        created = datetime.strptime(row["created_time"], "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC).replace(tzinfo=None)
        answers = {clean(one["name"]): [clean(value) for value in one.get("values") or ()] for one in row["field_data"]}
    except (KeyError, ValueError, TypeError):
        raise UnavailableError(f"Facebook answered a lead of form {form} that cannot be read") from None
    consents = {
        clean(one.get("checkbox_key")): str(one.get("is_checked")) == "1"
        for one in row.get("custom_disclaimer_responses") or ()
    }
    return FormLead(row["id"], created, answers, {key: clean(row[key]) for key in _OF_AD if row.get(key)}, consents)
