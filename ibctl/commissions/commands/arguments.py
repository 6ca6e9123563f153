"""Arguments and options that the commissions commands share."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from ibctl import days, utf8
from ibctl.commissions.calculation import rules
from ibctl.commissions.commands import completion as own_completion
from ibctl.errors import UsageError
from ibctl.users import completion

suggest_months = completion.months


def _statuses(incomplete: str) -> list[str]:
    return [name for name in rules.STATUSES if name.startswith(incomplete)]


def _status(text: str) -> str:
    if text.upper() not in rules.STATUSES:
        raise UsageError(f"'{text}' is no payment status: write one of {', '.join(rules.STATUSES)}")
    return text.upper()


def day(option: str, text: str | None) -> date | None:
    """Read the day that was given with an option, if one was. Raises UsageError."""
    try:
        return days.parse(text) if text else None
    except ValueError as exc:
        raise UsageError(f"{option}: {exc}") from None


def named(values: list[str] | None) -> list[str]:
    """Return the IBs of an option; `-` stands for the lines of stdin."""
    found: list[str] = []
    for value in values or ():
        found += utf8.listed() if value == "-" else [value]
    return found


MonthArgument = Annotated[str, typer.Argument(metavar="MONTH", help="Like 2025-10.", autocompletion=suggest_months)]
MonthOption = Annotated[str | None, typer.Option("--month", help="Like 2025-10.", autocompletion=suggest_months)]
OpenMonthArgument = Annotated[
    str, typer.Argument(metavar="MONTH", help="Like 2025-10.", autocompletion=own_completion.open_months)
]
ClosedMonthArgument = Annotated[
    str, typer.Argument(metavar="MONTH", help="Like 2025-10.", autocompletion=own_completion.closed_months)
]
IbArgument = Annotated[str, typer.Argument(metavar="IB", help="The IB's email or id.", autocompletion=completion.ibs)]
IbOption = Annotated[str | None, typer.Option("--ib", help="The IB's email or id.", autocompletion=completion.ibs)]
StatusOption = Annotated[
    str | None,
    typer.Option(
        "--status", help="PENDING, HELD, PROCESSING or PAID.", parser=_status, metavar="STATUS",
        autocompletion=_statuses,
    ),
]  # fmt: skip
BatchArgument = Annotated[
    str, typer.Argument(metavar="BATCH", help="Like 2025-10-1.", autocompletion=own_completion.batches)
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only", help="Only this IB; may be repeated, - reads a list from stdin.", autocompletion=completion.ibs
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option("--exclude", help="Not this IB; may be repeated, - reads a list.", autocompletion=completion.ibs),
]
RequiredReason = Annotated[
    str | None, typer.Option("--reason", help="Why; required, kept in the audit record.", show_default=False)
]
