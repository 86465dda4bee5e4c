"""The log of a worker whose node cannot be reached."""

import time

import pytest

from cidery import Unavailable
from cidery._worker.outage import Outage


def test_an_outage_is_logged_at_once_and_then_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    caplog.set_level("INFO")
    outage = Outage("127.0.0.1:1")
    outage.connected()
    for _ in range(2):
        caplog.clear()
        for _ in range(121):
            outage.failed(Unavailable("CONNECT_FAILED", "connection refused"))
            now += 1
        outage.connected()
        lines = [record.getMessage() for record in caplog.records]
        assert len(lines) == 4
        assert lines[0].startswith("not connected to 127.0.0.1:1: CONNECT_FAILED: ")
        assert lines[-1] == "connected to 127.0.0.1:1 again, after 121 s"
