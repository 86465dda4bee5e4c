"""The declaration of a service class: its `input` and `output`, or its `class SimpleIO`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cidery._sio.declaration import CsvOptions, Elements, Sio
from cidery._sio.element import EmptyStrings, UnknownKeys
from cidery._sio.model_declarations import elements_of_model
from cidery._sio.model_fields import is_model, list_item_model

if TYPE_CHECKING:
    from cidery._service.service import Service

_SIDES = ("input", "output")


def read_class_declaration(cls: type[Service]) -> tuple[Sio, dict[str, Any]]:
    """Reads the declaration of a class: `input` and `output`, or `class SimpleIO`."""
    simple_io = getattr(cls, "SimpleIO", None)
    where: Any = cls if simple_io is None else simple_io
    sides: dict[str, Elements | None] = {}
    models: dict[str, Any] = {}
    for side in _SIDES:
        declared = getattr(where, side, None)
        if simple_io is not None:
            declared = merge_required_and_optional(simple_io, side, declared)
        if is_model(declared) or list_item_model(declared):
            models[side] = declared
            sides[side] = elements_of_model(declared, is_output=side == "output")
        else:
            sides[side] = None if declared is None else Elements.of_any(declared)
    sio = Sio(
        input=sides["input"],
        output=sides["output"],
        response_elem=getattr(where, "response_elem", None) or "",
        unknown_keys=getattr(where, "unknown_keys", None) or UnknownKeys.DROP,
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
