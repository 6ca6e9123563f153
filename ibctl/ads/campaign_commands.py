"""`ibctl ads campaigns`: what runs at Facebook, what it brings, switching it."""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ibctl import clock, db, errors, money, output
from ibctl.ads import accounts, campaign_rules, campaigns, sync_rules
from ibctl.ads.campaigns import Switch, Synced
from ibctl.errors import RequestError, ServiceError, UsageError
from ibctl.output import Column, Format, Listing
from ibctl.users import completion

if TYPE_CHECKING:
    from ibctl.ads.accounts import Connection
    from ibctl.ads.trouble import Run
    from ibctl.integrations.facebook.campaigns import Picture
    from ibctl.integrations.facebook.client import Line

app = typer.Typer(no_args_is_help=True, help="Campaigns: made, switched, and what they bring.")

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
SWITCH_COLUMNS = [Column("id", brief=False), Column("name"), Column("account"), Column("outcome")]

CampaignArgument = Annotated[
    str, typer.Argument(metavar="CAMPAIGN", help="Its name, id or Facebook id.", show_default=False)
]
CampaignsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="CAMPAIGN", help="Names, ids or Facebook ids; - reads a list.", show_default=False),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Let Facebook judge it, and change nothing.")]
AccountOption = Annotated[str | None, typer.Option(help="Only this ad account: its id, act_…, or name.")]
IbOption = Annotated[str | None, typer.Option(help="Only this IB: email or id.", autocompletion=completion.ibs)]
Status = Literal["DRAFT", "ACTIVE", "PAUSED", "COMPLETED", "ERROR"]
assert Status.__args__ == campaign_rules.STATUSES  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------------------- looking


@app.command("list")
def list_(
    account: AccountOption = None,
    ib: IbOption = None,
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
    campaign: CampaignArgument,
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
    account: Annotated[
        list[str] | None, typer.Option(help="Only this ad account: its id, act_…, or name.", show_default=False)
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="So many accounts at once.")] = 4,
    max_wait: Annotated[str, typer.Option(help="Wait so long for Facebook's limits, then park.")] = "5m",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all went well.")] = False,
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
    from ibctl.ads.trouble import Run
    from ibctl.integrations.facebook.client import Line

    patience = sync_rules.seconds("--max-wait", max_wait)
    with db.reading() as session:
        known = accounts.connections(session, account or [])
        stored = {one.id: campaigns.known_ids(session, one.id) for one in known.usable}
    run = Run.of(known, dry_run=dry_run, reason=reason)
    rows: list[Synced] = []
    bar = output.progress("Reading accounts", len(known.usable))
    with Line(max_wait=patience, connections=parallel) as line, db.one_connection(), bar as show_done:
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


# ------------------------------------------------------------------------------------------------------------ switching


@app.command()
def pause(
    campaign: CampaignsArgument = None,
    account: AccountOption = None,
    format: output.FormatOption = Format.table,
    dry_run: DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Stop campaigns, with everything under them; --account stops all of an account.

    Example: ibctl ads campaigns pause 'US leads' 'DE leads' --reason 'budget spent'
    """
    _switch(_asked(campaign, account), "PAUSED", "paused", format, dry_run=dry_run, reason=reason)


@app.command()
def resume(
    campaign: CampaignsArgument = None,
    account: AccountOption = None,
    format: output.FormatOption = Format.table,
    dry_run: DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Let campaigns run again; asks, since they spend.

    One that `create` made and that has never run is started with its ad set
    and ad. What was paused below a campaign in Ads Manager stays paused.

    Example: ibctl ads campaigns resume 'US leads'
    """
    asked = _asked(campaign, account)
    _refuse_ended(asked)
    if asked and not dry_run:
        output.confirm(f"campaigns that run again: {len(asked):,}, {_budgets(asked)}", yes=yes)
    _switch(asked, "ACTIVE", "resumed", format, dry_run=dry_run, reason=reason)


@app.command()
def archive(
    campaign: CampaignsArgument,
    format: output.FormatOption = Format.table,
    dry_run: DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """End campaigns for good: an archived one cannot run again. Asks.

    Example: ibctl ads campaigns archive 'US leads'
    """
    asked = _asked(campaign, None)
    if asked and not dry_run:
        named = output.some([one.name for one in asked])
        output.confirm(f"campaigns that end for good: {len(asked):,} ({named})", yes=yes)
    _switch(asked, "ARCHIVED", "archived", format, dry_run=dry_run, reason=reason)


def _asked(names: list[str] | None, account: str | None) -> list[Switch]:
    """The campaigns that are meant, `-` among them standing for a list on stdin."""
    if not names and account is None:
        raise UsageError("name a campaign, or give --account for all of an account's")
    wanted: list[str] = []
    for name in names or []:
        wanted += [line.strip() for line in sys.stdin if line.strip()] if name == "-" else [name]
    with db.reading() as session:
        return campaigns.switches(session, wanted, account)


def _refuse_ended(asked: Sequence[Switch]) -> None:
    ended = [one for one in asked if one.end is not None and one.end <= clock.now()]
    if ended:
        raise RequestError(
            f"'{ended[0].name}' ended on {ended[0].end:%Y-%m-%d %H:%M} UTC: Facebook lets no ended campaign run"
        )
    if over := [one for one in asked if one.status == "COMPLETED"]:
        raise RequestError(f"'{over[0].name}' is COMPLETED (archived, deleted or over): it cannot run again")


def _budgets(asked: Sequence[Switch]) -> str:
    """Write what campaigns may spend: `up to 150.00 USD a day and 500.00 USD in all`."""
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for one in asked:
        if one.daily_budget is not None:
            sums[one.connection.currency, " a day"] += one.daily_budget
        elif one.lifetime_budget is not None:
            sums[one.connection.currency, " in all"] += one.lifetime_budget
    parts = [f"{money.show(amount, currency)}{span}" for (currency, span), amount in sorted(sums.items())]
    return f"up to {' and '.join(parts)}" if parts else "with budgets that are not known here"


def _switch(
    asked: Sequence[Switch], status: str, word: str, format: Format, *, dry_run: bool, reason: str | None
) -> None:  # fmt: skip
    """Switch campaigns, one batch for each account, and end: 6 when Facebook refused some, 5 when all."""
    outcomes: dict[str, Exception | None] = {}
    for connection, group in _by_account(asked):
        outcomes |= _switch_account(connection, group, status, dry_run=dry_run)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        campaigns.switched(session, outcomes, {"ARCHIVED": "COMPLETED"}.get(status, status))
    rows = [
        {"id": one.id, "name": one.name, "account": one.connection.name, "outcome": str(outcomes[one.id] or word)}
        for one in asked
    ]
    output.show(rows, SWITCH_COLUMNS, Listing(format))
    failed = [one for one in outcomes.values() if one is not None]
    # Not by `announce`: `undo` would take back what is stored here, and nothing at Facebook.
    output.note(f"campaigns {word}: {len(asked) - len(failed):,}{'; dry run: nothing was changed' if dry_run else ''}")
    if failed:
        output.note(f"campaigns that Facebook did not let be {word}: {len(failed):,}")
        raise typer.Exit(ServiceError.exit_code if len(failed) == len(asked) else errors.PARTIAL)


def _by_account(asked: Sequence[Switch]) -> Iterator[tuple[Connection, list[Switch]]]:
    groups: dict[str, list[Switch]] = defaultdict(list)
    for one in asked:
        groups[one.connection.id].append(one)
    for group in groups.values():
        yield group[0].connection, group


def _switch_account(
    connection: Connection, group: Sequence[Switch], status: str, *, dry_run: bool
) -> dict[str, Exception | None]:
    """Switch one account's campaigns; returns by row id what Facebook said against it, if anything."""
    from ibctl.integrations.facebook import campaigns as facebook
    from ibctl.integrations.facebook.client import Line
    from ibctl.integrations.facebook.failures import GraphError, VersionExpiredError

    ids = [id_ for one in group for id_ in (one.ids if status == "ACTIVE" else [one.campaign])]
    try:
        with Line() as line:
            graph = line.graph(connection.token)
            answers = facebook.set_status(graph, ids, status, validate_only=dry_run)
    except VersionExpiredError:
        raise
    except GraphError as exc:
        with db.transaction(dry_run=dry_run) as session:
            accounts.note_failure(session, connection.id, exc)
        return dict.fromkeys((one.id for one in group), exc)
    return {one.id: next((answers[id_] for id_ in one.ids if answers.get(id_)), None) for one in group}
