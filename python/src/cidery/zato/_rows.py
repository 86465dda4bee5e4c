"""Detection of services that return rows: Zato does not declare it.

A node needs to know it from the declaration. It is derived from the source of the class: from what
its methods assign to `self.response.payload`, directly or by local aliases.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from typing import Any

_PAYLOAD = "self.response.payload"
_ALIASED = ("self", "self.response", _PAYLOAD)
_ROW_OPERATIONS = frozenset({f"{_PAYLOAD}.append", f"{_PAYLOAD}.extend", f"{_PAYLOAD}[:]"})
_DICT_OPERATIONS = frozenset({f"{_PAYLOAD}.update"})


def returns_rows(service: type[Any]) -> bool:
    """Whether the declared output describes a row: `output_repeated`, or a class that only appends
    to its payload or assigns `payload[:]`."""
    simple_io = getattr(service, "SimpleIO", None)
    if getattr(simple_io, "output_repeated", False):
        return True
    operations = {text for function in _methods(service) for text in _payload_operations(function)}
    return bool(operations & _ROW_OPERATIONS) and not operations - _ROW_OPERATIONS


def _methods(service: type[Any]) -> list[Any]:
    """The methods of a class, including those of its base classes in the project."""
    found: dict[str, Any] = {}
    for cls in reversed(service.__mro__):
        if cls.__module__.partition(".")[0] != "cidery":
            found.update(vars(cls))
    return [each for each in found.values() if isinstance(each, types.FunctionType)]


def _payload_operations(function: Any) -> Iterator[str]:
    """The operations of a method on the payload, with aliases resolved."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        # Generated code has no source to analyze.
        return
    resolve = _alias_resolver(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            text = resolve(node.func)
            if text in _ROW_OPERATIONS | _DICT_OPERATIONS:
                yield text
        for target in _targets(node):
            text = resolve(target)
            if text.startswith(_PAYLOAD):
                yield text


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    is_one = isinstance(node, (ast.AnnAssign, ast.AugAssign))
    return [node.target] if is_one else []  # type: ignore[attr-defined]


def _alias_resolver(tree: ast.AST) -> Any:
    """A function that formats an expression with local aliases of the payload resolved."""
    names: dict[str, str] = {}

    def resolve(node: ast.expr) -> str:
        text = ast.unparse(node)
        end = next((i for i, sign in enumerate(text) if sign in ".[("), len(text))
        name, rest = text[:end], text[end:]
        is_alias = isinstance(node, (ast.Attribute, ast.Subscript)) and name in names
        return names[name] + rest if is_alias else text

    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    # In source order: `response = self.response`, then `payload = response.payload`.
    for node in sorted(assigned, key=lambda node: node.lineno):
        if resolve(node.value) in _ALIASED:
            names.update(
                {t.id: resolve(node.value) for t in node.targets if isinstance(t, ast.Name)}
            )
    return resolve
