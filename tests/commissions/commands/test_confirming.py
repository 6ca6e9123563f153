"""What was confirmed at a terminal is what is done, or nothing is."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import CREATE, payments, statuses, two
from tests.conftest import Result, command

Run = Callable[..., Result]
Sql = Callable[..., list[tuple[Any, ...]]]


class Terminal:
    """The other end of a terminal at which a command was typed."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "dumb", "COLUMNS": "200"}
        self.process = subprocess.Popen(
            command(arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.said = ""

    def wait_for(self, words: str) -> None:
        while words not in self.said:
            self.said += os.read(self.ours, 4096).decode()

    def answer(self, word: str) -> int:
        """Answer, and return how the command ended."""
        os.write(self.ours, f"{word}\n".encode())
        try:
            while part := os.read(self.ours, 4096):
                self.said += part.decode()
        except OSError:
            pass  # Linux says so when the other end is closed
        return self.process.wait(timeout=60)


@contextmanager
def asked(*arguments: str) -> Iterator[Terminal]:
    """A command that waits for an answer."""
    terminal = Terminal(arguments)
    try:
        terminal.wait_for("Go on?")
        yield terminal
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.ours)


@pytest.mark.parametrize(("answer", "code", "made"), [("y", 0, 2), ("n", 3, 0)])
def test_a_batch_is_made_when_what_it_pays_is_confirmed(
    platform: Platform, sql: Sql, answer: str, code: int, made: int
) -> None:
    two(platform)
    with asked(*CREATE) as terminal:
        assert terminal.answer(answer) == code, terminal.said
    assert "pay out 2025-10 by bank_transfer: 2 IBs, 150.25 USD" in terminal.said
    assert len(payments(sql)) == made


def test_nothing_is_done_when_it_would_be_something_else_by_the_time_of_the_answer(
    platform: Platform, sql: Sql
) -> None:
    two(platform)
    with asked(*CREATE) as terminal:
        sql('UPDATE "IbCommission" SET "paymentStatus" = \'HELD\' WHERE "totalPayout" = 100')
        assert terminal.answer("y") == 3
    assert "it is now: pay out 2025-10 by bank_transfer: 1 IB, 50.25 USD; nothing was written" in terminal.said
    assert statuses(sql) == {"a@x.y": "HELD", "b@x.y": "PENDING"}


def test_a_true_up_books_what_was_shown_or_nothing(platform: Platform, sql: Sql, ibctl: Run) -> None:
    ib = platform.user("ib@x.y")
    platform.lead(ib, "2025-10-03", "2025-10-04", 100)
    assert ibctl("commissions", "close", "2025-10", "--yes").exit_code == 0
    late = platform.lead(ib, "2025-10-03", "2025-10-05", 100)
    with asked("commissions", "true-up", "2025-10") as terminal:
        sql('UPDATE "Lead" SET "cpaEarned" = 200 WHERE id = %s', late)
        assert terminal.answer("y") == 3
    assert "book 1 IB, +30.00 USD into 2025-11" in terminal.said
    assert "something else is different by now; nothing was written" in terminal.said
    with asked("commissions", "true-up", "2025-10") as terminal:
        assert terminal.answer("y") == 0
    assert sql("SELECT amount FROM ibctl.adjustment") == [(60,)]
