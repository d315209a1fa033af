"""Programs of every shape. Each gives the same output however it is run; racing ones are in ``races``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from agentrt import each, program, step, tool
from agentrt.errors import StepTimeout, UpstreamFailed
from agentrt.runtime import owner

from .cutting import note, turns


@dataclass(frozen=True)
class Point:
    """Something that is no plain JSON."""

    x: int
    tags: tuple[str, ...] = ()


class Unlucky(Exception):
    """What some steps raise."""


@step
async def work(x: int, pause: int = 0) -> int:
    note()
    await turns(pause)
    return 2 * x + 1


@step
async def total(xs: list[int]) -> int:
    note()
    return sum(xs)


@step
async def unlucky(x: int) -> int:
    note()
    await turns(x)
    raise Unlucky(x)


@step
async def forever() -> None:
    note()
    await asyncio.Event().wait()


@step(retries=2, backoff=0)
async def flaky(x: int) -> int:
    if note() < 3:
        raise Unlucky("not yet")
    return x


@step
def threaded(x: int) -> str:
    note()
    return "x" * x


@tool
async def buy(what: str) -> Point:
    """Buy something."""
    note()
    await turns(2)
    return Point(len(what), (what,))


@program
async def chain() -> int:
    x = 1
    for _ in range(4):
        x = await work(x)
    return x


@program
async def fan() -> Any:
    parts = [work(n, n % 3) for n in range(5)]
    return await total([total(parts[:3]), total(parts[2:]), total(parts)])


@program
async def branches() -> Any:
    """Branches whose steps get their ids by who comes first."""

    async def branch(k: int) -> int:
        x = k
        for n in range(3):
            x = await work(x, (5 * k + 3 * n) % 4)
        return x

    return await asyncio.gather(*(branch(k) for k in range(3)))


@program
async def inner(x: int) -> int:
    note()
    first, second = work(x, 1), work(x + 1, 2)
    return await total([first, second, work(await first)])


@program
async def middle(x: int) -> Any:
    note()
    return [inner(x), await inner(x + 1), Point(await work(x))]


@program
async def nested() -> Any:
    return await asyncio.gather(middle(1), inner(5), middle(2))


@step
async def caller(x: int) -> Any:
    note()
    await turns(1)
    return {"kept": work(x), "deep": await work(x + 1)}


@program
async def steps_that_call() -> Any:
    both = [caller(1), caller(2)]
    return [await one for one in both], await total([work(7)])


@program
async def bounded() -> Any:
    return [x async for x in each(lambda n: work(n, n % 3), range(7), at_once=3)]


@program
async def groups() -> Any:
    found: list[int] = []

    async def two(x: int) -> None:
        found.append(await work(await work(x, 3 - x), x))

    async with asyncio.TaskGroup() as group:
        for x in range(3):
            group.create_task(two(x))
    return sorted(found), await work(9)


@program
async def retried() -> Any:
    return await asyncio.gather(flaky(1), work(1, 5), flaky(2))


@program(retries=2, backoff=0)
async def whole_again() -> Any:
    attempt = note()
    x = await work(1)
    try:
        return x, await (work(2) if attempt > 1 else unlucky(2))
    except Unlucky:
        raise ValueError("once more") from None


@program(retries=2, backoff=0)
async def part_again(x: int) -> Any:
    """Another attempt calls other steps, and more of the same."""
    attempt = note()
    y = await work(x)
    try:
        return attempt, y, await (work(2) if attempt > 2 else unlucky(attempt))
    except Unlucky:
        raise ValueError("once more") from None


@step(retries=1, backoff=0)
async def caller_again(x: int) -> Any:
    attempt = note()
    both = await asyncio.gather(work(x), work(x + 1, 2))
    if attempt == 1:
        raise ValueError("once more")
    return both, await work(3 * x)


@program
async def parts_again() -> Any:
    return await asyncio.gather(part_again(1), caller_again(2), part_again(3)), await work(4)


@program
async def caught() -> Any:
    told: list[str] = []
    for x in range(2):
        try:
            await unlucky(x)
        except Unlucky as error:
            told.append(repr(error))
    try:
        await work(unlucky(3))
    except UpstreamFailed as error:
        told.append(str(error))
    both = await asyncio.gather(unlucky(4), work(4), return_exceptions=True)
    return told, [repr(one) for one in both]


@program
async def too_slow() -> Any:
    told: list[Any] = []
    try:
        async with asyncio.timeout(0.01):
            await forever()
    except TimeoutError:
        told.append(await work(1))
    try:
        await asyncio.wait_for(forever(), 0.01)
    except TimeoutError:
        told.append(await work(2))
    return told, await work(3)


@program
async def step_too_slow() -> Any:
    try:
        return await forever.with_(timeout=0.01)()
    except StepTimeout as error:
        return type(error).__name__, type(error.__cause__).__name__, await work(3)


@program
async def cancelling() -> Any:
    slow = forever()
    also = work(slow)
    told: list[Any] = [await work(1)]
    slow.cancel()
    try:
        await slow
    except asyncio.CancelledError:
        told.append(await work(2))
    try:
        await also
    except UpstreamFailed as error:
        told.append(str(error))
    return told, [slow.status, also.status], await work(3)


@program(siblings="finish")
async def finishing(x: int) -> Any:
    note()
    rest = [work(n, 2 * n) for n in range(3)]
    await unlucky(x)
    return rest


@program
async def ending(x: int) -> Any:
    note()
    rest = [forever(), work(1)]
    await unlucky(x)
    return rest


@program
async def siblings() -> Any:
    both = await asyncio.gather(finishing(1), ending(2), return_exceptions=True)
    return [repr(one) for one in both], await work(1)


@program
async def awaited_nothing() -> Any:
    """Steps that nobody awaits; the run does."""
    for n in range(3):
        work(n, n)
    return work(5)


@program
async def ordered() -> Any:
    first = work(1, 3)
    after = [work.with_(after=[first])(n) for n in range(2)]
    return [await one for one in after], await asyncio.shield(first)


@program
async def threads() -> Any:
    return await asyncio.gather(*(threaded(100 * n) for n in range(4)))


@program
async def tools() -> Any:
    things = [buy(name) for name in ("tea", "milk", "milk")]
    return [(await one).x for one in things], await buy("sugar"), await work(1)


@program
async def sleepy() -> Any:
    """Waits that are no steps."""
    x = await work(1)
    await asyncio.sleep(0.005)
    y = work(2)
    await asyncio.sleep(0.005)
    return x, await work(3), await y


@program
async def talking() -> Any:
    """Values of many kinds, and the same large one many times."""
    large = await threaded(1_000)
    return [await threaded(1_000), large], await buy(large), {3: await work(3)}


@step
async def speak(words: str) -> int:
    note()
    for word in words.split():
        owner.get().emit(word)
        await turns(1)
    return len(words)


@program
async def listening() -> Any:
    """Steps that start while another is still being read."""
    story = speak("one two three four")
    begun = [threaded(len(word)) async for word in story.stream()]
    return {await one for one in begun}, await story


ALL = [
    chain,
    fan,
    branches,
    nested,
    steps_that_call,
    bounded,
    groups,
    retried,
    caught,
    too_slow,
    step_too_slow,
    whole_again,
    parts_again,
    cancelling,
    siblings,
    awaited_nothing,
    ordered,
    threads,
    tools,
    sleepy,
    talking,
    listening,
]
LANES = [fan, branches, nested, bounded, tools]
