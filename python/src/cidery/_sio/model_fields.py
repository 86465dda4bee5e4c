"""Classes with typed fields, whichever library made them: what their fields are.

Dataclasses, pydantic and attrs models, typed dicts.
"""

from __future__ import annotations

import dataclasses
import operator
import typing
from collections import abc
from collections.abc import Callable
from typing import Any

from cidery._sio.element import _NOTHING

# Of several kinds of collection: the one that is made of what comes in.
_ABSTRACT: dict[Any, type] = {
    abc.Collection: list,
    abc.Iterable: list,
    abc.Mapping: dict,
    abc.MutableMapping: dict,
    abc.MutableSequence: list,
    abc.MutableSet: set,
    abc.Sequence: list,
    abc.Set: set,
}
# Factories that make the same each time: what they make can be announced.
_CONSTANT = (list, dict, set, frozenset, tuple, str, int, float, bool, bytes)


@dataclasses.dataclass(frozen=True)
class Field:
    """One field."""

    name: str
    """What callers call it."""
    hint: Any
    default: Any = _NOTHING
    is_optional: bool = False
    description: str = ""


def is_model(declared: Any) -> bool:
    """Whether it is a class with typed fields."""
    return isinstance(declared, type) and (
        dataclasses.is_dataclass(declared)
        or hasattr(declared, "model_fields")
        or hasattr(declared, "__attrs_attrs__")
        or is_typed_dict(declared)
    )


def is_typed_dict(declared: Any) -> bool:
    """Whether it is a typed dict: one of `typing_extensions` is none to `typing`."""
    return typing.is_typeddict(declared) or hasattr(declared, "__required_keys__")


def list_of(declared: Any) -> Any:
    """The model of `list[Model]`, or nothing."""
    if typing.get_origin(declared) is list:
        (item,) = typing.get_args(declared)
        return item if is_model(item) else None
    return None


def meant(hint: Any) -> Any:
    """The hint behind names for it, and behind what only says whether it has to be there."""
    while True:
        if getattr(typing.get_origin(hint), "_name", "") in ("Required", "NotRequired"):
            (hint,) = typing.get_args(hint)
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def origin_of(hint: Any) -> Any:
    """What a hint with arguments is made of: a list for `Sequence[int]`, a dict for `Mapping`."""
    origin = typing.get_origin(hint)
    return _ABSTRACT.get(origin, origin)


def fields_of(model: Any, *, is_output: bool) -> list[Field]:
    """The fields that callers fill, or those that they get."""
    if hasattr(model, "model_fields"):
        return _of_pydantic(model, is_output)
    hints = typing.get_type_hints(model, include_extras=True)
    if dataclasses.is_dataclass(model):
        fields = [field for field in dataclasses.fields(model) if field.init or is_output]
        return [_dataclass(field, hints[field.name]) for field in fields]
    if hasattr(model, "__attrs_attrs__"):
        attributes = [each for each in model.__attrs_attrs__ if each.init or is_output]
        return [_attrs(each, hints.get(each.name, Any)) for each in attributes]
    required = getattr(model, "__required_keys__", frozenset(hints))
    return [Field(name, hint, is_optional=name not in required) for name, hint in hints.items()]


def needs_argument(model: Any, name: str) -> bool:
    """Whether nothing can be made without a field: its class has no default for it."""
    for field in dataclasses.fields(model) if dataclasses.is_dataclass(model) else ():
        if field.name == name:
            missing = dataclasses.MISSING
            return field.init and field.default is missing and field.default_factory is missing
    for attribute in getattr(model, "__attrs_attrs__", ()):
        if attribute.name == name:
            return bool(attribute.init and attribute.default is _attrs_nothing())
    return False


def _attrs_nothing() -> Any:
    import attr

    return attr.NOTHING


def _of_pydantic(model: Any, is_output: bool) -> list[Field]:
    fields = model.model_fields.items()
    if not is_output:
        return [_pydantic(_name_of_input(name, field), field) for name, field in fields]
    computed = getattr(model, "model_computed_fields", {}).items()
    return [
        *(
            _pydantic(field.serialization_alias or name, field)
            for name, field in fields
            if not field.exclude
        ),
        *(
            Field(each.alias or name, each.return_type, description=each.description or "")
            for name, each in computed
        ),
    ]


def _name_of_input(name: str, field: Any) -> str:
    alias = field.validation_alias
    texts = [each for each in getattr(alias, "choices", [alias]) if isinstance(each, str)]
    return texts[0] if texts else name


def _dataclass(field: Any, hint: Any) -> Field:
    description = str(field.metadata.get("description", ""))
    if field.default_factory is not dataclasses.MISSING:
        return _by_factory(field.name, hint, field.default_factory, description)
    return _field(field.name, hint, field.default, dataclasses.MISSING, description)


def _attrs(attribute: Any, hint: Any) -> Field:
    default = attribute.default
    if hasattr(default, "factory") and hasattr(default, "takes_self"):
        return _by_factory(attribute.name, hint, default.factory, "")
    return _field(attribute.name, hint, default, _attrs_nothing(), "")


def _pydantic(name: str, field: Any) -> Field:
    hint = field.annotation
    if field.metadata:
        hint = operator.getitem(typing.Annotated, (hint, *field.metadata))
    description = field.description or ""
    if field.is_required():
        return Field(name, hint, description=description)
    if field.default_factory is not None:
        return _by_factory(name, hint, field.default_factory, description)
    return _field(name, hint, field.get_default(), _NOTHING, description)


def _by_factory(name: str, hint: Any, factory: Callable[..., Any], description: str) -> Field:
    """A field whose default the model makes for each call: a new id, the time."""
    is_constant = any(factory is each for each in _CONSTANT)
    return Field(name, hint, factory() if is_constant else _NOTHING, True, description)


def _field(name: str, hint: Any, default: Any, missing: Any, description: str) -> Field:
    if default is missing:
        return Field(name, hint, description=description)
    # A default of `None` is what is there when nothing is.
    value = _NOTHING if default is None else default
    return Field(name, hint, value, True, description)
