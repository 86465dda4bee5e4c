"""Zato's modules beside those of services, types and exceptions, with the names that are used of
them for invocations and Simple IO."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any

from cidery._protocol.cid import new_cid
from cidery._sio import constructors as elements
from cidery._values.bunch import Bunch
from cidery._values.json_codec import parse_json, to_json
from cidery._values.plain import to_plain
from cidery.zato import _exceptions

CHANNELS = (
    "amqp",
    "fanout-call",
    "fanout-on-final",
    "fanout-on-target",
    "http-soap",
    "invoke",
    "invoke-async",
    "invoke-async-callback",
    "ipc",
    "json-rpc",
    "new-instance",
    "parallel-exec-call",
    "parallel-exec-on-target",
    "publish",
    "scheduler",
    "service",
    "startup-service",
    "web-socket",
    "worker",
)

CHANNEL = type("CHANNEL", (), {name.upper().replace("-", "_"): name for name in CHANNELS})
"""The channels of Zato: labels, which the layer ignores."""


class _NotGiven(enum.Enum):
    """A value that was not given."""

    NOT_GIVEN = "not given"

    def __bool__(self) -> bool:
        return False


NotGiven = _NotGiven.NOT_GIVEN


def _dumps(value: Any, *, indent: int | None = None, sort_keys: bool = False, **_: Any) -> str:
    """Encodes as JSON, with dates, decimals and models."""
    text = to_json(to_plain(value))
    if indent is None and not sort_keys:
        return text
    return json.dumps(json.loads(text), indent=indent, sort_keys=sort_keys, ensure_ascii=False)


def _unbunchify(value: Any) -> Any:
    """Converts every `Bunch` within a value to a dict."""
    if isinstance(value, dict):
        return {key: _unbunchify(item) for key, item in value.items()}
    return [_unbunchify(item) for item in value] if isinstance(value, list) else value


_JSON: dict[str, Any] = {
    "dumps": _dumps,
    "json_dumps": _dumps,
    "json_loads": parse_json,
    "loads": parse_json,
}
_BUNCH: dict[str, Any] = {"Bunch": Bunch, "bunchify": Bunch.of, "unbunchify": _unbunchify}

SIMPLE_IO_NAMES: dict[str, Any] = {
    "ElementMissing": _exceptions.ElementMissing,
    # `ForceType('user_id')`: the name implies no type.
    "ForceType": elements.AsIs,
    "NotGiven": NotGiven,
    "SerialisationError": _exceptions.SerialisationError,
}
"""Names of Simple IO that are imported from several modules."""

MODULES: dict[str, dict[str, Any]] = {
    "zato.bunch": _BUNCH,
    "zato.common.bunch_": _BUNCH,
    "zato.common.ext.dataclasses": {n: getattr(dataclasses, n) for n in dataclasses.__all__},
    "zato.common.ext.bunch": _BUNCH,
    "zato.common.ext": {},
    "zato.common.json_": _JSON,
    "zato.common.json_internal": _JSON,
    "zato.common.util": {"new_cid": new_cid},
    "zato.common.util.api": {"new_cid": new_cid},
}
"""The modules, and the names in each."""
