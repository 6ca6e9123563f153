"""A month's end in far zones and odd currencies, from Facebook's figures to the commissions of the month."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from freezegun import freeze_time

from ibctl.commissions import commands as _  # noqa: F401 - pydantic cannot make models of frozen dates
from tests.ads.facebook import Connected
from tests.conftest import Result

Run = Callable[..., Result]
# By IB: currency, zone, what each day costs, and what the base currency pays for one of it.
PLACES = {
    "kiritimati": ("JPY", "Pacific/Kiritimati", "1001", "0.0065"),  # +14:00: the first to begin a day
    "baker": ("HUF", "Etc/GMT+12", "3333", "0.0029"),  # -12:00: the last to end one
    "york": ("USD", "America/New_York", "0.10", "1"),
}
FIRST, LAST = date(2026, 9, 25), date(2026, 11, 5)


@pytest.fixture
def synced(connected: Connected, ibctl: Run) -> Connected:
    """Every account spends the same on each day of its own zone around October; read once at noon UTC of the 31st,
    when it is November already at +14:00, and once when October is over everywhere.
    """
    accounts = {}
    with freeze_time("2026-10-31 12:00:00", tick=True):
        for number, (name, (currency, zone, amount, _rate)) in enumerate(PLACES.items(), 901):
            made = connected.account(str(number), email=f"{name}@x.y", currency=currency, zone=zone)
            accounts[name] = made
            day = FIRST
            while day <= made.today():
                made.spent(day, amount, actions={"lead": 1})
                day += timedelta(days=1)
        assert {name: one.today() for name, one in accounts.items()} == {
            "kiritimati": date(2026, 11, 1), "baker": date(2026, 10, 31), "york": date(2026, 10, 31),
        }  # fmt: skip
        assert ibctl("ads", "sync", "--since", str(FIRST)).exit_code == 0
    with freeze_time("2026-11-03 11:00:00", tick=True):
        for name, made in accounts.items():
            for back in range(4):
                made.spent(made.today() - timedelta(days=back), PLACES[name][2], actions={"lead": 1})
        assert ibctl("ads", "sync").exit_code == 0
    rates = connected.ads.folder / "rates.csv"
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    lines = [f"{day},{c},{rate}" for day in days for c, _zone, _a, rate in PLACES.values() if c != "USD"]
    rates.write_text("date,currency,rate\n" + "\n".join(lines) + "\n")
    told = ibctl("commissions", "rates", "import", rates, "--source", "test")
    assert told.exit_code == 0, told.stderr
    return connected


def test_october_has_31_days_of_spend_in_every_zone_and_currency(synced: Connected, ibctl: Run) -> None:
    run = ibctl("commissions", "run", "--month", "2026-10")
    assert run.exit_code == 0, run.stderr
    rows = json.loads(ibctl("commissions", "list", "--month", "2026-10", "-f", "json").stdout)
    spent = {row["email"].partition("@")[0]: Decimal(str(row["totalAdSpend"])) for row in rows}
    # Σ of 31 days, each at its day's rate, rounded once: 31 × 1001 × 0.0065, 31 × 3333 × 0.0029, 31 × 0.10.
    assert spent == {"kiritimati": Decimal("201.70"), "baker": Decimal("299.64"), "york": Decimal("3.1")}


def test_the_report_and_the_check_agree_with_the_commissions(synced: Connected, ibctl: Run) -> None:
    report = json.loads(ibctl("ads", "spend", "report", "--by", "ib", "--month", "2026-10", "-f", "json").stdout)
    assert {row["ib"].partition("@")[0]: Decimal(str(row["spend"])) for row in report} == {
        "kiritimati": Decimal("201.70"), "baker": Decimal("299.64"), "york": Decimal("3.1"),
    }  # fmt: skip
    by_account = json.loads(
        ibctl("ads", "spend", "report", "--by", "account", "--month", "2026-10", "-f", "json").stdout
    )
    assert {row["currency"]: Decimal(str(row["spend"])) for row in by_account} == {
        "JPY": Decimal(31 * 1001), "HUF": Decimal(31 * 3333), "USD": Decimal("3.1"),
    }  # fmt: skip
