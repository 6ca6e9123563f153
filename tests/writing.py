"""Writes for the tests of the database: a user, leads, statements in a transaction of their own, and where it is."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlmodel import Session

from ibctl import config, db

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


def connect_to(monkeypatch: pytest.MonkeyPatch, url: str, **settings: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    config.use_env_file(None)
    db.forget()
