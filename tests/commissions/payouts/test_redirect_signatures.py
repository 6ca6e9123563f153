"""What came back and goes to another account needs a signature of its own: for that account, and by somebody else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import IBANS, act_as, create, two
from tests.commissions.payouts.returned_cases import APPROVE, EXPORT, A, Run, paid_to, payee, reported

Sql = Callable[..., list[tuple[Any, ...]]]


def test_another_account_needs_another_signature_where_signatures_are_asked_for(
    returned: Platform, sql: Sql, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(monkeypatch, "anna")
    assert ibctl(*APPROVE).exit_code == 0
    monkeypatch.setenv("IBCTL_REQUIRE_APPROVAL", "true")
    act_as(monkeypatch, "tester")
    payee(ibctl, "a@x.y")
    refused = ibctl(*EXPORT)
    assert (refused.exit_code, "would go to another account" in refused.stderr) == (3, True)
    assert "for a@x.y: somebody else than tester has to approve it once more" in refused.stderr
    assert sql("SELECT count(*) FROM ibctl.payout_order") == [(1,)]
    assert ibctl(*APPROVE).exit_code == 3
    act_as(monkeypatch, "anna")
    signed = ibctl(*APPROVE)
    assert signed.exit_code == 0
    assert f"Warning: {A} came back, and goes to a@x.y's R… V…, ES… 1332" in signed.stderr
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2) == {A: ("100.00", IBANS[2])}
    again = ibctl(*APPROVE)
    assert (again.exit_code, "was approved already, by anna" in again.stderr) == (3, True)


def test_a_signature_from_before_the_return_covers_no_new_account(
    platform: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payee was changed, then the batch signed as it was made, and then its money came back."""
    two(platform)
    create(ibctl)
    payee(ibctl, "a@x.y")
    monkeypatch.setenv("IBCTL_REQUIRE_APPROVAL", "true")
    act_as(monkeypatch, "anna")
    assert ibctl(*APPROVE).exit_code == 0
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to()[A] == ("100.00", IBANS[0])
    reported(ibctl, f"{A} 100.00 04 debit", f"{A} 100.00 06 credit")
    assert "would go to another account" in ibctl(*EXPORT).stderr
    assert ibctl(*APPROVE).exit_code == 0
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2)[A] == ("100.00", IBANS[2])


@pytest.fixture
def redirected(returned: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Bob signed the batch, and signed again when a@x.y's payee was set to the Spanish account after the French one
    of mallory's. Change sets: 6 is mallory's, 7 carol's."""
    monkeypatch.setenv("IBCTL_REQUIRE_APPROVAL", "true")
    act_as(monkeypatch, "bob")
    assert ibctl(*APPROVE).exit_code == 0
    for actor, account in (("mallory", IBANS[1]), ("carol", IBANS[2])):
        act_as(monkeypatch, actor)
        payee(ibctl, "a@x.y", account)
    act_as(monkeypatch, "bob")
    assert ibctl(*APPROVE).exit_code == 0
    return returned


def test_a_signature_covers_the_account_and_not_one_that_an_undo_brings_back(redirected: Platform, ibctl: Run) -> None:
    assert ibctl("undo", "7", "--yes").exit_code == 0
    refused = ibctl(*EXPORT)
    assert (refused.exit_code, "would go to another account" in refused.stderr) == (3, True)
    assert not Path("out/payout-2025-10-1-2.csv").exists()


def test_the_account_that_was_signed_is_paid_and_is_stored_nowhere_in_plain(
    redirected: Platform, sql: Sql, ibctl: Run
) -> None:
    payee(ibctl, "a@x.y")  # the same account once more: it is what was signed
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2) == {A: ("100.00", IBANS[2])}
    ((digests,),) = sql('SELECT "approvedRedirects" FROM ibctl.payout_batch')
    assert [len(one) for one in digests] == [64]
    assert all(IBANS[2] not in str(row) for row in sql("SELECT before, after FROM ibctl.change"))


@pytest.mark.parametrize("actor", ["carol", " Carol "])
def test_whoever_named_an_account_does_not_sign_for_it(
    returned: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch, actor: str
) -> None:
    act_as(monkeypatch, "carol")
    payee(ibctl, "a@x.y")
    act_as(monkeypatch, actor)
    own = ibctl(*APPROVE)
    words = f"pays now for a@x.y was named by {actor.strip()}: somebody else has to approve it"
    assert (own.exit_code, words in " ".join(own.stderr.split())) == (3, True), own.stderr
    act_as(monkeypatch, "bob")
    assert ibctl(*APPROVE).exit_code == 0


def test_nor_does_whoever_named_it_before_another_brought_it_back(
    redirected: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(monkeypatch, "dora")
    assert ibctl("undo", "7", "--yes").exit_code == 0
    for actor, code in (("mallory", 3), ("dora", 3), ("bob", 0)):
        act_as(monkeypatch, actor)
        assert ibctl(*APPROVE).exit_code == code
    assert ibctl(*EXPORT).exit_code == 0
    assert paid_to(2) == {A: ("100.00", IBANS[1])}


@pytest.mark.parametrize("actor", [" tester ", "TESTER"])
def test_who_made_a_batch_does_not_sign_it_by_a_name_that_looks_the_same(
    returned: Platform, ibctl: Run, monkeypatch: pytest.MonkeyPatch, actor: str
) -> None:
    act_as(monkeypatch, actor)
    ended = ibctl(*APPROVE)
    assert (ended.exit_code, "somebody else has to approve it" in ended.stderr) == (3, True)
