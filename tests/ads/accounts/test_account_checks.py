"""What `ibctl doctor` says of ad accounts."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.ads.facebook import Connected
from tests.conftest import Result

Run = Callable[..., Result]


def told(ibctl: Run) -> list[tuple[str, str, str]]:
    run = ibctl("doctor", "-f", "json")
    assert run.exit_code == 0
    return [
        (one["state"], one["value"], one["remedy"]) for one in json.loads(run.stdout) if one["check"] == "Facebook"
    ]  # fmt: skip


def ends(connected: Connected, account: str, days: float, consent: float = 80) -> None:
    connected.ads.sql(
        'UPDATE "FacebookAdAccount" SET "tokenExpiresAt" = now() AT TIME ZONE \'UTC\' + %s * interval \'1 day\''
        ' WHERE "adAccountId" = %s',
        days, account,
    )  # fmt: skip
    connected.ads.sql(
        'INSERT INTO ibctl.ad_account_state (id, "dataAccessExpiresAt") SELECT id, now() AT TIME ZONE \'UTC\''
        ' + %s * interval \'1 day\' FROM "FacebookAdAccount" WHERE "adAccountId" = %s',
        consent, account,
    )  # fmt: skip


def test_accounts_that_work_for_long_are_nothing_to_tell(connected: Connected, ibctl: Run) -> None:
    connected.account("900")
    ends(connected, "act_900", 15)
    connected.account("901")  # nobody knows when its token ends
    assert told(ibctl) == []


def test_tokens_that_end_soon_have_ended_or_end_with_the_consent_are_told_apart(
    connected: Connected, ibctl: Run
) -> None:
    for number, days, consent in ((900, 13, 80), (901, -1, 80), (902, 50, 3), (903, 5, 80), (904, 50, -2)):
        connected.account(str(number))
        ends(connected, f"act_{number}", days, consent)
    over, unagreed, extendable = told(ibctl)
    assert over[:2] == ("warning", "the tokens of 2 ad account(s) have ended: act_901, act_904")
    assert unagreed[1].endswith("end within 14 days with their users' consent: act_902")
    assert extendable[1].startswith("the tokens of 2 ad account(s) end within 14 days, the first on 20")
    assert (extendable[1].endswith(": act_900, act_903"), "extend --expiring 14d" in extendable[2]) == (True, True)


def test_accounts_that_lost_their_connection_are_named(connected: Connected, ibctl: Run) -> None:
    for number in ("900", "901"):
        connected.account(number)
    connected.token("900").dead = 460
    ibctl("ads", "sync")
    ibctl("ads", "accounts", "disconnect", "act_901", "--yes")  # on purpose: nothing to warn of
    ((state, value, remedy),) = told(ibctl)
    assert (state, value) == ("warning", "1 ad account(s) are not connected any more: act_900")
    assert "ads accounts connect" in remedy
    shown = ibctl("doctor").stdout
    assert "!!  Facebook: 1 ad account(s) are not connected any more: act_900" in shown
