"""What Zato documents of invoking services, by the lines of the inventory of its behavior.

The names of the tests start with the line of the inventory. Where Zato's code differs from its
documentation, the tests follow the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from zato_services import (
    CALLED,
    SERVED,
    WAIT,
    Calling,
    Calls,
    Customer,
    Done,
    Echo,
    Fails,
    Recurses,
    Sees,
    Slow,
    Wrapped,
    made,
    reason_of,
)

from cidery import (
    CideryError,
    Client,
    DeadlineExceeded,
    Int,
    Internal,
    InvalidArgument,
    ResourceExhausted,
    RetryPolicy,
    Service,
    State,
    Worker,
    new_cid,
    testing,
)
from cidery._service.class_declaration import automatic_name
from cidery.testing import Node
from cidery.zato._service import Service as ModelService


@pytest.fixture(scope="module")
def worker(node: Node) -> Iterator[Worker]:
    with Worker(*SERVED, node=node.address) as worker:
        yield worker


@pytest.fixture
def does(worker: Worker, client: Client) -> Calls:
    """Runs a function as a handler; returns its result."""

    def does(function: Callable[[Any], Any]) -> Any:
        Calling.does = staticmethod(function)
        return client.invoke(Calling)["did"]

    return does


# 0. Improvements on Zato.


def test_line_24_a_background_call_returns_at_once_and_outlives_its_worker(
    node: Node, client: Client
) -> None:
    class Later(Service):
        name = "model.later"

        def handle(self) -> Any:
            return {"ran": True}

    with Worker(Later, node=node.address):
        pass
    cid = client.invoke_async(Later)
    assert client.get(cid).pending_reason == "NO_WORKER"
    with Worker(Later, node=node.address):
        assert client.result(cid, wait=WAIT) == {"ran": True}


def test_line_25_the_returned_cid_is_that_of_the_target(does: Calls, client: Client) -> None:
    cid = does(lambda self: self.invoke_async("model.sees", {"a": 1}))
    assert client.result(cid, wait=WAIT).cid == cid


def test_line_26_a_callback_has_a_cid_and_in_reply_to(does: Calls, client: Client) -> None:
    CALLED.clear()
    cid = does(lambda self: self.invoke_async("model.echo", {"n": 1}, callback="model.done"))
    name, own, in_reply_to, payload = callback_of(client, cid)
    assert (name, in_reply_to, payload) == ("model.done", cid, {"n": 1})
    assert own not in ("", cid)
    assert client.get(own).in_reply_to == cid


def callback_of(client: Client, cid: str) -> tuple[str, str, str, Any]:
    """The input of the callback of an invocation, once that has ended."""
    client.result(cid, wait=WAIT)
    events = client.invocations(limit=1_000)
    (callback,) = [found for found in events if found.in_reply_to == cid]
    client.result(callback.cid, wait=WAIT)
    (called,) = [called for called in CALLED if called[2] == cid]
    return called


def test_line_27_a_failure_has_callbacks_of_its_own(worker: Worker, client: Client) -> None:
    CALLED.clear()
    policy = RetryPolicy(max_attempts=1)
    cid = client.invoke_async(Fails, {"bad": 1}, failure_callback=Done, retry_policy=policy)
    with pytest.raises(InvalidArgument):
        client.result(cid, wait=WAIT)
    (callback,) = [c for c in client.invocations(limit=1_000) if c.in_reply_to == cid]
    client.result(callback.cid, wait=WAIT)
    assert [called[2] for called in CALLED] == [cid]


@dataclass
class Typed:
    flag: bool
    ratio: float
    name: str
    rows: list[int]


def test_lines_30_31_233_types_of_model_fields_are_enforced() -> None:
    class UsesTyped(Service):
        input = Typed

        def handle(self) -> None:
            pass

    with pytest.raises(InvalidArgument) as caught:
        testing.run(UsesTyped, {"flag": "maybe", "ratio": "x", "name": [], "rows": 5})
    assert [v.path for v in caught.value.violations] == ["/flag", "/ratio", "/name", "/rows"]


# 1. Invoking.


def test_line_41_a_service_is_invoked_by_name_or_by_class(does: Calls) -> None:
    assert does(lambda self: self.invoke("model.echo", {"a": 1})) == {"a": 1}
    assert does(lambda self: self.invoke(Echo, {"a": 1})) == {"a": 1}


def test_line_45_keywords_are_the_payload_of_a_background_call_too(
    does: Calls, client: Client
) -> None:
    cid = does(lambda self: self.invoke_async("model.echo", a=1))
    assert client.result(cid, wait=WAIT) == {"a": 1}


def test_line_47_sleep_ends_when_the_caller_gives_up(worker: Worker, client: Client) -> None:
    cid = client.invoke_async(Slow)
    client.cancel(cid)
    with pytest.raises(CideryError):
        client.result(cid, wait=WAIT)
    assert client.get(cid).state is State.CANCELLED


def test_line_55_a_payload_is_a_dict_a_list_a_scalar_or_any_object(does: Calls) -> None:
    for payload in ({"a": 1}, [1, 2], "text", 7):
        assert does(lambda self, p=payload: self.invoke("model.echo", p)) == payload
    assert does(lambda self: self.invoke("model.echo", made(Customer, name="Ann"))).name == "Ann"


def test_line_56_keywords_are_the_payload_without_a_payload_argument(does: Calls) -> None:
    assert does(lambda self: self.invoke("model.echo", a=1, b=2)) == {"a": 1, "b": 2}
    assert does(lambda self: self.invoke("model.echo", {}, a=1)) == {"a": 1}
    with pytest.raises(TypeError, match="`b` is no option of `invoke`"):
        testing.run(Beside, invokes={"x": {}})


class Beside(ModelService):
    def handle(self) -> None:
        self.invoke("x", {"a": 1}, b=2)


def test_lines_57_58_parameters_of_invoke_are_not_payload(does: Calls) -> None:
    sent = does(lambda self: self.invoke("model.echo", a=1, skip_response_elem=True))
    assert sent == {"a": 1}
    # A service of the SDK reserves no names.
    assert testing.run(Free, {}, invokes={"x": lambda payload: payload}) == {"timeout": 5}


class Free(Service):
    def handle(self) -> Any:
        return self.with_options().invoke("x", timeout=5)


def test_line_59_json_text_is_parsed_and_malformed_json_refused(does: Calls) -> None:
    assert does(lambda self: self.invoke("model.echo", '{"a": 1}', data_format="json")).a == 1
    assert does(lambda self: self.invoke("model.echo", {"a": 1}, data_format="json")).a == 1
    with pytest.raises(InvalidArgument) as caught:
        does(lambda self: self.invoke("model.echo", "{", data_format="json"))
    assert caught.value.reason == "DOCUMENT_MALFORMED"


def test_lines_60_to_63_labels_are_accepted(does: Calls) -> None:
    given = {"channel": "invoke", "transport": "x", "serialize": True, "as_bunch": True}
    assert does(lambda self: self.invoke("model.echo", {"a": {"b": 1}}, **given)).a.b == 1


def test_line_64_skip_response_elem_unwraps_the_response(does: Calls) -> None:
    assert does(lambda self: self.invoke(Wrapped)) == {"response": {"a": "1"}}
    assert does(lambda self: self.invoke(Wrapped, skip_response_elem=True)) == {"a": "1"}
    unwrapped = does(lambda self: self.invoke(Echo, {"x": 1}, skip_response_elem=True))
    assert unwrapped == {"x": 1}


def test_line_65_a_timeout_is_an_exception_that_can_be_caught(does: Calls) -> None:
    def catches(self: Any) -> str:
        try:
            self.invoke(Slow, timeout=0.1)
        except Exception as error:
            return type(error).__name__
        return "none"

    assert does(catches) == "TimeoutException"


def test_line_66_raise_timeout_false_returns_none(does: Calls) -> None:
    assert does(lambda self: self.invoke(Slow, timeout=0.1, raise_timeout=False)) is None


def test_line_68_a_synchronous_call_has_the_cid_of_its_caller(does: Calls) -> None:
    own, nested = does(lambda self: [self.cid, self.invoke(Sees).cid])
    assert own == nested


def test_line_69_the_environ_is_sent_as_metadata(does: Calls) -> None:
    seen = does(lambda self: self.invoke(Sees, {"a": 1}, environ={"who": "me"}))
    assert seen.environ == {"who": "me"}


def test_line_73_an_unset_response_is_empty(worker: Worker, client: Client) -> None:
    assert client.invoke("model.done") == {}


def test_lines_79_80_an_unknown_name_is_not_found(does: Calls) -> None:
    calls: list[Calls] = [
        lambda self: self.invoke("model.nope"),
        lambda self: self.invoke_async("model.nope", {}),
    ]
    for call in calls:
        # Where the handler passes it on, its own caller is told that the handler is at fault.
        with pytest.raises(Internal) as caught:
            does(call)
        assert caught.value.reason == "NESTED_CALL_REFUSED"
        assert caught.value.facts["refusal"] == "SERVICE_UNKNOWN"
        assert does(reason_of(call)) == "SERVICE_UNKNOWN"


def test_line_82_recursion_ends_also_where_it_is_direct(worker: Worker, client: Client) -> None:
    with pytest.raises(CideryError) as caught:
        client.invoke(Recurses)
    assert caught.value.reason == "DEPTH_EXCEEDED"


def test_line_83_an_exception_of_the_target_reaches_the_caller(does: Calls) -> None:
    with pytest.raises(InvalidArgument) as caught:
        does(lambda self: self.invoke(Fails, {"bad": 1}))
    assert caught.value.message == "that is bad"


def test_lines_85_86_all_violations_of_inputs_and_outputs_are_reported() -> None:
    class Both(Service):
        input = Int("a"), Int("b")
        output = Int("c"), Int("d")

        def handle(self) -> Any:
            return {"c": "x"}

    with pytest.raises(InvalidArgument) as caught:
        testing.run(Both, {})
    assert [v.path for v in caught.value.violations] == ["/a", "/b"]
    with pytest.raises(Internal) as failed:
        testing.run(Both, {"a": 1, "b": 2})
    assert failed.value.reason == "OUTPUT_INVALID"
    assert [v.path for v in failed.value.violations] == ["/c", "/d"]


def test_line_95_the_cid_of_a_background_call_can_be_given(does: Calls, client: Client) -> None:
    cid = new_cid()
    assert does(lambda self: self.invoke_async("model.sees", {"a": 1}, cid=cid)) == cid
    assert client.result(cid, wait=WAIT).cid == cid


def test_line_97_the_environ_of_a_background_call_arrives(does: Calls, client: Client) -> None:
    cid = does(lambda self: self.invoke_async("model.sees", {"a": 1}, environ={"who": "me"}))
    assert client.result(cid, wait=WAIT).environ == {"who": "me"}


def test_line_98_an_invocation_that_has_not_started_in_time_expires(
    does: Calls, client: Client
) -> None:
    cid = does(lambda self: self.invoke_async("model.sees", {"a": 1}, expiration=60))
    assert client.get(cid).message.HasField("expire_time")
    client.result(cid, wait=WAIT)


def test_line_100_a_payload_can_be_sent_as_a_json_string(does: Calls, client: Client) -> None:
    cid = does(lambda self: self.invoke_async("model.sees", {"a": 1}, to_json_string=True))
    assert client.result(cid, wait=WAIT).payload == '{"a": 1}'


def test_line_101_callbacks_are_one_or_several_or_the_default(does: Calls, client: Client) -> None:
    def several(self: Any) -> Any:
        return self.invoke_async("model.echo", {"a": 1}, callback=["model.done", "cidery.echo"])

    cid = does(several)
    client.result(cid, wait=WAIT)
    invoked = [c.service for c in client.invocations(limit=1_000) if c.in_reply_to == cid]
    assert sorted(invoked) == ["cidery.echo", "model.done"]
    CALLED.clear()
    cid = client.invoke("model.convention").cid
    name, _, _, payload = callback_of(client, cid)
    # Its payload is the response of the target.
    assert (name, payload["payload"]) == ("model.convention-async-callback", {"x": 1})


def test_line_103_a_callback_without_a_response_gets_the_empty_dict(
    does: Calls, client: Client
) -> None:
    CALLED.clear()
    cid = does(lambda self: self.invoke_async("model.done", {}, callback="model.done"))
    client.result(cid, wait=WAIT)
    (callback,) = [c for c in client.invocations(limit=1_000) if c.in_reply_to == cid]
    client.result(callback.cid, wait=WAIT)
    assert [called[3] for called in CALLED if called[2] == cid] == [{}]


def test_line_105_a_failing_callback_does_not_affect_the_others(
    does: Calls, client: Client
) -> None:
    def several(self: Any) -> Any:
        return self.invoke_async("model.echo", {}, callback=["model.fails", "model.done"])

    CALLED.clear()
    cid = does(several)
    assert callback_of_named(client, cid, "model.done") == State.SUCCEEDED
    assert callback_of_named(client, cid, "model.fails") == State.FAILED


def callback_of_named(client: Client, cid: str, name: str) -> State:
    client.result(cid, wait=WAIT)
    (found,) = [
        c for c in client.invocations(limit=1_000) if c.in_reply_to == cid and c.service == name
    ]
    return client.get(found.cid, wait=WAIT).state


def test_line_106_a_service_can_be_its_own_callback(worker: Worker, client: Client) -> None:
    def by_itself(self: Any) -> Any:
        if self.in_reply_to:
            return self.in_reply_to
        return self.invoke_async("model.echo", {}, callback=self)

    Calling.does = staticmethod(by_itself)
    cid = client.invoke(Calling)["did"]
    client.result(cid, wait=WAIT)
    (callback,) = [c for c in client.invocations(limit=1_000) if c.in_reply_to == cid]
    assert callback.service == Calling.name
    assert client.result(callback.cid, wait=WAIT) == {"did": cid}


def test_line_144_log_records_of_a_handler_carry_its_cid(
    does: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    cid = does(lambda self: [self.logger.info("said"), self.cid][1])
    (record,) = [record for record in caplog.records if record.message == "said"]
    assert (record.name, vars(record)["cid"]) == (Calling.name, cid)


def test_line_147_a_child_knows_its_parent(does: Calls, client: Client) -> None:
    own, child = does(lambda self: [self.cid, self.invoke_async("model.sees", {"a": 1})])
    client.result(child, wait=WAIT)
    assert client.get(child).parent_cid == own


def test_line_227_a_wrapped_response_has_dot_access_by_default(does: Calls) -> None:
    assert does(lambda self: self.invoke(Wrapped).response.a) == "1"


# 4. Requests and responses.


def test_lines_271_to_276_a_request_has_all_its_forms() -> None:
    read = testing.trial(Echo, {"a": {"b": 1}}).service.request
    assert read.payload == read.raw == read.raw_request == read.text == {"a": {"b": 1}}
    assert read.input.a.b == read.to_bunch().a.b == 1


def test_line_281_an_undeclared_response_takes_any_shape() -> None:
    class Free(Service):
        def handle(self) -> None:
            self.response.payload.abc.hello.world = 123
            _ = self.response.payload.only.read

    assert testing.run(Free) == {"abc": {"hello": {"world": 123}}}


def test_line_282_a_payload_is_assigned_from_any_object() -> None:
    class Row:
        def __init__(self) -> None:
            self.a, self.not_declared = 1, object()

    class Assigns(Service):
        output = "a"

        def handle(self) -> None:
            self.response.payload = Row()

    class Raw(Service):
        def handle(self) -> None:
            self.response.payload = self.request.payload

    assert testing.run(Assigns) == {"a": 1}
    for value in ([1], "x", 7, {"a": 1}):
        assert testing.run(Raw, value) == value


def test_line_283_rows_are_assigned_or_appended() -> None:
    class Rows(Service):
        def handle(self) -> None:
            self.response.payload[:] = [{"a": 1}]
            self.response.payload.append({"a": 2})

    assert testing.run(Rows) == [{"a": 1}, {"a": 2}]


def test_line_287_each_invocation_has_its_own_instance() -> None:
    first, second = (testing.trial(Echo, {"a": 1}).service for _ in range(2))
    assert first is not second


# 5.2. Names.


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("my_module", "MyService", "my-module.my-service"),
        ("crm.customer", "GetDetails", "crm.customer.get-details"),
        ("mymod", "GetHTTPData", "mymod.get-http-data"),
        ("mod", "SAPOrder123", "mod.sap-order123"),
        ("mymod", "APIv2Client", "mymod.ap-iv2-client"),
        ("my_mod", "My_Service", "my-mod.my_service"),
    ],
)
def test_line_312_services_have_default_names(module: str, name: str, expected: str) -> None:
    assert automatic_name(module, name) == expected


def test_line_312_an_explicit_name_takes_precedence_and_is_not_inherited() -> None:
    class Named(Service):
        name = "given.name"

    class Inherits(Named):
        pass

    assert (Named.service_name, Inherits.service_name.rpartition(".")[2]) == (
        "given.name",
        "inherits",
    )


# 12. Further improvements on Zato.


def test_line_437_the_timeout_of_a_caller_bounds_its_nested_calls(
    does: Calls, client: Client
) -> None:
    Calling.does = staticmethod(lambda self: self.invoke(Slow))
    with pytest.raises(DeadlineExceeded):
        client.invoke(Calling, {}, timeout=0.2)


def test_line_437_limits_per_service_are_enforced(node: Node, client: Client) -> None:
    class Narrow(Slow):
        name = "model.narrow"
        concurrency = 1
        queue_length = 1
        pending_limit = 1

    with Worker(Narrow, node=node.address) as worker:
        running = client.invoke_async(Narrow)
        while client.get(running, wait=0.05).state is not State.RUNNING:
            pass
        pending = client.invoke_async(Narrow)
        with client_that_tries_once(node) as hasty, pytest.raises(ResourceExhausted) as caught:
            hasty.invoke_async(Narrow)
        assert caught.value.reason == "PENDING_LIMIT"
        assert caught.value.retry_after is not None
        client.cancel(running, pending)
        worker.stop()


def client_that_tries_once(node: Node) -> Client:
    return Client(node.address, tries=1)


def test_line_437_an_exception_of_a_zato_service_is_not_retried(
    worker: Worker, client: Client
) -> None:
    cid = client.invoke_async(Fails, {})
    with pytest.raises(Internal):
        client.result(cid, wait=WAIT)
    assert client.get(cid).attempt == 1
