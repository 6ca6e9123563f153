"""Many leads at once, by their names: emails, ids and tracking tokens, as people and scripts list them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlmodel import Session

from ibctl import bulk, output, utf8
from ibctl.errors import NotFoundError, UsageError
from ibctl.leads import service

# The first way of naming that fits counts, as in `service.find`.
_CREATE = sa.text("CREATE TEMP TABLE lead_name (line integer NOT NULL, name text NOT NULL) ON COMMIT DROP")
_COPY = "COPY lead_name (line, name) FROM STDIN"
_FOUND = sa.text(
    """
    SELECT n.line, coalesce(i.id, t.id, CASE WHEN e.leads = 1 THEN e.id END)
    FROM lead_name n
    LEFT JOIN "Lead" i ON i.id = n.name
    LEFT JOIN "Lead" t ON t."trackingToken" = n.name
    LEFT JOIN (
      SELECT lower(email) AS email, min(id) AS id, count(*) AS leads FROM "Lead"
      WHERE lower(email) IN (SELECT lower(name) FROM lead_name WHERE strpos(name, '@') > 0) GROUP BY 1
    ) e ON e.email = lower(n.name)
    ORDER BY n.line
    """
)


def read_list(names: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Return the names, or where they are `-` alone the lines of stdin. Raises UsageError where there is none."""
    found = [name.strip() for name in (lines if list(names) == ["-"] else names)]
    wanted = [name for name in found if name]
    if not wanted:
        raise UsageError("no lead is named: give emails, ids or tracking tokens, or - and one a line on stdin")
    return wanted


def find(session: Session, names: Sequence[str]) -> list[str]:
    """Return the ids of the leads with these names, each once, in their order; the session must be one that writes.

    Raises as `service.find` does for one name that is no lead's, or several leads'; NotFoundError for more of them.
    """
    if any("\0" in name for name in names):
        raise UsageError("a name holds a NUL character: no lead has such a one")
    session.execute(_CREATE)
    bulk.copy(session, _COPY, ((line, one) for line, name in enumerate(names) for one in utf8.writings(name)))
    session.execute(sa.text("ANALYZE lead_name"))
    found: dict[int, str | None] = {}
    for line, lead in session.execute(_FOUND):
        found[line] = found.get(line) or lead
    session.execute(sa.text("DROP TABLE lead_name"))
    missing = [names[line] for line, lead in found.items() if lead is None]
    if missing:
        _complain(session, missing)
    return list(dict.fromkeys(lead for lead in found.values() if lead is not None))


def _complain(session: Session, missing: Sequence[str]) -> None:
    if len(missing) == 1:
        service.find(session, missing[0])
    raise NotFoundError(
        f"{len(missing):,} names are no lead's, or several leads': {output.some(missing)}; nothing was written"
    )
