"""Where each IB wants its money: setting, importing and listing payees. Names and accounts are encrypted."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, config, crypto, db, imports, sealing, tabular
from ibctl.commissions import seals
from ibctl.commissions.payees import rules
from ibctl.commissions.payees.rules import Destination
from ibctl.errors import NotFoundError, RequestError
from ibctl.imports import RowError
from ibctl.models.payouts import Payee, PayoutItem
from ibctl.models.platform import IbCommission, Role, User

LOCK = "payees"


@dataclass(frozen=True)
class PayeesImport:
    """How the rows of a payees file fared: good `rows`, of them `added` and `changed`, and the `refused` by code."""

    rows: int
    added: int
    changed: int
    refused: Mapping[str, int]

    @property
    def unchanged(self) -> int:
        """Good rows that say what is stored already."""
        return self.rows - self.added - self.changed


# -------------------------------------------------------------------------------------------------------------- writing


def save(session: Session, ib: User, wanted: Destination) -> Payee:
    """Pay an IB there from now on. What is the same already is not written; batches keep what they were made with.

    Raises ConfigError for a key that opens nothing of what is stored.
    """
    sealing.require_key(session)
    db.lock(session, LOCK)
    payee = session.get(Payee, ib.id)
    if payee is None:
        payee = _new(ib.id, wanted)
        session.add(payee)
    elif opened(payee) != wanted:
        _change(payee, wanted)
    session.flush()
    return payee


def opened(payee: Payee) -> Destination:
    """Return a payee in plain text. Raises SecretError, ConfigError."""
    name, account = (crypto.reveal(payee, attribute) or "" for attribute in ("name", "account"))
    return Destination(payee.method, payee.currency, name, account)


def _new(user_id: str, wanted: Destination) -> Payee:
    # One moment for both: a payee that changed after it was made is worth a second look.
    name, account, now = crypto.seal(wanted.name), crypto.seal(wanted.account), clock.now()
    return Payee(
        id=user_id, method=wanted.method, currency=wanted.currency, name=name, account=account, created_at=now,
        changed_at=now,
    )  # fmt: skip


def _change(payee: Payee, wanted: Destination) -> None:
    payee.method, payee.currency = wanted.method, wanted.currency
    payee.name, payee.account = crypto.seal(wanted.name), crypto.seal(wanted.account)
    payee.changed_at = clock.now()


def remove(session: Session, ib: User) -> str:
    """Forget where an IB is paid, and return what that was, without the account: no key is needed.

    Raises NotFoundError when there is nothing, RequestError while a payment to the IB is under way: one that comes back
    is paid again to its payee.
    """
    # With the lock of the payouts too, no batch is made meanwhile.
    db.lock(session, seals.LOCK)
    db.lock(session, LOCK)
    payee = find(session, ib)
    under_way = session.exec(
        select(PayoutItem.batch_id).where(PayoutItem.user_id == ib.id, PayoutItem.status == "PROCESSING")
    ).first()
    if under_way is not None:
        raise RequestError(
            f"{ib.email} is in payout {under_way}, which is under way: reconcile or cancel that first, or name another "
            f"account with `ibctl commissions payees set {ib.email}`"
        )
    session.delete(payee)
    session.flush()
    return f"{payee.currency} by {payee.method}"


def find(session: Session, ib: User) -> Payee:
    """Return where an IB is paid. Raises NotFoundError."""
    payee = session.get(Payee, ib.id)
    if payee is None:
        raise NotFoundError(f"{ib.email} has no payee: `ibctl commissions payees set {ib.email}`")
    return payee


def import_payees(session: Session, file: tabular.Table, rejects: tabular.RejectFile) -> PayeesImport:
    """Write the payees of a file. Raises RequestError when its columns do not fit, ConfigError without a key."""
    columns = tabular.columns(file, rules.ALIASES, ["ib", "name", "account"])
    sealing.require_key(session)
    db.lock(session, LOCK)
    reading = imports.Reading(file, columns, rejects, _reader(_ibs(session)))
    known = {payee.id: payee for payee in session.exec(select(Payee))}
    added = changed = 0
    for user_id, wanted in reading.rows():
        payee = known.get(user_id)
        if payee is None:
            session.add(_new(user_id, wanted))
            added += 1
        elif opened(payee) != wanted:
            _change(payee, wanted)
            changed += 1
    session.flush()
    return PayeesImport(reading.good, added, changed, reading.refused)


def _ibs(session: Session) -> dict[str, str]:
    """Return the id of every IB, and of whoever has earned as one, by its id and by its email in small letters."""
    earned = col(User.id).in_(sa.select(col(IbCommission.user_id)))
    rows = session.execute(sa.select(col(User.id), col(User.email)).where(sa.or_(col(User.role) == Role.IB, earned)))
    return {key: user_id for user_id, email in rows for key in (user_id, email.lower())}


def _reader(ibs: Mapping[str, str]) -> Any:
    base = config.settings().base_currency
    first: dict[str, int] = {}

    def read(row: int, cells: Mapping[str, str]) -> tuple[str, Destination]:
        named = cells["ib"].strip()
        user_id = ibs.get(named) or ibs.get(named.lower())
        if user_id is None:
            raise RowError("ib_unknown", "ib", f"there is no IB '{named}'")
        wanted = rules.destination(cells, base=base)
        earlier = first.setdefault(user_id, row)
        if earlier != row:
            raise RowError("duplicate", "ib", f"row {earlier} is about the same IB")
        return user_id, wanted

    return read


# -------------------------------------------------------------------------------------------------------------- reading


def listing(session: Session, *, missing: bool, limit: int = 0) -> tuple[Iterator[dict[str, Any]], int]:
    """Return the payees, the newest first, or with `missing` who has none and needs one; and how many there are.

    Whoever is no IB any more counts like one: it has a payee still, or a commission that is to be paid.
    """
    needs = sa.or_(col(User.role) == Role.IB, col(User.id).in_(_unpaid()))
    wanted = sa.and_(needs, col(Payee.id).is_(None)) if missing else col(Payee.id).is_not(None)
    joined = sa.outerjoin(User, Payee, col(Payee.id) == col(User.id))
    total = session.execute(sa.select(sa.func.count()).select_from(joined).where(wanted)).scalar_one()
    newest = col(User.created_at if missing else Payee.changed_at).desc()
    query: Any = sa.select(User, Payee).select_from(joined).where(wanted).order_by(newest, col(User.id))
    found = session.execute(query.limit(limit or None)).all()
    return (as_row(user, payee) for user, payee in found), int(total)


def _unpaid() -> Any:
    """Select who has a commission that is to be paid, once it is not held any more."""
    payout = col(IbCommission.total_payout)
    unpaid = col(IbCommission.payment_status).in_(["PENDING", "HELD"])
    return sa.select(col(IbCommission.user_id)).where(unpaid, payout > 0, payout < math.inf)


def shared(session: Session) -> list[dict[str, Any]]:
    """Return the payees whose account is another IB's too, those with the same one together, as rows."""
    statement: Any = sa.select(User, Payee).join(Payee, col(Payee.id) == col(User.id)).order_by(User.email)
    by_account: dict[str, list[dict[str, Any]]] = {}
    for user, payee in session.execute(statement):
        by_account.setdefault(opened(payee).account, []).append(as_row(user, payee))
    return [row for rows in by_account.values() if len(rows) > 1 for row in rows]


def as_row(user: User, payee: Payee | None) -> dict[str, Any]:
    """Return a payee as a row for people and scripts: name and account are masked."""
    plain = opened(payee) if payee else None
    return {
        "id": user.id,
        "email": user.email,
        "method": plain and plain.method,
        "currency": plain and plain.currency,
        "name": plain and rules.masked_name(plain.name),
        "account": plain and rules.masked_account(plain.account),
        "createdAt": payee and payee.created_at,
        "changedAt": payee and payee.changed_at,
    }
