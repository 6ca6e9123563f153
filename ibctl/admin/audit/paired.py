"""A commission and its state, which names the snapshot behind it, go back together or not at all.

A row that is gone beside a state that stays would be made anew under another id, and one that stays without a state
would have been made by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.admin.audit.sql import Table

_TOGETHER = ("IbCommission", "commission_state")
# Both have the same id.
_KEEP = sa.text(
    """
    UPDATE pg_temp.undo_row r SET state = 'kept', reason = 'companion', by = NULL,
      detail = jsonb_build_object('table', o.table_name, 'id', o.row_id)
    FROM pg_temp.undo_row o
    WHERE r.state = 'ready' AND o.state <> 'ready' AND o.reason NOT IN ('undone', 'same')
      AND r.table_name = ANY(:together) AND o.table_name = ANY(:together) AND r.row_id = o.row_id
    """
)


def block(session: Session, tables: Mapping[str, Table]) -> None:
    """Mark the ready ones among a commission and its state as kept where the other one stays as it is."""
    if tables.keys() >= set(_TOGETHER):
        session.execute(_KEEP, {"together": list(_TOGETHER)})
