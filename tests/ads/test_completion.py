"""What the Tab key fills in for ad accounts, campaigns and templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ads.campaigning import Shop, shop
from tests.ads.conftest import Ads
from tests.conftest import Result
from tests.fakes.graph import Server

Run = Callable[..., Result]


@pytest.fixture
def anna(ads: Ads, facebook: Server, pauses: list[float], ibctl: Any) -> Shop:
    made = shop(ads, facebook, ibctl)
    made.create(name="US 1")
    made.create(name="plain")
    return made


@pytest.fixture
def bash(ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Press Tab after some words."""

    def complete(words: str) -> list[str]:
        env = {"_IBCTL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        result = ibctl()
        assert result.stderr == ""
        return [line for line in result.stdout.splitlines() if line]

    return complete


def zsh(process: Run, words: str) -> str:
    return process(env={"_IBCTL_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}).stdout


def test_accounts_are_completed_wherever_one_is_named(
    anna: Shop, bash: Callable[[str], list[str]], process: Run
) -> None:
    for words in (
        "ads sync --account ", "ads accounts show ", "ads spend list --account act_9", "ads boost --account ",
        "ads campaigns create --account ", "ads tokens check ", "ads campaigns pause --account ",
    ):  # fmt: skip
        assert bash(f"ibctl {words}") == ["act_900"], words
    assert "Anna USD of anna@x.y" in zsh(process, "ibctl ads accounts show act")
    assert bash("ibctl ads accounts show act_8") == []


def test_campaigns_and_templates_are_completed_by_name(
    anna: Shop, bash: Callable[[str], list[str]], process: Run
) -> None:
    # Bash puts in what it is given, so a blank in a name comes with its backslash.
    assert bash("ibctl ads campaigns show ") == ["plain", r"US\ 1"]
    assert bash("ibctl ads campaigns pause U") == [r"US\ 1"]
    assert bash("ibctl ads templates show ") == [r"US\ leads"]
    assert bash("ibctl ads campaigns create --template ") == [r"US\ leads"]
    assert '"US leads"' in zsh(process, "ibctl ads templates lint US")
