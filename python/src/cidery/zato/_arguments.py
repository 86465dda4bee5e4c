"""The arguments of Zato's `invoke` and `invoke_async`, in the order of its signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cidery._errors.exceptions import DeadlineExceeded
from cidery._protocol.call_types import HandlerInvokeAsyncOptions
from cidery._protocol.options import DataFormat, Options
from cidery._protocol.steps import Operation
from cidery._values.json_codec import parse_json, to_json
from cidery._values.plain import to_plain
from cidery.zato._environ import to_metadata
from cidery.zato._exceptions import ParsingException
from cidery.zato._naive_times import with_zone

INVOKE_OPTIONS = frozenset(
    {
        "zato_name",
        "payload",
        "channel",
        "data_format",
        "transport",
        "serialize",
        "as_bunch",
        "timeout",
        "raise_timeout",
        "cid",
        "environ",
        "skip_response_elem",
        "zato_response_headers_container",
    }
)
"""The keywords of `invoke` that are options, as in Zato; all others are the payload."""

ASYNC_OPTIONS = frozenset(HandlerInvokeAsyncOptions.__annotations__) | {
    "name",
    "payload",
    "channel",
    "data_format",
    "transport",
    "expiration",
    "to_json_string",
    "cid",
    "callback",
    "environ",
}
"""The keywords of `invoke_async` that are options: those of Zato, and those of this SDK."""

INVOKE_REFUSED = frozenset({"set_response_func", "target", "wsgi_environ"})
ASYNC_REFUSED = frozenset({"zato_ctx"})
"""The keywords that are refused: without their effect a call would do something else."""


class DATA_FORMAT:  # noqa: N801
    """The data formats of Zato."""

    CSV = "csv"
    DICT = "dict"
    JSON = "json"


@dataclass(frozen=True)
class InvokeArguments:
    """The arguments of a call. Labels such as `channel` are accepted and ignored."""

    payload: Any
    options: Options
    skip_response_elem: bool = False
    raise_timeout: bool = True
    headers: Any = None
    """A dict that gets the metadata of the response."""

    @classmethod
    def for_invoke(
        cls,
        payload: Any = "",
        channel: Any = "",
        data_format: Any = None,
        transport: Any = "",
        serialize: Any = False,
        as_bunch: Any = False,
        timeout: Any = None,
        raise_timeout: Any = True,
        *,
        cid: Any = None,
        environ: Any = None,
        skip_response_elem: Any = False,
        zato_response_headers_container: Any = None,
        **others: Any,
    ) -> InvokeArguments:
        """Parses the arguments of `invoke`; other keywords are the payload if there is no other."""
        payload = _payload_of("invoke", payload, others, INVOKE_REFUSED)
        is_csv = data_format == DATA_FORMAT.CSV
        options = Options().updated(
            {
                "timeout": timeout or None,
                "metadata": to_metadata(environ, cid) or None,
                "data_format": DataFormat.CSV if is_csv else None,
                # In Zato the format applies to the payload only; a node applies it to the response
                # as well.
                "response_format": DataFormat.DICT if is_csv else None,
            }
        )
        return cls(
            _parse_payload(payload, data_format),
            options,
            bool(skip_response_elem),
            bool(raise_timeout),
            zato_response_headers_container,
        )

    @classmethod
    def for_invoke_async(
        cls,
        payload: Any = "",
        channel: Any = "",
        data_format: Any = None,
        transport: Any = "",
        expiration: Any = None,
        to_json_string: Any = False,
        cid: Any = None,
        callback: Any = None,
        zato_ctx: Any = None,
        environ: Any = None,
        **others: Any,
    ) -> InvokeArguments:
        """Parses the arguments of `invoke_async`: those of Zato, and the options of this SDK. Other
        keywords, which Zato refuses, are the payload."""
        given = {name: others.pop(name) for name in sorted(ASYNC_OPTIONS & others.keys())}
        if zato_ctx:
            others["zato_ctx"] = zato_ctx
        payload = _payload_of("invoke_async", payload, others, ASYNC_REFUSED)
        payload = (
            to_json(to_plain(payload)) if to_json_string else _parse_payload(payload, data_format)
        )
        metadata = {**(given.pop("metadata", None) or {}), **to_metadata(environ)}
        options = Options().updated(
            {
                "cid": cid or None,
                "metadata": metadata or None,
                "data_format": DataFormat.CSV if data_format == DATA_FORMAT.CSV else None,
                "callback": callback,
                "expiration": expiration,
                **given,
            }
        )
        return cls(payload, options)

    def read(self, operation: Operation[Any]) -> Operation[Any]:
        """The payload of a response, with `raise_timeout` and `skip_response_elem` applied."""
        try:
            answered = yield from operation
        except DeadlineExceeded:
            if self.raise_timeout:
                raise
            return None
        if self.headers is not None:
            self.headers.update(answered.metadata)
        response = answered.payload
        if not self.skip_response_elem or not isinstance(response, dict):
            return response
        keys = [key for key in response if key != "_meta"]
        is_wrapped = len(keys) == 1 and keys[0].startswith(("response", "zato"))
        return response[keys[0]] if is_wrapped else response


def _payload_of(method: str, payload: Any, others: dict[str, Any], refused: frozenset[str]) -> Any:
    """The payload, or the other keywords if there is none."""
    for name in sorted(refused & others.keys()):
        if others.pop(name):
            raise TypeError(f"`{name}` of `{method}` is not supported: see docs/from-zato.md")
    if is_empty(payload):
        # An empty text or a zero counts as none, and is sent unless keywords replace it.
        return with_zone(others) if others or payload is None or payload == "" else payload
    if others:
        name = min(others)
        raise TypeError(
            f"`{name}` is no option of `{method}`, and there is a payload beside it: put it into"
            f" the payload, `{{..., {name!r}: ...}}`"
        )
    return with_zone(payload)


def _parse_payload(payload: Any, data_format: Any) -> Any:
    """Parses a payload that is declared as JSON; Zato accepts malformed JSON as a string."""
    if data_format != DATA_FORMAT.JSON or not isinstance(payload, (str, bytes)):
        return payload
    try:
        return parse_json(payload)
    except ValueError as error:
        raise ParsingException(None, f"the payload is not valid JSON: {error}") from None


def is_empty(payload: Any) -> bool:
    """Whether a payload counts as absent."""
    if payload is None:
        return True
    return isinstance(payload, (str, bytes, dict, list, tuple, int, float)) and not payload
