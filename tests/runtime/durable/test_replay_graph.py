"""Joins, conditions and edits are replayed: what was decided once is decided so again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Handle, Program, Runtime, any_of, attempt, edit, n_of, program, step, tool, when
from agentrt.errors import EditRefused, ProgramError, StepSkipped
from agentrt.runtime.durable.mailbox import Mailbox
from agentrt.store import archive
from agentrt.store.rows import Entry
from agentrt.store.telling import in_words
from agentrt.types import RunId, StepId

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


async def test_a_fork_follows_the_edges_of_edits(cuts: Callable[..., Cutter]) -> None:
    """What was rewired to a step is done anew with it, though it was called before; what was rewired away is kept."""

    @program
    async def main() -> Any:
        first = add(1)
        away, towards = add(first.ref, 10), add(2, 20)
        kept, anew = whole([away.ref, 1]), whole([towards.ref, first.ref])
        late = add(3)
        async with edit() as change:
            change.rewire(kept, {away: 5})
            change.rewire(anew, {towards: late})
        return [await kept, await anew, await away, await towards]

    runs = cuts(kv="none")
    first = await runs.run(main)
    assert first.result.output == [6, 4, 11, 22]
    async with Runtime({}, journal=runs.journal, kv="none") as runtime:
        fork = await runtime.fork(first.result.id, "add#4")
    second = await runs.resume(main, fork)
    assert second.result.output == first.result.output
    assert {step for step, _ in second.ran} == {"add#4", "whole#2"}


async def test_a_fork_is_without_what_later_edits_from_outside_did(cuts: Callable[..., Cutter]) -> None:
    """What others changed after the step was called is not changed in the fork: it goes as the program says."""
    runs = cuts(kv="none")
    document = {
        "changes": [
            {"do": "insert", "step": "add", "args": [{"$step": "hold#1"}, 100], "as": "more"},
            {"do": "rewire", "step": "add#2", "inputs": {"add#1": "more"}},
        ]
    }
    async with Runtime({}, journal=runs.journal, kv="none") as runtime:
        going = runtime.start(edited_from_outside)
        await turns(3)
        going.edit(document)
        assert (await going).output == [102, 7, 7]
        fork = await runtime.fork(going.id, "add#1")
    second = await runs.resume(edited_from_outside, fork)
    assert second.result.output == [3, 7, 7]
    assert "hold#1" not in dict(second.ran)


OTHERS: list[Handle[Any]] = []


@program(retries=2, backoff=0)
async def inner() -> Any:
    """Fails once, and edits what it called in each attempt."""
    tries = attempt()
    first = add(tries)
    mine = add(first.ref, 1)
    async with edit() as change:
        change.rewire(mine, {first: change.insert(add, first.ref, 10 * tries)})
    if tries == 1:
        raise ValueError("once more")
    return await mine


@step
async def meddle() -> str:
    """Tries to change what the program called."""
    note()
    try:
        async with edit() as change:
            change.drop(OTHERS[-1])
    except ProgramError as error:
        return str(error)
    return "changed"


@program
async def around() -> Any:
    """Edits inside and outside of a step that has finished before others go on."""
    one = inner()
    gate = hold.with_(after=[one])()
    OTHERS.append(add(gate.ref, 5))
    said = await meddle()
    async with edit() as change:
        change.replace(OTHERS[-1], gate, one)
    return [await one, said, await OTHERS[-1]]


async def test_steps_edit_what_they_called(cuts: Callable[..., Cutter]) -> None:
    """A step's edits end with it, as it is not entered again: it cannot change what others called."""
    runs = cuts(kv="none")
    first = await runs.run(around)
    [_, told, _] = first.result.output
    assert told.startswith("step 'meddle#1' cannot change 'add#1': a step edits the steps that it called itself")
    assert first.result.output == [23, told, 24]
    await cut_everywhere(runs, around)


GATES: list[asyncio.Event] = []


@step
async def gate() -> int:
    note()
    await GATES[-1].wait()
    return 1


@program
async def inside() -> int:
    return await add(gate().ref, 1)


@program
async def letterbox() -> Any:
    """Waits for letters."""
    one = inside()
    last = add(one.ref, 1)
    return [await one, await last]


async def test_a_letter_edits_a_run(cuts: Callable[..., Cutter], caplog: pytest.LogCaptureFixture) -> None:
    """Applied or refused, the letter is gone once that is on disk; a resumed run has the edit, inside and outside."""
    runs = cuts(kv="none")
    GATES.append(asyncio.Event())
    letters = [
        {"changes": [{"do": "replace", "step": "inside#1/add#1", "args": [100]}]},
        {"changes": [{"do": "drop", "step": "inside#1/add#1"}]},
        {"changes": [{"do": "replace", "step": "add#1", "args": [{"$step": "inside#1"}, 5]}]},
        {"nonsense": True},
        {"changes": [{"do": "insert", "step": "add", "args": [7]}], "parent": "inside#1"},
    ]
    async with Runtime({}, journal=runs.journal, kv="none") as runtime:
        going = runtime.start(letterbox)
        mail = Mailbox(runs.journal, interval=3600)
        mail.follow(going)
        async with runs.journal.connect(write=True) as connection:
            for letter in letters:
                await archive.post(connection, going.id, "edit", StepId(""), json.dumps(letter), 0.0)
        await mail.look()
        GATES[-1].set()
        result = await going
        await mail.close()
    assert result.output == [100, 105]
    async with runs.journal.connect() as connection:
        assert await archive.letters(connection, [result.id]) == []
    assert "refused" in caplog.text
    recording = await runs.read(result.id)
    edited = [entry.seq for entry in recording.entries if entry.kind == "edited"]
    assert len(edited) == 4
    for length in lengths(recording)[edited[-1] :]:
        second = await runs.resume(letterbox, await runs.cut(recording, length))
        assert second.result.output == result.output, (length, second.result.error)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"changes": [["drop", "a#1", []], ["rewire", "b#1", ["c#1"]]]}, "edited: drop a#1, rewire b#1"),
        ({"changes": [], "document": {"changes": []}}, "edited from outside: nothing"),
        ({"changes": [["drop", "a#1", []]], "refused": ["x", "y"]}, "an edit of the graph was refused: x; y"),
    ],
)
def test_edits_are_told_in_words(data: dict[str, Any], words: str) -> None:
    """``agentrt runs events`` says what was changed, by whom, or why nothing was."""
    entry = Entry(RunId("r"), 1, 1, 0.5, "edited", StepId(""), 0, json.dumps(data))
    assert in_words(entry, str) == words
