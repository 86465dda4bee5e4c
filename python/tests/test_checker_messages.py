"""The messages of type checkers for mistakes: each names what the service expects."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MISTAKES = """
from dataclasses import dataclass
from cidery import Call, Client, Context, Service, ServiceRef, service

@dataclass
class Place:
    sku: str

@dataclass
class Order:
    total: int

class PlaceOrder(Service[Place, Order]):
    def handle(self, input: Place) -> Order:
        return Order(1)

@service("order.total")
def total(ctx: Context, order: Order) -> Order:
    ctx.invoke(PlaceOrder, order)
    return order

client, ref = Client(), ServiceRef("order.place", Place, Order)
client.invoke(PlaceOrder, Order(1))
client.invoke(ref, Order(1))
client.invoke(total, 3)
client.invoke_async(PlaceOrder, Order(1))
client.invoke(PlaceOrder, Place("pen"), tiemout=1)
client.invoke_async(PlaceOrder, Place("pen"), delay="soon")
client.invoke_batch([Call(PlaceOrder, Order(1))])
client.invoke(5, {})

class Adds(Service[int, int]):
    def handle(self, input: int) -> int:
        return input

class Wrong(Service[Place, Order]):
    def handle(self, input: Place) -> int:
        return 1

class Awaits(Service[Place, Order]):
    async def handle(self, input: Place) -> Order:
        return Order(1)
"""

MODELS = "Dataclass | AttrsClass | PydanticModel | Mapping[str, object]"
MYPY = [
    'Argument 2 to "invoke" of "Invoker" has incompatible type "Order"; expected "Place | None"',
    'Argument 2 to "invoke" of "Client" has incompatible type "Order"; expected "Place | None"',
    'Argument 2 to "invoke" of "Client" has incompatible type "Order"; expected "Place | None"',
    'Argument 2 to "invoke" of "Client" has incompatible type "int"; expected "Order | None"',
    'Argument 2 to "invoke_async" of "Client" has incompatible type "Order"; expected'
    ' "Place | None"',
    'Unexpected keyword argument "tiemout" for "invoke" of "Client"; did you mean "timeout"?',
    'Argument "delay" to "invoke_async" of "Client" has incompatible type "str"; expected'
    ' "float | timedelta | None"',
    'Argument 2 to "Call" has incompatible type "Order"; expected "Place | None"',
    'Argument 1 to "invoke" of "Client" has incompatible type "int"; expected'
    ' "Invocable[[dict[Never, Never]], Any] | ServiceName[[dict[Never, Never]]]"',
    f'Type argument "int" of "Service" must be a subtype of "{MODELS} | Sequence[{MODELS}] | None"',
    'Signature of "handle" incompatible with supertype "cidery._service.service.Service"',
    'Signature of "handle" incompatible with supertype "cidery._service.service.Service"',
]


@pytest.fixture
def mistakes(tmp_path: Path) -> Path:
    file = tmp_path / "mistakes.py"
    file.write_text(MISTAKES)
    return file


def test_mypy_names_what_a_service_expects(mistakes: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(mistakes)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    errors = re.findall(r": error: (.*)  \[[a-z-]+\]$", found.stdout, re.MULTILINE)
    # A type argument is reported where it is given, and where it is inherited.
    assert list(dict.fromkeys(errors)) == list(dict.fromkeys(MYPY)), found.stdout


def test_pyright_names_what_a_service_expects(mistakes: Path) -> None:
    pyright = os.environ.get("CIDERY_PYRIGHT") or shutil.which("pyright")
    if pyright is None:
        pytest.skip("needs pyright: CIDERY_PYRIGHT")
    command = [pyright, "--pythonpath", sys.executable, str(mistakes)]
    found = subprocess.run(command, cwd=mistakes.parent, capture_output=True, text=True)
    assert "No overloads" not in found.stdout, found.stdout
    for said in (
        'Argument of type "Order" cannot be assigned to parameter "payload" of type "Place | None"',
        'Argument of type "Literal[3]" cannot be assigned to parameter "payload" of type'
        ' "Order | None"',
        'No parameter named "tiemout"',
        'cannot be assigned to parameter "delay" of type "Seconds | None"',
        'Type "int" is not assignable to type "Declared"',
    ):
        assert said in found.stdout, found.stdout
