"""No token comes out of any command that talks to Facebook, however the talk fails."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.ads.campaigning import FORM, TOKEN, Shop, shop
from tests.ads.conftest import Ads
from tests.fakes.graph import Broken, Fault, Server, faults, forms

NEW = ["ads", "campaigns", "create", "--template", "US leads", "--account", "act_900", "--form", FORM]
BOOST = ["ads", "boost", "--post", "7700_1001", "--account", "act_900", "--budget", "10", "--days", "5"]
CONNECT = ["ads", "accounts", "connect", "--user", "anna@x.y", "--all"]
COMMANDS = [
    CONNECT, ["ads", "accounts", "refresh"], ["ads", "tokens", "extend"], ["ads", "tokens", "check"], ["ads", "sync"],
    ["ads", "spend", "check"], ["ads", "campaigns", "sync"], [*NEW, "--name", "US 2"],
    [*NEW, "--name", "US 3", "--dry-run"], BOOST, ["ads", "campaigns", "pause", "US 1"],
    ["ads", "campaigns", "resume", "US 1", "--yes"], ["ads", "campaigns", "archive", "US 1", "--yes"],
    ["leads", "pull", "--all"],
]  # fmt: skip


@pytest.fixture
def anna(ads: Ads, facebook: Server, pauses: list[float], ibctl: Any) -> Shop:
    made = shop(ads, facebook, ibctl)
    forms.post(made.world, "7700", "1001")
    assert made.create().exit_code == 0
    return made


QUOTED = f"Malformed access token {TOKEN}"


@pytest.mark.parametrize(
    "what",
    [Broken("refused"), Broken("dropped"), Broken("truncated"), faults.HTML,
     Broken("raw", text='{"error": "no ' + TOKEN + '"}'), Fault(190, None, QUOTED), Fault(100, 33, QUOTED),
     Fault(1, None, QUOTED), Fault(2635, None, QUOTED), Fault(100, None, error_user_title="No", error_user_msg=QUOTED)],
    ids=["refused", "dropped", "truncated", "html", "odd", "190", "100", "1", "2635", "for-users"],
)  # fmt: skip
def test_no_token_is_in_any_output_or_log(
    anna: Shop, what: Broken | Fault, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    for command in COMMANDS:
        anna.ads.sql('UPDATE "FacebookAdAccount" SET "isConnected" = true')
        calls = len(anna.server.calls)
        anna.server.fail("", what, times=99)
        run = anna.ibctl(*command, input=f"{TOKEN}\n")
        anna.server.forgive()
        assert run.exit_code in (3, 4, 5, 6, 7), (command, run)
        assert len(anna.server.calls) > calls, command
        told += run.stdout + run.stderr
    told += caplog.text + "".join(capfd.readouterr())
    stored = anna.ads.sql("SELECT problem FROM ibctl.ad_account_state")
    stored += anna.ads.sql('SELECT "errorMessage" FROM "AdCampaign"')
    stored += anna.ads.sql("SELECT command FROM ibctl.change_set")
    told += str(stored)
    urls = " ".join(call.target for call in anna.server.calls)
    secrets = [*anna.world.tokens, anna.world.app_secret]
    assert [secret for secret in secrets if secret in told + urls] == []
    assert "Error: " in told
