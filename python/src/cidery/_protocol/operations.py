"""What a client says and how it understands the answers, without any I/O.

Each method is a generator: it yields the calls that are to be made and is sent their answers. The
blocking client and the one for asyncio carry the calls out, each in its own way, and share all
the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cidery._errors.exceptions import CideryError, DeadlineExceeded
from cidery._errors.status_details import to_failure
from cidery._protocol.cid import new_cid
from cidery._protocol.filters import filter_of
from cidery._protocol.messages import (
    Accepted,
    Response,
    invoke_async_request,
    invoke_request,
    read_response,
    set_value,
)
from cidery._protocol.options import (
    DataFormat,
    OnDeadline,
    Options,
    Seconds,
    duration,
    refuse_background,
    seconds,
    service_name,
)
from cidery._protocol.result_cursor import Followed
from cidery._protocol.results import Event, Invocation, State
from cidery._protocol.retry import may_be_said_again, never, never_began, never_sent
from cidery._protocol.steps import FOLLOW, PAUSE, Follow, Steps, Unary
from cidery.v1 import (
    discovery_pb2,
    invocation_pb2,
)

# How much later than the node's answer the transport gives up: a client that ends a call by itself
# never reads the status with its reason and CID.
TRANSPORT_SLACK = 0.5
# Ten years. What is much longer gRPC takes for a time that has passed.
_LONGEST_TIMEOUT = 10 * 366 * 86_400.0
# One request waits this long for an outcome; then it is asked again.
_LONGEST_WAIT = 60.0
_PAGE = 1_000

T = TypeVar("T")


def invoke(service: Any, payload: Any, options: Options) -> Steps[Response]:
    """Invokes a service and waits for its response."""
    refuse_background(options)
    # Who loses the connection, or the time, can still ask what became of it.
    cid = options.cid or new_cid()
    options = options.updated({"cid": cid})
    request = invoke_request(service_name(service), payload, options)
    on_deadline = options.on_deadline and OnDeadline(options.on_deadline)
    # What is stored is accepted once, by its CID or key.
    is_stored = on_deadline is OnDeadline.CONTINUE or options.idempotency_key
    timeout = None if options.timeout is None else _of_transport(seconds(options.timeout))
    is_safe = may_be_said_again if is_stored else never_began(request.service)
    answer = yield Unary("Invoke", request, timeout, is_safe, cid)
    return read_response(answer.message, options)


def _of_transport(timeout: float) -> float | None:
    # What is wrong with one that is negative is for the node to say.
    return None if timeout > _LONGEST_TIMEOUT else max(timeout, 0.0) + TRANSPORT_SLACK


def invoke_async(
    service: Any, payload: Any, options: Options, dispatch: str = ""
) -> Steps[Accepted]:
    """Has a service run in the background and answers with the CID."""
    is_ours = not options.cid
    options = options.updated({"cid": options.cid or new_cid()})
    request = invoke_async_request(service_name(service), payload, options)
    metadata = (("cidery-dispatch", dispatch),) if dispatch else ()
    answer = yield Unary("InvokeAsync", request, None, may_be_said_again, options.cid, metadata)
    response = answer.message
    # What an earlier try of this call had accepted is new to its caller.
    first_try_was = is_ours and answer.tried > 1 and response.cid == options.cid
    return Accepted(response.cid, response.already_accepted and not first_try_was)


def get(
    cid: str,
    wait: Seconds | None,
    *,
    full: bool = False,
    service: str = "",
    idempotency_key: str = "",
) -> Steps[Invocation]:
    """Looks at an invocation, at the latest when it has ended or `wait` is over."""
    request = invocation_pb2.GetInvocationRequest(
        cid=cid,
        service=service,
        idempotency_key=idempotency_key,
        wait=duration(wait or 0.0, "wait"),
        view=invocation_pb2.INVOCATION_VIEW_FULL if full else invocation_pb2.INVOCATION_VIEW_BASIC,
    )
    unary = Unary("GetInvocation", request, None, may_be_said_again, cid or None, waits=bool(wait))
    return Invocation.from_proto((yield unary).message.invocation)


def result(cid: str, wait: Seconds | None) -> Steps[Any]:
    """Waits for an outcome: the response, or the failure, raised."""
    found = yield from ended(cid, wait)
    if found.error is not None:
        raise found.error
    return found.payload


def ended(cid: str, wait: Seconds | None) -> Steps[Invocation]:
    """Waits for the end of an invocation."""
    until = None if wait is None else time.monotonic() + seconds(wait)
    while True:
        left = _LONGEST_WAIT if until is None else until - time.monotonic()
        found = yield from get(cid, max(0.0, min(left, _LONGEST_WAIT)))
        if found.has_ended:
            return found
        if until is not None and time.monotonic() >= until:
            message = f"the invocation has not ended: it is {found.state.value}"
            raise DeadlineExceeded(message, reason="STILL_RUNNING", cid=cid)


def follow(cid: str, take: Callable[[Event], None]) -> Steps[None]:
    """Reads the events of an invocation, and of the members of a group, one after another."""
    yield Unary(FOLLOW, Follow(Followed([cid]), take), None, may_be_said_again, cid, waits=True)


def pause(seconds: float) -> Steps[None]:
    """Waits, for as long as the outcome of the handler that does is wanted."""
    yield Unary(PAUSE, seconds, None, never, waits=True)


def complete(
    cid: str,
    token: str,
    payload: Any,
    error: CideryError | None,
    data_format: DataFormat | str | None,
    metadata: Mapping[str, str] | None,
) -> Steps[State]:
    """Gives the outcome of an invocation whose handler answers later."""
    request = invocation_pb2.CompleteInvocationRequest(cid=cid, token=token)
    if error is None:
        set_value(request, {} if payload is None else payload, data_format)
    elif payload is not None:
        raise TypeError("the outcome is a payload or an error, not both")
    elif data_format is not None:
        raise TypeError("`data_format` is of a payload, and an error has none")
    else:
        request.failure.CopyFrom(to_failure(error))
    request.metadata.update(metadata or {})
    answer = yield Unary("CompleteInvocation", request, None, may_be_said_again, cid)
    return State.from_proto(answer.message.state)


def invocations(chosen: Mapping[str, Any], limit: int) -> Steps[list[Invocation]]:
    """Lists stored invocations, newest first."""
    found: list[Invocation] = []
    request = invocation_pb2.ListInvocationsRequest(filter=filter_of(chosen))
    while len(found) < limit:
        request.page_size = min(limit - len(found), _PAGE)
        page = (yield Unary("ListInvocations", request, None, may_be_said_again)).message
        found += [Invocation.from_proto(message) for message in page.invocations]
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    return found


def cancel(
    cids: Iterable[str], chosen: Mapping[str, Any], reason: str, dry_run: bool
) -> Steps[list[invocation_pb2.InvocationChange]]:
    """Cancels invocations."""
    request = invocation_pb2.CancelInvocationsRequest(
        cids=list(cids), filter=filter_of(chosen), reason=reason, dry_run=dry_run
    )
    return _all_pages("CancelInvocations", request)


def retry(
    cids: Iterable[str], chosen: Mapping[str, Any], payload: Any, dry_run: bool
) -> Steps[list[invocation_pb2.InvocationChange]]:
    """Runs ended invocations again."""
    request = invocation_pb2.RetryInvocationsRequest(
        cids=list(cids), filter=filter_of(chosen), dry_run=dry_run
    )
    if payload is not None:
        set_value(request, payload)
    return _all_pages("RetryInvocations", request)


def purge(
    cids: Iterable[str], chosen: Mapping[str, Any], dry_run: bool
) -> Steps[list[invocation_pb2.InvocationChange]]:
    """Removes ended invocations."""
    request = invocation_pb2.PurgeInvocationsRequest(
        cids=list(cids), filter=filter_of(chosen), dry_run=dry_run
    )
    return _all_pages("PurgeInvocations", request)


def _all_pages(method: str, request: Any) -> Steps[list[invocation_pb2.InvocationChange]]:
    """Changes invocations page by page."""
    changes: list[invocation_pb2.InvocationChange] = []
    while True:
        page = (yield Unary(method, request, None, never_sent)).message
        changes += page.changes
        request.page_token = page.next_page_token
        if not request.page_token:
            return changes


def services(prefix: str) -> Steps[list[discovery_pb2.ServiceSummary]]:
    """Lists the services whose names begin with `prefix`."""
    found: list[discovery_pb2.ServiceSummary] = []
    token = ""
    while True:
        request = discovery_pb2.ListServicesRequest(name_prefix=prefix, page_token=token)
        page = (yield Unary("ListServices", request, None, may_be_said_again)).message
        found += page.services
        token = page.next_page_token
        if not token:
            return found


def describe(service: Any) -> Steps[discovery_pb2.ServiceDescription]:
    """Describes a service."""
    request = discovery_pb2.GetServiceRequest(service=service_name(service))
    answer = yield Unary("GetService", request, None, may_be_said_again)
    description: discovery_pb2.ServiceDescription = answer.message.service
    return description
