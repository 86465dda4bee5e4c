"""A node for the tests of the console: the real binary, called by Connect with JSON."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

BINARY = Path(os.environ.get("CIDERY_BINARY", "target/debug/cidery")).resolve()
# The members of one group.
BATCH = 5000


class Refused(Exception):
    """The node answered with a failure: its JSON."""


class Node:
    """A node on a free port of loopback."""

    def __init__(self, *options: str, data: Path | None = None, demo: bool = True) -> None:
        store = ["--in-memory"] if data is None else ["--data-dir", str(data)]
        command = [str(BINARY), "serve", *(["--demo"] if demo else []), *store]
        command += ["--listen", "127.0.0.1:0", *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"the node did not start: {line!r}"
        where = line.removeprefix("listening on ").split()[0]
        self.url = where if "://" in where else f"http://{where}"
        self.address = self.url.partition("://")[2]
        # What calls a node with TLS: a test sets it.
        self.tls: ssl.SSLContext | None = None

    def call(self, method: str, request: Any, key: str | None = None) -> Any:
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        url = f"{self.url}/cidery.v1.{method}"
        sent = urllib.request.Request(url, json.dumps(request).encode(), headers)
        try:
            with urllib.request.urlopen(sent, timeout=120, context=self.tls) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(json.load(error)) from error

    def start(self, service: str, payload: Any, **options: Any) -> str:
        """Accepts an invocation in the background, and returns its CID."""
        request = {"service": service, "payload": payload, **options}
        return str(self.call("InvocationService/InvokeAsync", request)["cid"])

    def wait(self, cid: str) -> Any:
        request = {"cid": cid, "wait": "30s", "view": "INVOCATION_VIEW_FULL"}
        return self.call("InvocationService/GetInvocation", request)["invocation"]

    def state(self, cid: str) -> str:
        request = {"cid": cid}
        return str(self.call("InvocationService/GetInvocation", request)["invocation"]["state"])

    def fill(self, count: int, service: str = "cidery.echo") -> None:
        """Accepts many invocations, in batches."""
        for first in range(0, count, BATCH):
            requests = [
                {"service": service, "payload": {"number": number}}
                for number in range(first, min(count, first + BATCH))
            ]
            self.call("InvocationService/InvokeBatch", {"requests": requests})

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
