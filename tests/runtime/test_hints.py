"""What an engine is told while a program runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from agentrt import Agent, Runtime, command, program, tool
from agentrt.executors import SGLangExecutor
from agentrt.kvcache.contexts import Advice, Context, World
from agentrt.kvcache.hints import Capability, Hint
from agentrt.testing import ScriptedServer, call, say

ABLE = Capability(protocol=1, version="test", pool=10_000, host=0, budget=0.9, salt=True)


@dataclass
class Plain:
    """Says what it is told; remembers the contexts that it was asked about."""

    name: str = "plain"
    seen: list[Context] = field(default_factory=list)

    def advise(self, context: Context, world: World) -> Advice | None:
        """Steps and seconds as they come."""
        self.seen.append(context)
        return Advice(steps=context.steps, remaining=context.wait, keep=30.0)


def of(hints: Iterable[Hint], kind: str) -> list[Hint]:
    return [hint for hint in hints if hint.subject.kind == kind]


@tool
async def search(query: str) -> str:
    """Look something up."""
    await command("true")
    return f"about {query}"


finder = Agent("finder", system="You find things.", tools=[search])
writer = Agent("writer", system="You write.")
editor = Agent("editor", system="You edit.")


@program
async def one_loop() -> str:
    return await finder("Find tea.")


@program
async def chain() -> str:
    draft = await writer("Write.")
    return await editor(draft)


async def test_a_tool_loop_is_told_step_by_step():
    """A session is told as running, then as waiting for its named tool one step away, then as ended."""
    policy = Plain()
    tool_runs = asyncio.Event()

    async def script(asked):
        return call("search", query="tea") if len(asked.messages) < 3 else say("Here.")

    @tool(name="search")
    async def slow(query: str) -> str:
        """Look something up."""
        await command("true")
        tool_runs.set()
        await server.until(lambda server: any(hint.tool for hint in server.hints))
        return "found"

    agent = Agent("finder", system="You find things.", tools=[slow])

    @program
    async def main() -> str:
        return await agent("Find tea.")

    async with ScriptedServer(script, takes=ABLE) as server:
        async with Runtime(SGLangExecutor(server.url), kv=policy) as runtime:
            result = await runtime.run(main)
        assert result.output == "Here."
        sessions = of(server.hints, "session")
        assert {hint.subject.name for hint in sessions} == {f"{result.id}/finder~1"}
        assert [hint.generation for hint in sessions] == sorted({hint.generation for hint in sessions})
        acting = next(hint for hint in sessions if hint.tool)
        assert (acting.tool, acting.steps) == ("search true", 1)
        assert sessions[-1].ended
        assert sum(hint.ended for hint in sessions) == 1


@program
async def warm_then_chain() -> str:
    await editor("Edit nothing.")
    draft = await writer("Write.")
    return await editor(draft)


async def test_the_next_agent_is_known_before_it_is_called():
    """While the first agent writes, the fixed prompt of the second is told as one step away, with its tokens."""

    def is_near(server: ScriptedServer) -> bool:
        return any(hint.subject.name == "editor" and hint.steps == 1 for hint in server.hints)

    async def script(asked):
        if asked.messages[0]["content"] == "You write.":
            await server.until(is_near)
        return say("Done.")

    async with ScriptedServer(script, takes=ABLE) as server:
        async with Runtime(SGLangExecutor(server.url), kv=Plain()) as runtime:
            await runtime.run(warm_then_chain)
        fixed = [hint for hint in of(server.hints, "agent") if hint.subject.name == "editor"]
        assert len([hint for hint in fixed if hint.prefix]) == 1
        assert fixed[-1].keep == 0, "the run is over: nothing is claimed for it any more"


async def test_how_many_turns_a_session_takes_is_learned():
    """A tool loop of two turns and a session of one are remembered, each by its agent."""

    async def script(asked):
        return call("search", query="tea") if len(asked.messages) == 2 and asked.body.get("tools") else say("Here.")

    @program
    async def both() -> str:
        await writer.session()("Write.")
        return await finder("Find tea.")

    async with (
        ScriptedServer(script) as server,
        Runtime(SGLangExecutor(server.url), kv=Plain(), estimates=None) as runtime,
    ):
        await runtime.run(both)
        assert runtime.desk is not None
        turns = runtime.desk.estimators.turns
    assert {(one, count) for one, _, _, counts in turns.dump() for count in counts} >= {
        ("finder", 2.0),
        ("writer", 1.0),
    }
    assert (turns.of("finder").samples, turns.of("writer").samples) == (1, 1)


async def test_a_failed_and_a_cancelled_run_end_their_sessions():
    """Sessions are told as ended also when the model refuses, or somebody cancels the run."""

    async def script(asked):
        await asyncio.Event().wait()

    async with ScriptedServer(script, takes=ABLE) as server:
        async with Runtime(SGLangExecutor(server.url), kv=Plain()) as runtime:
            run = runtime.start(chain)
            await server.until(lambda server: server.in_flight == 1)
            run.cancel()
            result = await run
            assert result.status == "cancelled"
            await server.until(lambda server: any(hint.ended for hint in server.hints))
        assert [hint.subject.name for hint in server.hints if hint.ended] == [f"{result.id}/writer~1"]


async def test_a_session_ends_when_it_is_closed_or_forgotten():
    """``close`` ends a session at once; so does dropping the last reference to it, but not before its turn is done."""

    @program
    async def main() -> list[str]:
        async with writer.session() as kept:
            first = await kept("One.")
        forgotten = writer.session()
        turn = forgotten("Two.")
        del forgotten
        second = await turn
        await server.until(lambda server: sum(hint.ended for hint in server.hints) >= 1)
        return [first, second]

    async with ScriptedServer(takes=ABLE) as server:
        async with Runtime(SGLangExecutor(server.url), kv=Plain()) as runtime:
            result = await runtime.run(main)
        assert result.status == "done", result.error
        assert [hint.subject.name.split("/")[1] for hint in server.hints if hint.ended] == ["writer~1", "writer~2"]


async def test_a_deaf_engine_costs_nothing_but_hints():
    """A server that refuses hints still answers every turn; the run ends as if none had been sent."""
    async with ScriptedServer(takes=ABLE) as server:
        server.deaf = 500
        async with Runtime(SGLangExecutor(server.url), kv=Plain()) as runtime:
            result = await runtime.run(chain)
    assert result.status == "done"
    assert not server.hints


async def test_a_broken_policy_costs_nothing_but_hints():
    """A policy that raises is logged and asked no more; the run goes on."""

    class Broken(Plain):
        def advise(self, context: Context, world: World) -> Advice | None:
            raise ZeroDivisionError

    async with ScriptedServer(takes=ABLE) as server, Runtime(SGLangExecutor(server.url), kv=Broken()) as runtime:
        result = await runtime.run(chain)
    assert result.status == "done"


async def test_stock_servers_are_told_nothing():
    """Without the plugin no hint is sent, and the policy is not even asked."""
    policy = Plain()
    async with ScriptedServer() as server, Runtime(SGLangExecutor(server.url), kv=policy) as runtime:
        result = await runtime.run(chain)
    assert result.status == "done"
    assert not policy.seen


async def test_the_tenant_travels_with_turns_and_hints():
    """Requests carry the tenant as their cache salt, hints as their tenant."""
    async with ScriptedServer(takes=ABLE) as server:
        runtime = Runtime(SGLangExecutor(server.url), kv=Plain(), tenant="acme")
        async with runtime:
            await runtime.run(chain)
    assert {asked.body["cache_salt"] for asked in server.requests} == {"acme"}
    assert {hint.tenant for hint in server.hints} == {"acme"}


@tool
async def fetch(gate: object) -> str:
    """Wait for the gate."""
    await gate.wait()
    return "x"


@tool
async def parse(gate: object) -> str:
    """Wait for the gate."""
    await gate.wait()
    return "y"


@program
async def two_branches(gate: object) -> list[str]:
    async def branch(near: bool) -> str:
        session = writer.session()
        await session("Begin.")
        if not near:
            await fetch(gate)
        await parse(gate)
        return await session("Go on.")

    return list(await asyncio.gather(branch(True), branch(False)))


async def test_branches_each_have_their_own_distance():
    """Of two branches of one loop, the one in its last tool is nearer to its turn than the one two tools away."""
    gate = asyncio.Event()

    def both_known(server: ScriptedServer) -> bool:
        return {(hint.subject.name[-1], hint.steps) for hint in server.hints} >= {("1", 1), ("2", 2)}

    async with ScriptedServer(takes=ABLE) as server, Runtime(SGLangExecutor(server.url), kv=Plain()) as runtime:
        run = runtime.start(two_branches, gate)
        await server.until(both_known)
        gate.set()
        result = await run
    assert result.status == "done", result.error
