"""`ibctl ads templates`: campaigns made ready, and whether Facebook would take them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ibctl import db, errors, output, utf8
from ibctl.ads import objectives
from ibctl.ads.commands import arguments, completion
from ibctl.ads.spend import service
from ibctl.ads.templates import files as template_files
from ibctl.ads.templates import rules as template_rules
from ibctl.ads.templates import service as templates
from ibctl.errors import RequestError, UsageError
from ibctl.models.platform import AdTemplate
from ibctl.output import Column, Format, Listing

app = typer.Typer(no_args_is_help=True, help="Templates of campaigns: kept, checked, published.")

COLUMNS = [
    Column("id", brief=False),
    Column("name"),
    Column("category"),
    Column("objective", brief=False),
    Column("dailyBudget", "money"),
    Column("lifetimeBudget", "money", brief=False),
    Column("isActive", "flag"),
    Column("isPublic", "flag", brief=False),
    Column("usageCount", "number"),
    Column("description", brief=False),
    Column("thumbnailUrl", brief=False),
    Column("createdBy", brief=False),
    Column("createdAt", "time", brief=False),
    Column("updatedAt", "time", brief=False),
    Column("templateData", brief=False),
]
FINDING_COLUMNS = [
    Column("template", brief=False), Column("severity", "flag"), Column("rule", "flag"), Column("place"),
    Column("finding"), Column("source", brief=False),
]  # fmt: skip
RULE_COLUMNS = [Column("rule", "flag"), Column("meaning"), Column("source")]

Category = Literal["lead_generation", "conversion", "awareness"]
assert set(Category.__args__) == set(objectives.CATEGORIES)  # type: ignore[attr-defined]

FileOption = Annotated[Path | None, typer.Option(help="A JSON file; - is stdin.", show_default=False)]
CategoryOption = Annotated[Category | None, typer.Option(help="What it is for.", show_default=False)]
DescriptionOption = Annotated[str | None, typer.Option(help="For administrators and IBs.", show_default=False)]
ThumbnailOption = Annotated[str | None, typer.Option(help="The address of a picture.", show_default=False)]
PublicOption = Annotated[bool | None, typer.Option("--public/--private", help="Whether every IB sees it.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PLACE=VALUE", help="Set one thing, like dailyBudget=75.", show_default=False),
]
AllowOption = Annotated[
    list[str] | None, typer.Option(metavar="RULE", help="Publish although it breaks this rule.", show_default=False)
]


def _read(file: Path) -> list[template_files.Document]:
    if str(file) == "-":
        return template_files.read(utf8.from_stdin(), "stdin")
    try:
        return template_files.read(file.read_text(encoding="utf-8-sig"), str(file))
    except OSError as exc:
        raise RequestError(f"cannot read {file}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{file} is not UTF-8 text") from None


# -------------------------------------------------------------------------------------------------------------- writing


@app.command()
def add(
    file: Annotated[Path, typer.Option(help="A JSON file; - is stdin.", show_default=False)],
    name: Annotated[str | None, typer.Argument(help="Its name; default: the file's.", show_default=False)] = None,
    category: CategoryOption = None,
    description: DescriptionOption = None,
    thumbnail_url: ThumbnailOption = None,
    public: PublicOption = None,
    set_: SetOption = None,
    created_by: Annotated[str | None, typer.Option(help="An administrator: email or id.", show_default=False)] = None,
    publish_: Annotated[bool, typer.Option("--publish", help="Offer it to IBs at once.")] = False,
    allow: AllowOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Add a template from a JSON file, or several that `export` wrote.

    The data are what the web application keeps: targeting, adCopy, headline,
    callToAction, objective, dailyBudget or lifetimeBudget; besides these
    description, specialAdCategories, dsaBeneficiary, dsaPayor,
    regionalRegulatedCategories and regionalRegulationIdentities. Budgets are
    in the currency of whichever ad account uses it. It is not offered to IBs
    until it is published.

    Example: ibctl ads templates add 'US leads' --file us.json --category lead_generation
    """
    documents = _read(file)
    if len(documents) > 1 and name is not None:
        raise UsageError(f"{file} holds {len(documents)} templates: leave NAME out, each has its own")
    options = {"name": name, "category": category, "description": description, "thumbnail_url": thumbnail_url}
    whole = [
        template_files.named(
            one, **options, is_public=public, data=template_files.changed(one.data, set_ or [], []) if set_ else None
        )
        for one in documents
    ]
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        rules_allowed = templates.allowed(allow or [])
        added = templates.add(session, whole, created_by=created_by, publish=publish_, allow=rules_allowed)
    session.written.announce(f"added {output.some([template.name for template in added])}")
    for template in added:
        _tell_findings(template)


@app.command()
def edit(
    template: arguments.TemplateArgument,
    name: Annotated[str | None, typer.Option(help="Its new name.", show_default=False)] = None,
    category: CategoryOption = None,
    description: DescriptionOption = None,
    thumbnail_url: ThumbnailOption = None,
    public: PublicOption = None,
    file: FileOption = None,
    set_: SetOption = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="PLACE", help="Take one thing out.", show_default=False)
    ] = None,
    allow: AllowOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Change a template: single places with --set and --unset, or all with --file.

    A value is JSON where it is JSON, and text otherwise. A template that is
    published must pass the rules afterwards, too. Campaigns that were made
    from it stay as they are.

    Example: ibctl ads templates edit 'US leads' --set dailyBudget=75 --unset lifetimeBudget
    """
    options = {"name": name, "category": category, "description": description, "thumbnail_url": thumbnail_url}
    if file is None and public is None and not (set_ or unset) and not any(v is not None for v in options.values()):
        raise UsageError("nothing to change: give --set, --unset, --file, --name, --category or another option")
    read = _read(file) if file else []
    if len(read) > 1:
        raise UsageError(f"{file} holds {len(read)} templates: edit changes one")
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        found = templates.find(session, template)
        templates.hold(session, found)
        data = template_files.changed(read[0].data if read else found.template_data, set_ or [], unset or [])
        after = template_files.named(templates.document(found), **options, is_public=public, data=data)
        changed = templates.edit(session, found, after, allow=templates.allowed(allow or []))
    session.written.announce(f"changed '{found.name}'" if changed else f"nothing to do: '{found.name}' is so already")
    _tell_findings(found)


@app.command()
def publish(
    template: arguments.TemplatesArgument,
    allow: AllowOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Offer templates to IBs; one that breaks a rule is refused.

    Example: ibctl ads templates publish 'US leads'
    """
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        rules_allowed = templates.allowed(allow or [])
        found = [templates.find(session, name) for name in template]
        done = [one.name for one in found if templates.publish(session, one, rules_allowed)]
    session.written.announce(f"published {output.some(done)}" if done else "nothing to do: published already")


@app.command()
def unpublish(
    template: arguments.TemplatesArgument,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Offer templates no longer; campaigns made from them go on.

    Example: ibctl ads templates unpublish 'US leads'
    """
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        found = [templates.find(session, name) for name in template]
        done = [one.name for one in found if templates.unpublish(session, one)]
    session.written.announce(f"unpublished {output.some(done)}" if done else "nothing to do: not published")


def _tell_findings(template: AdTemplate) -> None:
    found = templates.lint(template)
    count = sum(one.severity == "error" for one in found)
    if found:
        output.note(
            f"'{template.name}' breaks rules (errors: {count}, warnings: {len(found) - count}): "
            f"`ibctl ads templates lint '{template.name}'` explains"
        )


# -------------------------------------------------------------------------------------------------------------- reading


@app.command("list")
def list_(
    category: CategoryOption = None,
    published: Annotated[bool | None, typer.Option("--published/--unpublished", help="Offered to IBs or not.")] = None,
    limit: output.LimitOption = 50,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List templates, newest first.

    Example: ibctl ads templates list --published
    """
    with db.reading() as session:
        rows, total = templates.listing(session, templates.Filter(category, published), limit=limit)
    output.show(rows, COLUMNS, Listing(format, file, columns))
    output.cut_note(len(rows), limit, total, "templates")


@app.command()
def show(
    template: arguments.TemplateArgument,
    format: output.FormatOption = Format.table,
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show a template with its data, and what Facebook would be sent as its objective.

    Example: ibctl ads templates show 'US leads'
    """
    with db.reading() as session:
        found = templates.find(session, template)
    listing = Listing(format, file, columns)
    in_full = format is Format.table and columns is None and file is None
    shown = [column for column in COLUMNS if not (in_full and column.key == "templateData")]
    output.show_record(templates.row(found), shown, listing)
    if in_full:
        for line in json.dumps(found.template_data, indent=2, ensure_ascii=False).splitlines():
            output.say(line)
    _tell_objective(found)
    _tell_findings(found)


def _tell_objective(template: AdTemplate) -> None:
    named = templates.row(template)["objective"]
    if named in objectives.NAMES and named not in objectives.OUTCOMES:
        output.note(f"Facebook is sent {objectives.outcome(named, template.category)} for {named}")


@app.command()
def export(
    template: arguments.SomeTemplates = None,
    format: Annotated[Literal["json"], typer.Option("--format", "-f", help="Templates are JSON.")] = "json",  # noqa: ARG001
    file: output.OutputOption = None,
) -> None:
    """Write templates as JSON that `add` reads.

    Example: ibctl ads templates export 'US leads' --output us.json
    """
    with db.reading() as session:
        rows = [templates.row(one) for one in templates.named(session, template or [])]
    columns = [Column(key) for key in template_files.KEYS]
    output.show([template_files.written(row) for row in rows], columns, Listing(Format.json, file))


# -------------------------------------------------------------------------------------------------------------- judging


@app.command()
def lint(
    template: arguments.SomeTemplates = None,
    file: FileOption = None,
    category: Annotated[Category, typer.Option(help="What the templates of --file are for.")] = "lead_generation",
    account: Annotated[
        str | None,
        typer.Option(
            help="The ad account meant: budgets are judged in its currency.",
            show_default=False,
            autocompletion=completion.accounts,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A warning is a finding, too.")] = False,
    rules: Annotated[bool, typer.Option("--rules", help="Show the rules themselves, with their sources.")] = False,
    format: output.SummaryFormatOption = "table",
    output_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Check templates against Facebook's rules; errors end with 7.

    Prohibited products (contracts for difference, binary options), promises
    of profit, the limits of the special ad category for financial products,
    objectives, budgets. Each finding names its rule, the place, and where
    the rule is written.

    Example: ibctl ads templates lint --account act_123
    """
    listing = Listing(Format(format), output_file, columns)
    if rules:
        _show_rules(listing)
        return
    documents, found = _findings(template or [], file, category, account)
    _show_findings(found, listing)
    if not found:
        output.note(f"nothing found; templates checked: {documents:,}")
    worst = [one for one in found if one.severity == "error" or strict]
    if worst:
        raise typer.Exit(errors.FINDINGS)


def _show_rules(listing: Listing) -> None:
    rows = [_rule(rule) for rule in template_rules.RULES]
    if not _as_text(listing):
        output.show(rows, RULE_COLUMNS, listing)
        return
    for row in rows:
        output.heading(row["rule"])
        output.say(f"  {row['meaning']}")
        output.say(f"  {row['source']}")


def _as_text(listing: Listing) -> bool:
    """Whether somebody reads it, so that addresses have to stay in one piece."""
    return listing.format is Format.table and not listing.columns and listing.output is None


def _rule(rule: template_rules.Rule) -> dict[str, Any]:
    return {
        "rule": template_rules.code(rule), "meaning": template_rules.meaning(rule),
        "source": template_rules.source(rule),
    }  # fmt: skip


def _findings(
    names: list[str], file: Path | None, category: Category, account: str | None
) -> tuple[int, list[templates.Found]]:
    """Return how many templates there are, and what the rules find in them."""
    if file is not None and names:
        raise UsageError("--file excludes TEMPLATE: give one or the other")
    documents = _read(file) if file else []
    currency = None
    if file is None or account is not None:
        with db.reading() as session:
            currency = service.find_account(session, account).currency if account else None
            if file is None:
                documents = [templates.document(one) for one in templates.named(session, names)]
    return len(documents), [
        found
        for one in documents
        for found in templates.judge(one.name or str(file), one.category or category, one.data, currency)
    ]


def _show_findings(found: list[templates.Found], listing: Listing) -> None:
    if not _as_text(listing):
        output.show([one.row for one in found], FINDING_COLUMNS, listing)
        return
    for name in dict.fromkeys(one.template for one in found):
        output.heading(name)
        output.show([one.row for one in found if one.template == name], FINDING_COLUMNS, listing)
    for rule, source in dict.fromkeys((one.rule, one.source) for one in found):
        output.say(f"{rule}: {source}")
    count = sum(one.severity == "error" for one in found)
    if found:
        output.note(f"errors: {count}, warnings: {len(found) - count}")
