"""A dispatch: running its handler, its access to the platform, and its result."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
import time
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import (
    Cancelled,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
)
from cidery._errors.status_details import to_failure
from cidery._protocol.messages import get_payload, set_payload
from cidery._protocol.options import DataFormat
from cidery._protocol.progress import Progress
from cidery._protocol.steps import Reply, UnaryCall
from cidery._protocol.tracing.trace_context import trace_headers
from cidery._service.context import InvocationInfo
from cidery._service.definition import Definition
from cidery._service.failures import failure_from_exception, output_not_serializable
from cidery._values.later import Later
from cidery._values.struct_pb import to_value
from cidery.v1 import worker_pb2

if TYPE_CHECKING:
    from cidery._service.base import BaseService
    from cidery._worker.connection import Connection
    from cidery.v1 import invocation_pb2

# The limits of a node per invocation.
_MAX_ITEMS = 10_000
_MAX_FOLLOW_UPS = 1_000
_MAX_TRACE = 8 * 1024
_lock = threading.Lock()


def info_from_dispatch(dispatch: worker_pb2.Dispatch) -> InvocationInfo:
    """Decodes a dispatch."""
    timeout = dispatch.timeout.ToNanoseconds() / 1e9 if dispatch.HasField("timeout") else None
    has_progress = dispatch.HasField("last_progress")
    return InvocationInfo(
        cid=dispatch.cid,
        service=dispatch.service,
        raw=get_payload(dispatch, "input", decode_json=False),
        data_format=DataFormat.from_proto(dispatch.data_format),
        attempt=dispatch.attempt,
        until=None if timeout is None else time.monotonic() + timeout,
        metadata=dict(dispatch.metadata),
        parent_cid=dispatch.parent_cid,
        path=dispatch.path,
        root_cid=dispatch.root_cid or dispatch.cid,
        in_reply_to=dispatch.in_reply_to,
        in_reply_to_service=dispatch.in_reply_to_service,
        in_reply_to_attempt=dispatch.in_reply_to_attempt,
        asynchronous=dispatch.asynchronous,
        last_progress=Progress.from_proto(dispatch.last_progress) if has_progress else None,
        principal=dispatch.principal,
        acting_principal=dispatch.acting_principal,
        traceparent=dispatch.traceparent,
        tracestate=dispatch.tracestate,
    )


class DispatchPlatform:
    """The access of one dispatch to the platform."""

    def __init__(
        self, connection: Connection, info: InvocationInfo, token: str, served: frozenset[str]
    ) -> None:
        self._cancelled: threading.Event | None = None
        self._is_cancelled = False
        self.follow_ups: list[invocation_pb2.InvokeAsyncRequest] = []
        self.token = token
        self._connection = connection
        self._info = info
        self._served = served
        self._items = 0
        self._blocking_calls: list[concurrent.futures.Future[Reply]] = []

    @property
    def cancelled(self) -> threading.Event:
        """Set when the handler is cancelled."""
        # Created on demand: few handlers use it, and creating an event is expensive.
        with _lock:
            if self._cancelled is None:
                self._cancelled = threading.Event()
                if self._is_cancelled:
                    self._cancelled.set()
            return self._cancelled

    def cancel(self) -> None:
        """Cancels the dispatch, with its nested calls that block."""
        with _lock:
            self._is_cancelled = True
            if self._cancelled is not None:
                self._cancelled.set()
            blocking_calls = list(self._blocking_calls)
        for future in blocking_calls:
            future.cancel()

    def call(self, call: UnaryCall) -> concurrent.futures.Future[Reply]:
        """Makes a nested call on behalf of the dispatch, by its token."""
        if call.method == "GetInvocation" and not call.blocks:
            # A call that does not block keeps the permit: getting it back might take long.
            return self._connection.call(call)
        timeout = call.timeout
        if call.method == "Invoke":
            limits = [each for each in (timeout, self._info.seconds_left) if each is not None]
            timeout = min(limits, default=None)
        trace = trace_headers(call.request)
        metadata = (*trace, *call.metadata, ("cidery-dispatch", self.token))
        nested = dataclasses.replace(call, timeout=timeout, metadata=metadata)
        future = self._connection.call(nested)
        if call.blocks:
            self._track_blocking(future)
        return future

    def _track_blocking(self, future: concurrent.futures.Future[Reply]) -> None:
        with _lock:
            self._blocking_calls.append(future)
            is_cancelled = self._is_cancelled
        if is_cancelled:
            future.cancel()
        future.add_done_callback(self._blocking_calls.remove)

    def follow_up(self, request: invocation_pb2.InvokeAsyncRequest) -> None:
        """Stores a follow-up for the result: the node accepts both together."""
        if len(self.follow_ups) >= _MAX_FOLLOW_UPS:
            message = f"an attempt has at most {_MAX_FOLLOW_UPS} follow-ups"
            raise ResourceExhausted("PENDING_LIMIT", message)
        self.follow_ups.append(request)

    def serves(self, service: str) -> bool:
        """Whether this worker serves a service."""
        return service in self._served

    def progress(self, progress: Progress) -> None:
        """Reports progress."""
        message = worker_pb2.DispatchProgress(token=self.token)
        if progress.fraction is not None:
            message.progress.fraction = progress.fraction
        message.progress.message = progress.message
        if progress.value is not None:
            message.progress.value.CopyFrom(to_value(progress.value))
        self._connection.send_progress(worker_pb2.ServeRequest(progress=message))

    def emit(self, item: Any) -> None:
        """Emits an item."""
        if self._is_cancelled:
            raise Cancelled("CANCELLED", "the attempt has ended")
        if self._items >= _MAX_ITEMS:
            message = f"an invocation emits at most {_MAX_ITEMS} items"
            raise ResourceExhausted("ITEMS_LIMIT", message)
        self._items += 1
        sent = worker_pb2.DispatchItem(token=self.token)
        set_payload(sent, item)
        self._connection.send_item(sent)


def run_handler(
    definition: Definition, info: InvocationInfo, platform: DispatchPlatform, token: str
) -> worker_pb2.DispatchResult:
    """Runs a handler that is a function."""
    try:
        payload, service = definition.run(info, platform)
        return success_result(token, payload, service, platform)
    except BaseException as error:
        return failure_result(token, error, info, has_attempts_left=definition.retries(info))


async def run_handler_async(
    definition: Definition, info: InvocationInfo, platform: DispatchPlatform, token: str
) -> worker_pb2.DispatchResult:
    """Runs a handler that is a coroutine."""
    try:
        payload, service = await definition.run_async(info, platform)
        return success_result(token, payload, service, platform)
    except BaseException as error:
        return failure_result(token, error, info, has_attempts_left=definition.retries(info))


def success_result(
    token: str, payload: Any, service: BaseService[Any, Any], platform: DispatchPlatform
) -> worker_pb2.DispatchResult:
    """The result of a handler that returned."""
    if isinstance(payload, Later):
        refuse_follow_ups(platform.follow_ups)
        return worker_pb2.DispatchResult(token=token, later=worker_pb2.Later())
    result = worker_pb2.DispatchResult(token=token, follow_ups=platform.follow_ups)
    try:
        set_payload(result, payload, service.response.data_format)
    except (TypeError, InvalidArgument) as error:
        raise output_not_serializable(error) from error
    result.metadata.update(service.response.metadata)
    return result


def refuse_follow_ups(follow_ups: Sequence[Any]) -> None:
    """Refuses follow-ups of an outcome that is given later: they are not stored until then."""
    if follow_ups:
        message = "follow-ups cannot be accepted with a response that is given later"
        raise FailedPrecondition("NOT_SUPPORTED", message)


def failure_result(
    token: str, error: BaseException, info: InvocationInfo, *, has_attempts_left: bool = False
) -> worker_pb2.DispatchResult:
    """The result of a handler that raised any exception: every dispatch needs a result."""
    trace = ""
    try:
        found = failure_from_exception(
            error, info.service, info.cid, has_attempts_left=has_attempts_left
        )
        failure = to_failure(found)
        if found is not error and not isinstance(found, Cancelled):
            trace = format_traceback(error)
    except Exception as unwritten:
        # For example a violation whose path is not a string. Both exceptions are logged.
        failure = to_failure(failure_from_exception(unwritten, info.service, info.cid))
        trace = format_traceback(unwritten)
    return worker_pb2.DispatchResult(token=token, failure=failure, trace=trace)


def format_traceback(error: BaseException) -> str:
    """Formats a traceback for the node's log and `explain`, up to the node's limit."""
    text = "".join(traceback.format_exception(error)).rstrip()[-_MAX_TRACE:]
    # The message of an exception may contain lone surrogates.
    return text.encode(errors="replace").decode()
