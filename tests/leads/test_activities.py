from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.conftest import Result
from tests.leads.conftest import Platform

Run = Callable[..., Result]


def test_an_activity_is_noted_down_listed_and_taken_back(platform: Platform, ibctl: Run) -> None:
    platform.lead(id="l1", email="a@x.com")
    added = ibctl("leads", "activity", "add", "A@x.com", "call", "--description", "asked", "--metadata", '{"n": 1.5}')
    assert added.exit_code == 0
    ibctl("leads", "activity", "add", "l1", "email")
    listed = ibctl("leads", "activity", "list", "a@x.com", "--format", "json")
    rows = json.loads(listed.stdout)
    assert [(one["activityType"], one["description"], one["metadata"]) for one in rows] == [
        ("email", None, None),
        ("call", "asked", {"n": 1.5}),
    ]
    assert platform.sql('SELECT count(*) FROM "LeadActivity" WHERE metadata IS NULL') == [(1,)]
    cut = ibctl("leads", "activity", "list", "l1", "--limit", "1")
    assert "the newest 1 of 2 activities" in cut.stderr
    ibctl("undo", "2", "--yes")
    assert [one["activityType"] for one in json.loads(
        ibctl("leads", "activity", "list", "l1", "--format", "json").stdout
    )] == ["call"]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("nobody", "call"), 3, "there is no lead 'nobody'"),
        (("l1", " "), 2, "TYPE is empty"),
        (("l1", "x" * 101), 2, "TYPE is too long"),
        (("l1", "call", "--description", "a\0b"), 2, "--description holds a NUL character"),
        (("l1", "call", "--metadata", "{a}"), 2, "--metadata is not JSON"),
        (("l1", "call", "--metadata", "[NaN]"), 2, "NaN is not JSON"),
        (("l1", "call", "--metadata", '"\\u0000"'), 2, "--metadata holds a NUL character"),
        (("l1", "call", "--metadata", '{"a": "\\ud800"}'), 2, "half a surrogate pair (like \\ud800)"),
        (("l1", "call", "--metadata", '{"\\udfff": 1}'), 2, "half a surrogate pair"),
        (("l1", "call", "--metadata", '{"a": 1e999}'), 2, "--metadata is not JSON: Out of range"),
        (("l1", "call", "--metadata", "null"), 2, "says nothing"),
    ],
)
def test_what_cannot_be_noted_down_is_refused(
    platform: Platform, ibctl: Run, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    platform.lead(id="l1")
    done = ibctl("leads", "activity", "add", *arguments)
    assert done.exit_code == exit_code
    assert message in done.stderr
    assert platform.sql('SELECT count(*) FROM "LeadActivity"') == [(0,)]
