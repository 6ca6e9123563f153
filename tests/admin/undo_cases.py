"""What the tests of undo share: writing as a command would, the state of the tables, lists as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from ibctl import db
from ibctl.admin.audit import undo as undoing
from tests.conftest import Result

Sql = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., Result]

TABLES = (
    '"User"',
    '"Lead"',
    '"LeadActivity"',
    '"InvestorCredential"',
    '"AdTemplate"',
    "ibctl.exchange_rate",
    "ibctl.lead_transfer",
)
USER = "INSERT INTO \"User\" (id, email, password, \"updatedAt\") VALUES (:id, :email, 'x', '2025-10-01')"
LEAD = (
    'INSERT INTO "Lead" (id, "userId", "trackingToken", "leadCapturedAt", "updatedAt")'
    " VALUES (:id, :user, :token, '2025-10-05 12:00', '2025-10-01')"
)


def write(*statements: str | tuple[str, dict[str, Any]], undoes: int | None = None) -> int:
    """Run statements as one command of ibctl, and return its change set."""
    with db.transaction(undoes=undoes) as session:
        for statement in statements:
            text, values = (statement, {}) if isinstance(statement, str) else statement
            session.execute(sa.text(text), values)
    assert session.written.change_set is not None
    return session.written.change_set


def lead(id_: str, user: str | None = None, token: str | None = None) -> tuple[str, dict[str, Any]]:
    return LEAD, {"id": id_, "user": user, "token": token}


def user(id_: str, email: str | None = None) -> tuple[str, dict[str, Any]]:
    return USER, {"id": id_, "email": email or f"{id_}@x.com"}


def state(sql: Sql, tables: Sequence[str] = TABLES) -> list[tuple[Any, ...]]:
    """Every row of the tables, in the database's own words."""
    selects = (f"SELECT '{table}' AS t, id, t::text AS row, to_jsonb(t) FROM {table} t" for table in tables)
    return sql(" UNION ALL ".join(selects) + " ORDER BY 1, 2")


def take_back(number: int) -> tuple[undoing.Outcome, int | None]:
    with db.transaction(undoes=number) as session:
        outcome = undoing.undo(session, number)
    return outcome, session.written.change_set


def listed(result: Result) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in json.loads(result.stdout)}
