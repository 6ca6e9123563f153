"""`ibctl ads campaigns`: what runs at Facebook, what it brings, switching it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ibctl import db, money, output
from ibctl.ads.accounts import service as accounts
from ibctl.ads.campaigns import rules as campaign_rules
from ibctl.ads.campaigns import service as campaigns
from ibctl.ads.campaigns.service import Synced
from ibctl.ads.commands import arguments
from ibctl.ads.sync import rules as sync_rules
from ibctl.output import Column, Format, Listing

if TYPE_CHECKING:
    from ibctl.ads.accounts.service import Connection
    from ibctl.ads.commands.trouble import Run
    from ibctl.integrations.facebook.campaigns import Picture
    from ibctl.integrations.facebook.client import Line

app = typer.Typer()

COLUMNS = [
    Column("id", brief=False), Column("name"), Column("ib", brief=False), Column("fbAdAccountId", brief=False),
    Column("adAccountName", brief=False), Column("campaignType", "flag", brief=False), Column("status", "flag"),
    Column("objective", brief=False), Column("dailyBudget", "money"), Column("lifetimeBudget", "money", brief=False),
    Column("remainingBudget", "money", brief=False), Column("totalSpent", "money"), Column("currency", "flag"),
    Column("impressions", "number", brief=False), Column("clicks", "number", brief=False), Column("leads", "number"),
    Column("conversions", "number", brief=False), Column("ctr", "rate", brief=False),
    Column("cpc", "money", brief=False), Column("cpl", "money", brief=False), Column("roas", "rate", brief=False),
    Column("startDate", "time", brief=False), Column("endDate", "time", brief=False),
    Column("errorMessage", brief=False), Column("errorCount", "number", brief=False),
    Column("lastSyncAt", "time", brief=False), Column("template", brief=False), Column("fbCampaignId", brief=False),
    Column("fbAdSetId", brief=False), Column("fbAdId", brief=False), Column("fbPostId", brief=False),
    Column("adCopy", brief=False), Column("callToAction", brief=False), Column("imageUrl", brief=False),
    Column("targetingData", brief=False), Column("userId", brief=False), Column("adAccountId", brief=False),
    Column("templateId", brief=False), Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
]  # fmt: skip
SYNC_COLUMNS = [
    Column("account", "flag"), Column("adAccountName", brief=False), Column("campaigns", "number"),
    Column("created", "number"), Column("updated", "number"), Column("spend", "money"),
    Column("campaignSpend", "money", brief=False), Column("residual", "money"), Column("currency", "flag"),
]  # fmt: skip

Status = Literal["DRAFT", "ACTIVE", "PAUSED", "COMPLETED", "ERROR"]
assert Status.__args__ == campaign_rules.STATUSES  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------------------- looking


@app.command("list")
def list_(
    account: arguments.AccountFilter = None,
    ib: arguments.IbFilter = None,
    status: Annotated[Status | None, typer.Option(help="Only with this status.")] = None,
    type_: Annotated[Literal["BOOST", "CAMPAIGN"] | None, typer.Option("--type", help="Only of this type.")] = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List campaigns as the last sync saw them, newest first.

    Example: ibctl ads campaigns list --account act_123 --status ACTIVE
    """
    with db.reading() as session:
        rows, total = campaigns.listing(session, campaigns.Filter(account, ib, status, type_), limit=limit)
    output.show(rows, COLUMNS, Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "campaigns")


@app.command()
def show(
    campaign: arguments.CampaignArgument,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show a campaign with all that is known of it.

    Example: ibctl ads campaigns show 'US leads'
    """
    with db.reading() as session:
        row = campaigns.show(session, campaign)
    output.show_record(row, COLUMNS, Listing(format, file, columns))


# -------------------------------------------------------------------------------------------------------------- syncing


@app.command()
def sync(
    account: arguments.AccountsFilter = None,
    parallel: arguments.ParallelOption = 4,
    max_wait: arguments.MaxWaitOption = "5m",
    quiet: arguments.QuietOption = False,
    format: output.SummaryFormatOption = "table",
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Take over what Facebook knows of all campaigns, archived and deleted ones too.

    Status, budgets, and what each brought in its life: spend, impressions,
    clicks, leads, conversions, and from these ctr (percent), cpc, cpl and
    roas. The residual is what the account spent in no campaign that Facebook
    names. An account that fails stops no other; some failed: exit code 6.

    Example: ibctl ads campaigns sync --account act_123
    """
    from ibctl.ads.commands.trouble import Run
    from ibctl.integrations.facebook.client import Line

    patience = sync_rules.seconds("--max-wait", max_wait)
    with db.reading() as session:
        known = accounts.connections(session, account or [])
        stored = {one.id: campaigns.known_ids(session, one.id) for one in known.usable}
    run = Run.of(known, dry_run=dry_run, reason=reason)
    rows: list[Synced] = []
    bar = output.progress("Reading accounts", len(known.usable))
    with Line(max_wait=patience, connections=parallel) as line, db.pooled(1), bar as show_done:
        for number, (one, seen) in enumerate(_seen(line, known.usable, stored, parallel), 1):
            run.attempt(one, partial(_store, run, one, seen, rows))
            show_done(number)
    if not quiet or run.failed:
        output.show([_row(one) for one in rows], SYNC_COLUMNS, Listing(Format(format)))
    _tell_residuals(rows)
    run.finish("accounts whose campaigns were read", quiet=quiet)


def _seen(
    line: Line, connections: Sequence[Connection], stored: dict[str, list[str]], parallel: int
) -> Iterator[tuple[Connection, Future[Picture]]]:
    """Look at accounts, some at a time, and yield what each looks like; no more are held than are being read."""
    from ibctl.integrations.facebook import campaigns as facebook

    waiting: deque[tuple[Connection, Future[Picture]]] = deque()
    with ThreadPoolExecutor(parallel) as pool:
        try:
            for one in connections:
                look = partial(facebook.picture, line.graph(one.token), one.name, stored[one.id])
                waiting.append((one, pool.submit(look)))
                if len(waiting) > parallel:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            line.stop.set()  # where the caller gave up, nobody goes on waiting


def _store(run: Run, one: Connection, seen: Future[Picture], rows: list[Synced]) -> None:
    picture = seen.result()
    with db.transaction(dry_run=run.dry_run, reason=run.reason) as session:
        row = campaigns.store(session, one, picture)
    run.wrote(session.written)
    rows.append(row)


def _row(one: Synced) -> dict[str, Any]:
    return {
        "account": one.account, "adAccountName": one.name, "campaigns": one.campaigns, "created": one.created,
        "updated": one.updated, "spend": one.spend, "campaignSpend": one.campaign_spend, "residual": one.residual,
        "currency": one.currency,
    }  # fmt: skip


def _tell_residuals(rows: Sequence[Synced]) -> None:
    for one in rows:
        if one.residual:
            output.warn(
                f"{money.show(one.residual, one.currency)} that {one.account} spent are in no campaign that Facebook "
                "names: its campaigns do not add up to the account"
            )
