"""Leads that are probably one person: those that share an email, a phone or a token, also through a third.

The database finds what leads share; only those leads come here, as numbers, to be joined to groups. The database then
sorts and streams the groups, so a million leads need no more than their numbers.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session

from ibctl.errors import UsageError
from ibctl.exports import FETCH, exact
from ibctl.leads import contacts
from ibctl.users import service as users

# An email as its owner's mailbox: Gmail sees neither dots nor its other name, and most providers drop what follows `+`.
_ADDRESS = "lower(btrim(email))"
_DOMAIN = f"split_part({_ADDRESS}, '@', -1)"
_NAME = f"left({_ADDRESS}, -length({_DOMAIN}) - 1)"
_LOCAL = f"CASE WHEN strpos({_NAME}, '+') > 1 THEN split_part({_NAME}, '+', 1) ELSE {_NAME} END"
MAILBOX = f"""
    CASE WHEN strpos({_ADDRESS}, '@') < 2 THEN nullif({_ADDRESS}, '')
         WHEN {_DOMAIN} IN ('gmail.com', 'googlemail.com') THEN replace({_LOCAL}, '.', '') || '@gmail.com'
         ELSE {_LOCAL} || '@' || {_DOMAIN} END
"""
# 0049… is +49…. Fewer than seven digits, or one digit over and over, is nobody's number.
_DIALLED = contacts.phone_key_sql("phone")
_NUMBER = f"CASE WHEN starts_with({_DIALLED}, '00') THEN '+' || substr({_DIALLED}, 3) ELSE {_DIALLED} END"
_DIGITS = f"ltrim({_NUMBER}, '+')"
NUMBER = f"""
    CASE WHEN length({_DIGITS}) >= 7 AND translate({_DIGITS}, '0123456789', '') = ''
      AND replace({_DIGITS}, left({_DIGITS}, 1), '') <> '' THEN {_NUMBER} END
"""
EVIDENCE = {"email": MAILBOX, "phone": NUMBER, "token": """nullif(lower(btrim("trackingToken")), '')"""}

# Numbers are by id: within one transaction's view they stay the same.
_NUMBERED = 'SELECT row_number() OVER (ORDER BY id) AS number, l.* FROM "Lead" l'


def _shared(key: str) -> sa.TextClause:
    return sa.text(
        f"""
        SELECT array_agg(number) FROM (SELECT number, {key} AS key FROM ({_NUMBERED}) l) k
        WHERE key IS NOT NULL GROUP BY key HAVING count(*) > 1
        """
    )


_LABELLED = f"""
    SELECT l.id, l.email, l.phone, l."trackingToken", u.email AS ib, l.status, l."leadCapturedAt", l."totalEarned",
      l."userId", g.label, g.evidence, max(l."leadCapturedAt") OVER (PARTITION BY g.label) AS latest,
      CAST(:ib AS text) IS NULL OR bool_or(l."userId" = :ib) OVER (PARTITION BY g.label) IS TRUE AS wanted
    FROM ({_NUMBERED}) l
    JOIN unnest(CAST(:numbers AS integer[]), CAST(:labels AS integer[]), CAST(:evidence AS integer[]))
      AS g (number, label, evidence) USING (number)
    LEFT JOIN "User" u ON u.id = l."userId"
"""
_ROWS = sa.text(
    f"""
    SELECT * FROM (
      SELECT dense_rank() OVER (ORDER BY latest DESC, label) AS "group", id, email, phone, "trackingToken", ib, status,
        "leadCapturedAt", "totalEarned", evidence
      FROM ({_LABELLED}) m WHERE wanted
    ) ranked
    WHERE CAST(:limit AS integer) IS NULL OR "group" <= :limit
    ORDER BY "group", "leadCapturedAt", id
    """
)
_COUNTS = sa.text(f"SELECT count(DISTINCT label), count(*) FROM ({_LABELLED}) m WHERE wanted")


def kinds(by: str | None) -> list[str]:
    """Read `--by`: kinds of evidence, separated by commas; all of them for None. Raises UsageError."""
    if by is None:
        return list(EVIDENCE)
    names = [name.strip().lower() for name in by.split(",") if name.strip()]
    unknown = [name for name in names if name not in EVIDENCE]
    if unknown or not names:
        raise UsageError(f"--by '{', '.join(unknown)}' is no evidence: write some of {', '.join(EVIDENCE)}")
    return [name for name in EVIDENCE if name in names]


@dataclass
class Groups:
    """Sets of numbers that grow together (union-find). `evidence` holds a bit for each kind that a number shares."""

    parent: array[int] = field(default_factory=lambda: array("i"))
    evidence: array[int] = field(default_factory=lambda: array("i"))

    def join(self, members: Iterable[int], kind: int) -> None:
        """Put these numbers into one set, because they share a value of the kind (a number from 0)."""
        first: int | None = None
        for member in members:
            self._reach(member)
            self.evidence[member] |= 1 << kind
            first = member if first is None else first
            one, other = self.find(first), self.find(member)
            # The smaller number stands for the set, so that the outcome does not depend on the order.
            self.parent[max(one, other)] = min(one, other)

    def _reach(self, number: int) -> None:
        if number >= len(self.parent):
            self.parent.extend(range(len(self.parent), number + 1))
            self.evidence.extend([0] * (number + 1 - len(self.evidence)))

    def find(self, number: int) -> int:
        """Return the smallest number of the set."""
        while (above := self.parent[number]) != number:
            self.parent[number] = self.parent[above]
            number = above
        return number

    def labelled(self) -> dict[str, list[int]]:
        """Return the numbers that are in a set with others, their sets and their evidence, as parallel lists."""
        numbers = [number for number, bits in enumerate(self.evidence) if bits]
        return {
            "numbers": numbers,
            "labels": [self.find(number) for number in numbers],
            "evidence": [self.evidence[number] for number in numbers],
        }


@dataclass(frozen=True)
class Found:
    """How many groups there are, of how many leads, and the first groups as rows."""

    groups: int
    leads: int
    rows: Iterator[dict[str, Any]]


def find(session: Session, *, by: Collection[str], ib: str | None = None, limit: int = 0) -> Found:
    """Return the groups of leads that share evidence of the kinds `by`; with `ib` those that hold a lead of that IB.

    At most `limit` groups (0: all), those with the latest capture first, in a group the earliest capture first.
    `rows` streams, inside the session. Raises NotFoundError when the IB does not exist.
    """
    owner = users.find(session, ib).id if ib is not None else None
    values: dict[str, Any] = {**_groups(session, by).labelled(), "ib": owner}
    groups, leads = session.execute(_COUNTS, values).one()
    return Found(groups, leads, _rows(session, {**values, "limit": limit or None}))


def _groups(session: Session, by: Collection[str]) -> Groups:
    groups = Groups()
    streamed = {"stream_results": True, "yield_per": FETCH}
    for kind, (name, key) in enumerate(EVIDENCE.items()):
        if name in by:
            for (members,) in session.execute(_shared(key), execution_options=streamed):
                groups.join(members, kind)
    return groups


def _rows(session: Session, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    streamed = {"stream_results": True, "yield_per": FETCH}
    for row in session.execute(_ROWS, values, execution_options=streamed).mappings():
        names = [name for kind, name in enumerate(EVIDENCE) if row["evidence"] >> kind & 1]
        yield {**row, "totalEarned": exact(row["totalEarned"]), "evidence": ", ".join(names)}
