"""The statements of an undo: over sets, never a row at a time, so that a million rows never pass through Python.

`undo_row` is the working list: one line for each row that the change set wrote, with the net effect in view. Its
`operation` is what takes that effect back, its `state` where the row stands:

    ready    to be taken back, and in the end: taken back
    held     left out of the present round
    kept, blocked, failed    not taken back; `reason`, `by` (a later change set) and `detail` say why

Names of tables and columns come from the catalog, quoted by PostgreSQL; every value is bound.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True)
class Reference:
    """A foreign key of another table to this one's id; all names but `table` are quoted."""

    table: str
    relation: str
    column: str
    # RESTRICT or NO ACTION: the database refuses. Otherwise it would change or delete the referring row.
    refuses: bool


@dataclass(frozen=True)
class Table:
    """A table as it is in the database now; `relation` is its quoted name with its schema.

    `columns` are those that can be written, quoted; `once`: no row of it was written twice.
    """

    name: str
    relation: str
    columns: tuple[str, ...]
    references: tuple[Reference, ...]
    once: bool


CREATE = sa.text(
    """
    CREATE TEMP TABLE undo_row (
      number bigint NOT NULL, table_name text NOT NULL, row_id text NOT NULL, first_step bigint NOT NULL,
      last_step bigint NOT NULL, operation text NOT NULL, state text NOT NULL, reason text, by bigint, detail jsonb
    ) ON COMMIT DROP
    """
)
ANALYZE = sa.text("ANALYZE pg_temp.undo_row")
# For the halving of what the database refuses.
INDEX = sa.text("CREATE UNIQUE INDEX IF NOT EXISTS undo_row_number ON pg_temp.undo_row (number)")
# Statistics about a change set that has just been written are stale or missing, and a nested loop over 100,000 rows
# that were taken for one never ends.
LARGE = 2000
PLAN_FOR_MANY = sa.text(
    """
    SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '64MB', true),
      set_config('jit', 'off', true)
    """
)

_FIRST = """c."changeSetId" = :id AND c.step = r.first_step AND c."tableName" = r.table_name AND c."rowId" = r.row_id"""

# What an undo_row `r` was before the change set, and as what that wrote it first.
IMAGE = f"JOIN ibctl.change_image c ON {_FIRST}"

# ------------------------------------------------------------------------------------------------------ the net effect

# What the change set did to the rows of a table, and as what it left them.
_ONCE = """
        SELECT c."rowId" AS row_id, c.step AS first_step, c.step AS last_step,
          CASE WHEN c."before" IS NULL THEN 'delete' ELSE 'insert' END AS operation, c."after" AS image
        FROM ibctl.change c WHERE c."changeSetId" = :id AND c."tableName" = :table"""
# Of the rows that it left as they were, nothing.
_IN_ALL = """
        SELECT c."rowId" AS row_id, s.first_step, s.last_step, CASE WHEN c."before" IS NULL THEN 'delete'
          WHEN l."after" IS NULL THEN 'insert' ELSE 'update' END AS operation, l."after" AS image
        FROM (
          SELECT "rowId", min(step) AS first_step, max(step) AS last_step
          FROM ibctl.change WHERE "changeSetId" = :id AND "tableName" = :table GROUP BY 1
        ) s
        JOIN ibctl.change c ON c."changeSetId" = :id AND c.step = s.first_step AND c."tableName" = :table
          AND c."rowId" = s."rowId"
        JOIN ibctl.change l ON l."changeSetId" = :id AND l.step = s.last_step AND l."tableName" = :table
          AND l."rowId" = s."rowId"
        WHERE c."before" IS DISTINCT FROM l."after\""""


def written_once(kinds: Collection[str]) -> bool:
    """Say whether no row can have been written twice, by the kinds of changes to its table."""
    return set(kinds) in ({"insert"}, {"delete"})


def _list(once: bool, state: str, join: str = "") -> str:
    return f"""
      INSERT INTO pg_temp.undo_row
      SELECT (SELECT coalesce(max(number), 0) FROM pg_temp.undo_row) + row_number() OVER (), :table, n.*
      FROM (
        SELECT n.row_id, n.first_step, n.last_step, n.operation, {state} FROM ({_ONCE if once else _IN_ALL}
        ) n {join} ORDER BY n.row_id COLLATE "C"
      ) n
    """


def fail(*, once: bool) -> sa.TextClause:
    """Return what lists the rows of a table that cannot be worked on, with the reason."""
    return sa.text(_list(once, "'failed', :reason, CAST(NULL AS bigint), CAST(:detail AS jsonb)"))


# ---------------------------------------------------------------------------------------------------------- the catalog

# A table with what its columns were when the change set was written, and what they are now; relation NULL: it is gone.
TABLES = sa.text(
    """
    SELECT t.table_name, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation,
      s.columns->t.table_name AS then,
      coalesce(jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, NULL)) ORDER BY a.attnum)
        FILTER (WHERE a.attname IS NOT NULL), '[]') AS now,
      array_agg(quote_ident(a.attname) ORDER BY a.attnum) FILTER (WHERE a.attgenerated = '') AS written
    FROM ibctl.change_set s CROSS JOIN LATERAL jsonb_object_keys(s.counts) t (table_name)
    LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace)
      ON c.relname = t.table_name AND c.relkind IN ('r', 'p')
      AND n.nspname = CASE WHEN t.table_name = ANY(:captured) THEN 'ibctl' ELSE current_schema() END
    LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE s.id = :id GROUP BY 1, 2, 3 ORDER BY 1
    """
)
# Foreign keys of one column to the `id` of a table of the list. Others are left to the database itself.
REFERENCES = sa.text(
    """
    SELECT p.relname AS parent, c.relname AS child, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS relation,
      quote_ident(a.attname) AS column, k.confdeltype IN ('a', 'r') AS refuses
    FROM pg_constraint k
    JOIN pg_class p ON p.oid = k.confrelid JOIN pg_class c ON c.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
    JOIN pg_attribute i ON i.attrelid = p.oid AND i.attnum = k.confkey[1] AND i.attname = 'id'
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND k.confrelid = ANY(CAST(:relations AS regclass[]))
      AND has_table_privilege(c.oid, 'SELECT')
    ORDER BY 1, 2, 4
    """
)

# ------------------------------------------------------------------------------------------------- what can be reversed


def compare(table: Table) -> list[sa.TextClause]:
    """Return what lists a table's rows, `ready` where they are as the change set left them, and locks them before."""
    # Locked before they are looked at: what is compared here is what will be written over.
    lock = f"""
      SELECT count(*) FROM (
        SELECT FROM {table.relation} cur
        WHERE cur.id IN (
          SELECT c."rowId" FROM ibctl.change c WHERE c."changeSetId" = :id AND c."tableName" = :table
        ) FOR UPDATE
      ) locked
    """
    state = "CASE WHEN n.image IS NOT DISTINCT FROM CAST(cur AS text) THEN 'ready' ELSE 'kept' END"
    return [sa.text(lock), sa.text(_list(table.once, state, f"LEFT JOIN {table.relation} cur ON cur.id = n.row_id"))]


def explain_kept(table: Table) -> list[sa.TextClause]:
    """Return what gives each row that is not as the change set left it its reason, and the change set behind it.

    That is the last one that wrote the row, where the row is still as that one left it; else it was not ibctl.
    """
    compared = f"""
      UPDATE pg_temp.undo_row r SET by = x.by, detail = jsonb_build_object('updatedAt', x.changed),
        reason = CASE WHEN x.image IS NOT DISTINCT FROM x."before" THEN 'same' WHEN x.image IS NULL THEN 'deleted'
          WHEN r.operation = 'insert' THEN 'recreated' ELSE 'edited' END
      FROM (
        SELECT r.number, c."before", now.image, to_jsonb(cur)->>'updatedAt' AS changed,
          CASE WHEN l."after" IS NOT DISTINCT FROM now.image THEN l.by END AS by
        FROM pg_temp.undo_row r
        JOIN ibctl.change c ON {_FIRST}
        LEFT JOIN {table.relation} cur ON cur.id = r.row_id
        -- OFFSET 0: once for each row that is left, not for all and at every mention.
        CROSS JOIN LATERAL (SELECT CAST(cur AS text) AS image OFFSET 0) now
        LEFT JOIN LATERAL (
          -- By the index of row ids: that of change sets would give every later change, for each row anew.
          SELECT later."changeSetId" AS by, later."after" FROM ibctl.change later
          WHERE later."rowId" = r.row_id AND later."tableName" = r.table_name AND later."changeSetId" + 0 > :id
          ORDER BY later."changeSetId" DESC, later.step DESC LIMIT 1
        ) l ON true
        WHERE r.table_name = :table AND r.state = 'kept'
      ) x
      WHERE x.number = r.number
    """
    # As before: because of an undo, or because somebody did the same as an undo would.
    undone = """
      UPDATE pg_temp.undo_row r SET reason = CASE
        WHEN EXISTS (SELECT FROM ibctl.change_set s WHERE s.id = r.by AND s.undoes IS NOT NULL) THEN 'undone'
        WHEN r.operation = 'delete' THEN 'deleted' WHEN r.operation = 'insert' THEN 'recreated' ELSE 'same' END
      WHERE r.table_name = :table AND r.reason = 'same'
    """
    return [sa.text(compared), sa.text(undone)]


# ------------------------------------------------------------------------------------------------------------ reversing

_GROUP = """r.table_name = :table AND r.operation = :operation AND r.state = :state"""
_RANGE = f"{_GROUP} AND r.number BETWEEN :low AND :high"
# Rows that another attempt may free, by their reasons.
_STUCK = "r.state = 'failed' AND r.reason = ANY(:reasons)"
_STEP = f"{_STUCK} AND r.table_name = :table"

GROUPS = sa.text(
    """
    SELECT table_name, operation, min(number) AS low, max(number) AS high FROM pg_temp.undo_row WHERE state = :state
    GROUP BY 1, 2
    """
)
# The steps that made what is stuck, the last first; what takes each of them back.
STEPS = sa.text(
    f"""
    SELECT DISTINCT c.step, c."tableName" AS table,
      CASE WHEN c."before" IS NULL THEN 'delete' WHEN c."after" IS NULL THEN 'insert' ELSE 'update' END AS operation
    FROM pg_temp.undo_row r JOIN ibctl.change c
      ON c."changeSetId" = :id AND c."tableName" = r.table_name AND c."rowId" = r.row_id
    WHERE {_STUCK} ORDER BY 1 DESC
    """
)
MARK_REFUSED = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'failed', reason = 'refused', by = NULL, detail = CAST(:detail AS jsonb)
    WHERE {_RANGE}
    """
)
MARK_DONE = sa.text(
    f"UPDATE pg_temp.undo_row r SET state = 'ready', reason = NULL, by = NULL, detail = NULL WHERE {_RANGE}"
)
MARK_REPLAYED = sa.text(
    f"UPDATE pg_temp.undo_row r SET state = 'ready', reason = NULL, by = NULL, detail = NULL WHERE {_STUCK}"
)
COUNT_STUCK = sa.text(f"SELECT count(*) FROM pg_temp.undo_row r WHERE {_STUCK}")
RELEASE_HELD = sa.text("UPDATE pg_temp.undo_row SET state = 'failed' WHERE state = 'held'")
# Not the database's decision but ibctl's.
KEEP_HELD = sa.text(
    "UPDATE pg_temp.undo_row SET state = 'kept' WHERE state = 'failed' AND reason IN ('linked', 'companion')"
)


def reverse(table: Table, operation: str) -> sa.TextClause:
    """Return what takes back the net effect on the rows of a group whose numbers lie in a range."""
    # A new row is deleted whatever it held.
    image = "" if operation == "delete" else f"JOIN ibctl.change c ON {_FIRST}"
    return _reverse(table, operation, image, _RANGE)


def reverse_step(table: Table, operation: str) -> sa.TextClause:
    """Return what takes back one step of the change set on those rows that are stuck so far."""
    return _reverse(table, operation, f"JOIN ibctl.change c ON {_FIRST.replace('r.first_step', ':step')}", _STEP)


def _reverse(table: Table, operation: str, image: str, where: str) -> sa.TextClause:
    source = f"pg_temp.undo_row r {image}"
    # OFFSET 0: once for each row, not once for each of its columns.
    imaged = f'{source} CROSS JOIN LATERAL (SELECT CAST(c."before" AS {table.relation}) AS image OFFSET 0) b'
    if operation == "delete":
        return sa.text(f"DELETE FROM {table.relation} cur USING {source} WHERE {where} AND cur.id = r.row_id")
    if operation == "insert":
        names, values = ", ".join(table.columns), ", ".join(f"(b.image).{column}" for column in table.columns)
        return sa.text(f"INSERT INTO {table.relation} ({names}) SELECT {values} FROM {imaged} WHERE {where}")
    settings = ", ".join(f"{column} = (b.image).{column}" for column in table.columns)
    return sa.text(f"UPDATE {table.relation} cur SET {settings} FROM {imaged} WHERE {where} AND cur.id = r.row_id")


def hold(reference: Reference) -> sa.TextClause:
    """Return what holds back the rows of a group of deletions that rows of another table refer to."""
    return sa.text(
        f"""
        UPDATE pg_temp.undo_row r SET state = 'held', reason = :reason, by = NULL, detail = x.detail
        FROM (
          SELECT child.{reference.column} AS id,
            jsonb_build_object('rows', count(*), 'table', CAST(:child AS text)) AS detail
          FROM {reference.relation} child
          WHERE child.{reference.column} IN (SELECT r.row_id FROM pg_temp.undo_row r WHERE {_GROUP}) GROUP BY 1
        ) x
        WHERE {_GROUP} AND x.id = r.row_id
        """
    )


# A row that goes with another one, which its image names under :key: it is not taken back without that one.
HOLD_COMPANIONS = sa.text(
    f"""
    UPDATE pg_temp.undo_row r SET state = 'held', reason = 'companion', by = NULL,
      detail = jsonb_build_object('table', main.table_name, 'id', main.row_id)
    FROM ibctl.change_image c, pg_temp.undo_row main
    WHERE {_GROUP} AND {_FIRST} AND main.table_name = :main
      AND main.row_id = coalesce(c."before", c."after")->>CAST(:key AS text)
      AND main.state <> 'ready' AND main.reason NOT IN ('undone', 'same')
    """
)


def linked(reference: Reference) -> sa.TextClause:
    """Return what counts the rows of another table that would change if a step's new rows were deleted."""
    return sa.text(
        f"""
        SELECT count(*) FROM {reference.relation} child WHERE child.{reference.column} IN (
          SELECT r.row_id FROM pg_temp.undo_row r
          JOIN ibctl.change c ON {_FIRST.replace("r.first_step", ":step")} WHERE {_STEP})
        """
    )


# ------------------------------------------------------------------------------------------------------------- outcome


def back(table: Table, column: str) -> sa.TextClause:
    """Return what reads a column of the rows that were put or set back, where it holds something."""
    return sa.text(
        f"""
        SELECT cur."{column}" FROM {table.relation} cur JOIN pg_temp.undo_row r ON r.row_id = cur.id
        WHERE r.table_name = :table AND r.state = 'ready' AND r.operation <> 'delete' AND cur."{column}" IS NOT NULL
        """
    )


OUTCOME = sa.text(
    """
    SELECT state, reason, table_name, operation, count(*) AS rows FROM pg_temp.undo_row GROUP BY 1, 2, 3, 4
    ORDER BY table_name, operation
    """
)
UNDONE_BY = sa.text(
    """
    SELECT s.id, s.actor, s.command FROM ibctl.change_set s
    WHERE s.id = (SELECT max(by) FROM pg_temp.undo_row WHERE reason = 'undone')
    """
)
ROWS = sa.text(
    """
    SELECT CASE WHEN r.state = 'ready' THEN 'reversed' WHEN r.reason IN ('undone', 'same') THEN 'already'
        ELSE r.state END AS result,
      r.table_name AS table, r.row_id AS id, r.operation, r.reason, r.detail, s.id AS by, s.actor, s.command
    FROM pg_temp.undo_row r LEFT JOIN ibctl.change_set s ON s.id = r.by
    WHERE :all OR r.state <> 'ready'
    ORDER BY array_position(ARRAY['failed', 'blocked', 'kept', 'ready'], r.state), r.number
    LIMIT CAST(:limit AS bigint)
    """
)


def escaped(identifier: str) -> str:
    """Return a quoted identifier as SQLAlchemy's `text` takes it."""
    return identifier.replace(":", "\\:")
