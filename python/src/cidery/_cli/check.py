"""`python -m cidery check`: lists what a Zato module uses beyond the layer of `--zato`.

A static analysis: the module is not imported. `run --zato` logs the same lines when it starts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from cidery._cli.discovery import find_files
from cidery._cli.zato_source import SourceModule
from cidery._cli.zato_uses import UnsupportedUse, find_module_uses


def check(paths: list[str]) -> int:
    """Prints the unsupported uses; returns 1 if there are any, 2 if a file cannot be read."""
    try:
        uses, unreadable = find_uses(find_files(paths))
    except FileNotFoundError as error:
        uses, unreadable = [], [str(error)]
    for use in uses:
        sys.stdout.write(f"{use}\n")
    for line in unreadable:
        sys.stderr.write(f"{line}\n")
    return 2 if unreadable else int(bool(uses))


def find_uses(files: Iterable[Path]) -> tuple[list[UnsupportedUse], list[str]]:
    """The unsupported uses in the files of one project, and the files that cannot be read."""
    modules, unreadable = [], []
    for file in files:
        try:
            modules.append(SourceModule.of(file))
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            unreadable.append(f"{file}: {error}")
    uses = {use for module in modules for use in find_module_uses(module, modules)}
    return sorted(uses), unreadable
