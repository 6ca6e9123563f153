"""On what terms a file is imported: what may be written, how a row finds its lead, and what happens where both differ.

    overwrite    the row's value replaces the lead's
    fill-empty   the row's value is taken where the lead has none (or 0, or `unknown`)
    never        the lead's value stays
    newer        the row's value replaces the lead's where the row's date (`newer-by`) is later than the lead's
    error        where both say something and it is not the same, the row is refused (code `conflict`)

An empty cell says nothing and changes nothing, whatever the rule. Facts with dates (deposit, first trade,
qualification) and the status only ever move forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ibctl.errors import UsageError
from ibctl.leads import rules

MODES = ("create", "update", "upsert")
COLLISIONS = ("overwrite", "fill-empty", "never", "newer", "error")
# What `newer` may compare: a date that rows have and leads too.
MARKS_OF_AGE = (*rules.DATES, "updatedAt")
# What happens unless a mapping says otherwise. A file fills gaps and reports facts and money; it takes a lead from no
# IB, and moves no lead into another month.
_USUAL = {
    **dict.fromkeys(rules.ALIASES, "fill-empty"),
    "userId": "error",
    "leadCapturedAt": "never",
    **dict.fromkeys(("status", "depositedAt", "tradingStartAt", "qualifiedAt", "ftdEarned", "cpaEarned"), "overwrite"),
}
# Follows from others: there is no rule for it.
_DERIVED = ("ib", "totalEarned")
FIELDS = tuple(name for name in _USUAL if name not in _DERIVED)


@dataclass(frozen=True)
class Terms:
    """What an import may do. `match` is the cascade of fields by which a row may find its lead."""

    mode: str = "create"
    match: Sequence[str] = ("trackingToken", "email", "phone")
    collisions: Mapping[str, str] = field(default_factory=dict)
    newer_by: str | None = None
    # New leads without an owner are shared among all active IBs by turns.
    round_robin: bool = False
    # Rows that name no owner are refused.
    owner_required: bool = False
    all_or_nothing: bool = False

    def rule(self, name: str) -> str:
        """Return what happens where a row and its lead differ in a field."""
        return self.collisions.get(name, _USUAL[name])

    def as_json(self) -> dict[str, Any]:
        """Return the terms as the batch keeps them."""
        return {
            "mode": self.mode, "match": list(self.match), "newerBy": self.newer_by,
            "collisions": {name: self.rule(name) for name in FIELDS} if self.mode != "create" else {},
            "roundRobin": self.round_robin, "ownerRequired": self.owner_required,
        }  # fmt: skip


def mode(text: str) -> str:
    """Read `--mode`. Raises UsageError."""
    if text not in MODES:
        raise UsageError(f"--mode '{text}': write {', '.join(MODES[:-1])} or {MODES[-1]}")
    return text


def match(text: str) -> tuple[str, ...]:
    """Read `--match`: fields that name a lead, the surest first. Raises UsageError."""
    by_name = {name.lower(): name for name in rules.CONTACTS}
    names = [name.strip().replace("-", "").lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in by_name]
    if unknown or not names:
        raise UsageError(f"--match '{text}': name some of {', '.join(rules.CONTACTS)}, separated by commas")
    if len(set(names)) < len(names):
        raise UsageError(f"--match '{text}' names a field twice")
    return tuple(by_name[name] for name in names)
