"""`ibctl ads campaigns pause`, `resume` and `archive`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated

import typer

from ibctl import clock, db, errors, money, output, utf8
from ibctl.ads.campaigns import switching
from ibctl.ads.campaigns.switching import Switch
from ibctl.ads.commands import arguments, completion
from ibctl.ads.sync import rules as sync_rules
from ibctl.errors import RequestError, UsageError
from ibctl.integrations.facebook.client import Line
from ibctl.output import Column, Format, Listing

app = typer.Typer()

COLUMNS = [Column("id", brief=False), Column("name"), Column("account"), Column("outcome")]

AccountOption = Annotated[
    str | None,
    typer.Option(help="All campaigns of this ad account.", show_default=False, autocompletion=completion.accounts),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Let Facebook judge it, and change nothing.")]


@app.command()
def pause(
    campaign: arguments.CampaignsArgument = None,
    account: AccountOption = None,
    max_wait: arguments.MaxWaitOption = "5m",
    format: output.FormatOption = Format.table,
    dry_run: DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Stop campaigns, with everything under them; --account stops all of an account.

    Example: ibctl ads campaigns pause 'US leads' 'DE leads' --reason 'budget spent'
    """
    _switch(_asked(campaign, account), "PAUSED", "paused", format, max_wait=max_wait, dry_run=dry_run, reason=reason)


@app.command()
def resume(
    campaign: arguments.CampaignsArgument = None,
    account: AccountOption = None,
    max_wait: arguments.MaxWaitOption = "5m",
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
    _refuse_idle(asked)
    if asked and not dry_run:
        output.confirm(f"campaigns that run again: {len(asked):,}, {_budgets(asked)}", yes=yes)
    _switch(asked, "ACTIVE", "resumed", format, max_wait=max_wait, dry_run=dry_run, reason=reason)


@app.command()
def archive(
    campaign: arguments.CampaignsArgument,
    max_wait: arguments.MaxWaitOption = "5m",
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
    _switch(asked, "ARCHIVED", "archived", format, max_wait=max_wait, dry_run=dry_run, reason=reason)


def _asked(names: list[str] | None, account: str | None) -> list[Switch]:
    """The campaigns that are meant, `-` among them standing for a list on stdin."""
    if not names and account is None:
        raise UsageError("name a campaign, or give --account for all of an account's")
    wanted: list[str] = []
    for name in names or []:
        wanted += utf8.listed() if name == "-" else [name]
    with db.reading() as session:
        return switching.switches(session, wanted, account)


def _refuse_idle(asked: Sequence[Switch]) -> None:
    """Raise RequestError for a campaign that cannot run, whatever it is told."""
    if begun := [one for one in asked if one.unfinished]:
        raise RequestError(
            f"'{begun[0].name}' is made only in part: the command that made it makes the rest; then it can run"
        )
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
    unknown = sum(one.daily_budget is None and one.lifetime_budget is None for one in asked)
    for one in asked:
        if one.daily_budget is not None:
            sums[one.connection.currency, " a day"] += one.daily_budget
        elif one.lifetime_budget is not None:
            sums[one.connection.currency, " in all"] += one.lifetime_budget
    parts = [f"{money.show(amount, currency)}{span}" for (currency, span), amount in sorted(sums.items())]
    if not parts:
        return "with budgets that are not known here"
    rest = f", and {unknown:,} with a budget that is not known here" if unknown else ""
    return f"up to {' and '.join(parts)}{rest}"


def _switch(
    asked: Sequence[Switch], status: str, word: str, format: Format, *, max_wait: str, dry_run: bool, reason: str | None
) -> None:
    """Switch campaigns, and end: 6 when some could not be switched, and as the first of them says when none could."""
    with Line(max_wait=sync_rules.seconds("--max-wait", max_wait)) as line:
        outcomes = switching.switch(line, asked, status, dry_run=dry_run)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        switching.switched(session, outcomes, "COMPLETED" if status == "ARCHIVED" else status)
    rows = [
        {"id": one.id, "name": one.name, "account": one.connection.name, "outcome": str(outcomes[one.id] or word)}
        for one in asked
    ]
    output.show(rows, COLUMNS, Listing(format))
    failed = [failure for failure in outcomes.values() if failure is not None]
    # Not by `announce`: `undo` would take back what is stored here, and nothing at Facebook.
    output.note(f"campaigns {word}: {len(asked) - len(failed):,}{'; dry run: nothing was changed' if dry_run else ''}")
    if failed:
        output.note(f"campaigns that could not be {word}: {len(failed):,}")
        raise typer.Exit(failed[0].exit_code if len(failed) == len(asked) else errors.PARTIAL)
