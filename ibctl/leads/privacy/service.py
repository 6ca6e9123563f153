"""Erases persons: what says who they are goes, in the shared tables and in the record of changes; money and dates stay.

What is put in their place is made of the lead's own id, which says nothing about anybody. A lead that was merged away
is erased together with the one that it was merged into: it lives on in the record of the merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import clock, config, crypto, rendering, sealing
from ibctl.leads import contacts, naming
from ibctl.leads.privacy import wording
from ibctl.leads.privacy.wording import BLANK

PREFIX = "erased-"

# What a row of each table becomes, by its columns; `{id}` is the row's id.
_IMAGES = {
    "Lead": """jsonb_build_object('email', NULL, 'firstName', NULL, 'phone', NULL, 'systemeContactId', NULL,
        'trackingToken', :prefix || {id})""",
    "LeadActivity": "jsonb_build_object('description', NULL, 'metadata', NULL)",
    "adjustment": "jsonb_build_object('reason', CAST(:blank AS text))",
    "InvestorCredential": """jsonb_build_object('login', :prefix || {id}, 'password', CAST(:password AS text))""",
}

_CREATE = sa.text("CREATE TEMP TABLE lead_erased (id text PRIMARY KEY, former boolean NOT NULL) ON COMMIT DROP")
# A lead that bears its own mark has been erased already.
_PICK = sa.text(
    """
    INSERT INTO lead_erased SELECT id, false FROM "Lead"
    WHERE (id = ANY(:ids) OR "leadCapturedAt" < :before) AND "trackingToken" IS DISTINCT FROM :prefix || id
    """
)
_PICK_MERGED = sa.text(
    r"""
    INSERT INTO lead_erased
    SELECT DISTINCT gone."rowId", true
    FROM lead_erased e
    JOIN ibctl.change kept ON kept."rowId" = e.id AND kept."tableName" = 'Lead' AND kept."after" IS NOT NULL
    JOIN ibctl.change_set s ON s.id = kept."changeSetId" AND s.command ~ '^ibctl (-\S+ (\S+ )?)*leads merge '
    JOIN ibctl.change gone ON gone."changeSetId" = s.id AND gone."tableName" = 'Lead' AND gone."after" IS NULL
    WHERE NOT EXISTS (SELECT FROM "Lead" l WHERE l.id = gone."rowId")
    ON CONFLICT DO NOTHING
    """
)
_COUNTS = sa.text(
    """
    SELECT (SELECT count(*) FROM lead_erased WHERE NOT former) AS leads,
      (SELECT count(*) FROM "LeadActivity" WHERE "leadId" IN (SELECT id FROM lead_erased)) AS activities,
      (SELECT count(*) FROM "InvestorCredential" WHERE "leadId" IN (SELECT id FROM lead_erased)) AS credentials,
      EXISTS (SELECT FROM "InvestorCredential") OR
        EXISTS (SELECT FROM ibctl.change WHERE "tableName" = 'InvestorCredential') AS sealed
    """
)
# A lead's id is a field of the row, or such a field begins with it. Reading the image itself takes ten times as long.
_MENTIONED = """EXISTS (
          SELECT FROM unnest(string_to_array(btrim(c."beforeText", '()'), ',')
            || string_to_array(btrim(c."afterText", '()'), ',')) piece
          WHERE piece IN (SELECT split_part(btrim(CAST(ROW(id) AS text), '()'), ',', 1) FROM lead_erased))"""
# The entries of the record that are about the persons; of rows that are gone, too: the images say whose they were.
_ABOUT = f"""(c."tableName" = 'Lead' AND c."rowId" IN (SELECT id FROM lead_erased)
      OR c."tableName" IN ('LeadActivity', 'InvestorCredential', 'adjustment') AND {_MENTIONED}
        AND (c."before"->>'leadId' IN (SELECT id FROM lead_erased)
          OR c."after"->>'leadId' IN (SELECT id FROM lead_erased)))"""
_CREATE_ABOUT = sa.text(
    f"""
    CREATE TEMP TABLE lead_about ON COMMIT DROP AS
    SELECT c."changeSetId", c.step, c."tableName", c."rowId", c.columns, coalesce(c."before", c."after") AS image,
      c."after" AS later
    FROM ibctl.change_image c WHERE {_ABOUT}
    """
)
_UPDATES = (
    """
    UPDATE "Lead" l SET email = NULL, "firstName" = NULL, phone = NULL, "systemeContactId" = NULL,
      "trackingToken" = :prefix || l.id, "updatedAt" = :now
    FROM lead_erased e WHERE e.id = l.id
    """,
    """
    UPDATE "LeadActivity" a SET description = NULL, metadata = NULL, "updatedAt" = :now
    FROM lead_erased e WHERE e.id = a."leadId" AND (a.description IS NOT NULL OR a.metadata IS NOT NULL)
    """,
    """
    UPDATE "InvestorCredential" c SET login = :prefix || c.id, password = :password, "isVerified" = false,
      "updatedAt" = :now
    FROM lead_erased e WHERE e.id = c."leadId"
    """,
    """
    UPDATE ibctl.adjustment a SET reason = :blank FROM lead_erased e WHERE e.id = a."leadId" AND a.reason <> :blank
    """,
)
_SCRUB = """
    UPDATE ibctl.change c SET "before" = ibctl.row_with(c."before", a.columns, {image}),
      "after" = ibctl.row_with(c."after", a.columns, {image})
    FROM lead_about a
    WHERE c."changeSetId" = a."changeSetId" AND c.step = a.step AND c."tableName" = a."tableName"
      AND c."rowId" = a."rowId" AND a."tableName" = '{table}'
"""
# The words of an activity may be spread over a line in ways that no search finds.
_SCRUB_ACTIVITIES = sa.text(
    r"""
    UPDATE ibctl.change_set s SET command = substring(s.command from '^.*?leads activity add') || ' ' || :blank
    WHERE s.command ~ '^ibctl (-\S+ (\S+ )?)*leads activity add '
      AND s.id IN (SELECT "changeSetId" FROM lead_about WHERE "tableName" = 'LeadActivity')
    """
)

# Rows that imports refused, where one of their cells, or a word in one, is what a person is known by.
_FORGET_REFUSED = sa.text(
    rf"""
    DELETE FROM ibctl.lead_import_reject r USING (
      SELECT DISTINCT p."importId", p.row FROM ibctl.lead_import_reject p
      CROSS JOIN LATERAL regexp_split_to_table(lower(CAST(p.cells AS text)), '"') cell
      CROSS JOIN LATERAL (
        SELECT btrim(cell) AS word UNION SELECT {contacts.phone_key_sql("cell")}
        UNION SELECT regexp_split_to_table(cell, '[\s<>,;]+')
      ) said
      JOIN (
        SELECT lower(name) AS word FROM lead_about a
        CROSS JOIN LATERAL (VALUES (a.image), (a.later)) i (image)
        CROSS JOIN LATERAL (VALUES (i.image->>'email'), (i.image->>'phone'), (i.image->>'trackingToken')) n (name)
        WHERE length(name) > 2
      ) known USING (word)
    ) found
    WHERE r."importId" = found."importId" AND r.row = found.row
    """
)
# What was refused before the day is not looked through: all of it goes.
_FORGET_OLD_REFUSED = sa.text(
    """
    DELETE FROM ibctl.lead_import_reject r USING ibctl.lead_import i
    WHERE i.id = r."importId" AND i."createdAt" < :before
    """
)


@dataclass(frozen=True)
class Erased:
    """How many leads, activities, MT5 accounts and recorded images of rows lost what they said about a person, and how
    many rows that imports refused are forgotten.
    """

    leads: int
    activities: int
    credentials: int
    images: int
    refused: int
    # Why it is done, as far as that does not name a person.
    reason: str | None

    @property
    def words(self) -> str:
        """Say in a line what is lost."""
        return (
            f"the persons behind {rendering.counted(self.leads, 'lead')}, {self.activities:,} activities and "
            f"{rendering.counted(self.credentials, 'MT5 account')}, {self.images:,} entries about them in the record "
            f"of changes, and {self.refused:,} rows that imports refused"
        )


def erase(session: Session, names: Sequence[str], *, before: datetime | None, reason: str | None) -> Erased:
    """Erase the persons behind these leads, or behind all that were captured before a moment (naive UTC).

    What was erased already is left alone. The command's own line in the record names the leads by their ids. Raises
    as `naming.find` does, and ConfigError without the encryption key where there are MT5 accounts.
    """
    found = naming.find(session, names) if names else []
    session.execute(_CREATE)
    values = {"ids": found, "before": before, "prefix": PREFIX, "now": clock.now()}
    leads = session.execute(_PICK, values).rowcount  # type: ignore[attr-defined] # a CursorResult
    while leads and session.execute(_PICK_MERGED).rowcount:  # type: ignore[attr-defined] # a CursorResult
        pass
    session.execute(sa.text("ANALYZE lead_erased"))
    counts = session.execute(_COUNTS).one()
    password = _no_password(session) if counts.sealed else ""
    for statement in _UPDATES:
        session.execute(sa.text(statement), {**values, "password": password, "blank": BLANK})
    images = _scrub(session, password)
    said = wording.scrub(session, reason)
    refused = _forget_refused(session, before)
    if names:
        config.use_command(["leads", "anonymize", *found])
    return Erased(counts.leads, counts.activities, counts.credentials, images, refused, said)


def _no_password(session: Session) -> str:
    sealing.require_key(session)
    return crypto.seal("").text


def _scrub(session: Session, password: str) -> int:
    """Take the persons out of the record; after the updates, whose own images hold them too."""
    session.execute(_CREATE_ABOUT)
    images = 0
    for table, image in _IMAGES.items():
        statement = _SCRUB.format(table=table, image=image.format(id='c."rowId"'))
        images += session.execute(sa.text(statement), {"prefix": PREFIX, "password": password, "blank": BLANK}).rowcount  # type: ignore[attr-defined] # a CursorResult
    session.execute(_SCRUB_ACTIVITIES, {"blank": BLANK})
    return images


def _forget_refused(session: Session, before: datetime | None) -> int:
    """Forget the refused rows of imports that name the persons; after `_scrub`, which finds what they are known by."""
    done = session.execute(_FORGET_REFUSED).rowcount  # type: ignore[attr-defined] # a CursorResult
    if before is not None:
        done += session.execute(_FORGET_OLD_REFUSED, {"before": before}).rowcount  # type: ignore[attr-defined]
    return int(done)
