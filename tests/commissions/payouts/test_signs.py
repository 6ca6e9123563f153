"""Signs that can be read both ways, and money that leaves and comes back on one day."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import create, statuses, two
from tests.commissions.payouts.bank_samples import ENTRY, camt
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
RECONCILE = ("commissions", "payouts", "reconcile", "2025-10-1")
EXPORT = ("commissions", "payouts", "export", "2025-10-1", "-o", "out")
A, B = "IB202510B1N00001", "IB202510B1N00002"


@pytest.fixture
def batch(platform: Platform, ibctl: Run) -> Platform:
    """Batch 2025-10-1: a@x.y is due 100.00 USD under A, b@x.y 50.25 USD under B."""
    two(platform)
    create(ibctl)
    return platform


def given(*rows: str, header: str = "reference,amount,currency,date,id", name: str = "bank.csv") -> Path:
    path = Path(name)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def sent(ibctl: Run, sql: Sql) -> tuple[str, str | None]:
    """How far the payment of a@x.y is, and what is out for it."""
    shown = ibctl("commissions", "payouts", "show", "2025-10-1", "-f", "csv", "--columns", "reference,sent").stdout
    return statuses(sql)["a@x.y"], dict(line.split(",") for line in shown.splitlines())[A]


# -------------------------------------------------------------------------------------------------- left and came back


def test_a_reversal_under_the_id_and_the_day_of_its_payment_is_taken_beside_it(
    batch: Platform, sql: Sql, ibctl: Run
) -> None:
    """The payment is known from an earlier file; this one has it too, so its signs are read the right way round."""
    assert ibctl(*RECONCILE, given(f"{A},100.00,USD,2025-11-05,T1")).exit_code == 0
    both = given(f"{A},100.00,USD,2025-11-05,T1", f"{A},-100.00,USD,2025-11-05,T1", name="later.csv")
    ended = ibctl(*RECONCILE, both, "--paid-is", "positive")
    assert (ended.exit_code, f"{A}: returned, 100.00 USD came back" in ended.stderr) == (7, True)
    assert sent(ibctl, sql) == ("PAID", "0.00")
    assert sql('SELECT direction, "fileName" FROM ibctl.payout_payment ORDER BY 1 DESC') == [
        ("debit", "bank.csv"), ("credit", "later.csv"),
    ]  # fmt: skip
    assert "nothing new in the file" in ibctl(*RECONCILE, both, "--paid-is", "positive").stderr


@pytest.mark.parametrize("rows", list(itertools.permutations(["debit", "credit"])))
@pytest.mark.parametrize("files", [1, 2])
def test_what_leaves_and_comes_back_on_one_day_comes_to_nothing_in_whichever_order(
    batch: Platform, sql: Sql, ibctl: Run, rows: tuple[str, str], files: int
) -> None:
    """A payment leaves before it returns, however a file or two of them tell it."""
    told = [f"{A},100.00,USD,2025-11-05,{way}" for way in rows]
    for part in [told] if files == 1 else [told[:1], told[1:]]:
        ibctl(*RECONCILE, given(*part, header="reference,amount,currency,date,direction"))
    paid_first = files == 2 and rows[0] == "debit"
    assert sent(ibctl, sql) == ("PAID" if paid_first else "PROCESSING", "0.00")


@pytest.mark.parametrize("rows", list(itertools.permutations(["credit", "debit"])))
def test_what_comes_back_and_is_paid_again_on_one_day_is_out(
    batch: Platform, sql: Sql, ibctl: Run, rows: tuple[str, str]
) -> None:
    told = [f"{A},100.00,USD,2025-11-03,debit", *(f"{A},100.00,USD,2025-11-05,{way}" for way in rows)]
    assert ibctl(*RECONCILE, given(*told, header="reference,amount,currency,date,direction")).exit_code == 0
    assert sent(ibctl, sql) == ("PAID", "100.00")


# --------------------------------------------------------------------------------------------------- which sign is left


def proven(ibctl: Run, sql: Sql) -> None:
    """a@x.y's payment is PAID by a bank's statement, which leaves no doubt."""
    sql("UPDATE ibctl.payout_item SET currency = 'EUR'")
    paid = ENTRY.format(amount="100.00", sign="DBIT", status="BOOK", reference=A, bank="B1")
    Path("s.xml").write_text(camt(paid))
    assert ibctl(*RECONCILE, "s.xml").exit_code == 0


@pytest.mark.parametrize("rows", [[f"{A},-100.00,EUR,2025-11-05,T9"],
                                  [f"{A},-100.00,EUR,2025-11-05,T9", f"{B},50.25,EUR,2025-11-05,T8"]])  # fmt: skip
def test_a_sign_that_may_mean_either_is_asked_about_and_frees_no_money(
    batch: Platform, sql: Sql, ibctl: Run, rows: list[str]
) -> None:
    proven(ibctl, sql)
    ended = ibctl(*RECONCILE, given(*rows))
    assert (ended.exit_code, ended.stdout, len(ended.stderr.splitlines())) == (2, "", 1)
    assert "bank.csv, row 2: only its sign says whether -100.00 EUR left or came back" in ended.stderr
    assert "--paid-is negative where that is money that left, --paid-is positive where it came back" in ended.stderr
    assert sql("SELECT count(*) FROM ibctl.payout_payment") == [(1,)]
    assert ibctl(*EXPORT).exit_code == 0
    assert A not in Path("out/payout-2025-10-1.csv").read_text()


def test_the_payment_of_another_file_is_not_its_own_return(batch: Platform, sql: Sql, ibctl: Run) -> None:
    """Of the same day and amount, and told by a sign alone: the same movement, read the wrong way round."""
    proven(ibctl, sql)
    ended = ibctl(*RECONCILE, given(f"{A},-100.00,EUR,2025-11-04,T9"), "--paid-is", "positive")
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (3, 1)
    assert "left, says s.xml, and by --paid-is positive the same came back" in ended.stderr
    assert "where both happened, a column `direction` says so" in ended.stderr
    assert sent(ibctl, sql) == ("PAID", "100.00")
    back = given(f"{A},100.00,EUR,2025-11-04,credit", header="reference,amount,currency,date,direction")
    assert ibctl(*RECONCILE, back).exit_code == 7
    assert sent(ibctl, sql) == ("PAID", "0.00")


def test_where_all_amounts_are_above_zero_nothing_is_asked(batch: Platform, sql: Sql, ibctl: Run) -> None:
    assert ibctl(*RECONCILE, given(f"{A},100.00,USD,2025-11-05,T1")).exit_code == 0
    assert statuses(sql)["a@x.y"] == "PAID"
