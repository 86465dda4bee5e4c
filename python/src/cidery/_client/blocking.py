"""The blocking client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

import grpc

from cidery._client import transport as transport
from cidery._client.bulk import Operations
from cidery._client.connection import Connection
from cidery._errors.exceptions import CideryError
from cidery._protocol import channel, operations
from cidery._protocol.batch import BatchOptions, Group, Member, accept_batch
from cidery._protocol.call_types import (
    DefaultOptions,
    InvokeAsyncOptions,
    InvokeOptions,
    Out,
    P,
)
from cidery._protocol.options import (
    OPTION_NAMES,
    DataFormat,
    DataFormatName,
    Options,
    Seconds,
    service_name,
    split_call,
)
from cidery._protocol.result_cursor import ResultCursor
from cidery._protocol.results import Change, Event, Invocation, State, Summary
from cidery._protocol.retry import MAX_ATTEMPTS, QUIET_SECONDS, connect_failed, log_waiting
from cidery._protocol.security.credential import ApiKey, Credential
from cidery._protocol.security.tls import FilePath, Tls, target
from cidery._protocol.steps import Operation

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cidery._protocol.call_types import AsyncInvocable, Invocable, ServiceName
    from cidery._protocol.filters import FilterOptions
    from cidery._protocol.messages import Accepted, Response
    from cidery.v1 import discovery_pb2

T = TypeVar("T")
_NO_NAMES: frozenset[str] = frozenset()


class Client:
    """A client of a node. Thread-safe; it connects at the first call, and is not usable across a
    fork after that.

    `node` is `host`, `host:port`, `http://host:port` or `https://host:port`, by default
    `CIDERY_NODE`, else `127.0.0.1:24337`. With `https://`, `ca` is the file with the CA certificate
    of the node (`CIDERY_CA`; by default the CAs of the system are trusted), `cert` and `key` are
    those with a client certificate (`CIDERY_CERT`, `CIDERY_KEY`). `api_key` is an API key or a
    token, or a function that returns one for each call; by default `CIDERY_API_KEY`, else the
    content of the file that `CIDERY_API_KEY_FILE` names. In plain text it is sent to this machine
    only, unless `insecure` is set. `tries` is the maximum number of attempts of a call that is safe
    to retry: one that failed before it was dispatched, or that is accepted once by its CID or key.
    The default, 8, takes some five seconds, but a call with a `timeout` is not retried after it;
    `tries=1` turns retries off.
    """

    def __init__(
        self,
        node: str | None = None,
        *,
        api_key: ApiKey | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        ca: FilePath | None = None,
        cert: FilePath | None = None,
        key: FilePath | None = None,
        insecure: bool = False,
        tries: int = MAX_ATTEMPTS,
    ) -> None:
        self.node = channel.address(node)
        tls = Tls.of(self.node, ca, cert, key) if credentials is None else None
        self._stubs = Connection(self.node, lambda: _open_channel(self.node, credentials, tls), tls)
        has_tls = credentials is not None or tls is not None
        self._credential = Credential.of(self.node, api_key, has_tls=has_tls, insecure=insecure)
        self._max_attempts = max(tries, 1)
        self._options = Options()
        self._reserved_names = OPTION_NAMES

    def with_options(self, **options: Unpack[DefaultOptions]) -> Client:
        """The same client, on the same connection, with default options for all its calls.

        All keywords of its calls are the payload, whatever their names.
        """
        bound = Client.__new__(Client)
        bound.__dict__.update(self.__dict__)
        bound._options = self._options.updated(options, DefaultOptions.__annotations__)
        bound._reserved_names = _NO_NAMES
        return bound

    def invoke(
        self, service: Invocable[P, Out] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Out:
        """Invokes a service and waits for its response. A failure of the service is raised.

        `service` is a class, a `ServiceRef`, a decorated function or a name. The response is an
        instance of the declared output type, where the service has one; given a name, it is a dict
        with dot access, a list or a scalar.

        Keywords are options (`timeout`, `cid`, …) with a payload argument, and the payload without
        one. A service that takes no value has only options.
        """
        response = self.call(service, *args, **kwargs)
        return response.payload

    def call(
        self, service: Invocable[P, Out] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Response[Out]:
        """Like `invoke`, and returns the CID and the metadata as well."""
        payload, options = self._split(service, args, kwargs, InvokeOptions.__annotations__)
        return self._drive(operations.invoke(service, payload, options))

    def invoke_async(
        self, service: AsyncInvocable[P, Any] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Accepted:
        """Invokes a service in the background; returns its CID once the request is on disk.

        Keywords are options with a payload argument, and the payload without one.
        """
        payload, options = self._split(service, args, kwargs, InvokeAsyncOptions.__annotations__)
        return self._drive(operations.invoke_async(service, payload, options))

    def _split(
        self,
        service: Any,
        args: tuple[Any, ...],
        inline: Mapping[str, Any],
        valid: Iterable[str],
    ) -> tuple[Any, Options]:
        options, payload = split_call(
            self._options, service, args, inline, reserved=self._reserved_names, valid=valid
        )
        return payload, options

    def invoke_batch(
        self, members: Iterable[Member[Out]], **batch_options: Unpack[BatchOptions]
    ) -> Group[Out]:
        """Invokes many services in the background: accepts all of them or none.

        Members are `Call`s, or pairs of the name of a service and a payload, at most 10 000; a
        service may occur more than once. The group has a CID of its own: it is followed and
        cancelled by it, and `join()` waits for the outcomes. `on_each` (a service, or several) is
        invoked with the outcome of each member, `on_final` with all outcomes. The group is accepted
        once by its `cid` or `idempotency_key`, and kept for `retention` after its end.
        """
        accepted = self._drive(accept_batch(members, self._options, batch_options))
        return Group(accepted, self._drive)

    @overload
    def result(self, cid: str, *, wait: Seconds | None = None) -> Any: ...

    @overload
    def result(self, cid: str, output: type[T], *, wait: Seconds | None = None) -> T: ...

    def result(self, cid: str, output: Any = None, *, wait: Seconds | None = None) -> Any:
        """Waits for an outcome; returns the response or raises the failure.

        With `output`, the type of the output of the service, the response is an instance of it.
        If `wait` passes first, raises `DeadlineExceeded` / `STILL_RUNNING`; without `wait` it waits
        without a limit.
        """
        return self._drive(operations.get_result(cid, output, wait))

    def get(self, cid: str, wait: Seconds | None = None) -> Invocation:
        """Fetches an invocation, once it has ended or `wait` has passed."""
        return self._drive(operations.get_invocation(cid, wait))

    def find(self, service: Any, idempotency_key: str) -> Invocation:
        """Fetches the invocation that was accepted with an idempotency key."""
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
        data_format: DataFormat | DataFormatName | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> State:
        """Gives the outcome of an invocation that waits for completion; returns its state.

        `cid` and `token` are those of the handler's `Later`. `payload` is the response, in
        `data_format` if it is a string or bytes; `error` is the failure, which is retried like any
        other. A response that violates the declaration is refused, and another one can be given;
        repeating the same outcome has no effect.
        """
        return self._drive(operations.complete(cid, token, payload, error, data_format, metadata))

    def explain(self, cid: str) -> Invocation:
        """Fetches an invocation with its input, attempts and children (`.message`)."""
        return self._drive(operations.get_invocation(cid, None, full=True))

    def results(
        self, cids: str | Iterable[str], *, wait_for_accept: bool = False
    ) -> Iterator[Event]:
        """Streams the events of invocations, past ones first, until all have ended.

        A broken stream is reopened after the last event seen.
        """
        cids = [cids] if isinstance(cids, str) else list(cids)
        cursor = ResultCursor(cids, wait_for_accept=wait_for_accept)
        return transport.follow(self._stubs, cursor, self._credential, self._max_attempts)

    def invocations(
        self, *, limit: int = 100, **filters: Unpack[FilterOptions]
    ) -> list[Invocation]:
        """Lists stored invocations that match the filter, newest first.

        Filter keywords: `services=`, `states=`, `pending_reasons=`, `failure_reasons=`,
        `failure_text=`, `metadata=`, `dead_letter=`, `accepted_after=`, `accepted_before=`,
        `ended_after=`, `ended_before=`, `parent_cid=`, `root_cid=`, `group_cid=`. Each matches any
        of its values; an omitted one does not restrict. `filter_expression=` is the filter as text
        instead.
        """
        return self._drive(operations.list_invocations(filters, limit))

    def summarize(self, **filters: Unpack[FilterOptions]) -> list[Summary]:
        """Counts stored invocations that match the filter by service, state and reason, the most
        frequent first."""
        return self._drive(operations.summarize(filters))

    def cancel(
        self, *cids: str, reason: str = "", dry_run: bool = False, **filters: Unpack[FilterOptions]
    ) -> list[Change]:
        """Cancels invocations, by CID or by the filter keywords of `invocations`.

        Returns the change of each. With a filter they are cancelled page by page: if the connection
        is lost, some are cancelled and others are not. `dry_run` only returns what would change.
        """
        return self._drive(operations.cancel(cids, filters, reason, dry_run))

    def retry(
        self,
        *cids: str,
        payload: Any = None,
        dry_run: bool = False,
        **filters: Unpack[FilterOptions],
    ) -> list[Change]:
        """Retries ended invocations, selected as for `cancel`, each under a new CID.

        Returns the change of each. `payload` is an edited input for a single invocation.
        """
        return self._drive(operations.retry(cids, filters, payload, dry_run))

    def purge(
        self, *cids: str, dry_run: bool = False, **filters: Unpack[FilterOptions]
    ) -> list[Change]:
        """Removes ended invocations and their outcomes permanently, selected as for `cancel`.

        Returns the change of each; one that has not ended is kept, and its change has an `error`.
        Fetching a removed one fails with `RESULT_EXPIRED`.
        """
        return self._drive(operations.purge(cids, filters, dry_run))

    @property
    def operations(self) -> Operations:
        """Changes of all invocations that match a filter, which the node makes."""
        return Operations(self._drive)

    def services(self, prefix: str = "") -> list[discovery_pb2.ServiceSummary]:
        """Lists the services whose names start with `prefix`."""
        return self._drive(operations.list_services(prefix))

    def describe(self, service: Any) -> discovery_pb2.ServiceDescription:
        """Describes a service: its declaration, its options, and where it is served."""
        return self._drive(operations.describe(service))

    def wait_for_ready(self, timeout: float = 10.0) -> Client:
        """Waits until the node is reachable; raises `ConnectFailed` after `timeout`."""
        ready = grpc.channel_ready_future(self._stubs.channel)
        quiet = min(timeout, QUIET_SECONDS)
        try:
            ready.result(quiet)
        except grpc.FutureTimeoutError:
            failure = connect_failed(self.node)
            if timeout <= quiet:
                raise failure from None
            log_waiting(failure)
            try:
                ready.result(timeout - quiet)
            except grpc.FutureTimeoutError:
                raise failure from None
        return self

    def close(self) -> None:
        """Closes the connection. Later calls, also of its `with_options`, are a `RuntimeError`."""
        for opened in self._stubs.close():
            opened.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drive(self, operation: Operation[T]) -> T:
        try:
            call = next(operation)
            while True:
                reply = transport.call_with_retry(
                    self._stubs, call, self._credential, self._max_attempts
                )
                call = operation.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result


def _open_channel(
    node: str, credentials: grpc.ChannelCredentials | None, tls: Tls | None
) -> grpc.Channel:
    if credentials is None and tls is not None:
        credentials = tls.credentials()
    if credentials is None:
        return grpc.insecure_channel(node, channel.CHANNEL_OPTIONS)
    return grpc.secure_channel(target(node), credentials, channel.CHANNEL_OPTIONS)
