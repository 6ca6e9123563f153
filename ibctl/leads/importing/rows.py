"""The rows of a file of leads, checked many at a time and made ready for COPY.

A call for each of eight million cells is most of what an import could cost. So a batch is turned into columns: a value
that a pattern knows to be right passes as it is, one that has been seen before is looked up, and only the rest goes
through the parsers of `rules`. Values stay text, in the form in which PostgreSQL reads them: moments as naive UTC
(`2025-10-31T14:30:00.000`, which sort as they follow one another), amounts with a point.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import islice, repeat

from ibctl import rendering
from ibctl.errors import RequestError
from ibctl.imports import RowError
from ibctl.leads import contacts, dates, rules
from ibctl.tabular import misfit

# A field's values in a batch, row by row: its text, None for an empty cell, or why the row is refused.
Cells = Sequence[str]
Values = list[str | None]
Read = str | None | RowError

# What a column repeats (brokers, names, days) is remembered up to so many values.
REMEMBERED = 20_000
_PLAIN_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}").fullmatch
_PLAIN_EMAIL = contacts.PLAIN_EMAIL.fullmatch
_PLAIN_MOMENT = dates.PLAIN.fullmatch
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Owner:
    """An account that a row may name as the owner: its id, or the code and the reason why it owns no leads."""

    id: str
    code: str = ""
    reason: str = ""


@dataclass
class Batch:
    """Some rows as read: a list of values for each of the reader's fields, and the refused ones by their place."""

    numbers: Sequence[int]
    values: list[Values]
    refused: dict[int, RowError] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """What holds besides the file: `constants` for every row, `defaults` for rows that say nothing, and the
    `translations` of a field's words (by the word in lower case). All by field, as a file would write them.
    """

    constants: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class RowReader:
    """Checks the rows of one file, whose fields are in `columns`; `fields` names the values that it gives.

    `owners` finds accounts by id and by lower-case email; `given.defaults` may hold a `userId` (an id) and a `source`.
    `now` is naive UTC. Where a row only `creates` leads, one without a leadCapturedAt is captured now.
    """

    def __init__(
        self,
        columns: Mapping[str, int],
        width: int,
        *,
        owners: Mapping[str, Owner],
        reading: rules.Reading,
        now: datetime,
        given: Given | None = None,
        creates: bool = True,
        owner_required: bool = False,
    ) -> None:
        self.width, self.creates, self.owner_required = width, creates, owner_required
        self._given = given or Given()
        self._owners = owners
        sources = {**columns, **dict.fromkeys(self._given.constants)}
        self._owner_names = [name for name in ("ib", "userId") if name in sources]
        own = [name for name in sources if name not in self._owner_names]
        added = ["userId"] if self._owner_names else []
        self.fields = [*own, *added, *(name for name in self._given.defaults if name not in (*own, *added))]
        self._columns = columns
        self._readers = {name: self._reader(name, reading) for name in (*own, *self._owner_names)}
        self._now = now.isoformat(timespec="milliseconds")
        self._constants = {name: self._constant(name, cell) for name, cell in self._given.constants.items()}

    def _constant(self, name: str, cell: str) -> Read:
        (value,) = self._readers[name]([cell])
        if isinstance(value, RowError):
            raise RequestError(f"the mapping's constant {name}: {value.message}")
        return value

    def read(self, rows: Sequence[tuple[int, Sequence[str]]]) -> Batch:
        """Return rows (their numbers and cells) as values, and those that are refused with the first reason found."""
        numbers, cells = zip(*rows, strict=True)
        batch = Batch(numbers, [])
        columns = self._turned(cells, batch.refused)
        values = {name: self._read(name, columns, len(rows), batch.refused) for name in self._readers}
        self._check(values, len(rows), batch.refused)
        if self._owner_names:
            values["userId"] = self._owner(values, batch.refused)
        for name, default in self._given.defaults.items():
            values[name] = [default if one is None else one for one in values.get(name, [None] * len(rows))]
        batch.values = [values[name] for name in self.fields]
        return batch

    # ------------------------------------------------------------------------------------------------------ one column

    def _turned(self, rows: Sequence[Sequence[str]], refused: dict[int, RowError]) -> list[Cells]:
        """Turn rows into columns; one with more or fewer cells than the header is refused, and counts as empty."""
        if any(len(cells) != self.width for cells in rows):
            blank = [""] * self.width
            for place, cells in enumerate(rows):
                if len(cells) != self.width:
                    refused[place] = RowError("cells", "", misfit(cells, self.width))
            rows = [cells if len(cells) == self.width else blank for cells in rows]
        return list(zip(*rows, strict=True))

    def _read(self, name: str, columns: list[Cells], count: int, refused: dict[int, RowError]) -> Values:
        index = self._columns.get(name)
        read = [self._constants[name]] * count if index is None else self._readers[name](columns[index])
        return _without_errors(read, refused)

    def _reader(self, name: str, reading: rules.Reading) -> Callable[[Cells], list[Read]]:
        """Return what reads a field's cells: by its pattern where most values are new, from memory otherwise."""
        one = self._one(name, reading)
        if name == "phone":
            plain = contacts.PLAIN_PHONES
            return lambda cells: [cell if plain[cell[:4]](cell) else one(cell) for cell in cells]
        pattern = _PATTERNS.get(name)
        if pattern is None or name in self._given.translations:
            remembered = _Remembered(one)
            return lambda cells: [remembered[cell] for cell in cells]
        return lambda cells: [cell if pattern(cell) else one(cell) for cell in cells]

    def _one(self, name: str, reading: rules.Reading) -> Callable[[str], Read]:
        """Return what reads one cell of a field."""
        if name in ("ib", "userId"):
            return lambda cell: self._named(name, rendering.unneutralise(cell.strip()))
        parse, words = reading.parser(name), self._given.translations.get(name, {})

        def read(cell: str) -> Read:
            if not (text := cell.strip()):
                return None
            if len(text) > rules.LONGEST_TEXT:
                return RowError("text_invalid", name, rules.too_long(text, rules.LONGEST_TEXT))
            try:
                return _as_text(parse(words.get(rendering.unneutralise(text).lower(), text))) or None
            except ValueError as exc:
                return rules.refusal(rules.CODES.get(name, "text_invalid"), name, str(exc))

        return read

    def _named(self, field: str, name: str) -> Read:
        """Return the id of the owner that a cell names."""
        name = self._given.translations.get(field, {}).get(name.lower(), name)
        if not name:
            return None
        owner = self._owners.get(name) or self._owners.get(name.lower())
        if owner is None:
            return rules.refusal("owner_unknown", field, f"there is no IB '{name}'")
        return rules.refusal(owner.code, field, owner.reason) if owner.code else owner.id

    # --------------------------------------------------------------------------------------------------- whole rows

    def _check(self, values: Mapping[str, Values], count: int, refused: dict[int, RowError]) -> None:
        """Refuse what the fields of a row cannot be together."""
        known = [values[name] for name in rules.CONTACTS if name in values] or [[None] * count]
        if None in known[0]:
            for place, names in enumerate(zip(*known, strict=True)):
                if not any(names):
                    refused.setdefault(place, RowError("contact_missing", "", rules.NO_CONTACT))
        for name in rules.DATES:
            for place in self._future(values.get(name)):
                moment = datetime.fromisoformat(values[name][place] or "")
                refused.setdefault(place, RowError("date_future", name, rules.future(moment)))
        self._check_order(values, count, refused)
        if "ftdEarned" in values and "cpaEarned" in values:
            self._check_sums(values, refused)
        if "totalEarned" in values:
            self._check_totals(values, count, refused)

    def _future(self, moments: Values | None) -> Iterable[int]:
        if not moments or max(filter(None, moments), default="") <= self._now:
            return ()
        return [place for place, moment in enumerate(moments) if moment is not None and moment > self._now]

    def _check_order(self, values: Mapping[str, Values], count: int, refused: dict[int, RowError]) -> None:
        captured, now = values.get("leadCapturedAt") or [None] * count, self._now if self.creates else ""
        for place, (qualified, capture) in enumerate(zip(values.get("qualifiedAt", ()), captured, strict=False)):
            if qualified is not None and qualified < (capture or now):
                moments = datetime.fromisoformat(capture or now), datetime.fromisoformat(qualified)
                if wrong := rules.before_capture(*moments):
                    refused.setdefault(place, RowError("date_order", "qualifiedAt", wrong))

    def _check_sums(self, values: Mapping[str, Values], refused: dict[int, RowError]) -> None:
        for place, (ftd, cpa) in enumerate(zip(values["ftdEarned"], values["cpaEarned"], strict=True)):
            # Hardly two amounts are long enough for it, and decimals of millions would be felt.
            if ftd and cpa and len(ftd) + len(cpa) > 12 and (wrong := rules.beyond(Decimal(ftd) + Decimal(cpa))):
                refused.setdefault(place, RowError("amount_invalid", "totalEarned", wrong))

    def _check_totals(self, values: Mapping[str, Values], count: int, refused: dict[int, RowError]) -> None:
        amounts = (values.get(name) or [None] * count for name in rules.AMOUNTS)
        for place, (ftd, cpa, total) in enumerate(zip(*amounts, strict=True)):
            if total is not None and Decimal(total) != (parts := Decimal(ftd or 0) + Decimal(cpa or 0)):
                message = f"totalEarned {total} is not ftdEarned + cpaEarned, which are {parts}"
                refused.setdefault(place, RowError("total_mismatch", "totalEarned", message))

    def _owner(self, values: Mapping[str, Values], refused: dict[int, RowError]) -> Values:
        """Return the owner of each row; where two columns name one, they must name the same."""
        first, *others = (values[name] for name in self._owner_names)
        if self.owner_required:
            for place, names in enumerate(zip(first, *others, strict=True)):
                if not any(names):
                    refused.setdefault(place, RowError("owner_missing", self._owner_names[0], "the row names no IB"))
        if not others:
            return first
        for place, (one, two) in enumerate(zip(first, others[0], strict=True)):
            if one is not None and two is not None and one != two:
                message = f"the row's columns {' and '.join(self._owner_names)} name different IBs"
                refused.setdefault(place, RowError("owner_unknown", self._owner_names[1], message))
        return [one if one is not None else two for one, two in zip(first, others[0], strict=True)]


# A value that matches needs no second look, whatever else the parser would do.
_PATTERNS: Mapping[str, Callable[[str], object]] = {
    "email": _PLAIN_EMAIL,
    "trackingToken": _PLAIN_TOKEN,
    "systemeContactId": _PLAIN_TOKEN,
    **dict.fromkeys(rules.MOMENTS, _PLAIN_MOMENT),
}


class _Remembered(dict[str, Read]):
    """Reads a cell once, and knows it from then on."""

    def __init__(self, read: Callable[[str], Read]) -> None:
        self._read = read

    def __missing__(self, cell: str) -> Read:
        value = self._read(cell)
        if len(self) < REMEMBERED:
            self[cell] = value
        return value


def _without_errors(read: list[Read], refused: dict[int, RowError]) -> Values:
    values: Values = []
    if RowError not in set(map(type, read)):
        return read  # type: ignore[return-value] # nothing in it is a RowError
    for place, one in enumerate(read):
        if isinstance(one, RowError):
            refused.setdefault(place, one)
            one = None
        values.append(one)
    return values


def _as_text(value: str | datetime | Decimal) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return f"{value:f}" if isinstance(value, Decimal) else value


# --------------------------------------------------------------------------------------------------------------- COPY


def copy_lines(batch: Batch, ids: Iterable[str]) -> str:
    """Return a batch as lines of COPY's text format, where nothing stands for NULL: number, id, code, field, message,
    then the values. A refused row has neither id nor values; a good one takes the next of `ids`.
    """
    numbers: Sequence[int] = batch.numbers
    columns = batch.values
    if batch.refused:
        places = [place for place in range(len(batch.numbers)) if place not in batch.refused]
        numbers = [batch.numbers[place] for place in places]
        columns = [[values[place] for place in places] for values in batch.values]
    lines = _good_lines(numbers, list(islice(ids, len(numbers))), [_without_none(values) for values in columns])
    return lines + "".join(
        _refused_line(batch.numbers[place], why, len(columns)) for place, why in batch.refused.items()
    )


def _good_lines(numbers: Sequence[int], ids: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    text = _joined(numbers, ids, columns)
    # Only what COPY takes for its own marks has to be escaped, and one look at all of it tells whether there is any.
    if (
        "\\" in text
        or "\r" in text
        or text.count("\n") != len(ids)
        or text.count("\t") != len(ids) * (len(columns) + 4)
    ):
        return _joined(numbers, ids, [[value.translate(_ESCAPES) for value in values] for values in columns])
    return text


def _joined(numbers: Sequence[int], ids: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    no_refusal = [repeat("")] * 3
    lines = map("\t".join, zip(map(str, numbers), ids, *no_refusal, *columns, strict=False))
    return "\n".join([*lines, ""])


def _without_none(values: Values) -> Sequence[str]:
    return [value or "" for value in values] if None in values else values  # type: ignore[return-value]


def _refused_line(number: int, why: RowError, width: int) -> str:
    words = (word.translate(_ESCAPES) for word in (why.code, why.field, why.message))
    return "\t".join((str(number), "", *words, *[""] * width)) + "\n"
