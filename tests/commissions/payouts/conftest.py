"""A batch of which money came back."""

from __future__ import annotations

import pytest

from tests.commissions.conftest import Platform
from tests.commissions.payout_cases import create, statuses, two
from tests.commissions.payouts.returned_cases import EXPORT, A, Run, reported


@pytest.fixture
def returned(platform: Platform, ibctl: Run) -> Platform:
    """File 1 of batch 2025-10-1 went out; a@x.y's 100.00 USD were PAID by it and came back; of b@x.y's 50.25 nothing
    is known."""
    two(platform)
    create(ibctl)
    assert ibctl(*EXPORT).exit_code == 0
    reported(ibctl, f"{A} 100.00 04 debit")
    reported(ibctl, f"{A} 100.00 06 credit")
    assert statuses(platform.sql)["a@x.y"] == "PAID"
    return platform
