"""The credential that clients and workers send: an API key, or a token that a function returns."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path

from cidery._errors.exceptions import CideryError, FailedPrecondition, Unauthenticated

Metadata = tuple[tuple[str, str], ...]
ApiKey = str | Callable[[], str]
"""An API key or a token, or a function that returns one for each call."""

_VARIABLE = "CIDERY_API_KEY"
_FILE_VARIABLE = "CIDERY_API_KEY_FILE"
_MAX_FILE_BYTES = 16 << 10


class Credential:
    """What a client or a worker proves its identity with. No text of it has the key."""

    def __init__(self, source: ApiKey | None) -> None:
        self._source = source
        self._fixed = _metadata(source) if isinstance(source, str) else ()

    @staticmethod
    def of(
        node: str, api_key: ApiKey | None, *, has_tls: bool = False, insecure: bool = False
    ) -> Credential:
        """The credential of the argument, of `CIDERY_API_KEY`, or of the file that
        `CIDERY_API_KEY_FILE` names.

        In plain text it is sent to this machine only, unless `insecure` is set.
        """
        source = api_key or os.environ.get(_VARIABLE) or _of_file(os.environ.get(_FILE_VARIABLE))
        if source and not (has_tls or insecure or is_protected(node)):
            message = (
                f"the API key would be sent in plain text to {node}: use `https://`, or allow it"
                " with `insecure=True`"
            )
            raise FailedPrecondition("CREDENTIAL_UNPROTECTED", message)
        return Credential(source or None)

    def metadata(self) -> Metadata:
        """The metadata of the next call."""
        source = self._source
        if source is None or isinstance(source, str):
            return self._fixed
        try:
            return _metadata(source())
        except CideryError:
            raise
        except Exception as error:
            message = f"the API key cannot be read: {error}"
            raise Unauthenticated("CREDENTIAL_INVALID", message) from error


NO_CREDENTIAL = Credential(None)


def is_protected(node: str) -> bool:
    """Whether nobody else can read what is sent to a node: by TLS, or because it is on this
    machine.

    >>> is_protected("localhost:1"), is_protected("[::1]:1"), is_protected("node.example:1")
    (True, True, False)
    """
    if node.startswith("https://"):
        return True
    host = node.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _metadata(credential: str) -> Metadata:
    credential = credential.strip()
    if not credential or not all("!" <= character <= "~" for character in credential):
        message = "the credential is empty, or has characters that no API key and no token has"
        raise Unauthenticated("CREDENTIAL_INVALID", message)
    return (("authorization", f"Bearer {credential}"),)


def _of_file(name: str | None) -> Callable[[], str] | None:
    """A function that reads a file, again once it has changed."""
    if not name:
        return None
    path = Path(name)
    state: tuple[int, str] = (-1, "")

    def read() -> str:
        nonlocal state
        modified = path.stat().st_mtime_ns
        if modified != state[0]:
            with path.open(encoding="utf-8") as file:
                state = modified, file.read(_MAX_FILE_BYTES)
        return state[1]

    read()
    return read
