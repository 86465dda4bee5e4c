"""`python -m cidery check`: what a module of the model uses beyond the layer of `--zato`.

It is read, not run: nothing of it is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cidery import zato
from cidery._discover import files_of
from cidery._request import Outgoing, Request
from cidery.zato._service import DATA_FORMAT, Service

# What is called by the model and not by the layer.
_HOOKS = frozenset(
    (
        "accept",
        "after_add_to_store",
        "after_cron_style_jobs",
        "after_interval_based_jobs",
        "after_job",
        "after_one_time_jobs",
        "before_add_to_store",
        "before_cron_style_jobs",
        "before_interval_based_jobs",
        "before_job",
        "before_one_time_jobs",
        "get_request_hash",
    )
)
_OF_REQUEST = frozenset(dir(Request)) | {
    "cid",
    "data_format",
    "headers",
    "input",
    "metadata",
    "payload",
    "raw",
    "raw_request",
    "text",
}
_OF_RESPONSE = frozenset(dir(Outgoing)) | {"metadata", "data_format"}
_OF_PATTERNS = frozenset({"fanout", "invoke_retry", "parallel"})
_OF_SIMPLE_IO = frozenset(
    (
        "csv",
        "empty_strings",
        "input",
        "input_optional",
        "input_required",
        "output",
        "output_optional",
        "output_repeated",
        "output_required",
        "response_elem",
        "unknown_keys",
    )
)
_OF_SERVICE = (
    frozenset(dir(Service))
    | set(Service.__annotations__)
    | {
        "request",
        "response",
        "logger",
        "error",
        "SimpleIO",
    }
)


_INSIDE = {"patterns": _OF_PATTERNS, "request": _OF_REQUEST, "response": _OF_RESPONSE}


@dataclass(frozen=True, order=True)
class Use:
    """One thing that is used beyond the layer."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def check(paths: list[str]) -> int:
    """Lists what the files use; answers 1 where there is anything."""
    try:
        uses = [use for file in files_of(paths) for use in uses_of(file)]
    except (FileNotFoundError, SyntaxError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    for use in sorted(set(uses)):
        sys.stdout.write(f"{use}\n")
    return 1 if uses else 0


def uses_of(file: Path) -> Iterator[Use]:
    """What one file uses beyond the layer."""
    tree = ast.parse(file.read_text(), str(file))
    for line, what in _Reader().read(tree):
        yield Use(str(file), line, what)


class _Reader:
    def read(self, tree: ast.Module) -> Iterator[tuple[int, str]]:
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from self._imported(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if _is_of_model(alias.name) and alias.name not in zato.LAYER:
                        yield node.lineno, f"the module `{alias.name}`"
            elif isinstance(node, ast.Attribute) and _named(node.value) == "DATA_FORMAT":
                if not hasattr(DATA_FORMAT, node.attr):
                    yield node.lineno, f"`DATA_FORMAT.{node.attr}`"
            elif isinstance(node, ast.ClassDef):
                if node.name == "SimpleIO":
                    yield from self._simple_io(node)
                elif any(_named(base) for base in node.bases):
                    yield from self._service(node)

    def _imported(self, node: ast.ImportFrom) -> Iterator[tuple[int, str]]:
        module = node.module or ""
        if not _is_of_model(module):
            return
        if module not in zato.LAYER:
            yield node.lineno, f"the module `{module}`"
            return
        for alias in node.names:
            is_module = f"{module}.{alias.name}" in zato.LAYER
            if alias.name not in zato.LAYER[module] and not is_module:
                yield node.lineno, f"`{alias.name}` of `{module}`"

    def _simple_io(self, node: ast.ClassDef) -> Iterator[tuple[int, str]]:
        for statement in node.body:
            if isinstance(statement, ast.ClassDef):
                yield statement.lineno, f"`SimpleIO.{statement.name}`"
            for target in getattr(statement, "targets", ()):
                name = _named(target)
                if name and name not in _OF_SIMPLE_IO:
                    yield statement.lineno, f"`SimpleIO.{name}`"

    def _service(self, node: ast.ClassDef) -> Iterator[tuple[int, str]]:
        if "Service" not in {_named(base) for base in node.bases}:
            return
        own = {_named(target) for s in node.body for target in getattr(s, "targets", ())}
        own |= {s.name for s in node.body if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef))}
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
                own.add(part.attr if _named(part.value) == "self" else None)
        for statement in node.body:
            if not isinstance(statement, ast.FunctionDef):
                continue
            if statement.name in _HOOKS:
                yield statement.lineno, f"the hook `{statement.name}`"
            if statement.name.startswith("handle_"):
                yield statement.lineno, f"`{statement.name}`: a handler for one HTTP verb"
            if statement.name == "handle" and _yields(statement):
                yield statement.lineno, "`handle`: a generator as the response"
        for part in ast.walk(node):
            if isinstance(part, ast.Assign) and _assigns_generator(part):
                yield part.lineno, "`self.response.payload`: a generator as the response"
            if isinstance(part, ast.Attribute):
                what = self._attribute(part, own)
                if what:
                    yield part.lineno, what

    def _attribute(self, node: ast.Attribute, own: set[str | None]) -> str | None:
        if _named(node.value) == "self":
            is_known = node.attr in own or node.attr in _OF_SERVICE
            return None if is_known else f"`self.{node.attr}`"
        inside = node.value
        if isinstance(inside, ast.Attribute) and _named(inside.value) == "self":
            known = _INSIDE.get(inside.attr)
            if known is not None and node.attr not in known:
                return f"`self.{inside.attr}.{node.attr}`"
        return None


def _yields(function: ast.AST) -> bool:
    """Whether it does so itself: a function within it may."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        is_other = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        if not is_other and _yields(node):
            return True
    return False


def _assigns_generator(node: ast.Assign) -> bool:
    is_payload = "self.response.payload" in map(ast.unparse, node.targets)
    return is_payload and isinstance(node.value, ast.GeneratorExp)


def _named(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _is_of_model(module: str) -> bool:
    return module == "zato" or module.startswith("zato.")
