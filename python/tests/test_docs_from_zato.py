"""docs/from-zato.md: the example of each row of the table is run."""

from __future__ import annotations

import ast
import builtins
import datetime
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import zato_row_services
from zato_row_services import CLIENTS, SERVICES

from cidery import CideryError, Client, Worker, zato
from cidery._cli.check import find_uses
from cidery._cli.discovery import find_services, load_module
from cidery._service.definition import Definition
from cidery.testing import Node
from cidery.v1 import admin_pb2, admin_pb2_grpc
from cidery.zato._exceptions import NAMES, to_zato_exception

PAGE = Path(__file__).parents[2] / "docs" / "from-zato.md"
VERDICTS = ("same", "better", "different", "absent")
HEAD = """
import datetime, decimal
from zato.common.api import DATA_FORMAT
from zato.common.exception import *
from zato.server.service import *
from zato_row_services import *
"""
MEMBER = re.compile(r"(class (SimpleIO|IO):|def \w+\(|\w+ = )")
NOT_SERVED = "not served"
DATE = re.compile(r"^\{'\w+': datetime\.date\((\d+), (\d+), (\d+)\)\}$")


@dataclass
class Row:
    """A row of the table: the parts of its example, and what comes of it."""

    feature: str
    verdict: str
    remark: str
    expected: str
    imports: list[str]
    members: list[str]
    payload: Any = None
    code: str = ""
    base: str = "Service"

    @classmethod
    def of(cls, line: str) -> Row:
        feature, verdict, example, remark = (
            cell.strip() for cell in line.strip().strip("|").split("|")
        )
        parts, _, expected = example.rpartition("→")
        row = cls(feature, verdict, remark, expected.strip().strip("`"), [], [])
        for part in re.findall(r"`([^`]+)`", parts):
            row.add(part)
        return row

    def add(self, part: str) -> None:
        if part.startswith("from "):
            self.imports.append(part)
        elif part.startswith("class Row("):
            self.base = part[len("class Row(") : -1]
        elif MEMBER.match(part):
            self.members.append(part)
        elif (literal := _literal(part)) is not None:
            self.payload = literal[0]
        else:
            self.code = part

    @property
    def module(self) -> str:
        """A module with a service for the row."""
        members = list(self.members)
        if not any(member.startswith("def handle") for member in members):
            members.append(f"def handle(self):\n{self._handler}")
        body = "\n".join(f"    {line}" for line in "\n".join(members).splitlines())
        return "\n".join([HEAD, *self.imports, "GOT = []", f"class Row({self.base}):", body, ""])

    @property
    def _handler(self) -> str:
        code = self.code
        if not code:
            code = "self.request.input" if self.members else "self.request.payload"
        try:
            ast.parse(code, mode="eval")
            is_call_for_effect = ".payload.update(" in code or ".payload.append(" in code
            code = code if is_call_for_effect else f"GOT.append({code})"
        except SyntaxError:
            pass
        return f"    try: {code}\n    except Exception as error: GOT.append(type(error))"


def _literal(text: str) -> tuple[Any] | None:
    """A literal, in a tuple since it may be `None`; `None` for other expressions."""
    found = DATE.search(text)
    if found is not None:
        # The only value in the table that is no literal.
        key, date = text.partition(":")[0].strip("{: '"), found.groups()
        return ({key: datetime.date(*map(int, date))},)
    try:
        return (ast.literal_eval(text),)
    except (SyntaxError, ValueError):
        return None


def rows() -> list[Row]:
    lines = PAGE.read_text().splitlines()
    table = [line for line in lines if line.startswith("| ") and not line.startswith("| feature")]
    return [Row.of(line) for line in table]


ROWS = rows()


@pytest.fixture(scope="module")
def client(node: Node) -> Iterator[Client]:
    """A client of a node that serves what the examples call."""
    zato.install()
    with Worker(*SERVICES, node=node.address), node.client() as client:
        with grpc.insecure_channel(node.address) as channel:
            admin = admin_pb2_grpc.AdminServiceStub(channel)
            admin.DisableService(admin_pb2.DisableServiceRequest(service="disabled"))
        CLIENTS.append(client)
        yield client
    zato.uninstall()


@pytest.fixture
def served(node: Node, tmp_path: Path) -> Iterator[Callable[[Row], Any]]:
    """Serves the service of a row; returns its module, or `None` if it is not served."""
    workers: list[Worker] = []

    def serve(row: Row) -> Any:
        file = tmp_path / "row.py"
        file.write_text(row.module)
        module = load_module(file)
        services = list(find_services(module))
        try:
            for service in services:
                Definition.of(service)
        except (TypeError, ValueError):
            return None
        if not services:
            return None
        workers.append(Worker(*services, node=node.address).start())
        return module

    yield serve
    for worker in workers:
        worker.stop(drain=5)
    sys.modules.pop("row", None)
    sys.path[:] = [path for path in sys.path if path != str(tmp_path)]


def run(client: Client, row: Row, module: Any) -> Any:
    """What comes of an example: a value, or the class of an exception."""
    options: Any = {"data_format": "csv"} if isinstance(row.payload, str) else {}
    try:
        response = client.invoke("row.row", {} if row.payload is None else row.payload, **options)
    except CideryError as error:
        # What the example itself raises precedes what its response lacks then.
        return module.GOT[0] if module.GOT else type(to_zato_exception(error))
    return module.GOT[0] if module.GOT else response


@pytest.mark.parametrize("row", ROWS, ids=[row.feature for row in ROWS])
def test_a_row_of_the_table_is_true(
    row: Row, client: Client, served: Callable[[Row], Any], tmp_path: Path
) -> None:
    assert row.verdict in VERDICTS
    module = served(row)
    uses, _ = find_uses([tmp_path / "row.py"])
    if row.verdict == "absent":
        assert uses, "`check` does not list it"
    if row.expected == NOT_SERVED:
        assert module is None
        return
    got = run(client, row, module)
    expected = _literal(row.expected)
    if expected is None:
        exception = NAMES.get(row.expected) or getattr(builtins, row.expected)
        assert isinstance(got, type), got
        assert issubclass(got, exception)
        return
    assert got == expected[0] if not isinstance(got, tuple) else tuple(got) == expected[0]
    if row.verdict == "same" and "a line in the log" not in row.remark:
        assert uses == [], "`check` lists what is the same"


def test_the_table_has_every_verdict() -> None:
    assert {row.verdict for row in ROWS} == set(VERDICTS)
    assert len({row.feature for row in ROWS}) == len(ROWS)
    assert zato_row_services.__all__
