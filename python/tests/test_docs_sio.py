"""The Python service of docs/sio.md, as printed there."""

from __future__ import annotations

import datetime
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from cidery import testing
from cidery._service.definition import Definition

PAGE = Path(__file__).parent.parent.parent / "docs" / "sio.md"


def test_the_types_of_the_page_declare_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    [text] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    page = ModuleType("sio_page")
    monkeypatch.setitem(sys.modules, page.__name__, page)
    exec(compile(text, str(PAGE), "exec"), page.__dict__)
    declared = Definition.of(page.Get).sio.input
    assert declared is not None
    found = [(each.name, each.is_optional, each.about) for each in declared.elements]
    assert found == [
        ("cust_id", False, ""),
        ("with_orders", True, ""),
        ("since", True, "Since when."),
    ]
    given = page.GetCustomer(7, since=datetime.date(2026, 1, 31))
    assert testing.run(page.Get, given) == page.Customer("customer 7")
