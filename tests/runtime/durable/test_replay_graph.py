"""Joins, conditions and edits are replayed: what was decided once is decided so again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Handle, Program, Runtime, any_of, edit, n_of, program, step, tool, when
from agentrt.errors import EditRefused, StepSkipped

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


@step
async def add(left: int, right: int = 0) -> int:
    note()
    await turns(left % 3)
    return left + right


@step
async def whole(parts: list[int]) -> int:
    note()
    return sum(parts)


async def refused(*changed: Handle[Any]) -> str:
    """What an edit says that would drop these."""
    try:
        async with edit() as change:
            change.drop(*changed)
    except EditRefused as error:
        return str(error)
    return "not refused"


@program
async def replanned() -> Any:
    """Every kind of change, each time on what comes after a step that is awaited."""
    out: list[Any] = []
    for start in (1, 5):
        first = add(start)
        second, third, total = add(first.ref), add(first.ref, 10), whole([first.ref])
        last = act(second.ref, third.ref, total.ref)
        async with edit() as change:
            more = [change.insert(add, first.ref, number) for number in (100, 200)]
            change.drop(second)
            change.rewire(last, {second: more[0]})
            change.replace(third, total.ref, right=7)
            change.split(total, [*more, change.insert(any_of, first, more[1])])
        out.append(await last)
        out.append(await refused(first, third))
    return out


@program
async def what_is_left() -> Any:
    """Some steps wait for places; what has not started when the first is there is dropped, and new steps come."""
    parts = [add(number) for number in range(8)]
    first = await any_of(*parts)
    async with edit() as change:
        change.drop(*parts, unless_started=True)
        more = [change.insert(add, first, number) for number in (1000, 2000)]
    seen: list[Any] = []
    for one in parts:
        try:
            seen.append(await one)
        except StepSkipped:
            seen.append("dropped")
    return [seen, [await one for one in more], change.version]


@pytest.mark.parametrize("limits", [{}, {"python": 2, "tool": 1}], ids=["free", "few places"])
async def test_edits_cut_anywhere_are_made_again(cuts: Callable[..., Cutter], limits: dict[str, int]) -> None:
    """After every entry: the same output, the same refusals, and nothing that has a result is run again."""
    await cut_everywhere(cuts(kv="none", limits=limits), replanned)


@pytest.mark.parametrize("limits", [{}, {"python": 2}, {"python": 3}], ids=["free", "two places", "three"])
async def test_what_had_not_started_had_not_started(cuts: Callable[..., Cutter], limits: dict[str, int]) -> None:
    """An edit that is on disk is made again as it was, though other steps are under way now."""
    runs = cuts(kv="none", limits=limits)
    first = await runs.run(what_is_left)
    edited = next(entry.seq for entry in first.recording.entries if entry.kind == "edited")
    for length in lengths(first.recording):
        second = await runs.resume(what_is_left, await runs.cut(first.recording, length))
        assert second.result.status == "done", (length, second.result.error)
        if length >= edited:
            assert second.result.output == first.result.output, length
        whole_run = lengths(second.recording)[-1]
        third = await runs.resume(what_is_left, await runs.cut(second.recording, whole_run))
        assert (third.result.output, third.ran) == (second.result.output, []), length


@step
async def hold() -> int:
    note()
    await turns(30)
    return 1


@program
async def edited_from_outside() -> Any:
    """Something waits long enough for others to change what comes after it."""
    first = hold()
    second = add(first.ref, 1)
    third = add(second.ref, 1)
    return [await third, await add(await second, 5), await add(7)]


async def test_an_edit_from_outside_is_made_again(cuts: Callable[..., Cutter]) -> None:
    """It stands between the calls and the results where it stood; steps that it inserted keep their ids."""
    runs = cuts(kv="none")
    document = {
        "changes": [
            {"do": "insert", "step": "add", "args": [{"$step": "hold#1"}, 100], "as": "more"},
            {"do": "rewire", "step": "add#2", "inputs": {"add#1": "more"}},
        ]
    }
    on_disk: list[bool] = []
    async with Runtime({}, journal=runs.journal, kv="none") as runtime:
        going = runtime.start(edited_from_outside)
        await turns(3)
        assert going.edit(document, then=lambda: on_disk.append(True)) == 1
        result = await going
    assert result.output == [102, 7, 7]
    assert on_disk == [True]
    recording = await runs.read(result.id)
    assert [entry.kind for entry in recording.entries].count("edited") == 1
    edited = next(entry.seq for entry in recording.entries if entry.kind == "edited")
    for length in lengths(recording):
        second = await runs.resume(edited_from_outside, await runs.cut(recording, length))
        assert second.result.status == "done", (length, second.result.error)
        assert (second.result.output == result.output) == (length >= edited), length
