"""The Python service of the project's README, as printed there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cidery import testing

README = Path(__file__).parent.parent.parent / "README.md"


@pytest.fixture
def my_module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    [text] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    module = ModuleType("my_module")
    monkeypatch.setitem(sys.modules, "my_module", module)
    exec(compile(text, str(README), "exec"), module.__dict__)
    return module


def test_the_service_of_the_readme_works(my_module: ModuleType) -> None:
    invokes = {"customer.get": {"cust_name": "Alexis Smith"}}
    trial = testing.trial(my_module.Greet, {"cust_id": 7}, invokes=invokes)
    assert my_module.Greet.service_name == "my-module.greet"
    assert trial.payload == {"greeting": "Hello, Alexis Smith"}
    assert [(asked.service, asked.payload) for asked in trial.invoked] == [
        ("customer.get", {"cust_id": 7})
    ]
