"""Default names of services: module and class, by Zato's rule."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_WORD = re.compile(r"([^_])([A-Z][a-z]+)")
_EDGE = re.compile(r"([a-z0-9])([A-Z])")


def automatic_name(module: str, class_name: str) -> str:
    """The default name: `<module>.<class>`, with dashes.

    >>> automatic_name("my_module", "GetCustomer")
    'my-module.get-customer'
    >>> automatic_name("crm.customer", "GetHTTPData")
    'crm.customer.get-http-data'
    """
    if module == "__main__":
        main = getattr(sys.modules["__main__"], "__file__", None)
        module = Path(main).stem if main else "main"
    dashed = _EDGE.sub(r"\1-\2", _WORD.sub(r"\1-\2", class_name)).lower()
    return f"{module.replace('_', '-')}.{dashed}"
