"""Payouts that are killed, and a paid row against every command there is."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CREATE, create, payee, payments, statuses, two
from tests.commissions.test_interrupted import wait_until_gone
from tests.conftest import ROOT, Result, command
from tests.test_cli import commands, root

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
RECONCILE = ("commissions", "payouts", "reconcile", "2025-10-1", "paid.csv")


def bank_file(*rows: str) -> None:
    Path("paid.csv").write_text("\n".join(["reference,amount,currency,date,id", *rows]) + "\n")


# -------------------------------------------------------------------------------------------------------------- kill -9


def killed_while_it_waits_for(database: str, arguments: Sequence[str], table: str) -> None:
    """Start a command, hold it up at its write to a table, and kill it there."""
    with psycopg.connect(database) as connection:
        connection.execute(f"LOCK TABLE {table} IN SHARE MODE".encode())
        run = subprocess.Popen(command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        for _ in range(400):
            if (connection.execute(waiting).fetchone() or (0,))[0]:
                break
            time.sleep(0.05)
        else:
            raise AssertionError(f"it never came to write to {table}")
        run.send_signal(signal.SIGKILL)
        run.communicate()
    wait_until_gone(database)


def everything(sql: Sql) -> list[Any]:
    tables = ('"IbCommission"', "ibctl.payout_batch", "ibctl.payout_item", "ibctl.payout_payment", "ibctl.change_set")
    return [sql(f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text") for table in tables]


@pytest.mark.parametrize("table", ['"IbCommission"', "ibctl.payout_item", "ibctl.change_set"])
def test_a_batch_that_is_killed_while_it_is_made_leaves_nothing(
    platform: Platform, sql: Sql, database: str, ibctl: Run, table: str
) -> None:
    two(platform)
    before = everything(sql)
    killed_while_it_waits_for(database, [*CREATE, "--yes"], table)
    assert everything(sql) == before
    create(ibctl)
    assert len(payments(sql)) == 2


@pytest.mark.parametrize("table", ["ibctl.payout_payment", '"IbCommission"', "ibctl.payout_item"])
def test_a_reconciliation_that_is_killed_leaves_what_was_before(
    platform: Platform, sql: Sql, database: str, ibctl: Run, table: str
) -> None:
    two(platform)
    create(ibctl)
    bank_file("IB202510B1N00001,100,USD,2025-11-04,T1", "IB202510B1N00002,50.25,USD,2025-11-04,T2")
    before = everything(sql)
    killed_while_it_waits_for(database, RECONCILE, table)
    assert everything(sql) == before
    assert ibctl(*RECONCILE).exit_code == 0
    assert statuses(sql) == {"a@x.y": "PAID", "b@x.y": "PAID"}


# ------------------------------------------------------------------------------------------------------ what is paid


def attempts(lead: str) -> dict[str, list[str]]:
    """A call of every command that writes to leads, spend or commissions, aimed at what a paid row rests on."""
    month = ["--month", "2025-10"]
    return {
        "leads edit": [lead, "--cpa-earned", "1"],
        "leads set-status": [lead, "rejected"],
        "leads assign": [lead, "--ib", "b@x.y"],
        "leads transfer": ["--from", "a@x.y", "--to", "b@x.y", "--effective", "2025-10-01"],
        "leads qualify": [],
        "leads anonymize": [lead],
        "ads spend import": ["spend.csv"],
        "commissions run": month,
        "commissions hold": ["a@x.y", "2025-10", "--reason", "r"],
        "commissions release": ["a@x.y", "2025-10", "--reason", "r"],
        "commissions adjust": ["a@x.y", "2025-10", "-5", "--reason", "r"],
        "commissions clawback": [lead, "--code", "fraud", "--reason", "r"],
        "commissions plans add": ["plan.toml"],
        "commissions plans assign": ["a@x.y", "--plan", "gold", "--from", "2025-10"],
        "commissions groups add": ["vip", "a@x.y", "--from", "2025-10"],
        "commissions groups remove": ["a@x.y", "--from", "2025-10"],
        "commissions close": ["2025-10"],
        "commissions true-up": ["2025-10"],
        "commissions reopen": ["2025-10", "--reason", "r"],
        "commissions rates import": ["rates.csv", "--source", "ECB"],
        "commissions payees set": ["a@x.y", "--method", "paypal"],
        "commissions payees import": ["payees.csv"],
        "commissions payees remove": ["a@x.y"],
        "commissions payouts create": month,
        "commissions payouts cancel": ["2025-10-1"],
        "commissions payouts approve": ["2025-10-1"],
        "commissions payouts export": ["2025-10-1"],
        "commissions payouts reconcile": ["2025-10-1", "again.csv", "--paid-is", "positive"],
        "users deactivate": ["a@x.y"],
        "users edit": ["a@x.y", "--email", "z@x.y"],
    }


def test_a_paid_row_is_never_changed_by_anything(platform: Platform, sql: Sql, ibctl: Run, tmp_path: Path) -> None:
    user = platform.user("a@x.y")
    platform.user("b@x.y")
    lead = platform.lead(user, "2025-10-03", "2025-10-04", 400)
    account = platform.account(user, "EUR")
    platform.spend(user, account, "2025-10-05", 10)
    platform.rate("2025-10-05", "EUR", "1.1")
    payee(platform, "a@x.y")
    assert ibctl("commissions", "run", "--month", "2025-10").exit_code == 0
    create(ibctl)
    bank_file("IB202510B1N00001,120,USD,2025-11-04,T1")
    assert ibctl(*RECONCILE).exit_code == 0
    ((commission, before),) = sql('SELECT id, to_jsonb(c) FROM "IbCommission" c')
    assert before["paymentStatus"] == "PAID"

    def is_untouched() -> bool:
        return sql('SELECT to_jsonb(c) FROM "IbCommission" c WHERE id = %s', commission) == [(before,)]

    shutil.copy(ROOT / "examples/plan.toml", "plan.toml")
    Path("spend.csv").write_text(f"adAccountId,date,dailySpend\nact_{account},2025-10-05,99\n")
    Path("rates.csv").write_text("date,currency,rate\n2025-10-05,EUR,2\n")
    Path("payees.csv").write_text("ib,name,account\na@x.y,X,FR1420041010050500013M02606\n")
    Path("again.csv").write_text(
        "reference,amount,currency,date,id\nIB202510B1N00001,120,USD,2025-11-09,T2\nIB202510B1N00001,-300,USD,2025-11-09,T3\n"
    )
    for name, arguments in attempts(lead).items():
        ended = ibctl(*name.split(), *arguments, "--yes", input="Rosa Vidal\nrosa@example.com\n")
        assert ended.exit_code in (0, 3, 6, 7), (name, ended.stderr)
        assert is_untouched(), name
    for (number,) in sql("SELECT id FROM ibctl.change_set ORDER BY id DESC"):
        assert ibctl("undo", str(number), "--yes").exit_code in (0, 3, 6)
        assert is_untouched(), number


def test_every_command_about_commissions_that_writes_is_tried_on_a_paid_row() -> None:
    writing = {
        " ".join(path) for path, found in commands(root())
        if path[0] == "commissions" and any("--dry-run" in parameter.opts for parameter in found.params)
    }  # fmt: skip
    assert writing - attempts("").keys() == set()
