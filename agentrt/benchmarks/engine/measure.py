"""Run the contenders in turns and keep what each round gave."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, cast

import httpx

from agentrt.engine import DEFAULT_MODEL, Engine, EngineSpec, environment, model, progress_for, start
from agentrt.kvcache.sglang.launch import SPIN_COUNT

MANY = 8
PROMPT_TOKENS = 32
POOL_TOKENS = 32768
VOCABULARY = range(300, 40000)
"""Token ids of the random prompts: no special tokens, no prompt twice, so nothing is cached by accident."""

Note = Callable[[str], None]
Round = dict[str, float]
"""Seconds, or tokens a second, by ``contender.measure``."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much to measure: ``cached`` tokens in the warm prompt, ``tokens`` decoded by each sequence."""

    rounds: int
    cached: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio of two measures and the bound it should keep: ``at_most`` or else at least ``bound``."""

    name: str
    over: str
    under: str
    bound: float
    at_most: bool

    def met(self, ratio: float) -> bool:
        """Whether ``ratio`` keeps the bound."""
        return ratio <= self.bound if self.at_most else ratio >= self.bound


TARGETS = (
    Target("warm prompt over cold", "agentrt.warm_s", "agentrt.cold_s", 0.05, at_most=True),
    Target("decode, 1 sequence, over transformers", "agentrt.one", "transformers.one", 1.2, at_most=False),
    Target(f"decode, {MANY} sequences over 1", "agentrt.many", "agentrt.one", 5.0, at_most=False),
)


@dataclass(frozen=True, slots=True)
class Result:
    """Everything one run found out."""

    sizes: Sizes
    environment: dict[str, object]
    rounds: list[Round]

    def median(self, measure: str) -> float | None:
        """The median of a measure over the rounds, or None when it was not taken."""
        values = [each[measure] for each in self.rounds if measure in each]
        return median(values) if values else None

    def ratio(self, over: str, under: str) -> float:
        """The median over the rounds of the ratio within each round."""
        return median(each[over] / each[under] for each in self.rounds)

    @property
    def met(self) -> bool:
        """Whether every target is met."""
        return all(target.met(self.ratio(target.over, target.under)) for target in TARGETS)


class Served:
    """A running engine, asked over HTTP with token ids so that no tokenizer is measured."""

    def __init__(self, engine: Engine, client: httpx.Client, ids: random.Random) -> None:
        self.engine, self.client, self.ids = engine, client, ids

    def prompt(self, tokens: int) -> list[int]:
        """Random token ids."""
        return self.ids.choices(VOCABULARY, k=tokens)

    def generate(self, prompt: list[int], tokens: int) -> float:
        """The seconds it took to generate exactly ``tokens`` greedily."""
        sampling = {"temperature": 0, "max_new_tokens": tokens, "ignore_eos": True}
        start = time.perf_counter()
        answer = self.client.post("/generate", json={"input_ids": prompt, "sampling_params": sampling})
        seconds = time.perf_counter() - start
        answer.raise_for_status()
        return seconds

    def reuse(self, cached: int) -> Round:
        """Measure a new prompt, then the same prompt and one more token."""
        prompt = self.prompt(cached)
        cold = self.generate(prompt, 1)
        return {"cold_s": cold, "warm_s": self.generate([*prompt, *self.prompt(1)], 1)}

    def decode(self, sequences: int, tokens: int) -> float:
        """Tokens a second, all sequences together."""
        prompts = [self.prompt(PROMPT_TOKENS) for _ in range(sequences)]
        start = time.perf_counter()
        with ThreadPoolExecutor(sequences) as pool:
            list(pool.map(partial(self.generate, tokens=tokens), prompts))
        return sequences * tokens / (time.perf_counter() - start)


class Peer:
    """transformers in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.about = self._answer()

    def decode(self, sequences: int, tokens: int) -> float:
        """Tokens a second, all sequences together."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"batch": sequences, "tokens": tokens}) + "\n")
        self.process.stdin.flush()
        return sequences * tokens / cast("float", self._answer()["seconds"])

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"transformers ended with status {self.process.wait()}; its output is above")
        return cast("dict[str, Any]", json.loads(line))


def measure(sizes: Sizes, *, stock: bool, note: Note) -> Result:
    """Start the contenders, run the rounds, end them. ``note`` takes a line about each thing done."""
    ids = random.Random()  # noqa: S311  (prompts, not secrets)
    with ExitStack() as stack:
        names = {"agentrt": "agentrt_cpu"} | ({"stock": "torch_native"} if stock else {})
        engines = {name: stack.enter_context(served(backend, ids)) for name, backend in names.items()}
        note("starting transformers")
        peer = stack.enter_context(transformers())
        turns: list[Callable[[], Round]] = [partial(take, name, each, sizes) for name, each in engines.items()]
        turns.append(partial(take_peer, peer, sizes))
        for turn in turns:
            turn()  # first requests pay for imports and first touches of memory
        rounds: list[Round] = []
        for number in range(sizes.rounds):
            note(f"round {number + 1} of {sizes.rounds}")
            order = turns[number % len(turns) :] + turns[: number % len(turns)]
            rounds.append({key: value for turn in order for key, value in turn().items()})
        return Result(sizes, machine() | peer.about, rounds)


def take(name: str, engine: Served, sizes: Sizes) -> Round:
    """Take one engine's turn."""
    found = engine.reuse(sizes.cached)
    found |= {"one": engine.decode(1, sizes.tokens), "many": engine.decode(MANY, sizes.tokens)}
    return {f"{name}.{measure}": value for measure, value in found.items()}


def take_peer(peer: Peer, sizes: Sizes) -> Round:
    """Take transformers' turn."""
    one, many = peer.decode(1, sizes.tokens), peer.decode(MANY, sizes.tokens)
    return {"transformers.one": one, "transformers.many": many}


@contextmanager
def served(backend: str, ids: random.Random) -> Iterator[Served]:
    """Run an engine with an attention backend for the time of the block."""
    spec = EngineSpec(device="cpu", max_total_tokens=POOL_TOKENS, extra={"attention_backend": backend})
    progress = progress_for()
    engine = start(spec, progress=progress)
    progress.close()
    headers = {"authorization": f"Bearer {engine.api_key}"}
    try:
        with httpx.Client(base_url=engine.url, headers=headers, timeout=600.0, trust_env=False) as client:
            yield Served(engine, client, ids)
    finally:
        engine.stop()


@contextmanager
def transformers() -> Iterator[Peer]:
    """Run transformers on the default model, with the engine's own Python, for the time of the block.

    Its threads wait as the engine's do: with PyTorch's own setting a busy machine slows it tenfold, and the ratio
    would measure that.
    """
    env = environment("cpu")
    folder = model(DEFAULT_MODEL, env).path
    script = Path(__file__).with_name("peer.py")
    with subprocess.Popen(
        [str(env.python), str(script), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"GOMP_SPINCOUNT": SPIN_COUNT, **os.environ},
    ) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()


def machine() -> dict[str, object]:
    """Describe the processor, without naming the machine."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {"cpu": names[0].partition(":")[2].strip() if names else "unknown", "cores": os.cpu_count()}
