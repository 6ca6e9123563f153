"""What the Tab key fills in for leads."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ibctl import config, months
from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]
Complete = Callable[[str], list[str]]
STATUSES = ["captured", "contacted", "qualified", "rejected"]


@pytest.fixture
def bash(ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """Press Tab after some words."""

    def complete(words: str) -> list[str]:
        line = f"ibctl {words}"
        env = {"_IBCTL_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        result = ibctl()
        assert result.stderr == ""
        return [line for line in result.stdout.splitlines() if line]

    return complete


@pytest.mark.parametrize("verb", ["leads list", "leads export", "leads funnel", "commissions list"])
def test_months_are_completed(database: str, bash: Complete, verb: str) -> None:
    month = months.current(config.settings().timezone)
    assert bash(f"{verb} --month ")[:2] == [str(month), str(month.previous)]


def test_words_are_completed(database: str, bash: Complete) -> None:
    assert bash("leads import --mode ") == ["create", "update", "upsert"]
    assert bash("leads import --mode up") == ["update", "upsert"]
    assert bash("leads list --status ") == STATUSES
    assert bash("leads set-status ") == []
    assert bash("leads set-status x ") == STATUSES
    assert bash("leads set-status x y c") == ["captured", "contacted"]


def test_brokers_are_completed(platform: Platform, ibctl: Run, bash: Complete) -> None:
    for broker in ("axi", "Prime XBT"):
        terms = ("--from", "2025-10-01", "--min-deposit", "0", "--min-lots", "0", "--cpa", "1")
        assert ibctl("leads", "programmes", "set", broker, *terms).exit_code == 0
    assert bash("leads programmes show ") == ["axi", r"Prime\ XBT"]
    assert bash("leads qualify --broker Pri") == [r"Prime\ XBT"]
