"""Options that several commands take together, as one parameter of each."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Let a parameter whose type is a dataclass stand for its fields: an option each, declared as Typer has it.

    Typer sees a function of single options, in the order of parameters and fields; the command gets the dataclass.
    """
    declared = inspect.signature(command, eval_str=True)
    groups = {name: one.annotation for name, one in declared.parameters.items() if _is_group(one.annotation)}

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
        command(**given)

    single = [option for parameter in declared.parameters.values() for option in _single(parameter)]
    run.__signature__ = declared.replace(parameters=single)  # type: ignore[attr-defined] # what `inspect` asks for
    run.__annotations__ = {option.name: option.annotation for option in single}
    return run


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def _single(parameter: Parameter) -> Iterator[Parameter]:
    if not _is_group(parameter.annotation):
        yield parameter.replace(kind=Parameter.KEYWORD_ONLY)
        return
    types = typing.get_type_hints(parameter.annotation, include_extras=True)
    for field in dataclasses.fields(parameter.annotation):
        yield Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=types[field.name])
