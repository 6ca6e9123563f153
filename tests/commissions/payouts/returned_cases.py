"""What the tests of returns share: batch 2025-10-1, what its bank reports, and what is in its files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from tests.commissions.payout_cases import IBANS
from tests.conftest import Result

Run = Callable[..., Result]
RECONCILE = ("commissions", "payouts", "reconcile", "2025-10-1", "bank.csv")
EXPORT = ("commissions", "payouts", "export", "2025-10-1", "-o", "out")
APPROVE = ("commissions", "payouts", "approve", "2025-10-1", "--yes")
A, B = "IB202510B1N00001", "IB202510B1N00002"


def reported(ibctl: Run, *rows: str) -> None:
    """The bank tells of movements: reference, amount, day of November, debit or credit."""
    lines = [f"{name},{amount},USD,2025-11-{day},{way}" for name, amount, day, way in (row.split() for row in rows)]
    Path("bank.csv").write_text("\n".join(["reference,amount,currency,date,direction", *lines]) + "\n")
    assert ibctl(*RECONCILE).exit_code in (0, 7)


def payee(ibctl: Run, email: str, account: str = IBANS[2], *more: str) -> None:
    assert ibctl("commissions", "payees", "set", email, *more, input=f"Rosa Vidal\n{account}\n").exit_code == 0


def paid_to(number: int = 1) -> dict[str, tuple[str, str]]:
    """Amount and account of each payment in a file of the batch."""
    with Path(f"out/payout-2025-10-1{'' if number == 1 else f'-{number}'}.csv").open() as stream:
        return {one["reference"]: (one["amount"], one["account"]) for one in csv.DictReader(stream)}
