"""The fields of models: dataclasses, pydantic and attrs classes, typed dicts."""

from __future__ import annotations

import dataclasses
import operator
import re
import typing
from collections import abc
from collections.abc import Callable
from typing import Any

from cidery._sio.element import MISSING

# The concrete type for an abstract collection type.
_CONCRETE_TYPES: dict[Any, type] = {
    abc.Collection: list,
    abc.Iterable: list,
    abc.Mapping: dict,
    abc.MutableMapping: dict,
    abc.MutableSequence: list,
    abc.MutableSet: set,
    abc.Sequence: list,
    abc.Set: set,
}
# The modules in the representation of a type, such as `typing.Optional[orders.Order]`.
_MODULE = re.compile(r"\b(?:\w+\.)+(?=\w)")
# Factories with a constant result, which can be announced as a default.
_CONSTANT_FACTORIES = (list, dict, set, frozenset, tuple, str, int, float, bool, bytes)


@dataclasses.dataclass(frozen=True)
class ModelField:
    """A field of a model."""

    name: str
    """The name on the wire."""
    hint: Any
    default: Any = MISSING
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


def type_name(hint: Any) -> str:
    """The name of a type or a function as its author writes it, for messages.

    >>> type_name(int), type_name(list[int]), type_name(None)
    ('int', 'list[int]', 'None')
    """
    if hint is None or hint is type(None):
        return "None"
    if hasattr(hint, "__qualname__") and typing.get_origin(hint) is None:
        name: str = hint.__qualname__.rpartition("<locals>.")[2]
        return name
    return _MODULE.sub("", repr(hint))


def is_typed_dict(declared: Any) -> bool:
    """Whether it is a typed dict; `typing` does not recognize those of `typing_extensions`."""
    return typing.is_typeddict(declared) or hasattr(declared, "__required_keys__")


def list_item_model(declared: Any) -> Any:
    """The model of `list[Model]`; `None` for others."""
    if typing.get_origin(declared) is list:
        (item,) = typing.get_args(declared)
        return item if is_model(item) else None
    return None


def resolve_hint(hint: Any) -> Any:
    """The hint behind type aliases, `NewType`, `Required` and `NotRequired`."""
    while True:
        if getattr(typing.get_origin(hint), "_name", "") in ("Required", "NotRequired"):
            (hint,) = typing.get_args(hint)
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif type(hint).__name__ == "TypeAliasType":
            hint = hint.__value__
        else:
            return hint


def concrete_origin(hint: Any) -> Any:
    """The concrete type of a hint: `list` for `Sequence[int]`, `dict` for `Mapping`."""
    origin = typing.get_origin(hint)
    return _CONCRETE_TYPES.get(origin, origin)


def fields_of(model: Any, *, is_output: bool) -> list[ModelField]:
    """The fields of a model as an input, or as an output."""
    if hasattr(model, "model_fields"):
        return _pydantic_fields(model, is_output)
    hints = typing.get_type_hints(model, include_extras=True)
    if dataclasses.is_dataclass(model):
        fields = [field for field in dataclasses.fields(model) if field.init or is_output]
        return [_dataclass_field(field, hints[field.name]) for field in fields]
    if hasattr(model, "__attrs_attrs__"):
        attributes = [each for each in model.__attrs_attrs__ if each.init or is_output]
        return [_attrs_field(each, hints.get(each.name, Any)) for each in attributes]
    required = getattr(model, "__required_keys__", frozenset(hints))
    return [
        ModelField(name, hint, is_optional=name not in required) for name, hint in hints.items()
    ]


def extra_option(model: Any) -> str:
    """The option `extra` of a pydantic model; empty for other models."""
    config = getattr(model, "model_config", None) or getattr(model, "__pydantic_config__", None)
    return str(config.get("extra") or "") if isinstance(config, dict) else ""


def requires_argument(model: Any, name: str) -> bool:
    """Whether the constructor requires the field: its class has no default for it."""
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


def _pydantic_fields(model: Any, is_output: bool) -> list[ModelField]:
    fields = model.model_fields.items()
    if not is_output:
        return [_pydantic_field(_input_name(name, field), field) for name, field in fields]
    computed = getattr(model, "model_computed_fields", {}).items()
    return [
        *(
            _pydantic_field(field.serialization_alias or name, field)
            for name, field in fields
            if not field.exclude
        ),
        *(
            ModelField(each.alias or name, each.return_type, description=each.description or "")
            for name, each in computed
        ),
    ]


def output_aliases(model: Any) -> dict[str, str]:
    """The input names of fields by their output names, for models with aliases."""
    return {
        field.serialization_alias or name: _input_name(name, field)
        for name, field in getattr(model, "model_fields", {}).items()
    }


def _input_name(name: str, field: Any) -> str:
    alias = field.validation_alias
    texts = [each for each in getattr(alias, "choices", [alias]) if isinstance(each, str)]
    return texts[0] if texts else name


def _dataclass_field(field: Any, hint: Any) -> ModelField:
    description = str(field.metadata.get("description", ""))
    if field.default_factory is not dataclasses.MISSING:
        return _field_with_factory(field.name, hint, field.default_factory, description)
    return _field_with_default(field.name, hint, field.default, dataclasses.MISSING, description)


def _attrs_field(attribute: Any, hint: Any) -> ModelField:
    default = attribute.default
    if hasattr(default, "factory") and hasattr(default, "takes_self"):
        return _field_with_factory(attribute.name, hint, default.factory, "")
    return _field_with_default(attribute.name, hint, default, _attrs_nothing(), "")


def _pydantic_field(name: str, field: Any) -> ModelField:
    hint = field.annotation
    if field.metadata:
        hint = operator.getitem(typing.Annotated, (hint, *field.metadata))
    description = field.description or ""
    if field.is_required():
        return ModelField(name, hint, description=description)
    if field.default_factory is not None:
        return _field_with_factory(name, hint, field.default_factory, description)
    return _field_with_default(name, hint, field.get_default(), MISSING, description)


def _field_with_factory(
    name: str, hint: Any, factory: Callable[..., Any], description: str
) -> ModelField:
    """A field with a default factory: the worker calls it for each invocation."""
    is_constant = any(factory is each for each in _CONSTANT_FACTORIES)
    return ModelField(name, hint, factory() if is_constant else MISSING, True, description)


def _field_with_default(
    name: str, hint: Any, default: Any, missing: Any, description: str
) -> ModelField:
    if default is missing:
        return ModelField(name, hint, description=description)
    # A default of `None` means that the field is absent.
    value = MISSING if default is None else default
    return ModelField(name, hint, value, True, description)
