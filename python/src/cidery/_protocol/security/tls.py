"""TLS of a channel: the CA that a node's certificate is from, and the certificate of the client."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from cidery._errors.exceptions import FailedPrecondition, InvalidArgument, Violation

FilePath = str | os.PathLike[str]
Stamp = tuple[tuple[int, int, int] | None, ...]

_SCHEME = "https://"
# What gRPC says of a handshake that failed, in lower case, and what it means.
_FAILURES = (
    (
        ("unable to get local issuer", "self signed certificate", "self-signed certificate"),
        "its certificate is not from a CA that this client trusts: give the CA certificate of the"
        " node (`ca`, `--ca` or `CIDERY_CA`)",
    ),
    (
        ("peer name", "hostname verification"),
        "its certificate is for another name: use a name of the certificate in the address, or make"
        " one with this name",
    ),
    (
        ("certificate has expired",),
        "its certificate, or that of its CA, has expired: renew it, and check the clock",
    ),
    (
        ("certificate is not yet valid",),
        "its certificate is not valid yet: check the clock of this machine",
    ),
    (
        # gRPC does not tell the alert with which a node refuses a client after the handshake.
        ("unwrap failed", "alert_unknown_ca", "alert_bad_certificate", "alert_certificate"),
        "it requires a client certificate, and there is none, or it is not from a CA of the node's"
        " `--tls-client-ca`, or has expired: give one with its key (`cert` and `key`, `--cert` and"
        " `--key`, or `CIDERY_CERT` and `CIDERY_KEY`)",
    ),
    (
        ("wrong_version_number", "http_request"),
        "it answers without TLS: use `http://`, or start the node with `--tls-cert` and"
        " `--tls-key`",
    ),
    (("certificate_verify_failed", "ssl handshake failed"), "the TLS handshake failed"),
)


@dataclass(frozen=True)
class Tls:
    """The files of TLS, in PEM. Without a CA, those of the system are trusted."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @classmethod
    def of(
        cls,
        node: str,
        ca: FilePath | None = None,
        cert: FilePath | None = None,
        key: FilePath | None = None,
    ) -> Tls | None:
        """What the arguments say, or else the environment; `None` for a node without TLS."""
        given = {"ca": ca, "cert": cert, "key": key}
        if not node.startswith(_SCHEME):
            for name, path in given.items():
                if path is not None:
                    message = f"`{name}` is for a node with TLS: use `{_SCHEME}{node}`"
                    raise InvalidArgument("REQUEST_INVALID", message)
            return None
        paths = {
            name: os.environ.get(f"CIDERY_{name.upper()}") if path is None else os.fspath(path)
            for name, path in given.items()
        }
        tls = cls(**{name: path or None for name, path in paths.items()})
        if (tls.cert is None) != (tls.key is None):
            message = "a client certificate needs both `cert` and `key`"
            raise InvalidArgument("TLS_INVALID", message)
        tls._check()
        return tls

    def _check(self) -> None:
        """Checks the files, all of them: gRPC itself only logs what is wrong with them."""
        violations = []
        if self.ca is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.ca)
            except OSError as error:
                violations.append(_violation("ca", self.ca, error))
        if self.cert is not None:
            try:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                # The password is asked for otherwise.
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
            except OSError as error:
                violations.append(_violation("cert", f"{self.cert} with {self.key}", error))
        if violations:
            raise InvalidArgument("TLS_INVALID", violations=violations)

    def stamp(self) -> Stamp:
        """What tells whether the files have changed; `None` for one that cannot be seen."""
        return tuple(_file_stamp(path) for path in (self.ca, self.cert, self.key))

    def has_changed_since(self, stamp: Stamp) -> bool:
        """Whether the files are others now, and can be used: one may be replaced after another."""
        if self.stamp() == stamp:
            return False
        try:
            self._check()
        except InvalidArgument:
            return False
        return True

    def credentials(self) -> grpc.ChannelCredentials:
        """Reads the files. A channel keeps what they had then."""
        ca = self.ca or ssl.get_default_verify_paths().cafile
        return grpc.ssl_channel_credentials(
            root_certificates=Path(ca).read_bytes() if ca else None,
            private_key=Path(self.key).read_bytes() if self.key else None,
            certificate_chain=Path(self.cert).read_bytes() if self.cert else None,
        )


def _file_stamp(path: str | None) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path) if path else None
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size, found.st_ino)


def _violation(name: str, path: str, error: OSError) -> Violation:
    # An `SSLError` is one, too, with a text in place of `strerror`.
    why = "has no certificate, or not the right key" if isinstance(error, ssl.SSLError) else ""
    return Violation(f"/{name}", f"{path}: {why or error.strerror or error}")


def target(node: str) -> str:
    """The host and the port of a node, as gRPC takes them."""
    return node.removeprefix(_SCHEME)


def is_tls(node: str) -> bool:
    """Whether the address of a node is one with TLS."""
    return node.startswith(_SCHEME)


def handshake_failed(node: str, cause: str) -> FailedPrecondition | None:
    """The failure of a handshake, from the text of gRPC; `None` for other texts."""
    text = cause.lower()
    for marks, meaning in _FAILURES:
        if any(mark in text for mark in marks):
            message = f"cannot connect to {target(node)}: {meaning}"
            return FailedPrecondition("TLS_FAILED", message, facts={"transport": cause})
    return None
