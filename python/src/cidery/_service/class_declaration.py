"""The declaration of a service class: its default name, and its input and output the types of
`Service[In, Out]`, its `input` and `output`, or its `class SimpleIO`."""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections import abc
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

from cidery._protocol.typed import (
    NO_VALUE,
    Input,
    Output,
    TypedService,
    declared_type,
    elements_of_type,
    is_any_dict,
    is_declared_type,
)
from cidery._sio.annotations import annotation
from cidery._sio.declaration import CsvOptions, Elements, Sio
from cidery._sio.element import EmptyStrings, UnknownKeys
from cidery._sio.model_fields import concrete_origin, type_name
from cidery._values.bunch import Bunch
from cidery._values.later import Later

_SIDES = ("input", "output")
_UNIONS = (types.UnionType, typing.Union)
_ANY_VALUE = (None, NO_VALUE, Any, object, dict, list, abc.Mapping, abc.Sequence, Bunch, Later)
_SCALARS = (int, float, str, bytes, Decimal, date, time, timedelta, UUID, Enum)
# The parts of a class name.
_WORD = re.compile(r"([^_])([A-Z][a-z]+)")
_EDGE = re.compile(r"([a-z0-9])([A-Z])")


def bind_type_arguments(cls: Any) -> None:
    """Declares the input and the output of a class by the arguments of its generic base."""
    arguments = _arguments_of_bases(cls)
    if arguments is None:
        return
    cls._type_arguments = arguments
    for side, argument in zip(_SIDES, arguments, strict=True):
        if argument is Any or isinstance(argument, typing.TypeVar):
            continue
        if side in cls.__dict__ or "SimpleIO" in cls.__dict__:
            raise TypeError(
                f"`{cls.__qualname__}` declares its {side} twice: by a type in brackets and by an"
                " attribute"
            )
        declared = declared_type(argument)
        if not is_any_dict(declared):
            setattr(cls, side, declared)


def _arguments_of_bases(cls: type) -> tuple[Any, Any] | None:
    """The types of the input and the output, by the bases of this class; `None` for none."""
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin: Any = typing.get_origin(base)
        if isinstance(origin, type) and issubclass(origin, TypedService):
            parameters: Any = vars(origin)["__parameters__"]
            given = dict(zip(parameters, typing.get_args(base), strict=True))
            inherited = getattr(origin, "_type_arguments", (Input, Output))
            input_type, output_type = (given.get(each, each) for each in inherited)
            return input_type, output_type
    return None


def input_parameter(handle: Any) -> str | None:
    """The name of the parameter of `handle` that gets the input; `None` without one."""
    parameters = [
        each
        for each in list(inspect.signature(handle).parameters.values())[1:]
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    if len(parameters) > 1:
        names = ", ".join(f"`{each.name}`" for each in parameters)
        raise TypeError(f"`handle` takes the input as its only parameter, not {names}")
    return parameters[0].name if parameters else None


def _annotations_of_handle(cls: type[Any]) -> dict[str, Any]:
    """The annotations of a `handle` with an input, or of the function that it runs."""
    if cls._annotations is not None:
        return {side: cls._annotations.get(side) for side in _SIDES}
    parameter = input_parameter(cls.handle)
    if parameter is None:
        return {}
    return {
        "input": annotation(cls.handle, parameter),
        "output": without_later(annotation(cls.handle, "return")),
    }


def unused_annotations(cls: type[Any], sio: Sio) -> dict[str, Any]:
    """The annotations of the input and the output that look like a declaration and are none."""
    return {
        side: hint
        for side, hint in _annotations_of_handle(cls).items()
        if getattr(sio, side) is None and not _is_any_value(hint)
    }


def _is_any_value(hint: Any) -> bool:
    """Whether an annotation has no rule for values, such as `dict[str, object]`."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in _UNIONS:
        return all(map(_is_any_value, arguments))
    if concrete_origin(hint) in (dict, list):
        return not arguments or _is_any_value(arguments[-1])
    return isinstance(hint, typing.TypeVar) or hint in _ANY_VALUE


def _is_scalar(hint: Any) -> bool:
    # In Python 3.10, `list[int]` is a type.
    is_class = isinstance(hint, type) and typing.get_origin(hint) is None
    return is_class and issubclass(hint, _SCALARS)


def without_later(hint: Any) -> Any:
    """The other type of `Model | Later`."""
    others = [each for each in typing.get_args(hint) if each is not Later]
    return others[0] if typing.get_origin(hint) in _UNIONS and len(others) == 1 else hint


def read_class_declaration(cls: type[Any]) -> tuple[Sio, dict[str, Any]]:
    """Reads the declaration of a class, and the types that declare its input and output."""
    simple_io = getattr(cls, "SimpleIO", None)
    where: Any = cls if simple_io is None else simple_io
    annotated = _annotations_of_handle(cls)
    policy = getattr(where, "unknown_keys", None)
    sides: dict[str, Elements | None] = {}
    models: dict[str, Any] = {}
    for side in _SIDES:
        declared = getattr(where, side, None)
        if simple_io is not None:
            declared = merge_required_and_optional(simple_io, side, declared)
        hint = annotated.get(side)
        if is_declared_type(hint) and hint not in (NO_VALUE, declared):
            raise TypeError(
                f"`handle` is annotated with `{type_name(hint)}` as its {side}, and the service is"
                f" declared with `{type_name(declared)}`: give the types as"
                " `Service[Input, Output]`"
            )
        if declared is None and _is_scalar(hint):
            # Refuses it, as `Service[int, int]`.
            declared_type(hint)
        if is_declared_type(declared):
            models[side] = declared
            sides[side] = elements_of_type(
                declared, is_output=side == "output", has_policies=policy is None
            )
        else:
            sides[side] = None if declared is None else Elements.of_any(declared)
    sio = Sio(
        input=sides["input"],
        output=sides["output"],
        response_elem=getattr(where, "response_elem", None) or "",
        unknown_keys=policy or UnknownKeys.DROP,
        csv=_csv_of(where),
        empty_strings=getattr(where, "empty_strings", None) or EmptyStrings.REFUSE,
    )
    return sio, models


def _csv_of(where: Any) -> CsvOptions | None:
    csv = getattr(where, "csv", None)
    return csv if isinstance(csv, CsvOptions) else None


def merge_required_and_optional(simple_io: Any, side: str, declared: Any) -> Any:
    """Merges `input_required` and `input_optional` (or `output_…`) into one declaration."""
    required = getattr(simple_io, f"{side}_required", None)
    optional = getattr(simple_io, f"{side}_optional", None)
    if required is None and optional is None:
        return declared
    if declared is not None:
        raise ValueError(
            f"cannot provide `{side}_required` or `{side}_optional` if `{side}` is given"
        )
    must = Elements.of_any(required or ()).elements
    names = {element.name for element in must}
    may = [e.optional() for e in Elements.of_any(optional or ()).elements if e.name not in names]
    return [*must, *may]


def automatic_name(module: str, class_name: str) -> str:
    """The default name: `<module>.<class>`, with dashes.

    >>> automatic_name("my_module", "GetCustomer")
    'my-module.get-customer'
    >>> automatic_name("crm.customer", "GetHTTPData")
    'crm.customer.get-http-data'
    """
    if module == "__main__":
        main = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(main).stem if main else "main"
    dashed = _EDGE.sub(r"\1-\2", _WORD.sub(r"\1-\2", class_name)).lower()
    return f"{module.replace('_', '-')}.{dashed}"
