"""How runs are told what their engine's KV cache holds."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentrt import Agent, Runtime, program
from agentrt.errors import Refused, Unreachable
from agentrt.events import Event, HintsSent, KvSampled, Note, RunEnded
from agentrt.executors import SGLangExecutor
from agentrt.kvcache.hints import Capability, Hint, Subject
from agentrt.runtime.kv.listeners import Listener, tell_hints
from agentrt.runtime.kv.sampler import MOST_RUNS, MOST_SUBJECTS, PERIOD, SELDOM, SETBACK, SOON, Sampler, part_of
from agentrt.testing import ScriptedServer, say
from agentrt.types import RunId

ABLE = Capability(protocol=1, version="test", pool=10_000, host=0, budget=0.9, salt=True)


def subject(run: str, name: str, device: int = 10) -> dict[str, Any]:
    """A session as an engine shows it."""
    return {
        "tenant": "ab12",
        "subject": ["session", f"{run}/{name}", ""],
        "generation": 7,
        "class": "hinted",
        "keep": 29.123456,
        "remaining": None,
        "tool": "",
        "device": device,
        "host": 0,
    }


@dataclass
class Engine:
    """Says ``state``; each answer costs it ``took`` seconds. ``asked`` holds what was asked, ``fault`` is raised."""

    state_: dict[str, Any] = field(default_factory=lambda: {"pool": 100, "tiers": {"device": {"free": 100}}})
    took: float = 0.0001
    fault: Exception | None = None
    replicas: int = 1
    asked: list[tuple[list[str], str]] = field(default_factory=list)

    async def state(self, programs: Sequence[str], tenant: str) -> Sequence[Mapping[str, Any]]:
        self.asked.append((list(programs), tenant))
        if self.fault is not None:
            raise self.fault
        self.state_["counts"] = {"prompt": len(self.asked)}
        return [{**self.state_, "took": self.took}] * self.replicas


class Time:
    """A clock that runs only while somebody waits; ``waits`` says how long for, and ``go`` lets them go on."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.waits: asyncio.Queue[float] = asyncio.Queue()
        self._gate: asyncio.Queue[None] = asyncio.Queue()

    def __call__(self) -> float:
        return self.now

    async def wait(self, woken: asyncio.Event, seconds: float) -> None:
        self.waits.put_nowait(seconds)
        gate = asyncio.ensure_future(self._gate.get())
        event = asyncio.ensure_future(woken.wait())
        await asyncio.wait((gate, event), return_when=asyncio.FIRST_COMPLETED)
        if gate.done():
            self.now += seconds
        for one in (gate, event):
            one.cancel()

    async def go(self) -> float:
        """Let the next wait end by itself; gives how long it was."""
        self._gate.put_nowait(None)
        return await self.waits.get()


def follow(sampler: Sampler, time: Time, run: str = "run-1") -> list[Note]:
    """A run that is told from now on; the notes it gets."""
    notes: list[Note] = []
    sampler.follow(Listener(RunId(run), time, notes.append))
    return notes


def states(notes: Sequence[Note]) -> list[Mapping[str, Any]]:
    return [note.state for note in notes if isinstance(note, KvSampled)]


async def test_a_run_is_told_every_two_seconds_and_at_its_end() -> None:
    """While a run goes on it is told every period, and once more when it has ended; then nothing is asked."""
    time, engine = Time(), Engine()
    sampler = Sampler("default", engine, tenant="salt", clock=time, wait=time.wait)
    notes = follow(sampler, time)
    assert [await time.go(), await time.go()] == [PERIOD, PERIOD]
    while len(notes) < 3:
        await asyncio.sleep(0)
    sampler.left(RunId("run-1"))
    await sampler.close()
    assert [note.at for note in notes if isinstance(note, KvSampled)] == [0.0, 2.0, 4.0, 4.0]
    assert engine.asked == [(["run-1"], "salt")] * 4


async def test_a_slow_engine_is_asked_seldom() -> None:
    """An answer that took the engine a hundredth of a second is followed by ten seconds without a question."""
    time, engine = Time(), Engine(took=0.01)
    sampler = Sampler("default", engine, clock=time, wait=time.wait)
    follow(sampler, time)
    assert sum([await time.go(), await time.go()]) == 10.0
    await sampler.close()


async def test_many_short_runs_share_samples() -> None:
    """Runs that end right after a sample are told together a moment later, by one more question."""
    time, engine = Time(), Engine()
    sampler = Sampler("default", engine, clock=time, wait=time.wait)
    told = [follow(sampler, time, f"run-{number}") for number in range(5)]
    assert await time.waits.get() == PERIOD
    for number in range(5):
        sampler.left(RunId(f"run-{number}"))
    assert await time.waits.get() == SOON
    await sampler.close()
    assert [len(notes) for notes in told] == [2] * 5
    assert len(engine.asked) == 2


async def test_a_silent_engine_is_left_alone() -> None:
    """After each failure the pause doubles up to a minute; when it answers again the runs are told as before."""
    time, engine = Time(), Engine(fault=Unreachable("gone"))
    sampler = Sampler("default", engine, clock=time, wait=time.wait)
    notes = follow(sampler, time)
    for pause in (2.0, 4.0, 8.0, 16.0, 32.0, SETBACK, SETBACK):
        waited = 0.0
        while waited < pause:
            waited += await time.go()
        assert waited == pause
    assert notes == []
    engine.fault = None
    while not notes:
        await time.go()
    await sampler.close()


async def test_an_engine_without_the_route_is_asked_once() -> None:
    """A server that does not know the question is not asked again, for this run or the next."""
    time, engine = Time(), Engine(fault=Refused("no such route", status=404))
    sampler = Sampler("default", engine, clock=time, wait=time.wait)
    follow(sampler, time)
    while not engine.asked:
        await asyncio.sleep(0)
    await sampler.close()
    follow(sampler, time, "run-2")
    await sampler.close()
    assert len(engine.asked) == 1


async def test_nothing_new_is_not_written() -> None:
    """Where nothing happens in the cache a run is told twice a minute, not thirty times."""
    time, engine = Time(), Engine()
    engine.state_ = {"pool": 1}
    sampler = Sampler("default", engine, clock=time, wait=time.wait)

    async def same(programs: Sequence[str], tenant: str) -> Sequence[Mapping[str, Any]]:
        return [{"pool": 1, "took": 0.0}]

    engine.state = same  # type: ignore[method-assign]
    notes = follow(sampler, time)
    while time.now < 2 * SELDOM:
        await time.go()
    assert [note.at for note in notes if isinstance(note, KvSampled)][:2] == [0.0, SELDOM]
    await sampler.close()


async def test_a_long_run_is_sampled_less_often() -> None:
    """At an hour a run is sampled every six seconds, at a day every thirty."""
    for age, pause in ((3600.0, 6.0), (86400.0, SELDOM)):
        time = Time(age)
        sampler = Sampler("default", Engine(), clock=time, wait=time.wait)
        follow(sampler, time)
        assert await time.go() == pause
        await sampler.close()


async def test_many_runs_are_asked_for_in_parts() -> None:
    """Addresses stay short: so many runs are asked for at once, and all are told."""
    time, engine = Time(), Engine()
    sampler = Sampler("default", engine, clock=time, wait=time.wait)
    told = [follow(sampler, time, f"run-{number:03}") for number in range(2 * MOST_RUNS + 1)]
    await time.waits.get()
    assert [len(programs) for programs, _ in engine.asked] == [MOST_RUNS, MOST_RUNS, 1]
    assert all(len(notes) == 1 for notes in told)
    await sampler.close()


async def test_every_scheduler_of_an_engine_is_told() -> None:
    """Data-parallel replicas are told one by one, each with its number."""
    time, engine = Time(), Engine(replicas=2)
    sampler = Sampler("default", engine, clock=time, wait=time.wait)
    notes = follow(sampler, time)
    await time.waits.get()
    assert [state["replica"] for state in states(notes)] == [0, 1]
    await sampler.close()


def test_a_run_is_told_of_its_own_contexts_alone() -> None:
    """Other runs' subjects are in no sample of a run, whatever their names begin with; nor is any tenant."""
    agent = {"subject": ["agent", "writer", "run-1"], "device": 5, "host": 0}
    shown = [subject("run-1", "a~1"), subject("run-10", "a~1"), subject("run-2", "run-1~1"), agent]
    part = part_of({"pool": 100, "boot": "x", "subjects": shown}, RunId("run-1"))
    assert part == {
        "pool": 100,
        "subjects": [
            {"subject": ["session", "run-1/a~1", ""], "class": "hinted", "keep": 29.123, "device": 10, "host": 0},
            {"subject": ["agent", "writer", "run-1"], "device": 5, "host": 0},
        ],
    }


def test_a_sample_has_a_largest_size() -> None:
    """Of very many contexts those that hold most are told, and how many are left out."""
    shown = [subject("run-1", f"a~{number}", number) for number in range(MOST_SUBJECTS + 3)]
    part = part_of({"subjects": shown}, RunId("run-1"))
    assert (len(part["subjects"]), part["more"], part["subjects"][-1]["device"]) == (MOST_SUBJECTS, 3, 3)


def test_hints_are_told_to_the_runs_they_are_about() -> None:
    """Each run gets the hints on its sessions and prompts, without token ids and tenants."""
    told: dict[str, list[Note]] = {"run-1": [], "run-2": []}
    listeners = {RunId(name): Listener(RunId(name), lambda: 1.5, notes.append) for name, notes in told.items()}
    hints = [
        Hint(subject=Subject("session", "run-1/a~1"), generation=1, tenant="secret", steps=2),
        Hint(subject=Subject("agent", "a", "run-1"), generation=2, tenant="secret", prefix=(1, 2, 3)),
        Hint(subject=Subject("session", "run-3/a~1"), generation=3),
    ]
    tell_hints(listeners, "default", hints)
    sent = (
        {"subject": ["session", "run-1/a~1", ""], "generation": 1, "steps": 2},
        {"subject": ["agent", "a", "run-1"], "generation": 2, "prefix_tokens": 3},
    )
    assert told == {"run-1": [HintsSent(RunId("run-1"), 1.5, "default", sent)], "run-2": []}


async def test_a_program_is_told_while_it_runs() -> None:
    """A run on a server that tells has hints and samples among its events, the last sample when it has ended."""
    writer = Agent("writer", system="You write.")

    @program
    async def main() -> str:
        return await writer("Write.")

    asked: list[list[str]] = []

    def tells(programs: list[str]) -> Mapping[str, Any]:
        asked.append(programs)
        return {"pool": 10_000, "subjects": [subject(programs[0], "writer~1"), subject("other", "writer~1")]}

    events: list[Event] = []

    def sampled(event: Event) -> None:
        events.append(event)
        if {KvSampled, HintsSent} <= {type(one) for one in events}:
            seen.set()

    seen = asyncio.Event()

    async def script(asked: object) -> Any:
        await seen.wait()
        return say("Done.")

    async with (
        ScriptedServer(script, takes=ABLE, tells=tells) as server,
        Runtime(SGLangExecutor(server.url), observers=[sampled]) as runtime,
    ):
        result = await runtime.run(main)
    assert all(programs == [result.id] for programs in asked)
    samples = [event for event in events if isinstance(event, KvSampled)]
    assert all([one["subject"][1] for one in event.state["subjects"]] == [f"{result.id}/writer~1"] for event in samples)
    kinds = [type(event) for event in events]
    assert HintsSent in kinds
    assert kinds.index(KvSampled) < kinds.index(RunEnded) < len(kinds) - 1 - kinds[::-1].index(KvSampled)
    assert all("prefix" not in hint for event in events if isinstance(event, HintsSent) for hint in event.hints)
