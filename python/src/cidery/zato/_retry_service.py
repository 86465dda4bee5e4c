"""The service behind `self.patterns.invoke_retry` in the background.

It is durable, and invokes the target once in each of its attempts; the node retries it by the
policy of the call. When the target succeeds, the callbacks are accepted together with the outcome.
When no attempt is left, the node invokes this service as the failure callback, which then invokes
the callbacks.
"""

from __future__ import annotations

from typing import Any, ClassVar

from cidery._errors.exceptions import CLASS_BY_KIND, CideryError
from cidery._protocol import operations
from cidery._protocol.messages import get_payload
from cidery._protocol.options import Options, RetryPolicy
from cidery._service import nested_calls
from cidery.zato._patterns import RETRY_SERVICE, utc_now
from cidery.zato._service import Service


class InvokeRetry(Service):
    """Invokes a target until it succeeds, for `self.patterns.invoke_retry`."""

    name = RETRY_SERVICE
    # The policy of the failure callback; a call of `invoke_retry` has its own.
    retry_policy: ClassVar[RetryPolicy | None] = RetryPolicy()

    def handle(self) -> None:
        """Makes one attempt, or reports the failure after the last one."""
        if self.in_reply_to:
            self._report_failure()
            return
        request = self.request.payload
        try:
            response = self.invoke(request.target, *request.args, **request.kwargs)
        except CideryError as error:
            if self._is_cancelled:
                raise
            self._log_failure(request, error)
            if request.begun + self.attempt >= request.repeats:
                raise
            raise _retryable_after(error, request.seconds) from error
        payload = _callback_payload(request, utc_now(), ok=True, response=response)
        for callback in request.callbacks:
            self._invoke_callback(callback, payload, Options(with_outcome=True))
        if response is not None:
            self.response.payload = response

    def _report_failure(self) -> None:
        found = self._drive(operations.get_invocation(self.in_reply_to, None, full=True))
        request = get_payload(found.message.input, "input")
        at = found.end_time.replace(tzinfo=None).isoformat()
        payload = _callback_payload(request, at, ok=False, exception=str(found.error))
        for number, callback in enumerate(request.callbacks):
            self._invoke_callback(callback, payload, Options(once=f"callback/{number}"))

    def _invoke_callback(self, callback: str, payload: dict[str, Any], options: Options) -> None:
        # Disables default callbacks, which Zato does not have here.
        self._drive(
            nested_calls.invoke_async(self, callback, payload, options.updated({"callback": ()}))
        )

    def _log_failure(self, request: Any, error: CideryError) -> None:
        number = request.begun + self.attempt
        self.logger.warning(
            "(%d/%d) Retry failed for:`%s`, retry_seconds:`%s`, orig_cid:`%s`, %s:`%s`",
            *(number, request.repeats, request.target, request.seconds, request.orig_cid),
            *(type(error).__name__, error),
        )


def _retryable_after(error: CideryError, after: float) -> CideryError:
    """The same failure, marked as retryable after a delay."""
    retryable = CLASS_BY_KIND[error.kind](
        message=error.message,
        violations=error.violations,
        retryable=True,
        retry_after=after,
        facts=error.facts,
        details=error.details,
    )
    retryable.reason = error.reason
    return retryable


def _callback_payload(
    request: Any, at: str, *, ok: bool, response: Any = None, exception: str | None = None
) -> dict[str, Any]:
    return {
        "ok": ok,
        "orig_cid": request.orig_cid,
        "call_cid": request.call_cid,
        "source": request.source,
        "target": request.target,
        "retry_seconds": request.seconds,
        "retry_repeats": request.repeats,
        "context": request.context,
        "req_ts_utc": request.req_ts_utc,
        "resp_ts_utc": at,
        "response": response,
        "exception": exception,
    }
