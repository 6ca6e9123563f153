"""Writes for the tests of the database: a user, leads, and statements in a transaction of their own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import db

NEW_USER = "INSERT INTO \"User\" (id, email, password, \"updatedAt\") VALUES ('u', 'ib@x.com', 'x', '2025-10-01')"
NEW_LEADS = (
    'INSERT INTO "Lead" (id, "userId", "updatedAt")'
    " SELECT 'l' || n, 'u', '2025-10-01' FROM generate_series(1, {}) AS n"
)


def run(session: Session, statement: str, **values: Any) -> None:
    session.execute(sa.text(statement), values)


def write(*statements: str) -> db.Written:
    with db.transaction() as session:
        for statement in statements:
            run(session, statement)
    return session.written
