"""Accounts: looking them up, and everything that changes one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from ibctl import clock, config, utf8
from ibctl.errors import NotFoundError, RequestError, UsageError
from ibctl.models.commissions import ClosedMonth
from ibctl.models.ledger import ChangeSet, change
from ibctl.models.platform import FacebookAdAccount, IbCommission, Lead, Role, User
from ibctl.users import rules, uncounted

# Among how many accounts a misspelt one is looked for.
CANDIDATES = 5_000
EMAIL_TAKEN = "User_email_key"


# ----------------------------------------------------------------------------------------------------------- looking up


def find(session: Session, who: str, *, role: Role | None = None) -> User:
    """Return the account with this email (in whatever case) or id.

    Raises NotFoundError naming the value, with what may have been meant, or the role that it has instead of `role`;
    RequestError when two accounts differ only in the case of their email, and neither is written like `who`.
    """
    wanted = who.strip()
    # A NUL byte can be in no row, and PostgreSQL refuses it.
    user = None if "\0" in wanted else _by_email_or_id(session, wanted)
    if user is None:
        raise NotFoundError(f"there is no {_called(role)} '{wanted}'{_did_you_mean(session, wanted, role)}")
    if role is not None and user.role != role:
        raise NotFoundError(f"there is no {_called(role)} '{wanted}': that account's role is {user.role.value}")
    return user


def _called(role: Role | None) -> str:
    return {None: "user", Role.IB: "IB", Role.ADMIN: "administrator"}[role]


def _by_email_or_id(session: Session, wanted: str) -> User | None:
    same = sa.func.lower(User.email).in_([sa.func.lower(one) for one in utf8.writings(wanted)])
    users = session.exec(select(User).where(sa.or_(same, col(User.id) == wanted))).all()
    exact = [user for user in users if {user.email, user.id} & {*utf8.writings(wanted)}]
    if len(users) > 1 and len(exact) != 1:
        ids = ", ".join(f"{user.email} ({user.id})" for user in users)
        raise RequestError(f"'{wanted}' is the email of {len(users)} accounts that differ in case, {ids}: give the id")
    return next(iter(exact or users), None)


def _did_you_mean(session: Session, wanted: str, role: Role | None) -> str:
    if "\0" in wanted:
        return ""
    similar = sa.or_(
        sa.func.abs(sa.func.length(User.email) - len(wanted)) <= 3,
        sa.func.strpos(sa.func.lower(User.email), sa.func.lower(wanted)) > 0,
    )
    query = select(User.email).where(similar, _with_role(role)).order_by(col(User.created_at).desc()).limit(CANDIDATES)
    close = rules.close_matches(wanted, session.exec(query))
    return f": did you mean {' or '.join(close)}?" if close else ": `ibctl users list` shows all"


def _with_role(role: Role | None) -> sa.ColumnElement[bool]:
    return sa.true() if role is None else col(User.role) == role


def emails(session: Session, role: Role | None = None, *, prefix: str = "", limit: int = 200) -> list[str]:
    """Return the emails of accounts that begin with `prefix`, in their order, for the shell to complete."""
    begins = sa.func.starts_with(sa.func.lower(User.email), sa.func.lower(prefix))
    query = select(User.email).where(begins, _with_role(role)).order_by(sa.func.lower(User.email))
    return list(session.exec(query.limit(limit)))


def listing(
    session: Session,
    *,
    role: Role | None = None,
    active: bool | None = None,
    locked: bool | None = None,
    search: str | None = None,
    limit: int = 0,
) -> tuple[list[dict[str, Any]], int]:
    """Return accounts as rows, newest first and at most `limit` (0: all), and how many there are without the limit.

    `search` is a part of the email or the whole id, in whatever case.
    """
    conditions = [_with_role(role)]
    if active is not None:
        conditions.append(col(User.is_active).is_(active))
    if locked is not None:
        is_locked = sa.func.coalesce(col(User.locked_until) > clock.now(), False)
        conditions.append(is_locked if locked else sa.not_(is_locked))
    if search:
        email = sa.func.lower(User.email)
        found = [sa.func.strpos(email, sa.func.lower(part)) > 0 for part in utf8.writings(search)]
        conditions.append(sa.or_(*found, col(User.id) == search))
    total = session.exec(select(sa.func.count()).select_from(User).where(*conditions)).one()
    query = select(User).where(*conditions).order_by(col(User.created_at).desc(), col(User.id).desc())
    users = session.exec(query.limit(limit or None))
    return [row(user) for user in users], total


def row(user: User) -> dict[str, Any]:
    """Return an account as a row for people and scripts; its password's hash is not in it."""
    return {
        "id": user.id,
        "email": user.email,
        "role": user.role.value,
        "isActive": user.is_active,
        "emailVerified": user.email_verified,
        "failedLoginCount": user.failed_login_count,
        "lockedUntil": user.locked_until,
        "createdAt": user.created_at,
        "updatedAt": user.updated_at,
    }


def describe(session: Session, who: str) -> dict[str, Any]:
    """Return an account as a row, with what hangs on it and the last change set that touched it."""
    user = find(session, who)
    counts = {
        name: session.exec(select(sa.func.count()).select_from(table).where(table.user_id == user.id)).one()
        for name, table in (("leads", Lead), ("adAccounts", FacebookAdAccount), ("commissions", IbCommission))
    }
    return row(user) | counts | _last_change(session, user.id)


def _last_change(session: Session, user_id: str) -> dict[str, Any]:
    touched = sa.select(sa.func.max(change.c.changeSetId)).where(
        change.c.rowId == user_id, change.c.tableName == "User"
    )
    last = session.exec(select(ChangeSet).where(col(ChangeSet.id) == touched.scalar_subquery())).first()
    return {
        "changeSet": last and last.id,
        "changedAt": last and last.created_at,
        "changedBy": last and last.actor,
        "changedWith": last and last.command,
    }


def holdings(session: Session, users: Sequence[User]) -> rules.Holdings:
    """Return what hangs on these accounts; the sum is exact."""
    ids = [user.id for user in users]
    leads = session.exec(select(sa.func.count()).select_from(Lead).where(col(Lead.user_id).in_(ids))).one()
    payout = sa.func.coalesce(sa.func.sum(sa.cast(IbCommission.total_payout, sa.Numeric)), Decimal(0))
    unpaid = sa.select(sa.func.count(), payout).where(
        col(IbCommission.user_id).in_(ids), col(IbCommission.payment_status) != "PAID"
    )
    closed = sa.select(ClosedMonth).where(
        col(ClosedMonth.year) == col(IbCommission.year), col(ClosedMonth.month) == col(IbCommission.month)
    )
    again = unpaid.where(col(IbCommission.payment_status) != "PROCESSING", ~closed.exists())
    count, total = session.execute(unpaid).one()
    open_, open_total = session.execute(again).one()
    return rules.Holdings(
        [user.email for user in users], leads, count, total, open_, open_total, config.settings().base_currency
    )


def deactivation_effect(session: Session, who: Sequence[str]) -> str | None:
    """Say what deactivating these accounts does; None when all are inactive already. Raises as `find` does."""
    leaving = [user for user in _distinct(session, who) if user.is_active]
    return rules.deactivation_effect(holdings(session, leaving)) if leaving else None


def role_effect(session: Session, who: str, role: Role) -> str | None:
    """Say what giving an account this role does to what it earns; None when it does nothing. Raises as `find` does."""
    user = find(session, who)
    if not _is_promotion(user, role):
        return None
    return rules.promotion_effect(holdings(session, [user]), uncounted.find(session, user))


def unearned(session: Session, who: str, role: Role) -> str | None:
    """Say what earns nothing once an account has this role, and that no run will name; None when nothing does."""
    user = find(session, who)
    return uncounted.find(session, user).as_admin if _is_promotion(user, role) else None


def _is_promotion(user: User, role: Role) -> bool:
    return user.role is Role.IB and role is Role.ADMIN


# ------------------------------------------------------------------------------------------------------------- changing


def require_free(session: Session, address: str, *, besides: User | None = None) -> None:
    """Raise RequestError when another account has this email, in whatever case."""
    same = sa.func.lower(User.email) == sa.func.lower(address)
    for user in session.exec(select(User).where(same)):
        if besides is None or user.id != besides.id:
            raise _taken(address, f" ({user.id}, written {user.email})" if user.email != address else f" ({user.id})")


def _taken(address: str, by: str = "") -> RequestError:
    return RequestError(f"the email {address} belongs to another account{by}: every account needs one of its own")


def add(session: Session, *, email: str, role: Role, verified: bool, password_hash: str) -> User:
    """Create an account. Raises RequestError when its email is taken, UsageError when it is none."""
    address = rules.email(email)
    require_free(session, address)
    user = User(email=address, role=role, email_verified=verified, password=password_hash)
    session.add(user)
    _flush(session, address)
    return user


def _flush(session: Session, address: str) -> None:
    """Write, and say the same as `require_free` when somebody else took the email in between."""
    try:
        session.flush()
    except IntegrityError as exc:
        constraint = getattr(getattr(exc.orig, "diag", None), "constraint_name", None)
        if constraint != EMAIL_TAKEN:
            raise
        raise _taken(address) from None


def edit(session: Session, who: str, *, email: str | None = None, verified: bool | None = None) -> User:
    """Change an account's email, or whether it is verified. A new email is unverified unless `verified` says otherwise.

    Raises UsageError when there is nothing to change or the email is none, RequestError when it is taken.
    """
    if email is None and verified is None:
        raise UsageError("nothing to change: give --email, --verified or --unverified")
    user = _hold(session, find(session, who))
    if email is not None:
        address = rules.email(email)
        require_free(session, address, besides=user)
        if address != user.email.lower():
            user.email_verified = False
        user.email = address
    if verified is not None:
        user.email_verified = verified
    _flush(session, user.email)
    return user


def _hold(session: Session, user: User) -> User:
    """Keep everybody else from writing the account until the transaction ends, and see it as it is now.

    FOR NO KEY UPDATE: the web application may go on adding leads that refer to the row.
    """
    session.refresh(user, with_for_update={"key_share": True})
    return user


def set_password(session: Session, who: str, *, password_hash: str) -> User:
    """Replace an account's password."""
    user = _hold(session, find(session, who))
    user.password = password_hash
    session.flush()
    return user


def activate(session: Session, who: Sequence[str]) -> list[User]:
    """Let accounts sign in again; returns those that could not before."""
    users = [_hold(session, user) for user in _distinct(session, who)]
    changed = [user for user in users if not user.is_active]
    for user in changed:
        user.is_active = True
    session.flush()
    return changed


def deactivate(session: Session, who: Sequence[str]) -> list[User]:
    """Keep accounts from signing in; returns those that could before.

    Raises RequestError when no active administrator would be left.
    """
    admins = hold_active_admins(session)
    users = [_hold(session, user) for user in _distinct(session, who)]
    changed = [user for user in users if user.is_active]
    _require_admin_left(admins, changed)
    for user in changed:
        user.is_active = False
    session.flush()
    return changed


def unlock(session: Session, who: Sequence[str]) -> list[User]:
    """Lift the lock of accounts and forget their failed sign-ins; returns those that had either.

    Both, because the web application would lock the account again at the next failure if the count stayed.
    """
    users = [_hold(session, user) for user in _distinct(session, who)]
    changed = [user for user in users if user.locked_until is not None or user.failed_login_count]
    for user in changed:
        user.locked_until, user.failed_login_count = None, 0
    session.flush()
    return changed


def set_role(session: Session, who: str, *, role: Role) -> User:
    """Give an account a role. Raises RequestError when no active administrator would be left."""
    admins = hold_active_admins(session)
    user = _hold(session, find(session, who))
    if role is not Role.ADMIN:
        _require_admin_left(admins, [user])
    user.role = role
    session.flush()
    return user


def _distinct(session: Session, who: Sequence[str]) -> list[User]:
    """Find accounts, each once, in the order of their ids: two runs then never wait for each other in a circle."""
    users = {user.id: user for user in (find(session, one) for one in who)}
    return [users[user_id] for user_id in sorted(users)]


def hold_active_admins(session: Session) -> set[str]:
    """Return the ids of the active administrators and keep their rows from changing until the transaction ends.

    A second run waits here, and then sees what the first left.
    """
    query = (
        select(User.id)
        .where(col(User.role) == Role.ADMIN, col(User.is_active))
        .order_by(User.id)
        .with_for_update(key_share=True)
    )
    return set(session.exec(query))


def _require_admin_left(admins: set[str], leaving: Sequence[User]) -> None:
    going = [user.email for user in leaving if user.id in admins]
    if going and len(going) == len(admins):
        raise _none_left(f"{', '.join(going)}: ")


def require_an_admin(session: Session, admins: set[str]) -> None:
    """Raise RequestError where there were active administrators, `admins`, and none is left in this transaction."""
    if admins and not hold_active_admins(session):
        raise _none_left()


def _none_left(who: str = "") -> RequestError:
    return RequestError(
        f"{who}no active administrator would be left, nothing was written; "
        "make another one first: `ibctl users set-role USER --role ADMIN`"
    )


def lacks_administrator(connection: sa.Connection) -> bool:
    """Whether there are accounts, and none of them is an active administrator's."""
    anybody, active = sa.select(col(User.id)), sa.and_(col(User.role) == Role.ADMIN, col(User.is_active))
    query = sa.select(sa.and_(anybody.exists(), sa.not_(anybody.where(active).exists())))
    return bool(connection.execute(query).scalar_one())
