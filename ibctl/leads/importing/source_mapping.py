"""Mapping files: how the files of one source are read, as a TOML text.

    mode = "upsert"                      # create, update or upsert
    match = ["trackingToken", "email"]
    decimal_comma = true                 # also: dayfirst, region, encoding, delimiter, sheet, newer_by

    [columns]                            # the file's header = the lead's field ("" for none)
    "Client Mail" = "email"

    [constants]                          # for every row
    broker = "Prime XBT"

    [translate.status]                   # the file's word = ours
    FTD = "qualified"

    [rules]                              # what happens where the lead says something else
    cpaEarned = "overwrite"

What the command line says goes before the mapping.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ibctl.errors import RequestError
from ibctl.leads import contacts, rules
from ibctl.leads.importing import terms
from ibctl.tabular import named_delimiter, named_encoding, plain_name

_FIELDS = {plain_name(name): name for name in rules.ALIASES}


def _field(name: str) -> str:
    known = _FIELDS.get(plain_name(name))
    if known is None:
        raise ValueError(f"'{name}' is no field of a lead; there are {', '.join(rules.ALIASES)}")
    return known


def _column(name: str) -> str:
    # No row sets it, but it may say of when a row is.
    if plain_name(name) == "updatedat":
        return "updatedAt"
    return _field(name) if name else ""


def _ruled(name: str) -> str:
    found = "userId" if plain_name(name) == "ib" else _field(name)
    if found not in terms.FIELDS:
        raise ValueError(f"{found} follows from other fields: there is no rule for it")
    return found


def _contact(name: str) -> str:
    found = _field(name)
    if found not in rules.CONTACTS:
        raise ValueError(f"{found} does not name a lead: write {', '.join(rules.CONTACTS)}")
    return found


def _once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError(f"{', '.join(names)} names a field twice")
    return names


def _that(check: Callable[[str], object]) -> AfterValidator:
    """Let pass, as it is written, what a check does not refuse."""

    def checked(text: str) -> str:
        check(text)
        return text

    return AfterValidator(checked)


_Field = Annotated[str, AfterValidator(_field)]
_Collision = Literal["overwrite", "fill-empty", "never", "newer", "error"]


class SourceMapping(BaseModel):
    """A mapping file, checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["create", "update", "upsert"] | None = None
    match: Annotated[list[Annotated[str, AfterValidator(_contact)]], AfterValidator(_once)] = Field(
        default_factory=list
    )
    newer_by: Literal["leadCapturedAt", "depositedAt", "tradingStartAt", "qualifiedAt", "updatedAt"] | None = None
    dayfirst: bool = False
    decimal_comma: bool = False
    region: Annotated[str, _that(contacts.region)] | None = None
    encoding: Annotated[str, _that(named_encoding)] | None = None
    delimiter: Annotated[str, _that(named_delimiter)] | None = None
    sheet: str | None = None
    columns: dict[str, Annotated[str, AfterValidator(_column)]] = Field(default_factory=dict)
    constants: dict[_Field, str] = Field(default_factory=dict)
    translate: dict[_Field, dict[str, str]] = Field(default_factory=dict)
    rules: dict[Annotated[str, AfterValidator(_ruled)], _Collision] = Field(default_factory=dict)

    @property
    def translations(self) -> Mapping[str, Mapping[str, str]]:
        """The file's words in lower case, and ours, by field."""
        return {
            name: {word.strip().lower(): ours for word, ours in words.items()} for name, words in self.translate.items()
        }


def read(text: str, name: str) -> SourceMapping:
    """Read a mapping file called `name`. Raises RequestError, in a line that names the place, for what is none."""
    try:
        mapping = SourceMapping.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as exc:
        raise RequestError(f"{name} is not TOML: {exc}") from None
    except ValidationError as exc:
        raise RequestError(f"{name}: {_problems(exc)}") from None
    both = sorted(set(mapping.constants) & set(mapping.columns.values()))
    if both:
        raise RequestError(f"{name}: {both[0]} is a constant and a column's field: it can be one of them")
    if "updatedAt" in mapping.columns.values() and mapping.newer_by != "updatedAt":
        raise RequestError(f'{name}: a column can be updatedAt only where newer_by = "updatedAt"')
    if "newer" in mapping.rules.values() and mapping.newer_by is None:
        raise RequestError(f"{name}: the rule newer needs newer_by, the date by which a row is newer than its lead")
    _require_values(mapping, name)
    return mapping


def _problems(exc: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in one['loc'] if part != '[key]')}: {one['msg'].removeprefix('Value error, ')}"
        for one in exc.errors()
    )


def _require_values(mapping: SourceMapping, name: str) -> None:
    """Raise RequestError for a constant or a translation that is no value of its field; owners are looked up later."""
    reading = rules.Reading(day_first=mapping.dayfirst, decimal_comma=mapping.decimal_comma)
    values = [(f"constants.{field}", field, value) for field, value in mapping.constants.items()]
    for field, words in mapping.translate.items():
        values += [(f"translate.{field}.{word}", field, ours) for word, ours in words.items()]
    for place, field, value in values:
        if field in ("ib", "userId", "phone"):
            continue
        try:
            reading.parser(field)(value)
        except ValueError as exc:
            raise RequestError(f"{name}: {place}: {exc}") from None
