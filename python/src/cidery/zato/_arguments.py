"""The arguments of Zato's `invoke` and `invoke_async`, in the order of its signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cidery._errors.exceptions import DeadlineExceeded, InvalidArgument
from cidery._protocol.options import DataFormat, Options
from cidery._protocol.steps import Operation
from cidery._values.json_codec import parse_json, to_json
from cidery._values.plain import to_plain


class DATA_FORMAT:  # noqa: N801
    """The data formats of Zato."""

    CSV = "csv"
    DICT = "dict"
    JSON = "json"


@dataclass(frozen=True)
class InvokeArguments:
    """The arguments of a call. Labels such as `channel` are accepted and ignored."""

    payload: Any
    options: Options
    skip_response_elem: bool = False
    raise_timeout: bool = True

    @classmethod
    def for_invoke(
        cls,
        payload: Any = "",
        channel: Any = "",
        data_format: Any = None,
        transport: Any = "",
        serialize: Any = False,
        as_bunch: Any = False,
        timeout: Any = None,
        raise_timeout: Any = True,
        *,
        cid: Any = None,
        environ: Any = None,
        set_response_func: Any = None,
        skip_response_elem: Any = False,
        target: Any = None,
        wsgi_environ: Any = None,
        zato_response_headers_container: Any = None,
        **inline: Any,
    ) -> InvokeArguments:
        """Parses the arguments of `invoke`; other keywords are the payload if there is no other."""
        _refuse_unsupported(set_response_func=set_response_func, target=target)
        is_csv = data_format == DATA_FORMAT.CSV
        options = Options(
            timeout=timeout or None,
            metadata=_metadata(environ),
            data_format=DataFormat.CSV if is_csv else None,
            # In Zato the format applies to the payload only; a node applies it to the response as
            # well.
            response_format=DataFormat.DICT if is_csv else None,
        )
        payload = inline if is_empty(payload) else payload
        return cls(
            _parse_payload(payload, data_format),
            options,
            bool(skip_response_elem),
            bool(raise_timeout),
        )

    @classmethod
    def for_invoke_async(
        cls,
        payload: Any = "",
        channel: Any = "",
        data_format: Any = None,
        transport: Any = "",
        expiration: Any = None,
        to_json_string: Any = False,
        cid: Any = None,
        callback: Any = None,
        zato_ctx: Any = None,
        environ: Any = None,
        **inline: Any,
    ) -> InvokeArguments:
        """Parses the arguments of `invoke_async`; other keywords, which Zato refuses, are the
        payload."""
        payload = inline if is_empty(payload) else payload
        payload = (
            to_json(to_plain(payload)) if to_json_string else _parse_payload(payload, data_format)
        )
        options = Options(
            cid=cid or None,
            metadata=_metadata(environ),
            data_format=DataFormat.CSV if data_format == DATA_FORMAT.CSV else None,
            callback=callback,
            expiration=expiration,
        )
        return cls(payload, options)

    def read(self, operation: Operation[Any]) -> Operation[Any]:
        """Applies `raise_timeout` and `skip_response_elem` to the response."""
        try:
            response = yield from operation
        except DeadlineExceeded:
            if self.raise_timeout:
                raise
            return None
        if not self.skip_response_elem or not isinstance(response, dict):
            return response
        keys = [key for key in response if key != "_meta"]
        is_wrapped = len(keys) == 1 and keys[0].startswith(("response", "zato"))
        return response[keys[0]] if is_wrapped else response


def _refuse_unsupported(**given: Any) -> None:
    """Refuses arguments that the layer does not support, and whose effect would be missed."""
    for name, value in given.items():
        if value:
            raise TypeError(f"`{name}` of `invoke` is not supported: see docs/from-zato.md")


def _metadata(environ: Any) -> dict[str, str] | None:
    return {key: str(value) for key, value in environ.items()} if environ else None


def _parse_payload(payload: Any, data_format: Any) -> Any:
    """Parses a payload that is declared as JSON; Zato accepts malformed JSON as a string."""
    if data_format != DATA_FORMAT.JSON or not isinstance(payload, (str, bytes)):
        return payload
    try:
        return parse_json(payload)
    except ValueError as error:
        raise InvalidArgument(
            "DOCUMENT_MALFORMED", f"the payload is not valid JSON: {error}"
        ) from None


def is_empty(payload: Any) -> bool:
    """Whether a payload counts as absent."""
    if payload is None:
        return True
    return isinstance(payload, (str, bytes, dict, list, tuple, int, float)) and not payload
