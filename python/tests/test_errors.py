"""The texts of errors: the violations, the reason and the CID."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cidery import (
    Client,
    Internal,
    InvalidArgument,
    NotFound,
    Service,
    Violation,
    Worker,
    new_cid,
    testing,
)
from cidery._errors.status_details import from_failure, to_failure


def violations(count: int) -> list[Violation]:
    return [Violation(f"/f{number}", "is required") for number in range(count)]


FIVE = "; ".join(f"`/f{number}`: is required" for number in range(5))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotFound("GONE", "it is gone"), "GONE: it is gone"),
        (InvalidArgument("ODD", violations=violations(1)), "ODD: `/f0`: is required"),
        (InvalidArgument("ODD", violations=violations(5)), f"ODD: {FIVE}"),
        (InvalidArgument("ODD", violations=violations(7)), f"ODD: {FIVE}; and 2 more"),
        (
            InvalidArgument("ODD", violations=violations(7), facts={"violations_omitted": "3"}),
            f"ODD: {FIVE}; and 5 more",
        ),
        (
            InvalidArgument("ODD", "an odd order", violations=violations(2)),
            "ODD: an odd order: `/f0`: is required; `/f1`: is required",
        ),
        (
            Internal("ODD", "not valid: `/f0`: is required, and 1 more", violations=violations(2)),
            "ODD: not valid: `/f0`: is required; `/f1`: is required",
        ),
        (NotFound("GONE", "it is gone", cid="7"), "GONE: it is gone (CID 7)"),
    ],
)
def test_the_text_lists_the_violations(error: Exception, expected: str) -> None:
    assert str(error) == expected


class Needs(Service):
    name = "errors.needs"
    input = "a", "b", "c"

    def handle(self) -> None:
        pass


def test_the_violations_of_a_node_are_listed(serve: Callable[..., Worker], client: Client) -> None:
    serve(Needs)
    expected = "INPUT_INVALID: `/a`: is required; `/b`: is required; `/c`: is required"
    with pytest.raises(InvalidArgument) as caught:
        client.invoke("errors.needs")
    assert str(caught.value) == f"{expected} (CID {caught.value.cid})"
    with pytest.raises(InvalidArgument) as without_node:
        testing.run(Needs)
    assert str(without_node.value) == expected


def test_the_representation_has_the_reason_and_the_cid(client: Client) -> None:
    assert repr(NotFound("GONE", "it is gone")) == "NotFound('GONE', 'it is gone')"
    cid = new_cid()
    with pytest.raises(NotFound) as caught:
        client.invoke("errors.unknown", {}, cid=cid)
    error = caught.value
    assert error.args == ("SERVICE_UNKNOWN", error.message)
    assert repr(error) == f"NotFound('SERVICE_UNKNOWN', {error.message!r}, cid={cid!r})"
    copied = from_failure(to_failure(NotFound("GONE", "it is gone")))
    assert repr(copied) == "NotFound('GONE', 'it is gone')"
