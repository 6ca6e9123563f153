import phonenumbers
import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import given
from hypothesis import strategies as st

from ibctl.leads import contacts

# -------------------------------------------------------------------------------------------------------------- emails


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Anna@Example.COM ", "anna@example.com"),
        ("o'brien+tag_1@mail-1.example.co.uk", "o'brien+tag_1@mail-1.example.co.uk"),
        ("jürgen@müller.de", "jürgen@müller.de"),
        ("JU\u0308RGEN@example.com", "jürgen@example.com"),
        ("x@xn--mller-kva.de", "x@müller.de"),
        ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
    ],
)
def test_an_address_is_stored_in_one_form(text: str, address: str) -> None:
    assert contacts.email(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "a..b@x.com", ".a@x.com", "a.@x.com", "a@127.0.0.1", "a@x", "a@x.test", "a@localhost", "@x.com", "a@",
        "a b@x.com",         "a@-x.com", "a@x-.com", "a@b..com", "a@ab--c.com", "a@" + "b" * 64 + ".com", "x@y@z.com",
        "a\n@x.com", "a\0@x.com", "a@" + "x." * 130 + "com", '"a b"@x.com', "",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an email address"):
        contacts.email(text)


LOCAL = st.text("abz09.-_+'A!", min_size=1, max_size=66)
DOMAIN = st.text("abz09.-A", min_size=1, max_size=66)


@given(
    local=LOCAL, domain=DOMAIN, tld=st.sampled_from(["com", "de", "test", "local", "x", "museum", "c0m", "xn--p1ai"])
)
def test_the_pattern_agrees_with_the_library(local: str, domain: str, tld: str) -> None:
    address = f"{local}@{domain}.{tld}"
    try:
        verdict = validate_email(address.lower(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        verdict = None
    try:
        assert contacts.email(address) == verdict
    except ValueError:
        assert verdict is None


# -------------------------------------------------------------------------------------------------------------- phones


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+4917012345678", None, "+4917012345678"),
        (" +49 (170) 123-45.678 ", None, "+4917012345678"),
        ("+49 0170 12345678", None, "+4917012345678"),
        ("+49 (0)170 12345678", None, "+4917012345678"),
        ("+39 06 1234567", None, "+39061234567"),
        ("\uff0b49 170 12345678", None, "+4917012345678"),
        ("0170 12345678", "DE", "+4917012345678"),
        ("00 44 20 7946 0958", "DE", "+442079460958"),
        ("(415) 555-2671", "US", "+14155552671"),
        ("0170 12345678", None, "0170 12345678"),
        ("0170/123-45.67", None, "0170/123-45.67"),
    ],
)
def test_a_number_is_stored_as_e164_where_its_country_is_known(text: str, region: str | None, number: str) -> None:
    assert contacts.phone(text, region) == number


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("+", None), ("+1", None), ("+49 1", None), ("+999123456789", None), ("+1415555267", None), ("none", None),
        ("-", None), ("N/A", "DE"), ("12", "DE"), ("+49 170 12345678 ext. 5", None), ("1" * 51, None),
        ("0" * 400, "DE"),         ("+49170\x00123", None), ("call +49 170 1234567 please", None),
    ],
)  # fmt: skip
def test_what_can_be_no_number_is_refused(text: str, region: str | None) -> None:
    with pytest.raises(ValueError, match=r"phone number|extension"):
        contacts.phone(text, region)


@given(code=st.sampled_from(sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)), rest=st.text("0123456789", max_size=16))
def test_plain_digits_fare_as_the_library_says(code: int, rest: str) -> None:
    number = f"+{code}{rest}"
    try:
        parsed = phonenumbers.parse(number)
        possible = phonenumbers.is_possible_number_with_reason(parsed) == phonenumbers.ValidationResult.IS_POSSIBLE
        verdict = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if possible else None
    except phonenumbers.NumberParseException:
        verdict = None
    try:
        assert contacts.phone(number) == verdict
    except ValueError:
        assert verdict is None


def test_a_region_is_a_country() -> None:
    assert contacts.region("de") == "DE"
    with pytest.raises(ValueError, match="'XX' is not a country"):
        contacts.region("XX")
