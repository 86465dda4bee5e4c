"""One call by the model's parameters: their names and order are those of its signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cidery._errors.exceptions import DeadlineExceeded, InvalidArgument
from cidery._protocol.options import DataFormat, Options
from cidery._protocol.steps import Operation
from cidery._values.json_codec import parse_json, to_json
from cidery._values.plain import plain


class DATA_FORMAT:  # noqa: N801
    """How a payload is written."""

    CSV = "csv"
    DICT = "dict"
    JSON = "json"


@dataclass(frozen=True)
class InvokeArguments:
    """What is asked for. Labels and the like, which nothing depends on, are taken and left out."""

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
        """A call of `invoke`; all other keywords are the payload, where there is none."""
        _refuse_unsupported(set_response_func=set_response_func, target=target)
        is_csv = data_format == DATA_FORMAT.CSV
        options = Options(
            timeout=timeout or None,
            metadata=_metadata(environ),
            data_format=DataFormat.CSV if is_csv else None,
            # A node answers as it was asked; in the model the format is the payload's alone.
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
        """A call of `invoke_async`; other keywords, which the model refuses, are the payload."""
        payload = inline if is_empty(payload) else payload
        payload = (
            to_json(plain(payload)) if to_json_string else _parse_payload(payload, data_format)
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
        """The response as it was asked for."""
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
    """What is left out of the layer, and would be missed."""
    for name, value in given.items():
        if value:
            raise TypeError(f"`{name}` of `invoke` is left out: docs/from-zato.md says what is")


def _metadata(environ: Any) -> dict[str, str] | None:
    return {key: str(value) for key, value in environ.items()} if environ else None


def _parse_payload(payload: Any, data_format: Any) -> Any:
    """Text that says it is JSON; what is not is refused, where the model takes it as it is."""
    if data_format != DATA_FORMAT.JSON or not isinstance(payload, (str, bytes)):
        return payload
    try:
        return parse_json(payload)
    except ValueError as error:
        raise InvalidArgument(
            f"the payload is no JSON: {error}", reason="DOCUMENT_MALFORMED"
        ) from None


def is_empty(payload: Any) -> bool:
    """Whether a payload counts as none."""
    if payload is None:
        return True
    return isinstance(payload, (str, bytes, dict, list, tuple, int, float)) and not payload
