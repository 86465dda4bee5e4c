"""What Zato has and the layer of `--zato` does not: placeholders, advice, and `--strict`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from run_process import Run

from cidery import Worker, testing, zato
from cidery._cli.check import check, find_uses
from cidery._cli.discovery import find_services, find_without_handle, load_module
from cidery._service.definition import Definition
from cidery.testing import Node
from cidery.zato._service import Service

LAYER = "is not in the compatibility layer of `--zato`"
PAGE = "docs/from-zato.md"


@pytest.fixture(autouse=True)
def layer() -> Iterator[None]:
    path = list(sys.path)
    zato.install()
    yield
    zato.uninstall()
    sys.path[:] = path
    sys.modules.pop("module_of_zato", None)


def load(tmp_path: Path, source: str) -> ModuleType:
    file = tmp_path / "module_of_zato.py"
    file.write_text(source)
    return load_module(file)


def services_of(module: ModuleType) -> dict[str, Any]:
    return {service.__name__: service for service in find_services(module)}


def test_an_unknown_name_takes_out_the_services_that_are_declared_with_it(tmp_path: Path) -> None:
    module = load(
        tmp_path,
        "from zato.server.service import Service, Elsewhere\n"
        "from zato.server.service.internal import AdminService\n"
        "from zato.common.odb.model import Cluster\n"
        "import zato.common.util.sql as sql\n"
        "QUERY = sql.Query(Cluster.name)[0]\n"
        "class Derived(AdminService):\n"
        "    def handle(self): pass\n"
        "class Declared(Service):\n"
        "    input = 'a', Elsewhere('b')\n"
        "    def handle(self): pass\n"
        "class Used(Service):\n"
        "    def handle(self): Cluster('x')\n"
        "class Other(Service):\n"
        "    def handle(self): self.response.payload = {'a': 1}\n",
    )
    services = services_of(module)
    for name, what in (("Derived", "AdminService"), ("Declared", "Elsewhere")):
        with pytest.raises(TypeError, match=what) as refused:
            Definition.of(services[name])
        assert PAGE in str(refused.value)
    with pytest.raises(AttributeError, match=r"`Cluster` of `zato\.common\.odb\.model`") as caught:
        testing.run(services["Used"])
    assert LAYER in str(caught.value)
    assert "python -m cidery check" in str(caught.value)
    assert testing.run(services["Other"]) == {"a": 1}


def test_modules_of_the_layer_are_imported_in_any_form() -> None:
    from zato.common import exception, typing_  # type: ignore[import-not-found]
    from zato.common.exception import BadRequest  # type: ignore[import-not-found]

    assert exception.BadRequest is BadRequest
    assert typing_.strlist == list[str]


class Reads(Service):
    path = "self.kvdb"

    def handle(self) -> None:
        with pytest.raises(AttributeError) as caught:
            eval(self.path, {"self": self})
        self.response.payload = {"message": str(caught.value)}


@pytest.mark.parametrize(
    "path",
    [
        *("self.kvdb", "self.cache", "self.out", "self.outgoing", "self.lock", "self.pubsub"),
        *("self.schedule", "self.channel", "self.request.http", "self.request.channel_params"),
    ],
)
def test_an_absent_attribute_says_what_to_write(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reads, "path", path)
    message = testing.run(Reads)["message"]
    assert message.startswith(f"`{path}` {LAYER}, use ")
    assert PAGE in message


def test_an_attribute_that_is_not_set_is_an_attribute_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Reads, "path", "self.typo")
    assert testing.run(Reads)["message"].startswith("`self.typo` is neither set nor in")
    assert not hasattr(Reads.__new__(Reads), "typo")


def test_a_class_without_handle_says_why_it_is_not_served(tmp_path: Path) -> None:
    module = load(
        tmp_path,
        "from zato.server.service import Service\n"
        "class Api(Service):\n"
        "    def handle_POST(self): pass\n",
    )
    (why,) = find_without_handle(module)
    assert "has only `handle_POST`, a handler of one HTTP verb: name it `handle`" in why


REFUSED = {
    "schema = 'orders.json'": "`schema`, JSON Schema of the input, is not supported",
    "input = 'a'\n    class SimpleIO:\n        input = 'a'\n        input_required = 'b'": (
        "cannot provide `input_required`"
    ),
    "before_add_to_store = staticmethod(lambda logger: False)": "`before_add_to_store`",
}


@pytest.mark.parametrize("member", REFUSED)
def test_a_declaration_that_cannot_be_served_says_why(tmp_path: Path, member: str) -> None:
    source = "from zato.server.service import Service\nclass A(Service):\n"
    module = load(tmp_path, f"{source}    {member}\n    def handle(self): pass\n")
    with pytest.raises((TypeError, ValueError)) as caught:
        Definition.of(services_of(module)["A"])
    assert REFUSED[member] in str(caught.value)


USES = """
from zato.server.service import Service
class Uses(Service):
    class SimpleIO:
        input = 'a'
        input_optional = 'b'
    def handle(self):
        self.kvdb.get('x')
        self.invoke('x', {'a': 1}, b=2)
        self.invoke('x', delay=5)
        self.invoke_async('x', {'a': 1}, delay=5)
        self.invoke_async('x', {'a': 1}, dely=5)
        return 5
"""


def test_check_says_what_to_write_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "uses.py"
    file.write_text(USES)
    assert check([str(file)]) == 1
    lines = [line.removeprefix(f"{file}:") for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "4: `SimpleIO` has both `input` and `input_optional`: the service is not served; instead:"
        " `input = 'a', '-b'`, or `input_required` alone",
        "8: `self.kvdb`; instead: a library of your own, such as a Redis client",
        "9: `b` of `self.invoke` beside a payload, which Zato ignores; instead: `{…, 'b': …}` in"
        " the payload",
        "12: `dely` of `self.invoke_async` beside a payload, which Zato ignores; instead:"
        " `{…, 'dely': …}` in the payload",
        "13: `handle` returns a value, which is not the response, as in Zato; instead:"
        " `self.response.payload = …`",
    ]


def test_check_lists_nothing_of_a_module_without_surprises(tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text(
        "from zato.common.exception import Inactive\n"
        "from zato.server.service import *\n"
        "class A(Service):\n"
        "    class SimpleIO:\n"
        "        input_optional = 'a'\n"
        "        default_value = 'x'\n"
        "    def accept(self):\n"
        "        return True\n"
        "    def handle(self):\n"
        "        self.logger.info('%s %s', self.environ, self.impl_name)\n"
    )
    assert find_uses([file]) == ([], [])


def test_strict_refuses_to_serve_what_check_lists(node: Node, tmp_path: Path) -> None:
    (tmp_path / "uses.py").write_text(USES)
    run = Run(node.address, "--zato", "--strict", tmp_path)
    run.wait_for("5 uses differ from Zato")
    run.wait_for("not serving: `--strict`")
    assert run.end() == 1
    assert not any("serving 1" in line for line in run.lines)


def test_a_service_of_a_project_replaces_that_of_the_layer(node: Node) -> None:
    class Echo(Service):
        name = "helpers.echo"

        def handle(self) -> None:
            self.response.payload = {"mine": True}

    class Other(Service):
        name = "layer.other"

        def handle(self) -> None:
            self.response.payload = self.invoke("helpers.echo")

    # The built-in services are added with the first service.
    with Worker(Other, Echo, node=node.address), node.client() as client:
        assert client.invoke("layer.other") == {"mine": True}
