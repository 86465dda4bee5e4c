"""Batches: many invocations that are accepted at once as a group, and their outcomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, TypeVar, overload

from cidery._errors.exceptions import CideryError, InvalidArgument, NotFound, Violation
from cidery._protocol import operations
from cidery._protocol.cid import new_cid
from cidery._protocol.messages import invoke_async_request
from cidery._protocol.options import (
    OPTION_NAMES,
    Options,
    duration,
    service_name,
    service_names,
    split_call,
)
from cidery._protocol.results import Event, EventKind, State
from cidery._protocol.retry import is_safe_to_retry
from cidery._protocol.steps import Operation, UnaryCall
from cidery._protocol.typed import typed_value
from cidery.v1 import invocation_pb2, outcome_pb2

if TYPE_CHECKING:
    from cidery._protocol.options import Seconds

T = TypeVar("T")
_GROUP_ONLY = ("once", "with_outcome")


class Call:
    """A member of a batch with options of its own: `Call("x", {"a": 1}, delay=5)`.

    As for `invoke_async`, keywords are options with a payload argument, and the payload without
    one.
    """

    __slots__ = ("options", "payload", "service")

    def __init__(self, service: Any, payload: Any = None, /, **inline: Any) -> None:
        # Validates here, so that the traceback shows the invalid call.
        _, self.payload = split_call(Options(), payload, inline, reserved=OPTION_NAMES)
        self.service = service_name(service)
        self.options: dict[str, Any] = inline if payload is not None else {}
        for name in _GROUP_ONLY:
            if self.options.get(name):
                raise TypeError(f"`{name}` is not an option of a member: a group is accepted whole")

    def __repr__(self) -> str:
        return f"Call({self.service!r}, {self.payload!r})"


Member: TypeAlias = "Call | tuple[Any, Any]"
"""A pair of a service and a payload, or a `Call`."""


class BatchOptions(TypedDict, total=False):
    """The options of a batch."""

    on_each: Any
    on_final: Any
    once: str | None
    cid: str | None
    idempotency_key: str | None
    retention: Seconds | None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a member of a group: a response or a failure."""

    cid: str
    service: str
    state: State | None
    """The final state; `None` where the outcome is no longer kept and the state is unknown."""
    response: Any = None
    """The response of a member that succeeded."""
    error: CideryError | None = None
    """Why the member failed, was cancelled, expired, or is no longer kept (`RESULT_EXPIRED`)."""
    metadata: dict[str, str] = field(default_factory=dict, repr=False)
    """Metadata that the service added to its response."""

    @property
    def ok(self) -> bool:
        """Whether the member succeeded."""
        return self.error is None

    @overload
    def result(self) -> Any: ...

    @overload
    def result(self, output: type[T]) -> T: ...

    def result(self, output: Any = None) -> Any:
        """Returns the response, as a type if one is given, or raises the failure."""
        if self.error is not None:
            raise self.error
        return self.response if output is None else typed_value(output, self.response, self.cid)


@dataclass(frozen=True)
class AcceptedGroup:
    """A group as the node accepted it."""

    cid: str
    members: tuple[str, ...]
    services: tuple[str, ...]
    already_accepted: bool


class _BaseGroup:
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


class Group(_BaseGroup):
    """An accepted group: its CID, and the CIDs of its members in request order."""

    def join(self, timeout: Seconds | None = None) -> list[Outcome]:
        """Waits for all members; returns their outcomes in request order.

        Failures are outcomes. If `timeout` passes first, raises `DeadlineExceeded` /
        `STILL_RUNNING`, and the members keep running. A handler that waits releases its permit.

        All outcomes are in memory at once: by default at most 10 000 members of 16 MiB each. To
        process them one by one, read `Client.results(group.cid)`, or name a service in `on_each`.
        """
        outcomes: list[Outcome] = self._drive(join(self._accepted, timeout))
        return outcomes


class AsyncGroup(_BaseGroup):
    """An accepted group, for asyncio."""

    async def join(self, timeout: Seconds | None = None) -> list[Outcome]:
        """Waits for all members; returns their outcomes in request order."""
        outcomes: list[Outcome] = await self._drive(join(self._accepted, timeout))
        return outcomes


def accept_batch(
    members: Iterable[Member], options: Options, batch_options: BatchOptions
) -> Operation[AcceptedGroup]:
    """Accepts a batch: all of its members or none.

    `options` are the defaults of the members; their CID, key and retention are those of the group.
    """
    given = batch_options.get("cid") or options.cid
    cid = given or new_cid()
    requests = _requests(members, options.updated({"cid": None, "idempotency_key": None}))
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
        services=tuple(each.service for each in requests),
        already_accepted=response.already_accepted and not accepted_by_retried_call,
    )


def join(group: AcceptedGroup, timeout: Seconds | None) -> Operation[list[Outcome]]:
    """Waits for the end of a group; returns the outcomes of its members in request order."""
    yield from operations.wait_until_ended(group.cid, timeout)
    services = dict(zip(group.members, group.services, strict=True))
    outcomes: dict[str, Outcome] = {}

    def on_event(event: Event) -> None:
        # Converted at once: an event holds its response both encoded and decoded.
        if event.cid in services and event.kind.is_last:
            outcomes[event.cid] = _outcome(event.cid, services[event.cid], event)

    yield from operations.follow(group.cid, on_event)
    return [outcomes.get(cid) or _outcome(cid, services[cid], None) for cid in group.members]


def _requests(
    members: Iterable[Member], options: Options
) -> list[invocation_pb2.InvokeAsyncRequest]:
    if isinstance(members, (str, bytes, dict)):
        raise TypeError(f"members are pairs of a service and a payload, or `Call`s: {members!r}")
    return [_request(position, member, options) for position, member in enumerate(members)]


def _request(position: int, member: Member, options: Options) -> invocation_pb2.InvokeAsyncRequest:
    try:
        call = _to_call(member)
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


def _to_call(member: Member) -> Call:
    if isinstance(member, Call):
        return member
    if isinstance(member, (tuple, list)) and len(member) == 2:
        return Call(*member)
    raise TypeError(f"{member!r} is neither a pair of a service and a payload nor a `Call`")


_STATES = {
    EventKind.SUCCEEDED: State.SUCCEEDED,
    EventKind.FAILED: State.FAILED,
    EventKind.CANCELLED: State.CANCELLED,
    EventKind.EXPIRED: State.EXPIRED,
}


def _outcome(cid: str, service: str, terminal: Event | None) -> Outcome:
    if terminal is not None and terminal.kind in _STATES:
        metadata = dict(terminal.message.succeeded.metadata)
        return Outcome(
            cid, service, _STATES[terminal.kind], terminal.payload, terminal.error, metadata
        )
    error, state = None, None
    if terminal is not None:
        error, number = terminal.error, terminal.message.not_found.state
        state = State.from_proto(number) if number != outcome_pb2.STATE_UNSPECIFIED else None
    if error is None:
        message = f"the outcome of {cid} is no longer kept"
        error = NotFound("RESULT_EXPIRED", message, cid=cid)
    return Outcome(cid, service, state, error=error)
