"""What `Service` and `AsyncService` share: the declaration, the hooks, and their lifecycle."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias

from cidery._errors.exceptions import output_invalid
from cidery._protocol.typed import Input, Output, TypedService
from cidery._service.class_declaration import automatic_name, bind_type_arguments
from cidery._service.handler_context import BaseContext
from cidery._sio.model_fields import type_name

if TYPE_CHECKING:
    from cidery._protocol.options import OnExhausted, OnExhaustedName, RetryPolicy, Seconds
    from cidery._service.request import Request
    from cidery._sio.declaration import CsvOptions, Elements
    from cidery._sio.element import EmptyStrings, UnknownKeys


class BaseService(TypedService[Input, Output], BaseContext, Generic[Input, Output]):
    """The base of `Service` and `AsyncService`."""

    name: ClassVar[str] = ""

    # The declaration: a class with typed fields, elements, or names. `Service[In, Out]` sets both.
    input: ClassVar[Any] = None
    output: ClassVar[Any] = None
    response_elem: ClassVar[str | None] = None
    unknown_keys: ClassVar[UnknownKeys | None] = None
    empty_strings: ClassVar[EmptyStrings | None] = None
    csv: ClassVar[CsvOptions | None] = None

    # The options of the service. An option of a call takes precedence.
    description: ClassVar[str] = ""
    idempotent: ClassVar[bool] = False
    timeout: ClassVar[Seconds | None] = None
    attempt_timeout: ClassVar[Seconds | None] = None
    retry_policy: ClassVar[RetryPolicy | None] = None
    on_exhausted: ClassVar[OnExhausted | OnExhaustedName | None] = None
    concurrency: ClassVar[int] = 0
    queue_length: ClassVar[int] = 0
    retention: ClassVar[Seconds | None] = None
    failure_retention: ClassVar[Seconds | None] = None
    pending_limit: ClassVar[int] = 0
    isolation: ClassVar[Literal["thread", "process"] | None] = None
    rate: ClassVar[float] = 0.0
    burst: ClassVar[int] = 0

    request: Request[Input]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A subclass of a service is a service of its own, with a name of its own.
        name = cls.__dict__.get("name") or automatic_name(cls.__module__, cls.__name__)
        cls.name = cls.service_name = name
        try:
            bind_type_arguments(cls)
        except TypeError as error:
            # Raised where the service is used, so that it affects no other service of its module.
            cls._invalid = error

    def handle(self, *args: Any, **kwargs: Any) -> Any:
        """Handles the invocation. The returned value is the response, unless it is `None`.

        `def handle(self, input: Place)` gets the declared input; `def handle(self)` reads it as
        `self.request.input`.
        """
        raise NotImplementedError(f"`{self.service_name}` has no `handle`")

    # Hooks, in the order in which they run. The first two can refuse the input by raising.

    def before_handle(self) -> Any:
        """Runs first."""

    def validate_input(self) -> Any:
        """Runs before `handle`; raises for an invalid input."""

    def validate_output(self) -> Any:
        """Runs after `handle`; raises for an invalid response."""

    def after_handle(self) -> Any:
        """Runs after `validate_output`, also after a failure (`self.error`); can change the
        response."""

    def finalize_handle(self) -> Any:
        """Runs last, always."""

    # Internals, used by the definition and the nested calls.

    _invalid: ClassVar[TypeError | None] = None
    """Why its types cannot declare it."""

    _annotations: ClassVar[dict[str, Any] | None] = None
    """The annotations of a decorated function, by `input`, `output` and `ctx`."""

    _companions: ClassVar[tuple[type[BaseService[Any, Any]], ...]] = ()
    """Services that a worker serves along with this one."""

    def _lifecycle(self, arguments: tuple[Any, ...]) -> Generator[Hook, Any, Any]:
        """The lifecycle of a handler; Zato's services have a further hook."""
        return lifecycle(self, arguments)

    def _take_returned(self, returned: Any) -> None:
        """Handles the value that `handle` returns: the response."""
        self.response.payload = returned

    @classmethod
    def _describe_missing_handle(cls) -> str:
        """A hook of Zato's services: why a class with other handlers is not served."""
        return ""

    @classmethod
    def _check_payload(cls, payload: Any) -> None:
        """A hook of Zato's services: refuses a payload by rules that no node knows."""

    @classmethod
    def _convert_input(cls, declared: Elements | None, given: Any) -> Any:
        """A hook of Zato's services: changes the converted input."""
        return given


def service_class_of(declared: Any) -> type[BaseService[Any, Any]]:
    """The class of a service that is given as a class or as a decorated function."""
    found = getattr(declared, "service_class", declared)
    if isinstance(found, type) and issubclass(found, BaseService):
        return found
    given = f"`{type_name(declared)}`" if hasattr(declared, "__qualname__") else repr(declared)
    raise TypeError(
        f"{given} is not a service: give a class that derives from `Service`, or a function with"
        " `@service`"
    )


Hook: TypeAlias = "tuple[Callable[..., Any], tuple[Any, ...]]"
"""A hook of a service, and its arguments."""


def lifecycle(
    service: BaseService[Any, Any], arguments: tuple[Any, ...]
) -> Generator[Hook, Any, Any]:
    """The lifecycle of a handler: yields its hooks in order; returns the response or raises.

    `arguments` are those of `handle`.
    """
    outcome: BaseException | None = None
    try:
        yield service.before_handle, ()
        yield service.validate_input, ()
        returned = yield service.handle, arguments
        if returned is not None:
            service._take_returned(returned)
        # A response that is given later is validated by the node.
        if not service.response.is_later:
            yield service.validate_output, ()
    except BaseException as error:
        outcome = service._error = error
    for hook in (service.after_handle, service.finalize_handle):
        try:
            yield hook, ()
        except Exception:
            service.logger.exception("hook `%s` failed", hook.__name__)
    if outcome is not None:
        raise outcome
    try:
        return service.response.final_payload()
    except TypeError as error:
        raise output_invalid(f"the response of `{service.service_name}`: {error}") from error
