"""What `ibctl db info` says of a database, and an upgrade in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import db
from ibctl.admin.database import schema
from ibctl.admin.database.schema import Platform, UpgradeResult

_MADE = {
    Platform.CREATED: "the database was empty and has been created",
    Platform.OURS: "the database is up to date",
    Platform.ADOPTED: "the web application's database is up to date; its own tables were not touched",
}

_INFO = sa.text(
    """
    SELECT current_setting('server_version') AS server, current_database() AS database, current_user AS user,
      pg_database_size(current_database()) AS size,
      (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'ibctl\\_capture\\_%') AS triggers,
      to_regclass('ibctl.change_set') IS NOT NULL AS prepared, to_regclass('"User"') IS NOT NULL AS platform
    """
)


def info(session: Session) -> dict[str, Any]:
    """Return one row about the connected database; works on one that ibctl has not been let at yet."""
    target, found = db.address(), session.execute(_INFO).one()
    revisions = schema.revisions(session.connection())
    change_sets = "SELECT count(*) FROM ibctl.change_set"
    return {
        "address": target.masked,
        "schema": target.schema,
        "pooler": target.pgbouncer,
        "server": f"PostgreSQL {found.server}",
        "database": found.database,
        "user": found.user,
        "sizeBytes": found.size,
        "revision": ", ".join(sorted(revisions)) or None,
        "madeBy": _maker(revisions) if found.platform else None,
        "triggers": found.triggers,
        "changeSets": session.execute(sa.text(change_sets)).scalar_one() if found.prepared else None,
    }


def _maker(revisions: Sequence[str]) -> str:
    return "ibctl" if any(name.startswith("platform") for name in revisions) else "the web application"


def describe(result: UpgradeResult) -> str:
    """Say what an upgrade did, in one line."""
    moved = [revision for revision in result.after if revision not in result.before]
    done = f" (now at {', '.join(sorted(moved))})" if moved else ""
    put_back = f"; {len(result.triggers)} triggers put in place" if result.triggers else ""
    made = f"; index {', '.join(index.name for index in result.indexes)} made" if result.indexes else ""
    return _MADE[result.platform] + done + put_back + made
