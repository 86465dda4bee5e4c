"""API keys: of a client, a worker and `python -m cidery run`."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cidery import AsyncClient, Client, Context, FailedPrecondition, Unauthenticated, Worker
from cidery._worker import connection
from cidery.testing import Node
from cidery.testing._node import binary


def new_key(data_dir: str, *arguments: str) -> str:
    command = [binary(), "key", "new", *arguments, "--data-dir", data_dir]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return made.stdout.strip()


class Guarded(Node):
    """A node that asks who calls."""

    key = ""

    def start(self) -> Node:
        if not self.key:
            self.key = new_key(
                self._folder.name, "root", "--admin", "--invoke", "*", "--serve", "*"
            )
        return super().start()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    with Guarded() as guarded:
        assert isinstance(guarded, Guarded)
        yield guarded


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CIDERY_API_KEY", "CIDERY_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


def ping(address: str, **options: object) -> object:
    with Client(address, **options) as client:  # type: ignore[arg-type]
        return client.invoke("cidery.ping")


def test_a_client_sends_its_key(guarded: Guarded) -> None:
    assert ping(guarded.address, api_key=guarded.key) == {"pong": "cidery"}
    with pytest.raises(Unauthenticated) as without:
        ping(guarded.address)
    assert without.value.reason == "CREDENTIAL_REQUIRED"
    with pytest.raises(Unauthenticated) as wrong:
        ping(guarded.address, api_key="cdy_a_wrong")
    assert wrong.value.reason == "CREDENTIAL_INVALID"
    assert "wrong" not in f"{wrong.value!r} {wrong.value}"


def test_a_stream_that_is_refused_says_why(guarded: Guarded) -> None:
    """A stream refused in headers alone has no status for gRPC's C core: "Stream removed"."""
    with Client(guarded.address, api_key="cdy_a_wrong") as client:
        with pytest.raises(Unauthenticated) as wrong:
            list(client.results(["019e2f30-6a5c-7cc1-a9e2-3f0a1c9d4b11"]))
        assert wrong.value.reason == "CREDENTIAL_INVALID"


def test_a_key_comes_from_the_environment_or_a_file(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("cdy_a_wrong\n")
    monkeypatch.setenv("CIDERY_API_KEY_FILE", str(file))
    with Client(guarded.address) as client:
        with pytest.raises(Unauthenticated):
            client.invoke("cidery.ping")
        # A file that has changed is read again.
        file.write_text(f"{guarded.key} \n")
        assert client.invoke("cidery.ping") == {"pong": "cidery"}
        file.unlink()
        with pytest.raises(Unauthenticated):
            client.invoke("cidery.ping")
    monkeypatch.setenv("CIDERY_API_KEY", guarded.key)
    assert ping(guarded.address) == {"pong": "cidery"}


def test_a_function_is_asked_for_each_call(guarded: Guarded) -> None:
    calls = iter([guarded.key, "cdy_a_wrong", guarded.key])

    async def scenario() -> None:
        async with AsyncClient(guarded.address, api_key=lambda: next(calls)) as client:
            await client.invoke("cidery.ping")
            with pytest.raises(Unauthenticated):
                await client.invoke("cidery.ping")
            await client.invoke("cidery.ping")
            with pytest.raises(Unauthenticated):
                # The function has no more.
                await client.invoke("cidery.ping")

    asyncio.run(scenario())


def test_a_key_is_not_sent_in_plain_text_to_another_machine() -> None:
    for node in ("192.0.2.1", "node.example", "localhost.example:1"):
        with pytest.raises(FailedPrecondition) as refused:
            Client(node, api_key="cdy_a_b")
        assert refused.value.reason == "CREDENTIAL_UNPROTECTED"
        with pytest.raises(FailedPrecondition):
            Worker(node=node, api_key="cdy_a_b")
        Client(node, api_key="cdy_a_b", insecure=True).close()
        Client(node).close()
    Client("localhost", api_key="cdy_a_b").close()


def test_a_text_that_is_no_key_is_refused_and_not_repeated() -> None:
    for key in ("a secret", "a\nsecret", "sécret", " "):
        with pytest.raises(Unauthenticated) as refused:
            Client(api_key=key)
        assert "cret" not in str(refused.value)


def test_a_worker_and_its_nested_calls_have_its_key(guarded: Guarded) -> None:
    worker = Worker(node=guarded.address, api_key=guarded.key)

    @worker.service("keys.outer")
    def outer(ctx: Context) -> Any:
        return ctx.invoke("cidery.ping", {})

    with worker, Client(guarded.address, api_key=guarded.key) as client:
        assert client.invoke("keys.outer", {}) == {"pong": "cidery"}
    with pytest.raises(Unauthenticated):
        Worker(outer, node=guarded.address).start()


def test_a_refusal_whose_reason_was_lost_is_asked_for_again(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library may report that a write failed in place of the status that the node sent."""
    serve, lost = connection.Connection._serve_stream, 0

    async def lose_twice(self: connection.Connection, stream: Any, outbox: Any) -> None:
        nonlocal lost
        if lost < 2:
            lost += 1
            stream.cancel()
            raise connection._ReasonUnread("CONNECT_FAILED", "lost")
        await serve(self, stream, outbox)

    monkeypatch.setattr(connection.Connection, "_serve_stream", lose_twice)
    worker = Worker(node=guarded.address)
    worker.service("keys.lost")(lambda: None)
    with pytest.raises(Unauthenticated):
        worker.start()


def test_run_takes_the_key_from_a_file(guarded: Guarded, tmp_path: Path) -> None:
    module = tmp_path / "services.py"
    module.write_text(
        "from cidery import Service\n"
        "class Seven(Service):\n"
        "    name = 'keys.seven'\n"
        "    def handle(self):\n"
        "        self.response.payload = {'n': 7}\n"
    )
    file = tmp_path / "key"
    file.write_text(guarded.key)
    command = [sys.executable, "-m", "cidery", "run", str(module), "--node", guarded.address]
    environment = {"CIDERY_API_KEY_FILE": str(file), "PATH": "", "PYTHONPATH": ":".join(sys.path)}
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert worker.stderr is not None
    try:
        line = worker.stderr.readline()
        while "serving" not in line.lower():
            assert line, "it has ended"
            line = worker.stderr.readline()
        with Client(guarded.address, api_key=guarded.key) as client:
            assert client.invoke("keys.seven") == {"n": 7}
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
