"""Why each lead of an IB counts in a month or does not. The two sides add up, or the question fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config
from ibctl.commissions import ibs, seals, units
from ibctl.commissions.calculation import rules, snapshots
from ibctl.commissions.calculation.snapshots import Snapshot
from ibctl.commissions.months import adjustments
from ibctl.errors import IbctlError, RequestError
from ibctl.leads import ownership_sql
from ibctl.leads import service as leads
from ibctl.leads.qualification import rules as programme_rules
from ibctl.leads.qualification import service as qualification
from ibctl.models.platform import Lead, Role, User
from ibctl.months import Month

# Why a lead does not count, in the order in which the first that holds is given.
REASONS = {
    "captured_later": "was captured after the month",
    "qualified_earlier": "qualified before the month",
    "qualified_later": "qualified after the month",
    "other_owner": "was another IB's when it qualified",
    "clawed_back": "was taken back",
    "rejected": "is rejected",
    "not_qualified": "has not qualified",
    "not_an_ib": "counts only for IBs, and the role is another",
    "not_calculated": "qualified in the month, which has not been calculated since",
    "sealed_before": "qualified in the month after that was closed or paid: true-up books it",
}
COUNTED = "counted"


@dataclass(frozen=True)
class Verdict:
    """A lead of the IB, and why it counts or not; `fix` is what would make it count, where something would."""

    id: str
    lead: str
    code: str
    why: str
    status: str
    captured: Any
    qualified: Any
    fix: str = ""


@dataclass(frozen=True)
class Account:
    """All leads of an IB in a month: `total` is counted by itself, and equals those counted and excluded."""

    email: str
    month: Month
    total: int
    counted: int
    excluded: Mapping[str, int]
    verdicts: Sequence[Verdict]


# Every lead that is the IB's, was its before a transfer, or counts in its snapshot.
_MINE = """
  SELECT id FROM "Lead" WHERE "userId" = :ib
  UNION SELECT "leadId" FROM ibctl.lead_transfer WHERE "fromUserId" = :ib
  UNION SELECT unnest(CAST(:counted AS text[]))
"""
_TOTAL = sa.text(f"SELECT count(*) FROM ({_MINE}) m")
_LEADS = sa.text(
    f"""
    SELECT m.id, coalesce(l.email, l.phone, l."trackingToken", m.id) AS lead, l.status,
      l."leadCapturedAt" AS captured, l."qualifiedAt" AS qualified, c.code AS clawed, c."createdAt" AS "clawedAt",
      {ownership_sql.OWNER} AS owner, o.email AS "ownerEmail"
    FROM ({_MINE}) m LEFT JOIN "Lead" l USING (id)
    LEFT JOIN LATERAL (
      SELECT code, "createdAt" FROM ibctl.adjustment a WHERE a."leadId" = m.id AND a.kind = 'clawback' LIMIT 1
    ) c ON true
    {ownership_sql.former('l."qualifiedAt"')}
    LEFT JOIN "User" o ON o.id = {ownership_sql.OWNER}
    ORDER BY l."leadCapturedAt" DESC NULLS LAST, m.id
    """
)


def account(session: Session, ib: User, month: Month, *, lead: str | None = None, fixes: int = 20) -> Account:
    """Say of every lead of an IB, or of one, why it counts in a month or does not.

    What would make a lead count is worked out for the `fixes` newest that have not qualified. Raises RequestError when
    the lead is none of the IB's, the month was calculated in another currency or zone, and when the leads that count
    and those that do not are not all leads.
    """
    units.require(session, month, ib=ib.id)
    row = adjustments.stored(session, ib, month)
    snapshot = snapshots.current(session, row.id) if row else None
    counted = _counted(snapshot)
    values = {"ib": ib.id, "counted": sorted(counted)}
    total = session.execute(_TOTAL, values).scalar_one()
    settled = row is not None and row.payment_status in rules.SEALED
    sealed = settled or seals.closed(session, month) is not None
    role = ibs.roles(session, month, [ib.id])[ib.id]
    rest = _code_of_the_rest(role, sealed)
    found = [_verdict(one, ib, month, counted, rest, role) for one in session.execute(_LEADS, values).mappings()]
    excluded = Counter(one.code for one in found if one.code != COUNTED)
    _require_whole(ib, month, total, len(counted), excluded)
    chosen = _one(session, ib, found, lead) if lead else found
    verdicts = _with_fixes(session, chosen, fixes)
    return Account(ib.email, month, total, len(counted), excluded, verdicts)


def _counted(snapshot: Snapshot | None) -> set[str]:
    if snapshot is None:
        return set()
    return {lead for _, lead, _ in snapshot.inputs.earning}


def _code_of_the_rest(role: Role, sealed: bool) -> str:
    """Say why a lead does not count yet that qualified in the month as the IB's."""
    if role is not Role.IB:
        return "not_an_ib"
    return "sealed_before" if sealed else "not_calculated"


def _require_whole(ib: User, month: Month, total: int, counted: int, excluded: Mapping[str, int]) -> None:
    if total != counted + sum(excluded.values()):
        raise IbctlError(
            f"{total} leads of {ib.email}, but {counted} count in {month} and {sum(excluded.values())} do not: "
            "please report it"
        )


def _verdict(row: sa.RowMapping, ib: User, month: Month, counted: set[str], rest: str, role: Role) -> Verdict:
    code = COUNTED if row["id"] in counted else _code(row, ib, month, rest)
    why = "counts" if code == COUNTED else REASONS[code]
    if code == "other_owner":
        why = f"was {row['ownerEmail'] or 'nobody'}'s when it qualified"
    elif code == "clawed_back":
        why = f"was taken back on {row['clawedAt']:%Y-%m-%d} ({row['clawed']})"
    elif code in ("qualified_earlier", "qualified_later"):
        there = _month(row["qualified"])
        why = f"qualified in {there}"
    elif code == "not_an_ib":
        why = f"counts only for IBs, and {ib.email} {'is' if ib.role is role else 'was'} {role.value}"
    return Verdict(row["id"], row["lead"], code, why, row["status"] or "", row["captured"], row["qualified"])


def _code(row: sa.RowMapping, ib: User, month: Month, rest: str) -> str:
    elsewhere = _elsewhere(row, ib, month)
    if elsewhere is not None:
        return elsewhere
    if row["clawed"] is not None:
        return "clawed_back"
    if row["qualified"] is None:
        return "rejected" if row["status"] == "rejected" else "not_qualified"
    return rest


def _elsewhere(row: sa.RowMapping, ib: User, month: Month) -> str | None:
    """Say why a lead belongs to another month or IB, or None where it belongs here."""
    start, end = month.bounds(config.settings().timezone)
    captured, qualified = row["captured"], row["qualified"]
    if qualified is None:
        return "captured_later" if captured is not None and captured >= end else None
    if qualified < start:
        return "qualified_earlier"
    if qualified >= end:
        return "qualified_later"
    return "other_owner" if row["owner"] != ib.id else None


def _month(moment: Any) -> Month:
    there = moment.replace(tzinfo=UTC).astimezone(config.settings().timezone)
    return Month(there.year, there.month)


def _one(session: Session, ib: User, found: Sequence[Verdict], name: str) -> list[Verdict]:
    wanted = leads.find(session, name)
    chosen = [one for one in found if one.id == wanted.id]
    if not chosen:
        raise RequestError(f"lead {leads.called(wanted)} is not, and never was, one of {ib.email}")
    return chosen


def _with_fixes(session: Session, found: Sequence[Verdict], most: int) -> list[Verdict]:
    """Say what would make those count that have not qualified, for the first `most` of them."""
    left, verdicts = most, []
    for one in found:
        if one.code == "not_qualified" and left:
            left -= 1
            one = replace(one, fix=_fix(session, one.id))
        elif one.code == "not_calculated":
            one = replace(one, fix="`ibctl commissions run` counts it")
        verdicts.append(one)
    return verdicts


def _fix(session: Session, lead_id: str) -> str:
    lead = session.get_one(Lead, lead_id)
    if not (lead.broker or "").strip():
        return "has no broker, so no terms hold for it"
    try:
        found = qualification.progress(session, lead_id)
    except RequestError:
        return f"{lead.broker} had no programme when it was captured"
    missing = [one.missing for one in found.conditions if one.state != "met"]
    if not missing:
        return f"has met all conditions: `ibctl leads qualify {lead_id}`"
    return " and ".join(missing) + _age(found)


def _age(found: qualification.Progress) -> str:
    """Say how old the MT5 data are that this rests on."""
    return f"; accounts read {programme_rules.age(found.read_at, found.now)}" if found.accounts else ""
