"""The blocking client of a node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from cidery._client import transport as transport
from cidery._errors.exceptions import CideryError, Unavailable
from cidery._protocol import channel, operations
from cidery._protocol.batch import BatchOptions, Group, Member, accept_batch
from cidery._protocol.options import (
    OPTION_NAMES,
    DataFormat,
    Options,
    Seconds,
    service_name,
    split_call,
)
from cidery._protocol.result_cursor import ResultCursor
from cidery._protocol.results import Event, Invocation, State
from cidery._protocol.retry import MAX_ATTEMPTS
from cidery._protocol.steps import Operation

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cidery._protocol.filters import FilterOptions
    from cidery._protocol.messages import Accepted, Response
    from cidery.v1 import discovery_pb2, invocation_pb2

T = TypeVar("T")
_NO_NAMES: frozenset[str] = frozenset()


class Client:
    """A client of a node. Safe to share between threads; not across a fork.

    `node` is `host:port`; by default what `CIDERY_NODE` says, then `127.0.0.1:24337`. `api_key` is
    by default what `CIDERY_API_KEY` says. `tries` is how often a call is made in all that failed
    and does no harm when it is repeated: it failed before it was dispatched, or it is accepted once
    by its CID or key.
    """

    def __init__(
        self,
        node: str | None = None,
        *,
        api_key: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        tries: int = MAX_ATTEMPTS,
    ) -> None:
        self.node = channel.address(node)
        options = channel.CHANNEL_OPTIONS
        self._channel = (
            grpc.secure_channel(self.node, credentials, options)
            if credentials
            else grpc.insecure_channel(self.node, options)
        )
        self._stubs = channel.Stubs(self._channel)
        self._metadata = channel.credentials(api_key)
        self._max_attempts = max(tries, 1)
        self._options = Options()
        self._reserved_names = OPTION_NAMES

    def with_options(self, **options: Any) -> Client:
        """The same client, on the same connection, with options for all its calls.

        All keywords of its calls are the payload, whatever they are called.
        """
        bound = Client.__new__(Client)
        bound.__dict__.update(self.__dict__)
        bound._options = self._options.updated(options)
        bound._reserved_names = _NO_NAMES
        return bound

    def invoke(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service and waits for its response: a dict with dot access, mostly.

        Keywords are the payload where there is no other, and options (`timeout`, `cid`, …) where
        there is. What the service answered as a failure is raised.
        """
        return self.call(service, payload, **inline).payload

    def call(self, service: Any, payload: Any = None, /, **inline: Any) -> Response:
        """As `invoke`, and answers with the CID and the metadata as well."""
        options, payload = split_call(self._options, payload, inline, reserved=self._reserved_names)
        return self._drive(operations.invoke(service, payload, options))

    def invoke_async(self, service: Any, payload: Any = None, /, **inline: Any) -> Accepted:
        """Has a service run in the background; answers with the CID once that is on disk."""
        options, payload = split_call(self._options, payload, inline, reserved=self._reserved_names)
        return self._drive(operations.invoke_async(service, payload, options))

    def invoke_batch(
        self,
        members: Iterable[Member],
        *,
        on_each: Any = None,
        on_final: Any = None,
        cid: str | None = None,
        idempotency_key: str | None = None,
        retention: Seconds | None = None,
    ) -> Group:
        """Has many services run in the background: all of them, or none where one is refused.

        Members are pairs of a service and a payload, or `Call`s with options; the same service may
        be there as often as wanted, at most 10 000 in all. The group has a CID of its own: it is
        followed and cancelled by it, and `join()` waits for the outcomes. `on_each` (a service, or
        several) is invoked with the outcome of each member, `on_final` with all of them. It is
        accepted once by its `cid` or `idempotency_key`, and kept for `retention` after its end.
        """
        batch_options: BatchOptions = {
            "on_each": on_each,
            "on_final": on_final,
            "cid": cid,
            "idempotency_key": idempotency_key,
            "retention": retention,
        }
        return Group(self._drive(accept_batch(members, self._options, batch_options)), self._drive)

    def result(self, cid: str, wait: Seconds | None = None) -> Any:
        """Waits for an outcome: the response, or the failure, raised.

        Where `wait` passes before, `DeadlineExceeded` / `STILL_RUNNING`.
        """
        return self._drive(operations.get_result(cid, wait))

    def get(self, cid: str, wait: Seconds | None = None) -> Invocation:
        """Looks at an invocation, at the latest when it has ended or `wait` is over."""
        return self._drive(operations.get_invocation(cid, wait))

    def find(self, service: Any, idempotency_key: str) -> Invocation:
        """Looks at the invocation that was accepted with a key."""
        name = service_name(service)
        operation = operations.get_invocation(
            "", None, service=name, idempotency_key=idempotency_key
        )
        return self._drive(operation)

    def complete(
        self,
        cid: str,
        token: str,
        payload: Any = None,
        *,
        error: CideryError | None = None,
        data_format: DataFormat | str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> State:
        """Gives the outcome of an invocation whose handler answers later; answers its state then.

        `cid` and `token` are those that the handler got. `payload` is the response, in
        `data_format` where it is text or bytes; `error` is the failure, which is retried or not as
        any other. A response that does not fit is refused, and another one can be given; the same
        one can be given again.
        """
        return self._drive(operations.complete(cid, token, payload, error, data_format, metadata))

    def explain(self, cid: str) -> Invocation:
        """Looks at an invocation with its input, its attempts and its children (`.message`)."""
        return self._drive(operations.get_invocation(cid, None, full=True))

    def results(
        self, cids: str | Iterable[str], *, wait_for_accept: bool = False
    ) -> Iterator[Event]:
        """The events of invocations: what was, then what comes, until all have ended.

        A stream that breaks is opened again after the last event that was seen.
        """
        cids = [cids] if isinstance(cids, str) else list(cids)
        cursor = ResultCursor(cids, wait_for_accept=wait_for_accept)
        return transport.follow(self._stubs, cursor, self._metadata, self._max_attempts)

    def invocations(
        self, *, limit: int = 100, **filters: Unpack[FilterOptions]
    ) -> list[Invocation]:
        """Lists stored invocations, newest first: those that the keywords let through.

        `services=`, `states=`, `pending_reasons=`, `failure_reasons=`, `accepted_after=`,
        `accepted_before=`, `ended_after=`, `ended_before=`, `parent_cid=`, `root_cid=`: each lets
        through what has one of its values, and what is left out does not restrict.
        """
        return self._drive(operations.list_invocations(filters, limit))

    def cancel(
        self, *cids: str, reason: str = "", dry_run: bool = False, **filters: Unpack[FilterOptions]
    ) -> list[invocation_pb2.InvocationChange]:
        """Cancels invocations, these or those that the keywords of `invocations` let through.

        Answers what became of each. By keywords they are taken page by page: where the connection
        is lost, some are cancelled and others are not. `dry_run` answers what would be done.
        """
        return self._drive(operations.cancel(cids, filters, reason, dry_run))

    def retry(
        self,
        *cids: str,
        payload: Any = None,
        dry_run: bool = False,
        **filters: Unpack[FilterOptions],
    ) -> list[invocation_pb2.InvocationChange]:
        """Runs ended invocations again, chosen as for `cancel`, each under a new CID.

        Answers what became of each. `payload` is an edited input, for one of them.
        """
        return self._drive(operations.retry(cids, filters, payload, dry_run))

    def purge(
        self, *cids: str, dry_run: bool = False, **filters: Unpack[FilterOptions]
    ) -> list[invocation_pb2.InvocationChange]:
        """Removes ended invocations and their outcomes for good, chosen as for `cancel`.

        Answers what became of each: what has not ended stays, and its change says so (`failure`).
        Who asks for one that was removed is told `RESULT_EXPIRED`.
        """
        return self._drive(operations.purge(cids, filters, dry_run))

    def services(self, prefix: str = "") -> list[discovery_pb2.ServiceSummary]:
        """Lists the services whose names begin with `prefix`."""
        return self._drive(operations.list_services(prefix))

    def describe(self, service: Any) -> discovery_pb2.ServiceDescription:
        """Describes a service: its declaration, its options, where it is served."""
        return self._drive(operations.describe(service))

    def wait_for_ready(self, timeout: float = 10.0) -> Client:
        """Waits until the node can be reached; `Unavailable` / `CONNECT_FAILED` where it cannot."""
        try:
            grpc.channel_ready_future(self._channel).result(timeout)
        except grpc.FutureTimeoutError:
            message = f"cannot reach a node at {self.node}"
            raise Unavailable(message, reason="CONNECT_FAILED") from None
        return self

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drive(self, operation: Operation[T]) -> T:
        try:
            call = next(operation)
            while True:
                reply = transport.call_with_retry(
                    self._stubs, call, self._metadata, self._max_attempts
                )
                call = operation.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result
