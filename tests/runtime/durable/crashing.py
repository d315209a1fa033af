"""Programs whose steps leave a trace outside of the journal, and processes that run them until they are killed.

Every body appends ``RUN/STEP ATTEMPT KIND`` to one file as its side effect, and returns a text that no second run of it
would return. Every result that a program is handed is appended to another file, as it stands. Both are opened for
appending and written with one system call a line, so that a kill leaves whole lines.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from collections.abc import Awaitable
from contextlib import suppress
from itertools import pairwise
from secrets import token_hex
from typing import Any, Final, Literal, NamedTuple

import agentrt.store.sqlite
from agentrt import Agent, Handle, Program, Runtime, each, program, step, tool
from agentrt.executors.base import Emit, ignore
from agentrt.store import Journal, archive
from agentrt.types import ModelReply, ModelRequest, RunId, ToolCall

APPEND: Final = os.O_APPEND | os.O_CREAT | os.O_WRONLY


class World(NamedTuple):
    """What a process is to bring to its end: these runs, in this journal.

    ``pace`` is the longest sleep of a step; ``checkpoint`` the number of entries between two checkpoints of the file,
    if it is not to be what it is.
    """

    journal: str
    effects: str
    told: str
    problems: str
    runs: tuple[RunId, ...]
    pace: float
    checkpoint: int | None = None


class Doom(NamedTuple):
    """When a process kills itself: before its ``number``-th SQL statement, or right after its ``number``-th commit."""

    at: Literal["statement", "commit"]
    number: int


class Here:
    """This process's files and pace."""

    effects = told = -1
    pace = 0.0


def ran(key: str, attempt: int | str, kind: str) -> str:
    """A body runs: its side effect, and a text that is its own."""
    os.write(Here.effects, f"{key} {attempt} {kind}\n".encode())
    return token_hex(4)


async def pause() -> None:
    """Take some time, as real steps do."""
    await asyncio.sleep(random.uniform(0, Here.pace))


async def told(handle: Handle[str]) -> str:
    """The step's value, when it is known outside that the program was handed it."""
    value = await handle
    os.write(Here.told, f"{handle.run.id}/{handle.id} {value}\n".encode())
    return value


@tool(idempotent=True)
async def act(what: str) -> str:
    """A tool with a side effect."""
    own = ran(agentrt.idempotency_key(), agentrt.attempt(), "tool")
    await pause()
    return f"{what}:{own}"


@tool(idempotent=True)
def act_in_a_thread(what: str) -> str:
    """A tool that is a plain function."""
    own = ran(agentrt.idempotency_key(), agentrt.attempt(), "tool")
    time.sleep(random.uniform(0, Here.pace))
    return f"{what}:{own}"


@tool(idempotent=True, retries=2, backoff=0)
async def flaky(what: str) -> str:
    """A tool that fails at its first attempt."""
    own = ran(agentrt.idempotency_key(), agentrt.attempt(), "tool")
    await pause()
    if agentrt.attempt() == 1:
        raise ConnectionError(what)
    return f"{what}:{own}"


@tool(idempotent=True)
async def refuse(what: str) -> str:
    """A tool that always fails."""
    ran(agentrt.idempotency_key(), agentrt.attempt(), "tool")
    await pause()
    raise ValueError(what)


@step
async def plain(*parts: str) -> str:
    """A step that is no tool."""
    own = ran(agentrt.idempotency_key(), agentrt.attempt(), "python")
    await pause()
    return f"{'+'.join(part.partition(':')[0] for part in parts)}:{own}"


class Clerk:
    """A model executor in this process: asks for the tool once, then answers; its answers are no two the same."""

    name = "clerk"
    limit = None

    async def prepare(self) -> None:
        """Nothing to do."""

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        """One turn."""
        own = ran(f"{request.run}/{request.step}", "-", "llm")
        await pause()
        if request.messages[-1].role == "tool" or not request.tools:
            emit(text := f"answer:{own}")
            return ModelReply(text)
        return ModelReply("", (ToolCall(own, "act", '{"what":"asked"}'),), "tool_calls")

    async def close(self) -> None:
        """Nothing to do."""


clerk = Agent("clerk", tools=[act], retries=0)
writer = Agent("writer", retries=0)


@program
async def chain(length: int) -> list[str]:
    """One step after the other, of every kind."""
    said = []
    for number in range(length):
        one = (act, plain, flaky, act_in_a_thread)[number % 4]
        said.append(await told(one(str(number))))
        try:
            await refuse(str(number))
        except ValueError as error:
            said.append(f"no {error}:")
    return said


@program
async def fan(width: int) -> list[str]:
    """Many at once, dataflow between them, and all of them gathered."""
    firsts = [act(str(number)) for number in range(width)]
    seconds = [plain(one, other) for one, other in pairwise(firsts)]
    return list(await asyncio.gather(*map(told, [*firsts, *seconds])))


@program
async def branches(width: int) -> list[str]:
    """Branches that call steps of the same names, each at its own pace."""

    async def branch(number: int) -> str:
        first = await told(act(f"b{number}"))
        second = await told(plain(first))
        return await told(flaky(second.partition(":")[0]))

    return list(await asyncio.gather(*map(branch, range(width))))


@program
async def nested(depth: int) -> list[str]:
    """Programs in programs, two side by side."""
    own = [await told(act(f"d{depth}"))]
    if depth:
        for below in await asyncio.gather(nested(depth - 1), nested(depth - 1)):
            own.extend(below)
    return own


@program
async def talk(turns: int) -> list[str]:
    """An agent with a tool, and a conversation that grows."""
    session = writer.session()
    said = []
    for number in range(turns):
        said.append(await told(clerk(f"do {number}")))
        said.append(await told(session(f"say {number}")))
    return said


@program
async def listed(width: int) -> list[str]:
    """A fan-out with a limit, then a race, whose loser is waited for as well."""
    said = [value async for value in each(act, map(str, range(width)), at_once=3)]
    racers = [act("racer"), plain("racer")]
    done, _ = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
    said.extend([await told(one) for one in racers if one in done])
    said.extend([await told(one) for one in racers if one not in done])
    return said


@program
async def timed(count: int) -> list[str]:
    """Steps that come too late, or not; the program goes on in both cases."""
    said = []
    for number in range(count):
        with suppress(TimeoutError):
            async with asyncio.timeout(Here.pace / 2):
                await told(act(f"t{number}"))
        said.append(await told(plain(f"p{number}")))
    return said


PROGRAMS: Final[dict[str, tuple[Program[[int], list[str]], int]]] = {
    "chain": (chain, 12),
    "fan": (fan, 12),
    "branches": (branches, 6),
    "nested": (nested, 3),
    "talk": (talk, 5),
    "listed": (listed, 12),
    "timed": (timed, 10),
}
"""What a run whose id is ``NAME-NUMBER`` runs, and its argument."""


def live(world: World, doom: Doom | None = None) -> None:
    """Bring all runs of a world to their end, from wherever they are; what should not be is written down."""
    Here.effects, Here.told = os.open(world.effects, APPEND, 0o600), os.open(world.told, APPEND, 0o600)
    Here.pace = world.pace
    random.seed()
    if world.checkpoint is not None:
        agentrt.store.sqlite._CHECKPOINT_EVERY = world.checkpoint  # type: ignore[misc]
    if doom is not None:
        agentrt.store.sqlite.SQLiteCommits = doomed(doom)  # type: ignore[misc]
    try:
        asyncio.run(_go_on(world))
    except BaseException as error:
        note(world, repr(error))
        raise


def note(world: World, problem: str) -> None:
    """Write down what should not have happened."""
    with open(world.problems, "a", encoding="utf-8") as file:  # noqa: PTH123 - a process of its own
        file.write(f"{problem}\n")


async def _go_on(world: World) -> None:
    ids = iter(world.runs)
    current: list[RunId] = []
    async with (
        Journal(world.journal) as journal,
        Runtime(Clerk(), journal=journal, kv="none", estimates=None, new_id=lambda: current[0]) as runtime,
    ):
        async with journal.connect() as connection:
            known = {row.id: row.status for row in await archive.list_runs(connection)}
        runs: list[Awaitable[Any]] = []
        for one in ids:
            whole, size = PROGRAMS[one.partition("-")[0]]
            if one not in known:
                current[:] = [one]
                runs.append(runtime.start(whole, size))
            elif known[one] != "done":
                runs.append(await runtime.resume(whole, one))
        for result in await asyncio.gather(*runs):
            if result.status != "done":
                note(world, f"{result.id} {result.error!r}")


def doomed(doom: Doom) -> type[agentrt.store.sqlite.SQLiteCommits]:
    """Commits that end in the middle of themselves, together with their process."""
    left = [doom.number]

    def one_less(_: object = None) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    class Doomed(agentrt.store.sqlite.SQLiteCommits):
        def _connect(self, wait: float) -> sqlite3.Connection:
            connection = super()._connect(wait)
            if doom.at == "statement":
                connection.set_trace_callback(one_less)
            return connection

        def _write(self, connection: sqlite3.Connection, batch: Any) -> None:
            super()._write(connection, batch)
            if doom.at == "commit":
                one_less()

    return Doomed
