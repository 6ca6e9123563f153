"""What a campaign is called, and what is made of what Facebook tells about one.

Everything that is made for one campaign bears its *tag* in its name: `US leads [ibctl:8f2c1d3a90]`. The tag follows
from the ad account and the campaign's name alone, so that a second run finds what a first one left, whatever became of
the database in between: Graph has no other way to keep two runs from making two.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ibctl.errors import UsageError

# Facebook's limit for the name of an ad set is 400; the tag needs a few of them.
LONGEST_NAME = 200
STATUSES = ("DRAFT", "ACTIVE", "PAUSED", "COMPLETED", "ERROR")
GONE = "Facebook has this campaign no longer"


# ---------------------------------------------------------------------------------------------------------------- names


def tag(account: str, name: str) -> str:
    """Return the tag of a campaign with this name in an ad account (`act_…`)."""
    return f"ibctl:{hashlib.sha256(f'{account}/{name}'.encode()).hexdigest()[:10]}"


def tagged(name: str, mark: str) -> str:
    """Return the name that a thing has at Facebook."""
    return f"{name} [{mark}]"


_TAGGED = re.compile(r"(.*) \[(ibctl:[0-9a-f]{10})\]", re.DOTALL)


def untagged(name: str) -> tuple[str, str | None]:
    """Return a name without its tag, and the tag if it has one."""
    found = _TAGGED.fullmatch(name)
    return (found[1], found[2]) if found else (name, None)


def campaign_name(text: str) -> str:
    """Read the name of a new campaign. Raises UsageError."""
    name = " ".join(text.split())
    if not name or "\0" in name or len(name) > LONGEST_NAME:
        raise UsageError(f"--name: a campaign's name has 1 to {LONGEST_NAME} characters")
    if untagged(name)[1] is not None:
        raise UsageError(f"--name '{name}': leave the tag out, it is added")
    return name


# -------------------------------------------------------------------------------------------------- what Facebook tells


@dataclass(frozen=True)
class State:
    """A campaign's status in the shared tables, and why it is ERROR."""

    status: str
    error: str | None = None


def state(
    effective: str, *, stop: datetime | None, trouble: str, now: datetime, before: str | None = None
) -> State:  # fmt: skip
    """Return what a campaign's `effective_status` means; `before` is what it was taken for so far.

    `trouble` is what keeps all of its ads from being shown. A word that Facebook is yet to invent changes nothing.
    """
    if effective in ("ARCHIVED", "DELETED"):
        return State("COMPLETED")
    if effective == "WITH_ISSUES" or (trouble and effective == "ACTIVE"):
        return State("ERROR", trouble or "Facebook reports issues with it")
    if stop is not None and stop <= now:
        return State("COMPLETED")
    if effective in ("ACTIVE", "PAUSED"):
        return State(effective)
    return State(before or "PAUSED")


@dataclass(frozen=True)
class Figures:
    """What a campaign brought. `ctr` is percent; `cpc` and `cpl` are in the account's currency; `roas` is a factor."""

    spent: Decimal = Decimal(0)
    impressions: int = 0
    clicks: int = 0
    leads: int = 0
    conversions: int = 0
    value: Decimal = Decimal(0)

    @property
    def ctr(self) -> Decimal:
        """Clicks per 100 impressions, of all clicks, as Facebook shows it."""
        return _ratio(Decimal(self.clicks) * 100, self.impressions)

    @property
    def cpc(self) -> Decimal:
        """What a click cost."""
        return _ratio(self.spent, self.clicks)

    @property
    def cpl(self) -> Decimal:
        """What a lead cost."""
        return _ratio(self.spent, self.leads)

    @property
    def roas(self) -> Decimal:
        """Return on ad spend: the value of purchases by what was spent."""
        return _ratio(self.value, self.spent)


def _ratio(dividend: Decimal, divisor: Decimal | int) -> Decimal:
    """0 where there is nothing to divide by."""
    return dividend / divisor if divisor else Decimal(0)
