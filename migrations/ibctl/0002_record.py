"""How writes get into the record, and how they are read out of it: the triggers' function, functions, views."""

from collections.abc import Sequence

from alembic import op

revision: str = "ibctl_0002"
down_revision: str | None = "ibctl_0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# Statement-level: one INSERT … SELECT for any number of rows. Does nothing unless the transaction has set
# `ibctl.change_set` (SET LOCAL), so the web application's own writes are neither recorded nor slowed. `ibctl.step` and
# `ibctl.counts` are kept in the transaction as well: what a savepoint takes back is gone from them, too.
CAPTURE = """
CREATE FUNCTION ibctl.capture() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  change_set bigint := nullif(current_setting('ibctl.change_set', true), '')::bigint;
  this_step bigint;
  written bigint;
  counts jsonb;
BEGIN
  IF change_set IS NULL THEN
    RETURN NULL;
  END IF;
  this_step := coalesce(nullif(current_setting('ibctl.step', true), '')::bigint, 0) + 1;
  PERFORM set_config('ibctl.step', this_step::text, true);
  IF TG_OP = 'INSERT' THEN
    INSERT INTO ibctl.change ("changeSetId", step, "tableName", "rowId", "before", "after")
    SELECT change_set, this_step, TG_TABLE_NAME, n.id, NULL, n::text FROM new_rows n;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO ibctl.change ("changeSetId", step, "tableName", "rowId", "before", "after")
    SELECT change_set, this_step, TG_TABLE_NAME, o.id, o::text, NULL FROM old_rows o;
  ELSE
    INSERT INTO ibctl.change ("changeSetId", step, "tableName", "rowId", "before", "after")
    SELECT change_set, this_step, TG_TABLE_NAME, c.* FROM (
      SELECT o.id, o::text AS old, n::text AS new FROM old_rows o JOIN new_rows n USING (id) OFFSET 0
    ) c WHERE c.old <> c.new;
  END IF;
  GET DIAGNOSTICS written = ROW_COUNT;
  IF written > 0 THEN
    counts := coalesce(nullif(current_setting('ibctl.counts', true), ''), '{}')::jsonb;
    written := written + coalesce((counts #>> ARRAY[TG_TABLE_NAME, lower(TG_OP)])::bigint, 0);
    counts := jsonb_build_object(TG_TABLE_NAME, coalesce(counts -> TG_TABLE_NAME, '{}')
      || jsonb_build_object(lower(TG_OP), written)) || (counts - TG_TABLE_NAME::text);
    PERFORM set_config('ibctl.counts', counts::text, true);
  END IF;
  RETURN NULL;
END $$
"""
# What reads the images. They need the columns' names and types only, so they read them after any change of the tables.
READING = (
    # A row's own text is `(a,"b c",,"d ""e"" f")`: nothing is NULL; in quotes, quotes and backslashes are doubled.
    r"""
    CREATE FUNCTION ibctl.row_fields(image text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (
      SELECT array_agg(f.match[1] ORDER BY f.number)
      FROM regexp_matches(substr(image, 2, length(image) - 2) || ',', '((?:[^",]|"(?:[^"]|"")*")*),', 'g')
        WITH ORDINALITY AS f (match, number)
    )
    """,
    # As to_jsonb() shows the row.
    r"""
    CREATE FUNCTION ibctl.row_image(image text, columns jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (
      SELECT jsonb_object_agg(c.pair ->> 0, CASE
        WHEN v.value IS NULL THEN NULL
        WHEN c.pair ->> 1 IN ('json', 'jsonb') THEN v.value::jsonb
        WHEN c.pair ->> 1 = 'boolean' THEN to_jsonb(v.value = 't')
        WHEN c.pair ->> 1 IN ('smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric')
          AND v.value ~ '^[-+.0-9e]+$' THEN to_jsonb(v.value::numeric)
        WHEN c.pair ->> 1 LIKE 'timestamp%' THEN to_jsonb(regexp_replace(v.value, ' ', 'T'))
        ELSE to_jsonb(v.value) END)
      FROM unnest(ibctl.row_fields(image)) WITH ORDINALITY AS f (raw, number)
      JOIN jsonb_array_elements(columns) WITH ORDINALITY AS c (pair, number) USING (number)
      CROSS JOIN LATERAL (SELECT CASE WHEN left(f.raw, 1) = '"'
        THEN replace(replace(substr(f.raw, 2, length(f.raw) - 2), '""', '"'), '\\', '\') ELSE nullif(f.raw, '') END
      ) v (value)
    )
    """,
    # The row with other values for some of its columns, which come as the members of an object.
    """
    CREATE FUNCTION ibctl.row_with(image text, columns jsonb, fields jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (
      SELECT '(' || string_agg(CASE WHEN fields ? (c.pair ->> 0)
        THEN btrim(ROW(fields ->> (c.pair ->> 0))::text, '()') ELSE f.raw END, ',' ORDER BY number) || ')'
      FROM unnest(ibctl.row_fields(image)) WITH ORDINALITY AS f (raw, number)
      JOIN jsonb_array_elements(columns) WITH ORDINALITY AS c (pair, number) USING (number)
    )
    """,
    # The columns that the recorded tables have now, as [["id", "text"], …].
    """
    CREATE VIEW ibctl.table_columns AS
    SELECT c.relname::text AS "tableName",
      jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, NULL)) ORDER BY a.attnum) AS columns
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('ibctl', current_schema()))
      AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname = 'ibctl_capture_insert')
    GROUP BY c.oid, c.relname
    """,
    # A transaction's own changes have no change set until it ends.
    """
    CREATE VIEW ibctl.change_image AS
    SELECT c."changeSetId", c.step, c."tableName", c."rowId", c."before" AS "beforeText", c."after" AS "afterText",
      CASE WHEN c."before" IS NULL THEN 'insert' WHEN c."after" IS NULL THEN 'delete' ELSE 'update' END AS operation,
      ibctl.row_image(c."before", n.columns) AS "before", ibctl.row_image(c."after", n.columns) AS "after", n.columns
    FROM ibctl.change c
    LEFT JOIN ibctl.change_set s ON s.id = c."changeSetId"
    LEFT JOIN ibctl.table_columns t ON s.id IS NULL AND t."tableName" = c."tableName"
    CROSS JOIN LATERAL (SELECT coalesce(s.columns -> c."tableName", t.columns)) n (columns)
    """,
)  # fmt: skip


def upgrade() -> None:
    for statement in (CAPTURE, *READING):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ibctl_credential_lead")
    # CASCADE takes the capture triggers on the platform's tables along with their function.
    op.execute("DROP FUNCTION ibctl.capture() CASCADE")
    op.execute("DROP VIEW ibctl.change_image, ibctl.table_columns")
    op.execute("DROP FUNCTION ibctl.row_image(text, jsonb), ibctl.row_with(text, jsonb, jsonb), ibctl.row_fields(text)")
