"""The public API: exports, doctests and generated stubs."""

from __future__ import annotations

import doctest
import importlib
import os
import pickle
import pkgutil
import subprocess
import traceback
from pathlib import Path

import pytest

import cidery

ROOT = Path(__file__).parent.parent
MODULES = [
    "cidery",
    *sorted(
        module.name
        for module in pkgutil.walk_packages(cidery.__path__, "cidery.")
        if not module.name.startswith("cidery.v1") and not module.name.endswith("__main__")
    ),
]


def test_exports_are_sorted_and_defined() -> None:
    assert cidery.__all__ == sorted(cidery.__all__)
    assert all(hasattr(cidery, name) for name in cidery.__all__)


def test_every_name_without_an_underscore_is_exported() -> None:
    public = {
        name
        for name, value in vars(cidery).items()
        if not name.startswith("_") and type(value).__name__ != "module"
    }
    assert public == set(cidery.__all__)


def test_public_classes_are_named_by_where_they_are_imported_from() -> None:
    classes = [value for value in vars(cidery).values() if isinstance(value, type)]
    assert {cls.__module__ for cls in classes} == {"cidery"}
    printed = traceback.format_exception_only(cidery.NotFound("GONE", "it is gone"))
    assert printed == ["cidery.NotFound: GONE: it is gone\n"]
    error = pickle.loads(pickle.dumps(cidery.ConnectFailed("CONNECT_FAILED", "no node")))
    assert type(error) is cidery.ConnectFailed


@pytest.mark.parametrize("name", MODULES)
def test_doctests_pass(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} does not say what it is"
    assert doctest.testmod(module).failed == 0


def test_the_stubs_match_the_contract(tmp_path: Path) -> None:
    """Needs the generator; the next test compares the descriptors without it."""
    generated = ROOT / "src" / "cidery" / "v1"
    python = os.environ.get("CIDERY_STUBS_PYTHON")
    if python is None:
        pytest.skip("CIDERY_STUBS_PYTHON names no Python with grpcio-tools 1.73.1")
    subprocess.run([python, ROOT / "generate", tmp_path], check=True)
    made = {file.name: file.read_text() for file in (tmp_path / "cidery" / "v1").iterdir()}
    assert made == {file.name: file.read_text() for file in generated.glob("*.py*")}


def test_the_descriptors_match_the_contract() -> None:
    """Compares the names of messages, enums and fields."""
    proto = ROOT.parent / "proto" / "cidery" / "v1"
    for file in proto.glob("*.proto"):
        module = importlib.import_module(f"cidery.v1.{file.stem}_pb2")
        lines = file.read_text().splitlines()
        messages = [line.split()[1] for line in lines if line.startswith("message ")]
        enums = [line.split()[1] for line in lines if line.startswith("enum ")]
        assert sorted(messages) == sorted(module.DESCRIPTOR.message_types_by_name), file
        assert sorted(enums) == sorted(module.DESCRIPTOR.enum_types_by_name), file
        fields = [line.split("=")[0].split()[-1] for line in lines if _is_field(line)]
        described = [
            field.name
            for message in module.DESCRIPTOR.message_types_by_name.values()
            for field in message.fields
        ]
        assert sorted(fields) == sorted(described), file


def _is_field(line: str) -> bool:
    text = line.strip()
    is_code = line.startswith(" ") and not text.startswith(("//", "rpc", "option "))
    is_value = text.split("=")[0].strip().isupper()
    return is_code and "=" in text and text.endswith(";") and not is_value
