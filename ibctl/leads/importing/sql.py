"""The import of a file of leads, as SQL over sets.

`lead_file` holds a file's rows until all is done. A row is refused when it has a `code`; one with a `known`
lead changes that one when it is marked as `changed`, and says nothing new otherwise; all others are to be created. The
statements are run in this order; `update_sql` has those that a mode other than `create` puts between.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from ibctl.leads import contacts, settled_sql

# With how many leads of the same email or phone a row is compared. Where a placeholder ("000000") stands in a hundred
# thousand rows and on as many leads, comparing each with each would never end.
COMPARED = 20


def _trimmed(column: str) -> str:
    return rf"btrim({column}, E' \t\n\r')"


# The columns of "Lead" that a file may fill, and the time of which a row says to be.
FIELDS = {
    **dict.fromkeys(
        (
            "email", "firstName", "phone", "userId", "leadType", "broker", "source", "status", "trackingToken",
            "systemeContactId",
        ),
        "text",
    ),
    **dict.fromkeys(("leadCapturedAt", "depositedAt", "tradingStartAt", "qualifiedAt", "updatedAt"), "timestamp(3)"),
    **dict.fromkeys(("ftdEarned", "cpaEarned", "totalEarned"), "numeric"),
}  # fmt: skip

# No temporary table where that can be avoided: parallel workers cannot see one, and finding what is there already among
# a million leads takes half the time with them.
MAY_CREATE = sa.text("SELECT has_schema_privilege('ibctl', 'CREATE')")
ADD_SCHEMA = sa.text("SELECT set_config('search_path', current_setting('search_path') || ', ibctl', true)")
_FILE = f"""(
      line integer NOT NULL, id text, code text, field text, message text, known text, changed boolean,
      {", ".join(f'"{name}" {kind}' for name, kind in FIELDS.items())},
      "phoneKey" text GENERATED ALWAYS AS ({contacts.phone_key_sql("phone")}) STORED
    )"""
CREATE_FILE = sa.text(f"CREATE UNLOGGED TABLE ibctl.lead_file {_FILE}")
CREATE_TEMPORARY_FILE = sa.text(f"CREATE TEMP TABLE lead_file {_FILE} ON COMMIT DROP")
DROP_FILE = sa.text("DROP TABLE lead_file")
# The default holds no file's worth of hashes, compiling takes longer here than it saves, and a small sample is enough.
PLAN_FOR_MANY = sa.text(
    "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true), "
    "set_config('default_statistics_target', '20', true)"
)


def copy_file(fields: Sequence[str]) -> str:
    """Return the COPY that takes line, id, code, field and message, and then the values of `fields`."""
    names = "".join(f', "{name}"' for name in fields)
    return f"COPY lead_file (line, id, code, field, message{names}) FROM STDIN WITH (NULL '')"


# ----------------------------------------------------------------------------------------- leads that are there already


# The columns that name a lead, in the order in which a match is told; and how a lead writes them.
KEYS = {"trackingToken": 'l."trackingToken"', "email": "lower(l.email)", "phoneKey": contacts.phone_key_sql("l.phone")}

_KNOWN = " UNION ALL ".join(
    f"""
        SELECT l.id, {rank} AS rank, {theirs} AS value FROM "Lead" l
        WHERE {theirs} IN (SELECT f."{key}" FROM lead_file f WHERE f.code IS NULL AND f."{key}" IS NOT NULL)"""
    for rank, (key, theirs) in enumerate(KEYS.items())
)
# Those leads first, and the comparison then: mostly they are few, and a statement of its own knows that.
CREATE_KNOWN = sa.text(
    f"""
    CREATE TEMP TABLE lead_known ON COMMIT DROP AS
    SELECT id, rank, value FROM (
        SELECT *, row_number() OVER (PARTITION BY rank, value ORDER BY id) AS number FROM ({_KNOWN}
        ) known
    ) numbered WHERE number <= {COMPARED}
    """
)

# How a lead writes what a row may say about it.
THEIRS = {
    "email": "lower(l.email)",
    "phoneKey": contacts.phone_key_sql("l.phone"),
    **{key: f'l."{key}"' for key, kind in FIELDS.items() if kind.startswith("timestamp") and key != "updatedAt"},
    **{key: f'CAST(l."{key}" AS numeric)' for key, kind in FIELDS.items() if kind == "numeric"},
    **{key: _trimmed(f'l."{key}"') for key in ("firstName", "broker", "source", "trackingToken", "systemeContactId")},
    **{key: f'l."{key}"' for key in ("userId", "leadType")},
}
STAGE = "array_position(ARRAY['captured', 'contacted', 'qualified', 'rejected'], {0})"
# The names of the fields about which a row says something else. A status that the lead has passed is nothing else: a
# file never turns a lead's life back.
_DIFFERENCES = ", ".join(
    (
        *(
            f"""CASE WHEN f."{key}" IS DISTINCT FROM {theirs} AND f."{key}" IS NOT NULL
                THEN '{key.removesuffix("Key")}' END"""
            for key, theirs in THEIRS.items()
        ),
        f"""CASE WHEN f.status <> l.status
                  AND NOT coalesce({STAGE.format("f.status")} < {STAGE.format("l.status")}, false)
            THEN 'status' END""",
    )
)

_COMPARED = " UNION ALL ".join(
    f"""
        SELECT f.line, k.rank, '{key.removesuffix("Key")}' AS field, l.id,
               concat_ws(', ', {_DIFFERENCES}) AS differences
        FROM lead_known k JOIN lead_file f ON f."{key}" = k.value JOIN "Lead" l ON l.id = k.id
        WHERE k.rank = {rank} AND f.code IS NULL"""
    for rank, key in enumerate(KEYS)
)
MARK_KNOWN = sa.text(
    f"""
    WITH compared AS ({_COMPARED}
    ), nearest AS (
        SELECT DISTINCT ON (line) * FROM compared ORDER BY line, differences <> '', rank, id
    )
    UPDATE lead_file f SET
        known = CASE WHEN n.differences = '' THEN n.id END,
        code = CASE WHEN n.differences <> '' THEN 'exists' END,
        field = n.field,
        message = format('lead %s has the same %s; the row says otherwise about %s', n.id, n.field, n.differences)
    FROM nearest n WHERE n.line = f.line
    """
)

# --------------------------------------------------------------------------------------------- rows that repeat another

NEW = "f.code IS NULL AND f.known IS NULL"
BOTH = "'a rejected lead does not qualify: leave the status or the qualifiedAt out'"
_WRITES = "f.code IS NULL AND (f.known IS NULL OR f.changed)"

# Whoever qualified is paid for, whatever the status says: nobody may overlook one of the two.
MARK_REJECTED = sa.text(
    f"""
    UPDATE lead_file f SET code = 'status_conflict', field = 'qualifiedAt', message = {BOTH}
    WHERE {NEW} AND f.status = 'rejected' AND f."qualifiedAt" IS NOT NULL
    """
)
# Of the rows about one lead only the first changes it, and none where the first says nothing new: otherwise the same
# file would change it again the next time.
MARK_SAME_LEAD = sa.text(
    """
    UPDATE lead_file f SET code = 'duplicate', field = 'lead',
        message = format('row %s is about the same lead, %s', one.first, f.known)
    FROM (
      SELECT known, min(line) AS first FROM lead_file WHERE code IS NULL AND known IS NOT NULL
      GROUP BY 1 HAVING count(*) > 1
    ) one
    WHERE f.known = one.known AND f.line > one.first AND f.code IS NULL AND f.changed
    """
)
# Whether any row repeats another, told by hashes: sorting numbers is far cheaper than grouping texts. Two texts of one
# hash cost a closer look, and nothing else.
ANY_REPEATED = sa.text(
    "SELECT "
    + " OR ".join(f'count(DISTINCT hashtextextended(f."{key}", 0)) < count(f."{key}")' for key in KEYS)
    + f" FROM lead_file f WHERE {_WRITES}"
)
_REPEATED = " UNION ".join(
    f"""
        SELECT f.line FROM lead_file f JOIN (
          SELECT f."{key}" FROM lead_file f WHERE {_WRITES} AND f."{key}" IS NOT NULL GROUP BY 1 HAVING count(*) > 1
        ) repeated USING ("{key}") WHERE {_WRITES}"""
    for key in KEYS
)
CREATE_SHARED = sa.text(
    f"""
    CREATE TEMP TABLE lead_shared ON COMMIT DROP AS
    SELECT f.line, {", ".join(f'f."{key}"' for key in KEYS)}
    FROM lead_file f WHERE {_WRITES} AND f.line IN ({_REPEATED})
    """
)
CREATE_CHOSEN = sa.text(
    f"""
    CREATE TEMP TABLE lead_chosen (
      line integer NOT NULL, {", ".join(f'"{key}" text UNIQUE' for key in KEYS)}
    ) ON COMMIT DROP
    """
)
# Row after row, in the order of the file: a row is chosen unless one that was chosen before it shares a value. So a row
# is never refused for the sake of one that is refused itself.
CHOOSE = sa.text("INSERT INTO lead_chosen SELECT * FROM lead_shared ORDER BY line ON CONFLICT DO NOTHING")
_EARLIER = " UNION ALL ".join(
    f"""
        SELECT s.line, c.line AS first, {rank} AS rank, '{key.removesuffix("Key")}' AS field
        FROM lead_shared s JOIN lead_chosen c USING ("{key}") WHERE c.line < s.line"""
    for rank, key in enumerate(KEYS)
)
MARK_DUPLICATES = sa.text(
    f"""
    WITH earlier AS ({_EARLIER}
    ), nearest AS (
        SELECT DISTINCT ON (line) * FROM earlier ORDER BY line, rank
    )
    UPDATE lead_file f SET code = 'duplicate', field = n.field,
        message = format('row %s has the same %s', n.first, n.field)
    FROM nearest n WHERE n.line = f.line
    """
)

# -------------------------------------------------------------------------------------------------------------- writing


def _double(amount: str) -> str:
    """Return the SQL of an amount as the table keeps it; from numeric it takes long, and most rows have none."""
    return f"coalesce(CAST({amount} AS double precision), 0)"


# Parameter: now.
INSERT = sa.text(
    f"""
    INSERT INTO "Lead" (
      id, "userId", "leadType", email, "firstName", phone, broker, source, status, "trackingToken", "leadCapturedAt",
      "depositedAt", "tradingStartAt", "qualifiedAt", "ftdEarned", "cpaEarned", "totalEarned", "systemeContactId",
      "createdAt", "updatedAt"
    )
    SELECT
      f.id, f."userId", coalesce(f."leadType", 'trader'), f.email, f."firstName", f.phone, f.broker,
      coalesce(f.source, 'unknown'),
      coalesce(f.status, CASE WHEN f."qualifiedAt" IS NULL THEN 'captured' ELSE 'qualified' END),
      f."trackingToken", coalesce(f."leadCapturedAt", :now), f."depositedAt", f."tradingStartAt", f."qualifiedAt",
      {_double('f."ftdEarned"')}, {_double('f."cpaEarned"')},
      {_double('coalesce(f."ftdEarned" + f."cpaEarned", f."ftdEarned", f."cpaEarned")')},
      f."systemeContactId", :now, :now
    FROM lead_file f WHERE {NEW}
    """
)
# Parameter: owners, the ids among which new leads without one are shared by turns.
SHARE_OUT = sa.text(
    f"""
    UPDATE lead_file f SET "userId" = (CAST(:owners AS text[]))[1 + (n.turn - 1) % cardinality(CAST(:owners AS text[]))]
    FROM (
      SELECT line, row_number() OVER (ORDER BY line) AS turn FROM lead_file f WHERE {NEW} AND f."userId" IS NULL
    ) n
    WHERE n.line = f.line
    """
)
COUNTS = sa.text(
    f"""
    SELECT count(*) AS read, count(*) FILTER (WHERE {NEW}) AS created,
      count(*) FILTER (WHERE code IS NULL AND changed) AS updated,
      count(*) FILTER (WHERE code IS NULL AND known IS NOT NULL AND changed IS NOT TRUE) AS unchanged,
      count(*) FILTER (WHERE {NEW} AND status = 'qualified' AND "qualifiedAt" IS NULL) AS undated, max(line) AS last
    FROM lead_file f
    """
)
REFUSED_BY_CODE = sa.text(
    "SELECT code, count(*) AS rows FROM lead_file WHERE code IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
)
REFUSED = sa.text("SELECT line, code, coalesce(field, ''), message FROM lead_file WHERE code IS NOT NULL ORDER BY line")

# The settled months in which leads count: those that rows change, and those that are created.
SETTLED_BY_UPDATE = settled_sql.settled('SELECT id, "userId", "leadCapturedAt", "qualifiedAt" FROM lead_counted')
SETTLED_BY_IMPORT = settled_sql.settled(
    f'SELECT id, "userId", "leadCapturedAt", "qualifiedAt" FROM lead_file f WHERE {NEW} AND "userId" IS NOT NULL'
)
