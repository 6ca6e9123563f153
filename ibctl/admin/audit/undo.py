"""Takes a change set back: as far as its rows are still as it left them, and nothing that was paid rests on them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from ibctl import config, crypto, db, sealing
from ibctl.admin.audit import closed, held, merged, paired, relied, rules, sealed, service, sql
from ibctl.admin.audit.sql import Reference, Table
from ibctl.errors import ConfigError, RequestError
from ibctl.models.ledger import CAPTURED, ChangeSet
from ibctl.users import service as users

_COMMISSIONS = {
    "IbCommission", "commission_state", "commission_plan", "plan_assignment", "ib_group_member", "adjustment",
    "commission_hold", "closed_month", "payout_payment",
}  # fmt: skip
# The locks of those commands that calculate from many rows of these tables.
LOCKS = {
    "commissions run": {"Lead", "AdSpendHistory", "exchange_rate"} | _COMMISSIONS,
    "leads import": {"Lead"},
    "leads qualify": {"Lead", "lead_programme"},
    "ads spend": {"AdSpendHistory"},
    "exchange rates": {"exchange_rate"},
}
# Tables whose rows say something about a row of another one, and the field that names it: back only together.
COMPANIONS = {"lead_transfer": ("Lead", "leadId"), "commission_state": ("IbCommission", "id")}
# What the database says to a row that it refuses: a constraint (23), a value (22), a trigger of somebody's (P0).
_REFUSALS = ("22", "23", "P0")
# Why a row is stuck: the database refused it, or it was held back because other rows refer to it.
_REFUSED = ("refused",)
_HELD = ("referenced", "linked")


@dataclass
class Outcome:
    """What became of the rows of a change set, in numbers. `reversed` is `{"Lead": {"delete": 9998}}`."""

    change_set: ChangeSet
    reversed: dict[str, dict[str, int]] = field(default_factory=dict)
    kept: int = 0
    blocked: int = 0
    failed: int = 0
    # Rows that an earlier undo, or chance, had put back already. They are what was asked for.
    already: int = 0
    # Secrets in the rows that are back which the present key does not open.
    unopened: int = 0
    # Warnings of files of payouts that rest on what was taken back.
    relied: Sequence[str] = ()

    @property
    def left(self) -> int:
        """How many rows are not as they were before the change set."""
        return self.kept + self.blocked + self.failed

    @property
    def words(self) -> str:
        """The outcome in a line: "9,998 Lead deleted; 2 kept"."""
        parts = {"kept": self.kept, "blocked": self.blocked, "failed": self.failed, "already back": self.already}
        done = rules.in_words(self.reversed, rules.TAKEN_BACK) or "nothing"
        rest = ", ".join(f"{count:,} {label}" for label, count in parts.items() if count)
        return f"{done}; {rest}" if rest else done


def undo(session: Session, number: int) -> Outcome:
    """Take back change set `number` row by row: its net effect, where nothing has been built upon it since.

    A second undo of the same change set waits for the first. Raises NotFoundError, and RequestError when it has been
    taken back already or left nothing behind, and where no active administrator would be left.
    """
    db.lock(session, f"undo {number}")
    change_set = service.find(session, number)
    if rules.total(change_set.counts) > sql.LARGE:
        session.execute(sql.PLAN_FOR_MANY)
    tables = _prepare(session, change_set)
    _wait_for_others(session, tables)
    for table in tables.values():
        _compare(session, number, table)
    session.execute(sql.ANALYZE)
    _refuse_repetition(session, number)
    sealed.block(session, number, tables)
    closed.block(session, number, tables)
    held.block(session, number, tables)
    merged.block(session, number, tables)
    paired.block(session, tables)
    admins = users.hold_active_admins(session) if "User" in tables else set()
    _reverse_all(session, number, tables)
    users.require_an_admin(session, admins)
    outcome = _outcome(session, change_set)
    outcome.unopened = _unopened(session, tables)
    outcome.relied = relied.files(session, number) if "payout_payment" in tables else ()
    return outcome


def rows(session: Session, *, everything: bool, limit: int = 0) -> Iterator[dict[str, Any]]:
    """Yield what became of the rows of the change set just undone: those left, with `everything` the others after."""
    values = {"all": everything, "limit": limit or None}
    streamed = {"stream_results": True, "yield_per": 2000}
    for row in session.execute(sql.ROWS, values, execution_options=streamed).mappings():
        writer = _writer(row["by"], row["actor"], row["command"]) if row["by"] else None
        if row["result"] == "reversed":
            words = rules.TAKEN_BACK[row["operation"]]
        else:
            words = rules.why(row["reason"], row["detail"] or {}, writer)
        yield {name: row[name] for name in ("result", "table", "id")} | {"why": words}


def _writer(number: int, actor: str, command: str) -> str:
    return f"change set {number} ({actor}: {command.partition(' --')[0]})"


# ------------------------------------------------------------------------------------------------- what can be reversed


def _prepare(session: Session, change_set: ChangeSet) -> dict[str, Table]:
    """Make the working list; return the tables that can be worked on, the rows of the others being listed as failed."""
    session.execute(sql.CREATE)
    found = session.execute(sql.TABLES, {"id": change_set.id, "captured": list(CAPTURED)}).all()
    references = _references(session, [row.relation for row in found if row.relation])
    tables = {}
    for row in found:
        name, changed = row.table_name, rules.columns_changed(row.then, row.now)
        once = sql.written_once(change_set.counts[name])
        if row.relation is None or changed:
            reason = "other columns" if row.relation else "no table"
            values = {"id": change_set.id, "table": name, "reason": reason, "detail": json.dumps({"columns": changed})}
            session.execute(sql.fail(once=once), values)
        else:
            columns = tuple(map(sql.escaped, row.written))
            tables[name] = Table(name, sql.escaped(row.relation), columns, tuple(references[name]), once)
    return tables


def _references(session: Session, relations: list[str]) -> Mapping[str, list[Reference]]:
    found: defaultdict[str, list[Reference]] = defaultdict(list)
    for row in session.execute(sql.REFERENCES, {"relations": relations}):
        reference = Reference(row.child, sql.escaped(row.relation), sql.escaped(row.column), row.refuses)
        found[row.parent].append(reference)
    return found


def _wait_for_others(session: Session, tables: Mapping[str, Table]) -> None:
    """Let a run finish that rests on these tables; before any row is locked, or the two would block each other."""
    for lock, touched in LOCKS.items():
        if touched & tables.keys():
            db.lock(session, lock)


def _compare(session: Session, number: int, table: Table) -> None:
    values = {"id": number, "table": table.name}
    for statement in sql.compare(table) + sql.explain_kept(table):
        session.execute(statement, values)


def _refuse_repetition(session: Session, number: int) -> None:
    reasons = {(row.state, row.reason) for row in session.execute(sql.OUTCOME)}
    if not reasons:
        raise RequestError(f"change set {number} left nothing behind: what it wrote it took back itself")
    if reasons <= {("kept", "undone"), ("kept", "same")} and ("kept", "undone") in reasons:
        by = session.execute(sql.UNDONE_BY).one()
        raise RequestError(
            f"change set {number} has been taken back already by {_writer(by.id, by.actor, by.command)}; "
            f"`ibctl undo {by.id}` would bring it back"
        )


# ------------------------------------------------------------------------------------------------------------ reversing


def _reverse_all(session: Session, number: int, tables: Mapping[str, Table]) -> None:
    """Reverse what is ready; again and again what was refused, since one row can free what another needs."""
    done = _round(session, number, tables, "ready")
    while _stuck(session, _REFUSED) and (done or _replay_any(session, number, tables)):
        done = _round(session, number, tables, "failed")
    session.execute(sql.KEEP_HELD)


def _stuck(session: Session, reasons: Sequence[str]) -> int:
    return int(session.execute(sql.COUNT_STUCK, {"reasons": list(reasons)}).scalar_one())


def _round(session: Session, number: int, tables: Mapping[str, Table], state: str) -> int:
    """Try every group of rows in `state` once, what is referred to before what refers to it; return how many worked."""
    pairs = [(reference.table, name) for name, table in tables.items() for reference in table.references]
    ordered = [tables[name] for name in rules.by_dependency(tables, pairs)]
    groups = [(table, operation) for operation in ("insert", "update") for table in ordered]
    groups += [(table, "delete") for table in reversed(ordered)]
    # Companions last: by then it is known what becomes of their rows.
    groups.sort(key=lambda group: group[0].name in COMPANIONS)
    found = {(row.table_name, row.operation): row for row in session.execute(sql.GROUPS, {"state": state})}
    done = 0
    for table, operation in groups:
        if span := found.get((table.name, operation)):
            values = {"id": number, "table": table.name, "operation": operation, "state": state}
            _hold(session, table, values)
            done += _attempt(session, sql.reverse(table, operation), values, span.low, span.high)
            session.execute(sql.RELEASE_HELD)
    return done


def _hold(session: Session, table: Table, values: Mapping[str, Any]) -> None:
    """Hold back the rows of a group that must not be taken back as things are."""
    if values["operation"] == "delete":
        _hold_referenced(session, table, values)
    if table.name in COMPANIONS:
        main, key = COMPANIONS[table.name]
        session.execute(sql.HOLD_COMPANIONS, {**values, "main": main, "key": key})


def _hold_referenced(session: Session, table: Table, values: Mapping[str, Any]) -> None:
    """Hold back what other rows refer to: the database would refuse it, or change rows that nobody asked to change."""
    for reference in table.references:
        if reference.table != table.name:
            reason = "referenced" if reference.refuses else "linked"
            session.execute(sql.hold(reference), {**values, "reason": reason, "child": reference.table})


def _attempt(session: Session, statement: sa.TextClause, values: Mapping[str, Any], low: int, high: int) -> int:
    """Run a statement on the rows `low` to `high`; where the database refuses, on each half, down to one row."""
    bounds = {**values, "low": low, "high": high}
    try:
        with session.begin_nested():
            done = int(session.execute(statement, bounds).rowcount)  # type: ignore[attr-defined] # a CursorResult
            if values["state"] == "failed":
                session.execute(sql.MARK_DONE, bounds)
            return done
    except DBAPIError as exc:
        refusal = _refusal(exc)
    session.execute(sql.INDEX)
    if low == high:
        session.execute(sql.MARK_REFUSED, {**bounds, "detail": json.dumps({"message": refusal})})
        return 0
    middle = (low + high) // 2
    return sum(_attempt(session, statement, values, *half) for half in ((low, middle), (middle + 1, high)))


def _refusal(exc: DBAPIError) -> str:
    """Return the refusal of a row in words; raise any other error again."""
    cause: Any = exc.orig
    state = getattr(cause, "sqlstate", None) or ""
    if state[:2] not in _REFUSALS:
        raise exc
    return rules.refusal(state, cause.diag.message_primary or "", cause.diag.message_detail)


def _replay_any(session: Session, number: int, tables: Mapping[str, Table]) -> bool:
    """Replay what is refused; where that fails, together with what is held back because of it."""
    return any(_replay(session, number, tables, reasons) for reasons in (_REFUSED, _REFUSED + _HELD))


def _replay(session: Session, number: int, tables: Mapping[str, Table], reasons: Sequence[str]) -> bool:
    """Take back step by step, the last first, all that is stuck for `reasons`; say whether that worked.

    The way that the change set went can be gone back where the short one is barred: when two rows have swapped a unique
    value, say. It is gone to its end or not at all.
    """
    values = {"id": number, "reasons": list(reasons)}
    steps = session.execute(sql.STEPS, values).all()
    try:
        with session.begin_nested():
            for step, table, operation in steps:
                _replay_step(session, tables[table], operation, {**values, "table": table, "step": step})
            session.execute(sql.MARK_REPLAYED, values)
            return True
    except _BarredError:
        return False
    except DBAPIError as exc:
        _refusal(exc)
        return False


class _BarredError(Exception):
    """A row cannot be deleted without changing one that nobody asked to change."""


def _replay_step(session: Session, table: Table, operation: str, values: Mapping[str, Any]) -> None:
    if operation == "delete":
        for reference in table.references:
            if not reference.refuses and session.execute(sql.linked(reference), values).scalar_one():
                raise _BarredError
    session.execute(sql.reverse_step(table, operation), values)


def _unopened(session: Session, tables: Mapping[str, Table]) -> int:
    """Count the secrets in rows that were put or set back which the key does not open; without a key, none is tried."""
    sealed = [column for column in sealing.columns() if column.table.name in tables]
    try:
        crypto.key_bytes(config.encryption_key())
    except ConfigError:
        return 0
    return sum(_closed(session, tables[column.table.name], column.name) for column in sealed)


def _closed(session: Session, table: Table, column: str) -> int:
    values = {"table": table.name}
    stored = session.execute(sql.back(table, column), values, execution_options={"yield_per": 2000}).scalars()
    return sum(not sealing.opens(text) for text in stored)


def _outcome(session: Session, change_set: ChangeSet) -> Outcome:
    outcome = Outcome(change_set)
    for row in session.execute(sql.OUTCOME):
        if row.state == "ready":
            outcome.reversed.setdefault(row.table_name, {})[row.operation] = row.rows
        elif row.reason in ("undone", "same"):
            outcome.already += row.rows
        else:
            setattr(outcome, row.state, getattr(outcome, row.state) + row.rows)
    return outcome
