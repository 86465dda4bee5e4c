"""Instances of models, built from validated inputs.

What a model itself refuses becomes violations: all of them at once, each with its path.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable
from typing import Any

from cidery._errors.exceptions import CideryError, InvalidArgument, Violation
from cidery._sio.model_fields import (
    concrete_origin,
    extra_option,
    fields_of,
    is_model,
    is_typed_dict,
    list_item_model,
    output_aliases,
    requires_argument,
    resolve_hint,
)
from cidery._values.bunch import Bunch
from cidery._values.json_pointer import join_pointer


def build_instance(model: Any, value: Any, *, is_output: bool = False) -> Any:
    """Builds a model, or a list of models, from a validated input or output."""
    builder = _InstanceBuilder(is_output)
    item = list_item_model(model)
    if item is None:
        built = builder.model(model, value, "")
    else:
        built = [builder.model(item, each, join_pointer("", i)) for i, each in enumerate(value)]
    if builder.violations:
        raise InvalidArgument(reason="INPUT_INVALID", violations=builder.violations)
    return built


class _InstanceBuilder:
    """Converts values to the types of the hints; `None` for a value that is refused."""

    def __init__(self, is_output: bool) -> None:
        self._is_output = is_output
        self.violations: list[Violation] = []

    def model(self, model: Any, value: Any, path: str) -> Any:
        """Builds a model from a validated dict."""
        before = len(self.violations)
        if self._is_output:
            # A constructor takes the names of the input.
            names = output_aliases(model)
            value = {names.get(name, name): given for name, given in value.items()}
        hints = {field.name: field.hint for field in fields_of(model, is_output=False)}
        built = {
            name: self._value(hints[name], given, join_pointer(path, name))
            for name, given in value.items()
            if name in hints
        }
        if extra_option(model) == "allow":
            built = {**value, **built}
        if len(self.violations) > before:
            # The constructor would report the refused fields as missing. Pydantic validates plain
            # values as well, and reports its other constraints with them.
            if hasattr(model, "model_validate"):
                self._replace_violations(before, model, value, path)
            return None
        return self._try_build(path, lambda: _construct(model, value, built, hints))

    def _replace_violations(self, before: int, model: Any, value: Any, path: str) -> None:
        """Replaces the violations of the fields of a pydantic model by those of all of it."""
        nested = self.violations[before:]
        del self.violations[before:]
        self._try_build(path, lambda: model.model_validate(value))
        found = {violation.path for violation in self.violations[before:]}
        self.violations += [each for each in nested if each.path not in found]

    def _try_build(self, path: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except Exception as error:
            self.violations += _violations(error, path)
            return None

    def _value(self, hint: Any, value: Any, path: str) -> Any:
        if value is None:
            return None
        hint = resolve_hint(hint)
        origin, args = concrete_origin(hint), typing.get_args(hint)
        if origin is typing.Annotated:
            return self._value(args[0], value, path)
        if origin in (typing.Union, types.UnionType):
            rest = [arg for arg in args if arg is not type(None)]
            return self._value(rest[0], value, path) if len(rest) == 1 else value
        if origin in (list, tuple, set, frozenset) and args and isinstance(value, list):
            is_fixed = origin is tuple and ... not in args
            hints = args if is_fixed else args[:1] * len(value)
            items = enumerate(zip(hints, value, strict=True))
            built = [self._value(each, item, join_pointer(path, i)) for i, (each, item) in items]
            return self._try_build(path, lambda: origin(built))
        if origin is dict and args and isinstance(value, dict):
            return Bunch(
                (k, self._value(args[1], v, join_pointer(path, k))) for k, v in value.items()
            )
        if hint in (tuple, set, frozenset) and isinstance(value, list):
            return self._try_build(path, lambda: hint(value))
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return self._try_build(path, lambda: hint(value))
        return self.model(hint, value, path) if is_model(hint) else value


def _construct(
    model: Any, value: dict[str, Any], built: dict[str, Any], hints: dict[str, Any]
) -> Any:
    if hasattr(model, "model_validate"):
        return model.model_validate({**value, **built})
    if is_typed_dict(model):
        return built
    params = getattr(model, "__dataclass_params__", None)
    if params is not None and not params.init:
        return _fill(model, built)
    for name in hints:
        # A field of type `T | None` without a default is `None` where it is absent.
        if name not in built and requires_argument(model, name):
            built[name] = None
    return model(**built)


def _fill(model: Any, built: dict[str, Any]) -> Any:
    """Builds a model without a constructor, as Zato's models are, by setting its attributes."""
    instance = model.__new__(model)
    for field in dataclasses.fields(model):
        if field.name in built:
            setattr(instance, field.name, built[field.name])
        elif field.default_factory is not dataclasses.MISSING:
            setattr(instance, field.name, field.default_factory())
        elif field.default is dataclasses.MISSING:
            setattr(instance, field.name, None)
    return instance


def _violations(error: Exception, path: str) -> list[Violation]:
    if isinstance(error, CideryError):
        raise error
    found = getattr(error, "errors", None)
    if not callable(found):
        return [Violation(path, str(error), "INVALID")]
    return [
        Violation(_extend_pointer(path, each["loc"]), each["msg"], "INVALID") for each in found()
    ]


def _extend_pointer(path: str, steps: typing.Iterable[object]) -> str:
    for step in steps:
        path = join_pointer(path, step)
    return path
