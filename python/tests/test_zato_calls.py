"""Nested calls and exceptions of Zato's services, as in docs/from-zato.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cidery import (
    AlreadyExists,
    CideryError,
    Client,
    InvalidArgument,
    Options,
    Unavailable,
    Worker,
    new_cid,
    testing,
)
from cidery import Internal as InternalFailure
from cidery import NotFound as NotFoundFailure
from cidery import Service as OwnService
from cidery.testing import Node
from cidery.zato._arguments import InvokeArguments
from cidery.zato._exceptions import (
    NAMES,
    BadRequest,
    Conflict,
    InternalServerError,
    NotFound,
    Reportable,
)
from cidery.zato._service import Service

WAIT = 20.0
Calls = Callable[..., Any]


class Echo(Service):
    name = "zato.calls.echo"

    def handle(self) -> None:
        self.response.payload = self.request.payload


class Says(Service):
    name = "zato.calls.says"

    def handle(self) -> None:
        self.response.payload = {"raw": self.request.raw, "cid": self.cid}


class Raises(Service):
    name = "zato.calls.raises"

    def handle(self) -> None:
        given = self.request.payload
        if given.status:
            raise Reportable(self.cid, given.msg, given.status)
        raise NAMES[given.name](self.cid, given.msg)


class RaisesOwn(OwnService):
    name = "zato.calls.raises-own"

    def handle(self) -> None:
        raise AlreadyExists("CUSTOMER_KNOWN", "there is one")


class Requires(Service):
    name = "zato.calls.requires"
    input = "a", "-b"

    def handle(self) -> None:
        self.response.payload = {"a": self.request.input.a}


class Calling(Service):
    name = "zato.calls.calling"
    does: Callable[[Any], Any] = staticmethod(lambda service: None)

    def handle(self) -> None:
        self.response.payload = {"did": type(self).does(self)}


class CallingAsync(Service):
    name = "zato.calls.calling-async"

    async def handle(self) -> None:
        try:
            await self.invoke(Raises, name="BadRequest", msg="bad", status=0)
        except BadRequest as error:
            self.response.payload = {"msg": error.msg}


@pytest.fixture(scope="module")
def worker(node: Node) -> Iterator[Worker]:
    served = Echo, Says, Raises, RaisesOwn, Requires, Calling, CallingAsync
    with Worker(*served, node=node.address) as worker:
        yield worker


@pytest.fixture
def does(worker: Worker, client: Client) -> Calls:
    """Runs a function as a handler; returns its result."""

    def does(function: Callable[[Any], Any]) -> Any:
        Calling.does = staticmethod(function)
        return client.invoke(Calling)["did"]

    return does


def test_payload_is_a_named_parameter(does: Calls, client: Client) -> None:
    assert does(lambda self: self.invoke(Echo, payload={"a": 1})) == {"a": 1}
    assert does(lambda self: self.invoke(zato_name=Echo.name, payload={"a": 1})) == {"a": 1}
    cid = does(lambda self: self.invoke_async(name=Echo.name, payload={"a": 1}))
    assert client.result(cid, wait=WAIT) == {"a": 1}

    def again(self: Any) -> Any:
        return self.patterns.invoke_retry.invoke(Echo, payload={"a": 1}, repeats=1, seconds=1)

    assert does(again) == {"a": 1}
    with pytest.raises(TypeError, match="multiple values"):
        sent(lambda self: self.invoke("x", {"a": 1}, payload={"b": 1}))


def test_only_parameters_of_invoke_are_excluded_from_the_payload() -> None:
    given: dict[str, Any] = {"expiration": 5, "callback": "x", "job_type": "full-time"}
    given |= {"name": "Ann", "to_json_string": True, "zato_ctx": 1, "channel_params": {}}
    assert sent(lambda self: self.invoke("x", **given)) == given
    options = {"skip_response_elem": True, "as_bunch": True, "timeout": 5, "environ": {"a": "b"}}
    assert sent(lambda self: self.invoke("x", a=1, **options)) == {"a": 1}


def invoking(*args: Any, **given: Any) -> Callable[[Any], Any]:
    return lambda self: self.invoke(*args, **given)


def sent(function: Callable[[Any], Any]) -> Any:
    """The input of the service `x`."""

    class Sends(Service):
        def handle(self) -> None:
            function(self)

    (invoked,) = testing.trial(Sends, invokes={"x": None}).invoked
    return invoked.payload


def test_unsupported_parameters_of_invoke_are_refused() -> None:
    for given in ({"set_response_func": print}, {"target": "server2"}):
        with pytest.raises(TypeError, match="is not supported"):
            sent(invoking("x", a=1, **given))


def test_parameters_of_background_calls_have_their_own_order(does: Calls, client: Client) -> None:
    cid = new_cid()
    given = ("invoke-async", "dict", "", 30, False, cid, Echo.name, None, {"who": "me"})
    assert does(lambda self: self.invoke_async(Says, {"a": 1}, *given)) == cid
    assert client.result(cid, wait=WAIT) == {"raw": {"a": 1}, "cid": cid}
    found = client.get(cid)
    assert found.metadata == {"who": "me"}
    assert found.message.HasField("expire_time")
    (callback,) = [c for c in client.invocations(limit=1_000) if c.in_reply_to == cid]
    assert callback.service == Echo.name
    with pytest.raises(TypeError, match="positional arguments"):
        sent(lambda self: self.invoke_async(*range(12)))


def test_the_response_to_a_csv_request_is_an_object(does: Calls) -> None:
    asked = does(lambda self: self.invoke(Says, "a,b\r\n1,2\r\n", data_format="csv"))
    assert asked.raw == [{"a": "1", "b": "2"}]
    assert InvokeArguments.for_invoke("a\r\n", data_format="csv").options.response_format == "dict"
    assert InvokeArguments.for_invoke({"a": 1}).options == Options()


@pytest.mark.parametrize(
    "name",
    [
        "BadRequest",
        "Conflict",
        "Forbidden",
        "InternalServerError",
        "MethodNotAllowed",
        "NotFound",
        "TooManyRequests",
        "Unauthorized",
    ],
)
def test_an_exception_of_a_target_is_caught_by_its_zato_class(does: Calls, name: str) -> None:
    cls = NAMES[name]

    def catches(self: Any) -> Any:
        try:
            self.invoke(Raises, name=name, msg="that is it", status=0)
        except cls as error:
            assert isinstance(error, Reportable)
            return [error.msg, error.status, error.cid == self.cid, type(error).__mro__[1].__name__]

    own = cls.__mro__[1]
    assert issubclass(own, CideryError)
    assert does(catches) == ["that is it", cls.status, True, own.__name__]


def test_an_unknown_service_is_not_found_by_either_class(does: Calls) -> None:
    def catches(self: Any) -> Any:
        found = []
        for invoke in (self.invoke, self.invoke_async):
            try:
                invoke("zato.calls.nope", {"a": 1})
            except NotFound as error:
                found.append([error.reason, error.status, isinstance(error, NotFoundFailure)])
        return found

    assert does(catches) == [["SERVICE_UNKNOWN", 404, True]] * 2


def test_a_coroutine_catches_zato_exceptions(worker: Worker, client: Client) -> None:
    assert client.invoke(CallingAsync) == {"msg": "bad"}


def test_a_status_determines_the_kind_of_failure(does: Calls, client: Client) -> None:
    assert Reportable("c", "x", 409).kind is AlreadyExists.kind
    assert (Reportable("c", "x", 409).cid, Reportable("c", "x").status) == ("c", 400)
    with pytest.raises(AlreadyExists) as caught:
        client.invoke(Raises, {"msg": "x", "status": 409})
    assert (caught.value.message, caught.value.reason) == ("x", "ALREADY_EXISTS")

    def catches(self: Any) -> Any:
        found = []
        for status in (409, 422, 502):
            try:
                self.invoke(Raises, msg="x", status=status)
            except Reportable as error:
                named = (Conflict, BadRequest, InternalServerError)
                own = (AlreadyExists, InvalidArgument, InternalFailure)
                which = [isinstance(error, cls) for cls in (*named, *own)]
                found.append([error.status, error.msg, which.index(True), sum(which)])
        return found

    # A status without a class of its own.
    assert does(catches) == [[409, "x", 0, 2], [422, "x", 4, 1], [502, "x", 5, 1]]


def test_a_failure_of_an_sdk_service_has_a_zato_class(does: Calls) -> None:
    def catches(self: Any) -> Any:
        try:
            self.invoke(RaisesOwn)
        except Conflict as error:
            return [error.reason, error.msg, error.status]

    assert does(catches) == ["CUSTOMER_KNOWN", "there is one", 409]


def test_a_failure_passed_on_twice_keeps_its_status(does: Calls, client: Client) -> None:
    Calling.does = staticmethod(lambda self: self.invoke(Raises, msg="x", status=422))
    with pytest.raises(InvalidArgument) as caught:
        client.invoke(Calling)
    assert caught.value.facts == {"http_status": "422"}


def test_a_description_states_the_required_elements(worker: Worker, client: Client) -> None:
    a, b = client.describe(Requires).declaration.sio.input.elements
    assert (a.description, b.description) == ("required if there is a payload", "")
    assert client.invoke(Requires) == {"a": ""}
    with pytest.raises(InvalidArgument) as caught:
        client.invoke(Requires, {"b": "x"})
    assert [violation.path for violation in caught.value.violations] == ["/a"]


def test_get_name_returns_the_name() -> None:
    assert Echo.get_name() == "zato.calls.echo"


class HasNames(OwnService):
    """Defines attributes whose names the SDK uses as well."""

    name = "zato.calls.has-names"

    def handle(self) -> Any:
        self.metadata = {"mine": "1"}
        self.attempt = 70
        self.cid = self.error("mine")
        answered = self.invoke_with_retry("cidery.echo", {"a": 1})
        own = [self.metadata, self.attempt, self.cid]
        self.response.payload = {"own": own, "answered": answered}

    def error(self, text: str) -> str:  # type: ignore[override]
        return text.upper()

    def is_cancelled(self) -> bool:  # type: ignore[override]
        return True

    def seconds_left(self) -> int:  # type: ignore[override]
        return -1


@pytest.mark.parametrize("base", [OwnService, Service])
def test_services_may_define_attributes_with_names_of_the_sdk(base: Any) -> None:
    class Own(HasNames, base):  # type: ignore[misc]
        pass

    answers: list[Any] = [Unavailable("UNAVAILABLE", "again"), {"a": 1}]

    def echo(_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    answered = testing.run(Own, {"x": 1}, invokes={"cidery.echo": echo})
    assert answered == {"own": [{"mine": "1"}, 70, "MINE"], "answered": {"a": 1}}
