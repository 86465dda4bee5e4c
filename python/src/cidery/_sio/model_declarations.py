"""Declarations from models: classes with typed fields.

`str int float bool Decimal date datetime UUID bytes list dict` declare the elements of those types;
`T | None` and fields with defaults are optional; `Annotated[int, Int("").number(7)]` sets options.
`extra="forbid"` and `extra="allow"` of a pydantic model are its policies for undeclared keys.
What the contract cannot express (values of a dict with any keys, tuples of several types, a class
that contains itself) is kept for `local_checks`.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import types
import typing
import uuid
from typing import Any

from cidery._sio.declaration import Elements
from cidery._sio.element import MISSING, Element, Type, UnknownKeys
from cidery._sio.local_checks import refuse_hidden_secrets
from cidery._sio.model_fields import (
    ModelField,
    concrete_origin,
    extra_option,
    fields_of,
    is_model,
    list_item_model,
    resolve_hint,
    type_name,
)
from cidery._values.plain import to_plain

_ELEMENT_TYPES: dict[Any, Type] = {
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
    tuple: Type.LIST,
    set: Type.LIST,
    frozenset: Type.LIST,
    dict: Type.DICT,
}
_POLICIES = {"forbid": UnknownKeys.REFUSE, "allow": UnknownKeys.KEEP}
# The content of an element. An annotation without any keeps that of its hint.
_CONTENT_FIELDS = ("elements", "item", "texts", "each", "positions", "recursive_elements")


def elements_of_model(
    model: Any, *, is_output: bool = False, has_policies: bool = True
) -> Elements:
    """The elements of a model, or of a list of one, as an input or as an output.

    Without `has_policies`, the policies of models for undeclared keys do not apply: the service
    has one of its own.
    """
    item = list_item_model(model)
    root = model if item is None else item
    reader = _ModelReader(is_output, has_policies)
    elements = reader.elements(root)
    refuse_hidden_secrets(elements)
    return Elements(elements, is_list=item is not None, keys=reader.policy(root))


def requires_value(declared: Any) -> bool:
    """Whether a type has no value without content: a model with a required field, or a list of
    models."""
    if is_model(declared):
        return _has_required_field(declared)
    return list_item_model(declared) is not None


@functools.lru_cache(maxsize=256)
def _has_required_field(model: Any) -> bool:
    return any(not field.is_optional for field in elements_of_model(model).elements)


def has_one_item_type(args: tuple[Any, ...]) -> bool:
    """Whether all items of a list or a tuple have one type."""
    return all(arg == args[0] for arg in args if arg is not ...)


class _ModelReader:
    """Converts hints to elements; `enclosing` are the models around them."""

    def __init__(
        self, is_output: bool, has_policies: bool, enclosing: tuple[Any, ...] = ()
    ) -> None:
        self._is_output = is_output
        self._has_policies = has_policies
        self._enclosing = enclosing

    def policy(self, model: Any) -> UnknownKeys | None:
        """The policy of a model for undeclared keys; `None` for that of the service."""
        return _POLICIES.get(extra_option(model)) if self._has_policies else None

    def elements(self, model: Any) -> tuple[Element, ...]:
        enclosing = (*self._enclosing, model)
        reader = _ModelReader(self._is_output, self._has_policies, enclosing)
        fields = fields_of(model, is_output=self._is_output)
        return tuple(reader._field(field) for field in fields)

    def _field(self, field: ModelField) -> Element:
        element = self._element(field.hint, field.name)
        if field.is_optional:
            element = element.optional()
        if field.default is not MISSING:
            element = element.default(to_plain(field.default))
        return element.description(field.description) if field.description else element

    def _element(self, hint: Any, name: str) -> Element:
        hint = resolve_hint(hint)
        origin, args = concrete_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            return self._annotated(args, name)
        if origin in (typing.Union, types.UnionType):
            rest = [arg for arg in args if arg is not type(None)]
            inside = self._element(rest[0], name) if len(rest) == 1 else Element(name)
            return inside.optional() if len(rest) < len(args) else inside
        if origin is typing.Literal:
            return _enum_element(name, args)
        if origin in (list, tuple, set, frozenset) and args:
            return self._list(args, name)
        if origin is dict:
            each = self._element(args[1], "") if len(args) > 1 else Element("")
            is_any = each.kind is Type.AS_IS
            return Element(name, Type.DICT, each=None if is_any else each)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return _enum_element(name, tuple(member.value for member in hint))
        if is_model(hint):
            return self._dict(hint, name)
        kind = _ELEMENT_TYPES.get(hint)
        if kind is None:
            raise TypeError(f"`{name}`: `{type_name(hint)}` is not a type that can be declared")
        return Element(name, kind)

    def _annotated(self, args: tuple[Any, ...], name: str) -> Element:
        inside = self._element(args[0], name)
        annotations = [extra for extra in args[1:] if isinstance(extra, Element)]
        if not annotations:
            return inside
        annotation = annotations[-1]
        if annotation.kind is inside.kind and not any(
            getattr(annotation, part) for part in _CONTENT_FIELDS
        ):
            annotation = dataclasses.replace(
                annotation,
                keys=annotation.keys or inside.keys,
                **{part: getattr(inside, part) for part in _CONTENT_FIELDS},
            )
        is_optional = inside.is_optional or annotation.is_optional
        return dataclasses.replace(annotation, name=name, is_optional=is_optional)

    def _dict(self, model: Any, name: str) -> Element:
        if model in self._enclosing:
            # A recursive class has no finite declaration.
            recursive_elements = functools.partial(
                _elements_of_recursive_model, model, self._is_output, self._has_policies
            )
            return Element(
                name, Type.DICT, recursive_elements=recursive_elements, keys=self.policy(model)
            )
        return Element(
            name, Type.DICT, elements=self.elements(model) or None, keys=self.policy(model)
        )

    def _list(self, args: tuple[Any, ...], name: str) -> Element:
        items = [self._element(arg, "") for arg in args if arg is not ...]
        item = items[0]
        if len(items) > 1:
            element = (
                self._list(args[:1], name) if has_one_item_type(args) else Element(name, Type.LIST)
            )
            return dataclasses.replace(element, positions=tuple(items))
        if item.kind is Type.DICT:
            each = item if item.each or item.recursive_elements else None
            return Element(name, Type.DICT_LIST, elements=item.elements, each=each, keys=item.keys)
        if item.is_optional:
            return Element(name, Type.LIST, item=Element(""), each=item)
        return Element(name, Type.LIST, item=item)


@functools.lru_cache(maxsize=256)
def _elements_of_recursive_model(
    model: Any, is_output: bool, has_policies: bool
) -> tuple[Element, ...]:
    return _ModelReader(is_output, has_policies).elements(model)


def _enum_element(name: str, values: tuple[Any, ...]) -> Element:
    """An enum or a literal; one with values other than strings is an element of any type."""
    if all(isinstance(value, str) for value in values):
        return Element(name, Type.TEXT, texts=values)
    return Element(name)
