"""TLS: clients and workers of nodes that have it, and what their failures say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from run_process import Run

from cidery import (
    AsyncClient,
    CideryError,
    Client,
    ConnectFailed,
    FailedPrecondition,
    InvalidArgument,
    Unknown,
    Worker,
    service,
)
from cidery.testing import Node
from cidery.testing._node import binary


@service("tls.double")
def double(payload: dict[str, Any]) -> dict[str, Any]:
    """A service of a worker."""
    return {"n": payload["n"] * 2}


@dataclass(frozen=True)
class Files:
    """What `cidery cert dev` makes."""

    ca: str
    tls_cert: str
    tls_key: str
    cert: str
    key: str

    @classmethod
    def make(cls, folder: Path) -> Files:
        command = [binary(), "cert", "dev", "--dir", str(folder), "-o", "json"]
        made = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return cls(**{name: made[name] for name in cls.__dataclass_fields__})

    @property
    def client(self) -> dict[str, Any]:
        """The arguments of a client with a certificate."""
        return {"ca": self.ca, "cert": self.cert, "key": self.key}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files.make(tmp_path_factory.mktemp("right"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files.make(tmp_path_factory.mktemp("wrong"))


@pytest.fixture(scope="module")
def tls_node(files: Files) -> Iterator[Node]:
    with Node("--tls-cert", files.tls_cert, "--tls-key", files.tls_key, demo=True) as node:
        yield node


@pytest.fixture(scope="module")
def strict_node(files: Files) -> Iterator[Node]:
    options = ("--tls-cert", files.tls_cert, "--tls-key", files.tls_key)
    with Node(*options, "--tls-client-ca", files.ca, demo=True) as node:
        yield node


def failure(node: str, **options: Any) -> CideryError:
    """The failure of a call."""
    with Client(node, tries=1, **options) as client, pytest.raises(CideryError) as caught:
        client.invoke("cidery.ping", {}, timeout=20)
    return caught.value


def test_a_client_trusts_the_ca_that_it_was_given(
    tls_node: Node, files: Files, others: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tls_node.address.startswith("https://")
    with tls_node.client(ca=files.ca) as client:
        assert client.invoke("customer.get", cust_id=1).cust_name == "Alexis Smith"

    async def call() -> Any:
        async with AsyncClient(tls_node.address, ca=Path(files.ca)) as client:
            return await client.invoke("customer.get", cust_id=1)

    assert asyncio.run(call()).cust_name == "Alexis Smith"
    for options in ({"ca": others.ca}, {}):
        failed = failure(tls_node.address, **options)
        assert isinstance(failed, FailedPrecondition)
        assert failed.reason == "TLS_FAILED"
        assert "--ca" in failed.message
    monkeypatch.setenv("CIDERY_CA", files.ca)
    with tls_node.client() as client:
        client.invoke("cidery.ping")


def test_a_client_certificate_is_required_where_the_node_says_so(
    strict_node: Node, files: Files, others: Files
) -> None:
    with strict_node.client(**files.client) as client:
        client.invoke("cidery.ping")
    for options in ({"ca": files.ca}, {**others.client, "ca": files.ca}):
        failed = failure(strict_node.address, **options)
        assert failed.reason == "TLS_FAILED"
        assert "--cert" in failed.message


def test_a_port_with_tls_and_one_without_are_told_apart(
    node: Node, tls_node: Node, files: Files
) -> None:
    failed = failure(f"https://{node.address}", ca=files.ca)
    assert (failed.reason, "http://" in failed.message) == ("TLS_FAILED", True)
    failed = failure(tls_node.address.removeprefix("https://"))
    assert (failed.reason, "https://" in failed.message) == ("TLS_REQUIRED", True)


def test_files_that_cannot_be_used_are_named(
    node: Node, tls_node: Node, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Client(tls_node.address, ca="/not/there", cert=files.cert, key=files.tls_key)
    assert caught.value.reason == "TLS_INVALID"
    assert [each.path for each in caught.value.violations] == ["/ca", "/cert"]
    with pytest.raises(InvalidArgument, match="both"):
        Client(tls_node.address, cert=files.cert)
    with pytest.raises(InvalidArgument, match="https://"):
        Client(node.address, ca=files.ca)
    # The environment may be for other nodes.
    monkeypatch.setenv("CIDERY_CA", "/not/there")
    with node.client() as client:
        client.invoke("cidery.ping")


def test_a_worker_serves_over_tls(strict_node: Node, files: Files) -> None:
    worker = Worker(double, node=strict_node.address, **files.client).start()
    with strict_node.client(**files.client) as client:
        assert client.invoke("tls.double", n=21).n == 42
    worker.stop()
    refused = Worker(double, node=strict_node.address, ca=files.ca)
    with pytest.raises(FailedPrecondition) as caught:
        refused.start()
    assert caught.value.reason == "TLS_FAILED"
    refused.stop()


def test_a_certificate_that_is_replaced_is_used_after_the_old_one_is_refused(
    files: Files, others: Files, tmp_path: Path
) -> None:
    def put(name: str, source: str) -> str:
        # As certbot does: nobody reads half of it.
        new = tmp_path / "new"
        new.write_bytes(Path(source).read_bytes())
        return str(new.replace(tmp_path / name))

    cas = put("cas.pem", files.ca)
    own: dict[str, Any] = {
        "ca": files.ca,
        "cert": put("client.pem", files.cert),
        "key": put("client-key.pem", files.key),
    }
    options = ("--tls-cert", files.tls_cert, "--tls-key", files.tls_key, "--tls-client-ca", cas)

    async def call_async(async_client: AsyncClient) -> None:
        assert (await async_client.invoke("tls.double", n=4)).n == 8

    with Node(*options) as node, node.client(**own) as client:
        loop = asyncio.new_event_loop()
        worker = Worker(double, node=node.address, **own).start()
        async_client = AsyncClient(node.address, **own)
        loop.run_until_complete(call_async(async_client))
        assert client.invoke("tls.double", n=21).n == 42
        put("cas.pem", others.ca)
        assert node._process is not None
        node._process.send_signal(signal.SIGHUP)
        # Its connection ends, maybe during a call, and another one is refused.
        with pytest.raises(FailedPrecondition, match="--cert"):
            while True:
                with contextlib.suppress(Unknown, ConnectFailed):
                    client.invoke("cidery.ping")
        # The key comes after the certificate.
        put("client.pem", others.cert)
        with pytest.raises(FailedPrecondition, match="--cert"):
            client.invoke("cidery.ping")
        put("client-key.pem", others.key)
        client.invoke("cidery.ping")
        # A worker tries again by itself.
        while True:
            with contextlib.suppress(CideryError):
                assert client.invoke("tls.double", n=1).n == 2
                break
        loop.run_until_complete(call_async(async_client))
        loop.run_until_complete(async_client.close())
        loop.close()
        worker.stop()


def test_run_serves_over_tls(strict_node: Node, files: Files, tmp_path: Path) -> None:
    module = tmp_path / "tls_services.py"
    module.write_text(
        "from cidery import service\n\n@service('tls.triple')\ndef triple(payload: dict) -> dict:\n"
        "    return {'n': payload['n'] * 3}\n"
    )
    options = ("--ca", files.ca, "--cert", files.cert, "--key", files.key)
    run = Run(strict_node.address, module, *options)
    run.wait_for("serving")
    with strict_node.client(**files.client) as client:
        assert client.invoke("tls.triple", n=14).n == 42
    assert run.stop() == 0
    refused = Run(strict_node.address, module, "--ca", files.ca)
    assert refused.end() != 0
    assert any("TLS_FAILED" in line for line in refused.lines)
