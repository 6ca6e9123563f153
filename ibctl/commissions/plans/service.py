"""Plans, who is paid by which, and the groups that IBs are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import db
from ibctl.commissions import seals
from ibctl.commissions.calculation import plan_rules
from ibctl.commissions.calculation.plan_rules import DEFAULT, Terms
from ibctl.commissions.plans.files import PlanFile
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.commissions import CommissionPlan, GroupMember, PlanAssignment
from ibctl.models.platform import User
from ibctl.months import Month

Scope = Literal["all", "group", "ib"]
NOT_IN_FORCE = "no version is in force"

# ---------------------------------------------------------------------------------------------------------------- plans

_USED = sa.text(
    """
    SELECT to_char(make_date(c.year, c.month, 1), 'YYYY-MM') FROM "IbCommission" c
    JOIN ibctl.commission_state s ON s.id = c.id JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
    LEFT JOIN ibctl.closed_month k ON k.year = c.year AND k.month = c.month
    WHERE n.plan->>'name' = :name AND CAST(n.plan->>'version' AS int) = :version
      AND (k.id IS NOT NULL OR c."paymentStatus" IN ('PROCESSING', 'PAID'))
    ORDER BY 1 LIMIT 1
    """
)


def add(session: Session, file: PlanFile) -> Literal["added", "changed", "unchanged"]:
    """Store a version of a plan, in place of the same version where no sealed month was calculated by that.

    Raises RequestError when one was, when the version holds from a closed month on, or when the order of the versions
    and of their months is not the same.
    """
    db.lock(session, seals.LOCK)
    terms, wanted = file.terms, (plan_rules.as_json(file.terms), file.effective_from, file.source)
    stored = _version(session, terms.name, terms.version)
    if stored is not None and (stored.terms, stored.effective_from, stored.source) == wanted:
        return "unchanged"
    if stored is not None:
        _require_unused(session, stored)
    seals.require_open_from(session, Month(file.effective_from.year, file.effective_from.month))
    _require_order(session, file)
    _require_assignable(session, file)
    if stored is None:
        session.add(
            CommissionPlan(
                name=terms.name, version=terms.version, effective_from=wanted[1], terms=wanted[0], source=wanted[2]
            )
        )
        return "added"
    stored.terms, stored.effective_from, stored.source = wanted
    return "changed"


def _version(session: Session, name: str, version: int) -> CommissionPlan | None:
    same = (CommissionPlan.name == name, CommissionPlan.version == version)
    return session.exec(select(CommissionPlan).where(*same)).first()


def _require_unused(session: Session, plan: CommissionPlan) -> None:
    used = session.execute(_USED, {"name": plan.name, "version": plan.version}).scalar()
    if used:
        raise RequestError(
            f"{plan.name}, version {plan.version} made commissions of {used}, which is closed, being paid or paid: it "
            f'cannot be changed, only succeeded; write "version = {plan.version + 1}" and a later "from"'
        )


def _require_order(session: Session, file: PlanFile) -> None:
    terms = file.terms
    for other in session.exec(select(CommissionPlan).where(CommissionPlan.name == terms.name)):
        earlier = other.version < terms.version
        if other.version != terms.version and (other.effective_from < file.effective_from) != earlier:
            raise RequestError(
                f"{terms.name}, version {other.version} holds from {other.effective_from:%Y-%m} on: version "
                f"{terms.version} has to hold from {'a later' if earlier else 'an earlier'} month on, "
                f"not {file.effective_from:%Y-%m}"
            )


def _require_assignable(session: Session, file: PlanFile) -> None:
    """Refuse to leave a month, in which a plan is assigned, without a version of it."""
    name = file.terms.name
    assigned = session.scalar(
        sa.select(sa.func.min(col(PlanAssignment.effective_from))).where(col(PlanAssignment.plan) == name)
    )
    others = session.scalars(
        sa.select(col(CommissionPlan.effective_from)).where(
            col(CommissionPlan.name) == name, col(CommissionPlan.version) != file.terms.version
        )
    )
    first, last = min([file.effective_from, *others]), seals.last_closed(session)
    needed = assigned and max(assigned, last.next.first_day if last else assigned)
    if needed is not None and first > needed:
        raise RequestError(
            f"{name} is assigned from {assigned:%Y-%m} on, and no version of it would be in force before "
            f'{first:%Y-%m}: write from = "{needed:%Y-%m}", or assign another plan first'
        )


def listing(session: Session) -> list[dict[str, Any]]:
    """Return all versions of all plans as rows: by name, the newest version first; the default plan last."""
    found = session.exec(select(CommissionPlan).order_by(CommissionPlan.name, col(CommissionPlan.version).desc()))
    rows = [row(plan) for plan in found]
    default = plan_rules.DEFAULT_TERMS
    return [*rows, _described(default) | {"id": DEFAULT, "effectiveFrom": None, "createdAt": None}]


def names(session: Session) -> list[str]:
    """Return the names of all stored plans."""
    return list(session.exec(select(CommissionPlan.name).distinct().order_by(CommissionPlan.name)))


def row(plan: CommissionPlan) -> dict[str, Any]:
    """Return a version of a plan as a row."""
    own = {"id": plan.id, "effectiveFrom": f"{plan.effective_from:%Y-%m}", "createdAt": plan.created_at}
    return _described(plan_rules.from_json(plan.terms)) | own


def _described(terms: Terms) -> dict[str, Any]:
    return {
        "name": terms.name, "version": terms.version, "terms": terms.in_words, "minimumPayout": terms.minimum,
        "holdDays": terms.hold_days, "negative": terms.negative,
    }  # fmt: skip


def find(session: Session, name: str, version: int | None = None) -> CommissionPlan:
    """Return a version of a plan, the newest where none is named. Raises NotFoundError."""
    statement = select(CommissionPlan).where(CommissionPlan.name == name)
    if version is not None:
        statement = statement.where(CommissionPlan.version == version)
    found = session.exec(statement.order_by(col(CommissionPlan.version).desc())).first()
    if found is None:
        which = f"version {version} of a plan" if version is not None else "plan"
        raise NotFoundError(f"there is no {which} '{name}': `ibctl commissions plans list` shows all")
    return found


# ----------------------------------------------------------------------------------------------------------- assignment


@dataclass(frozen=True)
class Target:
    """Whom a plan is assigned to; `key` is "", the group's name or a user id, `label` what people call it."""

    scope: Scope
    key: str
    label: str


def assign(session: Session, plan: str, targets: Sequence[Target], since: Month) -> int:
    """Assign a plan from a month on; return how many of the targets that changes.

    Raises RequestError when the month is closed, or no version of the plan is in force in it.
    """
    db.lock(session, seals.LOCK)
    seals.require_open_from(session, since)
    _require_in_force(session, plan, since)
    return sum(_assign(session, plan, target, since) for target in targets)


def _require_in_force(session: Session, plan: str, since: Month) -> None:
    if plan == DEFAULT:
        return
    find(session, plan)
    first = session.scalar(
        sa.select(sa.func.min(col(CommissionPlan.effective_from))).where(col(CommissionPlan.name) == plan)
    )
    if first is not None and first > since.first_day:
        raise RequestError(f"{plan} holds from {first:%Y-%m} on: it cannot be assigned from {since}")


def _assign(session: Session, plan: str, target: Target, since: Month) -> bool:
    before = _latest(session, target, since)
    if before is not None and before.plan == plan:
        return False
    if before is not None and before.effective_from == since.first_day:
        before.plan = plan
    else:
        session.add(
            PlanAssignment(scope=target.scope, target=target.key, plan=plan, effective_from=since.first_day)
        )  # fmt: skip
    return True


def _latest(session: Session, target: Target, month: Month) -> PlanAssignment | None:
    return session.exec(
        select(PlanAssignment)
        .where(PlanAssignment.scope == target.scope, PlanAssignment.target == target.key)
        .where(PlanAssignment.effective_from <= month.first_day)
        .order_by(col(PlanAssignment.effective_from).desc())
    ).first()


@dataclass(frozen=True)
class Held:
    """The plan that an IB is paid by from a month on, and what says so."""

    since: str
    plan: str
    # None: no version is in force, and no month can be calculated by it.
    version: int | None
    by: str
    terms: str


def history(session: Session, ib: User) -> list[Held]:
    """Return by which plan and version an IB was, is and will be paid, the newest first."""
    found: list[Held] = []
    for month in sorted(_turns(session, ib)):
        name, why = _chosen(session, ib, month)
        terms = _terms(session, name, month)
        version = terms.version if terms else None
        if not found or (found[-1].plan, found[-1].version, found[-1].by) != (name, version, why):
            found.append(Held(str(month), name, version, why, terms.in_words if terms else NOT_IN_FORCE))
    return found[::-1]


def _turns(session: Session, ib: User) -> set[Month]:
    """Return the months in which anything changes that can concern an IB."""
    days = [
        *session.scalars(sa.select(col(PlanAssignment.effective_from))),
        *session.scalars(sa.select(col(GroupMember.effective_from)).where(col(GroupMember.user_id) == ib.id)),
        *session.scalars(sa.select(col(CommissionPlan.effective_from))),
    ]
    return {Month(2000, 1), *(Month(day.year, day.month) for day in days)}


def _chosen(session: Session, ib: User, month: Month) -> tuple[str, str]:
    group = group_of(session, ib, month)
    targets = [Target("ib", ib.id, "assigned to the IB")]
    if group is not None:
        targets.append(Target("group", group, f"assigned to group {group}"))
    for target in (*targets, Target("all", "", "assigned to all")):
        assigned = _latest(session, target, month)
        if assigned is not None:
            return assigned.plan, target.label
    return DEFAULT, "nothing is assigned"


def _terms(session: Session, name: str, month: Month) -> Terms | None:
    if name == DEFAULT:
        return plan_rules.DEFAULT_TERMS
    stored = session.exec(
        select(CommissionPlan)
        .where(CommissionPlan.name == name, CommissionPlan.effective_from <= month.first_day)
        .order_by(col(CommissionPlan.version).desc())
    ).first()
    return plan_rules.from_json(stored.terms) if stored else None


# --------------------------------------------------------------------------------------------------------------- groups


def put_in_group(session: Session, ibs: Sequence[User], group: str | None, since: Month) -> int:
    """Put IBs into a group (None: out of the one that they are in) from a month on; return how many that changes.

    Raises RequestError when the month is closed.
    """
    db.lock(session, seals.LOCK)
    seals.require_open_from(session, since)
    return sum(_put(session, ib, group, since) for ib in ibs)


def _put(session: Session, ib: User, group: str | None, since: Month) -> bool:
    before = _membership(session, ib, since)
    if (before.group_name if before else None) == group:
        return False
    if before is not None and before.effective_from == since.first_day:
        before.group_name = group
    else:
        session.add(GroupMember(user_id=ib.id, group_name=group, effective_from=since.first_day))
    return True


def groups(session: Session) -> list[str]:
    """Return the names of all groups that somebody is, was or will be in."""
    known = select(GroupMember.group_name).where(col(GroupMember.group_name).is_not(None)).distinct()
    return sorted(name for name in session.exec(known) if name)


def group_of(session: Session, ib: User, month: Month) -> str | None:
    """Return the group that an IB is in on the first of a month, or None."""
    found = _membership(session, ib, month)
    return found.group_name if found else None


def _membership(session: Session, ib: User, month: Month) -> GroupMember | None:
    return session.exec(
        select(GroupMember)
        .where(GroupMember.user_id == ib.id, GroupMember.effective_from <= month.first_day)
        .order_by(col(GroupMember.effective_from).desc())
    ).first()


_GROUPS = sa.text(
    """
    SELECT "groupName" AS "group", u.email, to_char(m."effectiveFrom", 'YYYY-MM') AS "effectiveFrom"
    FROM (SELECT DISTINCT ON ("userId") * FROM ibctl.ib_group_member WHERE "effectiveFrom" <= :day
          ORDER BY "userId", "effectiveFrom" DESC) m
    JOIN "User" u ON u.id = m."userId" WHERE "groupName" IS NOT NULL ORDER BY 1, 2
    """
)


def members(session: Session, month: Month) -> list[dict[str, Any]]:
    """Return who is in which group in a month, as rows."""
    return [dict(row) for row in session.execute(_GROUPS, {"day": month.first_day}).mappings()]
