"""Spend days: importing them from a file, and reading them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, select

from ibctl import bulk, clock, days, db, exports, ids, imports, tabular
from ibctl.ads.spend import rules, sql
from ibctl.errors import NotFoundError, RequestError
from ibctl.models.platform import FacebookAdAccount
from ibctl.users import service as users

# ------------------------------------------------------------------------------------------------------------- accounts


def accounts(session: Session) -> rules.Accounts:
    """Return all ad accounts, to be found by id, Facebook id or name."""
    found = session.execute(
        sa.text('SELECT id, "adAccountId", "adAccountName", currency, timezone FROM "FacebookAdAccount" ORDER BY id')
    )
    return rules.Accounts(
        rules.Account(id_, facebook_id, name, currency, zone, days.today(zone))
        for id_, facebook_id, name, currency, zone in found
    )


def find_account(session: Session, name: str) -> rules.Account:
    """Return the account that a row id, a Facebook id, a unique name, or its IB's email (if it has one account) means.

    Raises NotFoundError, RequestError.
    """
    return find_accounts(session, [name])[0]


def find_accounts(session: Session, names: Sequence[str]) -> list[rules.Account]:
    """Return the accounts with these names, in their order. Raises as `find_account`."""
    known = accounts(session)
    return [_find_account(session, known, name) for name in names]


def _find_account(session: Session, known: rules.Accounts, name: str) -> rules.Account:
    try:
        return known.find(_only_one_of(session, name) if "@" in name else name)
    except imports.RowError as exc:
        if exc.code == "account_unknown":
            raise NotFoundError(f"{exc.message}: `ibctl ads accounts list` shows all") from None
        raise RequestError(exc.message) from None


def _only_one_of(session: Session, email: str) -> str:
    """Return the row id of an IB's only account."""
    owner = users.find(session, email)
    query = select(FacebookAdAccount.id, FacebookAdAccount.ad_account_id).where(FacebookAdAccount.user_id == owner.id)
    found = session.exec(query).all()
    if len(found) != 1:
        named = f" ({', '.join(sorted(facebook_id or id_ for id_, facebook_id in found))})" if found else ""
        raise RequestError(f"{owner.email} has {len(found)} ad accounts{named}: name one by its act_… id")
    return found[0][0]


# --------------------------------------------------------------------------------------------------------------- import


@dataclass(frozen=True)
class Settled:
    """A month that is being paid or was paid, and of whose spend an import changed something."""

    month: str
    status: str
    # The IBs' emails.
    ibs: list[str]
    days: int


@dataclass(frozen=True)
class SpendImport:
    """How the rows of a spend file fared."""

    # Good rows: `added` new days, `changed` ones that were there, the rest as they were.
    rows: int
    added: int
    changed: int
    # Days besides, whose running totals or ratios moved because of these.
    rederived: int
    # By code.
    refused: Mapping[str, int]
    settled: list[Settled]
    # Changed days that stay with the IB they were booked for, though the account now belongs to another.
    of_former_owners: int

    @property
    def unchanged(self) -> int:
        """Good rows that say what is stored already."""
        return self.rows - self.added - self.changed


def import_spend(
    session: Session,
    file: tabular.Table,
    rejects: tabular.RejectFile,
    *,
    on_bytes: Callable[[int], None] | None = None,
) -> SpendImport:
    """Write the spend days of a file, and derive again what follows from them.

    A day that is there is updated, one that says the same is not written, one that is refused goes to `rejects`. The
    owner of a new day is its account's; a day that is there keeps its own. Ratios and running totals are derived again
    from the first day that changed, for each account. Raises RequestError when the file's columns do not fit.
    """
    columns, currency = _columns(file)
    db.lock(session, "ads spend")
    session.execute(sql.CREATE_FILE)
    known, first = accounts(session), rules.FirstRows()

    def read(row: int, cells: Mapping[str, str]) -> rules.SpendDay:
        day = rules.read(cells, known, currency)
        first.claim(day.account, day.date, row)
        return day

    reading = imports.Reading(file, columns, rejects, read)
    staged = zip(ids.endless(), reading.rows(on_bytes), strict=False)
    bulk.copy(
        session, sql.COPY_FILE, ((id_, day.account.id, day.date, day.daily_spend, *day.counts) for id_, day in staged)
    )
    counts = _write(session)
    settled = [Settled(*row) for row in session.execute(sa.text(sql.SETTLED))]
    session.execute(sql.DROP)
    return SpendImport(rows=reading.good, refused=reading.refused, settled=settled, **counts)


def _columns(file: tabular.Table) -> tuple[dict[str, int], str | None]:
    """Find the fields' columns, and the currency that the amount's header names (`Amount spent (EUR)`)."""
    in_currency = [name for name in file.header if rules.currency_of(name)]
    aliases = {**rules.ALIASES, "dailySpend": (*rules.ALIASES["dailySpend"], *in_currency)}
    found = tabular.columns(file, aliases, ["date", "dailySpend"], any_of=["account", "accountName"])
    return found, rules.currency_of(file.header[found["dailySpend"]])


def _write(session: Session) -> dict[str, int]:
    """Carry the staged rows over into "AdSpendHistory"; returns the counts of SpendImport."""
    now = {"now": clock.now()}
    # Without statistics the planner takes a fresh table for a small one, and joins a million rows in a loop.
    session.execute(sa.text("ANALYZE spend_file"))
    session.execute(sql.CREATE_START)
    session.execute(sa.text("ANALYZE spend_start"))
    # New days of these accounts, by the web application, wait until the running totals are written: their foreign key
    # needs the account's row. So do changes of the days themselves.
    session.execute(sql.LOCK_ACCOUNTS)
    session.execute(sql.LOCK_DAYS)
    session.execute(sql.CREATE_AFTER)
    session.execute(sa.text("ANALYZE spend_after"))
    _require_countable(session)
    session.execute(sa.text(sql.INSERT), now)
    updated = session.execute(sa.text(sql.UPDATE), now).rowcount  # type: ignore[attr-defined]
    added, changed, of_former_owners = session.execute(sql.COUNTS).one()
    return {
        "added": added,
        "changed": changed,
        "rederived": updated - changed,
        "of_former_owners": of_former_owners,
    }


def _require_countable(session: Session) -> None:
    beyond = session.execute(sa.text(sql.BEYOND), {"largest": rules.LARGEST_COUNT}).first()
    if beyond is not None:
        raise RequestError(
            f"account {beyond[0]} would have {beyond[1]:,} leads by {beyond[2]}, more than the running total can hold "
            f"({rules.LARGEST_COUNT:,}), nothing was written: check the column of leads"
        )


# -------------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class Filter:
    """Which spend days: of one account (as `--account` names it), of one IB (email or id), from a day to a day."""

    account: str | None = None
    ib: str | None = None
    first: date | None = None
    last: date | None = None


def listing(session: Session, which: Filter, *, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return spend days as rows, newest first and at most `limit` (0: all), and how many there are without the limit.

    Raises NotFoundError when the account or the IB does not exist.
    """
    where, values = _where(session, which)
    total = session.execute(sa.text(f'SELECT count(*) FROM "AdSpendHistory" h WHERE {where}'), values).scalar_one()
    return list(exports.rows(session, exports.Query(_select(where, limit), values, _NEWEST_FIRST))), total


def export(session: Session, which: Filter, *, limit: int = 0) -> exports.Query:
    """Return all spend days, newest first and at most `limit` (0: all), to be exported. Raises as `listing`."""
    where, values = _where(session, which)
    # With all digits: what the web application left float noise in is to be the same when it is imported again.
    return exports.Query(_select(where, limit), values, _NEWEST_FIRST, all_digits=True)


def _where(session: Session, which: Filter) -> tuple[str, dict[str, Any]]:
    """Return a condition made of fixed parts, and the values bound in it."""
    parts: dict[str, tuple[str, Any]] = {}
    if which.account is not None:
        parts["account"] = ('h."adAccountId" = :account', find_account(session, which.account).id)
    if which.ib is not None:
        parts["ib"] = ('h."userId" = :ib', users.find(session, which.ib).id)
    if which.first is not None:
        parts["first"] = ('h."date" >= :first', which.first)
    if which.last is not None:
        parts["last"] = ('h."date" <= :last', which.last)
    where = " AND ".join(["true", *(condition for condition, _ in parts.values())])
    return where, {name: value for name, (_, value) in parts.items()}


def _select(where: str, limit: int) -> str:
    # The newest are found before anything is joined to them: of millions of days in a fifth of the time.
    newest = f'ORDER BY h."date" DESC, h."adAccountId" LIMIT {limit:d}' if limit else ""
    return _SELECT.format(where=where, newest=newest)


_SELECT = """
    SELECT h.*, u.email, a."adAccountName", a.currency,
      CASE WHEN h."date" BETWEEN s."firstDay" AND s."finalThrough" THEN 'final' ELSE 'provisional' END AS quality
    FROM (SELECT * FROM "AdSpendHistory" h WHERE {where} {newest}) h
    JOIN "FacebookAdAccount" a ON a.id = h."adAccountId"
    JOIN "User" u ON u.id = h."userId"
    LEFT JOIN ibctl.ad_account_state s ON s.id = h."adAccountId"
"""
_NEWEST_FIRST = 'q."date" DESC, q."adAccountId"'
