"""What an import does to leads that are there, as SQL over sets: which lead a row means, what becomes of each field.

`f` is a row of `lead_file`, `l` its lead. The statements are made for the fields that a file has and for its terms;
what comes from a user is bound or one of a few words.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from ibctl import money
from ibctl.leads import rules
from ibctl.leads.importing import sql
from ibctl.leads.importing.terms import Terms

# Whose dates are never moved back.
_FACTS = ("depositedAt", "tradingStartAt", "qualifiedAt")
# What decides which commissions count a lead, and how much.
_COUNTED = ("userId", "leadCapturedAt", "qualifiedAt", "cpaEarned")
_ORDER = ("userId", "status", "totalEarned", "updatedAt")

# Everybody else is kept from these leads until the transaction ends.
LOCK = sa.text(
    """
    SELECT count(*) FROM (
      SELECT FROM "Lead" l WHERE l.id IN (SELECT id FROM lead_known) ORDER BY l.id FOR NO KEY UPDATE
    ) locked
    """
)
NOT_FOUND = sa.text(
    f"""
    UPDATE lead_file f SET code = 'not_found', field = '',
      message = format('no lead has the row''s %s', concat_ws(' or ', CASE WHEN f."trackingToken" IS NOT NULL
        THEN 'trackingToken' END, CASE WHEN f.email IS NOT NULL THEN 'email' END,
        CASE WHEN f.phone IS NOT NULL THEN 'phone' END))
    WHERE {sql.NEW}
    """
)
# A lead that is created without a leadCapturedAt is captured now. Parameter: now.
TOO_EARLY = sa.text(
    f"""
    UPDATE lead_file f SET code = 'date_order', field = 'qualifiedAt',
      message = 'a lead that is created without a leadCapturedAt is captured now, and cannot have qualified before'
    WHERE {sql.NEW} AND f."leadCapturedAt" IS NULL AND f."qualifiedAt" < :now
    """
)

_HITS = " UNION ALL ".join(
    f"""
        SELECT f.line, k.rank, '{key.removesuffix("Key")}' AS field, k.id
        FROM lead_known k JOIN lead_file f ON f."{key}" = k.value WHERE k.rank = {rank} AND f.code IS NULL"""
    for rank, key in enumerate(sql.KEYS)
)


class Statements:
    """The statements of one import, for the `fields` that its file has."""

    def __init__(self, terms: Terms, fields: Sequence[str]) -> None:
        self.terms = terms
        self.ruled = [name for name in fields if name not in _ORDER]
        self.has_owner, self.has_status = "userId" in fields, "status" in fields
        self.qualifies = "qualifiedAt" in self.ruled

    # -------------------------------------------------------------------------------------------------- single values

    def value(self, name: str) -> str:
        """Return the SQL of what a field of the lead becomes."""
        if name == "status":
            return self._status()
        new, old = self._said(name), f'l."{name}"'
        rule = self.terms.rule(name)
        says = f'f."{name}" IS NOT NULL AND {self._mine(name)} IS DISTINCT FROM {self._theirs(name)}'
        condition = {
            "overwrite": says,
            "newer": f"{says} AND {self._is_newer()}",
            "fill-empty": f'f."{name}" IS NOT NULL AND {_is_empty(name)}',
            "error": f'f."{name}" IS NOT NULL AND {_is_empty(name)}',
            "never": "false",
        }[rule]
        return f"CASE WHEN {condition} THEN {new} ELSE {old} END"

    def _said(self, name: str) -> str:
        return f'CAST(f."{name}" AS double precision)' if name in rules.AMOUNTS else f'f."{name}"'

    def _mine(self, name: str) -> str:
        return 'f."phoneKey"' if name == "phone" else f'f."{name}"'

    def _theirs(self, name: str) -> str:
        return sql.THEIRS["phoneKey" if name == "phone" else name]

    def _is_newer(self) -> str:
        by = self.terms.newer_by
        return f'(f."{by}" IS NOT NULL AND (l."{by}" IS NULL OR f."{by}" > l."{by}"))'

    def _status(self) -> str:
        """A status moves forward; one that has qualified stays qualified, whatever a report says."""
        rule = self.terms.rule("status")
        if rule in ("never", "fill-empty"):
            return "l.status"
        word = "f.status" if self.has_status else "NULL"
        if self.qualifies:
            word = f"""coalesce({word}, CASE WHEN f."qualifiedAt" IS NOT NULL THEN 'qualified' END)"""
            qualified = self.value("qualifiedAt")
        else:
            qualified = 'l."qualifiedAt"'
        passed = f"{sql.STAGE.format(f'({word})')} <= {sql.STAGE.format('l.status')}"
        stays = f"""({word}) IS NULL OR coalesce({passed}, false)
            OR ({word}) = 'rejected' AND ({qualified}) IS NOT NULL"""
        stays += f" OR NOT {self._is_newer()}" if rule == "newer" else ""
        return f"CASE WHEN {stays} THEN l.status ELSE {word} END"

    @property
    def changeable(self) -> list[str]:
        """The fields that may change, those that follow from others left out."""
        names = [name for name in (*self.ruled, *(["userId"] if self.has_owner else [])) if name != "totalEarned"]
        return [*names, *(["status"] if self.has_status or self.qualifies else [])]

    # ---------------------------------------------------------------------------------------------------- statements

    def judge(self) -> sa.TextClause:
        """Return what gives each row its lead or its code, and says whether it changes anything.

        Parameter: match, the ranks of the fields by which a row may find its lead.
        """
        changes = " OR ".join(f'{self.value(name)} IS DISTINCT FROM l."{name}"' for name in self.changeable)
        return sa.text(
            f"""
            WITH hit AS ({_HITS}
            ), one AS (
                SELECT line, count(DISTINCT id) AS leads, min(id) AS id, max(id) AS other,
                  bool_or(rank = ANY(:match)) AS identifies, string_agg(DISTINCT field, ', ') AS fields
                FROM hit GROUP BY line
            ), judged AS (
                SELECT o.*, {self._conflicts()} AS conflicts, {self._backwards()} AS backwards,
                  {self._disordered()} AS disordered, {self._rejected()} AS rejected, {self._beyond()} AS beyond,
                  {changes or "false"} AS changes
                FROM one o JOIN lead_file f USING (line)
                LEFT JOIN "Lead" l ON l.id = o.id AND o.leads = 1 AND o.identifies
            )
            UPDATE lead_file f SET
              known = CASE WHEN leads = 1 AND identifies THEN j.id END,
              changed = changes,
              code = CASE WHEN leads > 1 THEN 'ambiguous' WHEN NOT identifies THEN 'exists'
                WHEN conflicts <> '' THEN 'conflict' WHEN backwards <> '' THEN 'date_backwards'
                WHEN disordered THEN 'date_order' WHEN rejected <> '' THEN 'status_conflict'
                WHEN beyond THEN 'amount_invalid' END,
              field = CASE WHEN leads > 1 OR NOT identifies THEN j.fields WHEN conflicts <> '' THEN j.conflicts
                WHEN backwards <> '' THEN j.backwards
                WHEN disordered OR rejected <> '' THEN 'qualifiedAt' ELSE 'totalEarned' END,
              message = CASE
                WHEN leads > 1 THEN format('leads %s and %s have the row''s %s: `ibctl leads merge` makes one of them',
                  j.id, j.other, j.fields)
                WHEN NOT identifies
                  THEN format('lead %s has the same %s, by which --match does not look', j.id, j.fields)
                WHEN conflicts <> '' THEN format('lead %s says something else about %s', j.id, j.conflicts)
                WHEN backwards <> '' THEN format('lead %s has a later %s', j.id, j.backwards)
                WHEN disordered THEN format('lead %s was captured later than that', j.id)
                WHEN rejected <> '' THEN j.rejected
                WHEN beyond THEN format('with what lead %s has, ftdEarned and cpaEarned come to {money.LIMIT:,.0f} '
                  'and more, which is too large', j.id) END
            FROM judged j WHERE j.line = f.line
            """
        )

    def _conflicts(self) -> str:
        named = [name for name in self.changeable if name != "status" and self.terms.rule(name) == "error"]
        found = [
            f"""CASE WHEN f."{name}" IS NOT NULL AND NOT ({_is_empty(name)})
                AND {self._mine(name)} IS DISTINCT FROM {self._theirs(name)} THEN '{name}' END"""
            for name in named
        ]
        if self.has_status and self.terms.rule("status") == "error":
            found.append(f"CASE WHEN {self._status()} <> l.status THEN 'status' END")
        return f"concat_ws(', ', {', '.join(found)})" if found else "''"

    def _backwards(self) -> str:
        found = [
            f"CASE WHEN {self.value(name)} < l.\"{name}\" THEN '{name}' END" for name in _FACTS if name in self.ruled
        ]
        return f"concat_ws(', ', {', '.join(found)})" if found else "''"

    def _disordered(self) -> str:
        """The SQL of `rules.before_capture`: a day without a time does not contradict a time on it."""
        if not {"qualifiedAt", "leadCapturedAt"} & set(self.ruled):
            return "false"
        qualified, captured = (
            self.value(name) if name in self.ruled else f'l."{name}"' for name in ("qualifiedAt", "leadCapturedAt")
        )
        return f"""coalesce(({qualified}) < ({captured})
            AND NOT (CAST(({qualified}) AS date) = CAST(({captured}) AS date) AND CAST(({qualified}) AS time) = '00:00')
            AND (({qualified}) IS DISTINCT FROM l."qualifiedAt"
              OR ({captured}) IS DISTINCT FROM l."leadCapturedAt"), false)"""

    def _rejected(self) -> str:
        """The SQL of why a row may not qualify its lead, '' where it may: a rejected lead would be paid for unseen."""
        if not self.qualifies:
            return "''"
        says_so = "f.status = 'rejected'" if self.has_status else "false"
        return f"""CASE WHEN ({self.value("qualifiedAt")}) IS NOT DISTINCT FROM l."qualifiedAt" THEN ''
            WHEN ({self._status()}) = 'rejected' AND l.status = 'rejected'
            THEN format('lead %s is rejected and does not qualify; where it does after all: '
              '`ibctl leads edit %s --status contacted`, and import the row again', l.id, l.id)
            WHEN {says_so} THEN {sql.BOTH} ELSE '' END"""

    def _total(self) -> str | None:
        """The SQL of what FTD and CPA come to, NULL where both stay; None where neither may change."""
        if not {"ftdEarned", "cpaEarned"} & set(self.ruled):
            return None
        ftd, cpa = (self.value(name) if name in self.ruled else f'l."{name}"' for name in ("ftdEarned", "cpaEarned"))
        return f"""CASE WHEN ({ftd}) IS DISTINCT FROM l."ftdEarned" OR ({cpa}) IS DISTINCT FROM l."cpaEarned"
            THEN CAST(CAST({ftd} AS numeric) + CAST({cpa} AS numeric) AS double precision) END"""

    def _beyond(self) -> str:
        """The SQL of `rules.beyond`."""
        total = self._total()
        return f"coalesce(({total}) >= {money.LIMIT:f} AND ({total}) < 'Infinity', false)" if total else "false"

    def kept(self) -> sa.TextClause | None:
        """Return what counts, by field, the values of leads that stay although the row says something else."""
        named = [name for name in self.changeable if name != "status" and self.terms.rule(name) != "overwrite"]
        if not named:
            return None
        counts = ", ".join(
            f"""count(*) FILTER (WHERE f."{name}" IS NOT NULL
                AND {self._mine(name)} IS DISTINCT FROM {self._theirs(name)}
                AND {self.value(name)} IS NOT DISTINCT FROM l."{name}") AS "{name}" """
            for name in named
        )
        return sa.text(f'SELECT {counts} FROM lead_file f JOIN "Lead" l ON l.id = f.known WHERE f.code IS NULL')

    def counted(self) -> sa.TextClause | None:
        """Return what keeps the leads whose commissions will change, as they are and as they will be."""
        named = [name for name in _COUNTED if name in self.changeable]
        if not named:
            return None
        changes = " OR ".join(f'{self.value(name)} IS DISTINCT FROM l."{name}"' for name in named)
        new = {name: self.value(name) if name in named else f'l."{name}"' for name in _COUNTED}
        return sa.text(
            f"""
            CREATE TEMP TABLE lead_counted ON COMMIT DROP AS
            SELECT l.id, side.* FROM lead_file f JOIN "Lead" l ON l.id = f.known
            CROSS JOIN LATERAL (VALUES (l."userId", l."leadCapturedAt", l."qualifiedAt"),
              ({new["userId"]}, {new["leadCapturedAt"]}, {new["qualifiedAt"]}))
              side ("userId", "leadCapturedAt", "qualifiedAt")
            WHERE f.code IS NULL AND f.changed AND ({changes})
            """
        )

    def update(self) -> sa.TextClause:
        """Return what changes the leads. Parameter: now."""
        settings = [f'"{name}" = {self.value(name)}' for name in self.changeable]
        if total := self._total():
            settings.append(f'"totalEarned" = coalesce({total}, l."totalEarned")')
        return sa.text(
            f"""
            UPDATE "Lead" l SET {", ".join(settings)}, "updatedAt" = :now
            FROM lead_file f WHERE f.known = l.id AND f.code IS NULL AND f.changed
            """
        )


def _is_empty(name: str) -> str:
    """Return the SQL of whether a lead says nothing in a field."""
    if name in rules.AMOUNTS:
        return f'l."{name}" = 0'
    if name == "source":
        return "l.source IN ('', 'unknown')"
    if name in rules.DATES or name == "userId":
        return f'l."{name}" IS NULL'
    return f"coalesce(l.\"{name}\", '') = ''"
