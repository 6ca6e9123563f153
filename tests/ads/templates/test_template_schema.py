"""What a template's data must look like, and how single places are changed."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from ibctl.ads.templates import files as template_files
from ibctl.ads.templates import schema as template_schema
from ibctl.errors import RequestError, UsageError
from tests.ads.templates.test_template_rules import CLEAN, DOCUMENTED


def problems(data: Any) -> str:
    with pytest.raises(template_schema.SchemaError) as caught:
        template_schema.check(data)
    return str(caught.value)


def test_the_documented_example_fits() -> None:
    data = template_schema.check(DOCUMENTED)
    assert (data.dailyBudget, data.lifetimeBudget) == (Decimal(50), None)
    assert data.categories == ["FINANCIAL_PRODUCTS_SERVICES"]
    assert data.targeting.interests[0].name == "Trading"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["dailyBuget=5"], "dailyBuget: is no key that a template has here; did you mean dailyBudget?"),
        (["targeting.age_mn=5"], "targeting.age_mn: is no key that a template has here; did you mean age_min"),
        (['dailyBudget="50"'], 'dailyBudget: must be a number, like 50 or 49.90 (it is "50")'),
        (["dailyBudget=true"], "dailyBudget: must be a number, like 50 or 49.90 (it is true)"),
        (["dailyBudget=0"], "dailyBudget: must be above 0 and below 1,000,000,000,000 (it is 0)"),
        (["dailyBudget=1e400"], "dailyBudget: must be above 0 and below"),
        (["dailyBudget=1e13"], "dailyBudget: must be above 0 and below"),
        (["lifetimeBudget=500"], "dailyBudget and lifetimeBudget exclude each other: leave one null"),
        (["objective=LEAD_GENERATON"], "objective: 'LEAD_GENERATON' is no objective of Facebook's; did you mean LEAD"),
        (["callToAction=SIGNUP"], "callToAction: 'SIGNUP' is no button of Facebook's; did you mean SIGN_UP?"),
        (["adCopy="], "adCopy: string should have at least 1 character"),
        (["adCopy=3"], "adCopy: should be a valid string (it is 3)"),
        (["targeting.age_min=12"], "targeting.age_min: should be greater than or equal to 13 (it is 12)"),
        (["targeting.age_min=60", "targeting.age_max=30"], "targeting: age_min 60 is above age_max 30"),
        (["targeting.genders=[1,3]"], "targeting.genders[1]: should be 1 or 2 (it is 3)"),
        (["targeting.geo_locations={}"], 'targeting: geo_locations names no place'),
        (['targeting.geo_locations.countries=["usa"]'], "targeting.geo_locations.countries[0]: 'usa' is no country"),
        (['targeting.interests=[{"id":"6003x"}]'], "targeting.interests[0].id: '6003x' is no id of Facebook's"),
        (['targeting.interests=[{"id":6003}]'], "targeting.interests[0].id: should be a valid string (it is 6003)"),
        (['specialAdCategories=["FINANCE"]'], "specialAdCategories[0]: should be"),
        (['regionalRegulatedCategories=["TAIWAN"]'], "regionalRegulatedCategories[0]: should be 'AUSTRALIA_FINSERV'"),
        (
            ['regionalRegulatedCategories=["TAIWAN_FINSERV"]', 'regionalRegulationIdentities={}'],
            "the category TAIWAN_FINSERV needs taiwan_finserv_beneficiary in regionalRegulationIdentities",
        ),
        (
            ['regionalRegulationIdentities.taiwan_finserv_payr="1"'],
            "regionalRegulationIdentities.taiwan_finserv_payr: 'taiwan_finserv_payr' is no identity of Facebook's; did",
        ),
        (['regionalRegulationIdentities.universal_payer="IB"'], "universal_payer: 'IB' is no id of Facebook's"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_place(change: list[str], message: str) -> None:
    assert message in problems(template_files.changed(CLEAN, change, []))


def test_every_place_is_named_not_only_the_first() -> None:
    data = copy.deepcopy(CLEAN)
    del data["adCopy"], data["targeting"]["geo_locations"]
    assert problems(data) == "targeting.geo_locations: is missing; adCopy: is missing"


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_data_that_are_no_object_are_refused(data: Any) -> None:
    assert problems(data) == "must be an object, like {…}"


def test_json_text_says_line_and_column_and_knows_no_nan() -> None:
    with pytest.raises(RequestError, match=r"t\.json: line 2, column 3: Expecting property name"):
        template_files.read('{"a": 1,\n  }', "t.json")
    with pytest.raises(RequestError, match=r"t\.json: NaN is no number of JSON's"):
        template_files.read('{"dailyBudget": NaN}', "t.json")
    with pytest.raises(RequestError, match=r"t\.json: it is nested too deeply"):
        template_files.read("[" * 100_000, "t.json")


def test_a_file_holds_data_or_templates() -> None:
    whole = {"name": "A", "category": "awareness", "templateData": CLEAN, "isActive": True, "isPublic": False}
    assert template_files.read(json.dumps(CLEAN), "-") == [template_files.Document(CLEAN)]
    expected = template_files.Document(CLEAN, "A", "awareness", is_public=False)
    assert template_files.read(json.dumps(whole), "-") == [expected]
    assert template_files.read(json.dumps([whole, whole]), "-") == [expected] * 2


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ([3], r"\[0\]: is no template"),
        ([{"templateData": {}, "usageCount": 3}], r"\[0\]usageCount: is no key of a template"),
        ({"templateData": {}, "name": 3}, "name: must be text or null"),
        ({"templateData": {}, "isPublic": "yes"}, "isPublic: must be true or false"),
    ],
)
def test_a_file_that_is_none_of_these_is_refused(item: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        template_files.read(json.dumps(item), "t.json")


def test_single_places_are_set_made_appended_and_taken_out() -> None:
    after = template_files.changed(
        CLEAN,
        ["targeting.interests[0].id=6003", "targeting.geo_locations.countries[1]=CA", "headline=Learn: now = today"],
        ["lifetimeBudget"],
    )
    assert after["targeting"]["interests"] == [{"id": 6003}]
    assert after["targeting"]["geo_locations"] == {"countries": ["US", "CA"]}
    assert after["headline"] == "Learn: now = today"
    assert "lifetimeBudget" not in after
    assert "interests" not in CLEAN["targeting"]


@pytest.mark.parametrize(
    ("settings", "removals", "message"),
    [
        (["dailyBudget"], [], "write PLACE=VALUE"),
        (["targeting..x=1"], [], "is no place"),
        (["adCopy.text=1"], [], "there is no place for"),
        (["targeting.geo_locations.countries[5]=CA"], [], "there is no place for"),
        ([], ["nothing"], "--unset 'nothing': there is nothing"),
        ([], ["targeting.interests[0].id"], "there is nothing"),
    ],
)
def test_a_place_that_cannot_be_is_named(settings: list[str], removals: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("[", r"\[")):
        template_files.changed(CLEAN, settings, removals)
