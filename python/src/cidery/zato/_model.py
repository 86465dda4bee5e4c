"""`Model`: Zato's base class of models."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

from cidery._sio.conversion import to_python_types
from cidery._sio.declaration import Sio
from cidery._sio.model_declarations import elements_of_model
from cidery._sio.model_instances import build_instance
from cidery._sio.validation import validated_input
from cidery._values.json_codec import to_json
from cidery._values.plain import to_plain
from cidery._values.struct_pb import round_trip


class Model:
    """A base class of dataclasses."""

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

    def clone(self) -> Any:
        """A copy."""
        # Not by the constructor: a model may have none that takes its fields.
        return copy.copy(self)
