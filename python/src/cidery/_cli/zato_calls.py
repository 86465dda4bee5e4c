"""The arguments of `self.invoke` and `self.invoke_async` in Zato modules. Read by `zato_uses`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from cidery._protocol.options import DataFormat
from cidery.zato._arguments import (
    ASYNC_OPTIONS,
    ASYNC_REFUSED,
    INVOKE_OPTIONS,
    INVOKE_REFUSED,
)

_OPTIONS = {"self.invoke": INVOKE_OPTIONS, "self.invoke_async": ASYNC_OPTIONS}
_REFUSED = {"self.invoke": INVOKE_REFUSED, "self.invoke_async": ASYNC_REFUSED}
_FORMATS = frozenset(each.value for each in DataFormat)


def check_call(node: ast.Call) -> Iterator[tuple[str, str]]:
    """The unsupported arguments of a call, and what to write instead."""
    method = ast.unparse(node.func)
    if method not in _OPTIONS:
        return
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    refused = _REFUSED[method]
    for name in sorted(refused.intersection(keywords)):
        yield f"`{name}` of `{method}`", ""
    if len(node.args) > 1 or "payload" in keywords:
        for name in sorted(keywords.keys() - _OPTIONS[method] - refused):
            what = f"`{name}` of `{method}` beside a payload, which Zato ignores"
            yield what, f"`{{…, {name!r}: …}}` in the payload"
    # Positions follow Zato's signatures.
    service = _string_of(
        node.args[0] if node.args else keywords.get("name", keywords.get("zato_name"))
    )
    if "@" in service:
        yield f"`{service}`: a service of one server", f"`{service.partition('@')[0]}`"
    data_format = _string_of(node.args[3] if len(node.args) > 3 else keywords.get("data_format"))
    if data_format and data_format not in _FORMATS:
        yield f"the data format `{data_format}`", "JSON, CSV or text"


def _string_of(node: ast.AST | None) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""  # type: ignore[union-attr]
