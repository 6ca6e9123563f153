"""Email addresses and phone numbers, each in the one form in which it is stored and compared.

The libraries that know all of it take 30 µs a value, half a minute for a million leads. So what is plainly right is
decided by patterns that agree with them (a property test holds the two together), and they decide the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

LONGEST_PHONE = 50

# No part of an address this short can be too long.
_SHORT = 64
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"
_LABEL = r"[a-z0-9]++(?:-[a-z0-9]++)*+"
# Domains that nobody can have, as email-validator lists them.
_RESERVED = "arpa|invalid|local|localhost|onion|test"
# An address in its stored form that needs no second look (an apostrophe in front may be an export's).
PLAIN_EMAIL = re.compile(
    rf"(?!')(?=.{{1,{_SHORT}}}\Z){_ATOM}(?:\.{_ATOM})*+@(?:{_LABEL}\.)+(?!(?:{_RESERVED})\Z)[a-z]{{2,63}}"
)
_MARKS = " -./()"
_SPACING = str.maketrans("", "", _MARKS)
_DIALLED = re.compile(r"[\d +\-./()]*\d[\d +\-./()]*", re.ASCII)


def email(text: str) -> str:
    """Return an address trimmed and lower-case, Unicode composed (NFC). No DNS is asked.

    Raises ValueError with the value and what is wrong with it.
    """
    address = text.strip().lower()
    if PLAIN_EMAIL.fullmatch(address):
        return address
    from email_validator import EmailNotValidError, validate_email

    try:
        return validate_email(address, check_deliverability=False).normalized.lower()
    except EmailNotValidError as exc:
        raise ValueError(f"'{text}' is not an email address: {str(exc).rstrip('.')}") from None


def phone(text: str, region: str | None = None) -> str:
    """Return a number as E.164 (`+4917012345678`) when it is international or `region` (ISO code) says whose it is.

    Without either it is kept as written. Checked is that the country has numbers of that length, not that this one has
    been handed out: the lists of ranges are always behind. Raises ValueError with the value and what is wrong.
    """
    number = text.strip()
    if number.startswith("+"):
        digits = number if number[1:].isdigit() else number.translate(_SPACING)
        if PLAIN_PHONES[digits[:4]](digits):
            return digits
    if region is None and not number.startswith(("+", "\uff0b")):
        return _as_written(number)
    return _parsed(number, region)


def phone_key(number: str) -> str:
    """Return what two writings of a number have in common."""
    return number.translate(_SPACING)


def phone_key_sql(column: str) -> str:
    """Return the SQL of `phone_key`."""
    # Six calls of replace() take a third of the time of one translate().
    for mark in _MARKS:
        column = f"replace({column}, '{mark}', '')"
    return column


def _as_written(number: str) -> str:
    if len(number) > LONGEST_PHONE or not _DIALLED.fullmatch(number):
        raise ValueError(f"'{number}' is not a phone number: write it like +4917012345678")
    return number


class _PlainPhones(dict[str, Callable[[str], object]]):
    """By a number's `+` and first three digits: what matches a number in its stored form that needs no second look."""

    def __missing__(self, beginning: str) -> Callable[[str], object]:
        match = _plain_phones(beginning)
        if len(beginning) == 4 and beginning[1:].isdigit() and beginning.isascii():
            self[beginning] = match
        return match


PLAIN_PHONES = _PlainPhones()


def _plain_phones(beginning: str) -> Callable[[str], object]:
    """Return what matches a number that has a length its country knows, and no trunk prefix that is to be dropped."""
    plan = _plan(beginning[1:]) if re.fullmatch(r"\+\d{3}", beginning, re.ASCII) else None
    if plan is None:
        return lambda _: None
    code, lengths, prefix = plan
    digits = "|".join(rf"\d{{{length}}}" for length in lengths)
    return re.compile(rf"\+{code}(?!{prefix})(?:{digits})", re.ASCII).fullmatch


def _plan(beginning: str) -> tuple[int, list[int], str] | None:
    """Return what a number's first three digits tell: its country's code, how long numbers are there, and the pattern
    of what may stand before one without being part of it.
    """
    import phonenumbers

    for digits in (1, 2, 3):
        code = int(beginning[:digits])
        if regions := phonenumbers.region_codes_for_country_code(code):
            break
    else:
        return None
    # The first region is the main one; the library decides by its lengths, too.
    plans: list[Any] = [phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, name) for name in regions]
    prefixes = {plan.national_prefix_for_parsing for plan in plans if plan is not None}
    pattern = "|".join(f"(?:{prefix})" for prefix in sorted({"0", *filter(None, prefixes)}))
    return code, sorted(plans[0].general_desc.possible_length), pattern


def _parsed(number: str, region: str | None) -> str:
    import phonenumbers

    complaint = f"'{number}' is not a phone number"
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as exc:
        raise ValueError(f"{complaint}: {str(exc).split(') ')[-1].rstrip('.')}") from None
    if parsed.extension:
        raise ValueError(f"'{number}' has an extension, which is not part of a number")
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(f"{complaint}: country code +{parsed.country_code} has none of that length")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def region(code: str) -> str:
    """Return a country's ISO code in capitals. Raises ValueError for one that has no phone numbers."""
    import phonenumbers

    if code.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"'{code}' is not a country: write its two-letter code like DE")
    return code.upper()
