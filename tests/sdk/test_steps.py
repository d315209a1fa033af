"""What may become a step, and what is said of a handle that is used as its value."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest

from agentrt import Agent, Runtime, program, run, step, tool
from agentrt.errors import ConfigError, ProgramError
from agentrt.runtime import RunResult


async def ran(main: Any) -> RunResult[Any]:
    async with Runtime({}) as runtime:
        return await runtime.run(main)


@step
async def double(x: int) -> int:
    return 2 * x


class Scale:
    """Methods of every kind as steps."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    @step
    async def times(self, x: int) -> int:
        return self.factor * x

    @tool
    def plain(self, x: int) -> int:
        """Multiply."""
        return self.factor * x

    @staticmethod
    @step
    async def same(x: int) -> int:
        return x

    @program
    async def main(self, x: int) -> list[int]:
        return [await self.times(x), await self.plain(x), await self.same(x)]


async def test_methods_are_steps_tools_and_programs() -> None:
    """``self`` is bound as it is for functions, and two objects of a class stay apart."""
    async with Runtime({}) as runtime:
        assert (await runtime.run(Scale(3).main, 2)).output == [6, 6, 2]
        assert (await runtime.run(Scale(5).main, 2)).output == [10, 10, 2]


def test_a_model_is_told_nothing_of_self() -> None:
    """A method's tool has the schema of its other parameters, and agents take it."""
    scale = Scale(3)
    assert list(scale.plain.told.parameters["properties"]) == ["x"]
    assert scale.plain.told.description == "Multiply."
    Agent("asker", tools=[scale.plain])


class Adder:
    """Callable objects."""

    def __call__(self, x: int) -> int:
        return x + 1


class AsyncAdder:
    """Callable objects whose call is a coroutine function."""

    async def __call__(self, x: int) -> int:
        return x + 1


def plainly_wrapped(x: int) -> Coroutine[Any, Any, int]:
    """As a decorator leaves a coroutine function that does not care."""

    async def inner() -> int:
        return x + 1

    return inner()


def add(one: int, other: int) -> int:
    return one + other


@pytest.mark.parametrize("function", [Adder(), AsyncAdder(), partial(add, 1), lambda x: x + 1, plainly_wrapped])
async def test_whatever_can_be_called_becomes_a_step(function: Callable[[int], Any]) -> None:
    """Callable objects, partials, lambdas and plain functions that return a coroutine give their value."""
    one = step(function)

    @program
    async def main() -> Any:
        return await one(2)

    assert (await ran(main)).output == 3


def counted() -> int:
    return 1


def counting() -> Iterator[int]:
    yield 1


async def slowly_counting() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("function", [counting, slowly_counting])
def test_a_generator_function_is_refused(function: Callable[[], Any]) -> None:
    """A generator would be handed on unread, so the decorator says what to do instead."""
    with pytest.raises(ConfigError, match="counting' is a generator function; return a list"):
        step(function)


@pytest.mark.parametrize("name", ["a/b", "a#1", "a\0b", "a\nb", "a\ud83e"])
def test_a_name_that_is_no_name_is_refused(name: str) -> None:
    """Names stand in ids, on terminals and in databases: what one of these cannot take is no name."""
    with pytest.raises(ConfigError, match="expected a name of printable characters"):
        step(name=name)(counted)


@pytest.mark.parametrize("own_loop", [True, False])
async def test_a_step_in_a_thread_cannot_call_steps(own_loop: bool) -> None:
    """A plain function that calls a step, also from an event loop of its own, is told to be ``async def``."""

    async def inner() -> int:
        return await double(1)

    @step
    def outer() -> Any:
        return asyncio.run(inner()) if own_loop else double(1)

    @program
    async def main() -> Any:
        return await outer()

    assert "written `async def`" in str((await ran(main)).error)


async def test_run_inside_a_loop_says_what_to_write() -> None:
    """In a notebook ``run`` names the way that works there."""

    @program
    async def main() -> int:
        return 1

    with pytest.raises(ProgramError, match=r"await runtime\.run"):
        run(main)


async def test_what_is_no_program_is_refused_by_name() -> None:
    """A function without the decorator gets one clear line."""

    async def main() -> int:
        return 1

    with pytest.raises(ProgramError, match="is no program; put @program over"):
        await ran(main)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda handle: list(handle), "write: in await"),
        (lambda handle: f"on {handle}", "await it for a text"),
        (lambda handle: handle.sections, r"write: \(await ...\).sections"),
    ],
)
async def test_a_handle_used_as_its_value_says_to_await_it(use: Callable[[Any], Any], message: str) -> None:
    """Looping over a handle, writing it into a text or asking it for its value's parts names the way out."""

    @program
    async def main() -> None:
        use(double(1))

    result = await ran(main)
    with pytest.raises(Exception, match=message):
        raise result.error.__cause__  # type: ignore[union-attr,misc]
