"""Merges leads that are one person into one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import clock, config, db, money, output, rendering
from ibctl.errors import RequestError, UsageError
from ibctl.leads import counted, rules, service
from ibctl.leads.duplicates import rules as merge_rules
from ibctl.leads.duplicates.rules import Money
from ibctl.leads.service import LOCK
from ibctl.leads.settled import together
from ibctl.models.platform import Lead

_CHILDREN = {
    "activities": sa.text(
        """UPDATE "LeadActivity" SET "leadId" = :keep, "updatedAt" = :now WHERE "leadId" = ANY(:ids)"""
    ),
    "credentials": sa.text(
        """UPDATE "InvestorCredential" SET "leadId" = :keep, "updatedAt" = :now WHERE "leadId" = ANY(:ids)"""
    ),
}
_DELETE = sa.text("""DELETE FROM "Lead" WHERE id = ANY(:ids)""")
# The transfers of the lead that the attribution comes from become the merged lead's; the others' owners end here.
_DROP_TRANSFERS = sa.text("""DELETE FROM ibctl.lead_transfer WHERE "leadId" = ANY(:all) AND "leadId" <> :attributed""")
_MOVE_TRANSFERS = sa.text(
    """UPDATE ibctl.lead_transfer SET "leadId" = :keep WHERE "leadId" = :attributed AND "leadId" <> :keep"""
)
# By which change set each was booked; undone and redone, by the last one.
_TAKEN_BACK = sa.text(
    """
    SELECT a."leadId" AS lead, a.code, to_char(make_date(a.year, a.month, 1), 'YYYY-MM') AS month, (
      SELECT max(c."changeSetId") FROM ibctl.change c
      WHERE c."tableName" = 'adjustment' AND c."rowId" = a.id AND c."before" IS NULL) AS number
    FROM ibctl.adjustment a WHERE a.kind = 'clawback' AND a."leadId" = ANY(:ids) ORDER BY a."createdAt", a.id
    """
)


@dataclass(frozen=True)
class Merged:
    """The lead that was kept, the names of those that went, what moved, and the paid months that no longer agree."""

    changed: service.Changed
    others: Sequence[str]
    activities: int
    credentials: int

    @property
    def words(self) -> str:
        """Say in a line what became of what."""
        lead = self.changed.leads[0]
        total = money.show(lead.total_earned, config.settings().base_currency)
        return (
            f"{output.some(self.others)} merged into {service.called(lead)} ({lead.id}): "
            f"{'1 activity' if self.activities == 1 else f'{self.activities:,} activities'} and "
            f"{rendering.counted(self.credentials, 'MT5 account')} move to it, totalEarned {total}"
        )


def merge(session: Session, keep_name: str, other_names: Sequence[str], *, money_rule: Money | None = None) -> Merged:
    """Merge leads into the one named first; the others are deleted, what hangs on them moves.

    Raises UsageError when a lead is to be merged with itself; RequestError when two earned different sums and
    `money_rule` does not say which counts, when one that would go counts in a month being paid or paid, or when one was
    clawed back.
    """
    db.lock(session, LOCK)
    keep = service.find(session, keep_name)
    others = _others(session, keep, other_names)
    service.hold(session, [keep, *others])
    _refuse_taken_back(session, [keep, *others])
    _refuse_counted(session, others)
    merged = _combined([keep, *others], money_rule)
    before = service.settled(session, [keep, *others])
    moved = _move(session, keep, others)
    for field, value in merged.items():
        setattr(keep, service.attribute(field), value)
    # Written in any case: the record of a merge always shows both sides.
    keep.updated_at = clock.now()
    session.flush()
    changed = service.Changed([keep], together(before, service.settled(session, [keep])))
    return Merged(changed, [service.called(lead) for lead in others], **moved)


def _others(session: Session, keep: Lead, names: Sequence[str]) -> list[Lead]:
    others = list({lead.id: lead for lead in (service.find(session, name) for name in names)}.values())
    if any(lead.id == keep.id for lead in others):
        raise UsageError(f"{service.called(keep)} cannot be merged into itself: name other leads after it")
    return others


def _refuse_taken_back(session: Session, leads: Sequence[Lead]) -> None:
    """A clawback is about one lead: merged, its money would count again, or the others' no more."""
    names = {lead.id: service.called(lead) for lead in leads}
    found = session.execute(_TAKEN_BACK, {"ids": list(names)}).all()
    if not found:
        return
    booked = [
        f"{names[one.lead]} ({one.lead}) was clawed back ({one.code}), booked into {one.month}"
        + (f" by change set {one.number}" if one.number else "")
        for one in found
    ]
    first = f": `ibctl undo {found[0].number}`" if found[0].number else ""
    raise RequestError(
        f"{output.some(booked)}: merged, what it earned would count again, or what the others earned no more. Leave it "
        f"apart; a clawback that is wrong is taken back first{first}"
    )


def _refuse_counted(session: Session, others: Sequence[Lead]) -> None:
    names = {lead.id: service.called(lead) for lead in others}
    found = counted.find(session, list(names))
    if found:
        months = output.some([f"{names[one.id]} ({one.id}) in {one.month}, which is {one.status}" for one in found])
        raise RequestError(
            f"these leads count in commissions that are settled and cannot go: {months}. Keep the one that counts: "
            "name it first"
        )


def _combined(leads: Sequence[Lead], money_rule: Money | None) -> dict[str, Any]:
    try:
        merged = merge_rules.combine([_values(lead) for lead in leads], money_rule)
    except ValueError as exc:
        raise RequestError(
            f"these leads earned different sums, {exc}: say which counts, --money keep, --money sum or --money max"
        ) from None
    if beyond := rules.beyond(merged["totalEarned"]):
        raise RequestError(f"merged into one, these leads' {beyond}")
    return {name: float(value) if name in rules.AMOUNTS else value for name, value in merged.items()}


def _values(lead: Lead) -> dict[str, Any]:
    row = service.row(lead, None)
    for name in rules.AMOUNTS:
        if row[name] is None:
            raise RequestError(
                f"lead {service.called(lead)} ({lead.id}) has a {name} that is no amount: "
                "`ibctl leads edit` corrects it"
            )
    return row


def _move(session: Session, keep: Lead, others: Sequence[Lead]) -> dict[str, int]:
    """Move what hangs on the others, and delete them: their tracking token is to be free for the one that stays."""
    ids = [lead.id for lead in others]
    attributed = merge_rules.attributed([service.row(lead, None) for lead in (keep, *others)])["id"]
    values = {"keep": keep.id, "ids": ids, "all": [keep.id, *ids], "attributed": attributed, "now": clock.now()}
    moved = {name: int(session.execute(statement, values).rowcount) for name, statement in _CHILDREN.items()}  # type: ignore[attr-defined] # a CursorResult
    for statement in (_DROP_TRANSFERS, _MOVE_TRANSFERS, _DELETE):
        session.execute(statement, values)
    for lead in others:
        session.expunge(lead)
    return moved
