"""A merge of leads goes back as a whole or not at all: leads that are back beside one that kept what they had earned
would count twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.admin.audit.sql import Table

# What deletes leads and changes another is a merge, and what takes that back, and back again; an import that made and
# changed leads looks like the one, its undo like the other. So it counts how often a change set takes something back.
_TOGETHER = sa.text(
    """
    WITH RECURSIVE chain AS (
      SELECT undoes, 0 AS depth FROM ibctl.change_set WHERE id = :id
      UNION ALL SELECT s.undoes, depth + 1 FROM chain JOIN ibctl.change_set s ON s.id = chain.undoes
    ), lead AS (
      SELECT * FROM pg_temp.undo_row WHERE table_name = 'Lead'
    )
    UPDATE pg_temp.undo_row r SET state = 'blocked', reason = 'merge', detail = jsonb_build_object('lead', k.row_id)
    FROM (SELECT row_id FROM lead WHERE state <> 'ready' AND reason NOT IN ('same', 'undone') LIMIT 1) k
    WHERE r.state = 'ready' AND EXISTS (SELECT FROM lead WHERE operation = 'update') AND EXISTS (
      SELECT FROM lead WHERE operation = CASE (SELECT max(depth) FROM chain) % 2 WHEN 0 THEN 'insert' ELSE 'delete' END)
    """
)


def block(session: Session, number: int, tables: Mapping[str, Table]) -> None:
    """Mark the ready rows of change set `number` as blocked, where it merged leads and one of them stays as it is."""
    if "Lead" in tables:
        session.execute(_TOGETHER, {"id": number})
