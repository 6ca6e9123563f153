"""One of several administrators at work at the same moment, each a process: `concurrency_worker.py SEED ROUNDS`.

Draws commands at random (the seed decides) and runs them one after the other; prints every exit code that no command
may end with here, and what it said.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from typer.testing import CliRunner

from ibctl import cli, db

MONTH = "2025-10"
# Done; refused or nothing to do; done in part; findings.
ALLOWED = (0, 3, 6, 7)
Sql = Callable[..., list[tuple[Any, ...]]]


def ibctl(*arguments: str) -> None:
    """Run a command as another process would."""
    db.forget()
    ended = CliRunner().invoke(cli.app, list(arguments), prog_name="ibctl")
    unexpected = ended.exception if not isinstance(ended.exception, SystemExit) else None
    if ended.exit_code not in ALLOWED or unexpected:
        sys.stdout.write(f"{arguments}: {ended.exit_code} {ended.stderr} {unexpected!r}\n")


def sql(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Run one statement as the web application would."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def run(_: random.Random) -> None:
    """Calculate the month again."""
    ibctl("commissions", "run", "--month", MONTH, "--quiet")


def hold(dice: random.Random) -> None:
    """Hold one commission, or let one go."""
    ib = f"ib{dice.randint(1, 12)}@x.y"
    ibctl("commissions", dice.choice(["hold", "release"]), ib, MONTH, "--reason", "a look at its leads", "--yes")


def set_by_hand(dice: random.Random) -> None:
    """Set a status as the web application does."""
    old, new = dice.choice([("PENDING", "HELD"), ("HELD", "PENDING")])
    sql(
        'UPDATE "IbCommission" SET "paymentStatus" = %s, "updatedAt" = now() WHERE "paymentStatus" = %s'
        ' AND id = (SELECT id FROM "IbCommission" ORDER BY md5(id || %s) LIMIT 1)',
        new, old, str(dice.random()),
    )  # fmt: skip


def create(dice: random.Random) -> None:
    """Claim what is payable, all of it or of some IBs."""
    chosen = [f"--only=ib{number}@x.y" for number in dice.sample(range(1, 13), dice.choice([3, 6, 12]))]
    ibctl("commissions", "payouts", "create", "--month", MONTH, "--yes", *chosen)


def batch(dice: random.Random) -> str | None:
    """Return one of the batches."""
    found = sql("SELECT id FROM ibctl.payout_batch ORDER BY id")
    return dice.choice(found)[0] if found else None


def cancel(dice: random.Random) -> None:
    """Cancel a batch, or what is left of it."""
    if (name := batch(dice)) is not None:
        ibctl("commissions", "payouts", "cancel", name, "--yes")


def reconcile(dice: random.Random) -> None:
    """Let the bank report some of a batch's payments, exactly as they are due."""
    name = batch(dice)
    due = sql("SELECT reference, amount FROM ibctl.payout_item WHERE \"batchId\" = %s AND status <> 'CANCELLED'", name)
    paid = dice.sample(due, min(len(due), 3))
    file = Path(f"bank-{os.getpid()}.csv")
    rows = [f"{reference},{amount},USD,2025-11-04,T-{reference}" for reference, amount in paid]
    file.write_text("\n".join(["reference,amount,currency,date,id", *rows]) + "\n")
    if name is not None and paid:
        ibctl("commissions", "payouts", "reconcile", name, str(file))


DEEDS = (run, hold, set_by_hand, create, create, cancel, reconcile)


def main() -> None:
    """Do as many deeds as the command line says."""
    dice = random.Random(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        dice.choice(DEEDS)(dice)


if __name__ == "__main__":
    main()
