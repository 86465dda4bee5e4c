"""The operations of a client, without I/O.

Each is a generator: it yields the calls to make and is sent their replies. `Client`, `AsyncClient`
and handlers drive the same operations in their own way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cidery._errors.exceptions import CideryError, DeadlineExceeded
from cidery._errors.status_details import to_failure
from cidery._protocol.cid import new_cid
from cidery._protocol.filters import refuse_no_selection, set_filter
from cidery._protocol.messages import (
    Accepted,
    Response,
    invoke_async_request,
    invoke_request,
    read_response,
    set_payload,
)
from cidery._protocol.options import (
    DataFormat,
    DataFormatName,
    OnDeadline,
    Options,
    Seconds,
    duration,
    refuse_background_options,
    seconds,
    service_name,
)
from cidery._protocol.result_cursor import ResultCursor
from cidery._protocol.results import Change, Event, Invocation, State, Summary
from cidery._protocol.retry import is_connect_failure, is_safe_to_retry, never_retry, not_dispatched
from cidery._protocol.steps import SLEEP, STREAM_RESULTS, FollowStream, Operation, UnaryCall
from cidery._protocol.typed import declared_type
from cidery.v1 import (
    discovery_pb2,
    invocation_pb2,
)

# A request waits at most this long for an outcome, and is then repeated.
_MAX_WAIT = 60.0
_PAGE_SIZE = 1_000

T = TypeVar("T")


def invoke(service: Any, payload: Any, options: Options) -> Operation[Response[Any]]:
    """Invokes a service and waits for its response."""
    refuse_background_options(options)
    # Always sends a CID: a caller that loses the connection can fetch the outcome by it.
    cid = options.cid or new_cid()
    options = options.updated({"cid": cid})
    request = invoke_request(service_name(service), payload, options)
    on_deadline = options.on_deadline and OnDeadline(options.on_deadline)
    # A durable call is accepted once by its CID or key, so a retry is safe.
    is_durable = on_deadline is OnDeadline.CONTINUE or options.idempotency_key
    timeout = None if options.timeout is None else seconds(options.timeout)
    is_retryable = is_safe_to_retry if is_durable else not_dispatched(request.service)
    reply = yield UnaryCall("Invoke", request, timeout, is_retryable, cid)
    return read_response(reply.message, options, service)


def invoke_async(
    service: Any, payload: Any, options: Options, dispatch: str = ""
) -> Operation[Accepted]:
    """Invokes a service in the background; returns its CID."""
    for name in ("once", "with_outcome"):
        if getattr(options, name):
            raise TypeError(f"`{name}` is an option of calls that a handler makes")
    is_new_cid = not options.cid
    options = options.updated({"cid": options.cid or new_cid()})
    request = invoke_async_request(service_name(service), payload, options)
    metadata = (("cidery-dispatch", dispatch),) if dispatch else ()
    reply = yield UnaryCall("InvokeAsync", request, None, is_safe_to_retry, options.cid, metadata)
    response = reply.message
    # An earlier attempt of this call may have been accepted: not a repetition for the caller.
    accepted_by_retried_call = is_new_cid and reply.attempts > 1 and response.cid == options.cid
    return Accepted(response.cid, response.already_accepted and not accepted_by_retried_call)


def get_invocation(
    cid: str,
    wait: Seconds | None,
    *,
    full: bool = False,
    service: str = "",
    idempotency_key: str = "",
) -> Operation[Invocation]:
    """Fetches an invocation, once it has ended or `wait` has passed."""
    request = invocation_pb2.GetInvocationRequest(
        cid=cid,
        service=service,
        idempotency_key=idempotency_key,
        wait=duration(wait or 0.0, "wait"),
        view=invocation_pb2.INVOCATION_VIEW_FULL if full else invocation_pb2.INVOCATION_VIEW_BASIC,
    )
    unary = UnaryCall(
        "GetInvocation", request, None, is_safe_to_retry, cid or None, blocks=bool(wait)
    )
    return Invocation.from_proto((yield unary).message.invocation)


def get_result(cid: str, output: Any, wait: Seconds | None) -> Operation[Any]:
    """Waits for an outcome; returns the response, as a type if one is given, or raises the
    failure."""
    if output is not None:
        declared_type(output)
    found = yield from wait_until_ended(cid, wait)
    if found.error is not None:
        raise found.error
    return found.payload if output is None else found.payload_as(output)


def wait_until_ended(cid: str, wait: Seconds | None) -> Operation[Invocation]:
    """Waits for the end of an invocation."""
    deadline = None if wait is None else time.monotonic() + seconds(wait)
    while True:
        remaining = _MAX_WAIT if deadline is None else deadline - time.monotonic()
        found = yield from get_invocation(cid, max(0.0, min(remaining, _MAX_WAIT)))
        if found.has_ended:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            message = f"the invocation has not ended: it is {found.state.value}"
            raise DeadlineExceeded("STILL_RUNNING", message, cid=cid)


def follow(cid: str, on_event: Callable[[Event], None]) -> Operation[None]:
    """Reads the events of an invocation, or of a group and its members, in order."""
    yield UnaryCall(
        STREAM_RESULTS,
        FollowStream(ResultCursor([cid]), on_event),
        None,
        is_safe_to_retry,
        cid,
        blocks=True,
    )


def sleep(seconds: float) -> Operation[None]:
    """Sleeps until the time has passed or the handler is cancelled."""
    yield UnaryCall(SLEEP, seconds, None, never_retry, blocks=True)


def complete(
    cid: str,
    token: str,
    payload: Any,
    error: CideryError | None,
    data_format: DataFormat | DataFormatName | None,
    metadata: Mapping[str, str] | None,
) -> Operation[State]:
    """Gives the outcome of an invocation that waits for completion."""
    request = invocation_pb2.CompleteInvocationRequest(cid=cid, token=token)
    if error is None:
        set_payload(request, {} if payload is None else payload, data_format)
    elif payload is not None:
        raise TypeError("the outcome is a payload or an error, not both")
    elif data_format is not None:
        raise TypeError("`data_format` applies to a payload, not to an error")
    else:
        request.failure.CopyFrom(to_failure(error))
    request.metadata.update(metadata or {})
    reply = yield UnaryCall("CompleteInvocation", request, None, is_safe_to_retry, cid)
    return State.from_proto(reply.message.state)


def list_invocations(filters: Mapping[str, Any], limit: int) -> Operation[list[Invocation]]:
    """Lists stored invocations, newest first."""
    found: list[Invocation] = []
    request = invocation_pb2.ListInvocationsRequest()
    set_filter(request, filters)
    while len(found) < limit:
        request.page_size = min(limit - len(found), _PAGE_SIZE)
        page = (yield UnaryCall("ListInvocations", request, None, is_safe_to_retry)).message
        found += [Invocation.from_proto(message) for message in page.invocations]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    return found


def summarize(filters: Mapping[str, Any]) -> Operation[list[Summary]]:
    """Counts stored invocations by service, state and reason."""
    request = invocation_pb2.SummarizeInvocationsRequest()
    set_filter(request, filters)
    reply = yield UnaryCall("SummarizeInvocations", request, None, is_safe_to_retry)
    return [Summary.from_proto(summary) for summary in reply.message.summaries]


def cancel(
    cids: Sequence[str], filters: Mapping[str, Any], reason: str, dry_run: bool
) -> Operation[list[Change]]:
    """Cancels invocations."""
    refuse_no_selection(cids, filters)
    request = invocation_pb2.CancelInvocationsRequest(
        cids=list(cids), reason=reason, dry_run=dry_run
    )
    set_filter(request, filters)
    return _all_pages("CancelInvocations", request)


def retry(
    cids: Sequence[str], filters: Mapping[str, Any], payload: Any, dry_run: bool
) -> Operation[list[Change]]:
    """Retries ended invocations."""
    refuse_no_selection(cids, filters)
    request = invocation_pb2.RetryInvocationsRequest(cids=list(cids), dry_run=dry_run)
    set_filter(request, filters)
    if payload is not None:
        set_payload(request, payload)
    return _all_pages("RetryInvocations", request)


def purge(
    cids: Sequence[str], filters: Mapping[str, Any], dry_run: bool
) -> Operation[list[Change]]:
    """Removes ended invocations."""
    refuse_no_selection(cids, filters)
    request = invocation_pb2.PurgeInvocationsRequest(cids=list(cids), dry_run=dry_run)
    set_filter(request, filters)
    return _all_pages("PurgeInvocations", request)


def _all_pages(method: str, request: Any) -> Operation[list[Change]]:
    """Applies a change to invocations page by page."""
    changes: list[Change] = []
    while True:
        page = (yield UnaryCall(method, request, None, is_connect_failure)).message
        changes += map(Change.from_proto, page.changes)
        request.page_token = page.next_page_token
        if not request.page_token:
            return changes


def list_services(prefix: str) -> Operation[list[discovery_pb2.ServiceSummary]]:
    """Lists the services whose names start with `prefix`."""
    found: list[discovery_pb2.ServiceSummary] = []
    token = ""
    while True:
        request = discovery_pb2.ListServicesRequest(name_prefix=prefix, page_token=token)
        page = (yield UnaryCall("ListServices", request, None, is_safe_to_retry)).message
        found += page.services
        token = page.next_page_token
        if not token:
            return found


def describe(service: Any) -> Operation[discovery_pb2.ServiceDescription]:
    """Describes a service."""
    request = discovery_pb2.GetServiceRequest(service=service_name(service))
    reply = yield UnaryCall("GetService", request, None, is_safe_to_retry)
    description: discovery_pb2.ServiceDescription = reply.message.service
    return description
