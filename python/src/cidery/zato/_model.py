"""`Model`: Zato's base class of models."""

from __future__ import annotations

import copy
import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from cidery._sio.conversion import MASK, to_python_types
from cidery._sio.declaration import Sio
from cidery._sio.inference import inferred_type_name
from cidery._sio.model_declarations import elements_of_model
from cidery._sio.model_fields import concrete_origin
from cidery._sio.model_instances import build_instance
from cidery._sio.validation import validated_input
from cidery._values.json_codec import to_json
from cidery._values.plain import to_plain
from cidery._values.struct_pb import round_trip


class Model:
    """A base class of dataclasses. Secrets are masked in its text form."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__repr__" not in cls.__dict__:
            # Of the class itself: otherwise `@dataclass` adds one that shows secrets.
            cls.__repr__ = Model.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        names = [f.name for f in getattr(type(self), "__dataclass_fields__", {}).values()]
        values = {name: getattr(self, name) for name in names if hasattr(self, name)}
        shown = (
            f"{name}={MASK if inferred_type_name(name) == 'Secret' else repr(value)}"
            for name, value in values.items()
        )
        return f"{type(self).__qualname__}({', '.join(shown)})"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Any:
        """Creates an instance from a dict, which is validated like an input."""
        sio = Sio(input=elements_of_model(cls))
        given = validated_input(sio, round_trip(to_plain(data))).value
        return build_instance(cls, to_python_types(sio.input, given))

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name, None)

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field, or the default."""
        return getattr(self, name, default)

    def to_dict(self) -> dict[str, Any]:
        """All fields as a dict."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {f.name: to_plain(getattr(self, f.name)) for f in fields if hasattr(self, f.name)}

    def to_json(self) -> str:
        """All fields as JSON."""
        return to_json(self.to_dict())

    def after_created(self, ctx: Any) -> Any:
        """Runs when an input of this model was created; `ctx` has `service`, `data` and
        `DataClass`."""

    def clone(self) -> Any:
        """A copy."""
        # Not by the constructor: a model may have none that takes its fields.
        return copy.copy(self)


@dataclasses.dataclass(frozen=True)
class ModelContext:
    """What `after_created` gets."""

    service: Any
    data: Any
    DataClass: type[Any]


def call_after_created(service: Any, created: Any, data: Any) -> None:
    """Calls `after_created` of the models of an input, the inner ones first, and gives optional
    fields without a value that of their type, as in Zato."""
    if isinstance(created, list):
        rows = data if isinstance(data, list) else [{}] * len(created)
        for item, given in zip(created, rows, strict=False):
            call_after_created(service, item, given)
        return
    if not isinstance(created, Model) or not dataclasses.is_dataclass(created):
        return
    data = data if isinstance(data, dict) else {}
    hints = typing.get_type_hints(type(created))
    for field in dataclasses.fields(created):
        value = getattr(created, field.name, None)
        if value is None:
            empty = _empty_value(hints[field.name]) if _has_no_default(field) else None
            if empty is not None:
                setattr(created, field.name, empty)
        else:
            call_after_created(service, value, data.get(field.name))
    created.after_created(ModelContext(service, data, type(created)))


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _empty_value(hint: Any) -> Any:
    """The value of an absent optional field: an empty list, dict or text; `None` for others."""
    for each in typing.get_args(hint):
        kind = concrete_origin(each) or each
        if kind in (list, dict, str):
            return kind()
    return None
