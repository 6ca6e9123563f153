"""Qualification: the terms on which brokers pay for leads, who has met them, and how far the others are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import clock, config, db, rendering
from ibctl.errors import NotFoundError, RequestError
from ibctl.leads import service
from ibctl.leads.qualification import rules as programme_rules
from ibctl.leads.qualification import sql as qualification_sql
from ibctl.leads.qualification.rules import Facts, Terms
from ibctl.leads.settled import Settled
from ibctl.models.ledger import LeadProgramme
from ibctl.models.platform import Lead, User
from ibctl.users import service as users

# Terms are not changed while leads are held against them.
LOCK = "leads qualify"

# ----------------------------------------------------------------------------------------------------------- programmes


def set_programme(session: Session, terms: Terms) -> Literal["set", "changed", "unchanged"]:
    """Store the terms of a broker from a day on, in place of those from the same day.

    Raises RequestError when leads captured under the terms that these would replace count in a month that is being paid
    or paid: such terms are only succeeded, from a later day on.
    """
    db.lock(session, LOCK)
    before = _listing(session, broker=terms.broker, day=terms.effective_from)
    in_force = _terms(before[0]) if before else None
    same_day = in_force is not None and in_force.effective_from == terms.effective_from
    if same_day and in_force is not None and _values(in_force) == _values(terms):
        return "unchanged"
    if in_force is not None:
        _require_uncounted(session, terms, in_force)
    if not same_day:
        session.add(LeadProgramme(broker=terms.broker, effective_from=terms.effective_from, **_values(terms)))
        return "set"
    stored = session.get_one(LeadProgramme, before[0]["id"])
    for name, value in _values(terms).items():
        setattr(stored, name, value)
    return "changed"


def _values(terms: Terms) -> dict[str, Any]:
    names = ("min_deposit", "min_lots", "days_allowed", "cpa")
    return {name: getattr(terms, name) for name in names}


def _require_uncounted(session: Session, terms: Terms, in_force: Terms) -> None:
    parameters = {"broker": terms.broker, "day": terms.effective_from, "zone": config.settings().timezone.key}
    found = session.execute(qualification_sql.COUNTED, parameters).all()
    if found:
        counted = [(f"{month} ({status}", rendering.counted(count, "lead")) for month, status, count, _ in found]
        months = ", ".join(f"{where}: {leads})" for where, leads in counted)
        last = max(row[3] for row in found)
        raise RequestError(
            f"the terms of {in_force.broker} from {in_force.effective_from} on count in {months} with leads captured "
            f"up to {last}: they cannot be changed, only succeeded; give --from a day after {last}"
        )


def programmes(session: Session, *, broker: str | None = None, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return terms as rows, the latest first and at most `limit` (0: all), and how many there are without the limit.

    `effectiveTo` is the last day on which a captured lead falls under them, None where nothing succeeds them.
    """
    rows = _listing(session, broker=broker, limit=limit)
    return rows, rows[0]["total"] if rows else 0


def programme(session: Session, broker: str, *, on: date) -> dict[str, Any]:
    """Return the terms of a broker that are in force on a day, as a row. Raises NotFoundError."""
    found = _listing(session, broker=broker, day=on)
    if found:
        return found[0]
    later = _listing(session, broker=broker)
    if later:
        raise NotFoundError(f"{broker} has no programme on {on}: its first one is from {later[-1]['effectiveFrom']} on")
    raise NotFoundError(
        f"there is no programme for '{broker}': `ibctl leads programmes list` shows all, `ibctl leads programmes set` "
        "makes one"
    )


def brokers(session: Session, prefix: str) -> list[str]:
    """Return the brokers that have programmes and whose names begin so, for the shell to complete."""
    return list(session.scalars(qualification_sql.BROKERS, {"prefix": prefix}))


def _listing(
    session: Session, *, broker: str | None = None, day: date | None = None, limit: int = 0
) -> list[dict[str, Any]]:
    parameters = {"broker": broker, "day": day, "limit": limit or None}
    return [dict(row) for row in session.execute(qualification_sql.PROGRAMMES, parameters).mappings()]


def _terms(row: Mapping[str, Any], broker: str = "broker") -> Terms:
    return Terms(
        row[broker], row["effectiveFrom"], row["minDeposit"], row["minLots"], row["daysAllowed"], row["cpa"]
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- qualifying


@dataclass(frozen=True)
class Qualified:
    """The leads that qualified, newest first, what they earn, and why the others did not."""

    leads: Sequence[Mapping[str, Any]]
    total_cpa: Decimal
    # In the order of `programme_rules.REASONS`.
    reasons: Mapping[str, int]
    # Brokers that leads have and that no programme is for, the most frequent first.
    unknown_brokers: Sequence[str]
    # Brokers of leads that were captured before the broker's first programme began, and when it did.
    before_first: Sequence[tuple[str, date]]
    # Months that are being paid or paid, into which new ones fall.
    settled: Sequence[Settled]


def qualify(
    session: Session, names: Sequence[str] = (), *, broker: str | None = None, ib: str | None = None
) -> Qualified:
    """Let every lead qualify that has met the terms of its broker; `names`, `broker` and `ib` narrow down which.

    Nothing that has qualified is touched. Raises NotFoundError when a lead or the IB does not exist.
    """
    db.lock(session, LOCK)
    parameters = _parameters(
        ids=[service.find(session, name).id for name in names] if names else None,
        broker=broker,
        ib=users.find(session, ib).id if ib is not None else None,
    )
    session.execute(qualification_sql.CREATE_VERDICT, parameters)
    session.execute(sa.text("ANALYZE lead_verdict"))
    done = [dict(row) for row in session.execute(qualification_sql.QUALIFY, {"now": parameters["now"]}).mappings()]
    found = session.execute(qualification_sql.SETTLED, {**parameters, "ids": [row["id"] for row in done]})
    without = [(row.broker, row.begins) for row in session.execute(qualification_sql.WITHOUT_PROGRAMME)]
    counts = {row.reason: row.leads for row in session.execute(qualification_sql.REASONS)}
    result = Qualified(
        leads=done,
        total_cpa=sum((row["cpaEarned"] for row in done), Decimal(0)),
        reasons={reason: counts[reason] for reason in programme_rules.REASONS if reason in counts},
        unknown_brokers=[broker for broker, begins in without if begins is None],
        before_first=[(broker, begins) for broker, begins in without if begins is not None],
        settled=[Settled(*row) for row in found],
    )
    # Not left to the end of the transaction, in which it may be asked again.
    session.execute(sa.text("DROP TABLE lead_verdict"))
    return result


def _parameters(
    *, ids: Sequence[str] | None = None, broker: str | None = None, ib: str | None = None
) -> dict[str, Any]:
    zone = config.settings().timezone.key
    return {"now": clock.now(), "zone": zone, "ids": ids, "broker": broker, "ib": ib}


# ------------------------------------------------------------------------------------------------------------- progress


@dataclass(frozen=True)
class Progress:
    """How far a lead is: its terms and conditions, None and none for one that qualified outside any programme."""

    lead: Lead
    ib: str | None
    terms: Terms | None
    deadline: datetime | None
    conditions: Sequence[programme_rules.Condition]
    # Its MT5 accounts, and when the one was read that was read longest ago; None where one was never read.
    accounts: int
    read_at: datetime | None
    # The change set, command, actor and time that gave it its qualifiedAt; None where ibctl did not.
    qualified_by: tuple[int, str, str, datetime] | None
    now: datetime


def progress(session: Session, name: str) -> Progress:
    """Return how far a lead is from qualifying, or by what it has.

    Raises NotFoundError when it does not exist, RequestError when it can be held against no terms: it has no broker, or
    none of the broker's was in force when it was captured.
    """
    lead = service.find(session, name)
    parameters = _parameters(ids=[lead.id])
    row = dict(session.execute(qualification_sql.SELECT_VERDICT, parameters).mappings().one())
    if row["programme"] is None and lead.qualified_at is None:
        raise RequestError(_without_terms(session, lead, row))
    owner = session.get(User, lead.user_id) if lead.user_id else None
    facts = _facts(row) if row["programme"] is not None else None
    by = session.execute(qualification_sql.QUALIFIED_BY, {"id": lead.id}).first()
    return Progress(
        lead=lead,
        ib=owner.email if owner else None,
        terms=facts.terms if facts else None,
        deadline=row["deadline"],
        conditions=programme_rules.conditions(facts, parameters["now"]) if facts else [],
        accounts=row["accounts"],
        read_at=row["read_at"],
        qualified_by=(by[0], by[1], by[2], by[3]) if by else None,
        now=parameters["now"],
    )


def _facts(row: Mapping[str, Any]) -> Facts:
    return Facts(
        terms=_terms(row, "programmeBroker"),
        deadline=row["deadline"],
        deposited_at=row["depositedAt"],
        deposited=row["paid_in"],
        deposit_met_at=row["deposit_met"],
        traded=row["lots"],
        lots_met_at=row["lots_met"],
    )


def _without_terms(session: Session, lead: Lead, row: Mapping[str, Any]) -> str:
    who = service.called(lead)
    broker = (lead.broker or "").strip()
    if not broker:
        return f"lead {who} has no broker, so no terms hold for it: `ibctl leads edit {who} --broker BROKER`"
    first = _listing(session, broker=broker)
    captured = programme_rules.moment(row["leadCapturedAt"])
    begins = f"the first programme of {broker} begins on {first[-1]['effectiveFrom']}" if first else "it has none"
    return (
        f"lead {who} was captured on {captured} at {broker}, and {begins}: "
        f"`ibctl leads programmes set '{broker}' --from DAY …` makes one"
    )


def remarks(found: Progress) -> list[str]:
    """Say of a lead what its conditions do not: when and by what it qualified, or what it waits for."""
    lead, who = found.lead, service.called(found.lead)
    if lead.qualified_at is not None:
        by = found.qualified_by
        how = f"by change set {by[0]} (`{by[1]}`, {by[2]})" if by else "not by ibctl"
        return [f"{who} qualified on {programme_rules.moment(lead.qualified_at)}, {how}"]
    if lead.status == "rejected":
        return [f"{who} is rejected: it does not qualify, whatever it does"]
    if all(one.state == "met" for one in found.conditions):
        return [f"{who} has met all conditions: `ibctl leads qualify {who}`"]
    return []
