"""Batches: many invocations that are accepted at once as a group, and their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypedDict, TypeVar, overload

from cidery._errors.exceptions import CideryError, InvalidArgument, NotFound, Violation
from cidery._protocol import operations
from cidery._protocol.call_types import CallOut, InvokeAsyncOptions, Out, P
from cidery._protocol.cid import new_cid
from cidery._protocol.messages import invoke_async_request
from cidery._protocol.options import (
    OPTION_NAMES,
    Options,
    duration,
    service_name,
    service_names,
    split_call,
    unknown_option,
)
from cidery._protocol.results import Event, EventKind, State
from cidery._protocol.retry import is_safe_to_retry
from cidery._protocol.steps import Operation, UnaryCall
from cidery._protocol.typed import typed_response, typed_value
from cidery._values.plain import to_plain
from cidery.v1 import invocation_pb2, outcome_pb2

if TYPE_CHECKING:
    from cidery._protocol.call_types import AsyncInvocable, ServiceName
    from cidery._protocol.options import Seconds

T = TypeVar("T")
_GROUP_ONLY = ("once", "with_outcome")


class Call(Generic[CallOut]):
    """A member of a batch: `Call(PlaceOrder, Place("pen"))`, `Call("x", {"a": 1}, delay=5)`.

    As for `invoke_async`, keywords are options with a payload argument, and the payload without
    one. The outcome has a response of the declared output type of the service.
    """

    __slots__ = ("options", "payload", "service", "target")

    def __init__(
        self,
        service: AsyncInvocable[P, CallOut] | ServiceName[P],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        # Validates here, so that the traceback shows the invalid call.
        options, self.payload = split_call(
            Options(),
            service,
            args,
            kwargs,
            reserved=OPTION_NAMES,
            valid=InvokeAsyncOptions.__annotations__,
        )
        self.service = service_name(service)
        self.target: Any = service
        """The service as given: its class, or its name."""
        self.options: dict[str, Any] = {} if options == Options() else dict(kwargs)
        for name in _GROUP_ONLY:
            if self.options.get(name):
                raise TypeError(f"`{name}` is not an option of a member: a group is accepted whole")

    def __repr__(self) -> str:
        return f"Call({self.service!r}, {self.payload!r})"


Member: TypeAlias = "Call[Out] | tuple[str, Any]"
"""A `Call`, or a pair of the name of a service and a payload."""


class BatchOptions(TypedDict, total=False):
    """The options of a batch."""

    on_each: Any
    on_final: Any
    cid: str | None
    idempotency_key: str | None
    retention: Seconds | None


class HandlerBatchOptions(BatchOptions, total=False):
    """The options of a batch of a handler."""

    once: str | None


@dataclass(frozen=True)
class Outcome(Generic[Out]):
    """The outcome of a member of a group: a response or a failure."""

    cid: str
    service: str
    state: State | None
    """The final state; `None` where the outcome is no longer kept and the state is unknown."""
    response: Out | None = None
    """The response of a member that succeeded, an instance of the declared output type if it was
    given as a class."""
    error: CideryError | None = None
    """Why the member failed, was cancelled, expired, or is no longer kept (`RESULT_EXPIRED`)."""
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    """Metadata that the service added to its response."""

    @property
    def ok(self) -> bool:
        """Whether the member succeeded."""
        return self.error is None

    @overload
    def result(self) -> Out: ...

    @overload
    def result(self, output: type[T]) -> T: ...

    def result(self, output: Any = None) -> Any:
        """Returns the response, as a type if one is given, or raises the failure."""
        if self.error is not None:
            raise self.error
        if output is None:
            return self.response
        described = f"response of `{self.service}`"
        return typed_value(output, to_plain(self.response), self.cid, described)


@dataclass(frozen=True)
class AcceptedGroup:
    """A group as the node accepted it."""

    cid: str
    members: tuple[str, ...]
    targets: tuple[Any, ...]
    """The services of the members, as given."""
    already_accepted: bool


class _BaseGroup(Generic[Out]):
    """What `Group` and `AsyncGroup` share."""

    def __init__(self, grouped: AcceptedGroup, drive: Callable[[Operation[Any]], Any]) -> None:
        self._accepted = grouped
        self._drive = drive

    @property
    def cid(self) -> str:
        """The CID of the group: it is followed, fetched and cancelled by it."""
        return self._accepted.cid

    @property
    def members(self) -> tuple[str, ...]:
        """The CIDs of the members, in request order."""
        return self._accepted.members

    @property
    def already_accepted(self) -> bool:
        """Whether the group had been accepted before with the same CID or key."""
        return self._accepted.already_accepted

    def __repr__(self) -> str:
        return f"{type(self).__name__}(cid={self.cid!r}, members={len(self.members)})"


class Group(_BaseGroup[Out]):
    """An accepted group: its CID, and the CIDs of its members in request order."""

    def join(self, timeout: Seconds | None = None) -> list[Outcome[Out]]:
        """Waits for all members; returns their outcomes in request order.

        Failures are outcomes. If `timeout` passes first, raises `DeadlineExceeded` /
        `STILL_RUNNING`, and the members keep running. A handler that waits releases its permit.

        All outcomes are in memory at once: by default at most 10 000 members of 16 MiB each. To
        process them one by one, read `Client.results(group.cid)`, or name a service in `on_each`.
        """
        outcomes: list[Outcome[Out]] = self._drive(join(self._accepted, timeout))
        return outcomes


class AsyncGroup(_BaseGroup[Out]):
    """An accepted group, for asyncio."""

    async def join(self, timeout: Seconds | None = None) -> list[Outcome[Out]]:
        """Waits for all members; returns their outcomes in request order."""
        outcomes: list[Outcome[Out]] = await self._drive(join(self._accepted, timeout))
        return outcomes


def accept_batch(
    members: Iterable[Member[Any]], options: Options, batch_options: BatchOptions
) -> Operation[AcceptedGroup]:
    """Accepts a batch: all of its members or none.

    `options` are the defaults of the members; their CID, key and retention are those of the group.
    """
    given = batch_options.get("cid") or options.cid
    cid = given or new_cid()
    for name in batch_options:
        if name not in BatchOptions.__annotations__:
            raise TypeError(unknown_option(name, BatchOptions.__annotations__))
    calls = _calls(members)
    requests = _requests(calls, options.updated({"cid": None, "idempotency_key": None}))
    request = invocation_pb2.InvokeBatchRequest(
        requests=requests,
        cid=cid,
        idempotency_key=batch_options.get("idempotency_key") or options.idempotency_key or "",
        on_each=service_names(batch_options.get("on_each")),
        on_final=service_names(batch_options.get("on_final")),
    )
    retention = batch_options.get("retention")
    retention = options.retention if retention is None else retention
    if retention is not None:
        request.retention.CopyFrom(duration(retention, "retention"))
    reply = yield UnaryCall("InvokeBatch", request, None, is_safe_to_retry, cid)
    response = reply.message
    # An earlier attempt of this call may have been accepted: not a repetition for the caller.
    accepted_by_retried_call = not given and reply.attempts > 1 and response.cid == cid
    return AcceptedGroup(
        cid=response.cid,
        members=tuple(response.member_cids),
        targets=tuple(call.target for call in calls),
        already_accepted=response.already_accepted and not accepted_by_retried_call,
    )


def join(group: AcceptedGroup, timeout: Seconds | None) -> Operation[list[Outcome[Any]]]:
    """Waits for the end of a group; returns the outcomes of its members in request order."""
    yield from operations.wait_until_ended(group.cid, timeout)
    targets = dict(zip(group.members, group.targets, strict=True))
    outcomes: dict[str, Outcome[Any]] = {}

    def on_event(event: Event) -> None:
        # Converted at once: an event holds its response both encoded and decoded.
        if event.cid in targets and event.kind.is_last:
            outcomes[event.cid] = _outcome(event.cid, targets[event.cid], event)

    yield from operations.follow(group.cid, on_event)
    return [outcomes.get(cid) or _outcome(cid, targets[cid], None) for cid in group.members]


def _calls(members: Iterable[Member[Any]]) -> list[Call[Any]]:
    if isinstance(members, (str, bytes, dict)):
        raise TypeError(f"members are `Call`s, or pairs of a service and a payload: {members!r}")
    calls = []
    for position, member in enumerate(members):
        try:
            calls.append(_to_call(member))
        except TypeError as error:
            raise TypeError(f"member {position}: {error}") from error
    return calls


def _requests(calls: list[Call[Any]], options: Options) -> list[invocation_pb2.InvokeAsyncRequest]:
    return [_request(position, call, options) for position, call in enumerate(calls)]


def _request(position: int, call: Call[Any], options: Options) -> invocation_pb2.InvokeAsyncRequest:
    try:
        own = options.updated(call.options)
        return invoke_async_request(call.service, call.payload, own)
    except TypeError as error:
        raise TypeError(f"member {position}: {error}") from error
    except InvalidArgument as error:
        # With the path that a node reports.
        violations = [
            Violation(f"/requests/{position}{each.path}", each.description, each.reason)
            for each in error.violations
        ]
        raise InvalidArgument(reason=error.reason, violations=violations) from error


def _to_call(member: Any) -> Call[Any]:
    if isinstance(member, Call):
        return member
    if isinstance(member, (tuple, list)) and len(member) == 2:
        return Call(*member)
    raise TypeError(f"{member!r} is neither a `Call` nor a pair of a service and a payload")


_STATES = {
    EventKind.SUCCEEDED: State.SUCCEEDED,
    EventKind.FAILED: State.FAILED,
    EventKind.CANCELLED: State.CANCELLED,
    EventKind.EXPIRED: State.EXPIRED,
}


def _outcome(cid: str, target: Any, terminal: Event | None) -> Outcome[Any]:
    service = service_name(target)
    if terminal is not None and terminal.kind in _STATES:
        metadata = dict(terminal.message.succeeded.metadata)
        response, error = terminal.payload, terminal.error
        try:
            response = typed_response(target, response, cid) if error is None else None
        except CideryError as mismatch:
            response, error = None, mismatch
        return Outcome(cid, service, _STATES[terminal.kind], response, error, metadata)
    error, state = None, None
    if terminal is not None:
        error, number = terminal.error, terminal.message.not_found.state
        state = State.from_proto(number) if number != outcome_pb2.STATE_UNSPECIFIED else None
    if error is None:
        message = f"the outcome of {cid} is no longer kept"
        error = NotFound("RESULT_EXPIRED", message, cid=cid)
    return Outcome(cid, service, state, error=error)
