"""Importing a file of leads: read and check row by row, match and write in sets, all in the caller's transaction.

The rows go through the checks of `rules` straight into a temporary table by COPY, so memory stays flat however long the
file is. What is there already, and what the file says twice, is found there; then one INSERT creates the leads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, col, select

from ibctl import clock, config, csvfile, db, ids
from ibctl.imports import RowError
from ibctl.leads import rules, sql
from ibctl.models.ledger import LeadImport
from ibctl.models.platform import Role, User

# Whoever creates leads holds this lock, since no unique index keeps two from creating the same email.
LOCK = "leads import"
FETCH = 2_000


@dataclass(frozen=True)
class Settled:
    """A month that is being paid or was paid, and whose commissions leads belong to."""

    month: str
    status: str
    # The IBs' emails.
    ibs: Sequence[str]
    leads: int


@dataclass(frozen=True)
class Imported:
    """How the rows of a file fared: `read` is the sum of the others, `refused` counts by code."""

    read: int = 0
    created: int = 0
    unchanged: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    # Created as `qualified` without saying when.
    undated: int = 0
    settled: Sequence[Settled] = ()
    # The import of the same file that still holds; then nothing was read.
    again: LeadImport | None = None

    @property
    def good(self) -> int:
        """Rows that were not refused."""
        return self.created + self.unchanged


Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]


def run(
    session: db.Transaction,
    file: csvfile.CsvFile,
    rejects: csvfile.RejectFile,
    *,
    digest: str,
    owner: User | None = None,
    source: str | None = None,
    reading: rules.Reading,
    progress: Progress,
) -> Imported:
    """Create the leads of a file that are new, and put the rows that are refused into `rejects`.

    `digest` is the file's SHA-256: a file whose import still holds is not read again. `owner` and `source` hold for
    rows that name none. `progress` shows a step and how far it is. Raises RequestError where the file cannot be read.
    """
    columns = csvfile.columns(file, rules.ALIASES, any_of=rules.CONTACTS)
    again = earlier(session, digest)
    if again is not None:
        return Imported(again=again)
    with progress(f"Reading {file.path.name}", file.size) as report:
        stage(session, file, columns, owner=owner, source=source, reading=reading, on_bytes=report)
    with progress("Matching and writing", None):
        result = write(session, clock.now())
        write_rejects(session, file, rejects)
        register(session, file, columns, digest, result)
    return result


def earlier(session: Session, digest: str) -> LeadImport | None:
    """Return the last import of a file with this SHA-256 that has not been taken back; lets no other import begin."""
    db.lock(session, LOCK)
    imports = session.exec(select(LeadImport).where(LeadImport.sha256 == digest).order_by(col(LeadImport.id).desc()))
    return next((one for one in imports if not _undone(session, one.change_set_id)), None)


_UNDOERS = sa.text(
    """
    WITH RECURSIVE later AS (
        SELECT id, undoes FROM ibctl.change_set WHERE undoes = :id
        UNION ALL SELECT c.id, c.undoes FROM ibctl.change_set c JOIN later l ON c.undoes = l.id
    ) SELECT undoes, id FROM later
    """
)


def _undone(session: Session, change_set: int) -> bool:
    """Whether a change set has been taken back, by one that has not been taken back itself."""
    undoers: dict[int, list[int]] = defaultdict(list)
    for undone, by in session.execute(_UNDOERS, {"id": change_set}):
        undoers[undone].append(by)

    def is_undone(number: int) -> bool:
        return any(not is_undone(by) for by in undoers[number])

    return is_undone(change_set)


def owners(session: Session) -> dict[str, rules.Owner]:
    """Return all accounts by id and lower-case email, as rows may name them as owners."""
    found: dict[str, rules.Owner] = {}
    for id_, email, role, active in session.execute(sa.text('SELECT id, email, role, "isActive" FROM "User"')):
        owner = rules.Owner(id_)
        if role != Role.IB:
            owner = rules.Owner(id_, "owner_unknown", f"there is no IB '{email}': that account's role is {role}")
        elif not active:
            owner = rules.Owner(id_, "owner_inactive", f"the account of IB {email} is not active")
        found[id_] = owner
        key = email.lower()
        # Two accounts that differ in case only: neither is meant for sure.
        twin = rules.Owner("", "owner_unknown", f"'{key}' is the email of several accounts: give the id")
        found[key] = twin if key in found else owner
    return found


def stage(
    session: Session,
    file: csvfile.CsvFile,
    columns: Mapping[str, int],
    *,
    owner: User | None = None,
    source: str | None = None,
    reading: rules.Reading,
    on_bytes: Callable[[int], None] | None = None,
) -> None:
    """Check a file's rows and put them, the refused ones too, into a temporary table.

    `owner` and `source` hold for rows that name none. Raises RequestError where the file cannot be read on.
    """
    defaults = {"userId": owner.id if owner else None, "source": source}
    reader = rules.RowReader(
        columns,
        len(file.header),
        owners=owners(session) if {"ib", "userId"} & set(columns) else {},
        defaults={field: value for field, value in defaults.items() if value is not None},
        reading=reading,
        now=clock.now(),
    )
    session.execute(sql.CREATE_FILE)
    db.copy(session, sql.copy_file(reader.fields), _staged(reader, file.rows(on_bytes)))


def _staged(reader: rules.RowReader, rows: Iterator[tuple[int, list[str]]]) -> Iterator[Sequence[Any]]:
    nothing = [None] * len(reader.fields)
    new_id = ids.endless()
    for line, cells in rows:
        try:
            values = reader.read(cells)
        except RowError as exc:
            yield (line, None, exc.code, exc.field, exc.message, *nothing)
        else:
            yield (line, next(new_id), None, None, None, *values)


def write(session: Session, now: datetime) -> Imported:
    """Find what is there already and what comes twice among the staged rows, and create the leads that are new."""
    # The default holds no file's worth of hashes; without statistics a fresh table is taken for a small one.
    session.execute(sa.text("SET LOCAL work_mem = '64MB'"))
    session.execute(sa.text("ANALYZE lead_file"))
    session.execute(sql.CREATE_KNOWN)
    session.execute(sa.text("ANALYZE lead_known"))
    session.execute(sql.MARK_KNOWN)
    for statement in (sql.CREATE_SHARED, sql.CREATE_CHOSEN, sql.CHOOSE, sql.MARK_DUPLICATES):
        session.execute(statement)
    session.execute(sql.INSERT, {"now": now})
    read, created, unchanged, undated = session.execute(sql.COUNTS).one()
    zone = {"zone": config.settings().timezone.key}
    return Imported(
        read=read,
        created=created,
        unchanged=unchanged,
        refused={row.code: row.rows for row in session.execute(sql.REFUSED_BY_CODE)},
        undated=undated,
        settled=[Settled(*row) for row in session.execute(sql.SETTLED_BY_IMPORT, zone)],
    )


def write_rejects(session: Session, file: csvfile.CsvFile, rejects: csvfile.RejectFile) -> None:
    """Read the file once more, beside the refused rows in their order, and write those into the reject file."""
    refused = iter(session.execute(sql.REFUSED, execution_options={"stream_results": True, "yield_per": FETCH}))
    next_one = next(refused, None)
    if next_one is None:
        return
    for line, cells in file.rows():
        if line == next_one[0]:
            rejects.add(line, cells, *next_one[1:])
            next_one = next(refused, None)
            if next_one is None:
                return


def register(
    session: db.Transaction, file: csvfile.CsvFile, columns: Mapping[str, int], digest: str, result: Imported
) -> None:
    """Remember which file was imported, unless it created nothing: then nothing could be repeated nor taken back."""
    if not result.created:
        return
    session.add(
        LeadImport(
            change_set_id=session.change_set_id,
            file_name=file.path.name,
            sha256=digest,
            mapping={file.header[index]: field for field, index in columns.items()},
            rows=result.read,
            created=result.created,
            unchanged=result.unchanged,
            refused=sum(result.refused.values()),
        )
    )
