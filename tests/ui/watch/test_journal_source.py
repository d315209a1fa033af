"""A run as its journal tells it is the run as its observers saw it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from agentrt import Agent, Program, Runtime, each, program, step, tool
from agentrt.errors import NoSuchRun
from agentrt.events import Event, KvSampled, StepAdded, StepStarted, StepText
from agentrt.executors import connect
from agentrt.runtime import RunResult
from agentrt.store import Journal, archive, schema
from agentrt.store.retelling import Retelling
from agentrt.testing import ScriptedServer, say
from agentrt.types import RunId, StepId
from agentrt.ui.model import RunView, StepView
from agentrt.ui.watch.sources.journal import JournalRun, JournalRuns
from tests.runtime.durable import zoo
from tests.store.stored import A, entry, row

PROGRAMS: list[Program[..., Any]] = [
    zoo.chain,
    zoo.fan,
    zoo.branches,
    zoo.nested,
    zoo.steps_that_call,
    zoo.bounded,
    zoo.groups,
    zoo.retried,
    zoo.whole_again,
    zoo.parts_again,
    zoo.caught,
]


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    """An empty journal."""
    async with Journal(tmp_path / "runs.db") as made:
        yield made


async def told_by(source: JournalRun) -> tuple[RunView, list[Event]]:
    """Everything that the source tells, to its end."""
    view, events = RunView(), []
    more = True
    while more:
        _, page, more = await source.look()
        for event in page:
            view.apply(event)
        events += page
    return view, events


def seen(view: RunView) -> dict[StepId, tuple[object, ...]]:
    """What is known of each step; joins are looked through, their names differ."""
    return {
        one.id: (one.name, one.kind, one.parent, one.status, one.attempt, told(one), one.usage, before(view, one))
        for one in view.steps.values()
        if one.kind != "join"
    }


def told(step: StepView) -> str | None:
    """Its error; of what never started the journal says shorter why."""
    return step.error if step.status != "skipped" else None


def before(view: RunView, step: StepView) -> frozenset[StepId]:
    found: set[StepId] = set()
    left = [*step.inputs, *step.after]
    while left:
        one = view.steps[left.pop()]
        if one.kind == "join":
            left += [*one.inputs, *one.after]
        else:
            found.add(one.id)
    return frozenset(found)


@pytest.mark.parametrize("shape", PROGRAMS, ids=lambda one: one.name)
@pytest.mark.parametrize("page", [3, 500])
async def test_the_journal_tells_what_observers_saw(journal: Journal, shape: Program[..., Any], page: int) -> None:
    """Steps, edges, attempts, errors, tokens and counts are the same, in pages of any size."""
    live = RunView()
    async with Runtime(journal=journal, observers=[live.apply]) as runtime:
        result = await runtime.run(shape)
    told, _ = await told_by(JournalRun(journal, result.id, page))
    assert seen(told) == seen(live)
    assert {one: count for one, count in told.counts.items() if count} == {
        one: count for one, count in live.counts.items() if count
    }
    assert (told.status, told.error, told.usage, told.program, told.id) == (
        live.status,
        live.error,
        live.usage,
        live.program,
        live.id,
    )
    assert [one.path for one in told.groups] == [one.path for one in live.groups]


@pytest.mark.parametrize("shape", [zoo.nested, zoo.retried, zoo.caught], ids=lambda one: one.name)
async def test_a_run_whose_notes_are_lost_is_told_all_the_same(journal: Journal, shape: Program[..., Any]) -> None:
    """Notes are owed to nobody: without any, steps, edges, attempts, errors and how the run ended are as they were."""
    live = RunView()
    async with Runtime(journal=journal, observers=[live.apply]) as runtime:
        result = await runtime.run(shape)
    async with journal.connect(write=True) as connection:
        await connection.execute(delete(schema.notes))
    told, _ = await told_by(JournalRun(journal, result.id))
    assert seen(told) == seen(live)
    assert (told.status, told.error, told.usage) == (live.status, live.error, live.usage)


@step
async def number(given: int) -> int:
    """What it was given."""
    return given


@program
async def windowed() -> int:
    """Many steps, of which each comes after all that were awaited so far."""
    return sum([one async for one in each(number, range(300), at_once=8)])


async def test_edges_stay_few_in_a_loop_that_awaits_ever_more(journal: Journal) -> None:
    """A watcher of a window over many steps keeps a few edges for each of them, not all of those before it."""
    live = RunView()
    async with Runtime(journal=journal, observers=[live.apply]) as runtime:
        result = await runtime.run(windowed)
    told, _ = await told_by(JournalRun(journal, result.id))
    assert seen(told) == seen(live)
    assert sum(len(one.inputs) + len(one.after) for one in told.steps.values()) < 4 * 300


@pytest.mark.parametrize(("second", "shares"), [((1, 5), True), ((2, 5), True), ((0, 3, 5), False)])
def test_a_join_stands_for_what_the_next_one_had(second: tuple[int, ...], shares: bool) -> None:
    """A wider join leads on from the last one, also when a long run let go of the oldest; a branch does not."""
    wide = {"one": range(1, 4), "two": range(*second) if len(second) == 2 else second}
    bodies = {name: json.dumps([f"a#{n}" for n in some]) for name, some in wide.items()}
    called = [(f"a#{n}", "{}") for n in range(6)] + [(f"b#{n}", json.dumps({"afterbody": n})) for n in bodies]
    entries = [entry(A, n, "called", one, data) for n, (one, data) in enumerate(called)]
    events = Retelling(row(A), bodies.__getitem__).tell(entries, [])
    joins = [one for one in events if isinstance(one, StepAdded) and one.kind == "join"]
    assert (joins[0].step in joins[1].inputs) == shares
    if shares:
        assert joins[1].inputs == (joins[0].step, "a#4")


async def on(server: ScriptedServer, journal: Journal, what: Program[..., Any]) -> RunResult[Any]:
    """Run a program with that server's model."""
    async with Runtime(models={"default": connect(server.url)}, journal=journal) as runtime:
        return await runtime.run(what)


@tool
async def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} is a word"


@program
async def talk() -> str:
    return await Agent("teller", system="You tell.", tools=[look_up])("tell me")


@pytest.mark.timeout(60)
async def test_model_turns_have_their_phases_and_text(journal: Journal) -> None:
    """Whom a turn asked, the context it belongs to, when it was computed and what it said are there for a watcher."""
    async with ScriptedServer([say("an answer of some words")]) as server:
        result = await on(server, journal, talk)
        assert result.status == "done", result.error
    view, events = await told_by(JournalRun(journal, result.id))
    (turn,) = [one for one in view.steps.values() if one.kind == "llm"]
    assert turn.turn is not None
    assert (turn.turn.model, turn.turn.agent) == ("default", "teller")
    assert turn.turn.session
    phases = [phase for _, phase in turn.turn.phases]
    assert phases[-2:] == ["prefill", "decode"]
    assert [at for at, _ in turn.turn.phases] == sorted(at for at, _ in turn.turn.phases)
    said = "".join(one.text for one in events if isinstance(one, StepText))
    assert said.split() == ["an", "answer", "of", "some", "words"]


@step
async def waits(gate: str) -> str:
    await GATES[gate].wait()
    return gate


GATES: dict[str, asyncio.Event] = {}


@program
async def patient() -> str:
    return await waits("open")


async def test_a_plain_step_that_takes_long_is_seen_running(journal: Journal) -> None:
    """Nothing of a plain step is in the entries before its end, but a note says that it runs."""
    GATES["open"] = asyncio.Event()
    async with Runtime(journal=journal) as runtime:
        run = runtime.start(patient)
        source = JournalRun(journal, run.id)
        view = RunView()
        async with asyncio.timeout(30):
            while view.count("running") == 0:
                for event in await ready(source, run.id):
                    view.apply(event)
        assert view.steps[StepId("waits#1")].status == "running"
        assert (await source.look()).state.live
        GATES["open"].set()
        await run
    state, again, _ = await source.look()
    assert [one for one in again if isinstance(one, StepStarted)] == []
    for event in again:
        view.apply(event)
    assert (view.steps[StepId("waits#1")].status, view.status) == ("done", "done")
    assert not state.live


async def ready(source: JournalRun, run: RunId) -> Sequence[Event]:
    """What is new; nothing before the run is in the journal."""
    try:
        return (await source.look()).events
    except NoSuchRun:
        await asyncio.sleep(0)
        return ()


async def test_a_story_has_the_whole_conversation(journal: Journal) -> None:
    """The messages of a later turn are those of all turns before it, whole and in order."""

    @program
    async def talks() -> None:
        session = Agent("teller", system="You tell.").session()
        for word in ("one", "two", "three"):
            await session(word)

    async with ScriptedServer(lambda asked: say(f"heard {asked.messages[-1]['content']}")) as server:
        result = await on(server, journal, talks)
    view, _ = await told_by(JournalRun(journal, result.id))
    last = [one.id for one in view.steps.values() if one.kind == "llm"][-1]
    story = await JournalRun(journal, result.id).story(last)
    assert [one["content"] for one in story.messages] == [
        "You tell.",
        "one",
        "heard one",
        "two",
        "heard two",
        "three",
    ]
    assert {one["kind"] for one in story.entries} >= {"called", "begun", "sent", "ended"}


async def test_the_log_is_read_in_parts_and_by_what_is_looked_for(journal: Journal) -> None:
    """Any stretch of lines can be had; a filter counts and gives those that hold the text, in any letter case."""
    async with Runtime(journal=journal) as runtime:
        result = await runtime.run(zoo.caught)
    source = JournalRun(journal, result.id)
    every = await source.lines(0, 1000)
    assert len(every) == await source.count() == await last(journal, result.id)
    assert list(await source.lines(3, 2)) == list(every[3:5])
    found = await source.lines(0, 1000, "UNLUCKY#1")
    assert 0 < len(found) == await source.count("UNLUCKY#1") < len(every)
    assert {one for one in every if "unlucky#1" in one.step} <= set(found)
    assert await source.count("100% nothing_like_it") == 0


async def last(journal: Journal, run: RunId) -> int:
    async with journal.connect() as connection:
        return await archive.last_seq(connection, run)


async def test_the_list_counts_only_what_is_new(journal: Journal) -> None:
    """Progress, failures and tokens of every run are right, also when looked at again later."""
    runs = JournalRuns(journal)
    async with ScriptedServer([say("a b c")] * 2) as server:
        first = await on(server, journal, talk)
        (one,) = await runs.newest(10)
        second = await on(server, journal, zoo.caught)
        third = await on(server, journal, talk)
    found = {one.state.id: one for one in await runs.newest(10)}
    assert found[first.id] == one
    assert one.usage.completion == 3
    assert (found[second.id].failed > 0, found[second.id].usage.prompt) == (True, 0)
    assert found[third.id].finished == found[third.id].total == len(third.steps)


async def test_a_resumed_run_is_open_again(journal: Journal) -> None:
    """Steps that ended the run before count as waiting once it is resumed, and its clock goes on."""
    broken = {"yes": True}

    @step
    async def brittle() -> int:
        if broken["yes"]:
            raise ValueError("no")
        return 1

    @program
    async def brittle_program() -> int:
        return await brittle() + await brittle()

    async with Runtime(journal=journal) as runtime:
        failed = await runtime.run(brittle_program)
        source = JournalRun(journal, failed.id)
        view, _ = await told_by(source)
        assert (view.status, view.count("failed")) == ("failed", 1)
        broken["yes"] = False
        await (await runtime.resume(brittle_program, failed.id))
    _, page, _ = await source.look()
    for event in page:
        view.apply(event)
    assert (view.status, view.count("failed"), view.count("done")) == ("done", 0, 2)
    assert not any(isinstance(one, KvSampled) for one in page)
