"""What the Tab key fills in for leads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ibctl import config, months
from tests.conftest import Result, Tab
from tests.leads.conftest import Platform

Run = Callable[..., Result]
STATUSES = ["captured", "contacted", "qualified", "rejected"]


@pytest.mark.parametrize("verb", ["leads list", "leads export", "leads funnel", "commissions list"])
def test_months_are_completed(database: str, tab: Tab, verb: str) -> None:
    month = months.current(config.settings().timezone)
    assert tab(f"{verb} --month ")[:2] == [str(month), str(month.previous)]


def test_words_are_completed(database: str, tab: Tab) -> None:
    assert tab("leads import --mode ") == ["create", "update", "upsert"]
    assert tab("leads import --mode up") == ["update", "upsert"]
    assert tab("leads list --status ") == STATUSES
    assert tab("leads set-status ") == []
    assert tab("leads set-status x ") == STATUSES
    assert tab("leads set-status x y c") == ["captured", "contacted"]


def test_brokers_are_completed(platform: Platform, ibctl: Run, tab: Tab) -> None:
    for broker in ("axi", "Prime XBT"):
        terms = ("--from", "2025-10-01", "--min-deposit", "0", "--min-lots", "0", "--cpa", "1")
        assert ibctl("leads", "programmes", "set", broker, *terms).exit_code == 0
    assert tab("leads programmes show ") == ["axi", r"Prime\ XBT"]
    assert tab("leads qualify --broker Pri") == [r"Prime\ XBT"]
