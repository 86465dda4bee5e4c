"""The asyncio client: the same operations as the blocking one, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

import grpc
import grpc.aio

from cidery._client import transport as transport
from cidery._client.bulk import AsyncOperations
from cidery._client.connection import AsyncConnection
from cidery._errors.exceptions import CideryError
from cidery._protocol import channel, operations
from cidery._protocol.batch import AsyncGroup, BatchOptions, Member, accept_batch
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


class AsyncClient:
    """A client of a node for asyncio. See `Client` for its methods and arguments.

    It may be created anywhere, also at the top of a module. It connects at the first call, and
    belongs to the event loop of that call: in another one its calls are a `RuntimeError`.
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
        self._stubs = AsyncConnection(
            self.node, lambda: _open_channel(self.node, credentials, tls), tls
        )
        has_tls = credentials is not None or tls is not None
        self._credential = Credential.of(self.node, api_key, has_tls=has_tls, insecure=insecure)
        self._max_attempts = max(tries, 1)
        self._options = Options()
        self._reserved_names = OPTION_NAMES

    def with_options(self, **options: Unpack[DefaultOptions]) -> AsyncClient:
        """The same client with default options; all keywords of its calls are the payload."""
        bound = AsyncClient.__new__(AsyncClient)
        bound.__dict__.update(self.__dict__)
        bound._options = self._options.updated(options, DefaultOptions.__annotations__)
        bound._reserved_names = _NO_NAMES
        return bound

    async def invoke(
        self, service: Invocable[P, Out] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Out:
        """Invokes a service and waits for its response, like `Client.invoke`."""
        response = await self.call(service, *args, **kwargs)
        return response.payload

    async def call(
        self, service: Invocable[P, Out] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Response[Out]:
        """Like `invoke`, and returns the CID and the metadata as well."""
        payload, options = self._split(service, args, kwargs, InvokeOptions.__annotations__)
        return await self._drive(operations.invoke(service, payload, options))

    async def invoke_async(
        self, service: AsyncInvocable[P, Any] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Accepted:
        """Invokes a service in the background; returns its CID once the request is on disk."""
        payload, options = self._split(service, args, kwargs, InvokeAsyncOptions.__annotations__)
        return await self._drive(operations.invoke_async(service, payload, options))

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

    async def invoke_batch(
        self, members: Iterable[Member[Out]], **batch_options: Unpack[BatchOptions]
    ) -> AsyncGroup[Out]:
        """Invokes many services in the background: accepts all of them or none."""
        accepted = await self._drive(accept_batch(members, self._options, batch_options))
        return AsyncGroup(accepted, self._drive)

    @overload
    async def result(self, cid: str, *, wait: Seconds | None = None) -> Any: ...

    @overload
    async def result(self, cid: str, output: type[T], *, wait: Seconds | None = None) -> T: ...

    async def result(self, cid: str, output: Any = None, *, wait: Seconds | None = None) -> Any:
        """Waits for an outcome, without a limit unless `wait` is given; returns the response or
        raises the failure."""
        return await self._drive(operations.get_result(cid, output, wait))

    async def get(self, cid: str, wait: Seconds | None = None) -> Invocation:
        """Fetches an invocation, once it has ended or `wait` has passed."""
        return await self._drive(operations.get_invocation(cid, wait))

    async def find(self, service: Any, idempotency_key: str) -> Invocation:
        """Fetches the invocation that was accepted with an idempotency key."""
        name = service_name(service)
        operation = operations.get_invocation(
            "", None, service=name, idempotency_key=idempotency_key
        )
        return await self._drive(operation)

    async def complete(
        self,
        cid: str,
        token: str,
        payload: Any = None,
        *,
        error: CideryError | None = None,
        data_format: DataFormat | DataFormatName | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> State:
        """Gives the outcome of an invocation that waits for completion; returns its state."""
        operation = operations.complete(cid, token, payload, error, data_format, metadata)
        return await self._drive(operation)

    async def explain(self, cid: str) -> Invocation:
        """Fetches an invocation with its input, attempts and children (`.message`)."""
        return await self._drive(operations.get_invocation(cid, None, full=True))

    def results(
        self, cids: str | Iterable[str], *, wait_for_accept: bool = False
    ) -> AsyncIterator[Event]:
        """Streams the events of invocations, past ones first, until all have ended."""
        cids = [cids] if isinstance(cids, str) else list(cids)
        cursor = ResultCursor(cids, wait_for_accept=wait_for_accept)
        return transport.follow_async(self._stubs, cursor, self._credential, self._max_attempts)

    async def invocations(
        self, *, limit: int = 100, **filters: Unpack[FilterOptions]
    ) -> list[Invocation]:
        """Lists stored invocations that match the filter, newest first."""
        return await self._drive(operations.list_invocations(filters, limit))

    async def summarize(self, **filters: Unpack[FilterOptions]) -> list[Summary]:
        """Counts stored invocations that match the filter by service, state and reason, the most
        frequent first."""
        return await self._drive(operations.summarize(filters))

    async def cancel(
        self, *cids: str, reason: str = "", dry_run: bool = False, **filters: Unpack[FilterOptions]
    ) -> list[Change]:
        """Cancels invocations; returns the change of each."""
        return await self._drive(operations.cancel(cids, filters, reason, dry_run))

    async def retry(
        self,
        *cids: str,
        payload: Any = None,
        dry_run: bool = False,
        **filters: Unpack[FilterOptions],
    ) -> list[Change]:
        """Retries ended invocations, each under a new CID; returns the change of each."""
        return await self._drive(operations.retry(cids, filters, payload, dry_run))

    async def purge(
        self, *cids: str, dry_run: bool = False, **filters: Unpack[FilterOptions]
    ) -> list[Change]:
        """Removes ended invocations permanently; returns the change of each."""
        return await self._drive(operations.purge(cids, filters, dry_run))

    @property
    def operations(self) -> AsyncOperations:
        """Changes of all invocations that match a filter, which the node makes."""
        return AsyncOperations(self._drive)

    async def services(self, prefix: str = "") -> list[discovery_pb2.ServiceSummary]:
        """Lists the services whose names start with `prefix`."""
        return await self._drive(operations.list_services(prefix))

    async def describe(self, service: Any) -> discovery_pb2.ServiceDescription:
        """Describes a service: its declaration, its options, and where it is served."""
        return await self._drive(operations.describe(service))

    async def wait_for_ready(self, timeout: float = 10.0) -> AsyncClient:
        """Waits until the node is reachable; raises `ConnectFailed` after `timeout`."""
        ready = asyncio.ensure_future(self._stubs.channel.channel_ready())
        failure = connect_failed(self.node)
        quiet = min(timeout, QUIET_SECONDS)
        try:
            done, _ = await asyncio.wait([ready], timeout=quiet)
            if not done and timeout > quiet:
                log_waiting(failure)
            await asyncio.wait_for(ready, timeout - quiet)
        except asyncio.TimeoutError:
            raise failure from None
        finally:
            ready.cancel()
        return self

    async def close(self) -> None:
        """Closes the connection. Later calls, also of its `with_options`, are a `RuntimeError`."""
        for opened in self._stubs.close():
            await opened.close(None)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _drive(self, operation: Operation[T]) -> T:
        try:
            call = next(operation)
            while True:
                reply = await transport.call_with_retry_async(
                    self._stubs, call, self._credential, self._max_attempts
                )
                call = operation.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result


def _open_channel(
    node: str, credentials: grpc.ChannelCredentials | None, tls: Tls | None
) -> grpc.aio.Channel:
    if credentials is None and tls is not None:
        credentials = tls.credentials()
    if credentials is None:
        return grpc.aio.insecure_channel(node, channel.CHANNEL_OPTIONS)
    return grpc.aio.secure_channel(target(node), credentials, channel.CHANNEL_OPTIONS)
