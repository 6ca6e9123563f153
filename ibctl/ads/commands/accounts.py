"""`ibctl ads accounts`: which ad accounts are connected, and how far each user's set-up goes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from ibctl import db, output, sealing
from ibctl.ads.accounts import rules as account_rules
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts import survey
from ibctl.ads.accounts.service import Connection, Stored
from ibctl.ads.accounts.survey import Survey
from ibctl.ads.commands import arguments, trouble
from ibctl.ads.sync import action_rules
from ibctl.errors import RequestError, UsageError
from ibctl.integrations.facebook.client import Line
from ibctl.integrations.facebook.failures import GraphError
from ibctl.integrations.facebook.identity import AdAccount, Page
from ibctl.models.platform import Role, User
from ibctl.output import Column
from ibctl.users import completion
from ibctl.users import service as users

app = typer.Typer(no_args_is_help=True, help="Facebook ad accounts: connect them, see how far their set-up goes.")

COLUMNS = [
    Column("id", brief=False),
    Column("email"),
    Column("adAccountId", "flag"),
    Column("adAccountName", brief=False),
    Column("setupTier", "number"),
    Column("currency", "flag", brief=False),
    Column("timezone", brief=False),
    Column("isConnected", "flag"),
    Column("canBoostPosts", "flag", brief=False),
    Column("canCreateCampaigns", "flag", brief=False),
    Column("pageId", brief=False),
    Column("pageName", brief=False),
    Column("businessId", brief=False),
    Column("businessName", brief=False),
    Column("tokenExpiresAt", "time", brief=False),
    Column("dataAccessExpiresAt", "time", brief=False),
    Column("hasToken", "flag", brief=False),
    Column("hasPageToken", "flag", brief=False),
    Column("lastSyncAt", "time", brief=False),
    Column("firstDay", "date", brief=False),
    Column("finalThrough", "date", brief=False),
    Column("problem", brief=False),
    Column("problemAt", "time", brief=False),
    Column("parkedUntil", "time", brief=False),
    Column("leadActions", brief=False),
    Column("conversionActions", brief=False),
    Column("userId", brief=False),
    Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
]


@app.command()
def connect(
    user: Annotated[
        str, typer.Option(help="The IB whose accounts these are: email or id.", autocompletion=completion.ibs)
    ],
    account: Annotated[
        list[str] | None, typer.Option(help="This ad account, act_…; can be repeated.", show_default=False)
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every ad account that the token reaches.")] = False,
    page: Annotated[str | None, typer.Option(help="The id of the page to work with.", show_default=False)] = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Connect an IB's ad accounts with a Facebook token.

    The token comes from a hidden prompt, or as one line from stdin where
    there is no terminal. It is exchanged for one that lasts about 60 days
    and stored encrypted. A user without an ad account is stored too, with
    the tier that the set-up has reached.

    Example: ibctl ads accounts connect --user anna@example.com --all < token.txt
    """
    if account and all_:
        raise UsageError("--account and --all exclude each other")
    wanted = [account_rules.act(one) for one in account or ()]
    with db.reading() as session:
        owner = users.find(session, user, role=Role.IB)
        sealing.require_key(session)  # before anything is asked of anybody
    found = _first_look(output.secret("Facebook token"))
    chosen = _choose_accounts(found, wanted, everything=all_)
    chosen_page = _choose_page(found, page)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        # A user without an ad account is stored too: that is how far the set-up has come.
        stored = [accounts.connect(session, owner, found, one, chosen_page) for one in (*chosen,) or (None,)]
    for one in stored:
        _tell(one, owner)
    session.written.announce(f"accounts connected for {owner.email}: {len(stored)}")


def _first_look(token: str) -> Survey:
    with Line() as line:
        if not survey.has_app(line):
            output.warn(
                "FACEBOOK_APP_ID and FACEBOOK_APP_SECRET are not set: the token is stored as it is, not exchanged for "
                "a long-lived one, and when it expires is not known"
            )
        return survey.first(line, token.strip())


def _choose_accounts(found: Survey, wanted: Sequence[str], *, everything: bool) -> list[AdAccount]:
    """Return the ad accounts to connect. Raises RequestError, UsageError; never takes one of several by itself."""
    there = {one.id: one for one in found.accounts}
    if unknown := [id_ for id_ in wanted if id_ not in there]:
        reached = f"it reaches {', '.join(there)}" if there else "it reaches no ad account"
        raise RequestError(f"the token does not reach {', '.join(unknown)}: {reached}")
    if wanted:
        return [there[id_] for id_ in dict.fromkeys(wanted)]
    if everything or len(there) <= 1:
        return list(there.values())
    names = [f"{one.id} ({one.name}, {one.currency})" for one in found.accounts]
    return [found.accounts[index] for index in _ask("Which ad accounts", names, "--account act_… or --all")]


def _choose_page(found: Survey, wanted: str | None) -> Page | None:
    if wanted is not None:
        page = found.page(wanted)
        if page is None:
            reached = ", ".join(one.id for one in found.pages) or "none"
            raise RequestError(f"the token does not reach page {wanted}; it reaches {reached}")
        return page
    if len(found.pages) <= 1:
        return next(iter(found.pages), None)
    names = [f"{one.id} ({one.name})" for one in found.pages]
    index, *more = _ask("Which page", names, "--page ID")
    if more:
        raise UsageError("one page only: the set-up works with one")
    return found.pages[index]


def _ask(question: str, names: Sequence[str], options: str) -> list[int]:
    """Let a person choose by number. Raises UsageError, which names the choices, where nobody is there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question}? Choose with {options}: {', '.join(names)}")
    for number, name in enumerate(names, 1):
        output.note(f"  {number}  {name}")
    answer: str = typer.prompt(f"{question}? Numbers with commas between", err=True)
    numbers = [one.strip() for one in answer.split(",") if one.strip()]
    if not numbers or not all(one.isdecimal() and 1 <= int(one) <= len(names) for one in numbers):
        raise UsageError(f"'{answer}' is no choice: give numbers from 1 to {len(names)}")
    return [int(one) - 1 for one in dict.fromkeys(numbers)]


def _tell(stored: Stored, owner: User) -> None:
    row = stored.row
    name = f"{row.ad_account_id} ({row.currency}, {row.timezone})" if row.ad_account_id else "no ad account"
    verb = "connected" if stored.added else "connected again"
    output.say(f"{name} of {owner.email}: {verb}, tier {row.setup_tier}")
    for missing in stored.missing:
        output.note(f"  {missing}")
    for warning in stored.warnings:
        output.warn(warning)


@app.command("list")
def list_(
    ib: arguments.IbFilter = None,
    connected: Annotated[
        bool | None, typer.Option("--connected/--not-connected", help="Only those that are, or are not.")
    ] = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List ad accounts, the newest first.

    Example: ibctl ads accounts list --not-connected
    """
    with db.reading() as session:
        rows, total = accounts.listing(session, ib=ib, connected=connected, limit=limit)
    output.show(rows, COLUMNS, output.Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "ad accounts")


@app.command()
def show(
    account: arguments.AccountArgument,
    format: output.FormatOption = output.Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show one account: set-up, days read, what was wrong the last time.

    Example: ibctl ads accounts show act_123456
    """
    with db.reading() as session:
        row = accounts.show(session, account)
    output.show_record(row, COLUMNS, output.Listing(format, file, columns))


@app.command()
def refresh(
    account: arguments.AccountsArgument = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Look again at what the tokens reach: permissions, page, business, state.

    One account that fails does not stop the others.

    Example: ibctl ads accounts refresh act_123456
    """
    with db.reading() as session:
        known = accounts.connections(session, account or (), with_account=False)
    run = trouble.Run.of(known, dry_run=dry_run, reason=reason)
    with Line() as line:
        surveys: dict[str, Survey | GraphError] = {}
        for one in known.usable:
            run.attempt(one, lambda one=one: _refresh(line, one, surveys, run))  # type: ignore[misc]
    run.finish("accounts looked at")


def _refresh(line: Line, one: Connection, surveys: dict[str, Survey | GraphError], run: trouble.Run) -> None:
    found = _looked(line, one, surveys)
    with db.transaction(dry_run=run.dry_run, reason=run.reason) as session:
        stored = accounts.refresh(session, one.id, found)
    run.wrote(session.written)
    output.say(f"{one.owned_name}: tier {stored.row.setup_tier}")
    for line_ in stored.missing:
        output.note(f"  {line_}")
    for warning in stored.warnings:
        output.warn(warning)


def _looked(line: Line, one: Connection, surveys: dict[str, Survey | GraphError]) -> Survey:
    """Look once with each token, however many accounts have it."""
    if one.token not in surveys:
        try:
            surveys[one.token] = survey.look(line, survey.Token(one.token, None, None))
        except GraphError as exc:
            surveys[one.token] = exc
    found = surveys[one.token]
    if isinstance(found, GraphError):
        raise found
    return found


@app.command()
def edit(
    account: arguments.AccountArgument,
    leads: Annotated[
        str | None, typer.Option(metavar="TYPES", help="What counts as a lead: action types, with commas between.")
    ] = None,
    conversions: Annotated[str | None, typer.Option(metavar="TYPES", help="What counts as a conversion.")] = None,
    usual: Annotated[bool, typer.Option("--usual", help="Count what is counted elsewhere.")] = False,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Set which of Facebook's actions count as leads and conversions.

    Without this, leads are the action `lead`, conversions are
    complete_registration and purchase. Facebook shows each action under
    several names; two names of one thing in a list are refused, since they
    would count twice. It holds from the next sync on, for the days that it
    reads; what is counted otherwise then is kept as a restatement.

    Example: ibctl ads accounts edit act_1 --conversions submit_application_total
    """
    if usual and (leads is not None or conversions is not None):
        raise UsageError("--usual excludes --leads and --conversions")
    if not usual and leads is None and conversions is None:
        raise UsageError("nothing to set: give --leads, --conversions or --usual")
    lists = [None if text is None else action_rules.read(text) for text in (leads, conversions)]
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        row = accounts.set_actions(session, account, lists[0], lists[1], usual=usual)
    name = row.ad_account_id or row.id
    session.written.announce(
        f"nothing to do: {name} counts so already" if session.written.nothing else f"set what counts for {name}"
    )


@app.command()
def disconnect(
    account: arguments.AccountArgument,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Forget an account's tokens. Its spend, campaigns and leads stay.

    Example: ibctl ads accounts disconnect act_123456
    """
    with db.reading() as session:
        row = accounts.find(session, account)
    name = row.ad_account_id or row.id
    output.confirm(f"the tokens of {name} are removed, its figures stay", yes=yes or dry_run)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        accounts.disconnect(session, row.id)
    session.written.announce(
        f"nothing to do: {name} has no tokens" if session.written.nothing else f"disconnected {name}"
    )
