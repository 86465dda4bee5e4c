"""A project as Zato's developers write them: what it gets, and that no surprise is silent.

`tests/zato_project` was written by habit, without a look at the layer. Each of its services does
what it does in Zato, or a line at start says that it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from run_process import Run

from cidery import CideryError, Client
from cidery._cli.check import find_uses
from cidery._cli.discovery import find_files
from cidery.testing import Node

PROJECT = Path(__file__).parent / "zato_project"
WAIT = 20.0

# The line at start, by what it is about. Each is also a line of `check`.
SURPRISES = (
    "`self.odb`; instead:",
    "`self.cache`; instead:",
    "the module `zato.server.service.internal`",
    "`self.schedule`; instead:",
    "the hook `before_interval_based_jobs`; instead:",
    "`handle` returns a value, which is not the response, as in Zato; instead:",
    "`self.out`; instead:",
    "`self.response.status_code`; instead:",
    "`handle_GET`: a handler for one HTTP verb; instead:",
    "`self.request.http`; instead:",
)
NOT_SERVED = {
    "orders.api": "has only `handle_GET`",
    "orders.list": "`AdminService` of `zato.server.service.internal` is not in the compatibility",
}


@pytest.fixture(scope="module")
def project(node: Node) -> Iterator[Run]:
    run = Run(node.address, "--zato", PROJECT)
    run.wait_for("serving ")
    yield run
    assert run.stop() == 0


def test_every_surprise_is_a_line_at_start(project: Run) -> None:
    uses, unreadable = find_uses(find_files([PROJECT]))
    assert not unreadable
    listed = [f"{use}" for use in uses]
    assert len(listed) == len(SURPRISES)
    for surprise, line in zip(SURPRISES, listed, strict=True):
        assert surprise in line
        assert project.wait_for(f"WARNING cidery.run: {line}")


def test_a_service_that_is_not_served_is_a_line_at_start(project: Run, client: Client) -> None:
    for name, why in NOT_SERVED.items():
        assert why in project.wait_for(f"not served: `{name}`")
        with pytest.raises(CideryError) as caught:
            client.invoke(name)
        assert caught.value.reason == "SERVICE_UNKNOWN"


def test_a_timeout_of_a_function_is_a_line_at_start(project: Run) -> None:
    line = project.wait_for("`orders.warehouse`: a timeout ends the call, not the function")
    assert "WARNING cidery.worker" in line


CSV = "cust_id;name;since\r\n1;a;2020-01-01\r\n2;b;\r\n"
RESPONSES: list[tuple[str, Any, Any]] = [
    ("crm.customer.get", {"cust_id": "1"}, {"cust_id": 1, "name": "Ann", "details": "lang:"}),
    ("crm.customer.get", {"cust_id": 2, "needs_details": "no"}, {"cust_id": 2, "name": ""}),
    ("crm.customer.import", [{"cust_id": 1, "name": "x"}], {"imported": "1"}),
    ("crm.customer.search", {}, {"page": "1", "filter_id": "n/a", "tags": "n/a"}),
    ("crm.customer.search", {"range": {}}, {"range_from": "{'from': '*', 'to': '*'}"}),
    ("crm.login", {"user": "u", "password": "hush"}, {"token": "secret-token"}),
    ("orders.create", {"customer_id": "7", "address": {"city": "B"}}, {"order_id": 73}),
    ("orders.ask-warehouse", {}, {"timed_out": True}),
    ("orders.restricted", {"role": "admin"}, {"ok": True}),
    ("orders.load-file", {}, {"error": "ParsingException"}),
    ("orders.warehouse", {}, {}),
]


@pytest.mark.parametrize(("service", "payload", "expected"), RESPONSES)
def test_a_service_answers_as_in_zato(
    project: Run, client: Client, service: str, payload: Any, expected: dict[str, Any]
) -> None:
    response = client.invoke(service, payload)
    response = response.get("response", response)
    assert {key: response.get(key) for key in expected} == expected


def test_an_empty_text_is_sent(project: Run, client: Client) -> None:
    response = client.invoke("crm.customer.get", {"cust_id": 1}).response
    assert response.middle_name == ""
    listed = client.invoke("crm.customer.get-list").customers
    assert listed == [{"cust_id": 1, "name": "Ann"}, {"cust_id": 2, "name": ""}]


def test_csv_is_read_and_written(project: Run, client: Client) -> None:
    assert client.invoke("crm.customer.import", CSV, data_format="csv") == "imported\r\n2\r\n"
    exported = client.invoke("crm.customer.export", {}, response_format="csv")
    assert exported == "cust_id,name\r\n1,Ann\r\n2,\r\n"


FAILURES: list[tuple[str, Any, str]] = [
    ("crm.customer.get", {"cust_id": 9}, "NOT_FOUND"),
    ("crm.customer.get", {"lang": "x"}, "INPUT_INVALID"),
    ("crm.customer.import", {"cust_id": 1, "name": "x"}, "INPUT_INVALID"),
    ("crm.login", {"user": "u", "password": "wrong"}, "INVALID_ARGUMENT"),
    ("orders.create", {}, "INPUT_INVALID"),
    ("orders.restricted", {"role": "user"}, "INVALID_ARGUMENT"),
]


@pytest.mark.parametrize(("service", "payload", "reason"), FAILURES)
def test_a_service_refuses_as_in_zato(
    project: Run, client: Client, service: str, payload: Any, reason: str
) -> None:
    with pytest.raises(CideryError) as caught:
        client.invoke(service, payload)
    assert caught.value.reason == reason


ABSENT = {
    "crm.customer.sync": "self.odb",
    "crm.customer.cached": "self.cache",
    "orders.remind": "self.schedule",
    "orders.backend": "self.out",
}


@pytest.mark.parametrize("service", ABSENT)
def test_what_is_absent_fails_and_says_what_to_write(
    project: Run, client: Client, service: str
) -> None:
    with pytest.raises(CideryError) as caught:
        client.invoke(service)
    assert caught.value.reason == "HANDLER_FAILED"
    line = project.wait_for(f"AttributeError: `{ABSENT[service]}` is not in the compatibility")
    assert "docs/from-zato.md" in line


def test_a_callback_gets_the_environ(project: Run, client: Client) -> None:
    placed = client.invoke("orders.place")
    assert placed.started == 1
    assert client.result(placed.cid, wait=WAIT) == {"order_id": 5, "tenant": "acme"}
    assert project.wait_for("Processed 5 acme")


def test_a_fan_out_reports_failures(project: Run, client: Client) -> None:
    client.invoke("orders.all")
    # The first target misses the `environ` that only `orders.place` gives.
    assert project.wait_for("All done [False, True]")


def test_a_secret_is_masked_in_the_log(project: Run, client: Client) -> None:
    client.invoke("crm.login", {"user": "masked", "password": "hush"})
    assert project.wait_for("Login {'user': 'masked', 'password': '***'}")
    assert not any("hush" in line for line in project.lines)
