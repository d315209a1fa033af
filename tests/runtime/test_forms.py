"""Answers against the schemas that pydantic writes, without the models they came from."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from agentrt.runtime.forms import fields, misfits, read_field


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Stop(BaseModel):
    model_config = ConfigDict(extra="forbid")

    town: Annotated[str, Field(min_length=2)]
    nights: Annotated[int, Field(ge=1, lt=30)] = 1


class Trip(BaseModel):
    name: str
    stops: Annotated[list[Stop], Field(max_length=2)]
    colour: Colour = Colour.RED
    mood: Literal["sea", "city"] | None = None
    begins: date | None = None
    price: float = 0.0
    paid: bool = False
    more: dict[str, int] = {}


SCHEMA = Trip.model_json_schema()
FITS: dict[str, Any] = {"name": "x", "stops": [{"town": "Oslo"}]}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"name": None}, "name: expected string, not null"),
        ({"stops": {}}, "stops: expected list of Stop, not {}"),
        ({"stops": [{}]}, "stops[0].town: is missing"),
        ({"stops": [{"town": "X"}]}, "stops[0].town: expected 2 to any number of characters, not 1"),
        ({"stops": [{"town": "Oslo", "nights": 0}]}, "stops[0].nights: expected at least 1, not 0"),
        ({"stops": [{"town": "Oslo", "nights": 30}]}, "stops[0].nights: expected less than 30, not 30"),
        ({"stops": [{"town": "Oslo", "night": 1}]}, "stops[0].night: is not known; there are: town, nights"),
        ({"stops": [{"town": "Oslo"}] * 3}, "stops: expected 0 to 2 items, not 3"),
        ({"colour": "green"}, 'colour: expected "red" or "blue"'),
        ({"mood": "hill"}, 'mood: expected "sea" or "city"'),
        ({"mood": None}, None),
        ({"begins": "2026-02-03"}, None),
        ({"price": 1}, None),
        ({"price": True}, "price: expected number, not true"),
        ({"paid": 1}, "paid: expected boolean, not 1"),
        ({"more": {"a": "b"}}, 'more.a: expected integer, not "b"'),
        ({"unknown": 1}, None),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change: dict[str, Any], problem: str | None) -> None:
    """The place as one would write it, what is expected there, and what was found."""
    assert misfits(SCHEMA, {**FITS, **change}) == ([problem] if problem else [])


def test_everything_that_is_wrong_is_told_at_once() -> None:
    """Nobody has to answer five times."""
    assert misfits(SCHEMA, {"stops": [], "paid": "yes"}) == ["name: is missing", 'paid: expected boolean, not "yes"']
    assert misfits(SCHEMA, "text") == ['value: expected Trip, not "text"']


texts = st.text(min_size=2, max_size=8)
stops = st.builds(Stop, town=texts, nights=st.integers(1, 29))
trips = st.builds(
    Trip,
    name=texts,
    stops=st.lists(stops, max_size=2),
    colour=st.sampled_from(Colour),
    mood=st.sampled_from(["sea", "city", None]),
    begins=st.none() | st.dates(),
    price=st.floats(allow_nan=False, allow_infinity=False),
    paid=st.booleans(),
    more=st.dictionaries(texts, st.integers()),
)


@given(trips)
def test_what_the_model_writes_fits(trip: Trip) -> None:
    """No answer that the program takes in its own form is refused before it."""
    assert misfits(SCHEMA, trip.model_dump(mode="json")) == []


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda one: st.lists(one)))
def test_any_answer_is_judged(answer: Any) -> None:
    """Whatever a person sends, the check says something of it, and takes only what may be one."""
    kinds: list[Any] = [int, str, list[int], int | str | None, dict[str, list[bool]]]
    for kind in kinds:
        found = misfits(TypeAdapter(kind).json_schema(), answer)
        assert found or not isinstance(answer, list) or kind == list[int]


def test_the_fields_of_a_form_are_those_of_its_model() -> None:
    """In its order, with what goes there in words, and what is taken without an answer."""
    shown = {one.name: (one.required, one.hint, one.default) for one in fields(SCHEMA)}
    assert shown == {
        "name": (True, "string", None),
        "stops": (True, "list of Stop", None),
        "colour": (False, '"red" or "blue"', "red"),
        "mood": (False, '"sea" or "city" or null', None),
        "begins": (False, "date or null", None),
        "price": (False, "number", 0.0),
        "paid": (False, "boolean", False),
        "more": (False, "object", {}),
    }


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (str, "12", "12"),
        (str, "true", "true"),
        (str, '"quoted"', '"quoted"'),
        (int, "12", 12),
        (int, "many", "many"),
        (int | str, "12", 12),
        (str | None, "null", None),
        (bool, "true", True),
        (list[str], '["a", "b"]', ["a", "b"]),
        (Colour, "red", "red"),
        (date, "2026-02-03", "2026-02-03"),
    ],
)
def test_a_typed_text_is_read_by_the_field_s_type(kind: Any, text: str, value: Any) -> None:
    """Text where a text fits, JSON where it does not; what is neither is left for the check to refuse."""
    assert read_field(TypeAdapter(kind).json_schema(), text) == value


def test_a_schema_that_holds_itself_has_an_end() -> None:
    """Its hint is cut, its values are checked as deep as they go."""
    inner: dict[str, Any] = {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#/$defs/J"}}]}
    schema = {"$defs": {"J": inner}, "type": "array", "items": {"$ref": "#/$defs/J"}}
    assert misfits(schema, [[1, [2]], 3]) == []
    assert misfits(schema, [["x"]]) != []
    (problem,) = misfits(schema, "x")
    assert "list of integer or list of ..." in problem
