"""`ibctl ads campaigns create` and `ibctl ads boost`: making campaigns at Facebook."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ibctl import db, money, output
from ibctl.ads.accounts import service as accounts
from ibctl.ads.accounts.service import Connection
from ibctl.ads.campaigns import creation as campaign_creation
from ibctl.ads.campaigns import orders as campaign_orders
from ibctl.ads.campaigns.calls import STEPS, Wanted
from ibctl.ads.campaigns.creation import Intent, Made
from ibctl.ads.commands import arguments, completion
from ibctl.ads.sync import rules as sync_rules
from ibctl.ads.templates import service as templates
from ibctl.ads.templates.schema import FINANCIAL
from ibctl.errors import RequestError, UsageError
from ibctl.integrations.facebook import campaigns as facebook
from ibctl.integrations.facebook.client import Graph, Line
from ibctl.integrations.facebook.failures import GraphError, TokenError
from ibctl.output import Column, Format, Listing

app = typer.Typer()

CREATED_COLUMNS = [
    Column("id"), Column("name"), Column("status", "flag"), Column("fbCampaignId"), Column("fbAdSetId"),
    Column("creativeId"), Column("fbAdId"),
]  # fmt: skip
CALL_COLUMNS = [Column("object", "flag"), Column("verdict"), Column("sent")]

PageOption = Annotated[str | None, typer.Option(help="The page's id; default: the account's page.", show_default=False)]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be sent, let Facebook judge it, make nothing.")
]
ActivateOption = Annotated[bool, typer.Option("--activate", help="Let it run once it is made; asks.")]


@app.command()
def create(
    template: Annotated[
        str,
        typer.Option(
            help="A published template: its name or id.", show_default=False, autocompletion=completion.templates
        ),
    ],
    account: arguments.AccountOption,
    name: Annotated[str, typer.Option(help="The campaign's name, new in this account.", show_default=False)],
    page: PageOption = None,
    form: Annotated[str | None, typer.Option(help="The lead form's id.", show_default=False)] = None,
    link: Annotated[str | None, typer.Option(help="The web page it leads to.", show_default=False)] = None,
    pixel: Annotated[str | None, typer.Option(help="The pixel on that page.", show_default=False)] = None,
    image: Annotated[
        str | None, typer.Option(help="A picture: a file, or its hash at Facebook.", show_default=False)
    ] = None,
    daily_budget: Annotated[
        str | None,
        typer.Option(
            "--daily-budget",
            "--budget",
            help="A day's, in the account's currency; --budget for short.",
            show_default=False,
        ),
    ] = None,
    lifetime_budget: Annotated[
        str | None, typer.Option(help="For its whole life; wants --end.", show_default=False)
    ] = None,
    start: Annotated[str | None, typer.Option(help="Its first day; default: at once.", show_default=False)] = None,
    end: Annotated[str | None, typer.Option(help="Its last day.", show_default=False)] = None,
    allow: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Although the template breaks it.", show_default=False)
    ] = None,
    activate: ActivateOption = False,
    max_wait: arguments.MaxWaitOption = "5m",
    format: output.FormatOption = Format.table,
    dry_run: DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Make a campaign from a template: campaign, ad set, creative and ad.

    All of it is made paused; --activate lets it run. Budgets are the
    template's unless given. The same command again, with the same account and
    name, finishes what an earlier one left, and makes nothing twice. A dry
    run shows what would be sent and lets Facebook judge it, as far as
    Facebook can judge what is not there yet.

    Example: ibctl ads campaigns create --template 'US leads' --account act_123 --name 'US 1' --form 880011
    """
    options = campaign_orders.Options(
        name, page, form, link, pixel, image, daily_budget, lifetime_budget, start, end
    )  # fmt: skip
    with db.reading() as session:
        rules_allowed = templates.allowed(allow or [])
        connection = campaign_orders.connection(session, account)
        intent = campaign_orders.from_template(session, connection, template, options, rules_allowed)
    _confirm(intent, connection, activate=activate and not dry_run, yes=yes)
    with Line(max_wait=sync_rules.seconds("--max-wait", max_wait)) as line:
        graph = line.graph(connection.token)
        _run(graph, connection, intent, activate=activate, format=format, dry_run=dry_run, reason=reason)


@app.command()
def boost(
    post: Annotated[str, typer.Option(help="The post: PAGE_POST, or the post's own id.", show_default=False)],
    account: arguments.AccountOption,
    budget: Annotated[str, typer.Option(help="A day's, in the account's currency.", show_default=False)],
    days: Annotated[int, typer.Option(min=1, max=365, help="For how many days, from now on.", show_default=False)],
    page: PageOption = None,
    name: Annotated[str | None, typer.Option(help="Its name; default: Boost of PAGE_POST.", show_default=False)] = None,
    countries: Annotated[
        str | None, typer.Option(help="Where, like US,CA; default: the business's country.", show_default=False)
    ] = None,
    category: Annotated[
        str,
        typer.Option(
            help="Its special ad category; NONE for a post about nothing financial.", show_default="financial products"
        ),
    ] = FINANCIAL,
    dsa_beneficiary: Annotated[
        str | None, typer.Option(help="In the EU: who profits from it.", show_default="the ad account's")
    ] = None,
    dsa_payor: Annotated[
        str | None, typer.Option(help="In the EU: who pays for it.", show_default="the ad account's")
    ] = None,
    regulated: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CATEGORY", help="Where a country regulates it: TAIWAN_FINSERV or another.", show_default=False
        ),
    ] = None,
    identity: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=ID", help="Who was verified for that, and as what.", show_default=False),
    ] = None,
    activate: ActivateOption = False,
    max_wait: arguments.MaxWaitOption = "5m",
    format: output.FormatOption = Format.table,
    dry_run: DryRunOption = False,
    reason: output.ReasonOption = None,
    yes: output.YesOption = False,
) -> None:
    """Promote a page's post for some days.

    Facebook has no boost of its own for this: it is a campaign for
    engagement, with ad set, creative and ad, made paused like those of
    `campaigns create`; --activate lets it run. It needs an ad account.

    Where a law wants to know who is behind an ad: --dsa-beneficiary and
    --dsa-payor in the European Union; elsewhere --regulated TAIWAN_FINSERV,
    with --identity taiwan_finserv_beneficiary=123 and its payer.

    Example: ibctl ads boost --post 7700_123 --account act_123 --budget 10 --days 5
    """
    special = _category(category)
    disclosed = campaign_orders.disclosed(dsa_beneficiary, dsa_payor, regulated or [], identity or [])
    with db.reading() as session:
        connection = campaign_orders.connection(session, account, for_post=True)
    whole = campaign_orders.post_id(connection, post, page)
    with Line(max_wait=sync_rules.seconds("--max-wait", max_wait)) as line:
        graph = line.graph(connection.token)
        intent = campaign_orders.from_post(
            connection, _promotable(line, graph, connection, whole), budget=budget, length=days,
            name=name or f"Boost of {whole}", countries=_countries(graph, connection, countries), category=special,
            disclosed=disclosed,
        )  # fmt: skip
        _confirm(intent, connection, activate=activate and not dry_run, yes=yes)
        _run(graph, connection, intent, activate=activate, format=format, dry_run=dry_run, reason=reason)


def _category(text: str) -> str | None:
    name = text.upper()
    if name not in (FINANCIAL, "NONE"):
        raise UsageError(f"--category '{text}': there are {FINANCIAL} and NONE")
    return None if name == "NONE" else name


def _promotable(line: Line, graph: Graph, connection: Connection, post: str) -> str:
    """Return the id of a post that may be promoted. Raises RequestError, GraphError."""
    page_graph = line.graph(connection.page_token) if connection.page_token else graph
    found = facebook.post(page_graph, post)
    if found.why_not:
        raise RequestError(f"the post {post} cannot be boosted: {found.why_not}")
    return found.id


def _countries(graph: Graph, connection: Connection, named: str | None) -> list[str]:
    if named is None:
        country = facebook.limits(graph, connection.name).country
        if country is None:
            raise UsageError(f"--countries is missing: Facebook does not say where {connection.name} is at home")
        return [country]
    codes = [code.strip().upper() for code in named.split(",") if code.strip()]
    if not codes or not all(len(code) == 2 and code.isascii() and code.isalpha() for code in codes):
        raise UsageError(f"--countries '{named}': write codes of two letters, like US,CA")
    return codes


# ----------------------------------------------------------------------------------------------------------- both


def _confirm(intent: Intent, connection: Connection, *, activate: bool, yes: bool) -> None:
    if activate:
        spends = f"'{intent.wanted.name}' spends up to {_budget(intent.wanted)} from {connection.name}"
        output.confirm(f"{spends} as soon as it is made", yes=yes)


def _budget(wanted: Wanted) -> str:
    if wanted.daily_budget is not None:
        return f"{money.show(wanted.daily_budget, wanted.currency)} a day"
    assert wanted.lifetime_budget is not None
    return f"{money.show(wanted.lifetime_budget, wanted.currency)} in all"


def _run(
    graph: Graph, connection: Connection, intent: Intent, *, activate: bool, format: Format, dry_run: bool,
    reason: str | None,
) -> None:  # fmt: skip
    try:
        if dry_run:
            _rehearse(graph, connection, intent, format)
        else:
            _make(graph, connection, intent, activate=activate, format=format, reason=reason)
    except TokenError as exc:
        with db.transaction(dry_run=dry_run, reason=reason) as session:
            accounts.note_failure(session, connection.id, exc)
        session.written.announce(f"{connection.name} is not connected any more")
        raise


def _rehearse(graph: Graph, connection: Connection, intent: Intent, format: Format) -> None:
    """Show what would be sent, and what Facebook says to it."""
    campaign_creation.require_able(graph, connection, intent.wanted)
    made = Made(campaign_creation.look(graph, connection.name, intent.wanted.tag))
    verdicts = campaign_creation.validate(graph, intent, made, connection.name)
    rows: list[dict[str, Any]] = [
        {"object": step, "verdict": verdicts[step], "sent": intent.calls[step]} for step in STEPS
    ]
    if format is Format.table:
        for row in rows:
            output.heading(f"{row['object']}: {row['verdict']}")
            for line in json.dumps(row["sent"], indent=2, ensure_ascii=False).splitlines():
                output.say(line)
    else:
        output.show(rows, CALL_COLUMNS, Listing(format))
    output.note("dry run: nothing was made")


def _make(
    graph: Graph, connection: Connection, intent: Intent, *, activate: bool, format: Format, reason: str | None
) -> None:  # fmt: skip
    with campaign_creation.begun(graph, connection, intent, activate=activate, reason=reason) as made:
        try:
            row = campaign_creation.finish(graph, connection, intent, made, activate=activate, reason=reason)
        except GraphError:
            _tell_left(intent, made)
            raise
    shown = {
        "id": row.id, "name": row.name, "status": row.status, "fbCampaignId": made.ids["campaign"],
        "fbAdSetId": made.ids["adset"], "creativeId": made.ids["creative"], "fbAdId": made.ids["ad"],
    }  # fmt: skip
    output.show_record(shown, CREATED_COLUMNS, Listing(format))
    done = "finished" if made.resumed else "made"
    output.note(f"{done} '{row.name}' in {connection.name}: {_next_step(row.status, row.name)}")


def _tell_left(intent: Intent, made: Made) -> None:
    there = [step for step in STEPS if step in made.ids]
    if there:
        output.note(
            f"made of '{intent.wanted.name}' so far: {', '.join(there)}; mend what is wrong, and the same command "
            "makes the rest"
        )


def _next_step(status: str, name: str) -> str:
    if status == "ACTIVE":
        return "it runs once Facebook has reviewed its ad"
    return f"paused; `ibctl ads campaigns resume '{name}'` lets it run"
