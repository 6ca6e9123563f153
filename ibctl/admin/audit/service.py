"""Reads the record: which commands wrote something, and what exactly."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl.admin.audit import rules
from ibctl.crypto import SealedText
from ibctl.errors import NotFoundError, UsageError
from ibctl.models import catalogue
from ibctl.models.ledger import CAPTURED, ChangeSet, change, change_image

_STREAMED = {"stream_results": True, "yield_per": 2000}


def find(session: Session, number: int) -> ChangeSet:
    """Return a change set by its number. Raises NotFoundError."""
    found = session.get(ChangeSet, number) if 0 < number < 2**63 else None
    if found is None:
        newest = session.execute(sa.select(sa.func.max(col(ChangeSet.id)))).scalar_one()
        hint = f"the newest is {newest}, `ibctl audit list` shows them" if newest else "nothing has been recorded yet"
        raise NotFoundError(f"there is no change set {number}: {hint}")
    return found


def table_name(text: str) -> str:
    """Return a recorded table's exact name for what a user wrote (`lead`). Raises UsageError."""
    names = [*(table.name for table in catalogue.METADATA.sorted_tables if table.schema is None), *CAPTURED]
    for name in names:
        if name.lower() == text.lower():
            return name
    raise UsageError(f"--table: no table '{text}'; there are {', '.join(sorted(names))}")


# ---------------------------------------------------------------------------------------------------------- change sets


@dataclass(frozen=True)
class Filter:
    """Which change sets are wanted. `table` is an exact name; times are naive UTC, and both belong to the span."""

    actor: str | None = None
    table: str | None = None
    # A row's id: the commands that wrote it.
    row: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def _matching(wanted: Filter) -> Any:
    statement: Any = select(ChangeSet)
    if wanted.actor is not None:
        statement = statement.where(sa.func.lower(ChangeSet.actor) == wanted.actor.lower())
    if wanted.table is not None:
        # jsonb's `?`, whose right side SQLAlchemy would else take for jsonb too.
        name = sa.literal(wanted.table, sa.Text)
        statement = statement.where(col(ChangeSet.counts).has_key(name))  # type: ignore[attr-defined] # of JSONB
    if wanted.row is not None:
        touching = sa.select(change.c.changeSetId).where(change.c.rowId == wanted.row)
        if wanted.table is not None:
            touching = touching.where(change.c.tableName == wanted.table)
        statement = statement.where(col(ChangeSet.id).in_(touching))
    if wanted.since is not None:
        statement = statement.where(col(ChangeSet.created_at) >= wanted.since)
    if wanted.until is not None:
        statement = statement.where(col(ChangeSet.created_at) <= wanted.until)
    return statement


def change_sets(session: Session, wanted: Filter, *, limit: int = 0) -> Iterator[dict[str, Any]]:
    """Stream the change sets that match, the newest first."""
    undos = _undos(session)
    statement = _matching(wanted).order_by(col(ChangeSet.id).desc())
    if limit:
        statement = statement.limit(limit)
    for (found,) in session.execute(statement, execution_options=_STREAMED):
        yield as_row(found, undos)
        session.expunge(found)


def count(session: Session, wanted: Filter) -> int:
    """Return how many change sets match."""
    matching = _matching(wanted).subquery()
    return int(session.execute(sa.select(sa.func.count()).select_from(matching)).scalar_one())


def head(session: Session, number: int) -> dict[str, Any]:
    """Return one change set as a row. Raises NotFoundError."""
    return as_row(find(session, number), _undos(session))


def _undos(session: Session) -> Mapping[int, int]:
    statement = sa.select(col(ChangeSet.undoes), col(ChangeSet.id)).where(col(ChangeSet.undoes).is_not(None))
    return rules.standing_undos((undone, undo) for undone, undo in session.execute(statement))


def as_row(found: ChangeSet, undos: Mapping[int, int]) -> dict[str, Any]:
    """Return a change set under its columns' names, with its number of rows and the undo that stands against it."""
    names = sa.inspect(ChangeSet).columns
    return {column.name: getattr(found, name) for name, column in names.items()} | {
        "rows": rules.total(found.counts),
        "undoneBy": undos.get(found.id or 0),
    }


def recent(session: Session, prefix: str) -> list[tuple[str, str]]:
    """Return the newest change sets whose number begins with `prefix`, with their commands, for completion."""
    statement = (
        sa.select(col(ChangeSet.id), col(ChangeSet.command))
        .where(sa.cast(col(ChangeSet.id), sa.Text).startswith(prefix, autoescape=True))
        .order_by(col(ChangeSet.id).desc())
        .limit(20)
    )
    return [(str(number), command) for number, command in session.execute(statement)]


# -------------------------------------------------------------------------------------------------------------- changes


@cache
def secret_columns() -> Mapping[str, frozenset[str]]:
    """Return, by table, the columns that are never shown: the sealed ones, and those that no model has in its repr."""
    found: dict[str, frozenset[str]] = {}
    for mapper in catalogue.MAPPERS.mappers:
        fields = mapper.class_.model_fields
        names = {
            column.name
            for name, column in mapper.columns.items()
            if isinstance(column.type, SealedText) or not fields[name].repr
        }
        found[str(mapper.local_table.name)] = frozenset(names)  # type: ignore[attr-defined] # a Table, not any FROM
    return found


@cache
def column_order() -> Mapping[str, list[str]]:
    """Return, by table, the names of its columns as the models have them."""
    return {table.name: [column.name for column in table.columns] for table in catalogue.METADATA.tables.values()}


def count_changes(session: Session, number: int, *, table: str | None = None, row: str | None = None) -> int:
    """Return how many row changes a change set holds; a row that it wrote twice counts twice."""
    matching = _changes(change, number, table, row).with_only_columns(sa.func.count())
    return int(session.execute(matching).scalar_one())


def _changes(source: sa.Table, number: int, table: str | None, row: str | None) -> Any:
    statement: Any = sa.select(source).where(source.c.changeSetId == number)
    if table is not None:
        statement = statement.where(source.c.tableName == table)
    if row is not None:
        statement = statement.where(source.c.rowId == row)
    return statement


def changes(
    session: Session, number: int, *, table: str | None = None, row: str | None = None, limit: int = 0
) -> Iterator[dict[str, Any]]:
    """Stream a change set's row changes in the order in which they were made, with their images, secrets hidden."""
    image = change_image.c
    statement = _changes(change_image, number, table, row).order_by(image.step, image.tableName, image.rowId)
    if limit:
        statement = statement.limit(limit)
    secrets, order = secret_columns(), column_order()
    for found in session.execute(statement, execution_options=_STREAMED).mappings():
        hidden = secrets.get(found["tableName"], frozenset())
        yield {
            "changeSetId": number,
            "step": found["step"],
            "table": found["tableName"],
            "id": found["rowId"],
            "operation": found["operation"],
            "before": rules.masked(found["before"], hidden),
            "after": rules.masked(found["after"], hidden),
            # Compared before the secrets were hidden, so that a changed one shows.
            "fields": rules.differing(found["before"], found["after"], order.get(found["tableName"], ())),
        }


def fields(changes: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Split row changes into one row for each field."""
    for item in changes:
        for field in item["fields"]:
            values = {side: (item[side] or {}).get(field) for side in ("before", "after")}
            yield {**item, "field": field, **values}
