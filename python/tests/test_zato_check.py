"""`python -m cidery check`: unsupported uses in the source of Zato modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cidery._cli.check import find_uses


def listed(tmp_path: Path, source: str) -> list[str]:
    """The unsupported uses of a module."""
    module = tmp_path / "uses.py"
    module.write_text(source)
    uses, unreadable = find_uses([module])
    assert not unreadable
    return [use.description for use in uses]


USES = """
    def before_job(self):
        self.kvdb.get('x')
        self.response.status_code = 201
"""
FOUND = ["the hook `before_job`", "`self.kvdb`", "`self.response.status_code`"]


@pytest.mark.parametrize(
    "head",
    [
        "from zato.server.service import Service\nclass A(Service):",
        "from zato.server.service import Service as ZS\nclass A(ZS):",
        "from zato.server.service import *\nclass A(Service):",
        "import zato.server.service as zs\nclass A(zs.Service):",
        "import zato.server.service\nclass A(zato.server.service.Service):",
        "from zato.server import service\nclass A(service.Service):",
        "from zato.server.service import Service\nclass B(Service):\n    pass\nclass A(B):",
        "from zato.server.service import Service as ZS\n"
        "class C(ZS):\n    pass\nclass B(C):\n    pass\nclass A(B):",
    ],
)
def test_a_service_is_recognized_by_any_name_of_its_base(tmp_path: Path, head: str) -> None:
    found = [each for each in listed(tmp_path, head + USES) if "`*`" not in each]
    assert found == FOUND


def test_attributes_of_a_base_class_in_another_file_are_known(tmp_path: Path) -> None:
    base, own = tmp_path / "base.py", tmp_path / "own.py"
    base.write_text(
        "from zato.server.service import Service\n"
        "class Base(Service):\n"
        "    limit: int = 5\n"
        "    def help(self):\n"
        "        self.made = 1\n"
    )
    own.write_text(
        "from .base import Base\n"
        "class Own(Base):\n"
        "    def handle(self):\n"
        "        self.help(self.limit, self.made, self.cache)\n"
    )
    assert [(use.file, use.description) for use in find_uses([base, own])[0]] == [
        (str(own), "`self.cache`")
    ]


def test_other_classes_are_not_services(tmp_path: Path) -> None:
    source = (
        "class Service:\n    pass\nclass A(Service):\n    def accept(self):\n        self.kvdb\n"
    )
    assert listed(tmp_path, source) == []


def test_local_aliases_are_resolved(tmp_path: Path) -> None:
    source = """
from zato.server.service import Service
class A(Service):
    def handle(self):
        req = self.request
        req.http
        req.payload.http
        out = self.response
        out.content_type = 'x'
"""
    assert listed(tmp_path, source) == ["`self.request.http`", "`self.response.content_type`"]


def test_unsupported_arguments_are_listed(tmp_path: Path) -> None:
    source = """
from zato.server.service import Service
class A(Service):
    def handle(self):
        self.invoke('x', {}, set_response_func=print)
        self.invoke('x', {}, target='server2')
        self.invoke_async('x@server2', {})
        self.invoke('x', '<a/>', data_format='xml')
        self.invoke('x', '<a/>', 'invoke', 'hl7')
        self.invoke('x', 'a@b.example', data_format='csv')
"""
    assert listed(tmp_path, source) == [
        "`set_response_func` of `self.invoke`",
        "`target` of `self.invoke`",
        "`x@server2`: a service of one server",
        "the data format `xml`",
        "the data format `hl7`",
    ]


def test_unsupported_declarations_are_listed(tmp_path: Path) -> None:
    source = """
from zato.server.service import Model, Service
class A(Service):
    class SimpleIO:
        input: str = 'a'
        skip_empty_keys: bool = True
        default_value = 1
class B(Service):
    schema = 'orders.json'
    class IO:
        input = 'a'
class Customer(Model):
    name: str
    def after_created(self, ctx):
        pass
"""
    assert listed(tmp_path, source) == [
        "`SimpleIO.skip_empty_keys`",
        "`schema`: JSON Schema of the input; the service is not served",
        "`class IO`: declarations of 4.1",
    ]


def test_an_unreadable_file_does_not_affect_the_others(tmp_path: Path) -> None:
    cookie, latin, syntax = (tmp_path / name for name in ("a.py", "b.py", "c.py"))
    source = "from zato.server.service import Service, Nope\nNAME = '\xe9'\n"
    cookie.write_bytes(f"# -*- coding: latin-1 -*-\n{source}".encode("latin-1"))
    latin.write_bytes(source.encode("latin-1"))
    syntax.write_text("class\n")
    command = [sys.executable, "-m", "cidery", "check", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stdout == f"{cookie}:2: `Nope` of `zato.server.service`\n"
    first, second = found.stderr.splitlines()
    assert str(latin) in first
    assert str(syntax) in second
