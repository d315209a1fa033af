"""From a program's graph to the engine's cache, with nothing in between left out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator

import httpx
import pytest

from agentrt import Agent, RunResult, Runtime, program, tool
from agentrt.engine import Engine, EngineSpec
from agentrt.executors import SGLangExecutor
from agentrt.testing.engine import real_engine

WORDS = ["river", "stone", "apple", "cloud", "train", "garden", "window", "paper", "signal", "copper", "ladder"]

reader = Agent("reader", system="You read.", max_tokens=4, temperature=0)


@pytest.fixture(scope="module")
def small() -> Iterator[Engine]:
    """An engine whose cache holds three of the prompts below."""
    with real_engine(EngineSpec(device="cpu", max_total_tokens=3000)) as engine:
        yield engine


def text(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


@tool
async def flood(engine: object) -> str:
    """Have others use the engine while this tool runs."""
    assert isinstance(engine, Engine)
    headers = {"authorization": f"Bearer {engine.api_key}"}
    async with httpx.AsyncClient(base_url=engine.url, headers=headers, timeout=120, trust_env=False) as client:
        for seed in range(6):
            tokens = random.Random(seed).choices(range(300, 40000), k=700)
            body = {"input_ids": tokens, "sampling_params": {"temperature": 0, "max_new_tokens": 1}}
            (await client.post("/generate", json=body)).raise_for_status()
    return "done"


@program
async def interrupted(engine: object) -> str:
    async with reader.session() as session:
        await session(text(1, 600))
        await flood(engine)
        return await session("Go on.")


def turns(engine: Engine, kv: str) -> RunResult[str]:
    """Run the program on an empty cache."""
    httpx.post(f"{engine.url}/flush_cache", headers={"authorization": f"Bearer {engine.api_key}"}, trust_env=False)

    async def main() -> RunResult[str]:
        async with Runtime(SGLangExecutor(engine.url, api_key=engine.api_key), kv=kv, estimates=None) as runtime:
            return await runtime.run(interrupted, engine)

    return asyncio.run(main())


@pytest.mark.engine
def test_a_context_survives_its_tool(small: Engine) -> None:
    """While its tool runs others flood the engine: told of it, the engine keeps the context; not told, it does not."""
    told, untold = turns(small, "agentrt"), turns(small, "none")
    (_, after), (_, lost) = ([step.usage for step in one.steps if step.kind == "llm"] for one in (told, untold))
    assert after.cached > 0.9 * after.prompt - 20, after
    assert lost.cached < 0.5 * lost.prompt, lost


@pytest.mark.engine
def test_what_is_over_is_not_kept(small: Engine) -> None:
    """When the program has ended its context has no rank left, and nothing of it is protected."""
    turns(small, "agentrt")
    headers = {"authorization": f"Bearer {small.api_key}"}
    state = httpx.get(f"{small.url}/agentrt/kv", headers=headers, trust_env=False).raise_for_status().json()
    (ledger,) = state["schedulers"]
    assert (ledger["totals"]["valid"], ledger["totals"]["protected"]) == (0, 0)
    assert ledger["counts"]["accepted"] > 0
