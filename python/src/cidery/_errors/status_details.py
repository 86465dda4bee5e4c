"""Encoding of failures: `google.rpc` status details and `cidery.v1.Failure`, in both directions.

The `google.rpc` messages are declared here in a descriptor pool of their own: no other package is
needed, and none can conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyPb

from cidery._errors.exceptions import CLASS_BY_KIND, CideryError, Detail, Violation
from cidery._errors.kind import Kind
from cidery.v1 import outcome_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import grpc

_TYPE_URL_PREFIX = "type.googleapis.com/google.rpc."
_DOMAIN = "cidery"
_TRANSPORT = "TRANSPORT"
_DETAILS_METADATA_KEY = "grpc-status-details-bin"
CID_METADATA_KEY = "cidery-cid"

# Limits that keep the trailers within the metadata size that clients accept.
_MAX_VIOLATIONS = 50
_MAX_VIOLATION_BYTES = 4 * 1024
_MAX_TEXT_BYTES = 512

_MESSAGE_FIELDS: dict[str, list[tuple[str, int, str]]] = {
    # Name: fields, each with its number and type; "*" before the type means repeated.
    "AnyMessage": [("type_url", 1, "string"), ("value", 2, "bytes")],
    "Duration": [("seconds", 1, "int64"), ("nanos", 2, "int32")],
    "Status": [("code", 1, "int32"), ("message", 2, "string"), ("details", 3, "*AnyMessage")],
    "Entry": [("key", 1, "string"), ("value", 2, "string")],
    "ErrorInfo": [("reason", 1, "string"), ("domain", 2, "string"), ("metadata", 3, "*Entry")],
    "FieldViolation": [
        ("field", 1, "string"),
        ("description", 2, "string"),
        ("reason", 3, "string"),
    ],
    "BadRequest": [("field_violations", 1, "*FieldViolation")],
    "RetryInfo": [("retry_delay", 1, "Duration")],
    "RequestInfo": [("request_id", 1, "string"), ("serving_data", 2, "string")],
}


def _build_message_classes() -> dict[str, Any]:
    field = descriptor_pb2.FieldDescriptorProto
    scalars = {
        "string": field.TYPE_STRING,
        "bytes": field.TYPE_BYTES,
        "int32": field.TYPE_INT32,
        "int64": field.TYPE_INT64,
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="cidery/details.proto", package="cidery.details", syntax="proto3"
    )
    for name, fields in _MESSAGE_FIELDS.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            added = message.field.add(name=field_name, number=number)
            added.label = field.LABEL_REPEATED if kind[0] == "*" else field.LABEL_OPTIONAL
            kind = kind.lstrip("*")
            added.type = scalars.get(kind, field.TYPE_MESSAGE)
            if kind not in scalars:
                added.type_name = f".cidery.details.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"cidery.details.{name}"))
        for name in _MESSAGE_FIELDS
    }


_MESSAGE_CLASSES = _build_message_classes()


def from_rpc_error(error: grpc.RpcError, cid: str | None = None) -> CideryError:
    """Decodes the status of a failed call: from a node, or from the transport."""
    call: Any = error
    code = call.code().value[0]
    message = call.details() or ""
    trailers = _metadata_dict(call.trailing_metadata())
    initial = call.initial_metadata() if hasattr(call, "initial_metadata") and not trailers else ()
    found = trailers.get(CID_METADATA_KEY) or _metadata_dict(initial).get(CID_METADATA_KEY) or cid
    encoded = trailers.get(_DETAILS_METADATA_KEY)
    if not encoded:
        # A status without details comes from the transport, or from a server that is not a node.
        return CLASS_BY_KIND[Kind.from_code(code)](_TRANSPORT, message, cid=found)
    status = _MESSAGE_CLASSES["Status"].FromString(encoded)
    details = [(any_.type_url, any_.value) for any_ in status.details]
    return _from_details(code, message, details, found)


def _metadata_dict(metadata: Any) -> dict[str, Any]:
    # grpc.aio returns a mapping in some versions only; in all of them it iterates over pairs.
    return {key: value for key, value in metadata or ()}  # noqa: C416


def from_failure(failure: outcome_pb2.Failure, cid: str | None = None) -> CideryError:
    """Decodes a failure message of a node or a worker."""
    details = [(any_.type_url, any_.value) for any_ in failure.details]
    error = _from_details(failure.code, failure.message, details, cid)
    _set_reason(error, failure.reason)
    if failure.HasField("retryable"):
        error.retryable = failure.retryable
    if failure.HasField("retry_delay"):
        error.retry_after = _duration_seconds(failure.retry_delay)
    return error


def to_failure(error: CideryError) -> outcome_pb2.Failure:
    """Encodes a failure, with as many violations as the limits allow."""
    failure = outcome_pb2.Failure(
        code=f"CODE_{error.kind.name}",
        reason=error.reason,
        message=error.message,
        details=_encode_details(error),
    )
    if error.retryable is not None:
        failure.retryable = error.retryable
    if error.retry_after is not None:
        failure.retry_delay.FromNanoseconds(round(error.retry_after * 1e9))
    return failure


def _from_details(
    code: int, message: str, details: Sequence[tuple[str, bytes]], cid: str | None
) -> CideryError:
    reason, facts, retryable, retry_after = "", {}, None, None
    violations: list[Violation] = []
    custom: list[Detail] = []
    for type_url, value in details:
        name = type_url.removeprefix(_TYPE_URL_PREFIX)
        if name == "ErrorInfo":
            info = _MESSAGE_CLASSES[name].FromString(value)
            reason = info.reason
            facts = {entry.key: entry.value for entry in info.metadata}
            marked = facts.pop("retryable", None)
            retryable = None if marked is None else marked == "true"
        elif name == "BadRequest":
            for found in _MESSAGE_CLASSES[name].FromString(value).field_violations:
                violations.append(Violation(found.field, found.description, found.reason))
        elif name == "RetryInfo":
            retry_after = _duration_seconds(_MESSAGE_CLASSES[name].FromString(value).retry_delay)
        elif name == "RequestInfo":
            cid = cid or _MESSAGE_CLASSES[name].FromString(value).request_id
        else:
            custom.append(Detail(type_url, value))
    error = CLASS_BY_KIND[Kind.from_code(code)](
        message=message,
        violations=violations,
        retryable=retryable,
        retry_after=retry_after,
        cid=cid,
        facts=facts,
        details=custom,
    )
    _set_reason(error, reason)
    return error


def _set_reason(error: CideryError, reason: str) -> None:
    """Sets a reason of another program, which is passed through unchanged, whatever its form."""
    if reason:
        error.reason = reason
        error.args = (reason, error.message)


def _encode_details(error: CideryError) -> Iterable[AnyPb]:
    included, size = [], 0
    for violation in error.violations[:_MAX_VIOLATIONS]:
        written = _MESSAGE_CLASSES["FieldViolation"](
            field=violation.path[:_MAX_TEXT_BYTES],
            description=violation.description[:_MAX_TEXT_BYTES],
            reason=violation.reason,
        )
        size += written.ByteSize() + 4
        if size > _MAX_VIOLATION_BYTES:
            break
        included.append(written)
    facts = dict(error.facts)
    omitted = len(error.violations) - len(included)
    if omitted:
        facts["violations_omitted"] = str(omitted + error.violations_omitted)
    if error.retryable is not None:
        facts["retryable"] = "true" if error.retryable else "false"
    entries = [_MESSAGE_CLASSES["Entry"](key=key, value=value) for key, value in facts.items()]
    yield _pack(
        "ErrorInfo",
        _MESSAGE_CLASSES["ErrorInfo"](reason=error.reason, domain=_DOMAIN, metadata=entries),
    )
    if included:
        yield _pack("BadRequest", _MESSAGE_CLASSES["BadRequest"](field_violations=included))
    if error.retry_after is not None:
        nanoseconds = round(error.retry_after * 1e9)
        duration = _MESSAGE_CLASSES["Duration"](
            seconds=nanoseconds // 10**9, nanos=nanoseconds % 10**9
        )
        yield _pack("RetryInfo", _MESSAGE_CLASSES["RetryInfo"](retry_delay=duration))
    for detail in error.details:
        yield AnyPb(type_url=detail.type_url, value=detail.value)


def _pack(name: str, message: Any) -> AnyPb:
    return AnyPb(type_url=_TYPE_URL_PREFIX + name, value=message.SerializeToString())


def _duration_seconds(duration: Any) -> float:
    return float(duration.seconds + duration.nanos / 1e9)
