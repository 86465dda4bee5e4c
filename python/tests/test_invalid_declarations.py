"""Services with an invalid declaration: the others of their module are served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from run_process import Run

from cidery import Client, Service, service, testing
from cidery.testing import Node

if TYPE_CHECKING:
    from cidery import Context

    Missing = dict[str, Any]

MODULE = '''
from __future__ import annotations
from dataclasses import dataclass
from typing import TYPE_CHECKING
from cidery import Service, service

if TYPE_CHECKING:
    from cidery import Context
    from elsewhere import Missing

@dataclass
class Pen:
    color: str

@service("bad.two-inputs")
def two_inputs(a: Pen, b: Pen) -> Pen:
    return a

@service("bad.annotation")
def annotation(ctx: Context, pen: Missing) -> Pen:
    return pen

@service("bad.option", timout=5)
def option(pen: Pen) -> Pen:
    return pen

class Typo(Service[Pen, Pen]):
    name = "bad.typo"
    def handler(self, input: Pen) -> Pen:
        return input

class Empty(Service[Pen, Pen]):
    name = "bad.empty"

class Base(Service[Pen, Pen]):
    """A base class."""

class Good(Base):
    name = "good.pen"
    def handle(self, input: Missing) -> Pen:
        return input

@service("good.function")
def function(ctx: Context, pen: Pen) -> Pen:
    return pen
'''


def test_invalid_functions_and_classes_affect_no_other_service(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "pens.py").write_text(MODULE)
    run = Run(node.address, tmp_path / "pens.py")
    line = run.wait_for("serving 2 services")
    assert line.endswith(": good.function, good.pen\n")
    for name in ("good.pen", "good.function"):
        assert client.invoke(name, color="blue") == {"color": "blue"}
    assert run.stop() == 0
    refused = [line for line in run.lines if "ERROR" in line]
    for name, text in (
        ("two-inputs", "`two_inputs` takes `ctx` and one input, not `a`, `b`"),
        ("annotation", "its input is annotated with `Missing`, and `Missing` does not exist at"),
        ("option", "`timout` is not an option; did you mean `timeout`?"),
        ("typo", "has no `handle`; is `handler` a typo?"),
        ("empty", "has no `handle`\n"),
    ):
        (line,) = [each for each in refused if f"not served: `bad.{name}` (`pens." in each]
        assert text in line
    assert len(refused) == 5
    assert "Traceback" not in "".join(run.lines)


def test_types_of_an_enclosing_function_declare_a_service() -> None:
    @dataclass
    class Pen:
        color: str

    @service
    def paints(ctx: Context, pen: Pen) -> Pen:
        return pen

    @service
    async def paints_async(pen: Pen) -> Pen:
        return pen

    class Paints(Service[Pen, Pen]):
        def handle(self, input: Pen) -> Pen:  # noqa: A002
            return input

    for each in (paints, paints_async, Paints):
        assert testing.run(each, Pen("blue")) == Pen("blue")


def test_an_invalid_function_is_refused_where_it_is_used() -> None:
    @service
    def uses(ctx: Context, payload: Missing) -> None: ...

    with pytest.raises(TypeError, match="its input is annotated with `Missing`, and `Missing` "):
        testing.run(uses, {})
