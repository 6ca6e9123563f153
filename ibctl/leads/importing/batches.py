"""Batches: what was imported when, from which file, on what terms, how its rows fared, which were refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, db
from ibctl.errors import NotFoundError, RequestError
from ibctl.leads.service import LOCK
from ibctl.models.imports import LeadImport, LeadImportReject
from ibctl.models.ledger import ChangeSet

if TYPE_CHECKING:
    from ibctl.leads.importing.service import Imported

COPY_REJECTS = 'COPY ibctl.lead_import_reject ("importId", row, code, field, message, cells) FROM STDIN'
_STREAMED = {"stream_results": True, "yield_per": 2_000}


def find(session: Session, number: int) -> LeadImport:
    """Return a batch by its number. Raises NotFoundError."""
    found = session.get(LeadImport, number) if 0 < number < 2**63 else None
    if found is None:
        newest = session.execute(sa.select(sa.func.max(col(LeadImport.id)))).scalar_one()
        hint = (
            f"the newest is {newest}, `ibctl leads imports list` shows them" if newest else "nothing was imported yet"
        )
        raise NotFoundError(f"there is no import {number}: {hint}")
    return found


def earlier(session: Session, digest: str) -> LeadImport | None:
    """Return the last import of a file with this SHA-256 that wrote leads and has not been taken back.

    Lets no other import begin.
    """
    db.lock(session, LOCK)
    imports = session.exec(select(LeadImport).where(LeadImport.sha256 == digest).order_by(col(LeadImport.id).desc()))
    return next((one for one in imports if one.wrote and not undone(session, one.change_set_id)), None)


_UNDOERS = sa.text(
    """
    WITH RECURSIVE later AS (
        SELECT id, undoes FROM ibctl.change_set WHERE undoes = :id
        UNION ALL SELECT c.id, c.undoes FROM ibctl.change_set c JOIN later l ON c.undoes = l.id
    ) SELECT undoes, id FROM later
    """
)


def undone(session: Session, change_set: int) -> bool:
    """Whether a change set has been taken back, by one that has not been taken back itself."""
    undoers: dict[int, list[int]] = defaultdict(list)
    for taken_back, by in session.execute(_UNDOERS, {"id": change_set}):
        undoers[taken_back].append(by)

    def is_undone(number: int) -> bool:
        return any(not is_undone(by) for by in undoers[number])

    return is_undone(change_set)


# ------------------------------------------------------------------------------------------------------------- going on


def hold(session: Session, batch: LeadImport) -> LeadImport:
    """Return a batch that was begun as it is now, held until the transaction ends.

    Raises RequestError when it is finished, taken back, or another run has gone on with it.
    """
    query = select(LeadImport).where(LeadImport.id == batch.id).with_for_update()
    now = session.exec(query.execution_options(populate_existing=True)).one_or_none()
    if now is None:
        raise RequestError(f"another run has ended import {batch.id}, and no row of it could be written")
    require_unfinished(session, now)
    if now.checkpoint != batch.checkpoint:
        raise RequestError(f"another run goes on with import {now.id}: it is at row {now.checkpoint:,} now")
    return now


def ways_on(batch: LeadImport) -> str:
    """Say what can be done about a batch that was cut short."""
    back = f", `ibctl undo {batch.change_set_id}` takes back what it has done" if batch.wrote else ""
    return f"`--resume {batch.id}` goes on with it{back}"


def require_unfinished(session: Session, batch: LeadImport) -> None:
    """Raise RequestError for a batch that cannot be gone on with."""
    if batch.finished_at is not None:
        raise RequestError(f"import {batch.id} is complete since {batch.finished_at:%Y-%m-%d %H:%M}: nothing is left")
    if undone(session, batch.change_set_id):
        raise RequestError(f"import {batch.id} has been taken back: import the file again, from its beginning")


def advance(
    session: Session, batch: LeadImport, result: Imported, checkpoint: int | None, *, finished: bool
) -> LeadImport | None:
    """Write down what a chunk came to, and return the batch; one that ends without having written a lead is no more."""
    batch.rows += result.read
    batch.created += result.created
    batch.updated += result.updated
    batch.unchanged += result.unchanged
    batch.refused += sum(result.refused.values())
    batch.checkpoint = max(batch.checkpoint, checkpoint or 0)
    if finished and not batch.wrote:
        session.execute(sa.delete(LeadImportReject).where(col(LeadImportReject.import_id) == batch.id))
        session.delete(batch)
        session.flush()
        return None
    batch.finished_at = clock.now() if finished else None
    session.add(batch)
    session.flush()
    return batch


# ----------------------------------------------------------------------------------------------------------- looking at


def listing(session: Session, *, limit: int = 0) -> tuple[list[dict[str, Any]], int]:
    """Return batches as rows, the newest first and at most `limit` (0: all), and how many there are."""
    query = select(LeadImport).order_by(col(LeadImport.id).desc())
    found = session.exec(query.limit(limit) if limit else query).all()
    total = session.execute(sa.select(sa.func.count()).select_from(LeadImport)).scalar_one()
    return [row(session, one) for one in found], total


def row(session: Session, batch: LeadImport) -> dict[str, Any]:
    """Return a batch as a row for people and scripts, with who imported it, and whether it still holds."""
    names = sa.inspect(LeadImport).columns
    change_set = session.get(ChangeSet, batch.change_set_id)
    if undone(session, batch.change_set_id):
        state = "undone"
    else:
        state = "complete" if batch.finished_at is not None else "unfinished"
    return {column.name: getattr(batch, name) for name, column in names.items()} | {
        "mode": batch.terms.get("mode", "create"),
        "actor": change_set and change_set.actor,
        "state": state,
    }


def rejects(session: Session, batch: LeadImport) -> Iterator[LeadImportReject]:
    """Yield the refused rows of a batch, in the order of the file."""
    query = select(LeadImportReject).where(LeadImportReject.import_id == batch.id).order_by(col(LeadImportReject.row))
    for (found,) in session.execute(query, execution_options=_STREAMED):
        yield found
        session.expunge(found)
