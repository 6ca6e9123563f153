"""Runs over many accounts: each by itself, so that one that fails stops no other, and the exit code that follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import typer

from ibctl import clock, db, errors, output
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection, Connections
from ibctl.errors import IbctlError, RequestError, ServiceError
from ibctl.integrations.facebook.failures import RateLimitError, SettingError


@dataclass
class Run:
    """What became of the accounts of a command."""

    asked: int
    dry_run: bool
    reason: str | None
    done: int = 0
    failed: list[str] = field(default_factory=list)
    change_sets: list[int] = field(default_factory=list)

    @staticmethod
    def of(known: Connections, *, dry_run: bool, reason: str | None) -> Run:
        """Begin a run: name what is skipped, note what cannot be opened. Raises RequestError where nothing is left."""
        for name, why in known.skipped:
            output.note(f"skipped: {name} {why}")
        run = Run(len(known.usable) + len(known.closed), dry_run, reason)
        if not known.usable and known.closed:
            raise known.closed[0][2]
        if not known.usable and not known.skipped:
            output.note("no ad account is connected")
        for row_id, name, secret in known.closed:
            run.fail(row_id, name, secret)
        return run

    def attempt(self, one: Connection, work: Callable[[], None]) -> None:
        """Do one account's part; what goes wrong outside is noted, in words and in the database."""
        try:
            work()
        except SettingError:
            raise  # nothing works with any account
        except (ServiceError, RequestError) as exc:
            self.fail(one.id, one.name, exc)
        else:
            self.done += 1

    def fail(self, row_id: str, name: str, failure: IbctlError) -> None:
        """Note that an account failed."""
        output.warn(f"{name} {_fate(failure)}: {failure}")
        self.failed.append(name)
        with db.transaction(dry_run=self.dry_run, reason=self.reason) as session:
            accounts.note_failure(session, row_id, failure)
        self.wrote(session.written)

    def wrote(self, written: db.Written) -> None:
        """Keep the change set of an account's transaction."""
        if written.change_set is not None:
            self.change_sets.append(written.change_set)

    @property
    def way_back(self) -> str:
        """How to take back what was written, failures too: the end of a line; empty where nothing was."""
        if not self.change_sets:
            return ""
        if len(self.change_sets) == 1:
            (number,) = self.change_sets
            return f"; change set {number}, `ibctl undo {number}` takes it back"
        first, last = min(self.change_sets), max(self.change_sets)
        return f"; change sets {first} to {last}, `ibctl undo` takes back one account's each"

    def finish(self, what: str, *, quiet: bool = False) -> None:
        """Say how it went, and end: 0, 6 when some accounts failed, 5 when it was the only one asked for."""
        dry = "; dry run: nothing was written" if self.dry_run else ""
        if not quiet or self.failed:
            output.note(f"{what}: {self.done:,}{self.way_back}{dry}")
        if not self.failed:
            return
        output.note(f"accounts that failed: {len(self.failed):,} ({output.some(self.failed)})")
        raise typer.Exit(ServiceError.exit_code if self.asked == 1 else errors.PARTIAL)


def _fate(failure: IbctlError) -> str:
    if not isinstance(failure, RateLimitError):
        return "failed"
    if not failure.wait:
        return "parked"
    return f"parked until {clock.now() + timedelta(seconds=failure.wait):%H:%M} UTC"
