from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibctl.errors import UsageError
from ibctl.leads.duplicates import service as duplicates
from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]


def groups(ibctl: Run, *options: str) -> list[list[str]]:
    done = ibctl("leads", "dupes", "--format", "json", *options)
    assert done.exit_code == 0
    found: dict[int, list[str]] = {}
    for row in json.loads(done.stdout):
        found.setdefault(row["group"], []).append(row["id"])
    return list(found.values())


def test_one_mailbox_written_in_several_ways_is_one_person(platform: Platform, ibctl: Run) -> None:
    for number, email in enumerate(["J.Doe@gmail.com", "jdoe+fx@GoogleMail.com", "jdoe@gmail.com", "jdoe@example.com"]):
        platform.lead(id=f"g{number}", email=email, leadCapturedAt=f"2025-10-0{number + 1}")
    platform.lead(id="e1", email="j.doe+1@example.com", leadCapturedAt="2025-09-01")
    platform.lead(id="e2", email="j.doe@example.com", leadCapturedAt="2025-09-02")  # a dot counts outside Gmail
    platform.lead(id="x1", email="+tag@example.com", leadCapturedAt="2025-01-01")
    platform.lead(id="x2", email="no address", leadCapturedAt="2025-01-01")
    platform.lead(id="x3", email="", leadCapturedAt="2025-01-01")
    platform.lead(id="x4", email="", leadCapturedAt="2025-01-01")
    assert groups(ibctl) == [["g0", "g1", "g2"], ["e1", "e2"]]


def test_phones_and_tokens_are_compared_as_what_they_mean(platform: Platform, ibctl: Run) -> None:
    for number, phone in enumerate(["+49 170 1234567", "0049170-1234567", "+491701234567", "+491701234568"]):
        platform.lead(id=f"p{number}", phone=phone, leadCapturedAt=f"2025-10-0{number + 1}")
    platform.lead(id="t1", trackingToken="Abc", leadCapturedAt="2025-09-01")
    platform.lead(id="t2", trackingToken="aBC", leadCapturedAt="2025-09-02")
    for number in range(3):
        platform.lead(id=f"n{number}", phone="0000000000", leadCapturedAt="2025-01-01")
        platform.lead(id=f"s{number}", phone="110", leadCapturedAt="2025-01-01")
    assert groups(ibctl) == [["p0", "p1", "p2"], ["t1", "t2"]]
    assert groups(ibctl, "--by", "token") == [["t1", "t2"]]


def test_leads_that_a_third_one_links_are_one_group_and_their_evidence_is_named(platform: Platform, ibctl: Run) -> None:
    ib, other = platform.user("ib@x.com"), platform.user("other@x.com")
    platform.lead(id="a", email="a@x.com", userId=ib, leadCapturedAt="2025-10-01", totalEarned=0.1)
    platform.lead(id="b", email="A@x.com", phone="+4917012345678", userId=other, leadCapturedAt="2025-10-02")
    platform.lead(id="c", email="c@x.com", phone="+4917012345678", leadCapturedAt="2025-10-03")
    platform.lead(id="y", email="y@x.com", leadCapturedAt="2025-11-01")
    platform.lead(id="z", email="y+1@x.com", leadCapturedAt="2025-11-02")
    assert groups(ibctl) == [["y", "z"], ["a", "b", "c"]]
    assert groups(ibctl, "--ib", "ib@x.com") == [["a", "b", "c"]]
    assert groups(ibctl, "--by", "email") == [["y", "z"], ["a", "b"]]
    rows = json.loads(ibctl("leads", "dupes", "--ib", "ib@x.com", "--format", "json").stdout)
    assert [(row["evidence"], row["ib"]) for row in rows] == [
        ("email", "ib@x.com"),
        ("email, phone", "other@x.com"),
        ("phone", None),
    ]
    assert rows[0]["totalEarned"] == 0.1
    assert ibctl("leads", "dupes", "--format", "ids").stdout == "y\nz\na\nb\nc\n"


def test_the_limit_is_of_whole_groups(platform: Platform, ibctl: Run) -> None:
    for number in range(3):
        for tag in ("a", "b", "c"):
            platform.lead(email=f"p{number}+{tag}@x.com", leadCapturedAt=f"2025-10-0{number + 1}")
    done = ibctl("leads", "dupes", "--limit", "2", "--format", "json")
    assert [row["group"] for row in json.loads(done.stdout)] == [1] * 3 + [2] * 3
    assert "the newest 2 of 3 groups" in done.stderr
    platform.sql('DELETE FROM "Lead"')
    assert ibctl("leads", "dupes").stderr == "no groups of duplicates\n"


def test_evidence_that_does_not_exist_is_refused(ibctl: Run) -> None:
    done = ibctl("leads", "dupes", "--by", "email,name")
    assert done.exit_code == 2
    assert "--by 'name' is no evidence: write some of email, phone, token" in done.stderr
    with pytest.raises(UsageError):
        duplicates.kinds(" , ")


@given(st.lists(st.lists(st.integers(1, 30), min_size=2, max_size=5), max_size=12))
def test_groups_are_the_connected_sets_whatever_the_order(sets: list[list[int]]) -> None:
    joined = duplicates.Groups()
    for kind, members in enumerate(sets):
        joined.join(members, kind % 3)
    expected: list[set[int]] = []
    for members in sets:
        touched = [one for one in expected if one & set(members)]
        expected = [one for one in expected if one not in touched] + [set(members).union(*touched)]
    found: dict[int, set[int]] = {}
    labelled: dict[str, Any] = joined.labelled()
    for number, label in zip(labelled["numbers"], labelled["labels"], strict=True):
        found.setdefault(label, set()).add(number)
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, expected))
    assert all(label == min(members) for label, members in found.items())
