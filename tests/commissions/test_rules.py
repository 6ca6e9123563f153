from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ibctl import money
from ibctl.commissions import rules

PLAN = {"name": "default", "version": 1, "rate": "0.30"}
amounts = st.decimals(min_value=0, max_value=10**6, places=3)


def inputs(cpas: list[Decimal], days: list[tuple[Decimal, Decimal]]) -> dict[str, Any]:
    return {
        "baseCurrency": "USD",
        "leads": [
            {"id": f"l{n}", "capturedAt": None, "qualifiedAt": "2025-10-02T00:00:00.000Z", "cpa": str(cpa)}
            for n, cpa in enumerate(cpas)
        ],
        "spend": [
            {"id": f"s{n}", "date": "2025-10-01", "account": "act_1", "amount": str(amount), "currency": "EUR",
             "rate": str(rate)}
            for n, (amount, rate) in enumerate(days)
        ],
    }  # fmt: skip


@given(st.lists(amounts, max_size=30))
def test_the_lines_add_up_to_the_payout_exactly(cpas: list[Decimal]) -> None:
    lines = rules.payout_lines(PLAN, inputs(cpas, []))
    *parts, commission = [
        line for line in lines if line.part in ("lead", "commission") and not line.label.startswith("b")
    ]
    assert sum((line.value or 0 for line in parts), Decimal(0)) == commission.value
    assert lines[-1].value == commission.value == money.to_cents(sum(cpas, Decimal(0)) * Decimal("0.30"))


@given(st.lists(st.tuples(amounts, st.decimals(min_value="0.0001", max_value=2, places=6)), max_size=30))
def test_the_spend_lines_add_up_to_the_total_exactly(days: list[tuple[Decimal, Decimal]]) -> None:
    *parts, total = rules.spend_lines(inputs([], days))
    assert sum((line.value or 0 for line in parts), Decimal(0)) == total.value
    assert total.value == money.to_cents(sum((amount * rate for amount, rate in days), Decimal(0)))


@given(st.lists(amounts, max_size=20), st.randoms(use_true_random=False))
def test_figures_do_not_depend_on_the_order_of_the_leads(cpas: list[Decimal], random: Any) -> None:
    shuffled = list(cpas)
    random.shuffle(shuffled)
    assert rules.figures(PLAN, inputs(cpas, [])) == rules.figures(PLAN, inputs(shuffled, []))


def test_a_payout_is_rounded_once_from_the_exact_sum() -> None:
    # Three leads of 0.05: 0.015 each. Rounded one by one they would make 0.06.
    lines = rules.payout_lines(PLAN, inputs([Decimal("0.05")] * 3, []))
    assert [line.value for line in lines[:4]] == [Decimal("0.015")] * 3 + [Decimal("0.005")]
    assert lines[-1].value == Decimal("0.05")


def test_a_lead_that_was_only_captured_earns_nothing() -> None:
    captured = {"id": "l", "capturedAt": "2025-10-01T00:00:00.000Z", "qualifiedAt": None, "cpa": None}
    figures = rules.figures(PLAN, inputs([], []) | {"leads": [captured]})
    assert (figures["totalLeads"], figures["qualifiedLeads"], figures["totalPayout"]) == (1, 0, 0)
