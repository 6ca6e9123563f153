"""What the Tab key fills in for ad accounts, campaigns and templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.ads.campaigning import Shop, shop
from tests.ads.conftest import Ads
from tests.conftest import Result, Tab, pressed
from tests.fakes.graph import Server

Run = Callable[..., Result]


@pytest.fixture
def anna(ads: Ads, facebook: Server, pauses: list[float], ibctl: Any) -> Shop:
    made = shop(ads, facebook, ibctl)
    made.create(name="US 1")
    made.create(name="plain")
    return made


def zsh(process: Run, words: str) -> str:
    return process(env=pressed(words, "zsh")).stdout


def test_accounts_are_completed_wherever_one_is_named(anna: Shop, tab: Tab, process: Run) -> None:
    for words in (
        "ads sync --account ", "ads accounts show ", "ads spend list --account act_9", "ads boost --account ",
        "ads campaigns create --account ", "ads tokens check ", "ads campaigns pause --account ",
    ):  # fmt: skip
        assert tab(words) == ["act_900"], words
    assert "Anna USD of anna@x.y" in zsh(process, "ads accounts show act")
    assert tab("ads accounts show act_8") == []


def test_campaigns_and_templates_are_completed_by_name(anna: Shop, tab: Tab, process: Run) -> None:
    # Bash puts in what it is given, so a blank in a name comes with its backslash.
    assert tab("ads campaigns show ") == ["plain", r"US\ 1"]
    assert tab("ads campaigns pause U") == [r"US\ 1"]
    assert tab("ads templates show ") == [r"US\ leads"]
    assert tab("ads campaigns create --template ") == [r"US\ leads"]
    assert '"US leads"' in zsh(process, "ads templates lint US")
