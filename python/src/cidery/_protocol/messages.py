"""Requests and responses: encoding from Python values, and decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

from cidery._protocol.call_types import Out
from cidery._protocol.options import (
    DataFormat,
    DataFormatName,
    OnDeadline,
    OnExhausted,
    Options,
    duration,
    enum_value,
    service_names,
    timestamp,
)
from cidery._protocol.typed import typed_response
from cidery._values.bunch import Bunch
from cidery._values.json_codec import parse_json
from cidery._values.plain import to_plain
from cidery._values.struct_pb import fill_struct, fill_value, from_struct, from_value
from cidery.v1 import invocation_pb2


@dataclass(frozen=True)
class Response(Generic[Out]):
    """The response of a service, with its CID and metadata."""

    cid: str
    payload: Out
    """An instance of the declared output type; where the service has none or was invoked by its
    name, a dict with dot access, a list or a scalar; a string if a format was requested."""
    metadata: dict[str, str]
    data_format: DataFormat


class Accepted(str):
    """The CID of an accepted invocation: a string, and whether it was accepted before."""

    __slots__ = ("already_accepted",)
    already_accepted: bool

    def __new__(cls, cid: str, already_accepted: bool = False) -> Accepted:
        """Creates one."""
        self = super().__new__(cls, cid)
        self.already_accepted = already_accepted
        return self


def set_payload(
    message: Any, value: Any, data_format: DataFormat | DataFormatName | None = None
) -> None:
    """Sets `payload`, `value` or `document` of a message that has these three fields."""
    parsed_format = enum_value(DataFormat, data_format, "data_format") if data_format else None
    value = to_plain(value)
    if parsed_format not in (None, DataFormat.DICT) and isinstance(value, (str, bytes)):
        message.document = value.encode() if isinstance(value, str) else value
        message.data_format = parsed_format.to_proto()
    elif parsed_format in (DataFormat.CSV, DataFormat.TEXT, DataFormat.FORM):
        raise TypeError(
            f"{parsed_format.name} is sent as text or bytes, not as a {type(value).__name__}"
        )
    elif isinstance(value, dict):
        # Sets the field of an empty dict as well.
        message.payload.SetInParent()
        fill_struct(message.payload, value)
    else:
        message.value.SetInParent()
        fill_value(message.value, value)


def get_payload(message: Any, oneof: str, *, decode_json: bool = True) -> Any:
    """Reads `payload`, `value` or `document`; without any, an empty dict."""
    kind = message.WhichOneof(oneof)
    if kind == "payload":
        return from_struct(message.payload)
    if kind == "value":
        return from_value(message.value)
    if kind == "document":
        is_json = DataFormat.from_proto(message.data_format) in (DataFormat.JSON, DataFormat.DICT)
        if is_json and decode_json:
            return parse_json(message.document)
        return message.document.decode()
    return Bunch()


def invoke_request(service: str, payload: Any, options: Options) -> invocation_pb2.InvokeRequest:
    """Builds a request of a synchronous invocation."""
    request = invocation_pb2.InvokeRequest(service=service)
    _fill_common_fields(request, payload, options)
    if options.on_deadline and OnDeadline(options.on_deadline) is OnDeadline.CONTINUE:
        request.on_deadline = invocation_pb2.ON_DEADLINE_CONTINUE
    return request


def invoke_async_request(
    service: str, payload: Any, options: Options
) -> invocation_pb2.InvokeAsyncRequest:
    """Builds a request of an asynchronous invocation."""
    if options.on_deadline is not None:
        raise TypeError("`on_deadline` is an option of `invoke`, not of `invoke_async`")
    request = invocation_pb2.InvokeAsyncRequest(
        service=service,
        concurrency_key=options.concurrency_key or "",
        callbacks=service_names(options.callback),
        failure_callbacks=service_names(options.failure_callback),
    )
    _fill_common_fields(request, payload, options)
    for name in ("delay", "expiration", "retention"):
        given = getattr(options, name)
        if given is not None:
            getattr(request, name).CopyFrom(duration(given, name))
    for name in ("start_time", "deadline"):
        given = getattr(options, name)
        if given is not None:
            getattr(request, name).CopyFrom(timestamp(given, name))
    if options.retry_policy is not None:
        request.retry_policy.CopyFrom(options.retry_policy.to_proto())
    if options.on_exhausted is not None:
        request.on_exhausted = OnExhausted(options.on_exhausted).to_proto()
    return request


def _fill_common_fields(request: Any, payload: Any, options: Options) -> None:
    set_payload(request, payload, options.data_format)
    if options.response_format is not None:
        request.response_format = DataFormat(options.response_format).to_proto()
    if options.timeout is not None:
        request.timeout.CopyFrom(duration(options.timeout, "timeout"))
    for key, text in (options.metadata or {}).items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise TypeError(f"`metadata` has {key!r}: {text!r}, and both must be strings")
        request.metadata[key] = text
    if options.cid:
        request.cid = options.cid
    if options.idempotency_key:
        request.idempotency_key = options.idempotency_key


def read_response(
    response: invocation_pb2.InvokeResponse, options: Options, service: Any
) -> Response[Any]:
    """Decodes the response of a service, as the declared output type if it has one."""
    if options.response_format is None:
        payload = typed_response(service, get_payload(response, "output"), response.cid or None)
    else:
        # A caller that requests a format gets the text.
        payload = get_payload(response, "output", decode_json=False)
    return Response(
        cid=response.cid,
        payload=payload,
        metadata=dict(response.metadata),
        data_format=DataFormat.from_proto(response.data_format),
    )
