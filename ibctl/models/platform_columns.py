"""The columns of the web application's tables, in Prisma's way: types, defaults, foreign keys, names of indexes.

Ids and time stamps are made in Python, as Prisma makes them in JavaScript: the database has no default for `id` and
`updatedAt`, and its CURRENT_TIMESTAMP is local time where a session is not UTC. Every function returns a new Column,
since two tables cannot share one.
"""

import datetime as dt
import enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from ibctl import clock, ids
from ibctl.crypto import SealedText


class UtcTime(sa.types.TypeDecorator[dt.datetime]):
    """`TIMESTAMP(3)`: naive UTC in, cut to milliseconds (PostgreSQL would round up), naive UTC out."""

    impl = TIMESTAMP
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(precision=3)

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Refuse a time with a zone: the driver would shift it silently into the session's zone."""
        if value is None:
            return None
        if value.tzinfo is not None:
            raise TypeError(f"{value!r} has a zone; the shared tables hold naive UTC")
        return clock.to_milliseconds(value)


def _column(name: str, type_: Any, default: str | None = None, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, type_, server_default=None if default is None else sa.text(default), nullable=nullable)


def cuid() -> sa.Column[Any]:
    """Return the primary key."""
    return sa.Column("id", sa.Text(), primary_key=True, default=ids.cuid)


def text(name: str, default: str | None = None, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a text column."""
    return _column(name, sa.Text(), None if default is None else f"'{default}'", nullable=nullable)


def flag(name: str, default: bool) -> sa.Column[Any]:
    """Return a boolean column."""
    return _column(name, sa.Boolean(), str(default).lower())


def integer(name: str, default: int | None = None) -> sa.Column[Any]:
    """Return a column of 32-bit integers."""
    return _column(name, sa.Integer(), None if default is None else str(default))


def double(name: str, default: int | None = None, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column of Prisma's Float."""
    return _column(name, sa.Double(), None if default is None else str(default), nullable=nullable)


def date(name: str) -> sa.Column[Any]:
    """Return a column of Prisma's `@db.Date`."""
    return _column(name, sa.Date())


def time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a column of moments, which are always given."""
    return _column(name, UtcTime(), nullable=nullable)


def now(name: str) -> sa.Column[Any]:
    """Return a column of moments that are now unless they are given."""
    at_insert = sa.text("CURRENT_TIMESTAMP")
    return sa.Column(name, UtcTime(), server_default=at_insert, default=clock.now, nullable=False)


def created() -> sa.Column[Any]:
    """Return `createdAt`."""
    return now("createdAt")


def updated() -> sa.Column[Any]:
    """Return `updatedAt`, which every UPDATE through SQLAlchemy sets."""
    return sa.Column("updatedAt", UtcTime(), default=clock.now, onupdate=clock.now, nullable=False)


def json(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a jsonb column. None is SQL NULL, never jsonb `null`, which a required column would let through."""
    return _column(name, JSONB(none_as_null=True), nullable=nullable)


def sealed(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return an encrypted column."""
    return _column(name, SealedText(), nullable=nullable)


def choice(name: str, labels: type[enum.StrEnum], default: str) -> sa.Column[Any]:
    """Return a column of an enum, which has its Python class's name in the database too."""
    return _column(name, sa.Enum(labels, name=labels.__name__), f"'{default}'")


def reference(table: str, name: str, target: str, *, nullable: bool = False) -> sa.Column[Any]:
    """Return a foreign key with Prisma's rules: a row in use cannot be deleted, an optional reference becomes NULL."""
    rule = "SET NULL" if nullable else "RESTRICT"
    key = sa.ForeignKey(f"{target}.id", name=f"{table}_{name}_fkey", ondelete=rule, onupdate="CASCADE")
    return sa.Column(name, sa.Text(), key, nullable=nullable)


def unique(table: str, *names: str) -> sa.Index:
    """Return what Prisma makes of `@unique`: an index, not a constraint."""
    return sa.Index("_".join((table, *names, "key")), *names, unique=True)


def index(table: str, *names: str) -> sa.Index:
    """Return what Prisma makes of `@@index`."""
    return sa.Index("_".join((table, *names, "idx")), *names)
