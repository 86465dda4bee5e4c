"""Services for what no demo service does: children, groups, secrets, tracebacks, outcomes later."""

from __future__ import annotations

from typing import Any

from cidery import Call, Int, Later, RetryPolicy, Secret, Service, Text

ONCE = RetryPolicy(max_attempts=1)


class Flaky(Service):
    name = "family.flaky"

    def handle(self) -> dict[str, Any]:
        if self.attempt == 1:
            raise ConnectionError("the register does not answer")
        return {"attempt": self.attempt}


class Parent(Service):
    """Has a child that fails once."""

    name = "family.parent"

    def handle(self) -> dict[str, Any]:
        policy = RetryPolicy(max_attempts=3, initial_interval=0.4)
        return {"child": self.invoke_async(Flaky, retry_policy=policy)}


class Member(Service):
    """A member of a group, which fails if it is told so."""

    name = "family.member"
    input = Int("number"), Text("does", default="succeed")

    def handle(self) -> dict[str, Any]:
        if self.request.input.does == "fail":
            raise LookupError(f"no customer {self.request.input.number}")
        if self.request.input.does == "wait":
            self.sleep(600)
        return {"number": self.request.input.number}


class Note(Service):
    """Takes the outcomes of members and groups."""

    name = "family.note"

    def handle(self) -> dict[str, Any]:
        return {}


class FanOut(Service):
    """Has a group, for which it waits."""

    name = "family.fan-out"
    input = Int("size"), Int("failing", default=0)

    def handle(self) -> dict[str, Any]:
        size, failing = self.request.input.size, self.request.input.failing
        does = ["fail" if number < failing else "succeed" for number in range(size)]
        calls = [
            Call(Member, {"number": number, "does": what}, retry_policy=ONCE)
            for number, what in enumerate(does)
        ]
        outcomes = self.fan_out(calls, on_each="family.note", on_final="family.note").join()
        return {"succeeded": sum(outcome.ok for outcome in outcomes)}


class Pay(Service):
    """Takes a secret, and tells its length alone."""

    name = "family.pay"
    input = Text("account"), Secret("pin"), Secret("word", default="")

    def handle(self) -> dict[str, Any]:
        given = self.request.input
        if given.account == "wrong":
            raise LookupError("no such account")
        return {"pin_is_right": given.pin == "4711", "account": given.account}


class Approve(Service):
    """Waits for its outcome, and gives the token away."""

    name = "family.approve"

    def handle(self) -> Later:
        later = self.later()
        self.emit({"token": later.token})
        return later


class Wait(Service):
    """Runs until it is cancelled."""

    name = "family.wait"

    def handle(self) -> dict[str, Any]:
        self.sleep(600)
        return {}


class Broken(Service):
    """Fails with a traceback."""

    name = "family.broken"

    def handle(self) -> dict[str, Any]:
        return {"ratio": 1 / 0}


class Asks(Service):
    """Calls others, and waits for them."""

    name = "family.asks"

    def handle(self) -> dict[str, Any]:
        found = self.invoke(Member, {"number": 1})
        try:
            self.invoke(Member, {"number": 2, "does": "fail"})
        except LookupError:
            pass
        except Exception as error:  # the failure of a worker has no class of its own
            return {**found, "failed": str(error)}
        return found
