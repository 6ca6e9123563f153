"""What several commands about ads take on their command lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Annotated

import typer

from ibctl import days
from ibctl.ads.commands import completion
from ibctl.users import completion as users_completion

_NAMED = "its act_… id, row id, name, or its IB's email"

AccountArgument = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT", help=f"{_NAMED[0].upper()}{_NAMED[1:]}.", show_default=False,
        autocompletion=completion.accounts,
    ),
]  # fmt: skip
AccountsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ACCOUNT", help="act_… ids, row ids, names; none: all.", show_default=False,
        autocompletion=completion.accounts,
    ),
]  # fmt: skip
# The account that something is made in.
AccountOption = Annotated[
    str, typer.Option(help=f"The ad account: {_NAMED}.", show_default=False, autocompletion=completion.accounts)
]
AccountFilter = Annotated[
    str | None,
    typer.Option(
        "--account", help=f"Only this ad account: {_NAMED}.", show_default=False, autocompletion=completion.accounts
    ),
]
AccountsFilter = Annotated[
    list[str] | None,
    typer.Option(
        "--account", help="Only this ad account; can be repeated.", show_default=False,
        autocompletion=completion.accounts,
    ),
]  # fmt: skip
IbFilter = Annotated[
    str | None, typer.Option("--ib", help="Only this IB: email or id.", autocompletion=users_completion.ibs)
]
MonthFilter = Annotated[str | None, typer.Option("--month", help="Only this month, like 2025-10.")]
FromFilter = Annotated[str | None, typer.Option("--from", help="From this day on, like 2025-10-01.")]
ToFilter = Annotated[str | None, typer.Option("--to", help="Up to this day, and on it.")]


@dataclass(frozen=True)
class Which:
    """Whose spend, and of which days, as it was typed."""

    account: AccountFilter = None
    ib: IbFilter = None
    month: MonthFilter = None
    since: FromFilter = None
    until: ToFilter = None

    def span(self) -> tuple[date | None, date | None]:
        """Return the first day and the last. Raises UsageError as `days.span` does."""
        return days.span(self.month, self.since, self.until)


CampaignArgument = Annotated[
    str,
    typer.Argument(
        metavar="CAMPAIGN", help="Its name, id or Facebook id.", show_default=False, autocompletion=completion.campaigns
    ),
]
CampaignsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CAMPAIGN", help="Names, ids or Facebook ids; - reads a list.", show_default=False,
        autocompletion=completion.campaigns,
    ),
]  # fmt: skip
TemplateArgument = Annotated[
    str,
    typer.Argument(
        metavar="TEMPLATE", help="Its name or id.", show_default=False, autocompletion=completion.templates
    ),
]  # fmt: skip
TemplatesArgument = Annotated[
    list[str],
    typer.Argument(metavar="TEMPLATE", help="Names or ids.", show_default=False, autocompletion=completion.templates),
]
# Where none means all.
SomeTemplates = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TEMPLATE", help="Names or ids; none: all.", show_default=False, autocompletion=completion.templates
    ),
]

ParallelOption = Annotated[int, typer.Option(min=1, max=32, help="So many accounts at once.")]
MaxWaitOption = Annotated[str, typer.Option(help="Wait so long for Facebook's limits, then give up for now.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing when all went well.")]
