from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import currencies, money
from ibctl.commissions.calculation import plan_rules, rules
from ibctl.commissions.calculation.plan_rules import DEFAULT_TERMS, BonusTier, Terms, Tier
from ibctl.commissions.calculation.rules import Account, Booked, Inputs, Line

amounts = st.decimals(min_value=0, max_value=100_000, places=2)
signed = st.decimals(min_value=-50_000, max_value=50_000, places=2)
day_rates = st.decimals(min_value="0.0001", max_value=2, places=6)
START = datetime(2025, 10, 1)


def terms(tiers: list[tuple[str, str]], **fields: Any) -> Terms:
    return replace(DEFAULT_TERMS, tiers=tuple(Tier(Decimal(a), Decimal(b)) for a, b in tiers), **fields)


def inputs(
    cpas: list[Decimal],
    days: Sequence[tuple[Decimal, Decimal]] = (),
    booked: Sequence[Booked] = (),
    base: str = "USD",
) -> Inputs:
    """Leads that qualified one after the other, spend days in EUR, and adjustments."""
    return Inputs(
        base=base,
        lead_ids=[f"l{n}" for n in range(len(cpas))],
        captured=[None] * len(cpas),
        qualified=[START + timedelta(minutes=n) for n in range(len(cpas))],
        cpas=cpas,
        accounts=[Account("a", "act_1", "EUR")],
        day_ids=[f"s{n}" for n in range(len(days))],
        day_accounts=["a"] * len(days),
        dates=[date(2025, 10, 1)] * len(days),
        amounts=[amount for amount, _ in days],
        rates=[rate for _, rate in days],
        adjustments=booked,
    )


def booked(amount: Decimal | str, kind: str = "manual") -> Booked:
    return Booked("j", kind, Decimal(amount), "why")


def test_half_a_cent_of_debt_does_not_round_against_the_ib() -> None:
    found = rules.figures(DEFAULT_TERMS, inputs([Decimal("114.65")], booked=[booked("-34.40")]))
    assert (found["commissionAmount"], found["balance"], found["rounding"]) == (Decimal("34.40"), 0, 0)


@st.composite
def plans(draw: Any) -> Terms:
    starts = sorted(draw(st.sets(st.integers(1, 30), max_size=3)))
    scale = draw(st.sampled_from([("qualified-leads", 1), ("cpa", 7_000)]))
    rates = draw(st.lists(st.decimals(0, 1, places=4), min_size=len(starts) + 1, max_size=len(starts) + 1))
    tiers = zip([0, *starts], rates, strict=True)
    return replace(
        DEFAULT_TERMS,
        by=scale[0],
        method=draw(st.sampled_from(["whole", "marginal"])),
        tiers=tuple(Tier(Decimal(start * scale[1]), rate) for start, rate in tiers),
        bonus=draw(
            st.sampled_from(
                [(), (BonusTier(Decimal(100), Decimal(50), None), BonusTier(Decimal(5000), None, Decimal("1.25")))]
            )
        ),
        minimum=draw(st.sampled_from([Decimal(0), Decimal(50), Decimal("1000.50")])),
        negative=draw(st.sampled_from(["carry", "reset"])),
    )


def adds_up(line: Line) -> None:
    for one in rules.flat(line):
        if one.lines:
            assert sum((part.value for part in one.lines), Decimal(0)) == one.value


months = st.builds(
    inputs,
    st.lists(amounts, max_size=40),
    st.lists(st.tuples(amounts, day_rates), max_size=10),
    st.lists(st.builds(booked, signed, st.sampled_from(["manual", "clawback", "true-up", "carry"])), max_size=4),
    st.sampled_from(["USD", "JPY", "KWD"]),
)


@given(plans(), months)
def test_every_line_of_a_derivation_adds_up_to_the_figure_that_it_explains(plan: Terms, month: Inputs) -> None:
    found = rules.figures(plan, month)
    payout, spend = rules.payout(plan, month), rules.spend(month)
    adds_up(payout)
    adds_up(spend)
    by_label = {line.label: line.value for line in (*rules.flat(payout), *rules.flat(spend))}
    for name in ("commissionAmount", "bonusAmount", "balance", "totalPayout", "totalAdSpend"):
        assert by_label[name] == found[name]


@given(plans(), months)
def test_of_a_balance_nothing_vanishes(plan: Terms, month: Inputs) -> None:
    found: dict[str, Any] = rules.figures(plan, month)
    parts = ("commissionAmount", "bonusAmount", "adjustments", "carriedIn", "rounding")
    assert sum(found[name] for name in parts) == found["balance"]
    assert found["balance"] == found["totalPayout"] + found["carriedOut"] - found["writtenOff"]
    assert abs(found["rounding"]) <= Decimal("0.01")
    assert found["totalPayout"] == 0 or found["totalPayout"] >= plan.minimum
    assert found["totalPayout"] == currencies.round_to(found["totalPayout"], month.base)
    assert found["writtenOff"] == 0 or (plan.negative == "reset" and found["balance"] < 0)


@given(plans(), months, st.randoms(use_true_random=False))
def test_figures_do_not_depend_on_the_order_of_the_rows(plan: Terms, month: Inputs, random: Any) -> None:
    order = list(range(len(month.cpas)))
    random.shuffle(order)
    columns: dict[str, Any] = {
        name: [getattr(month, name)[n] for n in order] for name in ("lead_ids", "captured", "qualified", "cpas")
    }
    days = list(zip(month.amounts, month.rates, strict=True))
    random.shuffle(days)
    shuffled = replace(month, **columns, amounts=[a for a, _ in days], rates=[r for _, r in days])
    assert rules.figures(plan, shuffled) == rules.figures(plan, month)


@given(st.lists(amounts, max_size=20), st.lists(amounts, max_size=20), st.decimals(0, 1, places=4))
def test_with_one_rate_for_all_totals_are_additive_over_the_leads(
    one: list[Decimal], other: list[Decimal], rate: Decimal
) -> None:
    plan = terms([("0", f"{rate:f}")])

    def exact(cpas: list[Decimal]) -> Decimal:
        lines = rules.flat(rules.payout(plan, inputs(cpas)))
        return sum((line.value for line in lines if line.part == "lead" and line.id), Decimal(0))

    assert exact(one + other) == exact(one) + exact(other)
    assert rules.figures(plan, inputs(one + other))["commissionAmount"] == money.to_cents(exact(one) + exact(other))


@given(plans(), st.lists(amounts, max_size=30), amounts)
def test_where_the_rates_rise_with_the_tiers_one_more_lead_never_pays_less(
    plan: Terms, cpas: list[Decimal], more: Decimal
) -> None:
    rising = sorted(tier.rate for tier in plan.tiers)
    tiers = tuple(Tier(tier.since, rate) for tier, rate in zip(plan.tiers, rising, strict=True))
    plan = replace(plan, tiers=tiers)
    before, after = (rules.figures(plan, inputs(leads))["commissionAmount"] for leads in (cpas, [*cpas, more]))
    assert after >= before


@given(st.lists(amounts, min_size=1, max_size=30), st.sampled_from(["qualified-leads", "cpa"]))
def test_a_marginal_plan_pays_between_its_lowest_and_its_highest_rate(cpas: list[Decimal], by: Any) -> None:
    plan = terms([("0", "0.20"), ("3", "0.30"), ("9", "0.45")], method="marginal", by=by)
    total = sum(cpas, Decimal(0))
    paid = rules.figures(plan, inputs(cpas))["commissionAmount"]
    assert money.to_cents(total * Decimal("0.20")) <= paid <= money.to_cents(total * Decimal("0.45"))


# Bug class: an off-by-one at a break point. 10 leads reach the tier from 10, 9 do not.
@pytest.mark.parametrize(
    ("by", "method", "leads", "expected"),
    [
        ("qualified-leads", "whole", 9, "225.00"),  # 9 × 100 × 0.25
        ("qualified-leads", "whole", 10, "300.00"),  # 10 × 100 × 0.30
        ("qualified-leads", "marginal", 9, "225.00"),
        ("qualified-leads", "marginal", 10, "255.00"),  # 9 × 25 + 1 × 30
        ("qualified-leads", "marginal", 11, "285.00"),
        ("cpa", "whole", 9, "225.00"),
        ("cpa", "whole", 10, "300.00"),  # 1,000 of CPA reaches the tier from 1,000
        ("cpa", "marginal", 10, "250.00"),  # nothing lies above 1,000 yet
        ("cpa", "marginal", 11, "280.00"),
    ],
)
def test_a_value_exactly_on_a_break_point_is_in_the_upper_tier_by_both_methods(
    by: Any, method: Any, leads: int, expected: str
) -> None:
    start = "10" if by == "qualified-leads" else "1000"
    plan = terms([("0", "0.25"), (start, "0.30")], by=by, method=method)
    assert rules.figures(plan, inputs([Decimal(100)] * leads))["commissionAmount"] == Decimal(expected)


def test_a_lead_across_two_tiers_of_cpa_is_shown_in_two_parts() -> None:
    plan = terms([("0", "0.25"), ("1000", "0.30")], by="cpa", method="marginal")
    lines = [line for line in rules.flat(rules.payout(plan, inputs([Decimal(800), Decimal(500)]))) if line.id]
    assert [f"{line.id} {line.amount} {line.rate}" for line in lines] == ["l0 800 0.25", "l1 200 0.25", "l1 300 0.30"]


@pytest.mark.parametrize(
    ("spend", "bonus"), [("99.99", "0.00"), ("100", "50.00"), ("999.99", "50.00"), ("1000", "20.00"), ("1001", "20.02")]
)
def test_the_bonus_is_that_of_the_tier_that_the_spend_reaches(spend: str, bonus: str) -> None:
    tiers = (BonusTier(Decimal(100), Decimal(50), None), BonusTier(Decimal(1000), None, Decimal(2)))
    plan = replace(DEFAULT_TERMS, bonus=tiers)
    found = rules.figures(plan, inputs([], [(Decimal(spend), Decimal(1))]))
    assert found["bonusAmount"] == found["totalPayout"] == Decimal(bonus)


@pytest.mark.parametrize(
    ("amount", "negative", "paid", "carried", "forgiven"),
    [
        ("49.99", "carry", "0", "49.99", "0"),
        ("50", "carry", "50", "0", "0"),
        ("-20", "carry", "0", "-20", "0"),
        ("-20", "reset", "0", "0", "20"),
        ("49.99", "reset", "0", "49.99", "0"),
    ],
)
def test_what_is_below_the_minimum_or_below_zero_is_carried_on(
    amount: str, negative: Any, paid: str, carried: str, forgiven: str
) -> None:
    plan = replace(DEFAULT_TERMS, minimum=Decimal(50), negative=negative)
    found = rules.figures(plan, inputs([], [], [booked(amount)]))
    assert (found["totalPayout"], found["carriedOut"], found["writtenOff"]) == (
        Decimal(paid), Decimal(carried), Decimal(forgiven)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("base", "minimum", "amount", "paid", "carried"),
    [
        ("JPY", "0", "300.45", "300", "0.45"),
        ("JPY", "0", "300.99", "300", "0.99"),
        ("JPY", "0", "0.99", "0", "0.99"),
        ("JPY", "300.50", "300.70", "0", "300.70"),
        ("JPY", "0", "-0.45", "0", "-0.45"),
        ("KWD", "0", "300.45", "300.45", "0"),
    ],
)
def test_what_is_below_the_smallest_unit_of_the_currency_is_carried_on(
    base: str, minimum: str, amount: str, paid: str, carried: str
) -> None:
    plan = replace(DEFAULT_TERMS, minimum=Decimal(minimum))
    found = rules.figures(plan, inputs([], [], [booked(amount)], base))
    assert (found["totalPayout"], found["carriedOut"]) == (Decimal(paid), Decimal(carried))


def test_a_payout_is_rounded_once_from_the_exact_sum() -> None:
    # Three leads of 0.05: 0.015 each. Rounded one by one they would make 0.06.
    lines = list(rules.flat(rules.payout(DEFAULT_TERMS, inputs([Decimal("0.05")] * 3))))
    assert [line.value for line in lines[:4]] == [Decimal("0.015")] * 3 + [Decimal("0.005")]
    assert lines[-1].value == Decimal("0.05")


def test_commission_and_bonus_are_added_before_they_are_rounded() -> None:
    # 0.015 + 0.015 is 0.03; each alone rounds to 0.02.
    plan = replace(DEFAULT_TERMS, bonus=(BonusTier(Decimal(0), None, Decimal("1.5")),))
    found = rules.figures(plan, inputs([Decimal("0.05")], [(Decimal(1), Decimal(1))]))
    assert (found["commissionAmount"], found["bonusAmount"], found["rounding"], found["totalPayout"]) == (
        Decimal("0.02"), Decimal("0.02"), Decimal("-0.01"), Decimal("0.03")
    )  # fmt: skip


def test_products_longer_than_a_decimals_usual_28_digits_stay_exact() -> None:
    days = [(Decimal("123456789012.34"), Decimal("123456789.123456789012")), (Decimal("0.01"), Decimal("0.5"))]
    exact = 12345678901234 * 123456789123456789012 + 5 * 10**11  # in 10^-14
    assert (
        rules.figures(DEFAULT_TERMS, inputs([], days))["totalAdSpend"] == Decimal((exact + 5 * 10**11) // 10**12) / 100
    )


def test_a_lead_that_was_only_captured_earns_nothing() -> None:
    month = Inputs(base="USD", lead_ids=["l"], captured=[START], qualified=[None], cpas=[None])
    figures = rules.figures(DEFAULT_TERMS, month)
    assert (figures["totalLeads"], figures["qualifiedLeads"], figures["totalPayout"]) == (1, 0, 0)


@given(plans())
def test_terms_come_back_from_how_they_are_stored(plan: Terms) -> None:
    assert plan_rules.from_json(plan_rules.as_json(plan)) == plan
