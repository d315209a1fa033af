"""The executors against the real engine: both endpoints of SGLang, and the common protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from agentrt.engine import Engine
from agentrt.errors import PromptTooLong, Refused
from agentrt.executors import ConnectedExecutor, ModelExecutor, OpenAIExecutor, SGLangExecutor, connect
from agentrt.types import Message, ModelRequest, Sampling, ToolCall, ToolSpec

pytestmark = pytest.mark.engine

WEATHER = ToolSpec(
    "weather",
    "Tells the weather.",
    {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]},
)
CITY = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 20}, "size": {"enum": ["small", "big"]}},
    "required": ["name", "size"],
    "additionalProperties": False,
}


def make(kind: str, engine: Engine) -> OpenAIExecutor | SGLangExecutor | ConnectedExecutor:
    match kind:
        case "openai":
            return OpenAIExecutor(engine.url, api_key=engine.api_key)
        case "chat":
            return SGLangExecutor(engine.url, api_key=engine.api_key)
        case "native":
            return SGLangExecutor(engine.url, api_key=engine.api_key, endpoint="native")
        case _:
            return connect(engine.url, api_key=engine.api_key)


@pytest.fixture(params=["openai", "chat", "native", "connected"])
async def executor(request: pytest.FixtureRequest, engine: Engine) -> AsyncIterator[ModelExecutor]:
    made = make(request.param, engine)
    yield made
    await made.close()


def ask(text: str, tokens: int = 24, **more: object) -> ModelRequest:
    sampling = Sampling(max_tokens=tokens, temperature=0.0)
    return ModelRequest((Message("user", text),), sampling=sampling, **more)


async def test_an_answer_in_pieces(executor: ModelExecutor) -> None:
    """The model's answer comes in pieces that join to the text, with its tokens counted."""
    pieces: list[str] = []
    reply = await executor.execute(ask("What is the capital of France?", session="s1", priority=2), pieces.append)
    assert "Paris" in reply.text
    assert "".join(pieces) == reply.text
    assert len(pieces) > 2
    assert reply.usage.prompt > reply.usage.completion > 2
    assert reply.model


async def test_cached_tokens(executor: ModelExecutor) -> None:
    """A prompt sent again is cached but for its last token."""
    long = ask("Name the days of the week. " * 15, 1)
    first, second = await executor.execute(long), await executor.execute(long)
    assert second.usage.prompt == first.usage.prompt
    assert second.usage.cached >= first.usage.prompt - 1


async def test_the_endpoints_share_the_cache(engine: Engine) -> None:
    """What one endpoint computed the other finds: the prompts are the same token by token."""
    request = ModelRequest(
        (Message("system", "You sort shells. " * 20), Message("user", "Begin.")),
        tools=(WEATHER,),
        sampling=Sampling(max_tokens=1),
    )
    chat, native = make("chat", engine), make("native", engine)
    first, second = await chat.execute(request), await native.execute(request)
    await chat.close()
    await native.close()
    assert first.usage.prompt == second.usage.prompt
    assert second.usage.cached >= first.usage.prompt - 1


async def test_schema(executor: ModelExecutor) -> None:
    """A schema binds the reply."""
    reply = await executor.execute(ask("Describe Paris as JSON.", 200, schema=CITY))
    assert json.loads(reply.text).keys() == {"name", "size"}


async def test_a_required_tool_and_its_result(executor: ModelExecutor) -> None:
    """A required call comes back as one, and the context that holds its result is understood."""
    question = ask("How is the weather in Rome?", 60, tools=(WEATHER,), tool_choice="required")
    reply = await executor.execute(question)
    assert reply.finish in {"tool_calls", "length"}  # so small a model may go on calling
    assert {made.name for made in reply.tool_calls} == {"weather"}
    assert "city" in json.loads(reply.tool_calls[0].arguments)
    made = ToolCall("c1", "weather", '{"city": "Rome"}')
    told = (
        *question.messages,
        Message("assistant", "", (made,)),
        Message("tool", "sunny", tool_call_id="c1"),
    )
    after = await executor.execute(ModelRequest(told, tools=(WEATHER,), sampling=Sampling(max_tokens=2)))
    assert after.usage.prompt > reply.usage.prompt


async def test_a_prompt_too_long(executor: ModelExecutor) -> None:
    """A prompt beyond the context is told as such, with the sizes, and the next turn works."""
    with pytest.raises(PromptTooLong, match=r"the model takes \d+"):
        await executor.execute(ask("word " * 20_000))
    assert (await executor.execute(ask("Hello.", 2))).usage.completion <= 2


async def test_a_wrong_key(engine: Engine) -> None:
    """The engine's refusal says where the key comes from."""
    executor = connect(engine.url, api_key="wrong")
    with pytest.raises(Refused, match="AGENTRT_API_KEY"):
        await executor.execute(ask("Hello."))
    await executor.close()


async def running(engine: Engine) -> int:
    """How many requests the engine works on or holds waiting."""
    headers = {"Authorization": f"Bearer {engine.api_key}"}
    async with httpx.AsyncClient(base_url=engine.url, headers=headers, trust_env=False) as client:
        loads = (await client.get("/v1/loads")).json()["loads"]
    return sum(load["num_running_reqs"] + load["num_waiting_reqs"] for load in loads)


async def test_cancelling_stops_the_generation(executor: ModelExecutor, engine: Engine) -> None:
    """Cancelled turns are no longer generated: the engine has nothing to do long before they would have ended."""
    begun = asyncio.Event()
    story = ask("Tell me a very long story about the sea.", 1500)
    turns = [asyncio.create_task(executor.execute(story, lambda _: begun.set())) for _ in range(4)]
    await begun.wait()
    async with asyncio.timeout(20):
        while await running(engine) < len(turns):  # the engine tells its load with some delay
            pass
    assert not any(turn.done() for turn in turns)
    for turn in turns:
        turn.cancel()
    await asyncio.gather(*turns, return_exceptions=True)
    async with asyncio.timeout(10):  # 4 x 1,500 tokens would take far longer
        while await running(engine):
            pass


async def test_many_at_once(executor: ModelExecutor) -> None:
    """More turns than the engine runs at once all get their own answer."""
    questions = [ask(f"Repeat the number {n}.", 4) for n in range(40)]
    replies = await asyncio.gather(*(executor.execute(question) for question in questions))
    assert all(reply.usage.completion for reply in replies)
