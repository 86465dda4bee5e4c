"""Classes with typed fields as declarations: dataclasses, pydantic and attrs models, typed dicts.

`str int float bool Decimal date datetime UUID bytes list dict` mean the elements of those names;
`T | None` and fields with defaults are optional; `Annotated[int, Int("").number(7)]` says more.
What a declaration has no words for (what a dict of any keys is of, a tuple of several types) is
checked here, as an input comes in.
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
from collections.abc import Callable, Mapping
from typing import Any

from cidery._bunch import Bunch
from cidery._check import check_input
from cidery._convert import converted
from cidery._errors import InvalidArgument, Violation
from cidery._payload import plain, segment
from cidery._sio import _NOTHING, Element, Elements, Sio, Type
from cidery._value import normalized

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
# Factories that make the same each time: what they make can be announced.
_CONSTANT = (list, dict, set, frozenset, tuple, str, int, float, bool, bytes)


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


def elements_of(model: Any, *, is_output: bool = False) -> Elements:
    """The declaration that a model, or a list of it, is: of what goes in, or of what comes out."""
    item = list_of(model)
    if item is not None:
        return dataclasses.replace(elements_of(item, is_output=is_output), is_list=True)
    return Elements(tuple(_element(field, is_output) for field in _fields(model, is_output)))


def instance(model: Any, value: Any, path: str = "") -> Any:
    """A model, or a list of it, made of an input that passed its declaration."""
    item = list_of(model)
    if item is not None:
        return [instance(item, each, segment(path, index)) for index, each in enumerate(value)]
    fields = {field.name: field.hint for field in _fields(model, is_output=False)}
    made = {
        name: _made(fields[name], given, segment(path, name))
        for name, given in value.items()
        if name in fields
    }
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


def _fields(model: Any, is_output: bool) -> list[_Field]:
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
    return [_Field(name, hint, is_optional=name not in required) for name, hint in hints.items()]


def _of_pydantic(model: Any, is_output: bool) -> list[_Field]:
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
            _Field(each.alias or name, each.return_type, description=each.description or "")
            for name, each in computed
        ),
    ]


def _name_of_input(name: str, field: Any) -> str:
    alias = field.validation_alias
    texts = [each for each in getattr(alias, "choices", [alias]) if isinstance(each, str)]
    return texts[0] if texts else name


def _dataclass(field: Any, hint: Any) -> _Field:
    description = str(field.metadata.get("description", ""))
    if field.default_factory is not dataclasses.MISSING:
        return _by_factory(field.name, hint, field.default_factory, description)
    return _field(field.name, hint, field.default, dataclasses.MISSING, description)


def _attrs(attribute: Any, hint: Any) -> _Field:
    default = attribute.default
    if hasattr(default, "factory") and hasattr(default, "takes_self"):
        return _by_factory(attribute.name, hint, default.factory, "")
    return _field(attribute.name, hint, default, _attrs_nothing(), "")


def _pydantic(name: str, field: Any) -> _Field:
    hint = field.annotation
    if field.metadata:
        hint = operator.getitem(typing.Annotated, (hint, *field.metadata))
    description = field.description or ""
    if field.is_required():
        return _Field(name, hint, description=description)
    if field.default_factory is not None:
        return _by_factory(name, hint, field.default_factory, description)
    return _field(name, hint, field.get_default(), _NOTHING, description)


def _by_factory(name: str, hint: Any, factory: Callable[..., Any], description: str) -> _Field:
    """A field whose default the model makes for each call: a new id, the time."""
    is_constant = any(factory is each for each in _CONSTANT)
    return _Field(name, hint, factory() if is_constant else _NOTHING, True, description)


def _field(name: str, hint: Any, default: Any, missing: Any, description: str) -> _Field:
    if default is missing:
        return _Field(name, hint, description=description)
    # A default of `None` is what is there when nothing is.
    value = _NOTHING if default is None else default
    return _Field(name, hint, value, True, description)


def _element(field: _Field, is_output: bool) -> Element:
    element = _of_hint(field.hint, field.name, is_output)
    if field.is_optional:
        element = element.optional()
    if field.default is not _NOTHING:
        element = element.default(plain(field.default))
    return element.description(field.description) if field.description else element


def _of_hint(hint: Any, name: str, is_output: bool = False) -> Element:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        said = [extra for extra in args[1:] if isinstance(extra, Element)]
        inside = _of_hint(args[0], name, is_output)
        if not said:
            return inside
        is_optional = inside.is_optional or said[-1].is_optional
        return dataclasses.replace(said[-1], name=name, is_optional=is_optional)
    if origin in (typing.Union, types.UnionType):
        rest = [arg for arg in args if arg is not type(None)]
        inside = _of_hint(rest[0], name, is_output) if len(rest) == 1 else Element(name)
        return inside.optional() if len(rest) < len(args) else inside
    if origin is typing.Literal:
        texts = all(isinstance(arg, str) for arg in args)
        return Element(name, Type.TEXT, texts=args) if texts else Element(name)
    if getattr(origin, "_name", "") in ("Required", "NotRequired"):
        return _of_hint(args[0], name, is_output)
    if origin in (list, tuple, set, frozenset) and args:
        item, *others = [_of_hint(arg, "", is_output) for arg in args if arg is not ...]
        if others and not _is_of_one(args):
            return Element(name, Type.LIST)
        if item.kind is Type.DICT:
            return Element(name, Type.DICT_LIST, elements=item.elements)
        if item.is_optional:
            item = Element("")
        return Element(name, Type.LIST, item=item)
    if origin is dict:
        for arg in args[1:]:
            _of_hint(arg, name, is_output)
        return Element(name, Type.DICT)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        values = tuple(member.value for member in hint)
        texts = all(isinstance(value, str) for value in values)
        return Element(name, Type.TEXT, texts=values) if texts else Element(name)
    if is_model(hint):
        fields = elements_of(hint, is_output=is_output).elements
        return Element(name, Type.DICT, elements=fields or None)
    if hasattr(hint, "__supertype__"):
        return _of_hint(hint.__supertype__, name, is_output)
    kind = _KINDS.get(hint)
    if kind is None:
        raise TypeError(f"`{name}`: {hint!r} is no type that can be declared")
    return Element(name, kind)


def _is_of_one(args: tuple[Any, ...]) -> bool:
    """Whether a list, or a tuple, has items of one type."""
    return all(arg == args[0] for arg in args if arg is not ...)


def _made(hint: Any, value: Any, path: str) -> Any:
    """The value of a field, with the models and enums in it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if value is None:
        return None
    if origin is typing.Annotated:
        return _made(args[0], value, path)
    if origin in (typing.Union, types.UnionType):
        rest = [arg for arg in args if arg is not type(None)]
        return _made(rest[0], value, path) if len(rest) == 1 else value
    if origin is tuple and args and ... not in args and isinstance(value, list):
        return _tuple(args, value, path)
    if origin in (list, tuple, set, frozenset) and args and isinstance(value, list):
        made = [_made(args[0], item, segment(path, i)) for i, item in enumerate(value)]
        return made if origin is list else origin(made)
    if origin is dict and args and isinstance(value, dict):
        return Bunch(_checked(dict.fromkeys(value, args[1]), value, path))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    return instance(hint, value, path) if is_model(hint) else value


def _tuple(args: tuple[Any, ...], items: list[Any], path: str) -> tuple[Any, ...]:
    if len(items) != len(args):
        message = f"has {len(items)} items, not {len(args)}"
        _refuse([Violation(path, message, "OUT_OF_RANGE")])
    if _is_of_one(args):
        each = zip(args, items, strict=True)
        return tuple(_made(arg, item, segment(path, i)) for i, (arg, item) in enumerate(each))
    hints = {str(index): arg for index, arg in enumerate(args)}
    return tuple(_checked(hints, dict(zip(hints, items, strict=True)), path).values())


def _checked(hints: Mapping[str, Any], values: dict[str, Any], path: str) -> dict[str, Any]:
    """Values whose types could not be declared: checked, converted and made here."""
    declared = Elements(tuple(_of_hint(hint, name) for name, hint in hints.items()))
    found = check_input(Sio(input=declared), normalized(values))
    if found.violations:
        _refuse([dataclasses.replace(v, path=f"{path}{v.path}") for v in found.violations])
    given = converted(declared, found.value)
    return {name: _made(hint, given.get(name), segment(path, name)) for name, hint in hints.items()}


def _refuse(violations: list[Violation]) -> typing.NoReturn:
    raise InvalidArgument(reason="INPUT_INVALID", violations=violations)
