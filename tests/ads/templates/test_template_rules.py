"""What Facebook refuses in an ad, rule by rule."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.ads import minor_units, objectives
from ibctl.ads.templates import rules as template_rules
from ibctl.ads.templates import schema as template_schema

CLEAN: dict[str, Any] = {
    "targeting": {"age_min": 18, "age_max": 65, "geo_locations": {"countries": ["US"]}},
    "adCopy": "Learn forex on a demo account. Your capital is at risk.",
    "headline": "Learn Forex Trading",
    "callToAction": "LEARN_MORE",
    "objective": "LEAD_GENERATION",
    "dailyBudget": 50,
    "lifetimeBudget": None,
}
# As the schema document has it.
DOCUMENTED: dict[str, Any] = {
    "targeting": {
        "age_min": 25,
        "age_max": 55,
        "genders": [1, 2],
        "geo_locations": {"countries": ["US", "CA"]},
        "interests": [{"id": "6003107902433", "name": "Trading"}],
    },
    "adCopy": "Start trading forex today...",
    "headline": "Learn Forex Trading",
    "callToAction": "LEARN_MORE",
    "objective": "LEAD_GENERATION",
    "dailyBudget": 50,
    "lifetimeBudget": None,
}


def targeting(**keys: Any) -> dict[str, Any]:
    return {**CLEAN, "targeting": {**CLEAN["targeting"], **keys}}


def found(
    data: dict[str, Any], *, category: str = "lead_generation", currency: str | None = None, name: str = "Leads"
) -> dict[str, str]:
    """{"rule at place": severity}"""
    ad = template_rules.Ad(name, category, template_schema.check(data), currency)
    return {f"{template_rules.code(rule)} {one.place}": one.severity for rule, one in template_rules.findings(ad)}


def test_a_template_that_keeps_to_the_rules_has_no_findings() -> None:
    assert found(CLEAN) == {}


def test_the_documented_example_is_too_narrow_for_a_financial_ad() -> None:
    assert found(DOCUMENTED) == {
        "category-age targeting.age_min": "error",
        "category-age targeting.age_max": "error",
        "category-interests targeting.interests": "warning",
    }


@pytest.mark.parametrize(
    "text",
    [
        "Trade CFDs", "trade c.f.d.s now", "C-F-D", "Contracts for Difference", "Binary  Options", "BINARY OPTION",
        "Join our ICO", "Differenzkontrakte", "Binäre Optionen", "opciones binarias", "Opções binárias",
        "options binaires", "opzioni binarie", "Бинарные опционы", "差价合约交易",
        "今すぐバイナリーオプション", "payday loans",
        "\uff23\uff26\uff24",
    ],
)  # fmt: skip
def test_products_that_facebook_takes_no_ads_for_are_found_in_many_spellings(text: str) -> None:
    assert found({**CLEAN, "adCopy": text}) == {"prohibited-product adCopy": "error"}
    assert found({**CLEAN, "headline": text}) == {"prohibited-product headline": "error"}
    assert found({**CLEAN, "description": text}) == {"prohibited-product description": "error"}


@pytest.mark.parametrize("text", ["Our policy on icons", "A binary choice, several options", "Precfd", "iconic"])
def test_words_that_only_look_like_them_are_left_alone(text: str) -> None:
    assert found({**CLEAN, "adCopy": text}) == {}


def test_a_prohibited_product_in_the_name_alone_is_a_warning() -> None:
    assert found(CLEAN, name="CFD leads") == {"prohibited-product name": "warning"}


@pytest.mark.parametrize(
    "text",
    [
        "Guaranteed profit", "profits guaranteed!", "Risk-free trading", "You can't lose", "100% profit", "Get rich",
        "Double your money", "Earn $500 a day", "make 20% in a week",
        "Gain 30 percent every month", "Earn up to 1,000 USD per month", "Ohne Risiko",
        "sin riesgo", "No risk!",
    ],
)  # fmt: skip
def test_promised_profit_is_found(text: str) -> None:
    assert found({**CLEAN, "adCopy": text}) == {"promised-profit adCopy": "error"}


@pytest.mark.parametrize(
    "text",
    [
        "Your capital is at risk",
        "Learn forex in 5 days",
        "Trading carries risk of loss",
        "Make 5 trades a day on a demo account",
        "Spreads from 0.1 pips",
    ],
)
def test_plain_words_about_risk_are_no_promise(text: str) -> None:
    assert found({**CLEAN, "adCopy": text}) == {}


@pytest.mark.parametrize(
    ("keys", "finding"),
    [
        ({"age_min": 21}, "category-age targeting.age_min"),
        ({"age_max": 64}, "category-age targeting.age_max"),
        ({"genders": [1]}, "category-gender targeting.genders"),
        ({"geo_locations": {"zips": [{"key": "US:94304"}]}}, "category-places targeting.geo_locations.zips"),
        (
            {"geo_locations": {"cities": [{"key": "777934", "radius": 10, "distance_unit": "mile"}]}},
            "category-places targeting.geo_locations.cities[0].radius",
        ),
        (
            {"geo_locations": {"custom_locations": [{"radius": 24, "distance_unit": "kilometer"}]}},
            "category-places targeting.geo_locations.custom_locations[0].radius",
        ),
        ({"excluded_geo_locations": {"countries": ["MX"]}}, "category-places targeting.excluded_geo_locations"),
        ({"behaviors": [{"id": "1"}]}, "category-interests targeting.behaviors"),
        ({"exclusions": {"interests": []}}, "category-interests targeting.exclusions"),
        ({"flexible_spec": [{"life_events": []}]}, "category-interests targeting.flexible_spec[0].life_events"),
        (
            {"custom_audiences": [{"id": "1", "name": "Lookalike (US, 1%)"}]},
            "category-audiences targeting.custom_audiences[0]",
        ),
        (
            {"custom_audiences": [{"id": "1", "name": "High-income clients"}]},
            "category-audiences targeting.custom_audiences[0]",
        ),
    ],
)  # fmt: skip
def test_the_limits_of_the_financial_category(keys: dict[str, Any], finding: str) -> None:
    assert found(targeting(**keys)) == {finding: "error"}
    without = {**targeting(**keys), "specialAdCategories": []}
    assert finding not in found(without)


def test_both_genders_are_all_and_wide_radii_are_fine() -> None:
    assert found(targeting(genders=[1, 2])) == {}
    assert found(targeting(geo_locations={"cities": [{"key": "1", "radius": 25, "distance_unit": "kilometer"}]})) == {}


def test_leaving_the_category_out_is_an_error_where_it_is_asked_for_and_a_warning_elsewhere() -> None:
    for none in ([], ["NONE"]):
        assert found({**CLEAN, "specialAdCategories": none}) == {"category-missing specialAdCategories": "error"}
        abroad = {**targeting(geo_locations={"countries": ["BR"]}), "specialAdCategories": none}
        assert found(abroad) == {"category-missing specialAdCategories": "warning"}


def test_countries_where_advertisers_must_be_verified_or_named() -> None:
    assert found(targeting(geo_locations={"countries": ["GB", "AU"]})) == {
        "authorisation targeting.geo_locations.countries": "warning",
        "authorisation regionalRegulatedCategories": "warning",
    }
    australian = {
        **targeting(geo_locations={"countries": ["AU"]}), "regionalRegulatedCategories": ["AUSTRALIA_FINSERV"],
        "regionalRegulationIdentities": {"universal_beneficiary": "1", "universal_payer": "1"},
    }  # fmt: skip
    assert found(australian) == {}
    german = targeting(geo_locations={"countries": ["DE"]})
    assert found(german) == {"beneficiary dsaBeneficiary": "warning", "beneficiary dsaPayor": "warning"}
    assert found({**german, "dsaBeneficiary": "IB One LLC", "dsaPayor": "IB One LLC"}) == {}


def test_an_objective_has_to_fit_and_to_be_one_that_a_template_can_serve() -> None:
    assert found({**CLEAN, "objective": "REACH"}) == {"objective-fits objective": "warning"}
    assert found({**CLEAN, "objective": "APP_INSTALLS"}, category="conversion") == {"objective-fits objective": "error"}
    assert found({**CLEAN, "objective": "OUTCOME_ENGAGEMENT"}, category="awareness") == {
        "objective-fits objective": "error"
    }


def test_a_button_that_no_lead_form_has_is_a_warning_and_only_for_leads() -> None:
    assert found({**CLEAN, "callToAction": "SHOP_NOW"}) == {"lead-button callToAction": "warning"}
    traffic = {**CLEAN, "callToAction": "SHOP_NOW", "objective": "LINK_CLICKS"}
    assert found(traffic, category="conversion") == {}


@pytest.mark.parametrize(
    ("budget", "currency", "severity"),
    [
        (50.5, "USD", None), (50.505, "USD", "error"), (50.5, "JPY", "error"), (50, "JPY", None),
        (50.5, "HUF", "error"), (50.55, "BHD", None), (50, "LKR", "error"), (50.5, None, None),
    ],
)  # fmt: skip
def test_a_budget_is_whole_in_metas_minor_units(budget: float, currency: str | None, severity: str | None) -> None:
    expected = {"budget-unit dailyBudget": severity} if severity else {}
    assert found({**CLEAN, "dailyBudget": budget}, currency=currency) == expected


def test_what_facebook_has_given_up_or_widens_by_itself() -> None:
    assert found(targeting(geo_locations={"countries": ["US"], "location_types": ["home"]})) == {
        "location-types targeting.geo_locations.location_types": "error"
    }
    wide = targeting(targeting_automation={"advantage_audience": 1})
    assert found(wide) == {"wider-audience targeting.targeting_automation.advantage_audience": "warning"}
    assert found(targeting(targeting_automation={"advantage_audience": 0})) == {}


def test_every_rule_says_what_it_looks_for_and_where_that_is_written() -> None:
    for rule in template_rules.RULES:
        assert template_rules.meaning(rule).endswith("."), rule
        assert template_rules.source(rule).startswith("Meta"), rule
    assert len({template_rules.code(rule) for rule in template_rules.RULES}) == len(template_rules.RULES)


# ------------------------------------------------------------------------------------------- objectives and minor units


def test_every_old_objective_becomes_one_of_todays() -> None:
    assert {objectives.outcome(name, "conversion") for name in objectives.NAMES} == set(objectives.OUTCOMES)
    assert objectives.outcome("LEAD_GENERATION", "awareness") == "OUTCOME_LEADS"
    with pytest.raises(ValueError, match="'LEADS' is no objective"):
        objectives.outcome("LEADS", "conversion")


def test_conversions_means_what_the_category_says() -> None:
    assert [objectives.outcome("CONVERSIONS", category) for category in objectives.CATEGORIES] == [
        "OUTCOME_LEADS", "OUTCOME_SALES", "OUTCOME_AWARENESS",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("50", "USD", 5000), ("49.90", "EUR", 4990), ("5000", "JPY", 5000), ("50", "huf", 50), ("1.5", "BHD", 150)],
)
def test_minor_units_go_by_metas_table(amount: str, currency: str, minor: int) -> None:
    assert minor_units.to_minor(Decimal(amount), currency) == minor
    assert minor_units.from_minor(str(minor), currency) == Decimal(amount)


def test_a_currency_that_meta_does_not_list_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="'LKR' is not in Meta's table"):
        minor_units.to_minor(Decimal(50), "LKR")


@given(
    st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False, allow_infinity=False),
    st.sampled_from(["USD", "JPY", "COP", "JOD"]),
)
def test_minor_units_lose_nothing_or_say_so(amount: Decimal, currency: str) -> None:
    try:
        minor = minor_units.to_minor(amount, currency)
    except ValueError:
        assert amount * minor_units.offset(currency) % 1 != 0
    else:
        assert minor_units.from_minor(minor, currency) == amount
