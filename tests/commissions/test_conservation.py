"""Over any sequence of what can be done to months, no cent appears, none vanishes, and what is paid never changes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any, Literal

import psycopg
import pytest
from freezegun import freeze_time
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ibctl import config, crypto, currencies, db, ids, money
from ibctl.admin.audit import undo as undoing
from ibctl.commissions.calculation import service
from ibctl.commissions.months import adjustments, closing, drifting, holding
from ibctl.commissions.payouts import reconciling
from ibctl.commissions.payouts import service as payouts
from ibctl.commissions.payouts.bank_files import Movement
from ibctl.commissions.payouts.reconciling import Evidence
from ibctl.commissions.plans import files as plan_files
from ibctl.commissions.plans import service as plans
from ibctl.errors import RequestError
from ibctl.leads import service as leads
from ibctl.models.platform import User
from ibctl.months import Month

# Half of them in each currency; more before a release: IBCTL_TEST_SEQUENCES=500.
SEQUENCES, STEPS = int(os.environ.get("IBCTL_TEST_SEQUENCES", "10")), 20
MONTHS = [Month(2025, number) for number in (1, 2, 3, 4)]
# In the second, no lead ever qualifies: what is carried on must get across it.
BUSY = [month for month in MONTHS if month.month != 2]
PLAN = """
name = "strict"
version = 1
from = "2025-01"
[commission]
by = "cpa"
method = "marginal"
tiers = [{ from = 0, rate = 0.30 }, { from = 300, rate = 0.45 }]
[payout]
minimum = 50
"""
IBS = ("u1", "u2")
cpas = st.integers(1, 20_000).map(lambda cents: Decimal(cents) / 100)
months = st.sampled_from(MONTHS)
ibs = st.sampled_from(IBS)

# Per IB: what the months earned and what was booked, against what is paid, payable, held, and carried on.
_EARNED = """
SELECT c."userId", sum(CAST(n.figures->>'balance' AS numeric) - CAST(n.figures->>'carriedIn' AS numeric))
FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId" GROUP BY 1
"""
_GONE = """
SELECT c."userId", sum(c."totalPayout"::numeric) FROM "IbCommission" c GROUP BY 1
"""
# A balance is carried while its month is open, or held; once it is booked, until the month that it is booked into has
# taken it in.
_CARRIED = """
SELECT "userId", sum(amount) FROM (
  SELECT c."userId", CAST(n.figures->>'carriedOut' AS numeric) AS amount FROM "IbCommission" c
  JOIN ibctl.commission_state s ON s.id = c.id JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
  WHERE NOT EXISTS (SELECT FROM ibctl.adjustment a WHERE a.kind = 'carry' AND a."userId" = c."userId"
                    AND a."sourceYear" = c.year AND a."sourceMonth" = c.month)
  UNION ALL
  SELECT a."userId", a.amount FROM ibctl.adjustment a WHERE a.kind = 'carry' AND NOT EXISTS (
    SELECT FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
    JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
    WHERE c."userId" = a."userId" AND c.year = a.year AND c.month = a.month
      AND n.inputs->'adjustments' @> jsonb_build_array(jsonb_build_object('id', a.id)))
) x GROUP BY 1
"""

_AT_ODDS = """
SELECT c."userId", c.year, c.month, c."paymentStatus", count(h.id) FROM "IbCommission" c
LEFT JOIN ibctl.commission_hold h ON h."userId" = c."userId" AND h.year = c.year AND h.month = c.month
  AND h."releasedAt" IS NULL
GROUP BY c.id HAVING count(h.id) <> CASE WHEN c."paymentStatus" = 'HELD' THEN 1 ELSE 0 END
"""

# As what an IB's closed month is calculated.
_ROLE = """
SELECT coalesce((
  SELECT n.inputs->>'role' FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
  JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
  WHERE c."userId" = %s AND c.year = m.year AND c.month = m.month
), CASE WHEN %s = ANY(m.administrators) THEN 'ADMIN' ELSE 'IB' END) FROM ibctl.closed_month m WHERE m.id = %s
"""
# What those had earned in an open month who are no IBs now.
_FORMER = """
SELECT u.email, c."commissionAmount"::numeric FROM "IbCommission" c JOIN "User" u ON u.id = c."userId"
WHERE u.role <> 'IB' AND c.year = %s AND c.month = %s AND c."paymentStatus" IN ('PENDING', 'HELD')
  AND c."commissionAmount" > 0 ORDER BY 1
"""

# All payees take the base currency.
_OTHERWISE = 'SELECT * FROM ibctl.payout_item WHERE amount <> "baseAmount" OR rate <> 1'

# What a closed month does not pay and did not carry on, but of what is held.
_NOT_CARRIED = """
SELECT c."userId", c.year, c.month, n.figures->>'carriedOut' FROM "IbCommission" c
JOIN ibctl.commission_state s ON s.id = c.id JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
JOIN ibctl.closed_month k ON k.year = c.year AND k.month = c.month
WHERE c."paymentStatus" <> 'HELD' AND CAST(n.figures->>'carriedOut' AS numeric) <> coalesce(
  (SELECT sum(a.amount) FROM ibctl.adjustment a WHERE a.kind = 'carry' AND a."userId" = c."userId"
   AND a."sourceYear" = c.year AND a."sourceMonth" = c.month), 0)
"""

# What was booked into months up to the last one and that no commission counts.
_LEFT_BEHIND = """
SELECT a.* FROM ibctl.adjustment a WHERE (a.year, a.month) <= (%s, %s) AND NOT EXISTS (
  SELECT FROM "IbCommission" c JOIN ibctl.commission_state s ON s.id = c.id
  JOIN ibctl.commission_snapshot n ON n.id = s."snapshotId"
  WHERE c."userId" = a."userId" AND c.year = a.year AND c.month = a.month
    AND n.inputs->'adjustments' @> jsonb_build_array(jsonb_build_object('id', a.id)))
"""


class Books(RuleBasedStateMachine):
    """Runs, adjustments, closings, true-ups, holds, payments in any order, on a database of its own."""

    database: str

    @initialize()
    def start(self) -> None:
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute(
                'TRUNCATE "Lead", "IbCommission", ibctl.adjustment, ibctl.commission_hold, ibctl.closed_month,'
                " ibctl.commission_state, ibctl.commission_snapshot, ibctl.change, ibctl.change_set,"
                " ibctl.payout_batch, ibctl.payout_item, ibctl.payout_payment CASCADE"
            )
            connection.execute("UPDATE \"User\" SET role = 'IB'")
        self.paid: dict[str, Any] = {}

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def writing(self, undoes: int | None = None) -> Iterator[db.Transaction]:
        """A transaction whose refusal is no fault: what is refused leaves nothing behind."""
        try:
            with db.transaction(undoes=undoes) as session:
                yield session
        except RequestError:
            pass

    @rule(ib=ibs, month=st.sampled_from(BUSY), cpa=cpas)
    def lead_qualifies(self, ib: str, month: Month, cpa: Decimal) -> None:
        self.sql(
            'INSERT INTO "Lead" (id, "userId", "leadCapturedAt", "qualifiedAt", "cpaEarned", "updatedAt")'
            " VALUES (%s, %s, %s, %s, %s, now())", ids.cuid(), ib, month.first_day, month.first_day, float(cpa),
        )  # fmt: skip

    @rule(data=st.data(), cpa=cpas)
    def lead_is_restated(self, data: st.DataObject, cpa: Decimal) -> None:
        found = [row[0] for row in self.sql('SELECT id FROM "Lead" ORDER BY id')]
        if found:
            chosen = data.draw(st.sampled_from(found))
            self.sql('UPDATE "Lead" SET "cpaEarned" = %s WHERE id = %s', float(cpa), chosen)

    @rule(ib=ibs, role=st.sampled_from(["IB", "ADMIN"]))
    def role_changes(self, ib: str, role: str) -> None:
        self.sql('UPDATE "User" SET role = %s WHERE id = %s', role, ib)

    @rule(month=months)
    def run(self, month: Month) -> None:
        losing = [] if self.is_closed(month) else self.sql(_FORMER, month.year, month.month)
        with self.writing() as session:
            result = service.run(session, month)
            # What a role takes away is named.
            assert [(one.email, one.earned) for one in result.former] == losing

    @rule(ib=ibs, month=months, amount=st.integers(-9_000, 9_000).filter(bool))
    def adjust(self, ib: str, month: Month, amount: int) -> None:
        with self.writing() as session:
            adjustments.adjust(session, session.get_one(User, ib), month, Decimal(amount) / 100, reason="r")

    @rule(data=st.data())
    def claw_back(self, data: st.DataObject) -> None:
        found = [row[0] for row in self.sql('SELECT id FROM "Lead" ORDER BY id')]
        if found:
            chosen = data.draw(st.sampled_from(found))
            with self.writing() as session:
                adjustments.clawback(session, leads.find(session, chosen), code="fraud", reason="r")

    @rule(month=months)
    def close(self, month: Month) -> None:
        with self.writing() as session:
            report = closing.prepare(session, month)
            closing.close(session, month, digest=report.digest, reason=None)

    @rule(month=months)
    def reopen(self, month: Month) -> None:
        with self.writing() as session:
            closing.reopen(session, month)

    @rule(month=months)
    def true_up(self, month: Month) -> None:
        with self.writing() as session:
            drifting.true_up(session, month)

    @rule(ib=ibs, month=months)
    def hold(self, ib: str, month: Month) -> None:
        with self.writing() as session:
            holding.hold(session, session.get_one(User, ib), month, reason="r")

    @rule(ib=ibs, month=months)
    def release(self, ib: str, month: Month) -> None:
        with self.writing() as session:
            holding.release(session, session.get_one(User, ib), month, reason="r")

    @rule(data=st.data())
    def undo_a_hold_or_release(self, data: st.DataObject) -> None:
        found = [row[0] for row in self.sql("SELECT id FROM ibctl.change_set WHERE counts ? 'commission_hold'")]
        if found:
            chosen = data.draw(st.sampled_from(found))
            with self.writing(undoes=chosen) as session:
                undoing.undo(session, chosen)

    @rule(month=months)
    def pay_out(self, month: Month) -> None:
        with self.writing() as session:
            payouts.create(session, month, payouts.Selection("bank_transfer"))

    def batches(self, status: str) -> list[tuple[Any, ...]]:
        return self.sql(
            'SELECT "batchId", reference, amount FROM ibctl.payout_item WHERE status = %s ORDER BY reference', status
        )

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        open_ones = self.batches("PROCESSING")
        if open_ones:
            with self.writing() as session:
                payouts.cancel(session, data.draw(st.sampled_from(open_ones))[0])

    @rule(data=st.data())
    def reconcile(self, data: st.DataObject) -> None:
        open_ones = self.batches("PROCESSING")
        if open_ones:
            batch, reference, amount = data.draw(st.sampled_from(open_ones))
            self.report(batch, reference, amount)

    @rule(data=st.data(), part=st.sampled_from([1, 2]), left=st.booleans(), day=st.integers(1, 14))
    def money_moves(self, data: st.DataObject, part: int, left: bool, day: int) -> None:
        """Of any payment, whatever has become of it: all or half of it leaves, once more perhaps, or comes back."""
        found = [row for status in ("PROCESSING", "PAID", "CANCELLED") for row in self.batches(status)]
        if found:
            batch, reference, amount = data.draw(st.sampled_from(found))
            moved = currencies.round_to(amount / part, config.settings().base_currency)
            self.report(batch, reference, moved, "debit" if left else "credit", day)

    def report(
        self, batch: str, reference: str, amount: Decimal, direction: Literal["debit", "credit"] = "debit", day: int = 1
    ) -> None:
        currency = config.settings().base_currency
        moved = Movement("row 1", direction, date(2025, 6, day), amount, currency, (reference,), None)
        with self.writing() as session:
            reconciling.reconcile(session, batch, Evidence([moved], "proof.csv", reference))

    @invariant()
    def what_is_paid_never_changes(self) -> None:
        if hasattr(self, "paid"):
            rows = dict(self.sql('SELECT id, to_jsonb(c) FROM "IbCommission" c WHERE "paymentStatus" = \'PAID\''))
            assert self.paid.items() <= rows.items()
            self.paid = rows

    @invariant()
    def what_is_earned_is_paid_payable_held_or_carried(self) -> None:
        if hasattr(self, "paid"):
            earned, gone, carried = (dict(self.sql(query)) for query in (_EARNED, _GONE, _CARRIED))
            for ib in IBS:
                assert earned.get(ib, 0) == gone.get(ib, 0) + carried.get(ib, 0)

    @invariant()
    def what_is_paid_is_what_the_bank_is_told_to_pay(self) -> None:
        if hasattr(self, "paid"):
            assert self.sql(_OTHERWISE) == []

    @invariant()
    def what_is_held_is_held_by_a_hold(self) -> None:
        if hasattr(self, "paid"):
            assert self.sql(_AT_ODDS) == []

    def teardown(self) -> None:
        """Bring everything up to date: then each IB has got, gets or is owed what its leads are worth today."""
        for batch, reference, amount in self.batches("PROCESSING"):
            self.report(batch, reference, amount * 100, "credit", 30)
        for batch in {row[0] for row in self.batches("PROCESSING")}:
            with self.writing() as session:
                payouts.cancel(session, batch)
        self.sql("UPDATE \"User\" SET role = 'IB'")
        later = [*MONTHS, MONTHS[-1].next]
        for month in MONTHS:
            self.true_up(month)
        for month in later:
            self.run(month)
            self.close(month)
        assert self.sql(_NOT_CARRIED) == []
        # What a month does not pay has been taken in by the next one, and so on to the last.
        assert self.sql(_LEFT_BEHIND, later[-1].year, later[-1].month) == []
        assert self.sql(
            'SELECT count(*) FROM "IbCommission" c WHERE NOT EXISTS ('
            "SELECT FROM ibctl.closed_month m WHERE m.year = c.year AND m.month = c.month)"
        ) == [(0,)]
        self.what_is_earned_is_paid_payable_held_or_carried()
        with db.reading() as session:
            assert [one for month in MONTHS if self.is_closed(month) for one in drifting.drift(session, month)] == []
        earned = dict(self.sql(_EARNED))
        for ib in IBS:
            assert earned.get(ib, 0) == self.worth(ib)

    def is_closed(self, month: Month) -> bool:
        return self.sql("SELECT count(*) FROM ibctl.closed_month WHERE id = %s", str(month)) == [(1,)]

    def worth(self, ib: str) -> Decimal:
        """What an IB's leads earn by its plan, calculated here from the leads alone, and what was booked by hand.

        In a month that was settled while it was an administrator they earn nothing.
        """
        worth = Decimal(0)
        for month in MONTHS:
            if self.sql(_ROLE, ib, ib, str(month)) == [("ADMIN",)]:
                continue
            ((cpa,),) = self.sql(
                'SELECT coalesce(sum("cpaEarned"::numeric), 0) FROM "Lead" l WHERE "userId" = %s AND "qualifiedAt" = %s'
                " AND NOT EXISTS (SELECT FROM ibctl.adjustment a WHERE a.kind = 'clawback' AND a.\"leadId\" = l.id)",
                ib, month.first_day,
            )  # fmt: skip
            above = max(cpa - 300, Decimal(0)) if ib == "u1" else Decimal(0)
            worth += money.to_cents(cpa * Decimal("0.30") + above * Decimal("0.15"))
        ((booked,),) = self.sql(
            "SELECT coalesce(sum(amount), 0) FROM ibctl.adjustment WHERE \"userId\" = %s AND kind = 'manual'", ib
        )
        return Decimal(worth + booked)


@freeze_time("2025-06-15")
@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_no_cent_appears_and_none_vanishes_whatever_is_done(
    database: str, currency: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IBCTL_BASE_CURRENCY", currency)
    with psycopg.connect(database, autocommit=True) as connection:
        for ib in IBS:
            connection.execute(
                'INSERT INTO "User" (id, email, password, role, "updatedAt") VALUES (%s, %s, %s, %s, now())',
                (ib, f"{ib}@x.y", "x", "IB"),
            )
            connection.execute(
                'INSERT INTO ibctl.payee (id, method, currency, name, account, "createdAt", "changedAt")'
                " VALUES (%s, 'bank_transfer', %s, %s, %s, now(), now())",
                (ib, currency, crypto.seal("Rosa Vidal").text, crypto.seal("DE89370400440532013000").text),
            )
    with db.transaction() as session:
        plans.add(session, plan_files.read(PLAN, "plan"))
        plans.assign(session, "strict", [plans.Target("ib", "u1", "u1")], MONTHS[0])
    machine = type("OwnBooks", (Books,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=SEQUENCES // 2,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
