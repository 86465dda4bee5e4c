"""The examples of Zato's documentation on invoking services, unchanged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_process import Run

from cidery import Client, InvalidArgument
from cidery.testing import Node

PAGE = Path(__file__).parent / "zato_page"


@pytest.fixture(scope="module")
def page(node: Node) -> Iterator[Run]:
    run = Run(node.address, "--zato", PAGE)
    run.wait_for("serving")
    yield run
    assert run.stop() == 0


def test_a_service_is_invoked_by_name_and_its_response_read(page: Run, client: Client) -> None:
    listed = client.invoke("zato.security.get-list", {"cluster_id": 1})
    names = [item.name for item in listed.zato_security_get_list_response]
    assert names
    assert client.invoke("list-security.my-service").names == names
    for name in names:
        assert page.wait_for(f": {name} cid=")


def test_a_dict_that_is_sent_as_json_is_a_dict(page: Run, client: Client) -> None:
    assert client.invoke("as-json.my-service").customer_id == 123
    assert client.invoke("as-json.as-text").customer_id == 123


def test_inline_parameters_are_the_payload(page: Run, client: Client) -> None:
    assert client.invoke("inline-parameters.my-service").customer_id == 123


def test_a_background_service_runs_under_the_returned_cid(page: Run, client: Client) -> None:
    cid = client.invoke("in-background.my-service").cid
    assert client.result(cid, wait=20).cid == cid
    assert page.wait_for(f"customer_id: 123, cid: {cid}")
    assert page.wait_for(f"CID: {cid}")


def test_a_wrapped_response_is_read_by_index_and_by_dot(page: Run, client: Client) -> None:
    answered = client.invoke("response-elem.my-service")
    assert answered == {"by_index": "Alexis Smith", "by_dot": "Alexis Smith"}


def test_required_input_is_enforced_with_a_payload(page: Run, client: Client) -> None:
    with pytest.raises(InvalidArgument) as caught:
        client.invoke("invoking.my-service2", {"other": 1})
    (violation,) = caught.value.violations
    assert (violation.path, violation.reason) == ("/cust_id", "MISSING")


def test_the_page_uses_only_supported_features() -> None:
    command = [sys.executable, "-m", "cidery", "check", str(PAGE)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


BEYOND = """
from zato.common import DATA_FORMAT, ZATO_INFO_FILE
from zato.server.service import Int, PubSubMessage, Service
from zato.server.pattern import fanout
import os

class Uses(Service):
    name = 'uses.much'
    class SimpleIO:
        input = Int('a')
        skip_empty_keys = True
        class CSV:
            dialect = 'excel'

    def accept(self):
        return True

    def handle_GET(self):
        self.mine = 1
        self.logger.info(self.mine)
        self.patterns.fanout.invoke({}, 'x')
        self.patterns.sequence.invoke({}, 'x')
        self.kvdb.conn.get('x')
        self.response.status_code = 201
        self.request.http.GET
        self.invoke('x', data_format=DATA_FORMAT.XML)
        os.remove('/not/there')
"""


def test_unsupported_uses_are_listed_without_running_the_module(tmp_path: Path) -> None:
    module = tmp_path / "uses.py"
    module.write_text(BEYOND)
    command = [sys.executable, "-m", "cidery", "check", str(module)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    uses = [line.split(": ", 1)[1].split("; instead: ")[0] for line in found.stdout.splitlines()]
    assert found.returncode == 1
    assert uses == [
        "`ZATO_INFO_FILE` of `zato.common`",
        "`PubSubMessage` of `zato.server.service`",
        "the module `zato.server.pattern`",
        "`SimpleIO.skip_empty_keys`",
        "`SimpleIO.CSV.dialect`",
        "`handle_GET`: a handler for one HTTP verb",
        "`self.patterns.sequence`",
        "`self.kvdb`",
        "`self.response.status_code`",
        "`self.request.http`",
        "`DATA_FORMAT.XML`",
    ]
