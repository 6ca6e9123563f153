"""Evidence: what makes a row PAID, what is a finding, and that nothing else moves."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from ibctl import db
from ibctl.commissions.payouts import evidence_repeats as repeats
from ibctl.commissions.payouts import evidence_rules as rules
from ibctl.commissions.payouts.bank_files import Movement
from ibctl.commissions.payouts.evidence_rules import Due, Payments, Taken
from ibctl.commissions.payouts.evidence_sql import NET
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CANCEL, IBANS, SHOW, create, statuses, two
from tests.commissions.payouts.bank_samples import ENTRY, MT940, camt
from tests.conftest import Result

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]
RECONCILE = ("commissions", "payouts", "reconcile", "2025-10-1")
A, B = "IB202510B1N00001", "IB202510B1N00002"


def csv_file(*rows: str, name: str = "paid.csv") -> Path:
    """A provider's file in the working directory: reference, amount, date and id."""
    path = Path(name)
    path.write_text("\n".join(["reference,amount,currency,date,id", *rows]) + "\n")
    return path


def paid(reference: str, amount: str, number: int = 1, currency: str = "USD") -> str:
    return f"{reference},{amount},{currency},2025-11-0{number},T{number}"


def findings(result: Result) -> list[tuple[str | None, str | None, bool]]:
    return [(row["reference"], row["finding"], row["open"]) for row in json.loads(result.stdout)]


def reconcile(ibctl: Run, *rows: str, code: int) -> list[tuple[str | None, str | None, bool]]:
    ended = ibctl(*RECONCILE, csv_file(*rows), "--paid-is", "positive", "-f", "json")
    assert ended.exit_code == code, ended.stderr
    return findings(ended)


@pytest.fixture
def batch(platform: Platform, ibctl: Run) -> Platform:
    """Batch 2025-10-1: a@x.y is due 100.00 USD under A, b@x.y 50.25 USD under B."""
    two(platform)
    create(ibctl)
    return platform


# ----------------------------------------------------------------------------------------------------------- what pays


def test_a_row_is_paid_with_its_day_method_and_reference(batch: Platform, sql: Sql, ibctl: Run) -> None:
    ended = ibctl(*RECONCILE, csv_file(paid(A, "100.00", 4), paid(B, "50.25", 5)))
    assert ended.exit_code == 0, ended.stderr
    assert "batch 2025-10-1: 2 paid now, none is open; change set 2" in ended.stderr
    columns = '"paymentStatus", "paidAt", "paymentMethod", "paymentReference"'
    assert sql(f'SELECT {columns} FROM "IbCommission" ORDER BY id') == [
        ("PAID", datetime(2025, 11, 4), "bank_transfer", A), ("PAID", datetime(2025, 11, 5), "bank_transfer", B),
    ]  # fmt: skip
    assert sql("SELECT status FROM ibctl.payout_item") == [("PAID",), ("PAID",)]


def test_without_evidence_a_row_stays_as_it_is_and_the_batch_is_part_paid(
    batch: Platform, sql: Sql, ibctl: Run
) -> None:
    ended = ibctl(*RECONCILE, csv_file(paid(A, "100")))
    assert (ended.exit_code, "1 paid now, 1 not paid yet" in ended.stderr) == (0, True)
    assert statuses(sql) == {"a@x.y": "PAID", "b@x.y": "PROCESSING"}
    (row,) = json.loads(ibctl("commissions", "payouts", "list", "-f", "json").stdout)
    assert (row["status"], row["paid"], row["basePaid"]) == ("PART PAID", 1, 100)
    reconcile(ibctl, paid(B, "50.25"), code=0)
    (row,) = json.loads(ibctl("commissions", "payouts", "list", "-f", "json").stdout)
    assert row["status"] == "PAID"


def test_a_camt_053_proves_it_and_what_else_passes_through_the_account_is_passed_over(
    batch: Platform, sql: Sql, ibctl: Run
) -> None:
    sql("UPDATE ibctl.payout_item SET currency = 'EUR', amount = 86.42 WHERE reference = %s", A)
    paid_out = ENTRY.format(amount="86.42", sign="DBIT", status="BOOK", reference=A, bank="B1")
    rent = ENTRY.format(amount="1200.00", sign="DBIT", status="BOOK", reference="RENT", bank="B2")
    Path("s.xml").write_text(camt(paid_out, rent))
    ended = ibctl(*RECONCILE, "s.xml")
    assert (ended.exit_code, statuses(sql)) == (0, {"a@x.y": "PAID", "b@x.y": "PROCESSING"})
    assert "s.xml: 1 movements are none of the batch's" in ended.stderr


def test_a_payment_without_a_reference_but_of_an_amount_that_is_due_is_not_passed_over(
    batch: Platform, sql: Sql, ibctl: Run
) -> None:
    sql("UPDATE ibctl.payout_item SET currency = 'EUR', amount = 86.42 WHERE reference = %s", A)
    Path("s.xml").write_text(camt(ENTRY.format(amount="86.42", sign="DBIT", status="BOOK", reference="-", bank="B1")))
    ended = ibctl(*RECONCILE, "s.xml", "-f", "json")
    assert (ended.exit_code, findings(ended)) == (7, [(None, "unmatched", True)])
    assert "1 reported movement names no single payment" in ibctl(*SHOW, "2025-10-1").stderr


def test_an_mt940_proves_it_too(batch: Platform, sql: Sql, ibctl: Run) -> None:
    sql("UPDATE ibctl.payout_item SET currency = 'EUR', amount = 86.42 WHERE reference = %s", A)
    sql("UPDATE ibctl.payout_item SET currency = 'EUR' WHERE reference = %s", B)
    Path("s.sta").write_text(MT940)
    ended = ibctl(*RECONCILE, "s.sta", "-f", "json")
    assert (ended.exit_code, statuses(sql)) == (7, {"a@x.y": "PROCESSING", "b@x.y": "PAID"})
    assert findings(ended) == [(A, None, False), (B, None, False), (A, "returned", True)]


# -------------------------------------------------------------------------------------------------------- what does not


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([paid("IB202510B1N99999", "100")], (None, "unmatched", True)),
        ([paid("", "100")], (None, "unmatched", True)),
        ([paid(A, "99.99")], (A, "short", True)),
        ([paid(A, "100.01")], (A, "over", True)),
        ([paid(A, "100", currency="EUR")], (A, "currency", True)),
        ([paid(A, "-100")], (A, "turned", True)),
    ],
)
def test_whatever_is_not_exactly_what_is_due_is_a_finding_and_pays_nothing(
    batch: Platform, sql: Sql, ibctl: Run, rows: Sequence[str], expected: tuple[str | None, str, bool]
) -> None:
    before = sql('SELECT to_jsonb(c) FROM "IbCommission" c ORDER BY id')
    assert reconcile(ibctl, *rows, code=7) == [expected]
    assert sql('SELECT to_jsonb(c) FROM "IbCommission" c ORDER BY id') == before


def test_a_payment_that_leaves_twice_is_a_finding_and_the_row_stays_as_paid(
    batch: Platform, sql: Sql, ibctl: Run
) -> None:
    reconcile(ibctl, paid(A, "100", 4), code=0)
    before = sql('SELECT to_jsonb(c) FROM "IbCommission" c ORDER BY id')
    assert reconcile(ibctl, paid(A, "100", 6), code=7) == [(A, "double", True)]
    assert sql('SELECT to_jsonb(c) FROM "IbCommission" c ORDER BY id') == before
    rows = json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)
    assert [(row["sent"], row["findings"]) for row in rows] == [(200, "double"), (None, None)]
    assert reconcile(ibctl, paid(A, "-100", 8), code=0) == [(A, "returned", False)]
    rows = json.loads(ibctl(*SHOW, "2025-10-1", "-f", "json").stdout)
    assert (rows[0]["sent"], rows[0]["findings"]) == (100, None)


def test_two_equal_payments_in_one_file_are_two(batch: Platform, sql: Sql, ibctl: Run) -> None:
    assert reconcile(ibctl, paid(A, "100"), paid(A, "100"), code=7) == [(A, None, False), (A, "double", True)]
    assert statuses(sql)["a@x.y"] == "PROCESSING"  # 200 have left for 100: somebody has to look first


def test_what_came_back_before_it_counted_does_not_count(batch: Platform, sql: Sql, ibctl: Run) -> None:
    rows = [paid(A, "-100", 5), paid(A, "100", 4)]  # the newest first, as many banks list them
    assert reconcile(ibctl, *rows, code=7) == [(A, "returned", True), (A, None, False)]
    assert statuses(sql)["a@x.y"] == "PROCESSING"
    assert ibctl(*CANCEL, "2025-10-1", "--only", "a@x.y", "--yes").exit_code == 0


def test_a_short_payment_that_is_made_up_for_pays(batch: Platform, sql: Sql, ibctl: Run) -> None:
    assert reconcile(ibctl, paid(A, "60", 4), code=7) == [(A, "short", True)]
    refused = ibctl(*CANCEL, "2025-10-1", "--yes")
    assert (refused.exit_code, f"money has left for {A} of batch 2025-10-1" in refused.stderr) == (3, True)
    assert reconcile(ibctl, paid(A, "60", 4), paid(A, "40", 6), code=0) == [(A, "short", False), (A, None, False)]
    assert sql('SELECT "paymentStatus", "paidAt" FROM "IbCommission" WHERE id = \'c-a-10\'') == [
        ("PAID", datetime(2025, 11, 6))
    ]


def test_money_for_a_cancelled_payment_is_a_finding(batch: Platform, sql: Sql, ibctl: Run) -> None:
    ibctl(*CANCEL, "2025-10-1", "--only", "a@x.y", "--yes")
    assert reconcile(ibctl, paid(A, "100"), code=7) == [(A, "cancelled", True)]
    assert statuses(sql)["a@x.y"] == "PENDING"


def test_another_batchs_payments_are_passed_over(batch: Platform, sql: Sql, ibctl: Run) -> None:
    ibctl(*CANCEL, "2025-10-1", "--only", "b@x.y", "--yes")
    create(ibctl)
    ended = ibctl(*RECONCILE, csv_file(paid(A, "100"), paid("IB202510B2N00001", "50.25")))
    assert (ended.exit_code, "1 movements are none of the batch's" in ended.stderr) == (0, True)
    assert statuses(sql) == {"a@x.y": "PAID", "b@x.y": "PROCESSING"}


def test_a_movement_that_names_payments_of_two_batches_pays_neither(batch: Platform, sql: Sql, ibctl: Run) -> None:
    ibctl(*CANCEL, "2025-10-1", "--only", "b@x.y", "--yes")
    create(ibctl)
    both = csv_file(paid(f"{A} IB202510B2N00001", "100"), paid(f"IB202510B2N00001 {A}", "50.25"))
    for name in ("2025-10-1", "2025-10-2"):
        ended = ibctl(*RECONCILE[:-1], name, both, "-f", "json")
        assert (ended.exit_code, findings(ended)) == (7, [(None, "unmatched", True)] * 2)
    assert statuses(sql) == {"a@x.y": "PROCESSING", "b@x.y": "PROCESSING"}


def test_what_is_dated_before_the_month_was_over_proves_nothing(batch: Platform, sql: Sql, ibctl: Run) -> None:
    rows = [f"{A},100,USD,2019-11-05,T1", f"{B},50.25,USD,2025-10-30,T2", f"{B},50.25,USD,2025-10-31,T3"]
    assert reconcile(ibctl, *rows, code=7) == [(None, "early", True), (None, "early", True), (B, None, False)]
    assert "row 2, 100.00 USD: early, is dated before the month was over" in ibctl(*RECONCILE, "paid.csv").stderr
    assert statuses(sql) == {"a@x.y": "PROCESSING", "b@x.y": "PAID"}
    shown = ibctl(*SHOW, "2025-10-1").stderr
    assert "Warning: 2 reported movements are dated before the month was over: that proves nothing" in shown
    assert "no single payment" not in shown
    came_back = csv_file(f"{A},-100,USD,2019-11-05,T4", name="back.csv")
    assert ibctl(*RECONCILE, came_back).exit_code == 7  # nor has anybody to say what its sign means


# ------------------------------------------------------------------------------------------------------ again and again


def test_the_same_file_again_changes_nothing_and_says_the_same(batch: Platform, sql: Sql, ibctl: Run) -> None:
    rows = [paid(A, "100"), paid(B, "50"), paid("IB202510B1N00077", "3")]
    first = reconcile(ibctl, *rows, code=7)
    tables = ('"IbCommission"', "ibctl.payout_payment", "ibctl.payout_item", "ibctl.change_set", "ibctl.change")
    before = [sql(f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text") for table in tables]
    assert reconcile(ibctl, *rows, code=7) == first
    assert [sql(f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text") for table in tables] == before


def test_a_longer_file_with_the_same_rows_adds_only_what_is_new(batch: Platform, sql: Sql, ibctl: Run) -> None:
    reconcile(ibctl, paid(A, "100"), code=0)
    reconcile(ibctl, paid(A, "100"), paid(B, "50.25"), code=0)
    assert sql("SELECT count(*) FROM ibctl.payout_payment") == [(2,)]
    assert statuses(sql) == {"a@x.y": "PAID", "b@x.y": "PAID"}


def test_a_dry_run_says_what_would_be_paid(batch: Platform, sql: Sql, ibctl: Run) -> None:
    ended = ibctl(*RECONCILE, csv_file(paid(A, "100")), "--dry-run")
    assert (ended.exit_code, "1 paid now" in ended.stderr, "nothing was written" in ended.stderr) == (0, True, True)
    assert statuses(sql)["a@x.y"] == "PROCESSING"


@pytest.mark.parametrize("status", ["PENDING", "HELD"])
def test_a_row_whose_status_something_else_moved_is_set_right_by_the_proof(
    batch: Platform, sql: Sql, ibctl: Run, status: str
) -> None:
    moved(sql, status)
    reconcile(ibctl, paid(A, "100", 4), paid(B, "50.25"), code=0)
    assert statuses(sql) == {"a@x.y": "PAID", "b@x.y": "PAID"}
    columns = sql('SELECT "paidAt", "paymentReference" FROM "IbCommission" WHERE id = \'c-a-10\'')
    assert columns == [(datetime(2025, 11, 4), A)]
    assert "payouts:" not in ibctl("doctor").stdout


def test_a_row_whose_sum_something_else_moved_too_waits_alone_and_is_named(
    batch: Platform, sql: Sql, ibctl: Run
) -> None:
    moved(sql, "PENDING", 120)
    file = csv_file(paid(A, "100"), paid(B, "50.25"))
    ended = ibctl(*RECONCILE, file)
    assert (ended.exit_code, statuses(sql)) == (7, {"a@x.y": "PENDING", "b@x.y": "PAID"})
    assert f"{A} is paid, but something else than ibctl made its commission PENDING with 120.00 USD" in ended.stderr
    assert "batch 2025-10-1: 1 paid now, 1 not paid yet" in ended.stderr
    moved(sql, "PROCESSING", 100)
    assert (ibctl(*RECONCILE, file).exit_code, statuses(sql)["a@x.y"]) == (0, "PAID")


def test_a_row_that_something_else_made_paid_keeps_what_it_says(batch: Platform, sql: Sql, ibctl: Run) -> None:
    moved(sql, "PAID")
    before = sql("SELECT to_jsonb(c) FROM \"IbCommission\" c WHERE id = 'c-a-10'")
    reconcile(ibctl, paid(A, "100"), paid(B, "50.25"), code=0)
    assert sql("SELECT to_jsonb(c) FROM \"IbCommission\" c WHERE id = 'c-a-10'") == before
    assert sql("SELECT status FROM ibctl.payout_item") == [("PAID",), ("PAID",)]


def moved(sql: Sql, status: str, payout: float = 100) -> None:
    """What the web application may do to a@x.y's row."""
    values = '"paymentStatus" = %s, "totalPayout" = %s'
    sql(f"UPDATE \"IbCommission\" SET {values} WHERE id = 'c-a-10'", status, payout)


def test_nothing_personal_of_the_banks_file_is_kept(batch: Platform, sql: Sql, ibctl: Run) -> None:
    Path("s.xml").write_text(camt(ENTRY.format(amount="1", sign="DBIT", status="BOOK", reference=A, bank="B1")))
    ended = ibctl(*RECONCILE, "s.xml", "-f", "json")
    said = ended.stdout + ended.stderr + str(sql("SELECT to_jsonb(p) FROM ibctl.payout_payment p"))
    assert (IBANS[0] in said, "Vidal" in said) == (False, False)


@pytest.mark.parametrize(("name", "code"), [("missing.xml", 3), (".", 3)])
def test_a_file_that_cannot_be_read_is_one_line(batch: Platform, ibctl: Run, name: str, code: int) -> None:
    ended = ibctl(*RECONCILE, name)
    assert (ended.exit_code, ended.stdout, len(ended.stderr.splitlines())) == (code, "", 1)


def test_evidence_may_be_piped_in(batch: Platform, sql: Sql, ibctl: Run) -> None:
    content = csv_file(paid(A, "100"), paid(B, "50.25")).read_text()
    assert ibctl(*RECONCILE, "-", input=content).exit_code == 0
    assert set(statuses(sql).values()) == {"PAID"}
    assert sql('SELECT DISTINCT "fileName", sha256 FROM ibctl.payout_payment') == [
        ("stdin", hashlib.sha256(content.encode()).hexdigest())
    ]
    device = ibctl(*RECONCILE, "/dev/null")
    assert (device.exit_code, "pipe it in and write - for the file" in device.stderr) == (3, True)


def test_doctor_names_what_no_longer_agrees(batch: Platform, sql: Sql, ibctl: Run) -> None:
    assert "payouts:" not in ibctl("doctor").stdout
    reconcile(ibctl, paid(A, "60"), code=7)
    sql("UPDATE \"IbCommission\" SET \"paymentStatus\" = 'PENDING' WHERE id = 'c-b-10'")
    sql(
        'INSERT INTO "IbCommission" (id, "userId", month, year, "paymentStatus", "updatedAt")'
        " SELECT 'x', id, 9, 2025, 'PROCESSING', now() FROM \"User\" LIMIT 1"
    )
    found = [row["value"] for row in json.loads(ibctl("doctor", "-f", "json").stdout) if row["check"] == "payouts"]
    assert found == [
        f"1 payment(s) and their commissions disagree: {B} is PROCESSING, its commission PENDING",
        "1 PROCESSING commission(s) are in no batch",
        f"1 payment(s) are short, over, double, returned or in a wrong currency: {A}",
    ]


# ----------------------------------------------------------------------------------------------------------- properties


def test_sql_and_python_count_evidence_alike(batch: Platform, sql: Sql) -> None:
    rng = random.Random(1)
    sql("UPDATE ibctl.payout_item SET amount = 3")
    ((item,),) = sql("SELECT id FROM ibctl.payout_item WHERE reference = %s", A)
    for _ in range(40):
        sql("DELETE FROM ibctl.payout_payment")
        due = Due("i", A, Decimal(3), "USD", "PROCESSING")
        for number in range(rng.randint(1, 7)):
            amount, day, turned = (
                rng.choice([-3, -2, -1, 1, 2, 3]),
                date(2025, 11, rng.randint(1, 4)),
                rng.random() < 0.5,
            )
            due.take("USD", Taken(day, Decimal(amount), doubtful=amount < 0 and turned))
            sql(
                'INSERT INTO ibctl.payout_payment (id, "batchId", "itemId", direction, "bookedOn", amount, currency,'
                ' finding, "fileName", sha256, "changeSetId", "createdAt")'
                " VALUES (%s, '2025-10-1', %s, %s, %s, %s, 'USD', %s, 'f', 's', 1, now())",
                str(number), item, "debit" if amount > 0 else "credit", day, abs(amount),
                "turned" if amount < 0 and turned else None,
            )  # fmt: skip
        with db.reading() as session:
            found = session.execute(sa.text(NET), {"batch": "2025-10-1"}).mappings().all()
        (row,) = (one for one in found if one["id"] == item)
        net = due.net("USD")
        assert (row["sent"], row["unseen"]) == (net.sent, net.unseen > 0)
        assert row["doubtful"] == net.doubtful


def movement(cents: int, debit: bool) -> Movement:
    return Movement(
        "row", "debit" if debit else "credit", date(2025, 11, 4), Decimal(cents) / 100, "USD", (A,), None, listed=True
    )


def judge(file: list[Movement], payments: Payments) -> list[rules.Judged]:
    new = list(rules.identified("b", file))
    return list(rules.judge(new, payments, repeats.repeated(new, payments, rules.told(file, payments))))


@given(st.lists(st.tuples(st.integers(1, 20_000), st.booleans()), max_size=8))
def test_a_payment_is_settled_exactly_when_what_left_less_what_came_back_is_due(moves: list[tuple[int, bool]]) -> None:
    due = Due("i", A, Decimal("100.00"), "USD", "PROCESSING")
    file = [movement(*move) for move in moves]
    payments = Payments({A: due}, (), date(2025, 10, 31))
    judged = judge(file, payments)
    net = sum(cents if debit else -cents for cents, debit in moves)
    assert due.settled == (net == 10_000)
    assert any(one.is_open for one in judged) <= (net != 10_000)
    assert len({one.id for one in judged}) == len(moves)


@given(st.permutations([(10_000, True), (10_000, False), (4_000, True), (6_000, True)]))
def test_the_order_of_a_file_does_not_decide_what_is_paid(moves: list[tuple[int, bool]]) -> None:
    due = Due("i", A, Decimal("100.00"), "USD", "PROCESSING")
    file = [movement(*move) for move in moves]
    judge(file, Payments({A: due}, (), date(2025, 10, 31)))
    assert due.settled
