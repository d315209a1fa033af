"""Inputs from the command line, read by the types of the program's parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from agentrt import program
from agentrt.cli.inputs import describe_inputs, read_inputs
from agentrt.errors import ConfigError, ProgramError


class Colour(Enum):
    RED = "red"


class Size(BaseModel):
    width: int
    height: int = 1


@dataclass(frozen=True)
class Point:
    x: float
    y: float


@program
async def every(
    text: str = "",
    number: int = 0,
    ratio: float = 0.5,
    flag: bool = False,
    words: list[str] | None = None,
    maybe: str | None = None,
    size: Size | None = None,
    point: Point | None = None,
    colour: Colour = Colour.RED,
    day: date | None = None,
    path: Path = Path(),
    mode: Literal["1", "2"] = "1",
    anything: Any = None,
) -> None:
    """Takes one of everything."""


@program
async def placed(first: int, /, second: int = 2, *, third: int) -> None:
    """Takes arguments in every way Python has."""


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=12", "12"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ('text="quoted"', '"quoted"'),
        ("number=12", 12),
        ("number=012", 12),
        ("ratio=1e3", 1000.0),
        ("flag=true", True),
        ("flag=no", False),
        ('words=["a", "b"]', ["a", "b"]),
        ("maybe=12", "12"),
        ("maybe=null", None),
        ("maybe=plain", "plain"),
        ('size={"width": 3}', Size(width=3)),
        ('point={"x": 1, "y": 2}', Point(1.0, 2.0)),
        ("colour=red", Colour.RED),
        ("day=2026-02-03", date(2026, 2, 3)),
        ("path=a/b", Path("a/b")),
        ("mode=2", "2"),
        ("anything=[1]", [1]),
        ("anything=[1", "[1"),
    ],
)
def test_a_value_is_read_by_its_type(word: str, value: Any) -> None:
    """Text is taken as it is; other types are JSON, or the text that pydantic reads as one."""
    _, given_ = read_inputs(every, [word])
    (got,) = given_.values()
    assert got == value
    assert type(got) is type(value)


@given(st.text())
def test_text_is_never_changed(text: str) -> None:
    """Whatever stands behind the equals sign reaches a str parameter letter for letter."""
    assert read_inputs(every, [f"text={text}"])[1] == {"text": text}


@given(st.lists(st.text()))
def test_json_round_trips(words: list[str]) -> None:
    """A list written as JSON arrives as that list."""
    assert read_inputs(every, [f"words={json.dumps(words)}"])[1] == {"words": words}


def test_what_is_not_given_keeps_its_default() -> None:
    """Only inputs that were given are passed on."""
    assert read_inputs(every, []) == ([], {})


def test_positional_only_parameters_are_passed_in_place() -> None:
    """Parameters that have no name for callers still have one on the command line."""
    assert read_inputs(placed, ["third=3", "first=1"]) == ([1], {"third": 3})


def test_a_file_is_laid_under_the_words(tmp_path: Path) -> None:
    """Values of --inputs are used unless --input gives another; they are not read as text."""
    file = tmp_path / "inputs.json"
    file.write_text('{"text": "from the file", "number": 1, "words": ["a"]}')
    _, values = read_inputs(every, ["number=2"], str(file))
    assert values == {"text": "from the file", "number": 2, "words": ["a"]}
    file.write_text('{"text": 12}')
    with pytest.raises(ProgramError, match="input text='12' does not fit str"):
        read_inputs(every, [], str(file))


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("words=a,b", r"input words='a,b' does not fit list\[str\] \| None: Input should be a valid list"),
        ('size={"height": 1}', "size"),
        ("colour=blue", "'red'"),
        ("number=" + "9" * 200 + "x", r"number='9+\.\.\.'"),
    ],
)
def test_a_misfit_names_the_input_its_type_and_the_problem(word: str, said: str) -> None:
    """The message has what was given (cut when long), the type, and pydantic's reason."""
    with pytest.raises(ProgramError, match=said):
        read_inputs(every, [word])


def test_inputs_are_described_as_written() -> None:
    """Messages list inputs with types and defaults, as their author wrote them."""
    assert describe_inputs(placed) == "its inputs: first: int, second: int = 2, third: int"
    assert "words: list[str] | None = None" in describe_inputs(every)


def test_a_program_without_names_for_its_inputs_is_refused() -> None:
    """*args cannot be given by name."""

    @program
    async def star(*words: str) -> None:
        """Takes any number."""

    with pytest.raises(ConfigError, match=r"\*words"):
        read_inputs(star, [])
