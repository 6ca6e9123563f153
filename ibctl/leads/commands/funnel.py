"""`ibctl leads funnel`: how many leads get how far."""

from __future__ import annotations

from typing import Annotated

import typer

from ibctl import config, db, output
from ibctl.leads import funnel as funnels
from ibctl.leads import listing
from ibctl.leads.commands.arguments import IbFilter, MonthFilter
from ibctl.output import Column

app = typer.Typer()

FROM_TO = ("--from", "--to")
# Never broken over lines.
BAR = Column("bar", "flag")
STAGE_COLUMNS = [
    Column("stage"), Column("leads", "number"), Column("conversion", "rate"), Column("ofPrevious", "rate"), BAR,
]  # fmt: skip
COUNT_COLUMNS = [
    Column("captured", "number"), Column("contacted", "number", brief=False),
    Column("deposited", "number", brief=False), Column("trading", "number", brief=False),
    Column("qualified", "number"), Column("conversion", "rate"), BAR,
]  # fmt: skip


@app.command()
def funnel(
    by: Annotated[funnels.By, typer.Option(help="What makes a row.")] = "stage",
    ib: IbFilter = None,
    month: MonthFilter = None,
    captured_from: Annotated[str | None, typer.Option("--from", help="Captured from this day on.")] = None,
    captured_to: Annotated[str | None, typer.Option("--to", help="Captured up to this day, and on it.")] = None,
    limit: output.LimitOption = 50,
    format: output.SummaryFormatOption = "table",
    file: output.OutputOption = None,
    columns: output.ColumnsOption = None,
) -> None:
    """Show how many leads were contacted, made a deposit, traded, qualified.

    A lead has reached a stage when its date or its status says so, or when
    it has reached a later one. Who is qualified by the word alone, without
    qualifiedAt, counts as contacted. `conversion` is in percent of the leads
    captured, `ofPrevious` of the stage before; by source, ib, broker or
    month it is the percentage that qualified.

    Example: ibctl leads funnel --by source --month 2025-10
    """
    since, before = listing.captured(month, captured_from, captured_to, config.settings().timezone, FROM_TO)
    with db.reading() as session:
        found = funnels.reached(session, by, ib=ib, since=since, before=before)
    _show(by, found, limit, output.Listing(output.Format(format), file, columns))


def _show(by: funnels.By, found: list[funnels.Reached], limit: int, listed: output.Listing) -> None:
    columns = STAGE_COLUMNS if by == "stage" else [Column(by), *COUNT_COLUMNS]
    if listed.format is not output.Format.table:
        columns = [column for column in columns if column is not BAR]
    shown = found[: limit or None]
    rows = [row for one in shown for row in (funnels.by_stage(one) if by == "stage" else [funnels.by_group(by, one)])]
    output.show(rows, columns, listed)
    if not found:
        output.note("no leads")
    elif len(shown) < len(found):
        output.note(f"the first {len(shown):,} of {len(found):,} rows; --limit 0 shows all")
