"""Joins, conditions and edits are replayed: what was decided once is decided so again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Handle, Program, any_of, n_of, program, step, tool, when
from agentrt.errors import StepSkipped

from .cutting import Cutter, lengths, note, turns
from .test_replay import cut_everywhere

PAUSES = (7, 0, 3, 5, 1)


@step
async def racer(name: int, pause: int) -> int:
    note()
    await turns(pause)
    return name


@tool
async def act(*names: int) -> list[int]:
    note()
    return list(names)


@program
async def the_first() -> Any:
    """Who wins gets a step of its own; the others end later, and are looked at."""
    racers = [racer(name, pause) for name, pause in enumerate(PAUSES)]
    first = await any_of(*racers)
    follow = act(first)
    some = await n_of(3, racers)
    return [first, some, await follow, await act(*some), [await one for one in racers]]


@program
async def the_first_alone() -> Any:
    """The others are cancelled."""
    racers = [racer(name, pause) for name, pause in enumerate(PAUSES)]
    return await act(any_of(*racers, cancel_rest=True).ref)


@program
async def branches() -> Any:
    """A condition takes one of two ways; the other is skipped, seen and unseen."""
    found: list[Any] = []
    for name in range(3):
        one = racer(name, 2)
        even, odd = act(when(one, lambda it: it % 2 == 0).ref), act(when(one, lambda it: it % 2 == 1).ref, one.ref)
        found.append(await any_of(even, odd))
        skipped: Handle[Any] = even if name % 2 else odd
        try:
            await skipped
        except StepSkipped:
            found.append("skipped")
        else:
            found.append("not")
    return found


@pytest.mark.parametrize("limits", [{}, {"python": 2, "tool": 1}], ids=["free", "few places"])
async def test_branches_cut_anywhere_go_on(cuts: Callable[..., Cutter], limits: dict[str, int]) -> None:
    """After every entry: the same output, and nothing that has a result is run again."""
    await cut_everywhere(cuts(kv="none", limits=limits), branches)


@pytest.mark.parametrize("program", [the_first, the_first_alone], ids=lambda one: str(one.name))
@pytest.mark.parametrize("limits", [{}, {"python": 2, "tool": 1}], ids=["free", "few places"])
async def test_who_came_first_comes_first_again(
    cuts: Callable[..., Cutter], program: Program[..., Any], limits: dict[str, int]
) -> None:
    """Cut anywhere, the run ends; replayed whole, it ends the same way and runs nothing."""
    runs = cuts(kv="none", limits=limits)
    first = await runs.run(program)
    for length in lengths(first.recording):
        second = await runs.resume(program, await runs.cut(first.recording, length))
        assert second.result.status == "done", (length, second.result.error)
        whole = lengths(second.recording)[-1]
        third = await runs.resume(program, await runs.cut(second.recording, whole))
        assert (third.result.output, third.ran) == (second.result.output, []), length
