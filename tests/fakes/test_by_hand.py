"""`python -m tests.fakes.graph`: the server that a newcomer starts by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.conftest import ROOT
from tests.fakes.graph import Broken, Fault, __main__, seed


@contextmanager
def started(*options: str) -> Iterator[str]:
    """Start the server in a process of its own; yields its address."""
    command = [sys.executable, "-m", "tests.fakes.graph", "--port", "0", *options]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ})
    try:
        assert run.stdout is not None
        yield run.stdout.readline().split()[5].rstrip(";")
    finally:
        run.kill()
        run.communicate()


def ask(url: str, path: str, token: str = seed.ANNA, **params: Any) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(
        f"{url}/v26.0/{path}", params=params, headers={"Authorization": f"Bearer {token}"}, timeout=20
    ).json()
    return answer


def test_it_fails_as_asked_for_and_then_no_more() -> None:
    with started("--fail", "17/2446079", "--on", "insights", "--times", "2", "--after", "1") as url:
        answers = [ask(url, "act_900/insights", fields="spend") for _ in range(4)]
        assert [answer.get("error", {}).get("code") for answer in answers] == [None, 17, 17, None]
        assert answers[1]["error"]["error_subcode"] == 2446079
        assert ask(url, "me")["id"] == "1001"
        # A token that was exchanged before the server was started again is as good as it was.
        assert ask(url, "me", "EAALONG0007of1001")["id"] == "1001"
        assert ask(url, "me", "EAALONG0007of9")["error"]["code"] == 190


@pytest.mark.parametrize("name", __main__.FAILURES)
def test_it_can_give_no_proper_answer(name: str) -> None:
    assert isinstance(__main__.failure(name), Broken)


def test_a_failure_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = __main__.failure("-2/2490547")
    assert isinstance(found, Fault)
    assert (found.error["code"], found.error["error_subcode"]) == (-2, 2490547)
    with pytest.raises(SystemExit):
        __main__.options().parse_args(["--fail", "soon"])
    assert "write a code like 17/2446079" in capsys.readouterr().err
