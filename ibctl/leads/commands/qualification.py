"""`ibctl leads programmes`, `qualify` and `progress`: on what terms leads qualify, and how far they are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ibctl import config, days, db, money, output, rendering
from ibctl.leads import service
from ibctl.leads.commands.notices import warn_of_settled
from ibctl.leads.qualification import rules as programme_rules
from ibctl.leads.qualification import service as qualification
from ibctl.output import Column, Listing
from ibctl.users import completion

app = typer.Typer()
programmes_app = typer.Typer(no_args_is_help=True, help="What brokers ask of a lead, and what they pay for it.")

COLUMNS = [
    Column("id", brief=False),
    Column("broker"),
    Column("effectiveFrom", "date"),
    Column("effectiveTo", "date", brief=False),
    Column("minDeposit", "money"),
    Column("minLots", "rate"),
    Column("daysAllowed", "number"),
    Column("cpa", "money"),
    Column("createdAt", "time", brief=False),
]
QUALIFIED_COLUMNS = [
    Column("id", brief=False),
    Column("qualifiedAt", "time"),
    Column("email"),
    Column("ib"),
    Column("broker", brief=False),
    Column("leadCapturedAt", "time", brief=False),
    Column("cpaEarned", "money"),
]
PROGRESS_COLUMNS = [
    Column("id"), Column("email"), Column("ib"), Column("broker"), Column("status", "flag"),
    Column("effectiveFrom", "date"), Column("leadCapturedAt", "time"), Column("deadline", "time"),
    Column("accounts", "number"), Column("lastScrapedAt", "time"), Column("qualifiedAt", "time"),
    Column("cpa", "money"), Column("cpaEarned", "money"), Column("changeSet"), Column("command"),
]  # fmt: skip
CONDITION_COLUMNS = [
    Column("condition"), Column("current", "rate"), Column("target", "rate"), Column("percent", "rate"),
    Column("state", "flag"), Column("metAt", "time", brief=False), Column("missing"),
]  # fmt: skip


def _brokers(ctx: typer.Context, incomplete: str) -> list[str]:
    return completion.words(completion.answer(ctx, lambda session: qualification.brokers(session, incomplete)))


BrokerArgument = Annotated[
    str,
    typer.Argument(metavar="BROKER", help="In whatever case.", show_default=False, autocompletion=_brokers),
]
BrokerFilter = Annotated[str | None, typer.Option("--broker", help="Only at this broker.", autocompletion=_brokers)]


# ----------------------------------------------------------------------------------------------------------- programmes


@programmes_app.command("set")
def set_(
    broker: BrokerArgument,
    since: Annotated[
        str, typer.Option("--from", help="For leads captured from this day on, like 2025-10-01.", show_default=False)
    ],
    min_deposit: Annotated[str, typer.Option(help="What to deposit; 0 for nothing.", show_default=False)],
    min_lots: Annotated[str, typer.Option(help="Lots to close; 0 for none.", show_default=False)],
    cpa: Annotated[str, typer.Option(help="What is paid for a qualified lead.", show_default=False)],
    days_allowed: Annotated[
        int | None,
        typer.Option("--days", min=1, max=programme_rules.MOST_DAYS, help="Within so many days of the capture."),
    ] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Set what a broker asks of a lead, and what it pays.

    The terms hold for leads captured from that day on, until the next ones.
    Terms from the same day are replaced, unless leads already count by them
    in a month that is being paid or paid. Leads that have qualified stay so.

    Example: ibctl leads programmes set Axi --from 2025-10-01 --min-deposit 200 --min-lots 0.5 --cpa 400
    """
    terms = programme_rules.terms(
        broker, since=since, min_deposit=min_deposit, min_lots=min_lots, days_allowed=days_allowed, cpa=cpa
    )
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        outcome = qualification.set_programme(session, terms)
    if outcome == "unchanged":
        session.written.announce(f"nothing to do: {terms.broker} asks that already")
    else:
        session.written.announce(f"{outcome}: {terms.broker} from {terms.effective_from} on asks {terms}")


@programmes_app.command("list")
def list_(
    broker: BrokerFilter = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List the terms of all brokers, the latest first."""
    with db.reading() as session:
        rows, total = qualification.programmes(session, broker=broker, limit=limit)
    output.show(rows, COLUMNS, Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "programmes")


@programmes_app.command()
def show(
    broker: BrokerArgument,
    on: Annotated[
        str | None, typer.Option(help="For leads captured on this day; default: today.", show_default=False)
    ] = None,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show the terms of a broker that are in force on a day.

    Example: ibctl leads programmes show 'Prime XBT' --on 2025-10-15
    """
    day = programme_rules.day("--on", on) if on is not None else days.today(config.settings().timezone.key)
    with db.reading() as session:
        row = qualification.programme(session, broker, on=day)
    output.show_record(row, COLUMNS, Listing(format, file, columns))


# ----------------------------------------------------------------------------------------------------------- qualifying


@app.command()
def qualify(
    leads: Annotated[
        list[str] | None,
        typer.Argument(metavar="LEAD", help="Emails, ids or tracking tokens; default: all.", show_default=False),
    ] = None,
    broker: BrokerFilter = None,
    ib: Annotated[str | None, typer.Option(help="Only this IB's: email or id.", autocompletion=completion.ibs)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when none does (for cron).")] = False,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=0, max=output.MOST_ROWS, help="Print at most so many; 0 means all.")
    ] = 0,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Let leads qualify that have met their broker's terms.

    A lead falls under the terms in force on the day of its capture. It
    qualifies at the moment when the last condition was met, and earns the
    CPA. Safe to repeat: what has qualified, or was rejected, is not touched.

    Deposit: depositedAt is set, and the balances of the lead's accounts less
    what their closed trades brought are at least the minimum; where no
    balance is known, depositedAt alone counts. Lots: trades closed from the
    capture to the deadline, over all accounts.

    Example: ibctl leads qualify --broker 'Prime XBT' --dry-run
    """
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        result = qualification.qualify(session, leads or (), broker=broker, ib=ib)
    if quiet and not result.leads:
        return
    output.show(result.leads[: limit or None], QUALIFIED_COLUMNS, Listing(format, file, columns))
    total = money.show(result.total_cpa, config.settings().base_currency)
    session.written.announce(f"leads qualified: {len(result.leads):,}, CPA {total}")
    _tell_others(result)
    warn_of_settled(result.settled)


def _tell_others(result: qualification.Qualified) -> None:
    if result.reasons:
        output.note("the others: " + ", ".join(f"{reason} {count:,}" for reason, count in result.reasons.items()))
    if result.unknown_brokers:
        output.note(
            f"no programme: {output.some(result.unknown_brokers)}; `ibctl leads programmes set BROKER …` makes one"
        )
    if result.before_first:
        begins = output.some([f"that of {broker} begins on {day}" for broker, day in result.before_first])
        output.note(
            f"captured before the broker's first programme: {begins}; "
            "`ibctl leads programmes set BROKER --from DAY …` makes an earlier one"
        )


# ------------------------------------------------------------------------------------------------------------- progress


@app.command()
def progress(
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="Email, id or tracking token.", show_default=False)],
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show how far a lead is from qualifying, or by what it has.

    Each condition with what there is, what is asked, and what is missing.
    The figures are as old as the accounts' last reading.

    Example: ibctl leads progress anna@example.com
    """
    with db.reading() as session:
        found = qualification.progress(session, lead)
    _show_progress(found, Listing(format, file, columns))
    _tell_progress(found)


def _show_progress(found: qualification.Progress, listed: Listing) -> None:
    conditions = [_condition(one) for one in found.conditions]
    if listed.format is not output.Format.table or listed.output is not None:
        nested = [{key: rendering.plain(value) for key, value in one.items()} for one in conditions]
        columns = [*PROGRESS_COLUMNS, Column("conditions")]
        output.show_record(_row(found) | {"conditions": nested}, columns, listed)
        return
    age = programme_rules.age(found.read_at, found.now)
    shown = {"lastScrapedAt": age if found.accounts else "never: it has no MT5 account"}
    output.show_record(_row(found) | shown, PROGRESS_COLUMNS, listed)
    output.show(conditions, CONDITION_COLUMNS, Listing())


def _row(found: qualification.Progress) -> dict[str, Any]:
    lead, terms = found.lead, found.terms
    return service.row(lead, None) | {
        "ib": found.ib,
        "effectiveFrom": terms and terms.effective_from,
        "deadline": found.deadline,
        "accounts": found.accounts,
        "lastScrapedAt": found.read_at,
        "cpa": terms and terms.cpa,
        "changeSet": found.qualified_by and found.qualified_by[0],
        "command": found.qualified_by and found.qualified_by[1],
    }


def _condition(one: programme_rules.Condition) -> dict[str, Any]:
    return {
        "condition": one.condition, "current": one.current, "target": one.target, "percent": one.percent,
        "state": one.state, "metAt": one.met_at, "missing": one.missing,
    }  # fmt: skip


def _tell_progress(found: qualification.Progress) -> None:
    for line in qualification.remarks(found):
        output.note(line)
