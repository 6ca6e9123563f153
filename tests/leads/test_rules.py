from datetime import datetime
from decimal import Decimal

import pytest

from ibctl.errors import UsageError
from ibctl.leads import rules
from ibctl.leads.commands import importing as import_command

NOW = datetime(2025, 11, 1, 12)


def test_every_code_is_in_the_commands_help() -> None:
    codes = [line.split()[0] for line in (rules.__doc__ or "").splitlines() if line[:4] == "    " != line[4:8]]
    assert len(codes) == 22
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
