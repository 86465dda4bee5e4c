"""Invocations with their types: the same methods for clients and for handlers.

Given a class, a `ServiceRef` or a decorated function, a type checker knows the types of the payload
and of the response; given a name, they are `Any`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, overload

from cidery._protocol.typed import In, Out, ServiceRef, TypedService
from cidery._values.later import Later

if TYPE_CHECKING:
    from cidery._protocol.messages import Accepted
    from cidery._protocol.steps import Operation

    Typed: TypeAlias = type[TypedService[In, Out]] | ServiceRef[In, Out]
    """A service class, or a reference to a service."""
    Function: TypeAlias = Callable[[In], Out | Later] | Callable[[Any, In], Out | Later]
    """A decorated function of the input, or of `ctx` and the input."""
    AsyncFunction: TypeAlias = (
        Callable[[In], Coroutine[Any, Any, Out | Later]]
        | Callable[[Any, In], Coroutine[Any, Any, Out | Later]]
    )
    """A decorated coroutine function."""

T = TypeVar("T")


class Calls:
    """What a caller implements: the operations, and the driver of them."""

    def _invoke_operation(self, service: Any, payload: Any, inline: Any) -> Operation[Any]:
        raise NotImplementedError

    def _invoke_async_operation(
        self, service: Any, payload: Any, inline: Any
    ) -> Operation[Accepted]:
        raise NotImplementedError

    def _drive(self, operation: Operation[Any]) -> Any:
        raise NotImplementedError


class BlockingCalls(Calls):
    """Calls that block until the response arrives."""

    @overload
    def invoke(
        self, service: Typed[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Out: ...

    @overload
    def invoke(
        self, service: AsyncFunction[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Out: ...

    @overload
    def invoke(
        self, service: Function[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Out: ...

    @overload
    def invoke(self, service: str, payload: Any = None, /, **inline: Any) -> Any: ...

    def invoke(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service and waits for its response. A failure of the service is raised.

        `service` is a class, a `ServiceRef`, a decorated function or a name. The response is an
        instance of the declared output type, where the service has one; given a name, it is a dict
        with dot access, a list or a scalar.

        Keywords are options (`timeout`, `cid`, …) with a payload argument, and the payload without
        one.
        """
        return self._drive(self._invoke_operation(service, payload, inline))

    @overload
    def invoke_async(
        self, service: Typed[In, Any], payload: In | None = None, /, **inline: Any
    ) -> Accepted: ...

    @overload
    def invoke_async(
        self, service: Function[In, Any], payload: In | None = None, /, **inline: Any
    ) -> Accepted: ...

    @overload
    def invoke_async(self, service: str, payload: Any = None, /, **inline: Any) -> Accepted: ...

    def invoke_async(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service in the background; returns its CID once the request is on disk.

        Keywords are options with a payload argument, and the payload without one.
        """
        return self._drive(self._invoke_async_operation(service, payload, inline))


class AsyncCalls(Calls):
    """Calls that are awaited."""

    @overload
    def invoke(
        self, service: Typed[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Out]: ...

    @overload
    def invoke(
        self, service: AsyncFunction[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Out]: ...

    @overload
    def invoke(
        self, service: Function[In, Out], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Out]: ...

    @overload
    def invoke(
        self, service: str, payload: Any = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Any]: ...

    def invoke(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service and waits for its response, like `BlockingCalls.invoke`."""
        return self._drive(self._invoke_operation(service, payload, inline))

    @overload
    def invoke_async(
        self, service: Typed[In, Any], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Accepted]: ...

    @overload
    def invoke_async(
        self, service: Function[In, Any], payload: In | None = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Accepted]: ...

    @overload
    def invoke_async(
        self, service: str, payload: Any = None, /, **inline: Any
    ) -> Coroutine[Any, Any, Accepted]: ...

    def invoke_async(self, service: Any, payload: Any = None, /, **inline: Any) -> Any:
        """Invokes a service in the background; returns its CID once the request is on disk."""
        return self._drive(self._invoke_async_operation(service, payload, inline))
