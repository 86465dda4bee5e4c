"""The Python services of docs/patterns.md, as printed there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cidery import Unavailable, testing

PAGE = Path(__file__).parent.parent.parent / "docs" / "patterns.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The definitions of the page."""
    module = ModuleType("patterns_page")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), module.__dict__)
    return module.__dict__


def test_a_thousand_pages_are_counted(page: dict[str, Any]) -> None:
    invokes = {"pages.fetch": lambda given: {"words": given.page}}
    trial = testing.trial(page["CountWords"], invokes=invokes)
    assert trial.payload == {"words": 500_500}
    assert trial.groups[0].on_final == ("pages.counted",)


def test_three_services_run_at_once(page: dict[str, Any]) -> None:
    trial = testing.trial(page["Welcome"], {"cust_id": 7})
    (group,) = trial.groups
    assert [(each.service, each.payload) for each in group.members] == [
        ("mail.send", {"cust_id": 7}),
        ("card.print", {"cust_id": 7}),
        ("points.open", {"cust_id": 7}),
    ]
    assert group.on_each == ("crm.welcomed",)


def test_a_failed_call_is_retried(page: dict[str, Any]) -> None:
    answers = [Unavailable("UNAVAILABLE", "it restarts"), {"cust_name": "Ann"}]

    def lookup(_: Any) -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    greeted = testing.run(page["Greet"], invokes={"crm.lookup": lookup})
    assert greeted == {"greeting": "Hello, Ann"}
