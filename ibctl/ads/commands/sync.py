"""`ibctl ads sync`: spend from Facebook, and what it told otherwise later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Annotated, Any

import typer

from ibctl import days, db, options, output
from ibctl.ads.commands import arguments, trouble
from ibctl.ads.spend.service import Settled
from ibctl.ads.sync import restatements as restated_days
from ibctl.ads.sync import rules as sync_rules
from ibctl.ads.sync import service as sync
from ibctl.ads.sync.service import Answer, Written
from ibctl.errors import UsageError
from ibctl.integrations.facebook.client import Line
from ibctl.output import Column

app = typer.Typer()

COLUMNS = [
    Column("adAccountId", "flag"),
    Column("email", brief=False),
    Column("from", "date"),
    Column("to", "date"),
    Column("added", "number"),
    Column("restated", "number"),
    Column("unchanged", "number"),
]
RESTATEMENT_COLUMNS = [
    Column("id", brief=False),
    Column("adAccountId", "flag"),
    Column("email", brief=False),
    Column("date", "date"),
    Column("field", "flag"),
    Column("old", "rate"),
    Column("new", "rate"),
    Column("seenAt", "time"),
]


@app.command("sync")
def sync_(
    account: arguments.AccountsFilter = None,
    since: Annotated[
        str | None, typer.Option(help="Read from this day on, like 2025-10-01.", show_default=False)
    ] = None,
    days_: Annotated[
        int | None, typer.Option("--days", min=1, help="Read so many days, today included.", show_default="28")
    ] = None,
    parallel: arguments.ParallelOption = 4,
    max_wait: arguments.MaxWaitOption = "5m",
    quiet: arguments.QuietOption = False,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Read daily spend of the connected accounts from Facebook.

    Figures move for 28 days, so the last 28 are read each time, in the
    account's own time zone; and any before them that were last read while
    they still moved. What Facebook tells otherwise than before is kept as a
    restatement. Facebook keeps 37 months.

    Each account is written by itself: one that fails stops no other, and
    nothing of it is written.

    Example: ibctl ads sync --account act_123456 --since 2025-10-01
    """
    if since is not None and days_ is not None:
        raise UsageError("--since and --days exclude each other")
    first = days.option("--since", since)
    patience = sync_rules.seconds("--max-wait", max_wait)
    with db.reading() as session:
        tasks, known = sync.plan(session, account or (), days_back=days_, since=first)
    _tell_cuts(tasks)
    run = trouble.Run.of(known, dry_run=dry_run, reason=reason)
    rows: list[dict[str, Any]] = []
    settled: list[Settled] = []
    with Line(max_wait=patience, connections=parallel) as line, db.pooled(sync.WRITERS), _progress(tasks) as show:
        written = sync.write_all(sync.read_all(line, tasks, parallel), lambda answer: _write(answer, dry_run, reason))
        for number, (answer, result) in enumerate(written, 1):
            run.attempt(answer.task.connection, partial(_note, answer, result, run, rows, settled))
            show(number)
    if not quiet or run.failed:
        rows.sort(key=lambda row: row["adAccountId"])
        output.show(rows, COLUMNS, output.Listing(output.Format(format)))
    _tell_settled(settled)
    run.finish("accounts read", quiet=quiet)


def _progress(tasks: Sequence[sync.Task]) -> AbstractContextManager[Any]:
    return output.progress("Reading accounts", len(tasks))


def _write(answer: Answer, dry_run: bool, reason: str | None) -> tuple[Written, db.Written]:
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        written = sync.store(session, answer)
    return written, session.written


def _note(
    answer: Answer, result: Callable[[], tuple[Written, db.Written]], run: trouble.Run, rows: list[dict[str, Any]],
    settled: list[Settled],
) -> None:  # fmt: skip
    written, record = result()
    run.wrote(record)
    rows.append(_row(answer, written))
    settled.extend(written.settled)


def _row(answer: Answer, written: Written) -> dict[str, Any]:
    return {
        "adAccountId": answer.task.connection.facebook_id,
        "email": answer.task.connection.email,
        "from": written.first,
        "to": written.last,
        "added": written.added,
        "restated": written.restated,
        "unchanged": written.unchanged,
    }


def _tell_cuts(tasks: Sequence[sync.Task]) -> None:
    cut = [task for task in tasks if task.window.cut is not None]
    if cut:
        output.warn(f"Facebook keeps 37 months: read from {cut[0].window.first} on, not from {cut[0].window.cut}")


def _tell_settled(settled: Sequence[Settled]) -> None:
    """Say once for each month that is being paid or was paid that its spend has changed."""
    for month, status in sorted({(one.month, one.status) for one in settled}):
        of_month = [one for one in settled if (one.month, one.status) == (month, status)]
        ibs = sorted({ib for one in of_month for ib in one.ibs})
        output.warn(
            f"{month} is {status} for {output.some(ibs)}: those commissions stay as they are, though this month's "
            f"spend has changed (days: {sum(one.days for one in of_month):,})"
        )


@app.command()
@options.spread
def restatements(
    which: arguments.Which,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List what Facebook came to tell otherwise about stored days, newest first.

    Example: ibctl ads spend restatements --month 2025-10
    """
    first, last = which.span()
    with db.reading() as session:
        rows, total = restated_days.listing(
            session, account=which.account, ib=which.ib, first=first, last=last, limit=limit
        )
    output.show(rows, RESTATEMENT_COLUMNS, output.Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "restatements")
