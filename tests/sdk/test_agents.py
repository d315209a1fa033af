"""Agents: prompts, structured output, tool loops, sessions, streaming."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel, Field

from agentrt import Agent, Runtime, program, step, tool
from agentrt.errors import ConfigError, GraphError, OutputError, StepTimeout, TurnLimit, Unreachable
from agentrt.events import StepRetried, StepText
from agentrt.testing import (
    Asked,
    Reply,
    ScriptedServer,
    break_off,
    call,
    calls,
    hang,
    refuse,
    say,
    say_json,
)

from .conftest import served


class Paragraph(BaseModel):
    title: str
    words: int = Field(ge=1)


def texts(asked: Asked) -> list[tuple[str, str]]:
    """The messages of a request, as (role, text)."""
    return [(message["role"], message["content"]) for message in asked.messages]


async def test_an_agent_joins_its_parts_into_one_prompt() -> None:
    """Text stays text, lists become lines, models JSON; handles are waited for; the fixed prompt comes first."""

    @step
    async def facts() -> list[str]:
        return ["otters swim", "otters eat"]

    writer = Agent("writer", system="You write.")

    @program
    async def main() -> str:
        return await writer("About otters", facts(), Paragraph(title="T", words=3), 7)

    async with served([say("fine")]) as (server, runtime):
        result = await runtime.run(main)
    assert result.output == "fine"
    (asked,) = server.requests
    assert texts(asked) == [
        ("system", "You write."),
        ("user", 'About otters\n\notters swim\notters eat\n\n{"title":"T","words":3}\n\n7'),
    ]


async def test_tokens_are_counted_per_step_and_per_run() -> None:
    """What the server says of prompt, cached and completion tokens is on the step and adds up in the run."""
    writer = Agent("writer", system="a fixed prompt of six words")

    @program
    async def main() -> None:
        await writer("one")
        await writer("one two")

    async with served([say("ok"), say("ok", " then")]) as (_, runtime):
        result = await runtime.run(main)
    first, second = result.steps
    assert first.usage.cached == 0
    assert second.usage.cached > 0
    assert second.usage.completion == 2
    assert result.usage == first.usage + second.usage


async def test_an_answer_becomes_a_value_of_the_output_type() -> None:
    """The server is given the schema, the reply comes back as the model, also out of a fence."""
    writer = Agent("writer", output=Paragraph)
    lister = Agent("lister", output=list[int])

    @program
    async def main() -> tuple[Paragraph, list[int]]:
        return await writer("x"), await lister("y")

    replies = [say_json({"title": "T", "words": 2}), say("```json\n[1, 2]\n```")]
    async with served(replies) as (server, runtime):
        output = (await runtime.run(main)).output
    assert output == (Paragraph(title="T", words=2), [1, 2])
    assert server.requests[0].schema == Paragraph.model_json_schema()


async def test_a_misfit_is_asked_for_again_with_what_was_wrong() -> None:
    """The model sees its reply and the problem; the tokens of every attempt count."""
    writer = Agent("writer", output=Paragraph)

    @program
    async def main() -> Paragraph:
        return await writer("x")

    async with served([say("no json"), say_json({"title": "T", "words": 1})]) as (server, runtime):
        result = await runtime.run(main)
    assert result.output.title == "T"
    again = texts(server.requests[1])
    assert again[-2] == ("assistant", "no json")
    assert "does not fit" in again[-1][1]
    assert result.steps[0].usage.completion > 2


async def test_a_reply_that_never_fits_is_an_error_with_the_reply() -> None:
    """After all retries the error names the agent, the problem and the reply, and keeps the reply."""
    writer = Agent("writer", output=Paragraph, output_retries=1)

    @program
    async def main() -> Paragraph:
        return await writer("x")

    async with served([say("nope"), say_json({"title": "T", "words": 0})]) as (_, runtime):
        result = await runtime.run(main)
    cause = result.error.__cause__  # type: ignore[union-attr]
    assert isinstance(cause, OutputError)
    assert cause.reply == '{"title": "T", "words": 0}'
    assert "the reply is no Paragraph after 2 attempts: words: Input should be greater than or equal to 1" in str(cause)


async def test_a_cut_off_reply_says_so() -> None:
    """A reply that ended at max_tokens is told apart from one that is wrong."""
    writer = Agent("writer", output=Paragraph, output_retries=0, max_tokens=3)

    @program
    async def main() -> Paragraph:
        return await writer("x")

    async with served([say('{"title": "T', finish="length")]) as (_, runtime):
        result = await runtime.run(main)
    assert "raise max_tokens" in str(result.error)


async def test_tools_of_one_reply_run_side_by_side_each_its_own_step() -> None:
    """Both calls wait for each other; the loop goes on with their results and ends with the answer."""
    both = asyncio.Barrier(2)

    @tool
    async def look(place: str) -> str:
        """Look at a place."""
        await both.wait()
        return f"seen {place}"

    scout = Agent("scout", tools=[look])

    @program
    async def main() -> str:
        return await scout("go")

    replies = [calls(("look", {"place": "a"}), ("look", {"place": "b"})), say("done")]
    async with served(replies) as (server, runtime):
        result = await runtime.run(main)
    assert result.output == "done"
    assert [(record.id, record.kind) for record in result.steps] == [
        ("scout#1", "agent"),
        ("scout#1/scout.turn#1", "llm"),
        ("scout#1/look#1", "tool"),
        ("scout#1/look#2", "tool"),
        ("scout#1/scout.turn#2", "llm"),
    ]
    assert ("scout#1/look#1", "scout#1/scout.turn#2") in result.edges
    assert ("scout#1/scout.turn#1", "scout#1/look#1") in result.edges
    last = server.requests[1].messages
    results = [message for message in last if message["role"] == "tool"]
    assert [message["content"] for message in results] == ["seen a", "seen b"]
    assert [message["tool_call_id"] for message in results] == [made["id"] for made in last[1]["tool_calls"]]


async def test_what_goes_wrong_with_a_tool_is_told_to_the_model() -> None:
    """Unknown tools, misfit arguments and exceptions become messages; the run goes on."""

    @tool
    async def half(n: int) -> float:
        """Halve."""
        if n == 0:
            raise ValueError("zero")
        return n / 2

    agent = Agent("agent", tools=[half])

    @program
    async def main() -> str:
        return await agent("go")

    replies = [calls(("halve", {}), ("half", {"n": "many"}), ("half", {"n": 0}), ("half", {"n": 4})), say("ok")]
    async with served(replies) as (server, runtime):
        result = await runtime.run(main)
    assert result.output == "ok"
    told = [message["content"] for message in server.requests[1].messages if message["role"] == "tool"]
    assert told[0] == "error: there is no tool 'halve'; there are: half"
    assert told[1].startswith("error: tool 'half': the arguments")
    assert "n: Input should be a valid integer" in told[1]
    assert told[2] == "error: ValueError: zero"
    assert told[3] == "2.0"


async def test_the_loop_is_bounded() -> None:
    """A model that never stops calling tools ends with an error that names the bound."""

    @tool
    async def again() -> str:
        """Again."""
        return "more"

    agent = Agent("agent", tools=[again], max_turns=3)

    @program
    async def main() -> str:
        return await agent("go")

    async with served(lambda asked: call("again")) as (server, runtime):
        result = await runtime.run(main)
    assert isinstance(result.error.__cause__, TurnLimit)  # type: ignore[union-attr]
    assert "after 3 turns" in str(result.error)
    assert len(server.requests) == 3


async def test_tool_use_and_output_steer_what_the_server_is_asked_for() -> None:
    """``once`` requires a tool first and forbids it later; the schema waits until tools are out of the way."""

    @tool
    async def look() -> str:
        """Look."""
        return "x"

    agent = Agent("agent", tools=[look], tool_use="once", output=Paragraph)

    @program
    async def main() -> Paragraph:
        return await agent("go")

    async with served([call("look"), say_json({"title": "T", "words": 1})]) as (server, runtime):
        assert (await runtime.run(main)).status == "done"
    first, second = server.requests
    assert (first.body["tool_choice"], first.schema) == ("required", None)
    assert second.body.get("tool_choice", "none") == "none"
    assert second.schema is not None


async def test_a_session_grows_turn_by_turn() -> None:
    """Turns called at once run in order, each seeing all before it; a fork goes its own way."""
    talker = Agent("talker", system="S")

    @program
    async def main() -> list[str]:
        chat = talker.session()
        first, second = chat("one"), chat("two")
        other = await chat.fork()
        third, fourth = chat("three"), other("drei")
        return [await first, await second, await third, await fourth]

    async with served(lambda asked: say(f"re {asked.last}")) as (server, runtime):
        result = await runtime.run(main)
    assert result.output == ["re one", "re two", "re three", "re drei"]
    longest = [texts(asked) for asked in server.requests if asked.last in ("three", "drei")]
    for said in longest:
        assert said[:5] == [
            ("system", "S"),
            ("user", "one"),
            ("assistant", "re one"),
            ("user", "two"),
            ("assistant", "re two"),
        ]
    assert ("talker#1", "talker#2") in result.edges


async def test_a_session_goes_on_after_a_failed_turn() -> None:
    """What failed is not in the context; the next turn continues from what was said before."""
    talker = Agent("talker", retries=0)

    @program
    async def main() -> str:
        chat = talker.session()
        with pytest.raises(Exception, match="teapot"):
            await chat("bad")
        return await chat("good")

    async with served([refuse(418, "teapot"), say("fine")]) as (server, runtime):
        assert (await runtime.run(main)).output == "fine"
    assert texts(server.requests[1]) == [("user", "good")]


async def test_text_streams_while_it_is_written() -> None:
    """The program reads the first piece before the last one exists; observers see every piece."""
    gate = asyncio.Event()
    seen: list[str] = []
    events: list[Any] = []
    writer = Agent("writer")

    @program
    async def main() -> str:
        answer = writer("x")
        async for piece in answer.stream():
            seen.append(piece)
            gate.set()
        return await answer

    async with ScriptedServer([say("first ", gate, "second")]) as server:
        from agentrt.executors import OpenAIExecutor

        async with Runtime(OpenAIExecutor(server.url), observers=[events.append]) as runtime:
            result = await runtime.run(main)
    assert result.output == "".join(seen) == "first second"
    assert "".join(event.text for event in events if isinstance(event, StepText)) == "first second"


async def test_passing_troubles_of_the_server_are_retried() -> None:
    """A 503 and a broken connection are tried again, a 400 is not."""
    writer = Agent("writer", backoff=0.001)
    events: list[Any] = []

    @program
    async def main() -> str:
        return await writer("x")

    replies = [refuse(503, "busy"), break_off("half a "), say("whole")]
    async with served(replies, observers=[events.append]) as (server, runtime):
        assert (await runtime.run(main)).output == "whole"
    assert len(server.requests) == 3
    assert sum(isinstance(event, StepRetried) for event in events) == 2
    async with served([refuse(400, "bad field")]) as (server, runtime):
        assert "bad field" in str((await runtime.run(main)).error)
    assert len(server.requests) == 1


async def test_cancelling_a_run_ends_its_requests_at_the_server() -> None:
    """Nothing is in flight when the result is there, and the server saw the client go."""
    writer = Agent("writer")

    @program
    async def main() -> None:
        await asyncio.gather(*(writer(str(n)) for n in range(5)))

    async with served(lambda asked: hang("a ")) as (server, runtime):
        run = runtime.start(main)
        await server.until(lambda s: s.in_flight == 5)
        run.cancel()
        assert (await run).status == "cancelled"
        await server.until(lambda s: s.in_flight == 0)
        assert len(server.cancelled) == 5


async def test_a_step_timeout_ends_the_request() -> None:
    """A model that hangs is a time-out of the step, and the server sees the client go."""
    writer = Agent("writer", timeout=0.05, retries=0)

    @program
    async def main() -> str:
        return await writer("x")

    async with served(lambda asked: hang()) as (server, runtime):
        result = await runtime.run(main)
        await server.until(lambda s: s.in_flight == 0)
    assert isinstance(result.error.__cause__, StepTimeout)  # type: ignore[union-attr]


async def test_limits_hold_for_the_model() -> None:
    """``limits={"llm": 2}`` sends two turns at a time."""
    writer = Agent("writer")
    pair = asyncio.Barrier(2)

    async def together(asked: Asked) -> Reply:
        await pair.wait()
        return say("ok")

    @program
    async def main() -> None:
        await asyncio.gather(*(writer(str(n)) for n in range(20)))

    async with served(together, limits={"llm": 2}) as (server, runtime):
        assert (await runtime.run(main)).status == "done"
        assert server.peak == 2


async def test_a_server_that_is_not_there_is_named() -> None:
    """The run fails with the address and the step."""
    from agentrt.executors import OpenAIExecutor

    writer = Agent("writer", retries=0)

    @program
    async def main() -> str:
        return await writer("x")

    async with ScriptedServer() as server:
        url = server.url
    async with Runtime(OpenAIExecutor(url, model="m")) as runtime:
        result = await runtime.run(main)
    assert isinstance(result.error.__cause__, Unreachable)  # type: ignore[union-attr]
    assert url in str(result.error)
    assert "writer#1" in str(result.error)


async def test_an_unknown_model_name_lists_those_there_are() -> None:
    """An agent of another executor is a mistake in the set-up, said as such."""
    writer = Agent("writer", model="big")

    @program
    async def main() -> str:
        return await writer("x")

    async with served() as (_, runtime):
        result = await runtime.run(main)
    assert "no model executor is called 'big' (there are: default)" in str(result.error)


@pytest.mark.parametrize(
    ("options", "error", "expected"),
    [
        ({"max_turns": 0}, ConfigError, "max_turns=0"),
        ({"temperature": -1}, ConfigError, "temperature=-1"),
        ({"max_tokens": 0}, ConfigError, "max_tokens=0"),
        ({"tool_use": "sometimes"}, ConfigError, "'sometimes': expected 'auto', 'first' or 'once'"),
        ({"sytem": "typo"}, ConfigError, "no option sytem"),
        ({"tools": [print]}, GraphError, "is no tool; decorate the function with @tool"),
    ],
)
def test_bad_agents_are_refused(options: Any, error: type[Exception], expected: str) -> None:
    """A wrong definition fails where it is written, naming the value and what is possible."""
    with pytest.raises(error, match=expected):
        Agent("agent", **options)


def test_two_tools_of_one_name_are_refused() -> None:
    """A model could not tell them apart."""

    @tool(name="look")
    async def one() -> None: ...

    @tool(name="look")
    async def two() -> None: ...

    with pytest.raises(GraphError, match="two tools are called 'look'"):
        Agent("agent", tools=[one, two])
