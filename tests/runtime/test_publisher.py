"""When a publisher tells an engine what, with the clock in hand."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from agentrt.errors import Refused
from agentrt.events import StepEnded, StepStarted
from agentrt.graph.machine import NO_USAGE, Node
from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import MAX_BATCH, MAX_TOKENS, Capability, Hint, Subject, batches
from agentrt.runtime.kv.forecast import Forecast, Places
from agentrt.runtime.kv.publisher import Publisher
from agentrt.runtime.kv.tracker import Prompt, Tracker
from agentrt.types import Message, RunId, SessionId, StepId, ToolSpec

PROMPT = Prompt("writer", "default", (), ())


@dataclass
class Engine:
    """Takes every hint."""

    told: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def capability(self) -> Capability:
        return Capability(protocol=1, pool=1000)

    async def send(self, hints: Sequence[Hint]) -> None:
        self.told += [hint.subject.name for hint in hints]
        self.news.set()

    async def prefix(self, fixed: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> tuple[int, ...]:
        return ()


class Keep:
    """Keeps everything for half a minute."""

    name = "keep"

    def advise(self, context: Context, world: World) -> Advice | None:
        return Advice(keep=30.0)


async def test_a_quiet_run_is_told_of_in_time_while_another_is_busy():
    """What was told of a run in which nothing happens is told again before it runs out, though others move on."""
    now, estimators, engine = [0.0], Estimators(), Engine()
    publisher = Publisher("default", engine, Keep(), estimators, clock=lambda: now[0])
    publisher.capability = await engine.capability()

    def run(name: str) -> Tracker:
        forecast = Forecast(Places(None), estimators)
        one = Tracker(RunId(name), {}, forecast, estimators, lambda: now[0], publisher.moved, lambda *_: None)
        one.opened(SessionId(name), PROMPT)
        publisher.follow(one)
        return one

    quiet, busy = run("quiet"), run("busy")
    await engine.news.wait()
    assert sorted(engine.told) == ["busy", "quiet"]
    engine.told.clear()
    engine.news.clear()
    now[0] = 20.0
    publisher.moved(busy, True)
    await engine.news.wait()
    assert sorted(engine.told) == ["busy", "quiet"]
    assert not quiet.over
    await publisher.close()


def test_a_turn_is_learned_without_the_time_it_was_held() -> None:
    """A turn of two seconds that waited half an hour for room, or for an engine to be installed, counts two seconds."""
    now, estimators = [0.0], Estimators()
    node = Node(StepId("writer#1"), "writer", "llm")
    node.session, run = SessionId("s"), RunId("r")
    forecast = Forecast(Places(None), estimators)
    tracker = Tracker(run, {node.id: node}, forecast, estimators, lambda: now[0], lambda *_: None, lambda *_: None)
    tracker.opened(node.session, PROMPT)
    node.started, node.status = 0.0, "running"
    tracker(StepStarted(run, 0.0, node.id, 1))
    tracker.held(node.session, True)
    now[0] = 1800.0
    tracker.held(node.session, False)
    now[0] = node.ended = 1802.0
    node.status = "done"
    tracker(StepEnded(run, 1802.0, node.id, "done", None, NO_USAGE))
    assert ["turn:writer", "", 1, [2.0]] in estimators.durations.dump()


def test_batches_are_as_large_as_an_engine_takes() -> None:
    """Hints are cut by their number and by the tokens of their prompts, in order; one that is too long goes alone."""

    def hints(*lengths: int) -> list[Hint]:
        return [
            Hint(subject=Subject("agent", "a", "p"), generation=at, prefix=(7,) * n) for at, n in enumerate(lengths)
        ]

    many = hints(*[0] * (MAX_BATCH + 1))
    assert [len(batch) for batch in batches(many)] == [MAX_BATCH, 1]
    long = hints(1, MAX_TOKENS - 1, 1, MAX_TOKENS + 1, 5)
    assert [[hint.generation for hint in batch] for batch in batches(long)] == [[0, 1], [2], [3], [4]]
    assert list(batches([])) == []


@dataclass
class Deaf(Engine):
    """Refuses what it is sent, so many times; ``heard`` holds all that was not refused."""

    left: int = 3
    heard: list[Hint] = field(default_factory=list)

    async def send(self, hints: Sequence[Hint]) -> None:
        self.left -= 1
        if self.left >= 0:
            raise Refused("not now", status=503)
        self.heard += hints
        self.news.set()


async def test_what_was_not_heard_is_told_later(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    """An engine that refused hints for a while hears everything once it takes them, ends too; one line says so."""
    monkeypatch.setattr("agentrt.runtime.kv.publisher.SETBACK", 0.01)
    estimators, engine = Estimators(), Deaf()
    publisher = Publisher("default", engine, Keep(), estimators)
    publisher.capability = await engine.capability()
    run = Tracker(
        RunId("run"),
        {},
        Forecast(Places(None), estimators),
        estimators,
        time.perf_counter,
        publisher.moved,
        lambda *_: None,
    )
    run.opened(SessionId("over"), PROMPT)
    run.opened(SessionId("lives"), PROMPT)
    publisher.follow(run)
    run.closed(SessionId("over"))
    await engine.news.wait()
    assert {(hint.subject.name, hint.ended) for hint in engine.heard} == {("over", True), ("lives", False)}
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    await publisher.close()


async def test_a_publisher_that_stopped_keeps_nothing():
    """After a policy has failed, runs come and go without a trace."""

    class Broken(Keep):
        def advise(self, context: Context, world: World) -> Advice | None:
            raise ZeroDivisionError

    def run(name: str) -> Tracker:
        one = Tracker(
            RunId(name), {}, Forecast(Places(None), estimators), estimators, time.time, publisher.moved, lambda *_: None
        )
        one.opened(SessionId(name), PROMPT)
        publisher.follow(one)
        return one

    estimators, engine = Estimators(), Engine()
    publisher = Publisher("default", engine, Broken(), estimators)
    publisher.capability = await engine.capability()
    run("first")
    while not publisher.stopped:
        await asyncio.sleep(0)
    gone = weakref.ref(run("second"))
    gc.collect()
    assert gone() is None
    await publisher.close()
    assert engine.told == []
