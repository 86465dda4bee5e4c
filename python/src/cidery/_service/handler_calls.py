"""The calls of a handler: by its context, or by an invoker with default options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cidery._protocol.call_types import (
    HandlerInvokeAsyncOptions,
    InvokeOptions,
    InvokeWithRetryOptions,
    Out,
    P,
)
from cidery._protocol.options import Options
from cidery._service import nested_calls, patterns

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping

    from typing_extensions import Unpack

    from cidery._protocol.batch import Group, HandlerBatchOptions, Member
    from cidery._protocol.call_types import (
        HandlerAsyncInvocable,
        Invocable,
        RetryInvocable,
        ServiceName,
    )
    from cidery._protocol.messages import Accepted
    from cidery._protocol.steps import Operation
    from cidery._service.context import Caller


class HandlerCalls:
    """The operations of a handler.

    `invoke_async` has two more options than that of a client: `once="label"` accepts the call once,
    however often the handler is retried; `with_outcome=True` accepts it together with the response
    of the handler, or not at all if the handler fails. Its default `callback` is `<this
    service>-async-callback`, if that service exists.
    """

    def _caller(self) -> Caller:
        raise NotImplementedError

    def _split(
        self,
        service: Any,
        args: tuple[Any, ...],
        inline: Mapping[str, Any],
        valid: Iterable[str],
    ) -> tuple[Any, Options]:
        raise NotImplementedError

    def _drive(self, operation: Operation[Any]) -> Any:
        return self._caller()._drive(operation)

    def _invoke_operation(self, service: Any, args: Any, inline: Any) -> Operation[Any]:
        payload, options = self._split(service, args, inline, InvokeOptions.__annotations__)
        return nested_calls.invoke(self._caller(), service, payload, options)

    def _invoke_async_operation(self, service: Any, args: Any, inline: Any) -> Operation[Accepted]:
        valid = HandlerInvokeAsyncOptions.__annotations__
        payload, options = self._split(service, args, inline, valid)
        return nested_calls.invoke_async(self._caller(), service, payload, options)

    def _retry_operation(self, service: Any, args: Any, inline: Any) -> Operation[Any]:
        valid = InvokeWithRetryOptions.__annotations__
        payload, options = self._split(service, args, inline, valid)
        return patterns.with_retry(self._caller(), service, payload, options)

    def _fan_out(self, members: Any, batch_options: HandlerBatchOptions) -> Any:
        _, options = self._split("", ({},), {}, ())
        return patterns.fan_out(self._caller(), members, options, batch_options)


class Invoker(HandlerCalls):
    """Makes the calls of a handler that is a function."""

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
        response: Out = self._drive(self._invoke_operation(service, args, kwargs))
        return response

    def invoke_async(
        self,
        service: HandlerAsyncInvocable[P, Any] | ServiceName[P],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Accepted:
        """Invokes a service in the background; returns its CID once the request is on disk.

        Keywords are options with a payload argument, and the payload without one.
        """
        cid: Accepted = self._drive(self._invoke_async_operation(service, args, kwargs))
        return cid

    def invoke_with_retry(
        self, service: RetryInvocable[P, Out] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Out:
        """Invokes a service like `invoke`, and retries failures that a retry may fix.

        `retry_policy` sets the number of attempts and the backoff; the default is 5 attempts with
        full jitter, from 100 ms, doubling up to 2 s. No attempt begins after the deadline of this
        handler. The last failure is raised.
        """
        response: Out = self._drive(self._retry_operation(service, args, kwargs))
        return response

    def fan_out(
        self, members: Iterable[Member[Out]], **batch_options: Unpack[HandlerBatchOptions]
    ) -> Group[Out]:
        """Invokes many services in the background as a group. Accepts all or none.

        Members are `Call`s, or pairs of the name of a service and a payload; a service may occur
        more than once. `self.fan_out([...]).join()` waits for all outcomes and returns them in
        request order; the handler releases its permit meanwhile. `on_each` (a service, or several)
        is invoked with the outcome of each member, `on_final` with all outcomes. `once="label"`
        accepts the group once, however often this handler is retried.
        """
        group: Group[Out] = self._fan_out(members, batch_options)
        return group

    def parallel(
        self, members: Iterable[Member[Out]], **batch_options: Unpack[HandlerBatchOptions]
    ) -> Group[Out]:
        """Invokes many services in the background, without a common end.

        Each outcome goes to `on_each`. The same as `fan_out`, for callers that do not join.
        """
        return self.fan_out(members, **batch_options)


class AsyncInvoker(HandlerCalls):
    """Makes the calls of a handler that is a coroutine, which awaits them."""

    def invoke(
        self, service: Invocable[P, Out] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, Out]:
        """Invokes a service and waits for its response, like `Context.invoke`."""
        response: Coroutine[Any, Any, Out] = self._drive(
            self._invoke_operation(service, args, kwargs)
        )
        return response

    def invoke_async(
        self,
        service: HandlerAsyncInvocable[P, Any] | ServiceName[P],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Coroutine[Any, Any, Accepted]:
        """Invokes a service in the background; returns its CID once the request is on disk.

        Keywords are options with a payload argument, and the payload without one.
        """
        cid: Coroutine[Any, Any, Accepted] = self._drive(
            self._invoke_async_operation(service, args, kwargs)
        )
        return cid

    def invoke_with_retry(
        self, service: RetryInvocable[P, Out] | ServiceName[P], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, Out]:
        """Invokes a service, and retries failures that a retry may fix, like
        `Context.invoke_with_retry`."""
        response: Coroutine[Any, Any, Out] = self._drive(
            self._retry_operation(service, args, kwargs)
        )
        return response

    def fan_out(
        self, members: Iterable[Member[Out]], **batch_options: Unpack[HandlerBatchOptions]
    ) -> patterns.FanOut[Out]:
        """Invokes many services in the background as a group. Accepts all or none.

        `await self.fan_out([...]).join()` waits for all outcomes, `await self.fan_out([...])` only
        for the group. See `Context.fan_out`.
        """
        fan_out: patterns.FanOut[Out] = self._fan_out(members, batch_options)
        return fan_out

    def parallel(
        self, members: Iterable[Member[Out]], **batch_options: Unpack[HandlerBatchOptions]
    ) -> patterns.FanOut[Out]:
        """Invokes many services in the background, without a common end: await it."""
        return self.fan_out(members, **batch_options)
