"""Our part of the engine, seen from outside."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentrt.engine import Engine, EngineSpec
from agentrt.testing.engine import real_engine


def generate(engine: Engine, prompt: list[int] | str) -> dict[str, Any]:
    """Answer a prompt, given as token ids or as text, with four tokens."""
    answer = httpx.post(
        f"{engine.url}/generate",
        json={
            "text" if isinstance(prompt, str) else "input_ids": prompt,
            "sampling_params": {"temperature": 0, "max_new_tokens": 4},
            "return_logprob": True,
            "top_logprobs_num": 5,
        },
        headers={"authorization": f"Bearer {engine.api_key}"},
        timeout=120.0,
        trust_env=False,
    )
    return dict(answer.raise_for_status().json())


def first_token(answer: dict[str, Any]) -> object:
    """Return the five likeliest first tokens with their log-probabilities."""
    return answer["meta_info"]["output_top_logprobs"][0]


def some_prompt(seed: int, tokens: int) -> list[int]:
    return random.Random(seed).choices(range(300, 40000), k=tokens)


@pytest.mark.engine
def test_a_cached_prompt_gives_the_same_answer(engine: Engine) -> None:
    """A prompt whose prefix is cached is answered as it was when it was cold."""
    prompt = "Count: " + ", ".join(str(number) for number in range(1, 200))
    cold, warm = generate(engine, prompt), generate(engine, prompt)
    assert warm["meta_info"]["cached_tokens"] == warm["meta_info"]["prompt_tokens"] - 1
    assert warm["text"] == cold["text"]


@pytest.mark.engine
def test_the_key_is_in_no_log(engine: Engine) -> None:
    """The engine's log tells its settings but not its API key."""
    log = Path(engine.info.log).read_text()
    assert "server_args=" in log
    assert engine.api_key not in log


@pytest.mark.engine
def test_two_tiers() -> None:
    """What the first tier evicts comes back from the second, bit for bit: the next token is as likely."""
    spec = EngineSpec(device="cpu", max_total_tokens=3000, host_tier_ratio=4.0)
    with real_engine(spec) as engine:
        prompts = [some_prompt(seed, 780) for seed in range(6)]
        # twice each: a cold prompt is computed in another order, and rounds otherwise
        near = [[generate(engine, prompt) for _ in range(2)][1] for prompt in prompts]
        far = [generate(engine, prompt) for prompt in prompts]
    details = [each["meta_info"]["cached_tokens_details"] for each in far]
    assert sum(each.get("host", 0) for each in details) > 2000, details
    assert [first_token(each) for each in far] == [first_token(each) for each in near]
