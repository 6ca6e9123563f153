"""Who owns leads: handing out many at once, and handing them over from one IB to another from a day on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, config, db, ids, output, rendering
from ibctl.errors import RequestError, UsageError
from ibctl.leads import listing, naming, service, settled_sql
from ibctl.leads.ownership import rules as sharing_rules
from ibctl.leads.settled import Settled, together
from ibctl.models.platform import Lead, Role, User
from ibctl.months import Month
from ibctl.users import service as users

# How many leads a message names.
NAMED = 5

# ------------------------------------------------------------------------------------------------------------ assigning

# Parameters: ids, owners (a cycle of ids), now. A lead's turn is its place in the list.
_TURN = """
    WITH turn AS (
      SELECT id, number, (CAST(:owners AS text[]))[1 + (number - 1) % cardinality(CAST(:owners AS text[]))] AS owner
      FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS n (id, number)
    )
"""
_CHANGING = sa.text(
    f"""
    {_TURN}
    SELECT t.id FROM turn t JOIN "Lead" l USING (id) WHERE l."userId" IS DISTINCT FROM t.owner ORDER BY t.number
    """
)
_ASSIGN = sa.text(
    f"""
    {_TURN}, changed AS (
      UPDATE "Lead" l SET "userId" = t.owner, "updatedAt" = :now FROM turn t
      WHERE l.id = t.id AND l."userId" IS DISTINCT FROM t.owner RETURNING l.id
    )
    SELECT t.owner, count(*) AS leads, count(c.id) AS changed FROM turn t LEFT JOIN changed c USING (id) GROUP BY 1
    """
)


@dataclass(frozen=True)
class Share:
    """What one IB (None: nobody) gets: of `leads`, `changed` were not theirs before."""

    ib: str | None
    leads: int
    changed: int


@dataclass(frozen=True)
class Shared:
    """What each IB gets, in the order of their emails, and the paid months whose commissions no longer agree."""

    shares: Sequence[Share]
    # What the first few of those that changed hands are called.
    names: Sequence[str]
    settled: Sequence[Settled]

    @property
    def words(self) -> str:
        """Say in a line who got what: "assigned to ib@x.y: anna@example.com (c1) and 11 more"."""
        changed = sum(one.changed for one in self.shares)
        owners = [one.ib for one in self.shares if one.ib is not None]
        rest = f" and {changed - len(self.names):,} more" if changed > len(self.names) else ""
        done = f"assigned to {output.some(owners)}" if owners else "unassigned"
        return f"{done}: {', '.join(self.names)}{rest}"


def wanted(
    ib: str | None, *, unassign: bool, round_robin: str | None, weighted: str | None
) -> tuple[bool, dict[str, int] | None]:
    """Read who is to get leads: whether all active IBs, else how often each of some; None for nobody.

    Raises UsageError unless exactly one way is chosen.
    """
    ways = sum((ib is not None, unassign, round_robin is not None, weighted is not None))
    if ways > 1:
        raise UsageError("--ib, --round-robin, --weighted and --unassign exclude each other: give one of them")
    if not ways:
        raise UsageError(
            "say who gets the leads: --ib IB, --round-robin IBS, --weighted IB=N, or --unassign for nobody"
        )
    if weighted is not None:
        return False, sharing_rules.weights(weighted)
    named = sharing_rules.names(round_robin) if round_robin is not None else [ib] if ib is not None else []
    return named is None, dict.fromkeys(named or [], 1) or None


def share(session: Session, names: Sequence[str], weighted: Mapping[str, int] | None, *, everyone: bool) -> Shared:
    """Give leads to IBs (email or id) by turns, each as often as its weight; to all active IBs with `everyone`;
    to nobody for neither. One statement, however many leads there are.

    Raises NotFoundError for an unknown lead or IB, RequestError for an IB that is not active.
    """
    owners = _everyone(session) if everyone else _chosen(session, weighted or {})
    emails = {owner.id: owner.email for owner, _ in owners}
    found = naming.find(session, names)
    cycle = sharing_rules.turns({owner.id: weight for owner, weight in owners}) if owners else [None]
    values = {"ids": found, "owners": cycle, "now": clock.now()}
    changing = session.scalars(_CHANGING, values).all()
    before = _settled(session, changing)
    rows = session.execute(_ASSIGN, values).all()
    shares = [Share(emails.get(row.owner), row.leads, row.changed) for row in rows]
    settled = together(before, _settled(session, changing))
    return Shared(sorted(shares, key=lambda one: one.ib or ""), _called(session, changing[:NAMED]), settled)


def _called(session: Session, lead_ids: Sequence[str]) -> list[str]:
    leads = [session.get_one(Lead, lead) for lead in lead_ids]
    return [f"{service.called(lead)} ({lead.id})" for lead in leads]


def _everyone(session: Session) -> list[tuple[User, int]]:
    found = session.exec(select(User).where(User.role == Role.IB, col(User.is_active))).all()
    if not found:
        raise RequestError("there is no active IB to share leads among: `ibctl users add` makes one")
    return _in_order([(owner, 1) for owner in found])


def _chosen(session: Session, weighted: Mapping[str, int]) -> list[tuple[User, int]]:
    owners: dict[str, tuple[User, int]] = {}
    for name, weight in weighted.items():
        owner = service.active_ib(session, name)
        assert owner is not None
        if owner.id in owners:
            raise UsageError(f"{owner.email} is named twice")
        owners[owner.id] = owner, weight
    return _in_order(list(owners.values()))


def _in_order(owners: Sequence[tuple[User, int]]) -> list[tuple[User, int]]:
    return sorted(owners, key=lambda one: one[0].email.lower())


def _settled(session: Session, lead_ids: Sequence[str]) -> list[Settled]:
    values = {"ids": list(lead_ids), "zone": config.settings().timezone.key}
    return [Settled(*row) for row in session.execute(settled_sql.BY_LEADS, values)]


# --------------------------------------------------------------------------------------------------------- transferring

_CREATE_MOVED = sa.text(
    """
    CREATE TEMP TABLE lead_moved ON COMMIT DROP AS
    SELECT id, "userId" FROM "Lead"
    WHERE "userId" IS DISTINCT FROM :to AND (id = ANY(:ids) OR "userId" = :from)
    """
)
# Later than the row locks: nobody may write these leads between here and the commit.
_LOCK = sa.text(
    """
    SELECT count(*) FROM (
      SELECT FROM "Lead" WHERE id IN (SELECT id FROM lead_moved) ORDER BY id FOR NO KEY UPDATE
    ) locked
    """
)
_SUMMARY = sa.text(
    """
    SELECT count(*) AS leads, array_agg(DISTINCT m."userId") FILTER (WHERE m."userId" IS NOT NULL) AS former,
      min(least(l."leadCapturedAt", l."qualifiedAt")) AS earliest,
      (SELECT max(t."effectiveAt") FROM ibctl.lead_transfer t WHERE t."leadId" IN (SELECT id FROM lead_moved)) AS last
    FROM lead_moved m JOIN "Lead" l USING (id)
    """
)
_SEALED = sa.text(
    """
    SELECT c.year, c.month, c."paymentStatus" AS status, u.email
    FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
    WHERE c."userId" = ANY(:ibs) AND c."paymentStatus" IN ('PROCESSING', 'PAID')
      AND c.month BETWEEN 1 AND 12 AND c.year BETWEEN 2000 AND 2199
    UNION ALL SELECT year, month, 'CLOSED', 'everybody' FROM ibctl.closed_month
    ORDER BY 1, 2, 4
    """
)
_RECORD = sa.text(
    """
    INSERT INTO ibctl.lead_transfer (id, "leadId", "fromUserId", "toUserId", "effectiveAt", "createdAt")
    SELECT i.id, m.id, m."userId", :to, :effective, :now
    FROM (SELECT *, row_number() OVER (ORDER BY id) AS number FROM lead_moved) m
    JOIN unnest(CAST(:ids AS text[])) WITH ORDINALITY AS i (id, number) USING (number)
    """
)
_MOVE = sa.text("""UPDATE "Lead" l SET "userId" = :to, "updatedAt" = :now FROM lead_moved m WHERE m.id = l.id""")


@dataclass(frozen=True)
class Transfer:
    """Leads that change hands: from whom (emails; None stands for the platform's own), to whom, and from when."""

    leads: int
    former: Sequence[str]
    to: str
    # Local midnight as naive UTC, and its day in the platform's zone.
    effective_at: datetime | None = None
    effective: date | None = None

    @property
    def words(self) -> str:
        """Say in a line what changes."""
        former = " and ".join(self.former) or "nobody"
        return (
            f"{rendering.counted(self.leads, 'lead')} from {former} to {self.to}: what happened before "
            f"{self.effective} still counts for the former owner, what happens from then on for the new one"
        )


def transfer(
    session: Session, names: Sequence[str], *, to: str, source: str | None, effective: date | None
) -> Transfer:
    """Hand leads, or all those of the IB `source`, over to the IB `to` from a day of the platform's zone on.

    Without `effective` from the first day that no settled month is affected by. Raises UsageError unless leads or
    `source` are given; NotFoundError; RequestError when the new IB is not active, and for a day in or before a month
    that is being paid or was paid for one of the IBs, or before an earlier transfer of one of the leads.
    """
    if names and source is not None:
        raise UsageError("named leads and --from exclude each other: give one or the other")
    if not names and source is None:
        raise UsageError("say which leads: name them, or --from IB for all of that IB's")
    owner = service.active_ib(session, to)
    assert owner is not None
    # A month that is being calculated must see all of the transfer or nothing of it.
    db.lock(session, "commissions run")
    giver = users.find(session, source, role=Role.IB).id if source is not None else None
    found = naming.find(session, names) if names else []
    session.execute(_CREATE_MOVED, {"to": owner.id, "ids": found, "from": giver})
    session.execute(_LOCK)
    summary = session.execute(_SUMMARY).one()
    if not summary.leads:
        return Transfer(0, [], owner.email)
    former = _emails(session, summary.former or [])
    day = _effective(session, [*(summary.former or []), owner.id], effective, summary.earliest, summary.last)
    moment = listing.midnight(day, config.settings().timezone)
    values = {"to": owner.id, "effective": moment, "now": clock.now(), "ids": list(ids.cuids(summary.leads))}
    session.execute(_RECORD, values)
    session.execute(_MOVE, values)
    return Transfer(summary.leads, former, owner.email, moment, day)


def _emails(session: Session, user_ids: Sequence[str]) -> list[str]:
    return list(session.exec(select(User.email).where(col(User.id).in_(user_ids)).order_by(User.email)))


def _effective(
    session: Session, ibs: Sequence[str], wanted: date | None, earliest: datetime, last: datetime | None
) -> date:
    """Return the day from which a transfer counts. Raises RequestError for one that it cannot count from."""
    zone = config.settings().timezone
    sealed = session.execute(_SEALED, {"ibs": list(ibs)}).all()
    months = {Month(row.year, row.month): row for row in sealed}
    # A lead may have gone from hand to hand before: its owners follow one another in time.
    previous = None if last is None else _local(last)
    if wanted is None:
        day = sharing_rules.first_open(Month(_local(earliest).year, _local(earliest).month), list(months)).first_day
        return day if previous is None else max(day, previous)
    ends = {month: month.bounds(zone)[1] for month in months}
    closed = sharing_rules.sealed_after(listing.midnight(wanted, zone), ends)
    if closed is not None:
        row = months[closed]
        raise RequestError(
            f"{wanted} is too early: {closed} is {row.status} for {row.email}, and what counted in it stays as it is; "
            f"the first day that can be is {closed.next.first_day}"
        )
    if previous is not None and wanted < previous:
        raise RequestError(
            f"{wanted} is too early: one of the leads was transferred with effect from {previous}, and this one comes "
            "after it"
        )
    return wanted


def _local(moment: datetime) -> date:
    return moment.replace(tzinfo=UTC).astimezone(config.settings().timezone).date()
