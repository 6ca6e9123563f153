"""What is shown of a change, what must never be, and an undo's outcome in words. Plain values only."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ibctl import days, output
from ibctl.errors import UsageError

HIDDEN = "(secret)"

# Operations as a change records them, and as words for people.
WRITTEN = {"insert": "inserted", "update": "updated", "delete": "deleted"}
# What an undo does to a row, by the operation that it carries out.
TAKEN_BACK = {"delete": "deleted", "update": "set back", "insert": "put back"}

Image = Mapping[str, Any]


def masked(image: Image | None, secret: Collection[str]) -> dict[str, Any] | None:
    """Return a row's image without its secrets: neither cipher nor hash is ever shown."""
    if image is None:
        return None
    return {key: HIDDEN if key in secret and value is not None else value for key, value in image.items()}


def differing(before: Image | None, after: Image | None, order: Sequence[str] = ()) -> list[str]:
    """Return the fields that a change touched; of a new or deleted row, those with a value.

    Those that `order` has come first, in that order: an image itself keeps none.
    """
    old, new = before or {}, after or {}
    touched = {key for key in {**old, **new} if old.get(key) != new.get(key)}
    return [key for key in order if key in touched] + sorted(touched.difference(order))


def standing_undos(undos: Iterable[tuple[int, int]]) -> dict[int, int]:
    """Return, by change set, the newest one that took it back and was not taken back itself.

    `undos` are pairs (undone, undo); an undo has the higher number.
    """
    found: dict[int, int] = {}
    for undone, undo in sorted(undos, key=lambda pair: pair[1], reverse=True):
        # What could have undone it has been looked at before.
        if undo not in found:
            found.setdefault(undone, undo)
    return found


def by_dependency(tables: Iterable[str], references: Collection[tuple[str, str]]) -> list[str]:
    """Sort tables so that each comes after those that it refers to; `references` are pairs (table, referred table).

    Tables that refer to each other in a circle come in any order.
    """
    depth = dict.fromkeys(sorted(tables), 0)
    # As many rounds as there are tables reach the bottom of any chain, and end in a circle too.
    for _ in depth:
        for child, parent in references:
            if child != parent and child in depth and parent in depth:
                depth[child] = max(depth[child], min(depth[parent] + 1, len(depth)))
    return sorted(depth, key=lambda table: depth[table])


# ------------------------------------------------------------------------------------------------------------- the time


def moment(option: str, text: str, *, end: bool = False) -> dt.datetime:
    """Read a day or a time in UTC: `2025-10-31`, `2025-10-31T14:05`; with `end`, a bare day means its last moment.

    Raises UsageError naming the option.
    """
    try:
        day = days.parse(text[:10])
        rest = text[10:].strip().removeprefix("T").removesuffix("Z")
        time = dt.time.fromisoformat(rest) if rest else dt.time.max if end else dt.time.min
    except ValueError:
        raise UsageError(
            f"{option}: '{text}' is no time: write it in UTC like 2025-10-31 or 2025-10-31T14:05"
        ) from None
    if time.tzinfo is not None:
        raise UsageError(f"{option}: '{text}' has a zone: write the time in UTC, like 2025-10-31T14:05")
    return dt.datetime.combine(day, time)


# ------------------------------------------------------------------------------------------------------------- in words


def total(counts: Mapping[str, Mapping[str, int]]) -> int:
    """Return how many rows a change set wrote."""
    return sum(sum(kinds.values()) for kinds in counts.values())


def in_words(counts: Mapping[str, Mapping[str, int]], verbs: Mapping[str, str] = WRITTEN) -> str:
    """Write `{"Lead": {"insert": 9998}}` as "9,998 Lead inserted"."""
    return ", ".join(
        f"{count:,} {table} {verbs[kind]}" for table, kinds in counts.items() for kind, count in kinds.items() if count
    )


def why(reason: str | None, detail: Mapping[str, Any], writer: str | None) -> str:
    """Say why a row was not taken back; `writer` is the later change set that is behind it, None when ibctl was not."""
    by = f"by {writer}" if writer else "outside ibctl"
    match reason:
        case "edited":
            return f"edited since {by}{_at(detail) if writer is None else ''}"
        case "deleted" | "recreated":
            return f"{'deleted' if reason == 'deleted' else 'made again'} since {by}"
        case "undone":
            return f"taken back already {by}"
        case "same":
            return "is as it was before already"
        case "counted":
            return f"counted in the commission of {detail['ib']} for {detail['month']}, which is {detail['status']}"
        case "sealed":
            return f"the commission of {detail['ib']} for {detail['month']} is {detail['status']}"
        case "closed":
            return f"{detail['month']} is closed: `ibctl commissions reopen {detail['month']}` comes first"
        case "month":
            return (
                f"goes with the closing of {detail['month']}, which cannot be taken back: something rests on it; "
                f"`ibctl commissions reopen {detail['month']}` takes that back too, where it can"
            )
        case "hold":
            effect = "holds it again, or says where it went" if detail["way"] == "hold" else "lets it go"
            return (
                f"a hold, its commission's status and what was carried on go back only together: "
                f"`ibctl commissions {detail['way']} {detail['ib']} {detail['month']}` {effect}"
            )
        case "merge":
            return f"goes with a merge, of which lead {detail['lead']} cannot be set back"
        case "reopened":
            return (
                f"{detail['month']} was opened again: `ibctl commissions close {detail['month']}` closes it; "
                "a clawback goes back by the undo of its own change set"
            )
        case "plan":
            return f"commissions of {detail['month']} were calculated by {detail['plan']}, version {detail['version']}"
        case "terms":
            return f"holds in {detail['month']}, which is closed: assign anew what is to hold from {detail['next']} on"
        case "payout":
            return "a payout is not undone: `ibctl commissions payouts cancel` gives back what is not paid"
        case "evidence":
            return "a payment is PAID by it, or it was taken back: `ibctl commissions payouts reconcile` takes files in"
        case "referenced":
            return f"{_referrers(detail)}: delete {'that' if detail['rows'] == 1 else 'those'} first"
        case "linked":
            return f"{_referrers(detail)} and would be cut off"
        case "companion":
            return f"goes with {detail['table']} {detail['id']}, which stays as it is"
        case "no table":
            return "its table does not exist any more"
        case "other columns":
            return f"its table has other columns now ({detail['columns']})"
        case _:
            return str(detail["message"])


def relied(batch: str, file: int, payments: Sequence[str]) -> str:
    """Warn of a file of payouts that pays because of evidence which is taken back, and say what to do about it."""
    return (
        f"file {file} of batch {batch} was written on the ground of what is taken back, and pays "
        f"{output.some(payments)}: if nobody has handed it in, `ibctl commissions payouts export {batch} --instead-of "
        f"{file}` withdraws it; else stop it at the bank, or have the money returned"
    )


def _referrers(detail: Mapping[str, Any]) -> str:
    count, table = detail["rows"], detail["table"]
    return f"1 row of {table} refers to it" if count == 1 else f"{count:,} rows of {table} refer to it"


def _at(detail: Mapping[str, Any]) -> str:
    return f" (updatedAt {detail['updatedAt']})" if detail.get("updatedAt") else ""


def columns_changed(then: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> str | None:
    """Say how a table's columns, pairs of name and type, differ from those of a recorded image; None: they do not."""
    old, new = ({str(name): str(kind) for name, kind in columns} for columns in (then, now))
    other = {name for name in old.keys() & new.keys() if old[name] != new[name]}
    found = (("new", new.keys() - old.keys()), ("gone", old.keys() - new.keys()), ("other type", other))
    parts = [f"{label}: {', '.join(sorted(names))}" for label, names in found if names]
    return "; ".join(parts) or ("in another order" if list(old) != list(new) else None)


def refusal(state: str, message: str, detail: str | None) -> str:
    """Put the database's refusal into words.

    `detail` is only used where it names a key: for other errors it may show the whole row, secrets included.
    """
    if state == "23505" and detail:
        return f"another row has what must be unique: {detail}"
    if state == "23503" and detail:
        return f"a row that belongs to it is missing, or still refers to it: {detail}"
    return f"the database refuses: {message}"
