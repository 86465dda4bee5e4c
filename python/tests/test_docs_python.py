"""The tables of docs/python.md, compared with the code."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cidery
from cidery import testing
from cidery._protocol import call_types
from cidery._protocol.batch import HandlerBatchOptions
from cidery._protocol.filters import FilterOptions
from cidery._service.base import BaseService
from cidery._service.decorator import ServiceOptions
from cidery._service.handler_context import BaseContext
from cidery._sio import constructors

PYTHON = Path(__file__).parent.parent
PAGE = (PYTHON.parent / "docs" / "python.md").read_text()
Rows = list[tuple[str, ...]]


def tables() -> dict[tuple[str, str], Rows]:
    """The tables of the page, by their section and the head of their first column."""
    found: dict[tuple[str, str], Rows] = {}
    section, rows = "", None
    for line in PAGE.splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        if not line.startswith("|"):
            rows = None
            continue
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if rows is None:
            rows = found.setdefault((section, cells[0]), [cells])
        elif not cells[0].startswith("---"):
            rows.append(cells)
    return found


TABLES = tables()


def code(text: Any) -> str:
    return f"`{text}`"


def literal(value: Any) -> str:
    """A default as the page writes it."""
    text = repr(value)
    return code(text if '"' in text else text.replace("'", '"'))


def arguments(function: Any) -> list[tuple[str, str]]:
    parameters = list(inspect.signature(function).parameters.values())
    return [
        (
            code(f"*{each.name}" if each.kind is each.VAR_POSITIONAL else each.name),
            "" if each.default is each.empty else literal(each.default),
        )
        for each in parameters
        if each.name != "self"
    ]


def fields(cls: Any) -> list[tuple[str, str]]:
    return [
        (code(each.name), "" if each.default is dataclasses.MISSING else literal(each.default))
        for each in dataclasses.fields(cls)
    ]


def signature(name: str, function: Any) -> str:
    """A method with its parameters; those of a call are its payload and its options."""
    written: list[str] = []
    for each in inspect.signature(function).parameters.values():
        default = "" if each.default is each.empty else f"={literal(each.default).strip('`')}"
        if each.kind is each.KEYWORD_ONLY and not any(part.startswith("*") for part in written):
            written.append("*")
        if (each.name, each.kind) == ("args", each.VAR_POSITIONAL):
            written.append("payload")
        elif each.kind is each.VAR_KEYWORD:
            written.append(f"**{'options' if each.name == 'kwargs' else each.name}")
        elif each.name != "self":
            prefix = "*" if each.kind is each.VAR_POSITIONAL else ""
            written.append(f"{prefix}{each.name}{default}")
    return code(f"{name}({', '.join(written)})")


def methods(cls: Any) -> set[str]:
    return {
        signature(name, value)
        for name, value in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_")
    }


def attributes(context: Any) -> set[str]:
    names = {name for name in dir(context) if not callable(inspect.getattr_static(context, name))}
    return {code(name) for name in names | set(BaseContext.__annotations__) if name[0] != "_"}


def options(*kinds: Any) -> set[str]:
    return {code(name) for kind in kinds for name in kind.__annotations__}


def values(kind: type[enum.Enum]) -> list[str]:
    return [code(each.value if isinstance(each, str) else each.name) for each in kind]


HOOKS = ["before_handle", "validate_input", "validate_output", "after_handle", "finalize_handle"]
ELEMENT_METHODS = {"inferred", "to_proto", "from_proto", "of_any", "named"}

# The first column of each table, and the defaults where it has them.
EXPECTED: dict[tuple[str, str], Any] = {
    ("Client", "argument"): arguments(cidery.Client.__init__),
    ("Client", "method"): methods(cidery.Client),
    ("Options of calls", "option"): options(
        call_types.DefaultOptions, call_types.HandlerDefaultOptions
    ),
    ("Options of batches", "option"): options(HandlerBatchOptions),
    ("Filters", "filter"): options(FilterOptions),
    ("RetryPolicy", "field"): fields(cidery.RetryPolicy),
    ("ServiceRef", "argument"): arguments(cidery.ServiceRef.__init__),
    ("Response", "field"): fields(cidery.Response),
    ("Invocation", "field"): fields(cidery.Invocation),
    ("Event", "field"): fields(cidery.Event),
    ("EventKind", "value"): values(cidery.EventKind),
    ("State", "value"): values(cidery.State),
    ("Change", "field"): fields(cidery.Change),
    ("Summary", "field"): fields(cidery.Summary),
    ("Operations", "method"): methods(cidery.Operations),
    ("Operation", "field"): fields(cidery.Operation),
    ("OperationState", "value"): values(cidery.OperationState),
    ("Refusal", "field"): fields(cidery.Refusal),
    ("Outcome", "field"): fields(cidery.Outcome),
    ("Progress", "field"): fields(cidery.Progress),
    ("DataFormat", "value"): values(cidery.DataFormat),
    ("OnDeadline", "value"): values(cidery.OnDeadline),
    ("OnExhausted", "value"): values(cidery.OnExhausted),
    ("CideryError", "argument"): arguments(cidery.CideryError.__init__),
    ("Violation", "field"): fields(cidery.Violation),
    ("Detail", "field"): fields(cidery.Detail),
    ("Service", "option"): {code("name")} | options(ServiceOptions),
    ("Service", "hook"): [code(name) for name in HOOKS],
    ("Context", "attribute"): attributes(cidery.Context),
    ("Context", "method"): methods(cidery.Context),
    ("Worker", "argument"): arguments(cidery.Worker.__init__),
    ("Element", "method"): {
        each
        for each in methods(cidery.Element)
        if each[1:].partition("(")[0] not in ELEMENT_METHODS
    },
    ("UnknownKeys", "value"): values(cidery.UnknownKeys),
    ("EmptyStrings", "value"): values(cidery.EmptyStrings),
    ("CsvOptions", "field"): fields(cidery.CsvOptions),
}


@pytest.mark.parametrize("table", EXPECTED, ids=lambda table: " ".join(table))
def test_a_table_has_what_the_code_has(table: tuple[str, str]) -> None:
    head, *rows = TABLES[table]
    expected = EXPECTED[table]
    if isinstance(expected, set):
        assert {row[0] for row in rows} == expected
        assert len(rows) == len(expected)
    elif head[1] == "default":
        assert [row[:2] for row in rows] == expected
    else:
        first = [each if isinstance(each, str) else each[0] for each in expected]
        assert [row[0] for row in rows] == first


def test_the_other_tables_have_what_the_code_has() -> None:
    project = (PYTHON / "pyproject.toml").read_text()
    [listed] = re.findall(r"^\[project.optional-dependencies\]\n(.*?)^\[", project, re.M | re.S)
    names = re.findall(r"^([\w-]+) = ", listed, re.M)
    extras = [f"cidery[{name}]" for name in names if name != "dev"]
    assert [row[0] for row in TABLES["Extras", "extra"][1:]] == list(map(code, extras))
    classes = {
        code(value.__name__): (str(value.kind.code), value.kind.retry.value)
        for value in vars(cidery).values()
        if isinstance(value, type)
        and issubclass(value, cidery.CideryError)
        and value is not cidery.CideryError
    }
    assert {row[0]: row[1:3] for row in TABLES["CideryError", "class"][1:]} == classes
    elements = [name for name, value in vars(constructors).items() if is_constructor(name, value)]
    assert [row[0] for row in TABLES["Element", "constructor"][1:]] == list(map(code, elements))
    named = {*EXPECTED, ("Extras", "extra"), ("CideryError", "class"), ("Element", "constructor")}
    assert set(TABLES) == named | {("Other names", "name")}


def is_constructor(name: str, value: Callable[..., Any]) -> bool:
    return inspect.isfunction(value) and name == value.__name__ and name[0].isupper()


def test_every_public_name_is_on_the_page() -> None:
    words = set(re.findall(r"\w+", PAGE))
    assert set(cidery.__all__) - words == set()
    assert set(testing.__all__) - words == {"Invoked", "InvokedGroup", "Trial"}


def test_both_clients_and_contexts_have_the_same_methods() -> None:
    assert methods(cidery.AsyncClient) == methods(cidery.Client)
    assert arguments(cidery.AsyncClient.__init__) == arguments(cidery.Client.__init__)
    assert methods(cidery.AsyncOperations) == methods(cidery.Operations)
    assert methods(cidery.AsyncContext) == methods(cidery.Context)
    assert attributes(cidery.AsyncContext) == attributes(cidery.Context)
    for name in ServiceOptions.__annotations__:
        assert hasattr(BaseService, name)
