"""`Service` as the model's modules mean it: the same service, with the model's rules of reading.

Where they differ from those of `cidery.Service`: bare names mean types; required input is not
enforced where there is no payload at all; a `class SimpleIO` without `response_elem` wraps its
response in `response`; the reserved words of `invoke` are options; exceptions are not retried.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
from typing import TYPE_CHECKING, Any, ClassVar

from cidery import _elements as elements
from cidery._calls import read_json
from cidery._convert import Input
from cidery._definition import declared_by_class
from cidery._errors import DeadlineExceeded, InvalidArgument, Violation
from cidery._options import Options, RetryPolicy
from cidery._payload import plain
from cidery._protocol import Steps
from cidery._service import Service as CideryService
from cidery._sio import Elements, EmptyStrings, Sio, Type, UnknownKeys, json_text
from cidery.zato._callbacks import translated
from cidery.zato._patterns import Patterns, is_nothing

if TYPE_CHECKING:
    from cidery._context import Facts

_RESPONSE_ELEM = "response"
_PAYLOAD = "self.response.payload"
_TEXTS = (Type.TEXT, Type.SECRET)


class DATA_FORMAT:  # noqa: N801
    """How a payload is written."""

    CSV = "csv"
    DICT = "dict"
    JSON = "json"


ELEMENTS: dict[str, Any] = {
    "AsIs": elements.AsIs,
    "Bool": elements.Bool,
    "Boolean": elements.Bool,
    "CSV": elements.Csv,
    "Date": elements.Date,
    "DateTime": elements.DateTime,
    "Decimal": elements.Decimal,
    "Dict": elements.Dict,
    "DictList": elements.DictList,
    "Float": elements.Float,
    "Int": elements.Int,
    "Integer": elements.Int,
    "List": elements.List,
    "ListOfDicts": elements.DictList,
    "Nested": elements.AsIs,
    "Opaque": elements.AsIs,
    "Secret": elements.Secret,
    "Text": elements.Text,
    "UTC": elements.DateTime,
    "UUID": elements.Uuid,
    "Unicode": elements.Text,
}


class Model:
    """A class with typed fields, made a dataclass by whoever declares it."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name, None)

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """A field, or the default."""
        return getattr(self, name, default)

    def to_dict(self) -> dict[str, Any]:
        """All fields."""
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        return {f.name: plain(getattr(self, f.name)) for f in fields if hasattr(self, f.name)}

    def to_json(self) -> str:
        """All fields, as JSON."""
        return json_text(self.to_dict())

    def clone(self) -> Any:
        """A copy."""
        return dataclasses.replace(self)  # type: ignore[type-var]


class Service(CideryService):
    """A service of the model."""

    # As in the model: an exception ends it.
    retry_policy: ClassVar[RetryPolicy | None] = RetryPolicy(max_attempts=1)
    _required: ClassVar[tuple[str, ...]] = ()

    @property
    def environ(self) -> dict[str, str]:
        """What the caller sent along."""
        return self.metadata

    @property
    def data_format(self) -> str:
        """How the input was written."""
        return self.request.data_format.value

    def invoke(self, service: Any, payload: Any = "", /, *args: Any, **given: Any) -> Any:
        """Invokes a service by the model's parameters; other keywords are the payload."""
        return self._run(self._calling(service, payload, args, given))

    def invoke_async(self, service: Any, payload: Any = "", /, *args: Any, **given: Any) -> Any:
        """Has a service run in the background; answers with its CID."""
        call = _Call(payload, args, given)
        return self._run(self._invoke_async(service, call.payload, call.async_options(self)))

    @property
    def patterns(self) -> Patterns:
        """Fan-out, parallel execution, and one service again and again."""
        return Patterns(self)

    def _calling(
        self, service: Any, payload: Any, args: tuple[Any, ...], given: dict[str, Any]
    ) -> Steps[Any]:
        call = _Call(payload, args, given)
        steps = self._invoke(service, call.payload, call.options())
        return _read(steps, call, raises=given.get("raise_timeout", True))

    @classmethod
    def _translated(cls, facts: Facts) -> Steps[Facts]:
        """Reads what a node tells of a fan-out as the model tells it."""
        return translated(facts)

    @classmethod
    def _beside(cls) -> list[Any]:
        """What is served wherever a service of the model is."""
        from cidery.zato._retried import InvokeRetry

        return [InvokeRetry]

    @classmethod
    def _declare(cls, service: type[CideryService]) -> tuple[Sio, dict[str, Any]]:
        """Reads a declaration by the model's rules."""
        sio, models = declared_by_class(service)
        sio = sio.inferred()
        simple_io = getattr(service, "SimpleIO", None)
        if simple_io is not None and not hasattr(simple_io, "response_elem"):
            sio = dataclasses.replace(sio, response_elem=_RESPONSE_ELEM if sio.output else "")
        if sio.output is not None and _answers_rows(service):
            rows = dataclasses.replace(sio.output, is_list=True)
            sio = dataclasses.replace(sio, output=rows)
        given = sio.input
        if given is not None:
            # A node enforces what is required; here that depends on whether there is a payload.
            service._required = tuple(  # type: ignore[attr-defined]
                element.name for element in given.elements if not element.is_optional
            )
            optional = tuple(element.optional() for element in given.elements)
            # A key that is not declared is a payload as well, and is dropped only then.
            kept = dataclasses.replace(given, elements=optional, keys=UnknownKeys.KEEP)
            sio = dataclasses.replace(sio, input=kept)
        return dataclasses.replace(sio, empty_strings=EmptyStrings.ABSENT), models

    @classmethod
    def _admit(cls, sio: Sio, payload: Any) -> None:
        """Enforces what is required, where there is a payload."""
        if not isinstance(payload, dict) or not payload:
            return
        missing = [name for name in cls._required if name not in payload]
        if missing:
            violations = [Violation(f"/{name}", "is required", "MISSING") for name in missing]
            raise InvalidArgument(reason="INPUT_INVALID", violations=violations)

    @classmethod
    def _received(cls, declared: Elements | None, given: Any) -> Any:
        """What is not declared is dropped; a text that is absent reads as the empty text."""
        if isinstance(given, Input) and declared is not None:
            names = {element.name for element in declared.elements}
            for name in [name for name in given if name not in names]:
                del given[name]
            for element in declared.elements:
                if element.kind in _TEXTS:
                    given.setdefault(element.name, "")
        return given


def _answers_rows(service: type[CideryService]) -> bool:
    """Whether what is declared of the output is of each row: `output_repeated` says so, or a
    handler that fills `payload[:]`, or appends to it, and sets nothing else of it."""
    simple_io = getattr(service, "SimpleIO", None)
    if getattr(simple_io, "output_repeated", False):
        return True
    try:
        source = textwrap.dedent(inspect.getsource(service.handle))
        parts = list(ast.walk(ast.parse(source)))
    except (OSError, SyntaxError):
        # Made by other code: nothing can be read of it.
        return False
    filled = [ast.unparse(node.func) for node in parts if isinstance(node, ast.Call)]
    targets = [node.targets for node in parts if isinstance(node, ast.Assign)]
    assigned = [ast.unparse(target) for several in targets for target in several]
    of_rows = {f"{_PAYLOAD}.append", f"{_PAYLOAD}.extend", f"{_PAYLOAD}[:]"}
    others = [text for text in assigned if text.startswith(_PAYLOAD) and text not in of_rows]
    return bool(of_rows.intersection(filled + assigned)) and not others


# In the order of the model's own signature.
_POSITIONS = ("channel", "data_format", "transport", "serialize", "as_bunch", "timeout")
_RESERVED = frozenset(
    (
        *_POSITIONS,
        "callback",
        "channel_params",
        "cid",
        "environ",
        "expiration",
        "job_type",
        "raise_timeout",
        "skip_response_elem",
        "to_json_string",
        "wsgi_environ",
        "zato_ctx",
    )
)


class _Call:
    """One call by the model's parameters."""

    def __init__(self, payload: Any, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        self.given = dict(zip(_POSITIONS, args, strict=False))
        self.given.update({key: given[key] for key in given if key in _RESERVED})
        inline = {key: value for key, value in given.items() if key not in _RESERVED}
        # A payload that is nothing counts as none.
        has_payload = not is_nothing(payload)
        self.payload = payload if has_payload else inline
        if self.given.get("to_json_string"):
            self.payload = json_text(plain(self.payload))
        elif self.given.get("data_format") == DATA_FORMAT.JSON:
            self.payload = _parsed(self.payload)

    def options(self) -> Options:
        """The options of a call that waits."""
        timeout = self.given.get("timeout") or None
        return Options(timeout=timeout, metadata=self._metadata(), data_format=self._format())

    def async_options(self, service: Service) -> Options:
        """The options of a call in the background."""
        callback = self.given.get("callback")
        return Options(
            cid=self.given.get("cid") or None,
            metadata=self._metadata(),
            data_format=self._format(),
            callback=service.service_name if callback is service else callback,
            expiration=self.given.get("expiration"),
        )

    def read(self, response: Any) -> Any:
        """The response, without what it is wrapped in where that was asked for."""
        if not self.given.get("skip_response_elem") or not isinstance(response, dict):
            return response
        keys = [key for key in response if key != "_meta"]
        is_wrapped = len(keys) == 1 and keys[0].startswith(("response", "zato"))
        return response[keys[0]] if is_wrapped else response

    def _format(self) -> str | None:
        given = self.given.get("data_format")
        # A dict that is sent as JSON is a dict, and text that is JSON was read.
        return given if given == DATA_FORMAT.CSV else None

    def _metadata(self) -> dict[str, str] | None:
        environ = self.given.get("environ")
        return {key: str(value) for key, value in environ.items()} if environ else None


def _read(steps: Steps[Any], call: _Call, *, raises: bool) -> Steps[Any]:
    try:
        return call.read((yield from steps))
    except DeadlineExceeded:
        if raises:
            raise
        return None


def _parsed(payload: Any) -> Any:
    """Text that says it is JSON; what is not is refused, where the model takes it as it is."""
    if not isinstance(payload, (str, bytes)):
        return payload
    try:
        return read_json(payload)
    except ValueError as error:
        raise InvalidArgument(
            f"the payload is no JSON: {error}", reason="DOCUMENT_MALFORMED"
        ) from None
