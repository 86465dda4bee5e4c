"""A service whose words pose as something else: they turn a line around, and colour a terminal."""

from __future__ import annotations

from typing import Any

from cidery import Service, Text

HOSTILE = "\x1b[31mred\x1b[0m \u202egnp.exe"


class Hostile(Service):
    name = "hostile.words"
    __doc__ = f"Says {HOSTILE}"
    input = Text("shade", one_of=[f"a {HOSTILE}", "plain"], description=f"Element {HOSTILE}")

    def handle(self) -> dict[str, Any]:
        self.progress(0.5, HOSTILE)
        self.emit({"item": HOSTILE})
        raise LookupError(HOSTILE)
