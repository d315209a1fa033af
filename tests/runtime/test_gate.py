"""The gate: real turns over HTTP that wait for room and for each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agentrt import Agent, Runtime, program, step, tool
from agentrt.errors import Refused
from agentrt.executors import OpenAIExecutor
from agentrt.executors.base import Emit, ignore
from agentrt.kvcache.admission import Admission, Decay, Gang
from agentrt.runtime.gate import Gate, Moment
from agentrt.testing import Asked, Reply, ScriptedServer, call, refuse, say
from agentrt.types import Message, ModelReply, ModelRequest, Sampling, Usage

TEXT = "word " * 30
LONG = "word " * 400


def request(run: str, text: str = TEXT, *, system: str = "", session: str | None = "s") -> ModelRequest:
    first = (Message("system", system),) if system else ()
    messages = (*first, Message("user", text))
    name = f"{run}/{session}" if session else None
    return ModelRequest(messages, agent="agent", run=run, step=f"{run}#1", session=name, sampling=Sampling(40))


class Gated:
    """An executor behind a gate, and what its gate told."""

    limit = None

    def __init__(self, inner: OpenAIExecutor, gate: Gate) -> None:
        self.inner = inner
        self.gate = gate
        self.name = inner.name

    async def prepare(self) -> None:
        await self.inner.prepare()

    async def execute(self, request: ModelRequest, emit: Emit = ignore) -> ModelReply:
        async with self.gate.turn(request, emit) as turn:
            reply = await self.inner.execute(request, turn.emit)
            turn.answered(reply)
            return reply

    async def close(self) -> None:
        await self.inner.close()


@asynccontextmanager
async def behind(gate: Gate, server: ScriptedServer) -> AsyncIterator[Gated]:
    """A gated executor of the server; in the end nobody waits and no timer is left."""
    executor = Gated(OpenAIExecutor(server.url), gate)
    try:
        yield executor
    finally:
        await executor.close()
    assert gate.waiting == 0
    assert gate._timer is None


async def settled(gate: Gate, waiting: int) -> None:
    """Let the loop turn until so many wait."""
    for _ in range(1000):
        if gate.waiting == waiting:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"{gate.waiting} wait, not {waiting}")


def full() -> Admission:
    """Room for one of the requests here: some 30 tokens each, and as many in the reply."""
    return Admission(90, headroom=0.0)


async def test_without_cores_turns_just_go() -> None:
    """A gate with neither admission nor gang adds nothing and holds nothing."""
    async with ScriptedServer() as server, behind(Gate(), server) as executor:
        replies = await asyncio.gather(*(executor.execute(request(run)) for run in "abc"))
    assert [reply.text for reply in replies] == [TEXT] * 3


async def test_a_turn_waits_until_its_program_has_room() -> None:
    """What does not fit is not sent before another run leaves, though that one's turn has ended."""
    gate = Gate(full())
    async with ScriptedServer() as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        second = asyncio.create_task(executor.execute(request("b")))
        await settled(gate, 1)
        assert len(server.requests) == 1
        gate.leave("a")
        assert (await second).text == TEXT


async def test_a_cancelled_waiter_gives_its_place_back() -> None:
    """Behind a turn that is cancelled while it waits, the next one gets the room."""
    gate = Gate(full())
    async with ScriptedServer() as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        first, second = (asyncio.create_task(executor.execute(request(run))) for run in "bc")
        await settled(gate, 2)
        first.cancel()
        await asyncio.wait([first])
        gate.leave("a")
        assert (await second).text == TEXT
    assert len(server.requests) == 2


async def test_a_turn_cancelled_as_it_is_let_through_gives_its_place_back() -> None:
    """Cancelled in the same moment in which it was granted, a turn is not sent, and the next one goes."""
    gate = Gate(full())
    async with ScriptedServer() as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        first, second = (asyncio.create_task(executor.execute(request(run))) for run in "bc")
        await settled(gate, 2)
        gate.leave("a")
        first.cancel()
        assert (await second).text == TEXT
        assert first.cancelled()
    assert len(server.requests) == 2


async def test_a_turn_that_fails_gives_its_place_back() -> None:
    """A refused request holds nothing: another run goes though the first never left."""
    gate = Gate(full())
    async with ScriptedServer([refuse(400, "no"), say("yes")]) as server, behind(gate, server) as executor:
        with pytest.raises(Refused):
            await executor.execute(request("a"))
        assert (await executor.execute(request("b"))).text == "yes"


async def test_a_run_whose_tool_takes_long_makes_room() -> None:
    """A reply that asks for a tool expected to take minutes lets another run go at once."""
    gate = Gate(full(), expected=lambda reply: 300.0)
    async with ScriptedServer([call("search"), say("yes")]) as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        assert (await executor.execute(request("b"))).text == "yes"


async def test_a_tool_that_begins_later_makes_room_too() -> None:
    """Told that a session's tool takes long, the gate lets those go that waited for its room."""
    gate = Gate(full())
    async with ScriptedServer() as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        second = asyncio.create_task(executor.execute(request("b")))
        await settled(gate, 1)
        gate.acting("a", "a/s", 300.0)
        await second


async def test_the_size_of_the_pool_may_become_known_later() -> None:
    """A gate that knows no size holds nobody; with one it does; with a larger one it lets go."""
    gate = Gate(Admission())
    async with ScriptedServer() as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        gate.resize(90)
        second = asyncio.create_task(executor.execute(request("b")))
        await settled(gate, 1)
        gate.resize(1000)
        await second


async def test_a_session_that_ends_lets_go_what_still_waits_for_it() -> None:
    """A turn whose session is ended while it waits is not left hanging."""
    gate = Gate(full())
    async with ScriptedServer() as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        second = asyncio.create_task(executor.execute(request("b")))
        await settled(gate, 1)
        gate.leave("b", "b/s")
        assert (await second).text == TEXT


async def test_a_session_that_ends_while_its_turn_runs_is_not_remembered() -> None:
    """What the last answer of a session taught of its size goes with it, though it came after the end."""
    gate, go = Gate(full()), asyncio.Event()

    async def script(asked: Asked) -> Reply:
        await go.wait()
        return say("word " * 50)

    async with ScriptedServer(script) as server, behind(gate, server) as executor:
        turns = [asyncio.create_task(executor.execute(request("a", session=one))) for one in ("closed", "open")]
        await server.until(lambda server: server.in_flight >= 1)
        gate.leave("a", "a/closed")
        go.set()
        await asyncio.gather(*turns)
    unknown = gate.sizes.prompt("a/never", 10_000)
    assert gate.sizes.prompt("a/open", 10_000) != unknown
    assert gate.sizes.prompt("a/closed", 10_000) == unknown


async def test_time_at_the_gate_is_not_the_step_s() -> None:
    """A step whose timeout is shorter than its wait at the gate does not time out."""
    gate = Gate(full())
    async with ScriptedServer() as server, behind(gate, server) as executor:

        @step(timeout=1.0)
        async def ask(run: str) -> str:
            return (await executor.execute(request(run))).text

        @program
        async def main() -> str:
            asyncio.get_running_loop().call_later(1.2, gate.leave, "a")
            return await ask("b")

        await executor.execute(request("a"))
        async with Runtime({}) as runtime:
            assert (await runtime.run(main)).output == TEXT


async def test_siblings_follow_the_one_that_warms_their_prefix() -> None:
    """Of three turns with one long prompt one is sent; the others at its first token, while it still streams."""
    gate, more = Gate(gang=Gang()), asyncio.Event()

    def script(asked: Asked) -> Reply:
        return say("first ", more, "last") if asked.last == "0" else say("done")

    async with ScriptedServer(script) as server, behind(gate, server) as executor:
        tasks = [asyncio.create_task(executor.execute(request("a", str(n), system=LONG))) for n in range(3)]
        await asyncio.gather(*tasks[1:])
        assert not tasks[0].done()
        assert [asked.last for asked in server.requests].index("0") == 0
        more.set()
        assert (await tasks[0]).text == "first last"


async def test_nobody_is_sent_before_the_leader_s_first_token() -> None:
    """While the leader has no token, its followers wait; short prompts do not."""
    gate, first = Gate(gang=Gang()), asyncio.Event()

    def script(asked: Asked) -> Reply:
        return say(first, "done") if asked.last == "0" else say("done")

    async with ScriptedServer(script) as server, behind(gate, server) as executor:
        leader = asyncio.create_task(executor.execute(request("a", "0", system=LONG)))
        await server.until(lambda seen: len(seen.requests) == 1)
        follower = asyncio.create_task(executor.execute(request("b", "1", system=LONG)))
        await executor.execute(request("c", "2", system="short"))
        assert gate.waiting == 1
        assert [asked.last for asked in server.requests] == ["0", "2"]
        first.set()
        await asyncio.gather(leader, follower)


async def test_when_the_leader_is_cancelled_another_leads() -> None:
    """The followers of a cancelled leader are not left behind."""
    gate, never = Gate(gang=Gang()), asyncio.Event()

    def script(asked: Asked) -> Reply:
        return say(never, "never") if asked.last == "0" else say("done")

    async with ScriptedServer(script) as server, behind(gate, server) as executor:
        tasks = [asyncio.create_task(executor.execute(request("a", str(n), system=LONG))) for n in range(3)]
        await server.until(lambda seen: len(seen.requests) == 1)
        tasks[0].cancel()
        assert [reply.text for reply in await asyncio.gather(*tasks[1:])] == ["done"] * 2


async def test_followers_do_not_wait_longer_than_they_have_patience() -> None:
    """A leader without a token keeps its followers for the patience only."""
    gate, never = Gate(gang=Gang(patience=0.05)), asyncio.Event()

    def script(asked: Asked) -> Reply:
        return say(never, "never") if asked.last == "0" else say("done")

    async with ScriptedServer(script) as server, behind(gate, server) as executor:
        leader = asyncio.create_task(executor.execute(request("a", "0", system=LONG)))
        await server.until(lambda seen: len(seen.requests) == 1)
        assert (await executor.execute(request("a", "1", system=LONG))).text == "done"
        leader.cancel()
        await asyncio.wait([leader])


async def test_the_timer_is_set_for_the_first_that_is_due() -> None:
    """A turn whose room comes with time goes in time, though another one waits with patience for a minute."""
    gate = Gate(Admission(800, headroom=0.0, decay=Decay(0.05)), Gang(patience=60.0))
    async with ScriptedServer() as server, behind(gate, server) as executor:
        async with gate.turn(request("a", "0", system=LONG)):
            follower = asyncio.create_task(executor.execute(request("a", "1", system=LONG, session="t")))
            await settled(gate, 1)
            async with gate.turn(request("b")) as turn:
                turn.answered(ModelReply("done", usage=Usage(45, 0, 40)))
            held = asyncio.create_task(executor.execute(request("c")))
            await settled(gate, 2)
            assert (await held).text == TEXT
            assert gate.waiting == 1
        await follower


async def test_an_empty_piece_tells_of_the_first_token_and_is_not_passed_on() -> None:
    """Executors may say that the first token is there, before there is text, with an empty piece."""
    gate, pieces = Gate(gang=Gang()), list[str]()
    async with gate.turn(request("a", system=LONG), pieces.append) as leader:
        follower = asyncio.create_task(gate.turn(request("b", system=LONG)).__aenter__())
        await settled(gate, 1)
        leader.emit("")
        await follower
        leader.emit("text")
    assert pieces == ["text"]


async def test_watchers_are_told_what_becomes_of_turns() -> None:
    """A turn that waits is told as held or following before it is told to go."""
    seen: list[tuple[str, Moment]] = []
    gate = Gate(full(), Gang(), watch=lambda request, moment: seen.append((request.run, moment)))
    async with ScriptedServer() as server, behind(gate, server) as executor:
        await executor.execute(request("a"))
        second = asyncio.create_task(executor.execute(request("b")))
        await settled(gate, 1)
        gate.leave("a")
        await second
    assert seen == [("a", "goes"), ("b", "held"), ("b", "goes")]


@pytest.mark.parametrize("order", ["remaining", "smallest"])
async def test_many_programs_in_a_small_pool_all_finish(order: str) -> None:
    """Twelve programs with tools and parallel branches, in room for two or three, all end, and never all at once."""
    runs: set[str] = set()
    most = 0

    def watch(request: ModelRequest, moment: Moment) -> None:
        nonlocal most
        if moment == "goes":
            runs.add(request.run)
            most = max(most, len(runs))

    gate = Gate(Admission(300, order=order), Gang(least=100), expected=lambda reply: 0.1, watch=watch)

    @tool
    async def search(query: str) -> str:
        """Find."""
        return f"found {query}"

    def script(asked: Asked) -> Reply:
        if asked.tools and asked.messages[-1]["role"] == "user":
            return call("search", query="tea")
        return say("done")

    worker = Agent("worker", system="word " * 20, tools=[search])
    judge = Agent("judge", system="judge " * 20)

    @program
    async def main() -> str:
        found = await asyncio.gather(*(worker(f"task {n}") for n in range(3)))
        return await judge(*found)

    async def one(runtime: Runtime) -> str:
        run = runtime.start(main)
        try:
            return (await run).output
        finally:
            runs.discard(run.id)
            gate.leave(run.id)

    async with ScriptedServer(script) as server, behind(gate, server) as executor, Runtime(executor) as runtime:
        assert await asyncio.gather(*(one(runtime) for _ in range(12))) == ["done"] * 12
    assert len(server.requests) == 12 * 7
    assert 1 <= most < 12
    assert gate.admission is not None
    assert not gate.admission._roster.programs
