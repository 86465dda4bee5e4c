"""The uses in Zato modules that the layer of `--zato` does not support, or handles differently.

Each is a line with what differs and what to write instead. Read by `check`, and by `run --zato`
when it starts.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from cidery import zato
from cidery._cli.zato_calls import check_call
from cidery._cli.zato_source import ClassHierarchy, SourceModule
from cidery._service.request import Request
from cidery._service.response import HandlerResponse
from cidery.zato import is_zato_module
from cidery.zato._arguments import DATA_FORMAT
from cidery.zato._names.absent import INSTEAD, REQUEST_INSTEAD, RESPONSE_INSTEAD
from cidery.zato._service import Service
from cidery.zato._simple_io import OPTIONS as SIMPLE_IO_OPTIONS

Finding: TypeAlias = "tuple[int, str, str]"
"""A line, what differs there, and what to write instead; empty if there is nothing."""

_JOB_HOOK = "the service itself: a one-time job is an `invoke_async(…, delay=…)`"
# Hooks of Zato that the layer does not call.
_UNSUPPORTED_HOOKS = {
    "after_add_to_store": "code of the module",
    "after_cron_style_jobs": _JOB_HOOK,
    "after_interval_based_jobs": _JOB_HOOK,
    "after_job": _JOB_HOOK,
    "after_one_time_jobs": _JOB_HOOK,
    "before_cron_style_jobs": _JOB_HOOK,
    "before_interval_based_jobs": _JOB_HOOK,
    "before_job": _JOB_HOOK,
    "before_one_time_jobs": _JOB_HOOK,
    "get_request_hash": "an `idempotency_key` of the call",
}
_REQUEST_ATTRIBUTES = frozenset(dir(Request)) | {
    "cid",
    "data_format",
    "headers",
    "input",
    "logger",
    "metadata",
    "payload",
    "raw",
    "raw_request",
    "text",
}
_RESPONSE_ATTRIBUTES = (
    frozenset(dir(HandlerResponse)) | {"metadata", "data_format"}
) - RESPONSE_INSTEAD.keys()
_PATTERNS = frozenset({"fanout", "invoke_retry", "parallel"})
_SERVICE_ATTRIBUTES = (
    frozenset(dir(Service))
    | set(Service.__annotations__)
    | {
        "request",
        "response",
        "logger",
        "error",
        "SimpleIO",
    }
) - INSTEAD.keys()
_ATTRIBUTES_OF = {
    "patterns": _PATTERNS,
    "request": _REQUEST_ATTRIBUTES,
    "response": _RESPONSE_ATTRIBUTES,
}
_ADVICE_OF = {"request": REQUEST_INSTEAD, "response": RESPONSE_INSTEAD}
_ALIASED_EXPRESSIONS = frozenset({"self", *(f"self.{name}" for name in _ATTRIBUTES_OF)})
_GENERATOR = "`self.emit(item)` for each part, or a list"
_IGNORED_RETURN = "`self.response.payload = …`"
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, order=True)
class UnsupportedUse:
    """A use of a feature that the layer does not support, or handles differently."""

    file: str
    line: int
    description: str
    instead: str = ""

    def __str__(self) -> str:
        advice = f"; instead: {self.instead}" if self.instead else ""
        return f"{self.file}:{self.line}: {self.description}{advice}"


def find_module_uses(
    module: SourceModule, modules: Iterable[SourceModule]
) -> Iterator[UnsupportedUse]:
    """The unsupported uses in one module of a project."""
    for line, description, instead in _UseFinder(module, ClassHierarchy(module, modules)).find():
        yield UnsupportedUse(str(module.file), line, description, instead)


class _UseFinder:
    def __init__(self, module: SourceModule, hierarchy: ClassHierarchy) -> None:
        self._module = module
        self._hierarchy = hierarchy

    def find(self) -> Iterator[Finding]:
        for node in ast.walk(self._module.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from _check_import(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if is_zato_module(alias.name) and alias.name not in zato.LAYER:
                        yield node.lineno, f"the module `{alias.name}`", ""
            elif isinstance(node, ast.Attribute) and _name_of(node.value) == "DATA_FORMAT":
                if not hasattr(DATA_FORMAT, node.attr):
                    yield node.lineno, f"`DATA_FORMAT.{node.attr}`", "`JSON`, `CSV` or `DICT`"
            elif isinstance(node, ast.ClassDef):
                yield from self._check_class(node)

    def _check_class(self, node: ast.ClassDef) -> Iterator[Finding]:
        if node.name == "SimpleIO":
            yield from _check_simple_io(node)
        elif self._hierarchy.is_a(node, "Service"):
            yield from self._check_service(node)

    def _check_service(self, node: ast.ClassDef) -> Iterator[Finding]:
        for statement in node.body:
            yield from _check_member(statement)
        known = _SERVICE_ATTRIBUTES.union(
            *(_defined_names(cls) for _, cls in self._hierarchy.ancestry(node))
        )
        for statement in node.body:
            local = _local_names(statement)
            for part in ast.walk(statement):
                if isinstance(part, ast.Assign) and _assigns_generator(part):
                    what = "`self.response.payload`: a generator as the response"
                    yield part.lineno, what, _GENERATOR
                if isinstance(part, ast.Call):
                    for description, instead in check_call(part):
                        yield part.lineno, description, instead
                if isinstance(part, ast.Attribute):
                    found = _check_attribute(part, known, local)
                    if found is not None:
                        yield part.lineno, *found


def _check_import(node: ast.ImportFrom) -> Iterator[Finding]:
    module = node.module or ""
    if not is_zato_module(module) or node.level:
        return
    if module not in zato.LAYER:
        yield node.lineno, f"the module `{module}`", ""
        return
    for alias in node.names:
        is_module = f"{module}.{alias.name}" in zato.LAYER
        if alias.name not in (*zato.LAYER[module], "*") and not is_module:
            yield node.lineno, f"`{alias.name}` of `{module}`", ""


def _check_member(statement: ast.stmt) -> Iterator[Finding]:
    """A member of a service class."""
    if isinstance(statement, ast.ClassDef) and statement.name == "IO":
        yield statement.lineno, "`class IO`: declarations of 4.1", "`class SimpleIO`"
    if "schema" in _assigned(statement):
        what = "`schema`: JSON Schema of the input; the service is not served"
        yield statement.lineno, what, "`input` and `output`"
    if not isinstance(statement, _Function):
        return
    name = statement.name
    if name in _UNSUPPORTED_HOOKS:
        yield statement.lineno, f"the hook `{name}`", _UNSUPPORTED_HOOKS[name]
    if name.startswith("handle_"):
        yield statement.lineno, f"`{name}`: a handler for one HTTP verb", "`handle`"
    if name == "handle":
        if _contains(statement, (ast.Yield, ast.YieldFrom)):
            yield statement.lineno, "`handle`: a generator as the response", _GENERATOR
        for found in _returned_values(statement):
            what = "`handle` returns a value, which is not the response, as in Zato"
            yield found.lineno, what, _IGNORED_RETURN


def _check_simple_io(node: ast.ClassDef) -> Iterator[Finding]:
    names: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.ClassDef) and statement.name == "CSV":
            yield from _check_csv(statement)
        elif isinstance(statement, ast.ClassDef):
            yield statement.lineno, f"`SimpleIO.{statement.name}`", "defaults of elements"
        for name in _assigned(statement):
            names.add(name)
            if name not in SIMPLE_IO_OPTIONS:
                yield statement.lineno, f"`SimpleIO.{name}`", "defaults of elements"
    for side in ("input", "output"):
        others = {f"{side}_required", f"{side}_optional"} & names
        if side in names and others:
            what = f"`SimpleIO` has both `{side}` and `{min(others)}`: the service is not served"
            yield node.lineno, what, f"`{side} = 'a', '-b'`, or `{side}_required` alone"


def _check_csv(node: ast.ClassDef) -> Iterator[Finding]:
    for statement in node.body:
        for name in _assigned(statement):
            if f"csv_{name}" not in SIMPLE_IO_OPTIONS:
                yield statement.lineno, f"`SimpleIO.CSV.{name}`", "`delimiter` and `quote_char`"


def _check_attribute(
    node: ast.Attribute, known: frozenset[str], local: dict[str, str]
) -> tuple[str, str] | None:
    first, *steps = ast.unparse(node).split(".")
    if not all(step.isidentifier() for step in steps):
        return None
    path = local.get(first, first).split(".") + steps
    if path[0] != "self":
        return None
    if len(path) == 2:
        return None if path[1] in known else (f"`self.{path[1]}`", INSTEAD.get(path[1], ""))
    allowed = _ATTRIBUTES_OF.get(path[1])
    if len(path) == 3 and allowed is not None and path[2] not in allowed:
        return f"`{'.'.join(path)}`", _ADVICE_OF.get(path[1], {}).get(path[2], "")
    return None


def _local_names(function: ast.AST) -> dict[str, str]:
    """Local aliases, such as `request` for `self.request`."""
    names = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in _ALIASED_EXPRESSIONS:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    names[target.id] = ast.unparse(node.value)
    return names


def _defined_names(node: ast.ClassDef) -> set[str]:
    """The attributes that a class itself defines."""
    names = {name for statement in node.body for name in _assigned(statement)}
    names |= {s.name for s in node.body if isinstance(s, (*_Function, ast.ClassDef))}
    for part in ast.walk(node):
        is_set = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        if is_set and _name_of(part.value) == "self":  # type: ignore[attr-defined]
            names.add(part.attr)  # type: ignore[attr-defined]
    return names


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement assigns to, annotated or not."""
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else []
    for target in getattr(statement, "targets", targets):
        name = _name_of(target)
        if name:
            yield name


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, nested functions aside."""
    for node in ast.iter_child_nodes(function):
        yield node
        if not isinstance(node, (*_Function, ast.Lambda)):
            yield from _own_nodes(node)


def _contains(function: ast.AST, kinds: tuple[type[ast.AST], ...]) -> bool:
    return any(isinstance(node, kinds) for node in _own_nodes(function))


def _returned_values(function: ast.AST) -> Iterator[ast.Return]:
    """The statements that return a value; `self.later()` is no value, but defers the response."""
    for node in _own_nodes(function):
        if isinstance(node, ast.Return) and node.value is not None:
            is_none = isinstance(node.value, ast.Constant) and node.value.value is None
            if not is_none and ast.unparse(node.value) != "self.later()":
                yield node


def _assigns_generator(node: ast.Assign) -> bool:
    is_payload = "self.response.payload" in map(ast.unparse, node.targets)
    return is_payload and isinstance(node.value, ast.GeneratorExp)


def _name_of(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else None
