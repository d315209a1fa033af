"""Joins are written once: the graph that is read again is the one that ran, and a journal grows with its steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from agentrt import Handle, Runtime, any_of, each, edit, program
from agentrt.events import Event, GraphEdited, StepAdded
from agentrt.runtime.durable import keeping, log
from agentrt.runtime.durable.forgetting import Forgetter
from agentrt.runtime.durable.recorder import INLINE
from agentrt.runtime.runtime import new_run_id
from agentrt.store import Journal, archive, schema
from agentrt.store.codec import compact, digest
from agentrt.store.exports import lines_of
from agentrt.store.recording import Recording
from agentrt.store.recordings import opened
from agentrt.store.views import graph_of
from agentrt.store.watching import Happenings
from agentrt.types import RunId

from .cutting import Cutter, cutter
from .zoo import total, work

BEFORE_NAMES: Final = 2
"""The last version of a journal in which joins had no names."""


class Edges(NamedTuple):
    """The steps that one takes, and those that it comes after, whatever joins stand for them."""

    inputs: frozenset[str]
    after: frozenset[str]


Graph = dict[str, Edges]


def behind(names: Iterable[str], joins: dict[str, tuple[str, ...]]) -> frozenset[str]:
    """These with what joins among them stand for, in place of these."""
    queue = list(dict.fromkeys(names))
    seen = set(queue)
    for name in queue:
        more = [one for one in joins.get(name, ()) if one not in seen]
        seen.update(more)
        queue += more
    return frozenset(seen - joins.keys())


def told(events: Iterable[Event]) -> Graph:
    """The graph that events tell. A join is told before what names it, and by no name twice."""
    joins: dict[str, tuple[str, ...]] = {}
    after: dict[str, tuple[str, ...]] = {}
    steps: Graph = {}
    for one in events:
        if isinstance(one, GraphEdited):
            joins |= {made.step: (*made.inputs, *after[made.step]) for made in one.changes if made.step in joins}
        elif isinstance(one, StepAdded):
            assert one.step not in joins
            assert {*one.inputs, *one.after} <= joins.keys() | steps.keys()
            if one.kind == "join":
                joins[one.step], after[one.step] = (*one.inputs, *one.after), one.after
            else:
                steps[one.step] = Edges(behind(one.inputs, joins), behind(one.after, joins))
    return steps


def shown(recording: Recording) -> dict[str, frozenset[str]]:
    """The graph as ``agentrt runs show`` has it, without the two kinds of edges."""
    graph = graph_of(recording)
    before: dict[str, tuple[str, ...]] = dict.fromkeys(graph["nodes"], ())
    for source, target in graph["edges"]:
        before[target] += (source,)
    joins = {node: some for node, some in before.items() if "#" not in node}
    return {node: behind(some, joins) for node, some in before.items() if node not in joins}


async def retold(journal: Journal, run: RunId, size: int = 7) -> list[Event]:
    """What those who watch are told, read in small pages."""
    async with journal.connect() as connection:
        happenings = Happenings(await archive.find_run(connection, run), size)
        events: list[Event] = []
        while more := await happenings.page(connection):
            events += more
    return events


async def in_old_form(journal: Journal, recording: Recording, entries: int | None = None) -> RunId:
    """The run, or its first entries, as an agentrt of before has written it: each list of steps whole."""
    rows, bodies = [], dict(recording._bodies)
    for entry in recording.entries[:entries]:
        data: dict[str, Any] = {}
        for name, value in json.loads(entry.data).items() if entry.kind == "called" else ():
            known = {"in": 0, "after": 1}.get(name)
            if known is None:
                data[name] = value
                continue
            ids = sorted(recording._behind(recording.edges(recording.steps[entry.step])[known]))
            whole = compact(ids)
            data |= {name: ids} if len(whole) <= INLINE else {f"{name}body": digest(whole)}
            bodies[digest(whole)] = whole
        rows.append(entry._replace(data=compact(data)) if entry.kind == "called" else entry)
    new = recording.run._replace(id=new_run_id(), status="running", seconds=0.0, error=None, owner=None)
    async with journal.connect(write=True) as connection:
        await archive.copy_run(connection, recording.run, new, rows)
        await connection.execute(schema.bodies.delete().where(schema.bodies.c.run == new.id))
        for hash_, one in bodies.items():
            if any(hash_ in row.data for row in rows):
                await connection.execute(schema.bodies.insert(), {"run": new.id, "hash": hash_, "text": one})
        await connection.execute(text(f"UPDATE agentrt_schema SET version = {BEFORE_NAMES}"))
    return new.id


# -- programs --------------------------------------------------------------------------------------------------------


@program
async def loop(count: int, at_once: int = 8) -> int:
    """Steps that come after ever more steps."""
    return sum([x async for x in each(work, range(count), at_once=at_once)])


@program
async def shape(script: Any) -> Any:
    return await play(script)


async def play(script: Any) -> list[Any]:
    """Do what a script says."""
    said: list[Any] = []
    for what, *more in script:
        said.append(await _MOVES[what](*more))
    return said


async def layer(width: int) -> Any:
    return await asyncio.gather(*(work(x, x % 3) for x in range(width)))


async def taken(width: int) -> Any:
    """A wide layer that several steps take, without it being awaited."""
    parts = [work(x) for x in range(width)]
    return await asyncio.gather(*(total(parts) for _ in range(3)))


async def nested(count: int) -> Any:
    return [[y async for y in each(work, range(count), at_once=2)] async for _ in each(work, range(3), at_once=2)]


async def joins_of_joins(count: int) -> Any:
    found: Handle[int] = work(1)
    for x in range(count):
        found = any_of(found, work(x), work(x, 1))
    return await total([found, work(0)])


async def while_loop(count: int) -> int:
    left: set[Handle[int]] = set()
    told, begun = 0, 0
    while begun < count or left:
        while len(left) < 6 and begun < count:
            left.add(work(begun, begun % 4))
            begun += 1
        done, left = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        told += len(done)
    return told


async def tasks(*scripts: Any) -> Any:
    return await asyncio.gather(*map(play, scripts))


async def part(script: Any) -> Any:
    return await shape(script)


async def changed(count: int) -> Any:
    """An edit between two steps that take the same join."""
    one, other = work(1, 2), work(2, 2)
    join = any_of(work(3, 3), one)
    first = total([join])
    async with edit() as change:
        change.rewire(join, {one: other})
    return await asyncio.gather(first, total([join, *[work(x) for x in range(count)]]))


_MOVES: Final[dict[str, Callable[..., Any]]] = {
    "step": work,
    "loop": lambda count: loop(count, 3),
    "layer": layer,
    "taken": taken,
    "nested": nested,
    "joins": joins_of_joins,
    "while": while_loop,
    "tasks": tasks,
    "part": part,
    "changed": changed,
}
_WIDTHS: Final = st.integers(1, 25)
_SIMPLE: Final = st.tuples(
    st.sampled_from(["step", "loop", "layer", "taken", "nested", "joins", "while", "changed"]), _WIDTHS
)
_SCRIPTS: Final = st.recursive(
    st.lists(_SIMPLE, min_size=1, max_size=4),
    lambda inner: st.lists(
        st.one_of(
            _SIMPLE,
            st.builds(lambda some: ("tasks", *some), st.lists(inner, min_size=2, max_size=7)),
            st.builds(lambda one: ("part", one), inner),
        ),
        min_size=1,
        max_size=4,
    ),
    max_leaves=5,
)


# -- what holds ------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=_SCRIPTS)
def test_the_graph_that_is_read_is_the_one_that_ran(script: Any) -> None:
    """Programs of any shape: observers, those who watch, and those who look at the run later see the same edges."""

    async def check(folder: Path) -> None:
        events: list[Event] = []
        async with Journal(folder / "runs.db") as journal:
            async with Runtime({}, journal=journal, kv="none", estimates=None, observers=[events.append]) as runtime:
                result = await runtime.run(shape, script)
            assert result.error is None
            live = told(events)
            recording = await keeping.read(journal, result.id)
            assert told(await retold(journal, result.id)) == live
            assert shown(recording) == {step: one.inputs | one.after for step, one in live.items()}
            old = await in_old_form(journal, recording)
        async with Journal(folder / "runs.db") as journal:
            assert told(await retold(journal, old)) == live
            assert shown(await keeping.read(journal, old)) == shown(recording)

    with TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a journal may be, of each kind in turn."""
    if request.param == "postgres":
        there: str = request.getfixturevalue("postgres_url")
        return there
    return f"sqlite:///{tmp_path / 'old.db'}"


@pytest.mark.parametrize("kept", [20, 10_000])
@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
async def test_a_run_that_goes_on_names_all_that_was_before(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int, old: bool
) -> None:
    """Cut off in the middle and resumed, also by the first agentrt that names joins, and letting go of old steps: the
    edges are those of a run that was never cut off and holds everything."""
    async with Journal(url) as journal:
        runs = cutter(tmp_path, journal, kv="none")
        whole = await runs.run(loop, 150)
        live = told(await retold(journal, whole.result.id))
        assert live["work#150"].after == {f"work#{number}" for number in range(1, 143)}
        cut = in_old_form if old else lambda _, recording, entries: runs.cut(recording, entries)
        run = await cut(journal, whole.recording, 180)
    monkeypatch.setattr(log, "Forgetter", partial(Forgetter, kept=kept))
    async with Journal(url) as journal:
        again = await cutter(tmp_path, journal, kv="none").resume(loop, run)
        assert again.result.output == whole.result.output
        assert told(await retold(journal, run)) == live
        assert shown(again.recording) == shown(whole.recording)


async def test_a_run_of_before_is_forked_and_exported(url: str, tmp_path: Path) -> None:
    """A finished run of an older journal is exported row for row, and a fork of it runs what came after the step."""
    async with Journal(url) as journal:
        runs = cutter(tmp_path, journal, kv="none")
        whole = await runs.run(loop, 60)
        run = await in_old_form(journal, whole.recording)
    async with Journal(url) as journal:
        recording = tmp_path / "run.jsonl"
        async with journal.connect() as connection:
            row = await archive.find_run(connection, run)
            recording.write_text("".join([json.dumps(line) + "\n" async for line in lines_of(connection, row)]))
        async with opened(recording) as (again, _):
            assert (await keeping.read(again, run)).entries == (await keeping.read(journal, run)).entries
            assert told(await retold(again, run)) == told(await retold(journal, run))
        for source in (run, whole.result.id):
            async with Runtime({}, journal=journal, kv="none") as runtime:
                fork = await runtime.fork(source, "work#30")
            forked = await cutter(tmp_path, journal, kv="none").resume(loop, fork)
            assert forked.result.output == whole.result.output
            assert {step for step, _ in forked.ran} == {"work#30", *(f"work#{number}" for number in range(38, 61))}


async def test_a_recording_has_each_join_once(cuts: Callable[..., Cutter], tmp_path: Path) -> None:
    """What a file tells of a run's joins is enough to tell the same graph, and grows with the steps."""
    runs = cuts(kv="none")
    sizes = []
    for count in (200, 800):
        run = (await runs.run(loop, count)).result.id
        file = tmp_path / f"{count}.jsonl"
        async with runs.journal.connect() as connection:
            row = await archive.find_run(connection, run)
            file.write_text("".join([json.dumps(line) + "\n" async for line in lines_of(connection, row)]))
        sizes.append(file.stat().st_size)
        async with opened(file) as (again, _):
            assert told(await retold(again, run)) == told(await retold(runs.journal, run))
    assert sizes[1] < 4.2 * sizes[0]


@pytest.mark.parametrize("move", ["loop", "nested", "joins", "while"])
async def test_a_journal_grows_with_the_steps(cuts: Callable[..., Cutter], move: str) -> None:
    """Four times as many steps take four times the room, whatever they come after."""
    runs = cuts(kv="none")
    sizes = []
    for count in (50, 200):
        result = (await runs.run(shape, [(move, count)])).result
        async with runs.journal.connect() as connection:
            sizes.append((await archive.sizes(connection, [result.id]))[result.id])
    assert sizes[1] < 4.4 * sizes[0]
