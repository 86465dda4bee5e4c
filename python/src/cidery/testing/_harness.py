"""The test harness: runs a service without a node, and validates its input and output.

Nested calls are answered by the test.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from cidery._errors.exceptions import NotFound
from cidery._errors.status_details import to_failure
from cidery._protocol.call_types import Out, P, TrialOptions
from cidery._protocol.cid import new_cid
from cidery._protocol.messages import get_payload, set_payload
from cidery._protocol.options import DataFormat, service_name, unknown_option
from cidery._protocol.progress import Progress
from cidery._protocol.steps import SLEEP, STREAM_RESULTS, FollowStream, Reply, UnaryCall
from cidery._protocol.typed import typed_response
from cidery._service.context import InvocationInfo
from cidery._service.definition import Definition
from cidery._service.failures import end_at_user_frame, failure_from_exception
from cidery._sio.declaration_check import check_declaration
from cidery._sio.validation import validated_input, validated_output
from cidery._values.bunch import Bunch
from cidery._values.later import Later
from cidery._values.plain import to_plain
from cidery._values.struct_pb import round_trip
from cidery._worker.dispatch import refuse_follow_ups
from cidery.v1 import discovery_pb2, invocation_pb2, outcome_pb2

if TYPE_CHECKING:
    from cidery._protocol.call_types import Triable

T = TypeVar("T")


@dataclass(frozen=True)
class Invoked:
    """A nested call that the service made."""

    service: str
    payload: Any
    cid: str = ""
    """The CID of a background call."""
    callbacks: tuple[str, ...] = ()
    with_outcome: bool = False
    request: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class InvokedGroup:
    """A batch that the service made."""

    cid: str
    members: tuple[Invoked, ...]
    """In request order; they run when their outcomes are requested."""
    on_each: tuple[str, ...] = ()
    on_final: tuple[str, ...] = ()
    request: Any = field(default=None, repr=False, compare=False)


@dataclass
class Trial:
    """The result of a run: the response, and the calls that the service made."""

    payload: Any = None
    """The response as a caller gets it that invokes the service by its name."""
    metadata: dict[str, str] = field(default_factory=dict)
    invoked: list[Invoked] = field(default_factory=list)
    """The synchronous calls."""
    invoked_async: list[Invoked] = field(default_factory=list)
    """The background calls: recorded, not run."""
    groups: list[InvokedGroup] = field(default_factory=list)
    """The batches; their members run when the service joins them, and no callback is invoked."""
    later: Later | None = None
    """Set if the outcome is given later: there is no `payload`."""
    items: list[Any] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """The keys of the input that are not declared."""
    service: Any = None
    """The instance that ran."""


def run(service: Triable[P, Out], /, *args: P.args, **kwargs: P.kwargs) -> Out:
    """Runs a service and returns its response as a caller gets it: as its declared output type.

    `invokes` maps the services that it invokes, or their names, to a response, an exception, a
    function of the payload, or another service. An exception of the service is raised unchanged;
    a call of a service that `invokes` does not have fails the test.

    A coroutine runs on an event loop of its own. In a test that is a coroutine, `run_async` runs it
    on the loop of the test.
    """
    response: Out = typed_response(service, trial(service, *args, **kwargs).payload)
    return response


def trial(service: Triable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Trial:
    """Like `run`, and returns the calls as well."""
    return _complete(service, _trial(service, *args, **_checked(kwargs)))


async def run_async(service: Triable[P, Out], /, *args: P.args, **kwargs: P.kwargs) -> Out:
    """Like `run`, for tests that are coroutines: services run on their event loop."""
    response: Out = typed_response(service, (await trial_async(service, *args, **kwargs)).payload)
    return response


async def trial_async(service: Triable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Trial:
    """Like `trial`, for tests that are coroutines."""
    return await _trial(service, *args, **_checked(kwargs))


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    for name in options:
        if name not in TrialOptions.__annotations__:
            raise TypeError(unknown_option(name, TrialOptions.__annotations__))
    return dict(options)


def _complete(service: Any, trial: Coroutine[Any, Any, Trial]) -> Trial:
    """The result of a trial, for callers that are no coroutines."""
    try:
        is_async = Definition.of(service).is_async
    except BaseException:
        trial.close()
        raise
    return _run_coroutine(trial) if is_async else _run_at_once(trial)


def _run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a new event loop: in a new thread if this one runs a loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    context = contextvars.copy_context()
    with concurrent.futures.ThreadPoolExecutor(1, "cidery-trial") as thread:
        return thread.submit(context.run, asyncio.run, coroutine).result()


def _run_at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine that awaits nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("the trial of a function awaits nothing")


async def _trial(
    service: Any,
    payload: Any = None,
    /,
    *,
    invokes: Mapping[Any, Any] | None = None,
    cid: str | None = None,
    metadata: Mapping[str, str] | None = None,
    in_reply_to: str = "",
    attempt: int = 1,
    last_progress: Progress | None = None,
) -> Trial:
    """Runs a service; it awaits nothing if the handler is a function."""
    definition = Definition.of(service)
    check_declaration(definition.sio)
    given = round_trip(to_plain({} if payload is None else payload))
    found = validated_input(definition.sio, given)
    cid = cid or new_cid()
    info = InvocationInfo(
        cid=cid,
        service=definition.name,
        # Undeclared keys stay as the caller sent them; the others are validated.
        raw=round_trip(found.value),
        data_format=DataFormat.DICT,
        attempt=attempt,
        metadata=dict(metadata or {}),
        root_cid=cid,
        in_reply_to=in_reply_to,
        last_progress=last_progress,
    )
    out = Trial(ignored=found.ignored)
    answers = {service_name(each): answer for each, answer in (invokes or {}).items()}
    platform = FakePlatform(answers, out, is_async=definition.is_async)
    try:
        if definition.is_async:
            response, out.service = await definition.run_async(info, platform)
        else:
            response, out.service = definition.run(info, platform)
    except NotMocked as error:
        # The last frame is the call of the service.
        end_at_user_frame(error)
        raise
    if isinstance(response, Later):
        refuse_follow_ups([each for each in out.invoked_async if each.with_outcome])
        out.later = response
        return out
    wrapped = validated_output(definition.sio, response).value
    if definition.sio.response_elem:
        wrapped = {definition.sio.response_elem: wrapped}
    out.payload = round_trip(wrapped)
    out.metadata = out.service.response.metadata
    return out


class NotMocked(AssertionError):
    """The test gives no response of a service that is invoked.

    It is no `CideryError`: a handler that handles failures of a service must not handle it.
    """

    def __init__(self, service: str, why: str = "its response is not given") -> None:
        super().__init__(
            f"the tested service invokes `{service}`, and {why}: add it to the test, such as"
            f" `invokes={{{service!r}: {{...}}}}`, with a response, an exception, a function of"
            " the payload, or a service"
        )


class FakePlatform:
    """The platform of a test.

    Its methods are coroutines. Those of a handler that is a function await nothing: services that
    are coroutines run on a loop of their own. A handler that is a coroutine shares its loop.
    """

    def __init__(self, invokes: Mapping[str, Any], out: Trial, *, is_async: bool) -> None:
        self.cancelled = threading.Event()
        # As long as the token of a node.
        self.token = new_cid().replace("-", "")
        self._invokes = invokes
        self._out = out
        self._is_async = is_async
        self._terminal_events: dict[str, list[invocation_pb2.StreamResultsResponse]] = {}
        self._methods: dict[str, Callable[[Any], Coroutine[Any, Any, Any]]] = {
            "GetInvocation": self._get_group,
            "GetService": self._describe,
            "Invoke": self._invoke,
            "InvokeAsync": self._accept,
            "InvokeBatch": self._record_group,
            STREAM_RESULTS: self._follow_group,
            SLEEP: self._sleep,
        }

    def call(self, call: UnaryCall) -> concurrent.futures.Future[Reply]:
        """Answers a nested call as `invokes` specifies."""
        reply = self._reply(call)
        if self._is_async:
            return asyncio.run_coroutine_threadsafe(reply, asyncio.get_running_loop())
        future: concurrent.futures.Future[Reply] = concurrent.futures.Future()
        try:
            future.set_result(_run_at_once(reply))
        except Exception as error:
            future.set_exception(error)
        return future

    async def _reply(self, call: UnaryCall) -> Reply:
        return Reply(await self._methods[call.method](call.request))

    def follow_up(self, request: invocation_pb2.InvokeAsyncRequest) -> None:
        """Records it."""
        self._record_async(request, with_outcome=True)

    def serves(self, service: str) -> bool:
        """Whether `invokes` has a service."""
        return service in self._invokes

    def progress(self, progress: Progress) -> None:
        """Records it."""
        self._out.progress.append(progress)

    def emit(self, item: Any) -> None:
        """Records it."""
        self._out.items.append(round_trip(item))

    async def _sleep(self, _: Any) -> None:
        """A test does not sleep."""

    async def _invoke(self, request: invocation_pb2.InvokeRequest) -> invocation_pb2.InvokeResponse:
        self._check_known(request.service)
        payload = get_payload(request, "input")
        self._out.invoked.append(Invoked(request.service, payload, request=request))
        response = invocation_pb2.InvokeResponse()
        set_payload(response, await self._answer(request.service, payload))
        return response

    async def _answer(self, service: str, payload: Any) -> Any:
        """The response of a service by `invokes`."""
        self._check_known(service)
        answer = self._invokes[service]
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, type) or hasattr(answer, "service_class"):
            trial = _trial(answer, payload, invokes=self._invokes)
            nested = await trial if self._is_async else _complete(answer, trial)
            if nested.later is not None:
                raise NotMocked(service, "it gives its response later")
            return nested.payload
        found = answer(Bunch.of(payload)) if callable(answer) else answer
        if not inspect.iscoroutine(found):
            return found
        return await found if self._is_async else _run_coroutine(found)

    async def _describe(self, request: discovery_pb2.GetServiceRequest) -> Any:
        if request.service not in self._invokes:
            raise NotFound("SERVICE_UNKNOWN", f"unknown service `{request.service}`")
        return discovery_pb2.GetServiceResponse()

    async def _accept(
        self, request: invocation_pb2.InvokeAsyncRequest
    ) -> invocation_pb2.InvokeAsyncResponse:
        return self._record_async(request)

    def _record_async(
        self, request: invocation_pb2.InvokeAsyncRequest, *, with_outcome: bool = False
    ) -> invocation_pb2.InvokeAsyncResponse:
        recorded = _recorded(request, with_outcome)
        self._out.invoked_async.append(recorded)
        return invocation_pb2.InvokeAsyncResponse(cid=recorded.cid)

    async def _record_group(
        self, request: invocation_pb2.InvokeBatchRequest
    ) -> invocation_pb2.InvokeBatchResponse:
        members = tuple(_recorded(member, False) for member in request.requests)
        on_each, on_final = tuple(request.on_each), tuple(request.on_final)
        self._out.groups.append(InvokedGroup(request.cid, members, on_each, on_final, request))
        cids = [member.cid for member in members]
        return invocation_pb2.InvokeBatchResponse(cid=request.cid, member_cids=cids)

    async def _get_group(
        self, request: invocation_pb2.GetInvocationRequest
    ) -> invocation_pb2.GetInvocationResponse:
        group = self._group(request.cid)
        found = outcome_pb2.Invocation(cid=group.cid, state=outcome_pb2.STATE_SUCCEEDED)
        return invocation_pb2.GetInvocationResponse(invocation=found)

    async def _follow_group(self, follow: FollowStream) -> None:
        (cid,) = follow.cursor.request().cids
        if cid not in self._terminal_events:
            self._terminal_events[cid] = [
                await self._terminal_event(member) for member in self._group(cid).members
            ]
        for event in self._terminal_events[cid]:
            follow.on_event(follow.cursor.record(event))

    async def _terminal_event(self, member: Invoked) -> invocation_pb2.StreamResultsResponse:
        """The terminal event of a member of a batch: a success or a failure."""
        event = invocation_pb2.StreamResultsResponse(cid=member.cid)
        try:
            set_payload(event.succeeded, await self._answer(member.service, member.payload))
        except NotMocked:
            raise
        except Exception as error:
            failure = failure_from_exception(error, member.service, member.cid)
            event.failed.failure.CopyFrom(to_failure(failure))
        return event

    def _group(self, cid: str) -> InvokedGroup:
        for group in self._out.groups:
            if group.cid == cid:
                return group
        raise NotFound("CID_UNKNOWN", f"there is no group {cid} in this test")

    def _check_known(self, service: str) -> None:
        if service not in self._invokes:
            raise NotMocked(service)


def _recorded(request: invocation_pb2.InvokeAsyncRequest, with_outcome: bool) -> Invoked:
    cid = request.cid or new_cid()
    payload = get_payload(request, "input")
    callbacks = tuple(request.callbacks)
    return Invoked(request.service, payload, cid, callbacks, with_outcome, request)
