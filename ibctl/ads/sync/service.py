"""Reading spend from Facebook: planned, read and stored by account, each step a function of plain values.

`plan` (a reading transaction), `read` (network, no database) and `store` (a transaction of the account's own) together
are one account's sync. It can run anywhere: nothing is shared with another account's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import islice
from typing import TypeVar

from sqlmodel import Session, col, select

from ibctl import clock, days, db, ids
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection, Connections
from ibctl.ads.spend.rules import LARGEST_COUNT
from ibctl.ads.spend.service import Settled
from ibctl.ads.sync import action_rules
from ibctl.ads.sync import rules as sync_rules
from ibctl.ads.sync import sql as sync_sql
from ibctl.ads.sync.action_rules import USUAL, Counted
from ibctl.ads.sync.rules import Coverage, Figures, Window
from ibctl.errors import IbctlError, RequestError
from ibctl.integrations.facebook import insights
from ibctl.integrations.facebook.client import Line
from ibctl.integrations.facebook.insights import Day
from ibctl.models.ads import AdAccountState, AdActionTypes

# How many more accounts are asked for than are at work, so that none waits for an answer to be written.
AHEAD = 2
# How many accounts are written at once.
WRITERS = 2
T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """One account's sync: whose token, which days, what counts."""

    connection: Connection
    window: Window
    counted: Counted


@dataclass(frozen=True)
class Answer:
    """What Facebook said about a task, or the failure. `asked_at` is naive UTC."""

    task: Task
    asked_at: datetime
    days: Sequence[Day] | IbctlError


@dataclass(frozen=True)
class Written:
    """What an account's days changed: new ones, restated ones, later ones whose running totals moved."""

    first: date
    last: date
    added: int
    restated: int
    unchanged: int
    rederived: int
    settled: Sequence[Settled]


def plan(
    session: Session, names: Sequence[str] = (), *, days_back: int | None = None, since: date | None = None
) -> tuple[list[Task], Connections]:
    """Say what is to be read of the named accounts, or of all that are connected and not parked.

    Raises NotFoundError, and RequestError for a named account that is not connected.
    """
    known = accounts.connections(session, names)
    usable = [one.id for one in known.usable]
    states = {one.id: one for one in session.exec(select(AdAccountState).where(col(AdAccountState.id).in_(usable)))}
    if not names:
        known = _without_parked(known, states)
    types = {one.id: one for one in session.exec(select(AdActionTypes).where(col(AdActionTypes.id).in_(usable)))}
    tasks = [
        Task(
            one,
            sync_rules.window(days.today(one.zone), _coverage(states.get(one.id)), days=days_back, since=since),
            action_rules.counted(types[one.id].leads, types[one.id].conversions) if one.id in types else USUAL,
        )
        for one in known.usable
    ]
    return tasks, known


def _without_parked(known: Connections, states: Mapping[str, AdAccountState]) -> Connections:
    """Leave those alone that Facebook lets nobody read yet: it would only be asked in vain."""
    now = clock.now()
    until = {one.id: state.parked_until for one in known.usable if (state := states.get(one.id)) and state.parked_until}
    parked = {row_id: time for row_id, time in until.items() if time > now}
    skipped = [
        (one.name, f"is parked until {parked[one.id]:%Y-%m-%d %H:%M} UTC: --account asks all the same")
        for one in known.usable if one.id in parked
    ]  # fmt: skip
    usable = [one for one in known.usable if one.id not in parked]
    return replace(known, usable=usable, skipped=[*known.skipped, *skipped])


def _coverage(state: AdAccountState | None) -> Coverage:
    return Coverage(state.first_day, state.last_day, state.final_through) if state else Coverage()


# -------------------------------------------------------------------------------------------------------------- reading


def read_all(line: Line, tasks: Sequence[Task], parallel: int) -> Iterator[Answer]:
    """Read accounts side by side, and yield each as it comes. Never more than a few answers are held."""
    waiting = iter(tasks)
    with ThreadPoolExecutor(parallel, thread_name_prefix="facebook") as pool:
        running: set[Future[Answer]] = set()
        try:
            while True:
                more = islice(waiting, parallel + AHEAD - len(running))
                running |= {pool.submit(read, line, task) for task in more}
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        finally:
            # Also after Ctrl-C: nobody waits for accounts that nobody will write.
            if running:
                line.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)


def read(line: Line, task: Task) -> Answer:
    """Ask Facebook for a task's days. What goes wrong is part of the answer; a bug is raised."""
    asked_at, one = clock.now(), task.connection
    assert one.facebook_id is not None
    try:
        graph = line.graph(one.token)
        return Answer(task, asked_at, insights.daily(graph, one.facebook_id, task.window.first, task.window.last))
    except IbctlError as exc:
        return Answer(task, asked_at, exc)


# -------------------------------------------------------------------------------------------------------------- storing


def write_all(
    answers: Iterator[Answer], write: Callable[[Answer], T], writers: int = WRITERS
) -> Iterator[tuple[Answer, Callable[[], T]]]:
    """Let `write` store answers, a few at a time, and yield each with the call that returns or raises what came of it.

    While one transaction waits for the disk, the next one is prepared; so writing keeps up with reading.
    """
    with ThreadPoolExecutor(writers, thread_name_prefix="writer") as pool:
        waiting: deque[tuple[Answer, Callable[[], T]]] = deque()
        for answer in answers:
            waiting.append((answer, pool.submit(write, answer).result))
            if len(waiting) > writers:
                yield waiting.popleft()
        yield from waiting


def store(session: Session, answer: Answer) -> Written:
    """Write an account's days, restate what was told otherwise, and derive the rest anew.

    Raises the failure that the answer is, and RequestError for days that cannot be stored; nothing is written then.
    """
    if isinstance(answer.days, IbctlError):
        raise answer.days
    task, account = answer.task, answer.task.connection.id
    # Shared: accounts do not meet each other, only an import or an undo that may touch any of them.
    db.lock(session, "ads spend", shared=True)
    held = session.execute(sync_sql.HOLD, {"account": account}).one()
    _require_newest(held.lastSyncAt, answer)
    figures = [sync_rules.figures(day, held.currency, task.counted) for day in answer.days]
    span = {"account": account, "first": task.window.first, "last": task.window.last}
    if not figures:
        stored = session.execute(sync_sql.STORED_WITH_SPEND, span).scalar_one()
        sync_rules.require_likely(answer.days, stored, task.window)
    session.execute(sync_sql.HOLD_DAYS, span)
    written = _write(session, answer, figures)
    known = Coverage(held.firstDay, held.lastDay, held.finalThrough)
    _finish(session, answer, sync_rules.covered(known, task.window, task.window.last))
    return written


def _require_newest(last: datetime | None, answer: Answer) -> None:
    if last is not None and last > answer.asked_at:
        raise RequestError("another run has read this account in the meantime: what it wrote is newer, and stays")


def _write(session: Session, answer: Answer, figures: Sequence[Figures]) -> Written:
    window = answer.task.window
    span = (window.last - window.first).days + 1
    values = {
        "account": answer.task.connection.id,
        "first": window.first,
        "last": window.last,
        "ids": list(ids.cuids(len(figures))),
        "dates": [day.date for day in figures],
        "spend": [float(day.spend) for day in figures],
        "impressions": [day.impressions for day in figures],
        "clicks": [day.clicks for day in figures],
        "leads": [day.leads for day in figures],
        "conversions": [day.conversions for day in figures],
        "restatement_ids": list(ids.cuids(5 * span)),
        "largest": LARGEST_COUNT,
        "now": clock.now(),
    }
    row = session.execute(sync_sql.WRITE, values).one()
    if row.most_leads is not None and row.most_leads > LARGEST_COUNT:
        raise RequestError(f"the running total of leads would pass {LARGEST_COUNT:,}: nothing was written")
    unchanged = len(figures) - row.added - row.changed
    settled = [Settled(*month) for month in row.settled or ()]
    return Written(
        window.first, window.last, row.added, row.changed, max(unchanged, 0), row.updated - row.changed, settled
    )


def _finish(session: Session, answer: Answer, coverage: Coverage) -> None:
    values = {
        "account": answer.task.connection.id,
        "asked_at": answer.asked_at,
        "now": clock.now(),
        "first_day": coverage.first,
        "last_day": coverage.last,
        "final_through": coverage.final,
    }
    session.execute(sync_sql.DONE, values)
