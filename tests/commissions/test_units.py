"""Months that were calculated in another currency, or cut in another zone, than the settings say now."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ibctl import config
from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import payee
from tests.conftest import Result, ok

Run = Callable[..., Result]
SAID = {
    "IBCTL_BASE_CURRENCY": ("JPY", "2025-09 was calculated in USD, and IBCTL_BASE_CURRENCY says JPY: set it as it was"),
    "IBCTL_TIMEZONE": ("Asia/Tokyo", "2025-09 was cut in UTC, and IBCTL_TIMEZONE says Asia/Tokyo: set it as it was"),
}
ASK = ("--reason", "r", "--yes")
COMMANDS = [
    ["payouts", "create", "--month", "2025-09", "--method", "paypal", "--yes"],
    ["statement", "ib@x.y", "2025-09"], ["statement", "--all", "2025-09", "-o", "all"],
    ["dossier", "ib@x.y", "2025-09"], ["drift", "2025-09"], ["drift"], ["verify", "2025-09"], ["verify", "-f", "json"],
    ["true-up", "2025-09", "--yes"], ["reopen", "2025-09", *ASK], ["why-not", "ib@x.y", "2025-09"],
    ["simulate", "--plan", "p.toml", "--from", "2025-09", "--to", "2025-09"],
]  # fmt: skip


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Give a setting another value, as a cron line without its .env does."""

    def say(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        config.use_env_file(None)

    return say


@pytest.fixture
def run(platform: Platform, ibctl: Run, tmp_path: Any) -> str:
    """A September of 30 USD; one lead of it is of October in Tokyo."""
    (tmp_path / "p.toml").write_text('name = "p"\nversion = 1\nfrom = "2025-01"\n[commission]\nrate = 0.5\n')
    ib = platform.user("ib@x.y")
    lead = platform.lead(ib, "2025-09-03", "2025-09-30T22:00", 100)
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    return lead


@pytest.mark.parametrize("setting", SAID)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:2]))
def test_a_closed_month_is_neither_paid_nor_stated_nor_compared_in_other_units(
    run: str, platform: Platform, ibctl: Run, say: Callable[..., None], setting: str, command: list[str]
) -> None:
    ok(ibctl("commissions", "close", "2025-09", "--yes"))
    value, message = SAID[setting]
    say(setting, value)
    before = platform.everything()
    refused = ibctl("commissions", *command)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert refused.stderr == f"Error: {message}\n"
    assert platform.everything() == before


@pytest.mark.parametrize("setting", SAID)
@pytest.mark.parametrize(
    "command",
    [
        ["close", "2025-09", "--yes"], ["payouts", "create", "--month", "2025-09", "--method", "paypal", "--yes"],
        ["adjust", "ib@x.y", "2025-09", "5", *ASK], ["clawback", "LEAD", *ASK],
    ],
    ids=lambda command: command[0],
)  # fmt: skip
def test_an_open_month_is_calculated_anew_as_a_whole_or_not_touched(
    run: str, platform: Platform, ibctl: Run, say: Callable[..., None], setting: str, command: list[str]
) -> None:
    value, message = SAID[setting]
    say(setting, value)
    before = platform.everything()
    refused = ibctl("commissions", *(run if word == "LEAD" else word for word in command))
    assert refused.exit_code == 3
    assert f"{message}, or `ibctl commissions run --month 2025-09` calculates it anew" in refused.stderr
    assert platform.everything() == before
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    if setting == "IBCTL_BASE_CURRENCY":
        ok(ibctl("commissions", "close", "2025-09", "--yes"))
        assert "30 JPY" in ok(ibctl("commissions", "statement", "ib@x.y", "2025-09", "--format", "md")).stdout


def test_a_held_balance_is_not_carried_on_in_another_currency(
    platform: Platform, ibctl: Run, say: Callable[..., None], tmp_path: Any
) -> None:
    (tmp_path / "p.toml").write_text(
        'name = "p"\nversion = 1\nfrom = "2025-01"\n[commission]\nrate = 0.3\n[payout]\nminimum = 50\n'
    )
    ok(ibctl("commissions", "plans", "add", "p.toml"))
    ok(ibctl("commissions", "plans", "assign", "--all", "--plan", "p", "--from", "2025-01"))
    platform.lead(platform.user("ib@x.y"), "2025-09-03", "2025-09-04", 100)
    ok(ibctl("commissions", "hold", "ib@x.y", "2025-09", "--reason", "r"))
    ok(ibctl("commissions", "close", "2025-09", "--yes"))
    say("IBCTL_BASE_CURRENCY", "EUR")
    refused = ibctl("commissions", "release", "ib@x.y", "2025-09", "--reason", "r")
    assert (refused.exit_code, "2025-09 was calculated in USD" in refused.stderr) == (3, True)
    assert platform.sql('SELECT "paymentStatus" FROM "IbCommission"') == [("HELD",)]


def test_a_statement_adds_up_no_balances_of_other_currencies(
    run: str, platform: Platform, ibctl: Run, say: Callable[..., None]
) -> None:
    ok(ibctl("commissions", "close", "2025-09", "--yes"))
    ((ib,),) = platform.sql('SELECT id FROM "User"')
    platform.lead(ib, "2025-10-03", "2025-10-04", 200)
    say("IBCTL_BASE_CURRENCY", "EUR")
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    refused = ibctl("commissions", "statement", "ib@x.y", "2025-10")
    assert (refused.exit_code, "2025-09 was calculated in USD" in refused.stderr) == (3, True)
    other = platform.user("new@x.y")
    platform.lead(other, "2025-10-03", "2025-10-04", 100)
    ok(ibctl("commissions", "run", "--month", "2025-10"))
    assert "30.00 EUR" in ok(ibctl("commissions", "statement", "new@x.y", "2025-10", "--format", "md")).stdout


def test_a_list_warns_that_its_sum_is_in_another_currency(run: str, ibctl: Run, say: Callable[..., None]) -> None:
    say("IBCTL_BASE_CURRENCY", "EUR")
    listed = ok(ibctl("commissions", "list", "--month", "2025-09", "-f", "json"))
    assert (len(json.loads(listed.stdout)), "2025-09 was calculated in USD" in listed.stderr) == (1, True)


@pytest.mark.parametrize(
    "settled", [["close", "2025-09", "--yes"], ["payouts", "create", "--month", "2025-09", "--yes"]]
)
@pytest.mark.parametrize("beside", ["2025-08", "2025-10"])
def test_a_month_beside_a_settled_one_is_not_cut_in_another_zone(
    platform: Platform, ibctl: Run, say: Callable[[str, str], None], settled: list[str], beside: str
) -> None:
    ib = platform.user("ib@x.y")
    payee(platform, "ib@x.y")
    platform.lead(ib, "2025-09-30", "2025-09-30T20:00", 100)  # in Tokyo that is October
    ok(ibctl("commissions", "run", "--month", "2025-09"))
    say("IBCTL_TIMEZONE", "Asia/Tokyo")
    ok(ibctl("commissions", "run", "--month", beside, "--dry-run"))  # 2025-09 can be calculated anew
    say("IBCTL_TIMEZONE", "UTC")
    ok(ibctl("commissions", *settled))
    say("IBCTL_TIMEZONE", "Asia/Tokyo")
    refused = ibctl("commissions", "run", "--month", beside)
    assert refused.exit_code == 3
    assert "2025-09 was cut in UTC, and IBCTL_TIMEZONE says Asia/Tokyo" in refused.stderr
