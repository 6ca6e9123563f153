"""`ibctl commissions plans`: the terms on which IBs are paid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlmodel import Session

from ibctl import config, db, errors, money, months, output, rendering
from ibctl.commissions.calculation.plan_rules import Terms
from ibctl.commissions.commands import completion as own_completion
from ibctl.commissions.commands.arguments import IbArgument, suggest_months
from ibctl.commissions.plans import boundaries
from ibctl.commissions.plans import files as plan_files
from ibctl.commissions.plans import service as plans
from ibctl.commissions.plans.files import PlanFile
from ibctl.commissions.plans.service import Target
from ibctl.errors import RequestError, UsageError
from ibctl.models.platform import Role, User
from ibctl.months import Month
from ibctl.output import Column, Format, Listing
from ibctl.users import completion
from ibctl.users import service as users

plans_app = typer.Typer(no_args_is_help=True, help="The terms on which IBs are paid.")
groups_app = typer.Typer(no_args_is_help=True, help="Groups of IBs that a plan can be assigned to.")

COLUMNS = [
    Column("id", brief=False), Column("name"), Column("version", "number"), Column("effectiveFrom"), Column("terms"),
    Column("minimumPayout", "base", brief=False), Column("holdDays", "number", brief=False),
    Column("negative", brief=False), Column("createdAt", "time", brief=False),
]  # fmt: skip
HISTORY_COLUMNS = [Column("since"), Column("plan"), Column("version", "number"), Column("by"), Column("terms")]
PROBE_COLUMNS = [
    Column("boundary"), Column("at"), Column("value", "rate"), Column("rate", "rate"), Column("commission", "base"),
    Column("bonus", "base"), Column("payout", "base"),
]  # fmt: skip
MEMBER_COLUMNS = [Column("group"), Column("email"), Column("effectiveFrom")]

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A TOML file.", show_default=False)]
IbsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="IB…", help="Emails or ids.", autocompletion=completion.ibs)
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="The first month, like 2025-10; default: this one.", autocompletion=suggest_months),
]


def _month(text: str | None) -> Month:
    return months.parse(text) if text else months.current(config.settings().timezone)


def _read(path: Path) -> PlanFile:
    try:
        return plan_files.read(path.read_text(encoding="utf-8"), str(path))
    except OSError as exc:
        raise RequestError(f"cannot read {path}: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not UTF-8: a plan is a TOML file") from None


@plans_app.command()
def add(
    file: FileArgument,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Store a plan, or a new version of one.

    What was used in a closed or paid month cannot be changed, only succeeded
    by the next version.

    Example: ibctl commissions plans add examples/plan.toml
    """
    found = _read(file)
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        outcome = plans.add(session, found)
    session.written.announce(f"{outcome}: {found.terms.label}, from {found.effective_from:%Y-%m} on")


@plans_app.command("list")
def list_(
    form: output.FormatOption = Format.table,
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List all plans and versions.

    Example: ibctl commissions plans list
    """
    with db.reading() as session:
        output.show(plans.listing(session), COLUMNS, Listing(form, to_file, columns))


@plans_app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="PLAN", help="The plan's name.", autocompletion=own_completion.plans)],
    version: Annotated[int | None, typer.Option(help="Default: the newest.")] = None,
    form: output.FormatOption = Format.table,
) -> None:
    """Print a plan's file as it was added.

    Example: ibctl commissions plans show gold --version 2
    """
    with db.reading() as session:
        plan = plans.find(session, name, version)
    if form is Format.table:
        output.text(plan.source)
    else:
        output.show([plans.row(plan) | {"source": plan.source}], [*COLUMNS, Column("source")], Listing(form))


@plans_app.command()
def assign(
    ibs: IbsArgument = None,
    plan: Annotated[
        str,
        typer.Option("--plan", help="The plan's name, or default.", autocompletion=own_completion.plans_and_default),
    ] = "",
    group: Annotated[
        str | None, typer.Option(help="To all IBs in this group.", autocompletion=own_completion.groups)
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="To all IBs.")] = False,
    since: FromOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Pay IBs, a group or all by a plan, from a month on.

    An IB's own plan goes before that of its group, and that before the one of
    all. `--plan default` takes a plan away again.

    Example: ibctl commissions plans assign ib@x.y --plan gold --from 2025-10
    """
    if not plan:
        raise UsageError("--plan is missing: which plan? `ibctl commissions plans list` shows all")
    if (bool(ibs) + bool(group) + everybody) != 1:
        raise UsageError("name IBs, or pass --group, or --all")
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        targets = _targets(session, ibs or [], group)
        changed = plans.assign(session, plan, targets, _month(since))
    names = output.some([target.label for target in targets])
    session.written.announce(f"{plan} from {_month(since)} on for {names}" if changed else f"unchanged: {names}")


def _targets(session: Session, ibs: Sequence[str], group: str | None) -> list[Target]:
    if group:
        return [Target("group", group, f"group {group}")]
    if ibs:
        return [Target("ib", ib.id, ib.email) for ib in _found(session, ibs)]
    return [Target("all", "", "all IBs")]


def _found(session: Session, ibs: Sequence[str]) -> list[User]:
    return [users.find(session, ib, role=Role.IB) for ib in ibs]


@plans_app.command()
def history(
    ib: IbArgument,
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show by which plan an IB was, is and will be paid, and what says so.

    Example: ibctl commissions plans history ib@x.y
    """
    with db.reading() as session:
        rows = [asdict(held) for held in plans.history(session, users.find(session, ib))]
    rows[-1]["since"] = "the beginning"
    output.show(rows, HISTORY_COLUMNS, Listing(Format(form), to_file, columns))


@plans_app.command()
def check(
    file: FileArgument,
    cpa: Annotated[str, typer.Option(help="What each lead brings, where tiers count leads.")] = "300",
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Check a plan's file, and print what it pays around each boundary.

    Ends with 7 where earning more would pay less.

    Example: ibctl commissions plans check examples/plan.toml --cpa 400
    """
    terms = _read(file).terms
    found = list(boundaries.probes(terms, _amount(cpa), config.settings().base_currency))
    rows = [{name: getattr(probe, name) for name in (c.key for c in PROBE_COLUMNS)} for probe in found]
    output.show(rows, PROBE_COLUMNS, Listing(Format(form), to_file, columns))
    output.note(f"{terms.label}: {terms.in_words}")
    _report_falls(terms, found)


def _amount(text: str) -> Decimal:
    try:
        amount = money.parse(text)
    except ValueError as exc:
        raise UsageError(f"--cpa: {exc}") from None
    if amount <= 0:
        raise UsageError(f"--cpa: {text} is nothing that a lead brings: write an amount above 0")
    return amount


def _report_falls(terms: Terms, found: list[boundaries.Probe]) -> None:
    falls, base = boundaries.falls(found), config.settings().base_currency
    for low, high in falls:
        more, less = money.show(low.earned, base), money.show(high.earned, base)
        output.warn(f"{low.value:,f} earns {more}, {high.value:,f} only {less}: {terms.label} falls at {low.boundary}")
    if falls:
        raise typer.Exit(errors.FINDINGS)


@groups_app.command("add")
def group_add(
    name: Annotated[
        str, typer.Argument(metavar="GROUP", help="The group's name.", autocompletion=own_completion.groups)
    ],
    ibs: Annotated[list[str], typer.Argument(metavar="IB…", help="Emails or ids.", autocompletion=completion.ibs)],
    since: FromOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Put IBs into a group from a month on; an IB is in one at a time.

    Example: ibctl commissions groups add silver ib@x.y --from 2025-10
    """
    if not name.strip():
        raise UsageError("a group needs a name")
    _put(ibs, name.strip(), since, dry_run, reason)


@groups_app.command("remove")
def group_remove(
    ibs: Annotated[list[str], typer.Argument(metavar="IB…", help="Emails or ids.", autocompletion=completion.ibs)],
    since: FromOption = None,
    dry_run: output.DryRunOption = False,
    reason: output.ReasonOption = None,
    _yes: output.YesOption = False,
) -> None:
    """Take IBs out of the group that they are in, from a month on.

    Example: ibctl commissions groups remove ib@x.y --from 2025-11
    """
    _put(ibs, None, since, dry_run, reason)


def _put(ibs: Sequence[str], group: str | None, since: str | None, dry_run: bool, reason: str | None) -> None:
    with db.transaction(dry_run=dry_run, reason=reason) as session:
        changed = plans.put_in_group(session, _found(session, ibs), group, _month(since))
    what = f"in group {group}" if group else "in no group"
    session.written.announce(f"{rendering.counted(changed, 'IB')} {what} from {_month(since)} on")


@groups_app.command("list")
def group_list(
    month: FromOption = None,
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """List who is in which group in a month.

    Example: ibctl commissions groups list --from 2025-11
    """
    with db.reading() as session:
        rows: list[dict[str, Any]] = plans.members(session, _month(month))
    output.show(rows, MEMBER_COLUMNS, Listing(Format(form), to_file, columns))
    output.cut_note(len(rows), 0, len(rows), "members of groups")
