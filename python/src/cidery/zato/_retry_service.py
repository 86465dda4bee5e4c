"""The service behind `self.patterns.invoke_retry` in the background.

It is invoked durably, and invokes the target once in each of its attempts: the node repeats it, by
the policy that it was asked with. Whoever is to be told is told together with its outcome: by
itself where the target answered, by a callback of the node's where no attempt is left, for
whatever reason.
"""

from __future__ import annotations

from typing import Any, ClassVar

from cidery._errors.exceptions import BY_KIND, CideryError
from cidery._protocol import operations as protocol
from cidery._protocol.messages import get_value
from cidery._protocol.options import Options, RetryPolicy
from cidery._service import nested_calls
from cidery.zato._patterns import RETRY_SERVICE, now
from cidery.zato._service import Service


class InvokeRetry(Service):
    """Invokes a service until it answers, for `self.patterns.invoke_retry`."""

    name = RETRY_SERVICE
    # Of the callback: what is asked for has a policy of its own.
    retry_policy: ClassVar[RetryPolicy | None] = RetryPolicy()

    def handle(self) -> None:
        """Makes one call; or tells that there was none that went well."""
        if self.in_reply_to:
            self._tell_of_failure()
            return
        asked = self.request.payload
        try:
            response = self.invoke(asked.target, *asked.args, **asked.kwargs)
        except CideryError as error:
            if self._is_unwanted:
                raise
            self._note(asked, error)
            if asked.begun + self.attempt >= asked.repeats:
                raise
            raise _again(error, asked.seconds) from error
        told = _told(asked, now(), ok=True, response=response)
        for callback in asked.callbacks:
            self._accept(callback, told, Options(with_outcome=True))
        if response is not None:
            self.response.payload = response

    def _tell_of_failure(self) -> None:
        found = self._run(protocol.get(self.in_reply_to, None, full=True))
        asked = get_value(found.message.input, "input")
        at = found.end_time.replace(tzinfo=None).isoformat()
        told = _told(asked, at, ok=False, exception=str(found.error))
        for number, callback in enumerate(asked.callbacks):
            self._accept(callback, told, Options(once=f"callback/{number}"))

    def _accept(self, callback: str, told: dict[str, Any], options: Options) -> None:
        # A callback of a callback by convention is none of the model's.
        self._run(
            nested_calls.invoke_async(self, callback, told, options.updated({"callback": ()}))
        )

    def _note(self, asked: Any, error: CideryError) -> None:
        number = asked.begun + self.attempt
        self.logger.warning(
            "(%d/%d) Retry failed for:`%s`, retry_seconds:`%s`, orig_cid:`%s`, %s:`%s`",
            *(number, asked.repeats, asked.target, asked.seconds, asked.orig_cid),
            *(type(error).__name__, error),
        )


def _again(error: CideryError, after: float) -> CideryError:
    """The same failure, to be repeated whatever it is, and not before."""
    return BY_KIND[error.kind](
        error.message,
        reason=error.reason,
        violations=error.violations,
        retryable=True,
        retry_after=after,
        facts=error.facts,
        details=error.details,
    )


def _told(
    asked: Any, at: str, *, ok: bool, response: Any = None, exception: str | None = None
) -> dict[str, Any]:
    return {
        "ok": ok,
        "orig_cid": asked.orig_cid,
        "call_cid": asked.call_cid,
        "source": asked.source,
        "target": asked.target,
        "retry_seconds": asked.seconds,
        "retry_repeats": asked.repeats,
        "context": asked.context,
        "req_ts_utc": asked.req_ts_utc,
        "resp_ts_utc": at,
        "response": response,
        "exception": exception,
    }
