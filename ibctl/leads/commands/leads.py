"""`ibctl leads add|list|export|show|edit|set-status`: single leads, and lists of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from ibctl import clock, config, db, exports, options, output, rendering
from ibctl.errors import UsageError
from ibctl.leads import listing, naming, rules, service
from ibctl.leads.commands.arguments import LEADS, IbFilter, LeadArgument, MonthFilter, RegionOption
from ibctl.leads.commands.notices import warn_of_settled
from ibctl.leads.commands.ownership import leads_named
from ibctl.leads.importing import orders
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


def _status(text: str) -> str:
    return rules.status_argument(text)


def _type(text: str) -> str:
    try:
        return rules.lead_type(text)
    except ValueError as exc:
        raise UsageError(str(exc)) from None


@dataclass(frozen=True)
class Fields:
    """What may be said about a lead, as it was typed."""

    email: Annotated[str | None, typer.Option(help="The lead's address.")] = None
    first_name: Annotated[str | None, typer.Option(help="The lead's name.")] = None
    phone: Annotated[str | None, typer.Option(help="A number like +4917012345678.")] = None
    source: Annotated[str | None, typer.Option(help="Where the lead comes from.")] = None
    broker: Annotated[str | None, typer.Option(help="Where the lead trades.")] = None
    lead_type: Annotated[str | None, typer.Option(help="trader or ib.", autocompletion=_types)] = None
    status: Annotated[
        str | None, typer.Option(help="captured, contacted, qualified or rejected.", autocompletion=_statuses)
    ] = None
    tracking_token: Annotated[str | None, typer.Option(help="What names the lead in links; unique.")] = None
    captured_at: Annotated[str | None, typer.Option(help="When it was captured, like 2025-10-31T14:30Z.")] = None
    deposited_at: Annotated[str | None, typer.Option(help="When it made its first deposit.")] = None
    trading_start_at: Annotated[str | None, typer.Option(help="When it began to trade.")] = None
    qualified_at: Annotated[str | None, typer.Option(help="When it qualified for commission.")] = None
    ftd_earned: Annotated[str | None, typer.Option(help="First time deposit commission, like 100.00.")] = None
    cpa_earned: Annotated[str | None, typer.Option(help="Cost per acquisition commission.")] = None
    systeme_contact_id: Annotated[str | None, typer.Option(help="The contact at Systeme.io.")] = None
    region: RegionOption = None

    def read(self) -> dict[str, Any]:
        """Return the values by the names of the fields. Raises UsageError for one that is none."""
        texts = {
            "email": self.email, "firstName": self.first_name, "phone": self.phone, "source": self.source,
            "broker": self.broker, "leadType": self.lead_type, "status": self.status,
            "trackingToken": self.tracking_token, "leadCapturedAt": self.captured_at, "depositedAt": self.deposited_at,
            "tradingStartAt": self.trading_start_at, "qualifiedAt": self.qualified_at, "ftdEarned": self.ftd_earned,
            "cpaEarned": self.cpa_earned, "systemeContactId": self.systeme_contact_id,
        }  # fmt: skip
        given = {field: text for field, text in texts.items() if text is not None}
        return rules.from_options(given, orders.reading(self.region), clock.now())


@dataclass(frozen=True)
class Which:
    """Which leads to list, as it was typed."""

    ib: IbFilter = None
    unassigned: Annotated[bool, typer.Option("--unassigned", help="Only those without an IB.")] = False
    status: Annotated[
        str | None,
        typer.Option(help="Only with this status.", parser=_status, metavar="STATUS", autocompletion=_statuses),
    ] = None
    source: Annotated[str | None, typer.Option(help="Only from this source.")] = None
    broker: Annotated[str | None, typer.Option(help="Only at this broker.")] = None
    lead_type: Annotated[
        str | None, typer.Option(help="Only trader or ib.", parser=_type, metavar="TYPE", autocompletion=_types)
    ] = None
    month: MonthFilter = None
    captured_from: Annotated[str | None, typer.Option(help="Captured from this day on, like 2025-10-01.")] = None
    captured_to: Annotated[str | None, typer.Option(help="Captured up to this day, and on it.")] = None
    qualified: Annotated[
        bool | None, typer.Option("--qualified/--not-qualified", help="With a qualifiedAt, or not.")
    ] = None
    search: Annotated[str | None, typer.Option(help="A part of email, name, phone or token.")] = None

    def read(self) -> listing.Filter:
        """Return the filter. Raises UsageError for a month or a day that is none."""
        zone = config.settings().timezone
        since, before = listing.captured(self.month, self.captured_from, self.captured_to, zone)
        return listing.Filter(
            self.ib, self.unassigned, self.status, self.source, self.broker, self.lead_type, since, before,
            self.qualified, self.search,
        )  # fmt: skip


@app.command()
@options.spread
def add(
    fields: Fields,
    ib: Annotated[
        str | None, typer.Option(help="Whose lead it is: email or id.", autocompletion=completion.ibs)
    ] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Add a lead. It needs an email, a phone or a tracking token.

    Without --captured-at it is captured now. Times without a zone are UTC.

    Example: ibctl leads add --email anna@example.com --ib ib@example.com
    """
    values = fields.read()
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = service.add(session, values, ib=ib)
    _announce(session.written, changed, "added")


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
@options.spread
def list_(
    which: Which,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List leads, the newest first. Months and days begin in the platform's time zone.

    Example: ibctl leads list --unassigned --month 2025-10
    """
    asked = which.read()
    with db.reading() as session:
        rows, total = listing.listing(session, asked, limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "leads")


@app.command()
@options.spread
def export(
    which: Which,
    limit: output.LimitOption = 0,
    format: output.FormatOption = output.Format.csv,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Write all leads with all columns, as CSV that can be imported.

    Example: ibctl leads export --ib ib@example.com --output leads.csv
    """
    asked = which.read()
    with db.reading() as session:
        query = listing.export(session, asked, limit=limit)
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
@options.spread
def edit(
    lead: LeadArgument,
    fields: Fields,
    clear: Annotated[list[str] | None, typer.Option(help="Empty this field, like phone; can be repeated.")] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Set or empty fields of a lead. The total follows from the two sums earned.

    `leads assign` changes the owner.

    Example: ibctl leads edit anna@example.com --qualified-at 2025-10-31 --cpa-earned 150 --status qualified
    """
    values = fields.read()
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
