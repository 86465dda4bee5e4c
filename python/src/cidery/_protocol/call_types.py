"""The types of calls, for type checkers: the options of a call, and what can be invoked.

A service class, a `ServiceRef` and a decorated function have the signatures of `CallSignatures`,
which the protocols below match as parameters: so a checker reports a wrong payload or an unknown
option by the type or the option that the service expects. Given the name of a service, the payload
and the response have any type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypedDict

if TYPE_CHECKING:
    import datetime

    from typing_extensions import ParamSpec, TypeVar, Unpack

    from cidery._protocol.options import (
        DataFormat,
        DataFormatName,
        OnDeadline,
        OnDeadlineName,
        OnExhausted,
        OnExhaustedName,
        RetryPolicy,
        Seconds,
    )
    from cidery._protocol.progress import Progress

    P = ParamSpec("P")
    # Without types, a service takes and returns any value.
    In = TypeVar("In", default=Any)
    Out = TypeVar("Out", default=Any)
    # A `Call` only gives values of it: a list of calls may have several types.
    CallOut = TypeVar("CallOut", default=Any, covariant=True)
    ReturnType = TypeVar("ReturnType", covariant=True)
else:
    from typing import ParamSpec, TypeVar

    P = ParamSpec("P")
    In = TypeVar("In")
    Out = TypeVar("Out")
    CallOut = TypeVar("CallOut", covariant=True)
    ReturnType = TypeVar("ReturnType", covariant=True)


class CommonOptions(TypedDict, total=False):
    """The options of all calls. `Options` describes each."""

    timeout: Seconds | None
    metadata: Mapping[str, str] | None
    cid: str | None
    idempotency_key: str | None
    data_format: DataFormat | DataFormatName | None
    response_format: DataFormat | DataFormatName | None


class InvokeOptions(CommonOptions, total=False):
    """The options of `invoke` and `call`."""

    on_deadline: OnDeadline | OnDeadlineName | None


class InvokeAsyncOptions(CommonOptions, total=False):
    """The options of `invoke_async`."""

    delay: Seconds | None
    start_time: datetime.datetime | None
    expiration: Seconds | None
    deadline: datetime.datetime | None
    retry_policy: RetryPolicy | None
    on_exhausted: OnExhausted | OnExhaustedName | None
    concurrency_key: str | None
    callback: Any
    failure_callback: Any
    retention: Seconds | None


class InvokeWithRetryOptions(InvokeOptions, total=False):
    """The options of `invoke_with_retry` of a handler."""

    retry_policy: RetryPolicy | None


class HandlerInvokeAsyncOptions(InvokeAsyncOptions, total=False):
    """The options of `invoke_async` of a handler."""

    once: str | None
    with_outcome: bool


class DefaultOptions(InvokeAsyncOptions, total=False):
    """The options of `with_options` of a client: those of any call."""

    on_deadline: OnDeadline | OnDeadlineName | None


class HandlerDefaultOptions(HandlerInvokeAsyncOptions, total=False):
    """The options of `with_options` of a handler: those of any call."""

    on_deadline: OnDeadline | OnDeadlineName | None


class TrialOptions(TypedDict, total=False):
    """The options of `testing.run` and `testing.trial`, which describes each."""

    invokes: Mapping[Any, Any] | None
    cid: str | None
    metadata: Mapping[str, str] | None
    in_reply_to: str
    attempt: int
    last_progress: Progress | None


class CallSignatures(Generic[In, Out]):
    """The signatures of the calls of a service. They exist for type checkers only."""

    if TYPE_CHECKING:

        @classmethod
        def _invoke(cls, payload: In | None = None, /, **options: Unpack[InvokeOptions]) -> Out: ...

        @classmethod
        def _invoke_async(
            cls, payload: In | None = None, /, **options: Unpack[InvokeAsyncOptions]
        ) -> Out: ...

        @classmethod
        def _invoke_with_retry(
            cls, payload: In | None = None, /, **options: Unpack[InvokeWithRetryOptions]
        ) -> Out: ...

        @classmethod
        def _handler_invoke_async(
            cls, payload: In | None = None, /, **options: Unpack[HandlerInvokeAsyncOptions]
        ) -> Out: ...

        @classmethod
        def _trial(cls, payload: In | None = None, /, **options: Unpack[TrialOptions]) -> Out: ...


class ServiceName(Protocol[P]):
    """The name of a service: a `str`, whose `format` accepts any arguments, as a call by name."""

    def format(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Formats a string."""


class Invocable(Protocol[P, ReturnType]):
    """A service that is invoked with the parameters `P`."""

    def _invoke(self, *args: P.args, **kwargs: P.kwargs) -> ReturnType: ...


class AsyncInvocable(Protocol[P, ReturnType]):
    """A service that is invoked in the background."""

    def _invoke_async(self, *args: P.args, **kwargs: P.kwargs) -> ReturnType: ...


class RetryInvocable(Protocol[P, ReturnType]):
    """A service that a handler invokes with retries."""

    def _invoke_with_retry(self, *args: P.args, **kwargs: P.kwargs) -> ReturnType: ...


class HandlerAsyncInvocable(Protocol[P, ReturnType]):
    """A service that a handler invokes in the background."""

    def _handler_invoke_async(self, *args: P.args, **kwargs: P.kwargs) -> ReturnType: ...


class Triable(Protocol[P, ReturnType]):
    """A service that a test runs without a node."""

    def _trial(self, *args: P.args, **kwargs: P.kwargs) -> ReturnType: ...
