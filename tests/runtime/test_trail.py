"""Control edges: a step comes after what its program had awaited when it called it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from agentrt import Handle, Runtime, program, step
from agentrt.runtime.wiring import WIDE_FRONT


@step
async def do(name: str) -> str:
    return name


async def _do(name: str, *inputs: str) -> str:
    return name


async def edges(main: object) -> set[str]:
    """The edges of a run, each as ``before>after`` by step name; joins are named ``join``."""
    result = await Runtime().run(main)  # type: ignore[arg-type]
    assert result.error is None
    return {f"{before.partition('#')[0]}>{after.partition('#')[0]}" for before, after in result.edges}


def call(name: str, *inputs: object) -> Handle[str]:
    """A step of that name, after those inputs."""
    return step(_do, name=name)(name, *inputs)  # type: ignore[arg-type]


async def test_awaits_in_a_row_make_a_chain() -> None:
    """Each step comes after the one before only: what that one implies is left out."""

    @program
    async def main() -> None:
        for name in "abcd":
            await call(name)

    assert await edges(main) == {"a>b", "b>c", "c>d"}


async def test_steps_nobody_awaited_are_not_before() -> None:
    """A step that was called but not awaited stays unconnected, though it may have ended by then."""

    @program
    async def main() -> None:
        loose = call("loose")
        await call("a")
        await call("b")
        assert loose.done()
        call("c")

    assert await edges(main) == {"a>b", "b>c"}


async def test_awaiting_a_finished_handle_counts() -> None:
    """Looking at a value that is there already is waiting too."""

    @program
    async def main() -> None:
        a, b = call("a"), call("b")
        await b
        assert a.done()
        await a
        call("c")

    assert await edges(main) == {"a>c", "b>c"}


async def test_a_data_edge_is_not_told_twice() -> None:
    """A step that takes the value of what was awaited has one edge to it."""

    @program
    async def main() -> None:
        a = call("a")
        await a
        call("b", a)

    result = await Runtime().run(main)
    assert result.edges == (("a#1", "b#1"),)


async def test_gathered_handles_all_come_before() -> None:
    """After a gather of handles the next step follows each of them."""

    @program
    async def main() -> None:
        await asyncio.gather(call("a"), call("b"), call("c"))
        call("d")

    assert await edges(main) == {"a>d", "b>d", "c>d"}


async def chain(*names: str) -> None:
    """Awaits a step after the other."""
    for name in names:
        await call(name)


BRANCHES = {"start>a", "a>b", "start>x", "x>y", "b>end", "y>end"}


async def test_branches_in_gather_stay_apart_and_join_behind() -> None:
    """Coroutines that gather runs side by side have chains of their own; what follows comes after all of them."""

    @program
    async def main() -> None:
        await call("start")
        await asyncio.gather(chain("a", "b"), chain("x", "y"))
        await call("end")

    assert await edges(main) == BRANCHES


async def test_branches_in_a_task_group_stay_apart_and_join_behind() -> None:
    """The same with ``TaskGroup``."""

    @program
    async def main() -> None:
        await call("start")
        async with asyncio.TaskGroup() as group:
            group.create_task(chain("a", "b"))
            group.create_task(chain("x", "y"))
        await call("end")

    assert await edges(main) == BRANCHES


async def test_branches_in_wait_stay_apart_and_join_behind() -> None:
    """The same with ``asyncio.wait``."""

    @program
    async def main() -> None:
        await call("start")
        await asyncio.wait([asyncio.create_task(chain("a", "b")), asyncio.create_task(chain("x", "y"))])
        await call("end")

    assert await edges(main) == BRANCHES


async def test_branches_inside_branches_join_in_their_own() -> None:
    """A branch that has branches itself, once it has waited for a step of its own, joins them before it goes on."""

    async def outer() -> None:
        await call("first")
        await asyncio.gather(chain("a"), chain("b"))
        await call("inner")

    @program
    async def main() -> None:
        await call("start")
        await asyncio.gather(outer(), chain("x"))
        await call("end")

    assert await edges(main) == {
        "start>first",
        "start>x",
        "first>a",
        "first>b",
        "a>inner",
        "b>inner",
        "inner>end",
        "x>end",
    }


async def test_branches_at_the_very_start_join_behind() -> None:
    """A program that begins with branches, having awaited nothing yet, comes after them all the same."""

    @program
    async def main() -> None:
        await asyncio.gather(chain("a", "b"), chain("x"))
        await call("end")

    assert await edges(main) == {"a>b", "b>end", "x>end"}


async def test_a_branch_still_running_is_not_before() -> None:
    """What a task of one's own awaited comes before the next step only when the task has ended."""
    gate = asyncio.Event()

    async def slow() -> None:
        await call("slow")
        await gate.wait()

    @program
    async def main() -> None:
        task = asyncio.create_task(slow())
        await call("a")
        await call("b")
        gate.set()
        await task
        await call("c")

    assert await edges(main) == {"a>b", "b>c", "slow>c"}


@pytest.mark.parametrize("how", ["wait", "as_completed"])
async def test_handles_in_wait_and_as_completed_come_before(how: str) -> None:
    """Handles given to ``asyncio.wait`` and ``as_completed`` are waited for like any others."""

    @program
    async def main() -> None:
        handles = [call("a"), call("b")]
        if how == "wait":
            await asyncio.wait(handles)
        else:
            for one in asyncio.as_completed(handles):
                await one
        await call("c")

    assert await edges(main) == {"a>c", "b>c"}


async def test_of_the_first_completed_only_that_one_is_before() -> None:
    """A step called when the first of two handles is there does not come after the other, which still runs."""
    gate = asyncio.Event()

    @step
    async def held() -> None:
        await gate.wait()

    @program
    async def main() -> None:
        slow, fast = held(), call("fast")
        await asyncio.wait([slow, fast], return_when=asyncio.FIRST_COMPLETED)
        await call("next")
        gate.set()

    assert await edges(main) == {"fast>next"}


async def test_a_step_called_inside_a_step_starts_a_trail_of_its_own() -> None:
    """What a program awaited is not before the steps that its sub-program calls; those belong to it."""

    @program
    async def inner() -> None:
        await chain("x", "y")

    @program
    async def main() -> None:
        await call("a")
        await inner()
        await call("b")

    result = await Runtime().run(main)
    assert set(result.edges) == {("a#1", "inner#1"), ("inner#1/x#1", "inner#1/y#1"), ("inner#1", "b#1")}


def count_edges(pairs: Iterable[tuple[str, str]], before: str, after: str) -> int:
    """How many edges lead from a step of one name to one of another."""
    return sum(one.startswith(f"{before}#") and other.startswith(f"{after}#") for one, other in pairs)


@pytest.mark.parametrize("width", [WIDE_FRONT, WIDE_FRONT + 1])
async def test_a_wide_front_gets_a_join(width: int) -> None:
    """Up to a few awaited steps each get an edge; more are gathered in one join, which many steps then share."""

    @program
    async def main() -> None:
        await asyncio.gather(*(do(str(number)) for number in range(width)))
        await asyncio.gather(*(call("next") for _ in range(10)))

    result = await Runtime().run(main)
    joined = width > WIDE_FRONT
    assert count_edges(result.edges, "do", "next") == (0 if joined else 10 * width)
    assert count_edges(result.edges, "do", "join") == (width if joined else 0)
    assert count_edges(result.edges, "join", "next") == (10 if joined else 0)
    assert sum(one.kind == "join" for one in result.steps) == joined


async def test_branches_share_the_join_of_what_all_of_them_come_after() -> None:
    """Many tasks behind a wide layer, each with steps of its own, have one join for it, and not one each."""

    @program
    async def main() -> None:
        await asyncio.gather(*(do(str(number)) for number in range(10)))
        await asyncio.gather(*(chain("a", "b") for _ in range(10)))
        await call("end")

    result = await Runtime().run(main)
    found = set(result.edges)
    joins = [one.id for one in result.steps if one.kind == "join"]
    assert count_edges(found, "do", "join") == 10
    assert {f"a#{number}" for number in range(1, 11)} == {after for before, after in found if before == joins[0]}
    assert {before for before, after in found if after == joins[1]} == {f"b#{number}" for number in range(1, 11)}
    assert [before for before, after in found if after == "end#1"] == [joins[1]]


@pytest.mark.parametrize("handles", [False, True], ids=["awaited", "handed on"])
async def test_edges_grow_with_the_steps_not_with_their_square(handles: bool) -> None:
    """Ten layers of fifty, each after the whole layer before, have a few edges a step."""
    width, layers = 50, 10

    @program
    async def main() -> None:
        layer: list[Handle[str]] = []
        for _ in range(layers):
            layer = [call("n", layer) if handles else call("n") for _ in range(width)]
            if not handles:
                await asyncio.gather(*layer)

    result = await Runtime().run(main)
    assert len(result.edges) <= 4 * width * layers
    assert result.status == "done"
