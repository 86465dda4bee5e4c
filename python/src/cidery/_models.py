"""Classes with typed fields as declarations: dataclasses, pydantic and attrs models, typed dicts.

`str int float bool Decimal date datetime UUID bytes list dict` mean the elements of those names;
`T | None` and fields with defaults are optional; `Annotated[int, Int("").number(7)]` says more.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import operator
import types
import typing
import uuid
from typing import Any

from cidery._payload import plain
from cidery._sio import _NOTHING, Element, Elements, Type

_KINDS: dict[Any, Type] = {
    str: Type.TEXT,
    int: Type.INT,
    float: Type.FLOAT,
    bool: Type.BOOL,
    decimal.Decimal: Type.DECIMAL,
    datetime.date: Type.DATE,
    datetime.datetime: Type.DATE_TIME,
    uuid.UUID: Type.UUID,
    bytes: Type.BYTES,
    Any: Type.AS_IS,
    object: Type.AS_IS,
    list: Type.LIST,
    dict: Type.DICT,
}


@dataclasses.dataclass(frozen=True)
class _Field:
    name: str
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
        or typing.is_typeddict(declared)
    )


def list_of(declared: Any) -> Any:
    """The model of `list[Model]`, or nothing."""
    if typing.get_origin(declared) is list:
        (item,) = typing.get_args(declared)
        return item if is_model(item) else None
    return None


def elements_of(model: Any) -> Elements:
    """The declaration that a model, or a list of it, is."""
    item = list_of(model)
    if item is not None:
        return dataclasses.replace(elements_of(item), is_list=True)
    return Elements(tuple(_element(field) for field in _fields(model)))


def instance(model: Any, value: Any) -> Any:
    """A model, or a list of it, made of an input that passed its declaration."""
    item = list_of(model)
    if item is not None:
        return [instance(item, each) for each in value]
    fields = {field.name: field.hint for field in _fields(model)}
    made = {name: _made(fields[name], given) for name, given in value.items() if name in fields}
    if hasattr(model, "model_validate"):
        return model.model_validate({**value, **made})
    if typing.is_typeddict(model):
        return made
    params = getattr(model, "__dataclass_params__", None)
    if params is not None and not params.init:
        # A model that is filled in afterwards, as those of the model system are.
        blank = model.__new__(model)
        for field in dataclasses.fields(model):
            if field.name in made:
                setattr(blank, field.name, made[field.name])
            elif field.default_factory is not dataclasses.MISSING:
                setattr(blank, field.name, field.default_factory())
            elif field.default is dataclasses.MISSING:
                setattr(blank, field.name, None)
        return blank
    for name in fields:
        # `T | None` without a default: whoever leaves it out means `None`.
        if name not in made and _needs_argument(model, name):
            made[name] = None
    return model(**made)


def _needs_argument(model: Any, name: str) -> bool:
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


def _fields(model: Any) -> list[_Field]:
    if hasattr(model, "model_fields"):
        return [_pydantic(name, field) for name, field in model.model_fields.items()]
    hints = typing.get_type_hints(model, include_extras=True)
    if dataclasses.is_dataclass(model):
        return [_dataclass(field, hints[field.name]) for field in dataclasses.fields(model)]
    if hasattr(model, "__attrs_attrs__"):
        return [_attrs(a, hints.get(a.name, Any)) for a in model.__attrs_attrs__]
    required = getattr(model, "__required_keys__", frozenset(hints))
    return [_Field(name, hint, is_optional=name not in required) for name, hint in hints.items()]


def _dataclass(field: Any, hint: Any) -> _Field:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    description = str(field.metadata.get("description", ""))
    return _field(field.name, hint, default, dataclasses.MISSING, description)


def _attrs(attribute: Any, hint: Any) -> _Field:
    default = attribute.default
    if hasattr(default, "factory") and hasattr(default, "takes_self"):
        default = _NOTHING if default.takes_self else default.factory()
        is_optional = default is _NOTHING
        return _Field(attribute.name, hint, default, is_optional or default is not _NOTHING)
    return _field(attribute.name, hint, default, _attrs_nothing(), "")


def _pydantic(name: str, field: Any) -> _Field:
    hint = field.annotation
    if field.metadata:
        hint = operator.getitem(typing.Annotated, (hint, *field.metadata))
    name = field.validation_alias if isinstance(field.validation_alias, str) else name
    description = field.description or ""
    if field.is_required():
        return _Field(name, hint, description=description)
    default = field.get_default(call_default_factory=field.default_factory is not None)
    return _field(name, hint, default, _NOTHING, description)


def _field(name: str, hint: Any, default: Any, missing: Any, description: str) -> _Field:
    if default is missing:
        return _Field(name, hint, description=description)
    # A default of `None` is what is there when nothing is.
    value = _NOTHING if default is None else default
    return _Field(name, hint, value, True, description)


def _element(field: _Field) -> Element:
    element = _of_hint(field.hint, field.name)
    if field.is_optional:
        element = element.optional()
    if field.default is not _NOTHING:
        element = element.default(plain(field.default))
    return element.description(field.description) if field.description else element


def _of_hint(hint: Any, name: str) -> Element:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        said = [extra for extra in args[1:] if isinstance(extra, Element)]
        inside = _of_hint(args[0], name)
        if not said:
            return inside
        is_optional = inside.is_optional or said[-1].is_optional
        return dataclasses.replace(said[-1], name=name, is_optional=is_optional)
    if origin in (typing.Union, types.UnionType):
        rest = [arg for arg in args if arg is not type(None)]
        inside = _of_hint(rest[0], name) if len(rest) == 1 else Element(name)
        return inside.optional() if len(rest) < len(args) else inside
    if origin is typing.Literal:
        texts = all(isinstance(arg, str) for arg in args)
        return Element(name, Type.TEXT, texts=args) if texts else Element(name)
    if getattr(origin, "_name", "") in ("Required", "NotRequired"):
        return _of_hint(args[0], name)
    if origin in (list, tuple, set, frozenset) and args:
        item = _of_hint(args[0], "")
        if item.kind is Type.DICT:
            return Element(name, Type.DICT_LIST, elements=item.elements)
        if item.is_optional:
            item = Element("")
        return Element(name, Type.LIST, item=item)
    if origin is dict:
        return Element(name, Type.DICT)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        values = tuple(member.value for member in hint)
        texts = all(isinstance(value, str) for value in values)
        return Element(name, Type.TEXT, texts=values) if texts else Element(name)
    if is_model(hint):
        return Element(name, Type.DICT, elements=elements_of(hint).elements or None)
    if hasattr(hint, "__supertype__"):
        return _of_hint(hint.__supertype__, name)
    kind = _KINDS.get(hint)
    if kind is None:
        raise TypeError(f"`{name}`: {hint!r} is no type that can be declared")
    return Element(name, kind)


def _made(hint: Any, value: Any) -> Any:
    """The value of a field, with the models and enums in it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return None
    if origin is typing.Annotated:
        return _made(args[0], value)
    if origin in (typing.Union, types.UnionType):
        rest = [arg for arg in args if arg is not type(None)]
        return _made(rest[0], value) if len(rest) == 1 else value
    if origin in (list, tuple, set, frozenset) and args and isinstance(value, list):
        made = [_made(args[0], item) for item in value]
        return made if origin is list else origin(made)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    return instance(hint, value) if is_model(hint) else value
