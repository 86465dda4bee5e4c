"""The examples of the README, as printed there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from run_process import Run

from cidery import Client
from cidery.testing import Node

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")
FILES = {found[1]: block for block in BLOCKS if (found := FILE.match(block))}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the example files, which is importable."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


@pytest.fixture
def served(node: Node, written: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setenv("CIDERY_NODE", node.address)
    run = Run(node.address, *(written / name for name in FILES))
    run.wait_for("serving")
    yield node
    assert run.stop() == 0


def test_the_first_service_is_short_and_typed() -> None:
    lines = [line for line in FILES["my_module.py"].splitlines()[1:] if line.strip()]
    assert len(lines) <= 11
    assert "class GetCustomer(Service[CustomerId, Customer]):" in lines


def test_every_example_runs(served: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("readme")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    namespace: dict[str, Any] = module.__dict__
    examples = [block for block in BLOCKS if not FILE.match(block)]
    assert len(examples) >= 6
    for example in examples:
        exec(compile(example, str(README), "exec"), namespace)
    namespace["client"].close()


def test_every_example_passes_mypy(written: Path) -> None:
    examples = "\n".join(block for block in BLOCKS if not FILE.match(block))
    (written / "examples.py").write_text(examples)
    # The configuration is strict.
    command = [sys.executable, "-m", "mypy", "--no-error-summary", *map(str, written.glob("*.py"))]
    environment = {**os.environ, "MYPYPATH": str(written)}
    found = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, ""), found.stdout + found.stderr


def test_every_example_passes_pyright(written: Path) -> None:
    pyright = os.environ.get("CIDERY_PYRIGHT") or shutil.which("pyright")
    if pyright is None:
        pytest.skip("needs pyright: CIDERY_PYRIGHT")
    examples = "\n".join(block for block in BLOCKS if not FILE.match(block))
    (written / "examples.py").write_text(examples)
    paths = json.dumps([str(ROOT / "src"), str(written)])
    # All examples are one file here: several of them may import the same module.
    (written / "pyrightconfig.json").write_text(
        '{"typeCheckingMode": "strict", "pythonVersion": "3.10", "reportDuplicateImport": false, '
        f'"extraPaths": {paths}}}'
    )
    command = [pyright, "--pythonpath", sys.executable, "--project", str(written)]
    found = subprocess.run(command, cwd=written, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_example_test_passes(written: Path, cidery_node: Node, cidery_client: Client) -> None:
    [example] = [block for block in BLOCKS if "cidery_node" in block]
    namespace: dict[str, Any] = {"__name__": "readme"}
    exec(compile(example, str(README), "exec"), namespace)
    [test] = [value for name, value in namespace.items() if name.startswith("test_")]
    test(cidery_node, cidery_client)


def test_the_grpcurl_examples_work(served: Node) -> None:
    grpcurl = os.environ.get("CIDERY_GRPCURL") or shutil.which("grpcurl")
    if grpcurl is None:
        pytest.skip("needs grpcurl: CIDERY_GRPCURL")
    text = README.read_text().replace("\\\n", " ")
    commands = re.findall(r"^grpcurl (.*)$", text, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        command = command.replace("127.0.0.1:24337", served.address)
        found = subprocess.run(
            f"{grpcurl} {command}", shell=True, capture_output=True, text=True, check=True
        )
        answered = json.loads(found.stdout)
        assert "customer 1" in json.dumps(answered)


def test_every_link_resolves() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link
