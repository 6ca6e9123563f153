"""`ibctl leads add|list|export|show|edit|set-status`: single leads, and lists of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ibctl import clock, config, db, exports, output, rendering
from ibctl.errors import UsageError
from ibctl.leads import listing, naming, orders, rules, service
from ibctl.leads.arguments import LEADS, IbFilter, LeadArgument, MonthFilter, RegionOption
from ibctl.leads.notices import warn_of_settled
from ibctl.leads.ownership_commands import leads_named
from ibctl.output import Column
from ibctl.users import completion

app = typer.Typer()

COLUMNS = [
    Column("id", brief=False),
    Column("leadCapturedAt", "time"),
    Column("email"),
    Column("firstName", brief=False),
    Column("phone", brief=False),
    Column("userId", brief=False),
    Column("ib"),
    Column("leadType", brief=False),
    Column("broker", brief=False),
    Column("source", brief=False),
    Column("status", "flag"),
    Column("trackingToken", brief=False),
    Column("depositedAt", "time", brief=False),
    Column("tradingStartAt", "time", brief=False),
    Column("qualifiedAt", "time", brief=False),
    Column("ftdEarned", "money", brief=False),
    Column("cpaEarned", "money"),
    Column("totalEarned", "money", brief=False),
    Column("systemeContactId", brief=False),
    Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
]
ACTIVITY_COLUMNS = [Column("createdAt", "time"), Column("activityType"), Column("description")]
CREDENTIAL_COLUMNS = [
    Column("id", brief=False), Column("login"), Column("server"), Column("broker"), Column("isVerified", "flag"),
    Column("scrapingStatus", "flag"), Column("lastScrapedAt", "time"),
]  # fmt: skip
CHANGE_COLUMNS = [
    Column("id"), Column("createdAt", "time"), Column("actor"), Column("command"), Column("reason"),
]  # fmt: skip
DETAILS = {"activities": ACTIVITY_COLUMNS, "credentials": CREDENTIAL_COLUMNS, "changeSets": CHANGE_COLUMNS}


def _statuses(incomplete: str) -> list[str]:
    return [word for word in rules.STATUSES if word.startswith(incomplete)]


def _statuses_last(ctx: typer.Context, incomplete: str) -> list[str]:
    # The parser takes the last word that there is for the status, so with none of it no lead is named yet.
    return _statuses(incomplete) if ctx.params.get("status") else []


def _types(incomplete: str) -> list[str]:
    return [word for word in rules.TYPES if word.startswith(incomplete)]


# The fields of a lead.
Email = Annotated[str | None, typer.Option(help="The lead's address.")]
FirstName = Annotated[str | None, typer.Option(help="The lead's name.")]
Phone = Annotated[str | None, typer.Option(help="A number like +4917012345678.")]
Owner = Annotated[str | None, typer.Option(help="Whose lead it is: email or id.", autocompletion=completion.ibs)]
Source = Annotated[str | None, typer.Option(help="Where the lead comes from.")]
Broker = Annotated[str | None, typer.Option(help="Where the lead trades.")]
LeadType = Annotated[str | None, typer.Option(help="trader or ib.", autocompletion=_types)]
Status = Annotated[
    str | None, typer.Option(help="captured, contacted, qualified or rejected.", autocompletion=_statuses)
]
TrackingToken = Annotated[str | None, typer.Option(help="What names the lead in links; unique.")]
CapturedAt = Annotated[str | None, typer.Option(help="When it was captured, like 2025-10-31T14:30Z.")]
DepositedAt = Annotated[str | None, typer.Option(help="When it made its first deposit.")]
TradingStartAt = Annotated[str | None, typer.Option(help="When it began to trade.")]
QualifiedAt = Annotated[str | None, typer.Option(help="When it qualified for commission.")]
FtdEarned = Annotated[str | None, typer.Option(help="First time deposit commission, like 100.00.")]
CpaEarned = Annotated[str | None, typer.Option(help="Cost per acquisition commission.")]
SystemeContactId = Annotated[str | None, typer.Option(help="The contact at Systeme.io.")]


def _status(text: str) -> str:
    return rules.status_argument(text)


def _type(text: str) -> str:
    try:
        return rules.lead_type(text)
    except ValueError as exc:
        raise UsageError(str(exc)) from None


# The filters of a listing.
UnassignedFilter = Annotated[bool, typer.Option("--unassigned", help="Only those without an IB.")]
StatusFilter = Annotated[
    str | None,
    typer.Option(help="Only with this status.", parser=_status, metavar="STATUS", autocompletion=_statuses),
]
SourceFilter = Annotated[str | None, typer.Option(help="Only from this source.")]
BrokerFilter = Annotated[str | None, typer.Option(help="Only at this broker.")]
LeadTypeFilter = Annotated[
    str | None, typer.Option(help="Only trader or ib.", parser=_type, metavar="TYPE", autocompletion=_types)
]
FromFilter = Annotated[str | None, typer.Option(help="Captured from this day on, like 2025-10-01.")]
ToFilter = Annotated[str | None, typer.Option(help="Captured up to this day, and on it.")]
QualifiedFilter = Annotated[
    bool | None, typer.Option("--qualified/--not-qualified", help="With a qualifiedAt, or not.")
]
SearchFilter = Annotated[str | None, typer.Option(help="A part of email, name, phone or token.")]


@app.command()
def add(
    email: Email = None,
    first_name: FirstName = None,
    phone: Phone = None,
    ib: Owner = None,
    source: Source = None,
    broker: Broker = None,
    lead_type: LeadType = None,
    status: Status = None,
    tracking_token: TrackingToken = None,
    captured_at: CapturedAt = None,
    deposited_at: DepositedAt = None,
    trading_start_at: TradingStartAt = None,
    qualified_at: QualifiedAt = None,
    ftd_earned: FtdEarned = None,
    cpa_earned: CpaEarned = None,
    systeme_contact_id: SystemeContactId = None,
    region: RegionOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Add a lead. It needs an email, a phone or a tracking token.

    Without --captured-at it is captured now. Times without a zone are UTC.

    Example: ibctl leads add --email anna@example.com --ib ib@example.com
    """
    values = _values(
        region, email=email, firstName=first_name, phone=phone, source=source, broker=broker, leadType=lead_type,
        status=status, trackingToken=tracking_token, leadCapturedAt=captured_at, depositedAt=deposited_at,
        tradingStartAt=trading_start_at, qualifiedAt=qualified_at, ftdEarned=ftd_earned, cpaEarned=cpa_earned,
        systemeContactId=systeme_contact_id,
    )  # fmt: skip
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.add(session, values, ib=ib)
    _announce(session.written, changed, "added")


def _values(region: str | None, **options: str | None) -> dict[str, Any]:
    given = {field: text for field, text in options.items() if text is not None}
    return rules.from_options(given, orders.reading(region), clock.now())


def _announce(written: db.Written, changed: service.Changed, done: str) -> None:
    """Say what was done to which leads, or that there was nothing to do; and which paid months it touches."""
    names = output.some([f"{service.called(lead)} ({lead.id})" for lead in changed.leads])
    written.announce("nothing to do: it is so already" if written.nothing else f"{done} {names}")
    warn_of_settled(changed.settled)
    counting = [service.called(lead) for lead in changed.leads if lead.status == "rejected" and lead.qualified_at]
    if counting:
        output.warn(
            f"rejected, but with a qualifiedAt, by which they go on to earn: {output.some(counting)}. "
            "`ibctl leads edit LEAD --clear qualified-at` ends that, `ibctl commissions clawback LEAD` takes back what "
            "was earned"
        )


@app.command("list")
def list_(
    ib: IbFilter = None,
    unassigned: UnassignedFilter = False,
    status: StatusFilter = None,
    source: SourceFilter = None,
    broker: BrokerFilter = None,
    lead_type: LeadTypeFilter = None,
    month: MonthFilter = None,
    captured_from: FromFilter = None,
    captured_to: ToFilter = None,
    qualified: QualifiedFilter = None,
    search: SearchFilter = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List leads, the newest first. Months and days begin in the platform's time zone.

    Example: ibctl leads list --unassigned --month 2025-10
    """
    since, before = listing.captured(month, captured_from, captured_to, config.settings().timezone)
    which = listing.Filter(
        ib, unassigned, status, source, broker, lead_type, since, before, qualified, search
    )  # fmt: skip
    with db.reading() as session:
        rows, total = listing.listing(session, which, limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "leads")


@app.command()
def export(
    ib: IbFilter = None,
    unassigned: UnassignedFilter = False,
    status: StatusFilter = None,
    source: SourceFilter = None,
    broker: BrokerFilter = None,
    lead_type: LeadTypeFilter = None,
    month: MonthFilter = None,
    captured_from: FromFilter = None,
    captured_to: ToFilter = None,
    qualified: QualifiedFilter = None,
    search: SearchFilter = None,
    limit: output.LimitOption = 0,
    format: output.FormatOption = output.Format.csv,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Write all leads with all columns, as CSV that can be imported.

    Example: ibctl leads export --ib ib@example.com --output leads.csv
    """
    since, before = listing.captured(month, captured_from, captured_to, config.settings().timezone)
    which = listing.Filter(
        ib, unassigned, status, source, broker, lead_type, since, before, qualified, search
    )  # fmt: skip
    with db.reading() as session:
        query = listing.export(session, which, limit=limit)
        exports.write(session, query, COLUMNS, output.Listing(format, file, columns))


@app.command()
def show(
    lead: LeadArgument,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show a lead: its fields, activities, MT5 accounts, and the last changes."""
    with db.reading() as session:
        row = service.describe(session, lead)
    _show(row, output.Listing(format, file, columns))


def _show(row: dict[str, Any], listed: output.Listing) -> None:
    if listed.format is not output.Format.table:
        nested = {key: [{k: rendering.plain(v) for k, v in one.items()} for one in row[key]] for key in DETAILS}
        output.show_record(row | nested, [*COLUMNS, *map(Column, DETAILS)], listed)
        return
    output.show_record(row, COLUMNS, listed)
    for key, columns in DETAILS.items():
        output.show(row[key], columns, output.Listing(), title=key)


@app.command()
def edit(
    lead: LeadArgument,
    email: Email = None,
    first_name: FirstName = None,
    phone: Phone = None,
    source: Source = None,
    broker: Broker = None,
    lead_type: LeadType = None,
    status: Status = None,
    tracking_token: TrackingToken = None,
    captured_at: CapturedAt = None,
    deposited_at: DepositedAt = None,
    trading_start_at: TradingStartAt = None,
    qualified_at: QualifiedAt = None,
    ftd_earned: FtdEarned = None,
    cpa_earned: CpaEarned = None,
    systeme_contact_id: SystemeContactId = None,
    clear: Annotated[list[str] | None, typer.Option(help="Empty this field, like phone; can be repeated.")] = None,
    region: RegionOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Set or empty fields of a lead. The total follows from the two sums earned.

    `leads assign` changes the owner.

    Example: ibctl leads edit anna@example.com --qualified-at 2025-10-31 --cpa-earned 150 --status qualified
    """
    values = _values(
        region, email=email, firstName=first_name, phone=phone, source=source, broker=broker, leadType=lead_type,
        status=status, trackingToken=tracking_token, leadCapturedAt=captured_at, depositedAt=deposited_at,
        tradingStartAt=trading_start_at, qualifiedAt=qualified_at, ftdEarned=ftd_earned, cpaEarned=cpa_earned,
        systemeContactId=systeme_contact_id,
    )  # fmt: skip
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.edit(session, lead, values, clear=clear or ())
    _announce(session.written, changed, "changed")


@app.command("set-status")
def set_status(
    leads: Annotated[
        list[str],
        # The word to complete counts as one of these, whichever it is.
        typer.Argument(metavar="LEAD", help=LEADS, show_default=False, autocompletion=_statuses_last),
    ],
    status: Annotated[
        str,
        typer.Argument(metavar="STATUS", help="captured, contacted, qualified or rejected.", autocompletion=_statuses),
    ],
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Set the status of leads.

    It is a word for people: commissions count the date of qualification.
    So a lead without qualifiedAt cannot be made qualified by the word alone;
    `leads edit --qualified-at` sets the date.

    Example: ibctl leads set-status anna@example.com ben@example.com contacted
    """
    word, names = rules.status_argument(status), leads_named(leads)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.set_status(session, naming.find(session, names), word)
    _announce(session.written, changed, f"now {word}:")
