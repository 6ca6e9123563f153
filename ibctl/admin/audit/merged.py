"""A merge of leads goes back as a whole or not at all: leads that are back beside one that kept what they had earned
would count twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.admin.audit.sql import Table

# A merge, and what takes it back, and what takes that back.
_TOGETHER = sa.text(
    r"""
    WITH RECURSIVE chain AS (
      SELECT undoes, command FROM ibctl.change_set WHERE id = :id
      UNION ALL SELECT s.undoes, s.command FROM chain JOIN ibctl.change_set s ON s.id = chain.undoes
    )
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'merge', detail = jsonb_build_object('lead', k.row_id)
    FROM (
      SELECT row_id FROM pg_temp.undo_row
      WHERE table_name = 'Lead' AND state <> 'ready' AND reason NOT IN ('same', 'undone') LIMIT 1
    ) k
    WHERE r.state = 'ready' AND EXISTS (
      SELECT FROM chain WHERE undoes IS NULL
        AND command ~ '^ibctl (--no-color |--env-file[= ](''[^'']*''|\S+) )*leads merge( |$)'
    )
    """
)


def block(session: Session, number: int, tables: Mapping[str, Table]) -> None:
    """Mark the ready rows of change set `number` as blocked, where it merged leads and one of them stays as it is."""
    if "Lead" in tables:
        session.execute(_TOGETHER, {"id": number})
