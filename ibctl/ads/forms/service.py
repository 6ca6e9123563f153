"""Taking in what people filled in at Facebook's lead forms: through the import of leads, and by its rules.

A person who is a lead already stays as they are, with the IB whose they are; what they filled in is added to what
happened to them. Which of a form's leads have been taken is remembered one by one, so that reading a day twice takes
nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import db, ids, tabular
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection
from ibctl.ads.forms import rules as form_rules
from ibctl.errors import NotFoundError, RequestError
from ibctl.integrations.facebook.forms import DAYS_KEPT, Form, FormLead
from ibctl.leads import rules as lead_rules
from ibctl.leads import service as leads
from ibctl.leads.importing import service as importing
from ibctl.leads.importing.terms import Terms
from ibctl.leads.settled import Settled, together
from ibctl.models import forms as models
from ibctl.models.platform import AdCampaign, FacebookAdAccount, LeadActivity

# A lead can appear a little after others that were filled in later.
OVERLAP = timedelta(days=1)
TERMS = Terms(
    mode="upsert", match=("email", "phone"),
    collisions={"userId": "never", "source": "never", "leadCapturedAt": "never"},
)  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- reading


def pages(known: accounts.Connections, page: str | None) -> list[Connection]:
    """Return for each page (or the one that is named) a connection that can read its forms.

    Raises NotFoundError where no connected account has that page.
    """
    found: dict[str, Connection] = {}
    for one in known.usable:
        if one.page_id and one.page_token and page in (None, one.page_id):
            found.setdefault(one.page_id, one)
    if page is not None and not found:
        raise NotFoundError(f"no connected account has the page {page}: `ibctl ads accounts list` shows them")
    return list(found.values())


def read_until(session: Session) -> dict[str, datetime]:
    """Return how far each form has been read, by its id."""
    return {form.id: form.read_until for form in session.exec(select(models.LeadForm))}


def page_of(session: Session, form: str) -> str | None:
    """Return the page of a form that has been read before."""
    known = session.get(models.LeadForm, form)
    return known.page_id if known else None


@dataclass(frozen=True)
class Span:
    """From when on a form is read; `lost` says since when its leads are too old for Facebook to give."""

    since: datetime
    lost: datetime | None = None


def span(until: datetime | None, now: datetime) -> Span:
    """Return from when on to read a form that has been read until then (None: never)."""
    oldest = now - timedelta(days=DAYS_KEPT)
    if until is None:
        return Span(oldest)
    return Span(max(until - OVERLAP, oldest), until if until < oldest else None)


# --------------------------------------------------------------------------------------------------------------- taking


@dataclass
class Taken:
    """What became of a form's leads; `repeated` are of people whom an earlier one of them made a lead."""

    read: int = 0
    tests: int = 0
    known: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    # Of people who belong to another IB, and stay there.
    elsewhere: int = 0
    settled: Sequence[Settled] = ()
    # The files of the refused ones.
    rejects: Sequence[Path] = ()
    repeated: list[FormLead] = field(default_factory=list)

    def plus(self, other: Taken) -> Taken:
        """Return this with what a further round came to."""
        codes = (*self.refused, *(code for code in other.refused if code not in self.refused))
        return Taken(
            self.read, self.tests, self.known + other.known, self.created + other.created,
            self.updated + other.updated, self.unchanged + other.unchanged,
            {code: self.refused.get(code, 0) + other.refused.get(code, 0) for code in codes},
            self.elsewhere + other.elsewhere, together(self.settled, other.settled), [*self.rejects, *other.rejects],
            other.repeated,
        )  # fmt: skip


def settled(taken: Sequence[Taken]) -> list[Settled]:
    """Return the months, being paid or paid, that leads of several forms count in."""
    found: list[Settled] = []
    for one in taken:
        found = together(found, one.settled)
    return found


class Rejects(tabular.RejectFile):
    """The refused leads of a form. One of a person who came just before is none of them: it has a further round."""

    def add(self, row: int, cells: Sequence[str], code: str, field: str, message: str) -> None:
        """Write one refused row, unless it only repeats an earlier one."""
        if code != "duplicate":
            super().add(row, cells, code, field, message)


@dataclass(frozen=True)
class Order:
    """Whose a form's leads are (None: as page and campaign say), where they come from, how phone numbers are read."""

    owner: str | None
    source: str
    reading: lead_rules.Reading


def table(form: Form, leads: Sequence[FormLead], owners: Sequence[str | None], source: str) -> tabular.Table:
    """Return leads as the table that the import reads."""
    rows = [form_rules.cells(form, lead, owner=owner, source=source) for lead, owner in zip(leads, owners, strict=True)]
    return tabular.of_rows(f"facebook-form-{form.id}", form_rules.COLUMNS, rows)


def take(session: db.Transaction, form: Form, found: Sequence[FormLead], order: Order, rejects_path: Path) -> Taken:
    """Make leads of what is new among what was filled in, and remember how far the form has been read.

    Raises RequestError where it is not clear whose the page's leads are.
    """
    db.lock(session, leads.LOCK)
    real = [lead for lead in found if not form_rules.is_test(lead)]
    fresh = _fresh(session, real)
    taken = Taken(len(found), len(found) - len(real), len(real) - len(fresh))
    if fresh:
        _import(session, form, fresh, order, rejects_path, taken)
    if real:
        _remember(session, form, max(lead.created for lead in real), moved=bool(fresh))
    return taken


def _fresh(session: Session, found: Sequence[FormLead]) -> list[FormLead]:
    known = set(
        session.exec(select(models.FormLead.id).where(col(models.FormLead.id).in_([lead.id for lead in found])))
    )
    return [lead for lead in found if lead.id not in known]


def _import(
    session: db.Transaction, form: Form, fresh: Sequence[FormLead], order: Order, rejects_path: Path, taken: Taken
) -> None:
    owners = _owners(session, form, fresh, order.owner)
    whole = table(form, fresh, owners, order.source)
    columns = {name: index for index, name in enumerate(form_rules.COLUMNS)}
    # Complete before the commit: no lead may be taken whose refusal is lost.
    with Rejects(rejects_path, whole, private=True) as refused:
        result = importing.run(
            session, importing.Order(whole, columns, terms=TERMS, reading=order.reading), refused, progress=_silent,
            look=lambda session: taken.repeated.extend(_record(session, form, fresh)),
        )  # fmt: skip
    taken.created, taken.updated, taken.unchanged = result.created, result.updated, result.unchanged
    taken.refused = {code: count for code, count in result.refused.items() if code != "duplicate"}
    taken.elsewhere, taken.settled = result.kept.get("userId", 0), result.settled
    taken.rejects = [refused.path] if refused.count else []


def _silent(_: str, __: int | None) -> AbstractContextManager[Any]:
    return nullcontext(lambda _: None)


_ROWS = sa.text(
    "SELECT line, code, CASE WHEN code IS NULL THEN coalesce(known, id) END AS lead FROM lead_file ORDER BY line"
)


def _record(session: Session, form: Form, fresh: Sequence[FormLead]) -> list[FormLead]:
    """Note down which leads were taken, and what was filled in; returns those that repeat an earlier one."""
    repeated = []
    for line, code, lead_id in session.execute(_ROWS).all():
        lead = fresh[line - 1]
        if code == "duplicate":
            repeated.append(lead)
            continue
        session.add(_taken(form, lead, lead_id))
        if lead_id is not None:
            session.add(_activity(form, lead, lead_id))
    session.flush()
    return repeated


def _taken(form: Form, lead: FormLead, lead_id: str | None) -> models.FormLead:
    return models.FormLead(id=lead.id, form_id=form.id, lead_id=lead_id, campaign_id=lead.ad.get("campaign_id"))


def _activity(form: Form, lead: FormLead, lead_id: str) -> LeadActivity:
    return LeadActivity(
        id=ids.cuid(), lead_id=lead_id, activity_type=form_rules.ACTIVITY,
        description=f"filled in the lead form '{form.name}'", details=form_rules.details(form, lead),
        created_at=lead.created,
    )  # fmt: skip


def _remember(session: Session, form: Form, newest: datetime, *, moved: bool) -> None:
    known = session.get(models.LeadForm, form.id)
    if known is None:
        session.add(models.LeadForm(id=form.id, page_id=form.page, name=form.name, read_until=newest))
    elif moved and newest > known.read_until:
        known.read_until, known.name = newest, form.name


# --------------------------------------------------------------------------------------------------------------- owners


def _owners(session: Session, form: Form, fresh: Sequence[FormLead], given: str | None) -> list[str | None]:
    """Return whose each lead is: the given IB's, its campaign's, or the page's. Raises RequestError."""
    if given is not None:
        return [given] * len(fresh)
    by_campaign = _campaign_owners(session, fresh)
    owners = [by_campaign.get(lead.ad.get("campaign_id", "")) for lead in fresh]
    if None not in owners:
        return owners
    of_page = _page_owner(session, form)
    return [owner or of_page for owner in owners]


def _campaign_owners(session: Session, fresh: Sequence[FormLead]) -> dict[str, str]:
    wanted = {lead.ad["campaign_id"] for lead in fresh if "campaign_id" in lead.ad}
    query = select(AdCampaign.fb_campaign_id, AdCampaign.user_id).where(col(AdCampaign.fb_campaign_id).in_(wanted))
    return {str(campaign): user for campaign, user in session.exec(query)}


def _page_owner(session: Session, form: Form) -> str:
    query = select(FacebookAdAccount.user_id).where(FacebookAdAccount.page_id == form.page).distinct()
    owners = session.exec(query).all()
    if len(owners) != 1:
        raise RequestError(
            f"the page {form.page} of form {form.id} belongs to {len(owners)} IBs, so it is not clear whose its leads "
            "are: give --ib"
        )
    return owners[0]
