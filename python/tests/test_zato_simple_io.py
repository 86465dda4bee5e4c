"""What Zato documents of Simple IO, by the lines of the inventory of its behavior.

The names of the tests start with the line of the inventory.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from zato_services import (
    Customer,
    Wrapped,
    made,
)

from cidery import (
    AsIs,
    Bool,
    Client,
    Csv,
    Date,
    DateTime,
    Decimal,
    Dict,
    DictList,
    Float,
    Int,
    Internal,
    InvalidArgument,
    List,
    Secret,
    Service,
    Text,
    Uuid,
    testing,
)
from cidery._service.definition import Definition
from cidery.zato._model import Model
from cidery.zato._service import Service as ModelService


def run_model(simple_io: dict[str, Any], payload: Any, answers: Any = None) -> Any:
    """Runs a Zato service with a declaration; returns its input."""

    class Declared(ModelService):
        SimpleIO = type("SimpleIO", (), simple_io)

        def handle(self) -> Any:
            if answers is not None:
                self.response.payload = answers

    return testing.trial(Declared, payload).service.request.input


def test_lines_156_to_158_declarations_have_four_forms() -> None:
    for form in (
        {"input": ("a", "-b")},
        {"input_required": "a", "input_optional": ("b",)},
        {"input_required": ("a",), "input_optional": ["b"]},
    ):
        read = run_model(form, {"a": 1})
        assert (read.a, read.b) == ("1", "")

    class ByClass(ModelService):
        input = "a", "-b"
        output = "c"

        def handle(self) -> None:
            self.response.payload.c = self.request.input.a

    # Declared by the class: the response is not wrapped.
    assert testing.run(ByClass, {"a": "x"}) == {"c": "x"}


def test_line_159_a_model_is_an_input_and_an_output() -> None:
    class ByModel(ModelService):
        input = Customer
        output = Customer

        def handle(self) -> None:
            given = self.request.input
            assert isinstance(given, Customer)
            self.response.payload = made(Customer, name=given.name + "!", age=given.age)

    assert testing.run(ByModel, {"name": "Ann", "age": "7"}) == {"name": "Ann!", "age": 7}
    assert testing.run(ByModel, {"name": "Ann"}).name == "Ann!"


def test_line_163_hyphens_inside_a_name_stay_and_order_is_that_of_the_declaration() -> None:
    class Ordered(Service):
        output = "zz", "-first-name", "aa"

        def handle(self) -> Any:
            return {"aa": 1, "first-name": 2, "zz": 3}

    assert testing.run(Ordered) == {"aa": 1, "first-name": 2, "zz": 3}
    # Dicts are unordered on the wire: the order is that of the declaration.
    declared = Definition.of(Ordered).to_proto().sio.output.elements
    assert [element.name for element in declared] == ["zz", "first-name", "aa"]


def test_lines_169_to_172_bare_names_imply_types() -> None:
    names = "is_active", "cust_id", "-password", "name"
    read = run_model({"input": names}, {"is_active": "yes", "cust_id": "7", "name": 5})
    assert (read.is_active, read.cust_id, read.name) == (True, 7, "5")
    explicit = run_model({"input": AsIs("user_id")}, {"user_id": [1]})
    assert explicit.user_id == [1]


TYPES: list[Any] = [
    (178, AsIs("x"), {"a": [1]}, {"a": [1]}),
    (179, Bool("x"), " Yes ", True),
    (179, Bool("x"), "off", False),
    (180, Int("x"), " 7 ", 7),
    (180, Int("x"), "123456789012345678901234567890", 123456789012345678901234567890),
    (181, Float("x"), "1e3", 1000.0),
    (182, Decimal("x"), "1.10", decimal.Decimal("1.10")),
    (183, Date("x"), "1999-12-31", datetime.date(1999, 12, 31)),
    (
        184,
        DateTime("x"),
        "2020-01-02T03:04:05Z",
        datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
    ),
    (186, Csv("x"), "a,b", ["a", "b"]),
    (187, List("x"), [1, "a"], [1, "a"]),
    (188, Dict("x", "a", "-b"), {"a": 1, "zz": 2}, {"a": 1}),
    (189, DictList("x", Int("a")), [{"a": "1"}], [{"a": 1}]),
    (190, Text("x"), 123, "123"),
    (191, Uuid("x"), "0" * 32, uuid.UUID(int=0)),
]


@pytest.mark.parametrize(("line", "element", "given", "read"), TYPES)
def test_lines_178_to_191_elements_parse_inputs_of_their_type(
    line: int, element: Any, given: Any, read: Any
) -> None:
    assert run_model({"input": element}, {"x": given})["x"] == read


UTC = datetime.timezone.utc
WRITTEN: list[Any] = [
    (178, AsIs("x"), {"a": [1]}, {"a": [1]}),
    (179, Bool("x"), "Yes", True),
    (180, Int("x"), "7", 7),
    (181, Float("x"), "1.5", 1.5),
    (182, Decimal("x"), decimal.Decimal("1.10"), "1.10"),
    (183, Date("x"), datetime.date(1999, 12, 31), "1999-12-31"),
    (183, Date("x"), datetime.datetime(1999, 12, 31, 23, 0, tzinfo=UTC), "1999-12-31"),
    (
        184,
        DateTime("x"),
        datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        "2020-01-02T03:04:05Z",
    ),
    (186, Csv("x"), ["a", "b"], "a,b"),
    (186, Csv("x"), "a,b", "a,b"),
    (187, List("x"), (1, "a"), [1, "a"]),
    (188, Dict("x", "a", "-b"), {"a": 1, "zz": 2}, {"a": 1}),
    (189, DictList("x", Int("a")), [{"a": "1"}], [{"a": 1}]),
    (190, Text("x"), "Änn", "Änn"),
    (191, Uuid("x"), uuid.UUID(int=0), str(uuid.UUID(int=0))),
]


@pytest.mark.parametrize(("line", "element", "answered", "written"), WRITTEN)
def test_lines_178_to_191_elements_write_outputs_of_their_type(
    line: int, element: Any, answered: Any, written: Any
) -> None:
    class Writes(ModelService):
        output = element

        def handle(self) -> None:
            self.response.payload.x = answered

    assert testing.run(Writes) == {"x": written}


def test_line_160_a_simple_io_declares_its_response_element() -> None:
    class Wraps(ModelService):
        class SimpleIO:
            output = "name"
            response_elem = "customer"

        def handle(self) -> None:
            self.response.payload.name = "Ann"

    assert testing.run(Wraps) == {"customer": {"name": "Ann"}}


def test_line_192_a_secret_is_not_shown_in_failures() -> None:
    declared = Secret("token"), Int("n")
    assert run_model({"input": declared}, {"token": "hush", "n": 1}).token == "hush"
    with pytest.raises(InvalidArgument) as caught:
        run_model({"input": declared}, {"token": ["hush"], "n": "hush"})
    said = [str(violation) for violation in caught.value.violations]
    assert len(said) == 2
    assert "hush" not in said[0]


def test_line_204_all_missing_elements_are_reported_with_paths() -> None:
    with pytest.raises(InvalidArgument) as caught:
        run_model({"input": ("b", "a")}, {"c": 1})
    assert [(v.path, v.reason) for v in caught.value.violations] == [
        ("/b", "MISSING"),
        ("/a", "MISSING"),
    ]


def test_line_205_required_and_empty_is_accepted() -> None:
    assert run_model({"input": "a"}, {"a": ""}).a == ""


def test_lines_206_207_all_types_have_defaults() -> None:
    declared = (Int("-a", default=5), Bool("-b", default=True), "-c", Int("-d"))
    read = run_model({"input": declared}, {})
    assert (read.a, read.b, read.c, read.d) == (5, True, "", None)
    assert "d" not in read


def test_line_209_undeclared_keys_are_dropped() -> None:
    assert dict(run_model({"input": "a"}, {"a": "1", "zz": 2})) == {"a": "1"}


def test_lines_212_213_a_list_is_refused_where_a_dict_is_declared() -> None:
    with pytest.raises(InvalidArgument):
        run_model({"input": "a"}, [1])


def test_lines_218_219_a_required_output_that_is_missing_fails_and_an_optional_one_is_absent() -> (
    None
):
    run_model({"output": "-a"}, {}, answers={})
    with pytest.raises(Internal):
        run_model({"output": "a"}, {}, answers={})


def test_line_220_an_undeclared_output_is_dropped_or_refused() -> None:
    class Answers(Service):
        output = "a"

        def handle(self) -> None:
            self.response.payload = {"a": 1, "zz": 2}
            with pytest.raises(AttributeError, match="no such output element `zz`"):
                self.response.payload.zz = 3
            with pytest.raises(KeyError):
                self.response.payload["zz"] = 3

    assert testing.run(Answers) == {"a": 1}


def test_line_221_an_input_is_inspectable() -> None:
    read = run_model({"input": ("a", "-b")}, {"a": "1"})
    with pytest.raises(AttributeError):
        _ = read.zz
    assert read.get("zz", 5) == 5
    assert read.require_any("b", "a") == "1"
    assert read.deepcopy() == read
    with pytest.raises(ValueError, match="at least one of `x, y` is required"):
        read.require_any("x", "y")


def test_line_225_the_response_element_of_the_declaration_wins(client: Client) -> None:
    class Elem(ModelService):
        class SimpleIO:
            output = "a"
            response_elem = "zato_x_response"

        def handle(self) -> None:
            self.response.payload.a = "1"

    assert testing.run(Elem) == {"zato_x_response": {"a": "1"}}
    assert testing.run(Wrapped) == {"response": {"a": "1"}}


@dataclass(init=False)
class Role(Model):
    name: str


@dataclass(init=False)
class User(Model):
    user_id: int
    role_list: list[Role]
    main: Role | None = None


class UsesUser(ModelService):
    input = User

    def handle(self) -> Any:
        user = self.request.input
        assert all(isinstance(role, Role) for role in user.role_list)
        names = [role.name for role in user.role_list]
        main = user.main.name if user.main else None
        self.response.payload = {"names": names, "main": main}


def test_lines_234_to_240_nested_models_report_violations_with_paths() -> None:
    given = {"user_id": "1", "role_list": [{"name": "a"}], "main": {"name": "b"}}
    assert testing.run(UsesUser, given) == {"names": ["a"], "main": "b"}
    with pytest.raises(InvalidArgument) as caught:
        testing.run(UsesUser, {"user_id": "q", "role_list": [{"name": "a"}, {}]})
    assert [v.path for v in caught.value.violations] == ["/user_id", "/role_list/1/name"]
    with pytest.raises(InvalidArgument) as caught:
        testing.run(UsesUser, {"user_id": 1, "role_list": 5})
    assert [v.path for v in caught.value.violations] == ["/role_list"]


def test_line_244_models_convert_to_dicts_and_json() -> None:
    role = made(Role, name="a")
    assert (role.to_dict(), role.to_json()) == ({"name": "a"}, '{"name": "a"}')
    assert (role["name"], role.get("zz"), "name" in role) == ("a", None, True)
