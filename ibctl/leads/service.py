"""Leads: looking them up, and everything that changes one by hand. `importing` takes in whole files."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import config, db, exports, lookup, money, utf8
from ibctl.errors import RequestError, UsageError
from ibctl.leads import contacts, rules, settled_sql
from ibctl.leads.settled import Settled, together
from ibctl.models.ledger import ChangeSet, change
from ibctl.models.platform import InvestorCredential, Lead, LeadActivity, Role, User
from ibctl.users import service as users

# How many last change sets are shown.
CHANGES_SHOWN = 5
# A shorter part of an email would be in too many.
SHORTEST_PART = 3
# What of a lead decides which commissions count it, and how much.
COUNTED = frozenset({"userId", "leadCapturedAt", "qualifiedAt", "cpaEarned"})
# What a lead cannot be without.
# Whoever creates leads holds this lock, since no unique index keeps two from creating the same email.
LOCK = "leads import"
_REQUIRED = ("leadType", "source", "status", "leadCapturedAt", "ftdEarned", "cpaEarned")


def attribute(field: str) -> str:
    """Return the Python name of a field: `lead_captured_at` for leadCapturedAt."""
    return re.sub("([A-Z])", r"_\1", field).lower()


# ----------------------------------------------------------------------------------------------------------- looking up


def find(session: Session, name: str) -> Lead:
    """Return the lead with this id, tracking token, or email in whatever case.

    Raises NotFoundError naming the value and what may have been meant; RequestError where several leads have the email.
    """
    return lookup.the_one(
        name, partial(_named, session), kind="lead", hint=partial(_hint, session),
        which=lambda lead: f"{lead.id} (captured {lead.lead_captured_at:%Y-%m-%d})",
    )  # fmt: skip


def _named(session: Session, wanted: str) -> Sequence[Lead]:
    # The unique ones have an index each; the email, which every lead has to be asked for, comes last.
    unique = sa.or_(col(Lead.id) == wanted, col(Lead.tracking_token) == wanted)
    found = session.exec(select(Lead).where(unique)).all()
    if found or "@" not in wanted:
        return sorted(found, key=lambda lead: lead.id != wanted)[:1]
    return session.exec(
        select(Lead)
        .where(sa.func.lower(Lead.email).in_([one.lower() for one in utf8.writings(wanted)]))
        .order_by(col(Lead.lead_captured_at).desc())
    ).all()


def _hint(session: Session, wanted: str) -> str:
    part = wanted.partition("@")[0]
    if len(part) < SHORTEST_PART:
        return "name it by email, id or tracking token"
    return lookup.did_you_mean(session, Lead.email, part, "`ibctl leads list --search` finds parts of names")


def hold(session: Session, leads: Sequence[Lead]) -> None:
    """Keep everybody else from writing these leads until the transaction ends, and see them as they are now."""
    held = select(Lead).where(col(Lead.id).in_([lead.id for lead in leads])).order_by(Lead.id)
    session.exec(held.with_for_update(key_share=True).execution_options(populate_existing=True)).all()


# ----------------------------------------------------------------------------------------------------------- describing

_DESCRIBED = ("id", "leadId", "login", "server", "broker", "isVerified", "scrapingStatus", "lastScrapedAt")


def describe(session: Session, name: str) -> dict[str, Any]:
    """Return a lead with all of its fields, its owner's email, and as lists of rows its activities, its credentials
    (without passwords) and the last change sets that touched it.
    """
    lead = find(session, name)
    owner = session.get(User, lead.user_id) if lead.user_id else None
    return row(lead, owner) | {
        "activities": _activities(session, lead.id),
        "credentials": _credentials(session, lead.id),
        "changeSets": _change_sets(session, lead.id),
    }


def row(lead: Lead, owner: User | None) -> dict[str, Any]:
    """Return a lead as a row for people and scripts."""
    values = {column.name: getattr(lead, attribute(column.name)) for column in sa.inspect(Lead).columns}
    amounts = {field: exports.exact(values[field]) for field in rules.AMOUNTS}
    return values | amounts | {"ib": owner and owner.email}


def _activities(session: Session, lead_id: str) -> list[dict[str, Any]]:
    query = select(LeadActivity).where(LeadActivity.lead_id == lead_id).order_by(col(LeadActivity.created_at).desc())
    return [
        {"createdAt": one.created_at, "activityType": one.activity_type, "description": one.description}
        for one in session.exec(query)
    ]


def _credentials(session: Session, lead_id: str) -> list[dict[str, Any]]:
    # Not the whole rows: the password is not even fetched.
    table = sa.inspect(InvestorCredential).local_table
    query = sa.select(*(table.c[name] for name in _DESCRIBED if name != "leadId")).where(table.c.leadId == lead_id)
    return [dict(one) for one in session.execute(query.order_by(table.c.id)).mappings()]


def _change_sets(session: Session, lead_id: str) -> list[dict[str, Any]]:
    touched = sa.select(change.c.changeSetId).where(change.c.rowId == lead_id, change.c.tableName == "Lead")
    query = select(ChangeSet).where(col(ChangeSet.id).in_(touched)).order_by(col(ChangeSet.id).desc())
    return [
        {"id": one.id, "createdAt": one.created_at, "actor": one.actor, "command": one.command, "reason": one.reason}
        for one in session.exec(query.limit(CHANGES_SHOWN))
    ]


# ------------------------------------------------------------------------------------------------------------- changing


@dataclass(frozen=True)
class Changed:
    """The leads that a command changed, and the months being paid or paid whose commissions they belong to."""

    leads: Sequence[Lead]
    settled: Sequence[Settled] = ()


def settled(session: Session, leads: Sequence[Lead]) -> list[Settled]:
    """Return the months, being paid or paid, whose commissions these leads belong to as they are now."""
    parameters = {"ids": [lead.id for lead in leads], "zone": config.settings().timezone.key}
    return [Settled(*row) for row in session.execute(settled_sql.BY_LEADS, parameters)]


def add(session: Session, values: Mapping[str, Any], *, ib: str | None = None) -> Changed:
    """Create a lead of values by field (as `rules.from_options` reads them); `ib` (email or id) becomes its owner.

    With a qualifiedAt and no status it is `qualified`. Raises UsageError when the values make no lead, RequestError
    when a lead has the same tracking token, email or phone.
    """
    db.lock(session, LOCK)
    lead = Lead(**{attribute(field): _stored(value) for field, value in values.items()})
    if lead.qualified_at is not None and "status" not in values:
        lead.status = "qualified"
    owner = active_ib(session, ib)
    lead.user_id = owner.id if owner is not None else None
    _settle(lead, values)
    _require_free(session, lead, rules.CONTACTS)
    session.add(lead)
    session.flush()
    return Changed([lead], settled(session, [lead]))


def edit(session: Session, name: str, values: Mapping[str, Any], *, clear: Collection[str] = ()) -> Changed:
    """Set fields of a lead, and empty those of `clear`.

    Raises UsageError when there is nothing to change or a field cannot be empty, RequestError when another lead has the
    same tracking token, email or phone.
    """
    changes = {field: _stored(value) for field, value in values.items()} | _cleared(values, clear)
    if any(changes.get(field) for field in rules.CONTACTS):
        db.lock(session, LOCK)
    lead = find(session, name)
    hold(session, [lead])
    changes = {field: value for field, value in changes.items() if getattr(lead, attribute(field)) != value}
    before = settled(session, [lead]) if COUNTED & set(changes) else []
    for field, value in changes.items():
        setattr(lead, attribute(field), value)
    _settle(lead, changes)
    _require_free(session, lead, [field for field in rules.CONTACTS if changes.get(field)])
    session.flush()
    after = settled(session, [lead]) if COUNTED & set(changes) else []
    return Changed([lead] if changes else [], together(before, after))


def _cleared(values: Mapping[str, Any], clear: Collection[str]) -> dict[str, None]:
    empty = [_clearable(field) for field in clear]
    if not values and not empty:
        raise UsageError("nothing to change: give a field, like --status contacted, or --clear FIELD")
    if twice := sorted(set(values) & set(empty)):
        raise UsageError(f"{rules.option(twice[0])} and --clear {twice[0]} exclude each other")
    return dict.fromkeys(empty)


def _stored(value: Any) -> Any:
    return value if isinstance(value, str | datetime | None) else float(value)


def _clearable(field: str) -> str:
    """Return the field's own name. Raises UsageError for one that does not exist or cannot be empty."""
    known = {one.lower(): one for one in rules.ALIASES if one not in ("ib", "userId", "totalEarned")}
    name = known.get(field.replace("-", "").lower())
    if name is None or name in _REQUIRED:
        can = ", ".join(one for one in known.values() if one not in _REQUIRED)
        problem = "is no field" if name is None else "cannot be empty"
        raise UsageError(f"--clear {field}: that {problem}; what can be emptied is {can}")
    return name


def _settle(lead: Lead, changed: Mapping[str, Any]) -> None:
    """Derive what follows from a lead's fields, and refuse what they cannot be together."""
    if not (lead.email or lead.phone or lead.tracking_token):
        raise UsageError("a lead needs an email, a phone or a tracking token")
    wrong = rules.before_capture(lead.lead_captured_at, lead.qualified_at)
    if wrong is not None and {"leadCapturedAt", "qualifiedAt"} & set(changed):
        raise UsageError(wrong)
    if {"status", "qualifiedAt"} & set(changed):
        _require_date(lead, cleared="qualifiedAt" in changed)
    if {"ftdEarned", "cpaEarned"} & set(changed):
        total = money.from_float(lead.ftd_earned) + money.from_float(lead.cpa_earned)
        if beyond := rules.beyond(total):
            raise UsageError(beyond)
        lead.total_earned = float(total)


def _require_date(lead: Lead, *, cleared: bool = False) -> None:
    if lead.status != "qualified" or lead.qualified_at is not None:
        return
    if cleared:
        raise RequestError(
            f"lead {called(lead)} would be qualified without a date, and commissions count the date. Take back both: "
            "`ibctl leads edit LEAD --clear qualified-at --status contacted`"
        )
    raise RequestError(
        f"lead {called(lead)} has no qualifiedAt, and the word alone earns nothing: commissions count the date. "
        "Give both: `ibctl leads edit LEAD --status qualified --qualified-at DATE`"
    )


def called(lead: Lead) -> str:
    """Return what people know a lead by."""
    return lead.email or lead.tracking_token or lead.phone or lead.id


def _require_free(session: Session, lead: Lead, fields: Collection[str]) -> None:
    """Raise RequestError when another lead has the same value in one of these fields."""
    same = {
        "trackingToken": col(Lead.tracking_token) == lead.tracking_token,
        "email": sa.func.lower(Lead.email) == (lead.email or "").lower(),
        "phone": sa.literal_column(contacts.phone_key_sql("phone")) == contacts.phone_key(lead.phone or ""),
    }
    for field in fields:
        value = getattr(lead, attribute(field))
        with session.no_autoflush:
            other = value and session.exec(select(Lead.id).where(same[field], Lead.id != lead.id).limit(1)).first()
        if other:
            raise RequestError(f"lead {other} has the same {field}, {value}: `ibctl leads show {other}`")


def active_ib(session: Session, name: str | None) -> User | None:
    """Return the IB with this email or id, None for None. Raises NotFoundError, or RequestError for an inactive one."""
    if name is None:
        return None
    owner = users.find(session, name, role=Role.IB)
    if not owner.is_active:
        raise RequestError(f"the account of IB {owner.email} is not active: `ibctl users activate {owner.email}` first")
    return owner


def set_status(session: Session, leads: Collection[str], status: str) -> Changed:
    """Set the status of leads (ids); returns those that had another one.

    Raises RequestError for `qualified` where a lead has no qualifiedAt: no date is invented for it.
    """
    found = session.exec(select(Lead).where(col(Lead.id).in_(leads))).all()
    hold(session, found)
    changed = [lead for lead in found if lead.status != status]
    for lead in changed:
        lead.status = status
        _require_date(lead)
    session.flush()
    return Changed(changed)
