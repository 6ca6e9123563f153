"""Templates as files: what `add` reads and `export` writes, and single changes to a template's data.

A file holds one template's data as they stand in "templateData", or a template as `export` writes it (its data under
`templateData`, beside name, category and the rest), or a list of those.
"""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ibctl.ads import objectives
from ibctl.ads.templates.schema import Problem, SchemaError, parse
from ibctl.errors import RequestError, UsageError

LONGEST_NAME = 200
# What `export` writes; `add` takes no more than that. Whether a template is published is decided where it is added.
KEYS = ("name", "description", "category", "thumbnailUrl", "isPublic", "isActive", "templateData")


@dataclass(frozen=True)
class Document:
    """A template outside the database. None is what has not been said."""

    data: Any
    name: str | None = None
    category: str | None = None
    description: str | None = None
    thumbnail_url: str | None = None
    is_public: bool | None = None


def read(text: str, place: str) -> list[Document]:
    """Read a file of templates. Raises RequestError, which names the file and the place in it."""
    try:
        whole = parse(text)
        if whole == []:
            raise RequestError(f"{place} holds no template: it is an empty list")
        if isinstance(whole, list):
            return [_document(one, f"[{number}]") for number, one in enumerate(whole)]
        return [_document(whole, "") if isinstance(whole, dict) and "templateData" in whole else Document(whole)]
    except SchemaError as exc:
        raise RequestError(f"{place}: {exc}") from None


def _document(item: Any, where: str) -> Document:
    if not isinstance(item, dict) or "templateData" not in item:
        raise SchemaError([Problem(where, "is no template: templateData is missing")])
    if unknown := sorted(item.keys() - set(KEYS)):
        raise SchemaError([Problem(f"{where}{unknown[0]}", f"is no key of a template; there are {', '.join(KEYS)}")])
    for key in ("name", "description", "category", "thumbnailUrl"):
        if not isinstance(item.get(key), str | None):
            raise SchemaError([Problem(f"{where}{key}", "must be text or null")])
    if not isinstance(item.get("isPublic"), bool | None):
        raise SchemaError([Problem(f"{where}isPublic", "must be true or false")])
    return Document(
        data=item["templateData"], name=item.get("name"), category=item.get("category"),
        description=item.get("description"), thumbnail_url=item.get("thumbnailUrl"), is_public=item.get("isPublic"),
    )  # fmt: skip


def named(document: Document, **options: Any) -> Document:
    """Return a document with what the options say instead. Raises UsageError for a name or category that cannot be."""
    whole = replace(document, **{key: value for key, value in options.items() if value is not None})
    name = (whole.name or "").strip()
    if not name or "\0" in name or len(name) > LONGEST_NAME:
        raise UsageError(
            f"a template needs a name of 1 to {LONGEST_NAME} characters: give NAME, or name it in the file"
        )
    if whole.category is None:
        raise UsageError(f"the template '{name}' needs a category: --category {'|'.join(objectives.CATEGORIES)}")
    if whole.category not in objectives.CATEGORIES:
        raise UsageError(f"'{whole.category}' is no category: there are {', '.join(objectives.CATEGORIES)}")
    return replace(whole, name=name)


def changed(data: Any, settings: Sequence[str], removals: Sequence[str]) -> Any:
    """Return data with `settings` (`targeting.age_min=18`) made and the places in `removals` taken out.

    A value is JSON where it is JSON, and text otherwise. Raises UsageError for a place that cannot be.
    """
    whole = copy.deepcopy(data)
    for setting in settings:
        place, separator, text = setting.partition("=")
        if not separator:
            raise UsageError(f"--set '{setting}': write PLACE=VALUE, like targeting.age_min=18")
        inside, last = _inside(whole, place, "--set")
        _put(inside, last, _value(text), place, "--set")
    for place in removals:
        inside, last = _inside(whole, place, "--unset")
        if not _has(inside, last):
            raise UsageError(f"--unset '{place}': there is nothing")
        del inside[last]
    return whole


def _value(text: str) -> Any:
    try:
        return parse(text)
    except SchemaError:
        return text


_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]")


def _inside(whole: Any, place: str, option: str) -> tuple[Any, str | int]:
    """Return the object or list that holds a place, and the place's key in it; what is missing on the way is made."""
    if not re.fullmatch(r"[A-Za-z_]\w*(\[\d+\]|\.[A-Za-z_]\w*)*", place):
        raise UsageError(f"{option} '{place}' is no place: write one like targeting.interests[0].id")
    steps: list[str | int] = [name or int(number) for name, number in _STEP.findall(place)]
    here = whole
    for step, after in itertools.pairwise(steps):
        if not _has(here, step) or here[step] is None:
            _put(here, step, [] if isinstance(after, int) else {}, place, option)
        here = here[step]
    return here, steps[-1]


def _has(inside: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(inside, list) and step < len(inside)
    return isinstance(inside, dict) and step in inside


def _put(inside: Any, step: str | int, value: Any, place: str, option: str) -> None:
    if isinstance(inside, list) and step == len(inside):
        inside.append(value)
    elif _has(inside, step) or (isinstance(inside, dict) and isinstance(step, str)):
        inside[step] = value
    else:
        raise UsageError(f"{option} '{place}': there is no place for {step}")


def written(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template's row as a document that `add` reads."""
    return {key: row[key] for key in KEYS}
