"""Tools: schemas from hints, calls by JSON, plain functions."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agentrt import Runtime, program, tool
from agentrt.errors import ConfigError, ToolError


class Area(BaseModel):
    north: float
    south: float = 0.0


@dataclass
class Pair:
    left: int
    right: int


@tool
async def search(query: str, limit: Annotated[int, Field(ge=1, description="how many")] = 5) -> list[str]:
    """Search the archive.

    Best first.
    """
    return [query] * limit


@tool(name="measure", retries=1)
def measure(area: Area, unit: Literal["m", "km"], pairs: list[Pair] | None = None) -> str:
    """Measure an area."""
    return f"{type(area).__name__} {area.north} {unit} {pairs}"


def test_the_schema_comes_from_the_hints() -> None:
    """Types, defaults, bounds and descriptions are told; the docstring is the description."""
    told = search.told
    assert told.name == "search"
    assert told.description == "Search the archive.\n\nBest first."
    assert told.parameters == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "query": {"title": "Query", "type": "string"},
            "limit": {"title": "Limit", "type": "integer", "default": 5, "minimum": 1, "description": "how many"},
        },
        "required": ["query"],
    }


async def run_json(one: Any, text: str) -> Any:
    """Call a tool as a model does."""

    @program
    async def main() -> Any:
        return await one.call_json(text)

    async with Runtime({}) as runtime:
        result = await runtime.run(main)
        if result.error:
            raise result.error.__cause__ or result.error
        return result.output


async def test_json_arguments_arrive_as_their_types() -> None:
    """Models and dataclasses are built, defaults fill in."""
    assert await run_json(search, '{"query": "a", "limit": 2}') == ["a", "a"]
    text = '{"area": {"north": 1}, "unit": "m", "pairs": [{"left": 1, "right": 2}]}'
    assert await run_json(measure, text) == "Area 1.0 m [Pair(left=1, right=2)]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "query: Field required"),
        ('{"query": "a", "limit": 0}', "limit: Input should be greater than or equal to 1"),
        ('{"query": "a", "size": 1}', "size: Extra inputs are not permitted"),
        ("[1]", "Input should be an object"),
        ("{query", "Invalid JSON"),
    ],
)
async def test_misfit_arguments_are_told(text: str, expected: str) -> None:
    """The error holds the text and what is wrong with it."""
    with pytest.raises(ToolError, match=expected) as caught:
        await run_json(search, text)
    assert text in str(caught.value)


def test_hints_that_cannot_be_told_are_refused() -> None:
    """``*args`` and types without a schema have no place in a tool call."""

    @tool
    async def many(*args: int) -> None: ...

    @tool
    async def odd(what: asyncio.Event) -> None: ...

    with pytest.raises(ConfigError, match=r"\*args cannot be described"):
        _ = many.told
    with pytest.raises(ConfigError, match="'odd': its type hints"):
        _ = odd.told


async def test_positional_only_parameters_work_by_json() -> None:
    """A signature's own rules hold for calls by name too."""

    @tool
    async def divide(a: int, /, b: int) -> float:
        """Divide."""
        return a / b

    assert await run_json(divide, '{"a": 6, "b": 3}') == 2.0


async def test_parameters_may_have_any_name_and_any_default() -> None:
    """Names that pydantic has for itself, and defaults that JSON does not have, work and warn of nothing."""
    nothing = object()

    @tool
    async def odd(_hidden: int, json: str, model_config: bool = False, copy: int = 2, default: object = nothing) -> Any:
        """Take odd names."""
        return [_hidden, json, model_config, copy, default is nothing]

    assert list(odd.told.parameters["properties"]) == ["_hidden", "json", "model_config", "copy", "default"]
    assert odd.told.parameters["required"] == ["_hidden", "json"]

    @program
    async def main() -> Any:
        return await odd.call_json('{"_hidden": 1, "json": "x", "copy": 5}')

    async with Runtime({}) as runtime:
        assert (await runtime.run(main)).output == [1, "x", False, 5, True]
    with pytest.raises(ToolError, match="_hidden: Input should be a valid integer"):
        odd.call_json('{"_hidden": "x", "json": "x"}')
