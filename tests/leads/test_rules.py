from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.errors import UsageError
from ibctl.imports import RowError
from ibctl.leads import import_command, rules

NOW = datetime(2025, 11, 1, 12)
OWNERS = {
    "c1": rules.Owner("c1"),
    "ib@x.com": rules.Owner("c1"),
    "c2": rules.Owner("c2"),
    "other@x.com": rules.Owner("c2"),
    "gone@x.com": rules.Owner("c3", "owner_inactive", "the account of IB gone@x.com is not active"),
    "admin@x.com": rules.Owner("c4", "owner_unknown", "there is no IB 'admin@x.com': that account's role is ADMIN"),
}


def read(defaults: dict[str, str] | None = None, **cells: str) -> dict[str, Any]:
    """Read a row that has these fields as columns."""
    columns = {field: number for number, field in enumerate(cells)}
    reader = rules.RowReader(
        columns, len(cells), owners=OWNERS, defaults=defaults or {}, reading=rules.Reading(), now=NOW
    )
    return dict(zip(reader.fields, reader.read(list(cells.values())), strict=True))


def refusal(defaults: dict[str, str] | None, **cells: str) -> tuple[str, str]:
    with pytest.raises(RowError) as caught:
        read(defaults, **cells)
    assert caught.value.message
    return caught.value.code, caught.value.field


# ------------------------------------------------------------------------------------------------------------ good rows


def test_a_row_is_read_field_by_field() -> None:
    row = read(
        email=" A@X.com ", firstName="'=Zoë ", phone="'+49 170 1234567", ib="IB@x.com", leadType="IB", broker="",
        source="fb", status=" Contacted", trackingToken="tok", leadCapturedAt="2025-10-01", qualifiedAt="2025-10-02",
        ftdEarned="10", cpaEarned="0.50", totalEarned="10.5", systemeContactId="7",
    )  # fmt: skip
    assert row == {
        "email": "a@x.com", "firstName": "=Zoë", "phone": "+491701234567", "leadType": "ib", "broker": None,
        "source": "fb", "status": "contacted", "trackingToken": "tok", "leadCapturedAt": datetime(2025, 10, 1),
        "qualifiedAt": datetime(2025, 10, 2), "ftdEarned": Decimal(10), "cpaEarned": Decimal("0.50"),
        "totalEarned": Decimal("10.5"), "systemeContactId": "7", "userId": "c1",
    }  # fmt: skip


@pytest.mark.parametrize("field", ["email", "phone", "trackingToken"])
def test_one_way_to_know_a_lead_is_enough(field: str) -> None:
    value = {"email": "a@x.com", "phone": "+491701234567", "trackingToken": "t"}[field]
    assert read(None, **{"firstName": "", field: value})[field] == value


def test_the_command_line_holds_for_rows_that_say_nothing() -> None:
    defaults = {"userId": "c2", "source": "fb"}
    assert read(defaults, email="a@x.com") == {"email": "a@x.com", "userId": "c2", "source": "fb"}
    assert read(defaults, email="a@x.com", ib="c1", source="x") == {"email": "a@x.com", "userId": "c1", "source": "x"}
    assert read(defaults, email="a@x.com", ib="", source="") == {"email": "a@x.com", "userId": "c2", "source": "fb"}


def test_zero_is_an_amount_and_an_empty_cell_is_none() -> None:
    row = read(email="a@x.com", cpaEarned="0", ftdEarned="")
    assert (row["cpaEarned"], row["ftdEarned"]) == (Decimal(0), None)


def test_a_day_of_qualification_may_be_that_of_a_timed_capture() -> None:
    assert read(email="a@x.com", leadCapturedAt="2025-10-02T10:00", qualifiedAt="2025-10-02")


# --------------------------------------------------------------------------------------------------------- refused rows


@pytest.mark.parametrize(
    ("cells", "code", "field"),
    [
        ({"firstName": "Zoë"}, "contact_missing", ""),
        ({"email": "", "phone": " ", "trackingToken": ""}, "contact_missing", ""),
        ({"email": "a@"}, "email_invalid", "email"),
        ({"email": "a@x.com", "phone": "none"}, "phone_invalid", "phone"),
        ({"email": "a@x.com", "leadCapturedAt": "soon"}, "date_invalid", "leadCapturedAt"),
        ({"email": "a@x.com", "depositedAt": "03/04/2025"}, "date_invalid", "depositedAt"),
        ({"email": "a@x.com", "tradingStartAt": "1999-01-01"}, "date_invalid", "tradingStartAt"),
        ({"email": "a@x.com", "leadCapturedAt": "2025-11-01T12:00:00.001"}, "date_future", "leadCapturedAt"),
        ({"email": "a@x.com", "depositedAt": "2026-01-01"}, "date_future", "depositedAt"),
        (
            {"email": "a@x.com", "leadCapturedAt": "2025-10-02", "qualifiedAt": "2025-10-01"},
            "date_order",
            "qualifiedAt",
        ),
        ({"email": "a@x.com", "qualifiedAt": "2025-10-01"}, "date_order", "qualifiedAt"),
        ({"email": "a@x.com", "cpaEarned": "-0.01"}, "amount_invalid", "cpaEarned"),
        ({"email": "a@x.com", "cpaEarned": "1.005"}, "amount_invalid", "cpaEarned"),
        ({"email": "a@x.com", "cpaEarned": "1,50"}, "amount_invalid", "cpaEarned"),
        ({"email": "a@x.com", "ftdEarned": "NaN"}, "amount_invalid", "ftdEarned"),
        ({"email": "a@x.com", "ftdEarned": "Infinity"}, "amount_invalid", "ftdEarned"),
        ({"email": "a@x.com", "ftdEarned": "1e3"}, "amount_invalid", "ftdEarned"),
        ({"email": "a@x.com", "ftdEarned": "1000000000000"}, "amount_invalid", "ftdEarned"),
        ({"email": "a@x.com", "ftdEarned": "1", "cpaEarned": "2", "totalEarned": "4"}, "total_mismatch", "totalEarned"),
        ({"email": "a@x.com", "totalEarned": "4"}, "total_mismatch", "totalEarned"),
        ({"email": "a@x.com", "status": "hot"}, "status_unknown", "status"),
        ({"email": "a@x.com", "leadType": "robot"}, "type_unknown", "leadType"),
        ({"email": "a@x.com", "ib": "nobody@x.com"}, "owner_unknown", "ib"),
        ({"email": "a@x.com", "userId": "admin@x.com"}, "owner_unknown", "userId"),
        ({"email": "a@x.com", "ib": "GONE@x.com"}, "owner_inactive", "ib"),
        ({"email": "a@x.com", "ib": "ib@x.com", "userId": "c2"}, "owner_unknown", "userId"),
        ({"email": "a@x.com", "firstName": "Z\0"}, "text_invalid", "firstName"),
        ({"email": "a@x.com", "firstName": "x" * 10_001}, "text_invalid", "firstName"),
        ({"email": "x" * 10_001}, "text_invalid", "email"),
        ({"trackingToken": "x" * 501}, "text_invalid", "trackingToken"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_with_its_code(cells: dict[str, str], code: str, field: str) -> None:
    assert refusal(None, **cells) == (code, field)


def test_a_row_of_another_width_is_refused() -> None:
    reader = rules.RowReader({"email": 0}, 2, owners={}, defaults={}, reading=rules.Reading(), now=NOW)
    for cells in (["a@x.com"], ["a@x.com", "b", "c"]):
        with pytest.raises(RowError, match=f"the row has {len(cells)} cells, the header 2") as caught:
            reader.read(cells)
        assert caught.value.code == "cells"


def test_two_names_of_one_owner_are_no_contradiction() -> None:
    assert read(email="a@x.com", ib="ib@x.com", userId="c1")["userId"] == "c1"


def test_a_message_is_one_short_line_without_nul() -> None:
    with pytest.raises(RowError) as caught:
        read(email="a\0\n" + "x" * 5_000)
    assert len(caught.value.message) <= rules.LONGEST_MESSAGE + 1
    assert "\0" not in caught.value.message
    assert "\n" not in caught.value.message


@given(st.lists(st.text(max_size=20), min_size=17, max_size=17))
def test_whatever_a_row_holds_it_is_read_or_refused_with_a_known_code(cells: list[str]) -> None:
    columns = {field: number for number, field in enumerate([field for field in rules.ALIASES if field != "userId"])}
    reader = rules.RowReader(columns, 17, owners=OWNERS, defaults={}, reading=rules.Reading(), now=NOW)
    refused = ""
    try:
        assert len(reader.read(cells)) == len(reader.fields)
    except RowError as exc:
        refused = exc.code
    assert f"    {refused} " in (rules.__doc__ or "") or not refused


def test_every_code_is_in_the_commands_help() -> None:
    codes = [line.split()[0] for line in (rules.__doc__ or "").splitlines() if line.startswith("    ")]
    assert len(codes) == 16
    assert [code for code in codes if code not in import_command.EPILOG] == []


def test_no_name_of_a_column_means_two_fields() -> None:
    from ibctl.tabular import plain_name

    meant: dict[str, set[str]] = {}
    for field, aliases in rules.ALIASES.items():
        for name in (field, *aliases):
            meant.setdefault(plain_name(name), set()).add(field)
    assert {name: fields for name, fields in meant.items() if len(fields) > 1} == {}


# -------------------------------------------------------------------------------------------------------------- options


def test_options_are_read_by_the_same_rules() -> None:
    given = {"email": "A@x.com", "leadCapturedAt": "2025-10-01", "cpaEarned": "1.5"}
    assert rules.from_options(given, rules.Reading(), NOW) == {
        "email": "a@x.com",
        "leadCapturedAt": datetime(2025, 10, 1),
        "cpaEarned": Decimal("1.5"),
    }


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("email", "nope", "--email: 'nope' is not an email address"),
        ("leadCapturedAt", "2025-12-01", "--captured-at: 2025-12-01 00:00 UTC has not come yet"),
        ("systemeContactId", " ", "--systeme-contact-id is empty: `leads edit LEAD --clear systemeContactId`"),
        ("status", "hot", "--status: 'hot' is no status: write captured, contacted, qualified or rejected"),
    ],
)
def test_an_option_that_does_not_fit_is_named(field: str, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        rules.from_options({field: text}, rules.Reading(), NOW)
    assert message in str(caught.value)
