from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.imports import RowError
from ibctl.leads import rules
from ibctl.leads.importing import rows

NOW = datetime(2025, 11, 1, 12)
OWNERS = {
    "c1": rows.Owner("c1"),
    "ib@x.com": rows.Owner("c1"),
    "c2": rows.Owner("c2"),
    "other@x.com": rows.Owner("c2"),
    "gone@x.com": rows.Owner("c3", "owner_inactive", "the account of IB gone@x.com is not active"),
    "admin@x.com": rows.Owner("c4", "owner_unknown", "there is no IB 'admin@x.com': that account's role is ADMIN"),
}


def reader(columns: list[str], defaults: dict[str, str] | None = None) -> rows.RowReader:
    given = rows.Given(defaults=defaults or {})
    places = {name: number for number, name in enumerate(columns)}
    return rows.RowReader(places, len(columns), owners=OWNERS, reading=rules.Reading(), now=NOW, given=given)


def read(defaults: dict[str, str] | None = None, **cells: str) -> dict[str, str | None]:
    """Read a row that has these fields as columns, beside another one that is good."""
    ready = reader(list(cells), defaults)
    good = ["b@x.com" if name == "email" else "t" if name == "trackingToken" else "" for name in cells]
    batch = ready.read([(2, list(cells.values())), (3, good)])
    if 0 in batch.refused:
        raise batch.refused[0]
    return {name: values[0] for name, values in zip(ready.fields, batch.values, strict=True)}


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
        "source": "fb", "status": "contacted", "trackingToken": "tok", "leadCapturedAt": "2025-10-01",
        "qualifiedAt": "2025-10-02", "ftdEarned": "10", "cpaEarned": "0.50", "totalEarned": "10.5",
        "systemeContactId": "7", "userId": "c1",
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
    assert (row["cpaEarned"], row["ftdEarned"]) == ("0", None)


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
    batch = reader(["email", "firstName"]).read([(2, ["a@x.com"]), (3, ["b@x.com", ""]), (4, ["c@x.com", "b", "c"])])
    assert {place: (why.code, why.message) for place, why in batch.refused.items()} == {
        0: ("cells", "the row has 1 cells, the header 2"),
        2: ("cells", "the row has 3 cells, the header 2"),
    }


def test_two_names_of_one_owner_are_no_contradiction() -> None:
    assert read(email="a@x.com", ib="ib@x.com", userId="c1")["userId"] == "c1"


def test_a_message_is_one_short_line_without_nul() -> None:
    with pytest.raises(RowError) as caught:
        read(email="a\0\n" + "x" * 5_000)
    assert len(caught.value.message) <= rules.LONGEST_MESSAGE + 1
    assert "\0" not in caught.value.message
    assert "\n" not in caught.value.message


FIELDS = [field for field in rules.ALIASES if field != "userId"]


@given(st.lists(st.lists(st.text(max_size=20), min_size=17, max_size=17), min_size=1, max_size=4))
def test_whatever_a_row_holds_it_is_read_or_refused_with_a_known_code(table: list[list[str]]) -> None:
    batch = reader(FIELDS).read(list(enumerate(table, start=2)))
    assert [len(values) for values in batch.values] == [len(table)] * len(reader(FIELDS).fields)
    for why in batch.refused.values():
        assert f"    {why.code} " in (rules.__doc__ or "")


CELLS = st.sampled_from(
    ["", "a@x.com", "A@X.com", "bad", "+491701234567", "0170", "2025-10-01", "2025-10-01T10:00:00Z", "2025-10-01 10:00",
     "2030-01-01", "10.50", "1,5", "-1", "tok", "=cmd", "'=cmd", "x\\y", "x\ty", "ib@x.com", "gone@x.com", "qualified"]
)  # fmt: skip


@given(st.lists(st.lists(CELLS, min_size=17, max_size=17), min_size=1, max_size=6))
def test_a_row_fares_the_same_alone_and_among_others(table: list[list[str]]) -> None:
    numbered = list(enumerate(table, start=2))
    together = reader(FIELDS).read(numbered)
    for place, row in enumerate(numbered):
        alone = reader(FIELDS).read([row])
        why, same = alone.refused.get(0), together.refused.get(place)
        assert (why and (why.code, why.field, why.message)) == (same and (same.code, same.field, same.message))
        if why is None:
            assert [values[0] for values in alone.values] == [values[place] for values in together.values]


# --------------------------------------------------------------------------------------------------------------- COPY


def test_values_are_written_as_copy_reads_them() -> None:
    ready = reader(["email", "firstName", "broker"])
    cells = [
        ["a@x.com", "back\\slash", ""],
        ["b@x.com", "two\nlines\r", "tab\there"],
        ["bad", "", ""],
        ["c@x.com", "", "\\N"],
    ]
    text = rows.copy_lines(ready.read(list(enumerate(cells, start=2))), iter(["c1", "c2", "c3"]))
    assert text.split("\n") == [
        "2\tc1\t\t\t\ta@x.com\tback\\\\slash\t",
        "3\tc2\t\t\t\tb@x.com\ttwo\\nlines\ttab\\there",
        "5\tc3\t\t\t\tc@x.com\t\t\\\\N",
        "4\t\temail_invalid\temail\t'bad' is not an email address: An email address must have an @-sign\t\t\t",
        "",
    ]
