"""Many rows at once, straight through the driver: into a table by COPY, out of a query as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlmodel import Session


def copy(session: Session, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run a `COPY … FROM STDIN` with these rows, inside the session's transaction. An error of `rows` ends it."""
    with _driver(session).cursor() as cursor, cursor.copy(statement) as stream:
        for row in rows:
            stream.write_row(row)


def copy_text(session: Session, statement: str, blocks: Iterable[str]) -> None:
    """Run a `COPY … FROM STDIN` with blocks of lines in COPY's own text format, as `copy` does with rows."""
    with _driver(session).cursor() as cursor, cursor.copy(statement) as stream:
        for block in blocks:
            stream.write(block)


@contextmanager
def streamed(session: Session, query: sa.TextClause, values: Mapping[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
    """Give the rows of a query while the server makes the next ones; of `values` it takes those that it names.

    A cursor on the server would make some, and wait until they are read. No other statement can run inside; to leave it
    before the last row cancels the query, and with it the transaction or the savepoint around it.
    """
    named = {name: values[name] for name in query.compile().params}
    compiled = query.bindparams(**named).compile(dialect=session.get_bind().dialect)
    with (
        _driver(session).cursor(row_factory=dict_row) as cursor,
        closing(cursor.stream(str(compiled), compiled.params)) as rows,
    ):
        yield rows


def undecoded(session: Session, statement: str) -> Any:
    """Execute a statement and return the driver's cursor over its rows, each a dict; `rowcount` says how many.

    They are in memory and decoded only when they are read, which another thread can do while the session goes on.
    """
    cursor = _driver(session).cursor(row_factory=dict_row)
    return cursor.execute(statement)


def _driver(session: Session) -> Any:
    return session.connection().connection.driver_connection
