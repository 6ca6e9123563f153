"""What several commands about leads say."""

from __future__ import annotations

from collections.abc import Sequence

from ibctl import output, rendering
from ibctl.leads.settled import Settled


def warn_of_settled(settled: Sequence[Settled]) -> None:
    """Warn of months, closed, being paid or paid, whose commissions no longer agree with their leads."""
    for month in settled:
        output.warn(
            f"{month.month} is {month.status} for {output.some(month.ibs)}: that commission stays as it is, though "
            f"what counts in it has changed: {rendering.counted(month.leads, 'lead')}; "
            f"`ibctl commissions drift {month.month}` shows what is to be booked"
        )
