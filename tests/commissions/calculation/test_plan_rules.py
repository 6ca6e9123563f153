from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.commissions.calculation import rules
from ibctl.commissions.calculation.plan_rules import DEFAULT_TERMS, BonusTier, Tier
from ibctl.commissions.plans import boundaries
from ibctl.commissions.plans import files as plan_files
from ibctl.errors import RequestError
from tests.conftest import ROOT

HEAD = 'name = "gold"\nversion = 2\nfrom = "2025-10"\n'
FLAT = HEAD + "[commission]\nrate = 0.30\n"


def test_the_example_is_what_its_comments_say() -> None:
    found = plan_files.read((ROOT / "examples" / "plan.toml").read_text(), "plan.toml")
    terms = found.terms
    assert (terms.label, found.effective_from) == ("gold, version 1", date(2025, 10, 1))
    assert (terms.by, terms.method) == ("qualified-leads", "marginal")
    assert terms.tiers[1] == Tier(Decimal(10), Decimal("0.35"))
    assert terms.bonus == (BonusTier(Decimal(1000), Decimal(20), None), BonusTier(Decimal(5000), None, Decimal(2)))
    assert (f"{terms.minimum}", terms.hold_days, terms.negative) == ("50", 14, "carry")


@pytest.mark.parametrize("written", ["0.1", '"0.1"'])
def test_a_rate_is_the_decimal_that_is_written_and_not_a_float(written: str) -> None:
    terms = plan_files.read(HEAD + f"[commission]\nrate = {written}\n", "f").terms
    assert terms.tiers == (Tier(Decimal(0), Decimal("0.1")),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name =", "f is no TOML: Invalid value (at end of document)"),
        ("", "f: name: is missing; version: is missing; from: is missing; commission: is missing"),
        (FLAT + "rat = 1\n", "f: commission.rat: is not known here"),
        (FLAT.replace('"gold"', '"default"'), 'the file: "default" is the plan that is there already'),
        (FLAT.replace('"gold"', '"Gold plan"'), "f: name: "),
        (FLAT.replace("2\n", "0\n", 1), "f: version: input should be greater than or equal to 1, not 0"),
        (FLAT.replace("2025-10", "2025-13"), 'f: from: should be a month like "2025-10", not "2025-13"'),
        (FLAT.replace("0.30", "30"), "f: commission.rate: should be at most 1: 30 % is written 0.30, not 30"),
        (FLAT.replace("0.30", "-0.1"), "f: commission.rate: input should be greater than or equal to 0, not -0.1"),
        (FLAT.replace("0.30", "nan"), "f: commission.rate: should be a number like 0.30"),
        (FLAT.replace("0.30", "true"), "f: commission.rate: should be a number"),
        (FLAT.replace("0.30", "0.1234567"), "f: commission.rate: should have at most 6 decimals"),
        (FLAT + 'method = "whole"\n', "f: commission: should have no by and no method"),
        (HEAD + "[commission]\n", "f: commission: should have either rate or tiers"),
        (
            HEAD + "[commission]\ntiers = [{ from = 1, rate = 0.3 }]\n",
            "f: commission: the first tier should start from 0",
        ),
        (
            HEAD + "[commission]\ntiers = [{ from = 0, rate = 0.3 }, { from = 0, rate = 0.4 }]\n",
            "f: commission: tier 2 should start above 0, where the one before it does",
        ),
        (
            HEAD + "[commission]\ntiers = [{ from = 0, rate = 0.3 }, { from = 2.5, rate = 0.4 }]\n",
            "f: commission: leads are counted in whole numbers",
        ),
        (
            HEAD + "[commission]\ntiers = [{ from = 0, rate = 0.3 }, { from = 5, rate = 4 }]\n",
            "f: commission.tiers[2].rate: should be at most 1",
        ),
        (FLAT + "[bonus]\ntiers = [{ from = 5 }]\n", "f: bonus.tiers[1]: should have either fixed or percent"),
        (FLAT + "[bonus]\ntiers = []\n", "f: bonus.tiers: list should have at least 1 item"),
        (FLAT + "[payout]\nhold-days = -1\n", "f: payout.hold-days: input should be greater than or equal to 0"),
        (FLAT + "[payout]\nminimum = 0.001\n", "f: payout.minimum: should have at most 2 decimals"),
        (FLAT + '[payout]\nnegative = "forget"\n', "f: payout.negative: input should be 'carry' or 'reset'"),
    ],
)
def test_every_fault_of_a_file_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        plan_files.read(text, "f")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_check_probes_below_at_and_above_each_boundary() -> None:
    terms = plan_files.read((ROOT / "examples" / "plan.toml").read_text(), "plan.toml").terms
    found = list(boundaries.probes(terms, Decimal(100), "USD"))
    leads = [f"{probe.at} {probe.value}: {probe.commission}" for probe in found if probe.boundary.startswith("10 ")]
    assert leads == ["below 9: 270.00", "at 10: 305.00", "above 11: 340.00"]
    minimum = [f"{probe.value}: {probe.payout}" for probe in found if probe.boundary.startswith("minimum")]
    assert minimum == ["49.99: 0.00", "50: 50.00", "50.01: 50.01"]
    assert boundaries.falls(found) == []


def test_a_check_finds_where_more_earns_less() -> None:
    text = FLAT + "[bonus]\ntiers = [{ from = 1000, fixed = 50 }, { from = 2000, percent = 1 }]\n"
    found = list(boundaries.probes(plan_files.read(text, "f").terms, Decimal(100), "USD"))
    ((low, high),) = boundaries.falls(found)
    assert (low.value, low.earned) == (Decimal("1999.99"), Decimal(50))
    assert (high.value, high.earned) == (Decimal(2000), Decimal(20))


STARTS = st.sets(st.integers(1, 12), min_size=1, max_size=3).map(sorted)


@given(starts=STARTS, method=st.sampled_from(["whole", "marginal"]), cents=st.integers(1, 50_000))
def test_a_probe_is_what_that_many_leads_earn(starts: list[int], method: str, cents: int) -> None:
    tiers = ", ".join(f"{{ from = {start}, rate = 0.{start + 10} }}" for start in [0, *starts])
    terms = plan_files.read(HEAD + f'[commission]\nmethod = "{method}"\ntiers = [{tiers}]\n', "f").terms
    cpa = Decimal(cents) / 100
    probes = list(boundaries.probes(terms, cpa, "USD"))
    assert {probe.value for probe in probes} >= set(starts)
    for probe in probes:
        count = int(probe.value)
        leads = rules.Inputs(
            lead_ids=[f"{number:02}" for number in range(count)], captured=[None] * count,
            qualified=[datetime(2025, 1, 1)] * count, cpas=[cpa] * count,
        )  # fmt: skip
        found = rules.figures(terms, leads)
        assert (probe.commission, probe.rate) == (found["commissionAmount"], found["commissionRate"])


def test_a_boundary_of_a_hundred_million_leads_is_probed_without_a_list_of_them() -> None:
    text = HEAD + "[commission]\ntiers = [{ from = 0, rate = 0.1 }, { from = 100000000, rate = 0.3 }]\n"
    found = list(boundaries.probes(plan_files.read(text, "f").terms, Decimal(300), "USD"))
    assert [probe.commission for probe in found] == [2_999_999_970, 9_000_000_000, 9_000_000_090]


def test_a_minimum_that_cannot_be_paid_is_shown_as_what_it_pays() -> None:
    terms = replace(DEFAULT_TERMS, minimum=Decimal("300.45"))
    assert [probe.payout for probe in boundaries.probes(terms, Decimal(100), "JPY")] == [0, 0, 0]
    assert [probe.payout for probe in boundaries.probes(terms, Decimal(100), "USD")] == [
        0, Decimal("300.45"), Decimal("300.46")
    ]  # fmt: skip
