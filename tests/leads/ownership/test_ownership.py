from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl import config
from ibctl.errors import UsageError
from ibctl.leads.ownership import rules as sharing_rules
from ibctl.months import Month
from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]


def owners(platform: Platform) -> dict[str, str | None]:
    return dict(platform.sql('SELECT l.id, u.email FROM "Lead" l LEFT JOIN "User" u ON u.id = "userId"'))


def transfers(platform: Platform) -> list[tuple[Any, ...]]:
    return platform.sql(
        'SELECT "leadId", f.email, t.email, "effectiveAt" FROM ibctl.lead_transfer x'
        ' LEFT JOIN "User" f ON f.id = "fromUserId" JOIN "User" t ON t.id = "toUserId" ORDER BY x."createdAt", 1'
    )


# ------------------------------------------------------------------------------------------------------------ assigning


def test_leads_of_a_list_are_shared_by_turns_in_the_order_of_the_emails(platform: Platform, ibctl: Run) -> None:
    for email in ("c@x.com", "a@x.com", "B@x.com"):
        platform.user(email)
    platform.user("gone@x.com", active=False)
    platform.user("admin@x.com", role="ADMIN")
    for number in range(7):
        platform.lead(id=f"l{number}", email=f"l{number}@x.com")
    names = "l0\n\nL1@x.com \nl2\nl3\nl4\nl5\nl6\nl0\n"
    done = ibctl("leads", "assign", "-", "--round-robin", "all", "--format", "json", input=names)
    assert done.exit_code == 0
    assert {row["ib"]: row["leads"] for row in json.loads(done.stdout)} == {"a@x.com": 3, "B@x.com": 2, "c@x.com": 2}
    assert [owners(platform)[f"l{n}"] for n in range(4)] == ["a@x.com", "B@x.com", "c@x.com", "a@x.com"]
    again = ibctl("leads", "assign", "-", "--round-robin", "c@x.com,a@x.com,B@x.com", input=names)
    assert "nothing to do" in again.stderr


def test_weights_decide_how_often_it_is_whose_turn(platform: Platform, ibctl: Run) -> None:
    for email in ("a@x.com", "b@x.com"):
        platform.user(email)
    for number in range(8):
        platform.lead(id=f"l{number}")
    done = ibctl("leads", "assign", *(f"l{n}" for n in range(8)), "--weighted", "a@x.com=3,b@x.com=1")
    assert "assigned to a@x.com, b@x.com: " in done.stderr
    assert "and 3 more" in done.stderr
    assert Counter(owners(platform).values()) == {"a@x.com": 6, "b@x.com": 2}


@pytest.mark.parametrize(
    ("options", "exit_code", "message"),
    [
        (("--round-robin", "a@x.com,gone@x.com"), 3, "the account of IB gone@x.com is not active"),
        (("--weighted", "a@x.com=3,gone@x.com=1"), 3, "the account of IB gone@x.com is not active"),
        (("--weighted", "a@x.com=0"), 2, "'a@x.com=0' is not an IB and a weight"),
        (("--weighted", "a@x.com"), 2, "'a@x.com' is not an IB and a weight"),
        (("--weighted", "a@x.com=1,A@x.com=2"), 2, "a@x.com is named twice"),
        (("--round-robin", ","), 2, "--round-robin is empty"),
        (("--round-robin", "all", "--ib", "a@x.com"), 2, "exclude each other"),
        (("--to", "nobody@x.com"), 3, "there is no IB 'nobody@x.com'"),
    ],
)
def test_a_sharing_that_cannot_be_is_refused(
    platform: Platform, ibctl: Run, options: tuple[str, ...], exit_code: int, message: str
) -> None:
    platform.user("a@x.com")
    platform.user("gone@x.com", active=False)
    platform.lead(id="l1")
    done = ibctl("leads", "assign", "l1", *options)
    assert (done.exit_code, owners(platform)) == (exit_code, {"l1": None})
    assert message in done.stderr


def test_one_wrong_name_in_a_list_stops_all_of_it(platform: Platform, ibctl: Run) -> None:
    platform.user("a@x.com")
    platform.lead(id="l1", email="twin@x.com")
    platform.lead(id="l2", email="TWIN@x.com")
    platform.lead(id="l3", email="anna@x.com")
    for names, message in (
        ("l1\nann@x.com\n", "did you mean anna@x.com?"),
        ("l3\ntwin@x.com\n", "means 2 leads"),
        ("l3\nno1\nno2\n", "2 names are no lead's, or several leads': no1, no2; nothing was written"),
    ):
        done = ibctl("leads", "assign", "-", "--to", "a@x.com", input=names)
        assert done.exit_code == 3
        assert message in done.stderr
    empty = ibctl("leads", "assign", "-", "--to", "a@x.com")
    assert (empty.exit_code, "no lead is named" in empty.stderr) == (2, True)
    assert set(owners(platform).values()) == {None}


@given(st.dictionaries(st.text(min_size=1), st.integers(1, 20), min_size=1, max_size=6))
def test_a_cycle_of_turns_gives_each_its_weight_and_never_makes_one_wait_long(weights: dict[str, int]) -> None:
    cycle = sharing_rules.turns(weights)
    counts = Counter(cycle)
    assert all(counts[name] * sum(weights.values()) == weight * len(cycle) for name, weight in weights.items())
    for end in range(1, len(cycle) + 1):
        so_far = Counter(cycle[:end])
        assert all(abs(so_far[name] - end * counts[name] / len(cycle)) < len(weights) for name in weights)


def test_equal_weights_are_plain_turns() -> None:
    assert sharing_rules.turns({"a": 2, "b": 2, "c": 2}) == ["a", "b", "c"]
    with pytest.raises(UsageError):
        sharing_rules.weights("a=1,a=2")


# --------------------------------------------------------------------------------------------------------- transferring


def test_a_transfer_moves_all_leads_of_an_ib_and_remembers_the_former_owner(platform: Platform, ibctl: Run) -> None:
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    platform.lead(id="a", userId=one, leadCapturedAt="2025-09-14")
    platform.lead(id="b", userId=one, leadCapturedAt="2025-10-14")
    platform.lead(id="c", userId=two, leadCapturedAt="2025-10-14")
    platform.lead(id="d", leadCapturedAt="2025-10-14")
    done = ibctl("leads", "transfer", "--from", "one@x.com", "--to", "two@x.com", "--yes")
    assert done.exit_code == 0
    assert "2 leads from one@x.com to two@x.com: what happened before 2025-09-01 still counts for" in done.stderr
    assert owners(platform) == {"a": "two@x.com", "b": "two@x.com", "c": "two@x.com", "d": None}
    assert transfers(platform) == [(lead, "one@x.com", "two@x.com", datetime(2025, 9, 1)) for lead in ("a", "b")]
    assert ibctl("leads", "transfer", "d", "--to", "two@x.com", "--yes").exit_code == 0
    assert transfers(platform)[-1] == ("d", None, "two@x.com", datetime(2025, 10, 1))
    assert "nothing to do" in ibctl("leads", "transfer", "a", "--to", "two@x.com").stderr
    number = platform.sql("SELECT min(id) FROM ibctl.change_set")[0][0]
    assert ibctl("undo", str(number), "--yes").exit_code == 0
    assert owners(platform) == {"a": "one@x.com", "b": "one@x.com", "c": "two@x.com", "d": "two@x.com"}
    assert [row[0] for row in transfers(platform)] == ["d"]


def test_a_day_begins_in_the_platforms_zone(platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IBCTL_TIMEZONE", "Europe/Berlin")
    config.use_env_file(None)
    one = platform.user("one@x.com")
    platform.user("two@x.com")
    platform.lead(id="a", userId=one, leadCapturedAt="2025-09-30T22:30")  # the 1st of October in Berlin
    ibctl("leads", "transfer", "a", "--to", "two@x.com", "--yes")
    assert transfers(platform)[0][3] == datetime(2025, 9, 30, 22)


def test_the_first_day_is_after_the_last_settled_month_of_either_ib(platform: Platform, ibctl: Run) -> None:
    one, two = platform.user("one@x.com"), platform.user("two@x.com")
    platform.lead(id="a", userId=one, leadCapturedAt="2025-08-14", qualifiedAt="2025-11-03")
    platform.commission(one, 2025, 8, "PAID")
    platform.commission(two, 2025, 9, "PROCESSING")
    platform.commission(two, 2025, 10, "HELD")
    for day, message in (
        ("2025-09-15", "2025-09-15 is too early: 2025-09 is PROCESSING for two@x.com"),
        ("2025-08-01", "the first day that can be is 2025-10-01"),
        ("2025-02-30", "--effective: '2025-02-30' is not a day"),
    ):
        refused = ibctl("leads", "transfer", "a", "--to", "two@x.com", "--effective", day, "--yes")
        assert refused.exit_code in (2, 3)
        assert message in refused.stderr
    assert (owners(platform), transfers(platform)) == ({"a": "one@x.com"}, [])
    assert ibctl("leads", "transfer", "a", "--to", "two@x.com", "--yes").exit_code == 0
    assert transfers(platform)[0][3] == datetime(2025, 10, 1)


def test_nothing_is_transferred_with_effect_in_a_closed_month(platform: Platform, ibctl: Run) -> None:
    one, _ = platform.user("one@x.com"), platform.user("two@x.com")
    platform.lead(id="a", userId=one, leadCapturedAt="2025-08-14")
    assert ibctl("commissions", "close", "2025-08", "--yes").exit_code == 0
    refused = ibctl("leads", "transfer", "a", "--to", "two@x.com", "--effective", "2025-08-20", "--yes")
    assert (refused.exit_code, "2025-08 is CLOSED for everybody" in refused.stderr) == (3, True)
    assert ibctl("leads", "transfer", "a", "--to", "two@x.com", "--yes").exit_code == 0
    assert transfers(platform)[0][3] == datetime(2025, 9, 1)


def test_transfers_of_a_lead_follow_one_another_in_time(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.com")
    platform.user("two@x.com")
    platform.user("three@x.com")
    platform.lead(id="a", userId=one, leadCapturedAt="2025-08-14")
    ibctl("leads", "transfer", "a", "--to", "two@x.com", "--effective", "2025-10-15", "--yes")
    refused = ibctl("leads", "transfer", "a", "--to", "three@x.com", "--effective", "2025-10-14", "--yes")
    assert (refused.exit_code, "with effect from 2025-10-15" in refused.stderr) == (3, True)
    assert ibctl("leads", "transfer", "a", "--to", "three@x.com", "--yes").exit_code == 0
    assert [row[3] for row in transfers(platform)] == [datetime(2025, 10, 15)] * 2


def test_a_transfer_asks_first_and_an_ib_that_is_not_active_gets_none(platform: Platform, ibctl: Run) -> None:
    one = platform.user("one@x.com")
    platform.user("two@x.com")
    platform.user("gone@x.com", active=False)
    platform.lead(id="a", userId=one, leadCapturedAt="2025-10-14")
    for arguments, exit_code, message in (
        (("a", "--to", "two@x.com"), 2, "1 lead from one@x.com to two@x.com: what happened before 2025-10-01"),
        (("a", "--to", "gone@x.com", "--yes"), 3, "the account of IB gone@x.com is not active"),
        (("--to", "two@x.com", "--yes"), 2, "say which leads: name them, or --from IB"),
        (("a", "--from", "one@x.com", "--to", "two@x.com", "--yes"), 2, "named leads and --from exclude each other"),
        (("nobody", "--to", "two@x.com", "--yes"), 3, "there is no lead 'nobody'"),
    ):
        done = ibctl("leads", "transfer", *arguments)
        assert done.exit_code == exit_code
        assert message in done.stderr
    assert transfers(platform) == []


@given(st.integers(1, 12), st.sets(st.integers(1, 12)))
def test_the_first_open_month_follows_the_last_settled_one(earliest: int, sealed: set[int]) -> None:
    months = [Month(2025, number) for number in sealed]
    found = sharing_rules.first_open(Month(2025, earliest), months)
    assert found == max([Month(2025, earliest), *(month.next for month in months)])
    assert found == Month(2025, earliest) or found.previous in months


def test_cron_shares_a_list_from_a_pipe(platform: Platform, process: Run) -> None:
    platform.user("a@x.com")
    platform.lead(id="l1")
    done = process("leads", "assign", "-", "--round-robin", "all", input="l1\n")
    assert (done.exit_code, owners(platform)) == (0, {"l1": "a@x.com"})
