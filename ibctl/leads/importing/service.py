"""Importing a file of leads: rows are checked many at a time, matched and written in sets, in the caller's transaction.

The rows go through the checks of `rows` straight into a temporary table by COPY, so memory stays flat however long the
file is. What is there already, and what the file says twice, is found there; then one INSERT creates the leads, and one
UPDATE changes those that the terms let be changed. Each import is a batch that is remembered with its refused rows.
"""

from __future__ import annotations

import gc
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import bulk, clock, config, db, ids
from ibctl.errors import RequestError
from ibctl.leads import rules, service, settled_sql
from ibctl.leads.importing import batches, rows, sql
from ibctl.leads.importing.terms import Terms
from ibctl.leads.importing.update_sql import LOCK as LOCK_LEADS
from ibctl.leads.importing.update_sql import NOT_FOUND, TOO_EARLY, Statements
from ibctl.leads.settled import Settled, added
from ibctl.models.imports import LeadImport
from ibctl.models.platform import Role
from ibctl.tabular import RejectFile, Table

FETCH = 2_000
# So many rows are checked at a time: enough to turn into columns, few enough to stay in the processor's cache.
BATCH = 1_000


@dataclass(frozen=True)
class Imported:
    """How the rows of a file fared: `read` is the sum of the others, `refused` counts by code."""

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    # Created as `qualified` without saying when.
    undated: int = 0
    # By field, how many values of leads stayed although a row says something else.
    kept: Mapping[str, int] = field(default_factory=dict)
    settled: Sequence[Settled] = ()

    @property
    def good(self) -> int:
        """Rows that were not refused."""
        return self.created + self.updated + self.unchanged

    def __add__(self, other: Imported) -> Imported:
        """Return what two chunks come to. A lead that both change counts in both, with its months too."""
        return Imported(
            self.read + other.read,
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            _sums(self.refused, other.refused),
            self.undated + other.undated,
            _sums(self.kept, other.kept),
            added(self.settled, other.settled),
        )


def _sums(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in (*one, *(key for key in other if key not in one))}


Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True)
class Order:
    """What is to be imported, and how. `digest` is the file's SHA-256; "" for what is no file and may come again."""

    table: Table
    columns: Mapping[str, int]
    digest: str = ""
    terms: Terms = field(default_factory=Terms)
    reading: rules.Reading = field(default_factory=rules.Reading)
    given: rows.Given = field(default_factory=rows.Given)
    # Whatever else `--resume` must know, as JSON takes it.
    options: Mapping[str, Any] = field(default_factory=dict)


class Importer:
    """Imports an order, all at once or chunk by chunk; refused rows go into `rejects`.

    `batch` is one that was begun: then the import goes on behind its checkpoint. Raises RequestError where the file
    cannot be read on.
    """

    def __init__(
        self, order: Order, rejects: RejectFile, *, progress: Progress, batch: LeadImport | None = None,
        look: Callable[[Session], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.order, self.rejects, self.progress, self.batch, self.look = order, rejects, progress, batch, look
        self.done = False
        self._report: Callable[[int], None] = lambda _: None
        start = batch.checkpoint if batch is not None else 0
        ahead = order.table.rows(lambda size: self._report(size))
        self._ahead: Iterator[tuple[int, list[str]]] = itertools.dropwhile(lambda row: row[0] <= start, ahead)
        # The same rows once more, to follow with the cells of those that are refused.
        self._behind = order.table.rows()

    def step(self, session: db.Transaction, limit: int | None = None) -> Imported:
        """Import the rest of the file, or the next `limit` rows of it."""
        db.lock(session, service.LOCK)
        if self.batch is not None:
            self.batch = batches.hold(session, self.batch)
        with self.progress(f"Reading {self.order.table.path.name}", self.order.table.size) as self._report:
            fields = self._stage(session, limit)
        with self.progress("Matching and writing", None):
            return self._write(session, fields)

    # ---------------------------------------------------------------------------------------------------------- reading

    def _stage(self, session: db.Transaction, limit: int | None) -> Sequence[str]:
        """Check the next rows and put them, the refused ones too, into a temporary table; return its fields."""
        order = self.order
        reader = rows.RowReader(
            order.columns,
            len(order.table.header),
            owners=owners(session) if {"ib", "userId"} & {*order.columns, *order.given.constants} else {},
            reading=order.reading,
            now=clock.now(),
            given=order.given,
            creates=order.terms.mode == "create",
            owner_required=order.terms.owner_required,
        )
        _create_file(session)
        chunk = self._ahead if limit is None else itertools.islice(self._ahead, limit)
        bulk.copy_text(session, sql.copy_file(reader.fields), _blocks(reader, chunk))
        following = next(self._ahead, None)
        self.done = following is None
        if following is not None:
            self._ahead = itertools.chain([following], self._ahead)
        return reader.fields

    # ---------------------------------------------------------------------------------------------------------- writing

    def _write(self, session: db.Transaction, fields: Sequence[str]) -> Imported:
        now = clock.now()
        statements = Statements(self.order.terms, fields) if self.order.terms.mode != "create" else None
        kept = match(session, self.order.terms, statements, fields, now)
        if self.order.terms.round_robin:
            turn = self.batch.created if self.batch is not None else 0
            session.execute(sql.SHARE_OUT, {"owners": _by_turns(session, turn)})
        settled = _change(session, statements, now)
        session.execute(sql.INSERT, {"now": now})
        counts = session.execute(sql.COUNTS).one()
        refused: dict[str, int] = {}
        if counts.read > counts.created + counts.updated + counts.unchanged:
            refused = {row.code: row.rows for row in session.execute(sql.REFUSED_BY_CODE)}
        result = Imported(
            counts.read, counts.created, counts.updated, counts.unchanged, refused, counts.undated, kept, settled
        )
        self._remember(session, result, counts.last)
        self.look(session)
        session.execute(sql.DROP_FILE)
        return result

    def _remember(self, session: db.Transaction, result: Imported, last: int | None) -> None:
        """Keep the batch and its refused rows. Where nothing was written nothing can be repeated nor taken back."""
        if session.change_set_id and (self.batch is not None or not self.done or result.created or result.updated):
            self.batch = batches.advance(session, self.batch or self._begin(session), result, last, finished=self.done)
        if result.refused:
            self._keep_refused(session)

    def _begin(self, session: db.Transaction) -> LeadImport:
        order = self.order
        return LeadImport(
            change_set_id=session.change_set_id,
            file_name=order.table.path.name,
            sha256=order.digest,
            header=[name.replace("\0", "") for name in order.table.header],
            mapping={order.table.header[index]: name for name, index in order.columns.items()},
            terms={**order.terms.as_json(), **order.options},
        )

    def _keep_refused(self, session: db.Transaction) -> None:
        """Follow the refused rows through the file, and put them into the reject file and beside the batch."""
        streamed = {"stream_results": True, "yield_per": FETCH}
        for found in session.execute(sql.REFUSED, execution_options=streamed).partitions():
            refused = [(number, self._cells(number), *why) for number, *why in found]
            for number, cells, *why in refused:
                self.rejects.add(number, cells, *why)
            if self.batch is not None and session.change_set_id:
                batch = self.batch.id
                kept = ((batch, number, *why, json.dumps(cells)) for number, cells, *why in refused)
                bulk.copy(session, batches.COPY_REJECTS, kept)

    def _cells(self, number: int) -> list[str]:
        return next(cells for line, cells in self._behind if line == number)


def _create_file(session: Session) -> None:
    session.execute(sql.PLAN_FOR_MANY)
    if session.execute(sql.MAY_CREATE).scalar_one():
        session.execute(sql.ADD_SCHEMA)
        session.execute(sql.CREATE_FILE)
    else:
        session.execute(sql.CREATE_TEMPORARY_FILE)


def _blocks(reader: rows.RowReader, source: Iterator[tuple[int, list[str]]]) -> Iterator[str]:
    new_ids = ids.endless()
    with _no_cycles():
        while found := list(itertools.islice(source, BATCH)):
            yield rows.copy_lines(reader.read(found), new_ids)


@contextmanager
def _no_cycles() -> Iterator[None]:
    """Keep the collector from searching millions of cells for cycles, of which they have none: a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run(
    session: db.Transaction, order: Order, rejects: RejectFile, *, progress: Progress,
    look: Callable[[Session], None] = lambda _: None,
) -> Imported:  # fmt: skip
    """Import a whole file in the session's transaction. Raises RequestError where it cannot be read.

    `look` is called while the rows, with what became of each, still stand in `lead_file`.

    With `all_or_nothing` in its terms, the caller has to roll back when rows were refused: `Imported.refused` tells.
    """
    return Importer(order, rejects, progress=progress, look=look).step(session)


def owners(session: Session) -> dict[str, rows.Owner]:
    """Return all accounts by id and lower-case email, as rows may name them as owners."""
    found: dict[str, rows.Owner] = {}
    for id_, email, role, active in session.execute(sa.text('SELECT id, email, role, "isActive" FROM "User"')):
        owner = rows.Owner(id_)
        if role != Role.IB:
            owner = rows.Owner(id_, "owner_unknown", f"there is no IB '{email}': that account's role is {role}")
        elif not active:
            owner = rows.Owner(id_, "owner_inactive", f"the account of IB {email} is not active")
        found[id_] = owner
        key = email.lower()
        # Two accounts that differ in case only: neither is meant for sure.
        twin = rows.Owner("", "owner_unknown", f"'{key}' is the email of several accounts: give the id")
        found[key] = twin if key in found else owner
    return found


def _by_turns(session: Session, turn: int) -> list[str]:
    """Return the active IBs in the order of their emails, beginning with the one whose turn it is."""
    active = sa.text("""SELECT id FROM "User" WHERE role = 'IB' AND "isActive" ORDER BY lower(email), id""")
    found = list(session.scalars(active))
    if not found:
        raise RequestError("there is no active IB to share leads among: `ibctl users add` makes one")
    return found[turn % len(found) :] + found[: turn % len(found)]


def match(
    session: Session, terms: Terms, statements: Statements | None, fields: Sequence[str], now: datetime
) -> Mapping[str, int]:
    """Find what is there already and what comes twice among the staged rows; mark what becomes of each.

    Returns, by field, how many values of leads stay although a row says something else.
    """
    # Without statistics a fresh table is taken for a small one.
    session.execute(sa.text("ANALYZE lead_file"))
    session.execute(sql.CREATE_KNOWN)
    session.execute(sa.text("ANALYZE lead_known"))
    kept: dict[str, int] = {}
    if statements is None:
        session.execute(sql.MARK_KNOWN)
    else:
        session.execute(LOCK_LEADS)
        session.execute(statements.judge(), {"match": [_RANKS[name] for name in terms.match]})
        session.execute(*((NOT_FOUND, {}) if terms.mode == "update" else (TOO_EARLY, {"now": now})))
        session.execute(sql.MARK_SAME_LEAD)
    if {"status", "qualifiedAt"} <= set(fields):
        session.execute(sql.MARK_REJECTED)
    if session.execute(sql.ANY_REPEATED).scalar_one():
        for statement in (sql.CREATE_SHARED, sql.CREATE_CHOSEN, sql.CHOOSE, sql.MARK_DUPLICATES):
            session.execute(statement)
    if statements is not None and (counting := statements.kept()) is not None:
        kept = {name: count for name, count in session.execute(counting).mappings().one().items() if count}
    return kept


_RANKS = {key.removesuffix("Key"): rank for rank, key in enumerate(sql.KEYS)}


def _change(session: Session, statements: Statements | None, now: datetime) -> list[Settled]:
    """Change the leads that are there; return the months, being paid or paid, that this and the new ones touch."""
    any_settled = session.execute(settled_sql.ANY).scalar_one()
    zone = {"zone": config.settings().timezone.key}
    found: list[Settled] = []
    if statements is not None:
        if any_settled and (counting := statements.counted()) is not None:
            session.execute(counting)
            found = [Settled(*row) for row in session.execute(sql.SETTLED_BY_UPDATE, zone)]
        session.execute(statements.update(), {"now": now})
    if any_settled:
        found = added(found, [Settled(*row) for row in session.execute(sql.SETTLED_BY_IMPORT, zone)])
    return found
