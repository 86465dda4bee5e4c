"""Running a service without a node: its input is checked as a node checks it, its output as well.

What it invokes answers what the test says.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cidery._errors.exceptions import NotFound
from cidery._errors.status_details import to_failure
from cidery._protocol.cid import new_cid
from cidery._protocol.messages import get_value, set_value
from cidery._protocol.options import DataFormat
from cidery._protocol.results import Progress
from cidery._protocol.steps import FOLLOW, PAUSE, Answer, Follow, Unary
from cidery._service.context import Facts
from cidery._service.definition import Definition
from cidery._service.failures import failure_of
from cidery._sio.declaration_check import audit
from cidery._sio.validation import admitted, answered
from cidery._values.bunch import Bunch
from cidery._values.later import Later
from cidery._values.plain import plain
from cidery._values.struct_pb import normalized
from cidery._worker.dispatch import refuse_follow_ups
from cidery.v1 import discovery_pb2, invocation_pb2, outcome_pb2


@dataclass(frozen=True)
class Invoked:
    """One service that was invoked."""

    service: str
    payload: Any
    cid: str = ""
    """In the background: under which CID."""
    callbacks: tuple[str, ...] = ()
    with_outcome: bool = False
    request: Any = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class InvokedGroup:
    """Services that were invoked at once."""

    cid: str
    members: tuple[Invoked, ...]
    """In the order of the requests: recorded, and run once their outcomes are asked for."""
    on_each: tuple[str, ...] = ()
    on_final: tuple[str, ...] = ()
    request: Any = field(default=None, repr=False, compare=False)


@dataclass
class Trial:
    """All that came of running a service."""

    payload: Any = None
    """The response, as a caller gets it."""
    metadata: dict[str, str] = field(default_factory=dict)
    invoked: list[Invoked] = field(default_factory=list)
    """What it waited for."""
    invoked_async: list[Invoked] = field(default_factory=list)
    """What it had run in the background: recorded, not run."""
    groups: list[InvokedGroup] = field(default_factory=list)
    """What it had run at once: run where it was joined, and nobody is told of the outcomes."""
    later: Later | None = None
    """Set where somebody else gives the response: there is no `payload` yet."""
    items: list[Any] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """The keys of the input that are not declared."""
    service: Any = None
    """The instance that ran."""


def run(service: Any, payload: Any = None, /, **options: Any) -> Any:
    """Runs a service and answers with its response, as a caller gets it.

    `invokes` says what the services that it invokes answer: a value, an exception, a function of
    the payload, or another service. Failures are raised, as they were raised in the service.
    """
    return trial(service, payload, **options).payload


def trial(
    service: Any,
    payload: Any = None,
    /,
    *,
    invokes: Mapping[str, Any] | None = None,
    cid: str | None = None,
    metadata: Mapping[str, str] | None = None,
    in_reply_to: str = "",
    attempt: int = 1,
    last_progress: Progress | None = None,
) -> Trial:
    """As `run`, and answers with all that came of it."""
    definition = Definition.of(service)
    audit(definition.sio)
    given = normalized(plain({} if payload is None else payload))
    found = admitted(definition.sio, given)
    cid = cid or new_cid()
    facts = Facts(
        cid=cid,
        service=definition.name,
        # What is not declared is as the caller sent it, the rest as the declaration has it.
        raw=normalized(found.value),
        data_format=DataFormat.DICT,
        attempt=attempt,
        metadata=dict(metadata or {}),
        root_cid=cid,
        in_reply_to=in_reply_to,
        last_progress=last_progress,
    )
    out = Trial(ignored=found.ignored)
    platform = _Platform(invokes or {}, out)
    if definition.is_async:
        response, out.service = asyncio.run(definition.run_async(facts, platform))
    else:
        response, out.service = definition.run(facts, platform)
    if isinstance(response, Later):
        refuse_follow_ups([each for each in out.invoked_async if each.with_outcome])
        out.later = response
        return out
    wrapped = answered(definition.sio, response).value
    if definition.sio.response_elem:
        wrapped = {definition.sio.response_elem: wrapped}
    out.payload = normalized(wrapped)
    out.metadata = out.service.response.metadata
    return out


class _Unanswered(TypeError):
    """The test says nothing that could be answered."""


class _Platform:
    """What stands for the node."""

    def __init__(self, invokes: Mapping[str, Any], out: Trial) -> None:
        self.cancelled = threading.Event()
        # As long as a node's.
        self.token = new_cid().replace("-", "")
        self._invokes = invokes
        self._out = out
        self._ended: dict[str, list[invocation_pb2.StreamResultsResponse]] = {}
        self._answers: dict[str, Callable[[Any], Any]] = {
            "GetInvocation": self._look_at_group,
            "GetService": self._describe,
            "Invoke": self._invoke,
            "InvokeAsync": self._note_async,
            "InvokeBatch": self._note_group,
            FOLLOW: self._follow_group,
            # A test does not wait.
            PAUSE: lambda _: None,
        }

    def call(self, unary: Unary) -> concurrent.futures.Future[Answer]:
        """Answers what the test says."""
        future: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        try:
            future.set_result(Answer(self._answers[unary.method](unary.request)))
        except Exception as error:
            future.set_exception(error)
        return future

    def follow_up(self, request: invocation_pb2.InvokeAsyncRequest) -> None:
        """Records it."""
        self._note_async(request, with_outcome=True)

    def serves(self, service: str) -> bool:
        """Whether the test names a service."""
        return service in self._invokes

    def progress(self, progress: Progress) -> None:
        """Records it."""
        self._out.progress.append(progress)

    def emit(self, item: Any) -> None:
        """Records it."""
        self._out.items.append(normalized(item))

    def _invoke(self, request: invocation_pb2.InvokeRequest) -> invocation_pb2.InvokeResponse:
        self._check_known(request.service)
        payload = get_value(request, "input")
        self._out.invoked.append(Invoked(request.service, payload, request=request))
        response = invocation_pb2.InvokeResponse()
        set_value(response, self._answered(request.service, payload))
        return response

    def _answered(self, service: str, payload: Any) -> Any:
        """What a service answers by what the test says."""
        self._check_known(service)
        answer = self._invokes[service]
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, type) or hasattr(answer, "service_class"):
            tried = trial(answer, payload, invokes=self._invokes)
            if tried.later is not None:
                message = f"`{service}` answers later: `invokes` says what it answers then"
                raise _Unanswered(message)
            return tried.payload
        return answer(Bunch.of(payload)) if callable(answer) else answer

    def _describe(self, request: discovery_pb2.GetServiceRequest) -> Any:
        self._check_known(request.service)
        return discovery_pb2.GetServiceResponse()

    def _note_async(
        self, request: invocation_pb2.InvokeAsyncRequest, *, with_outcome: bool = False
    ) -> invocation_pb2.InvokeAsyncResponse:
        noted = _noted(request, with_outcome)
        self._out.invoked_async.append(noted)
        return invocation_pb2.InvokeAsyncResponse(cid=noted.cid)

    def _note_group(
        self, request: invocation_pb2.InvokeBatchRequest
    ) -> invocation_pb2.InvokeBatchResponse:
        members = tuple(_noted(member, False) for member in request.requests)
        on_each, on_final = tuple(request.on_each), tuple(request.on_final)
        self._out.groups.append(InvokedGroup(request.cid, members, on_each, on_final, request))
        cids = [member.cid for member in members]
        return invocation_pb2.InvokeBatchResponse(cid=request.cid, member_cids=cids)

    def _look_at_group(
        self, request: invocation_pb2.GetInvocationRequest
    ) -> invocation_pb2.GetInvocationResponse:
        group = self._group(request.cid)
        found = outcome_pb2.Invocation(cid=group.cid, state=outcome_pb2.STATE_SUCCEEDED)
        return invocation_pb2.GetInvocationResponse(invocation=found)

    def _follow_group(self, follow: Follow) -> None:
        (cid,) = follow.followed.request().cids
        if cid not in self._ended:
            self._ended[cid] = [self._end(member) for member in self._group(cid).members]
        for end in self._ended[cid]:
            follow.take(follow.followed.note(end))

    def _end(self, member: Invoked) -> invocation_pb2.StreamResultsResponse:
        """The last event of a member: a failure is an outcome."""
        end = invocation_pb2.StreamResultsResponse(cid=member.cid)
        try:
            set_value(end.succeeded, self._answered(member.service, member.payload))
        except _Unanswered:
            raise
        except Exception as error:
            failure = failure_of(error, member.service, member.cid)
            end.failed.failure.CopyFrom(to_failure(failure))
        return end

    def _group(self, cid: str) -> InvokedGroup:
        for group in self._out.groups:
            if group.cid == cid:
                return group
        raise NotFound(f"there is no group {cid} in this test", reason="CID_UNKNOWN")

    def _check_known(self, service: str) -> None:
        if service not in self._invokes:
            message = f"there is no service named `{service}`: `invokes` says what it answers"
            raise NotFound(message, reason="SERVICE_UNKNOWN")


def _noted(request: invocation_pb2.InvokeAsyncRequest, with_outcome: bool) -> Invoked:
    cid = request.cid or new_cid()
    payload = get_value(request, "input")
    callbacks = tuple(request.callbacks)
    return Invoked(request.service, payload, cid, callbacks, with_outcome, request)
