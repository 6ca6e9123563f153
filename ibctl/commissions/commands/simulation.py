"""`ibctl commissions simulate`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from sqlmodel import Session

from ibctl import config, currencies, db, money, months, output, rendering
from ibctl.commissions.calculation import plan_rules
from ibctl.commissions.calculation.plan_rules import Terms
from ibctl.commissions.commands import completion
from ibctl.commissions.commands.arguments import suggest_months
from ibctl.commissions.plans import files as plan_files
from ibctl.commissions.plans import service as plans
from ibctl.commissions.plans import simulating
from ibctl.commissions.plans.simulating import Simulation
from ibctl.errors import RequestError, UsageError
from ibctl.output import Column, Format, Listing

app = typer.Typer()

COLUMNS = [
    Column("email"), Column("current", "base"), Column("simulated", "base"), Column("difference", "base"),
    Column("near"),
]  # fmt: skip
MOST_MONTHS = 60


@app.command()
def simulate(
    plan: Annotated[
        str,
        typer.Option(
            "--plan", help="A plan's TOML file, or the name of a stored plan.", autocompletion=completion.plans
        ),
    ] = "",
    since: Annotated[
        str | None,
        typer.Option("--from", help="The first month; default: the last full one.", autocompletion=suggest_months),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", help="The last month; default: the last full one.", autocompletion=suggest_months),
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw what each month costs.")] = False,
    limit: output.LimitOption = 20,
    form: output.SummaryFormatOption = "table",
    to_file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Calculate past months by another plan: what it costs, who gains, who loses.

    Nothing is written. Names the IBs within 5 % of where a tier begins.

    Example: ibctl commissions simulate --plan new.toml --from 2025-01 --to 2025-10
    """
    last = months.last_full(config.settings().timezone)
    first, final = (months.parse(text) if text else last for text in (since, until))
    if not plan:
        raise UsageError("--plan is missing: a TOML file, or the name of a stored plan")
    if first > final or len(range(first.year * 12 + first.month, final.year * 12 + final.month)) >= MOST_MONTHS:
        raise UsageError(f"--from {first} --to {final}: write at most {MOST_MONTHS} months, the earlier one first")
    with db.reading() as session:
        terms = _terms(session, plan)
        found = simulating.simulate(session, terms, first, final)
    rows = [{name: getattr(one, name) for name in (column.key for column in COLUMNS)} for one in found.ibs]
    if form == "table":
        rows = [row | {"near": output.some(row["near"], 1) or None} for row in rows]
    output.show(rows[:limit] if limit else rows, COLUMNS, Listing(Format(form), to_file, columns))
    _sum_up(found, terms, limit)
    if plot:
        _plot(found)


def _terms(session: Session, plan: str) -> Terms:
    path = Path(plan)
    if path.suffix != ".toml":
        return plan_rules.from_json(plans.find(session, plan).terms)
    try:
        return plan_files.read(path.read_text(encoding="utf-8"), plan).terms
    except (OSError, UnicodeDecodeError) as exc:
        raise RequestError(f"cannot read {plan}: {getattr(exc, 'strerror', None) or 'it is not UTF-8'}") from None


def _sum_up(found: Simulation, terms: Terms, limit: int) -> None:
    base = config.settings().base_currency
    if limit and len(found.ibs) > limit:
        output.note(f"the {limit:,} of {len(found.ibs):,} IBs for whom most would change; --limit 0 shows all")
    current = sum((cost.current for cost in found.costs), Decimal(0))
    simulated = sum((cost.simulated for cost in found.costs), Decimal(0))
    change = simulated - current
    share = f", {change * 100 / current:+.1f} %" if current else ""
    output.note(
        f"{terms.label} costs {money.show(simulated, base)} instead of {money.show(current, base)} "
        f"({'+' if change >= 0 else ''}{currencies.digits(change, base)}{share})"
    )
    gains, losses = (sum(sign * one.difference > 0 for one in found.ibs) for sign in (1, -1))
    near = sum(bool(one.near) for one in found.ibs)
    output.note(
        f"{rendering.counted(gains, 'IB')} would get more, {losses:,} less, {len(found.ibs) - gains - losses:,} the "
        f"same; {near:,} are within 5 % of where a tier begins"
    )
    if found.former:
        output.note(f"left out, as they are IBs no more: {output.some(found.former)}")


def _plot(found: Simulation) -> None:
    bars = [
        (f"{cost.month} {name}", amount)
        for cost in found.costs
        for name, amount in (("now", cost.current), ("new", cost.simulated))
    ]
    output.bars(bars)
