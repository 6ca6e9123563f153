"""What several commands about leads take on their command lines."""

from __future__ import annotations

from typing import Annotated

import typer

from ibctl.users import completion

LeadArgument = Annotated[str, typer.Argument(metavar="LEAD", help="Email, id or tracking token.", show_default=False)]
LEADS = "Emails, ids or tracking tokens; - reads a list."
LeadsArgument = Annotated[list[str], typer.Argument(metavar="LEAD", help=LEADS, show_default=False)]
# Where an option can stand for them.
LeadsOrNone = Annotated[list[str] | None, typer.Argument(metavar="LEAD", help=LEADS, show_default=False)]
IbFilter = Annotated[str | None, typer.Option(help="Only this IB's: email or id.", autocompletion=completion.ibs)]
MonthFilter = Annotated[
    str | None, typer.Option(help="Only captured in this month, like 2025-10.", autocompletion=completion.months)
]
RegionOption = Annotated[str | None, typer.Option(help="Country of phone numbers without +, like DE.")]
