"""When a publisher tells an engine what, with the clock in hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import MAX_BATCH, MAX_TOKENS, Capability, Hint, Subject, batches
from agentrt.runtime.kv.forecast import Forecast
from agentrt.runtime.kv.publisher import Publisher
from agentrt.runtime.kv.tracker import Prompt, Tracker
from agentrt.types import Message, RunId, SessionId, ToolSpec

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
        forecast = Forecast(None, estimators)
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


def test_batches_are_as_large_as_an_engine_takes():
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
