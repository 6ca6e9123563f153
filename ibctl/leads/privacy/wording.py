"""Takes persons out of what people wrote: command lines and reasons, in the record of changes and beside commissions.

Works on texts, wherever they stand: what one becomes is found out once, and put into every place that has it. For
`privacy`, whose tables `lead_erased` (the leads) and `lead_about` (what the record has about them) are read here.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.leads import contacts

# In the place of what a text said about a person.
BLANK = "[erased]"
# Free texts in tables of ibctl's own, by table. Those but the first are recorded: their images hold them, too.
_TEXTS = {
    "change_set": ("command", "reason"),
    "adjustment": ("reason",),
    "commission_hold": ("reason", "releaseReason"),
    "closed_month": ("reason",),
}
_RECORDED = [table for table in _TEXTS if table != "change_set"]
_FIELDS = sorted({column for table in _RECORDED for column in _TEXTS[table]})

_PLACES = " UNION ".join(
    f'SELECT "{column}" FROM ibctl.{table}' for table, columns in _TEXTS.items() for column in columns
)
_IMAGES = f"""ibctl.change_image c CROSS JOIN LATERAL (VALUES (c."before"), (c."after")) i (image)
      WHERE c."tableName" IN ({", ".join(f"'{table}'" for table in _RECORDED)})"""
_CREATE_TEXTS = sa.text(
    f"""
    CREATE TEMP TABLE lead_text ON COMMIT DROP AS
    SELECT said FROM ({_PLACES} UNION {" UNION ".join(f"SELECT i.image->>'{name}' FROM {_IMAGES}" for name in _FIELDS)})
      t (said)
    WHERE said IS NOT NULL
    """
)
# What the persons are called. By the first kind one is known wherever it stands; a token of letters alone can be any
# word. By the second only in what was said with a write about the person; of one or two letters it occurs by chance.
_CREATE_NAMES = sa.text(
    """
    CREATE TEMP TABLE lead_named ON COMMIT DROP AS
    SELECT DISTINCT n.kind, n.name
    FROM lead_about a CROSS JOIN LATERAL (VALUES (a.image), (a.later)) i (image)
    CROSS JOIN LATERAL (VALUES ('known', i.image->>'email'), ('known', i.image->>'phone'),
      ('known', substring(i.image->>'trackingToken' from '^.*[^[\\:alpha\\:]].*$')),
      ('weak', i.image->>'trackingToken'), ('weak', i.image->>'firstName'), ('weak', i.image->>'systemeContactId'),
      ('weak', i.image->>'login'), ('weak', i.image->>'description')) n (kind, name)
    WHERE length(n.name) > 2
    """
)
# A text is taken apart at its blanks, then at all marks, and into its numbers, which people write in many ways. Names
# are compared as they are, as a shell quotes them, and numbers without their spacing.
_CREATE_WORDS = sa.text(
    rf"""
    CREATE TEMP TABLE lead_word ON COMMIT DROP AS
    WITH piece AS MATERIALIZED (
      SELECT said, w.word, lower(w.word) AS key FROM lead_text CROSS JOIN LATERAL (
        SELECT btrim(word, '''"`.,;\:!?()<>[]{{}}') FROM regexp_split_to_table(said, '\s+') word
        UNION SELECT btrim(word, '''".!?-') FROM regexp_split_to_table(said, '[][\s<>,;(){{}}=\:/|]+') word
        UNION SELECT btrim(word, '.!?-') FROM regexp_split_to_table(said, '[][\s<>,;(){{}}=\:/|''"]+') word) w (word)
      UNION
      SELECT said, n.match[1], {contacts.phone_key_sql("n.match[1]")}
      FROM lead_text CROSS JOIN LATERAL regexp_matches(said, '\+?[0-9][0-9 ()./-]{{4,}}[0-9]', 'g') n (match)
    ), known AS (
      SELECT lower(name) AS key FROM lead_named WHERE kind = 'known'
      UNION SELECT lower(replace(name, '''', '''"''"''')) FROM lead_named WHERE kind = 'known'
      UNION SELECT {contacts.phone_key_sql("name")} FROM lead_named
      WHERE kind = 'known' AND name ~ '^\+?[0-9][-0-9 ()./]+$'
    ), about AS (
      SELECT command AS said FROM ibctl.change_set WHERE id IN (SELECT "changeSetId" FROM lead_about)
      UNION SELECT reason FROM ibctl.change_set WHERE id IN (SELECT "changeSetId" FROM lead_about)
      UNION SELECT CAST(:reason AS text)
    ), found AS (
      SELECT said, word FROM piece JOIN known USING (key)
      UNION SELECT said, name FROM about JOIN lead_named ON strpos(lower(said), lower(name)) > 0
    )
    SELECT said, word, row_number() OVER (PARTITION BY said ORDER BY length(word) DESC, word) AS number FROM found
    """
)
# Whole words only: Ann is not to be taken out of "channel".
_PATTERN = r"""'(?<![[\:alnum\:]])' || regexp_replace(w.word, '([^[\:alnum\:]])', '\\\1', 'g') || '(?![[\:alnum\:]])'"""
_CREATE_CLEAN = sa.text(
    rf"""
    CREATE TEMP TABLE lead_clean ON COMMIT DROP AS
    WITH RECURSIVE done AS (
      SELECT DISTINCT said, said AS clean, CAST(0 AS bigint) AS number FROM lead_word
      UNION ALL
      SELECT d.said, regexp_replace(d.clean, {_PATTERN}, :blank, 'gi'), w.number
      FROM done d JOIN lead_word w ON w.said = d.said AND w.number = d.number + 1
    )
    SELECT DISTINCT ON (said) said, clean FROM done ORDER BY said, number DESC
    """
)
_CLEAN_ROWS = [
    f'UPDATE ibctl.{table} t SET "{column}" = clean FROM lead_clean WHERE t."{column}" = said AND clean <> said'
    for table, columns in _TEXTS.items()
    for column in columns
]
_FIELD = """(SELECT jsonb_object_agg(f.name, k.clean) FROM unnest(CAST(:fields AS text[])) f (name)
        JOIN lead_clean k ON k.said = {0}->>f.name)"""
# After the rows, whose own images hold what stood in them.
_CLEAN_IMAGES = sa.text(
    f"""
    UPDATE ibctl.change c SET
      "before" = coalesce(ibctl.row_with(c."before", i.columns, i.old), c."before"),
      "after" = coalesce(ibctl.row_with(c."after", i.columns, i.new), c."after")
    FROM (
      SELECT "changeSetId", step, "tableName", "rowId", columns, {_FIELD.format('"before"')} AS old,
        {_FIELD.format('"after"')} AS new
      FROM ibctl.change_image WHERE "tableName" = ANY(:tables)
    ) i
    WHERE c."changeSetId" = i."changeSetId" AND c.step = i.step AND c."tableName" = i."tableName"
      AND c."rowId" = i."rowId" AND (i.old IS NOT NULL OR i.new IS NOT NULL)
    """
)


def scrub(session: Session, reason: str | None) -> str | None:
    """Take the persons out of every text, and return `reason`, which is not stored yet, without them."""
    for statement in (_CREATE_TEXTS, _CREATE_NAMES):
        session.execute(statement)
    session.execute(_CREATE_WORDS, {"reason": reason})
    session.execute(_CREATE_CLEAN, {"blank": BLANK})
    for update in _CLEAN_ROWS:
        session.execute(sa.text(update))
    session.execute(_CLEAN_IMAGES, {"tables": _RECORDED, "fields": _FIELDS})
    clean = session.execute(sa.text("SELECT clean FROM lead_clean WHERE said = :reason"), {"reason": reason}).scalar()
    return reason if clean is None else str(clean)
