"""The calls of a handler: by the service itself, or by an invoker with default options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from cidery._protocol.calls import AsyncCalls, BlockingCalls, Calls
from cidery._protocol.options import Options
from cidery._service import nested_calls, patterns

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from typing_extensions import Unpack

    from cidery._protocol.batch import BatchOptions, Group, Member
    from cidery._protocol.calls import AsyncFunction, Function, Typed
    from cidery._protocol.messages import Accepted
    from cidery._protocol.steps import Operation
    from cidery._protocol.typed import In, Out
    from cidery._service.context import Caller


class HandlerCalls(Calls):
    """The operations of a handler.

    `invoke_async` has two more options than that of a client: `once="label"` accepts the call once,
    however often the handler is retried; `with_outcome=True` accepts it together with the response
    of the handler, or not at all if the handler fails. Its default `callback` is `<this
    service>-async-callback`, if that service exists.
    """

    def _caller(self) -> Caller:
        raise NotImplementedError

    def _split(self, payload: Any, inline: Any) -> tuple[Any, Options]:
        raise NotImplementedError

    def _drive(self, operation: Operation[Any]) -> Any:
        return self._caller()._drive(operation)

    def _invoke_operation(self, service: Any, payload: Any, inline: Any) -> Operation[Any]:
        return nested_calls.invoke(self._caller(), service, *self._split(payload, inline))

    def _invoke_async_operation(
        self, service: Any, payload: Any, inline: Any
    ) -> Operation[Accepted]:
        return nested_calls.invoke_async(self._caller(), service, *self._split(payload, inline))

    def _retry_operation(self, service: Any, payload: Any, inline: Any) -> Operation[Any]:
        return patterns.with_retry(self._caller(), service, *self._split(payload, inline))

    def _fan_out(self, members: Iterable[Member], batch_options: BatchOptions) -> Any:
        _, options = self._split({}, {})
        return patterns.fan_out(self._caller(), members, options, batch_options)


class BlockingHandlerCalls(HandlerCalls, BlockingCalls):
    """The calls of a handler that is a function."""

    @overload
    def invoke_with_retry(
        self, service: Typed[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Out: ...

    @overload
    def invoke_with_retry(
        self, service: AsyncFunction[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Out: ...

    @overload
    def invoke_with_retry(
        self, service: Function[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Out: ...

    @overload
    def invoke_with_retry(self, service: str, payload: Any = None, /, **inline: Any) -> Any: ...

    def invoke_with_retry(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service like `invoke`, and retries failures that a retry may fix.

        `retry_policy` sets the number of attempts and the backoff; the default is 5 attempts with
        full jitter, from 100 ms, doubling up to 2 s. No attempt begins after the deadline of this
        handler. The last failure is raised.
        """
        return self._drive(self._retry_operation(service, payload, inline))

    def fan_out(self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]) -> Group:
        """Invokes many services in the background as a group. Accepts all or none.

        Members are pairs of a service and a payload, or `Call`s with options; a service may occur
        more than once. `self.fan_out([...]).join()` waits for all outcomes and returns them in
        request order; the handler releases its permit meanwhile. `on_each` (a service, or several)
        is invoked with the outcome of each member, `on_final` with all outcomes. `once="label"`
        accepts the group once, however often this handler is retried.
        """
        group: Group = self._fan_out(members, batch_options)
        return group

    def parallel(self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]) -> Group:
        """Invokes many services in the background, without a common end.

        Each outcome goes to `on_each`. The same as `fan_out`, for callers that do not join.
        """
        return self.fan_out(members, **batch_options)


class AsyncHandlerCalls(HandlerCalls, AsyncCalls):
    """The calls of a handler that is a coroutine, which it awaits."""

    @overload
    def invoke_with_retry(
        self, service: Typed[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Out]: ...

    @overload
    def invoke_with_retry(
        self, service: AsyncFunction[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Out]: ...

    @overload
    def invoke_with_retry(
        self, service: Function[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Out]: ...

    @overload
    def invoke_with_retry(
        self, service: str, payload: Any = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Any]: ...

    def invoke_with_retry(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service like `invoke`, and retries failures that a retry may fix, like
        `BlockingHandlerCalls.invoke_with_retry`."""
        return self._drive(self._retry_operation(service, payload, inline))

    def fan_out(
        self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]
    ) -> patterns.FanOut:
        """Invokes many services in the background as a group. Accepts all or none.

        `await self.fan_out([...]).join()` waits for all outcomes, `await self.fan_out([...])` only
        for the group. See `BlockingHandlerCalls.fan_out`.
        """
        fan_out: patterns.FanOut = self._fan_out(members, batch_options)
        return fan_out

    def parallel(
        self, members: Iterable[Member], **batch_options: Unpack[BatchOptions]
    ) -> patterns.FanOut:
        """Invokes many services in the background, without a common end: await it."""
        return self.fan_out(members, **batch_options)
