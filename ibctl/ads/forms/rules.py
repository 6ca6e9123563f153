"""What a lead form's answers mean as a lead.

Facebook gives each answer under a name: that of a standard question (`email`, `full_name`, `phone_number`), or, for a
question of the form's own, whatever its author called it, in any language. The form says which is of what type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ibctl.integrations.facebook.forms import Form, FormLead

# Which types of questions, and names of answers where the form says no type, fill which field; the first one wins.
_CONTACTS: Mapping[str, tuple[str, ...]] = {
    "email": ("EMAIL", "WORK_EMAIL"),
    "phone": ("PHONE", "PHONE_NUMBER", "WORK_PHONE_NUMBER"),
    "firstName": ("FULL_NAME", "FIRST_NAME"),
}
_LAST_NAME = ("LAST_NAME",)
# What the Lead Ads Testing Tool fills in.
_TEST = re.compile(r"<test lead: dummy data for [^>]*>")
# The columns of the table that the import reads, and the field of a lead that each is.
COLUMNS = ("email", "phone", "firstName", "userId", "source", "leadCapturedAt")
ACTIVITY = "form_submitted"


def is_test(lead: FormLead) -> bool:
    """Whether it comes from Facebook's own testing tool."""
    return any(_TEST.fullmatch(value.strip()) for values in lead.answers.values() for value in values)


def cells(form: Form, lead: FormLead, *, owner: str | None, source: str) -> list[str]:
    """Return a lead as a row under `COLUMNS`."""
    first, last = _contact(form, lead, _CONTACTS["firstName"]), _contact(form, lead, _LAST_NAME)
    name = f"{first} {last}".strip() if last and _is_first_name_alone(form, lead) else first or last
    return [
        _contact(form, lead, _CONTACTS["email"]), _contact(form, lead, _CONTACTS["phone"]), name, owner or "", source,
        lead.created.isoformat(timespec="seconds") + "Z",
    ]  # fmt: skip


def _is_first_name_alone(form: Form, lead: FormLead) -> bool:
    return not _contact(form, lead, ("FULL_NAME",))


def _contact(form: Form, lead: FormLead, types: Sequence[str]) -> str:
    for wanted in types:
        for name, values in lead.answers.items():
            if _type(form, name) == wanted and values:
                return values[0].strip()
    return ""


def _type(form: Form, name: str) -> str:
    question = form.questions.get(name)
    return question.type if question is not None else name.upper()


def details(form: Form, lead: FormLead) -> dict[str, Any]:
    """Return all else that is known of a lead, for its activity: where it came from, and the form's own questions.

    A choice is told by what it says, not by its key. What names the person is in the lead itself, and not here.
    """
    known = {wanted for types in (*_CONTACTS.values(), _LAST_NAME) for wanted in types}
    answers = {
        _label(form, name): [_said(form, name, value) for value in values]
        for name, values in lead.answers.items()
        if _type(form, name) not in known
    }
    return {
        "facebookLeadId": lead.id,
        "formId": form.id,
        "formName": form.name,
        "pageId": form.page,
        **lead.ad,
        "answers": {label: values[0] if len(values) == 1 else values for label, values in answers.items()},
        **({"consents": dict(lead.consents)} if lead.consents else {}),
    }


def _label(form: Form, name: str) -> str:
    question = form.questions.get(name)
    return question.label if question is not None else name


def _said(form: Form, name: str, value: str) -> str:
    question = form.questions.get(name)
    return question.options.get(value, value) if question is not None else value
