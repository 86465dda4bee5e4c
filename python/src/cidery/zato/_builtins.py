"""Built-in services of Zato that a node does not have. Every worker with `--zato` serves them.

`zato.ping`, `zato.helpers.echo`, `zato.service.get-list` and `zato.security.get-list` are services
of the node.
"""

from __future__ import annotations

from cidery.zato._service import Service


class _Ping(Service):
    def handle(self) -> None:
        """Answers."""
        self.response.payload = {"pong": "zato"}


class Ping2(_Ping):
    """Answers `{"pong": "zato"}`."""

    name = "zato.ping2"


class PublicPing(_Ping):
    """Answers `{"pong": "zato"}`."""

    name = "pub.zato.ping"


class DemoPing(Service):
    """Answers that it is there, with the CID."""

    name = "demo.ping"

    def handle(self) -> None:
        """Answers."""
        self.response.payload = {"is_ok": True, "cid": self.cid}


class Echo(Service):
    """Answers its input."""

    name = "helpers.echo"

    def handle(self) -> None:
        """Answers."""
        self.response.payload = self.request.payload


class _InputLogger(Service):
    def handle(self) -> None:
        """Logs the input, as a developer asks for it who calls one of these services."""
        self.logger.info("%s", self.request.payload)


class InputLogger(_InputLogger):
    """Logs its input."""

    name = "helpers.input-logger"


class ZatoInputLogger(_InputLogger):
    """Logs its input."""

    name = "zato.helpers.input-logger"


class PublicInputLogger(_InputLogger):
    """Logs its input."""

    name = "pub.helpers.input-logger"


class RawRequestLogger(_InputLogger):
    """Logs its input."""

    name = "pub.helpers.raw-request-logger"


SERVICES = (
    Ping2,
    PublicPing,
    DemoPing,
    Echo,
    InputLogger,
    ZatoInputLogger,
    PublicInputLogger,
    RawRequestLogger,
)
