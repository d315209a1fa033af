"""The engines of a benchmark: started with a tree and a policy, asked what they count, emptied between runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from agentrt.benchmarks.kv import thunderagent
from agentrt.benchmarks.kv.contestants import TLRU, Contestant
from agentrt.benchmarks.kv.contestants import Engine as Kind
from agentrt.engine import EngineSpec, start
from agentrt.errors import StartError
from agentrt.executors.chat import chat_message
from agentrt.types import Message

TREE: Final = "SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND"
EACH_GB: Final = 1.8
"""Main memory that an engine takes on a CPU, with the default model and a pool of a few thousand tokens."""
SPARE_GB: Final = 2.0
ON_A_GPU: Final = 2
"""Engines at once on a GPU, unless said otherwise: each holds the weights and a pool."""
FLUSH_S: Final = 60.0
WARM_PROMPT: Final = range(1000, 1500)
WARM_REPLY: Final = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """What all engines of a benchmark have in common; ``scale`` is the working set by which ``tlru`` is set.

    ``thunderagent`` is a checkout of it, ``time_scale`` the stretch of its intervals.
    """

    device: str
    model: str
    context_length: int
    scale: int
    extra: Mapping[str, Any] = field(default_factory=dict)
    thunderagent: Path | None = None
    time_scale: float = 1.0

    def spec(self, kind: Kind, pool: int, host: float) -> EngineSpec:
        """What to start for one kind of engine."""
        server = {"enable_metrics": True, **self.extra, **kind.server}
        if server.get("radix_eviction_policy") == TLRU:
            server["radix_eviction_policy_config"] = {
                "threshold": max(2, self.scale // 64),
                "next_prompt_estimate": max(1, self.scale // 160),
            }
        return EngineSpec(
            model=self.model,
            device=self.device,
            max_total_tokens=pool,
            context_length=self.context_length,
            host_tier_ratio=host if kind.tiers == 2 else None,
            extra=server,
        )


class Address(Protocol):
    """Where an engine answers: what ``agentrt.engine.Engine`` says of itself."""

    @property
    def url(self) -> str:
        """Without a path."""
        ...

    @property
    def api_key(self) -> str:
        """What requests carry."""
        ...

    @property
    def model(self) -> str:
        """What requests call its model."""
        ...

    def exit_story(self) -> str | None:
        """How it ended, ``None`` while it runs."""
        ...


class Served:
    """One running engine and what is asked of it outside of runs.

    ``session`` is the one of its processes, ``log`` the file that they write to, ``front`` the address of a proxy
    before it that programs use.
    """

    def __init__(
        self, engine: Address, client: httpx.Client, *, session: int = 0, log: str = "", front: str = ""
    ) -> None:
        self.engine = engine
        self.front = front
        self.session = session
        self.log = log
        self._client = client
        self._fixed: dict[Message, int] = {}

    def flush(self) -> None:
        """Empty the cache, once nothing runs. Raises ``StartError`` when the engine does not get idle."""
        answer = self._client.post("/flush_cache", params={"timeout": FLUSH_S})
        if answer.status_code != 200:
            raise StartError(f"the engine's cache could not be emptied: {answer.text.strip()}", log_tail="")

    def warm(self) -> None:
        """Have it answer a longer prompt once: first requests pay for imports and first touches of memory."""
        sampling = {"temperature": 0, "max_new_tokens": WARM_REPLY, "ignore_eos": True}
        body = {"input_ids": list(WARM_PROMPT), "sampling_params": sampling}
        self._client.post("/generate", json=body).raise_for_status()

    def counters(self) -> dict[str, float]:
        """Every sample of ``/metrics`` about the cache, summed over labels that tell processes apart."""
        answer = self._client.get("/metrics")
        return read_metrics(answer.text) if answer.status_code == 200 else {}

    def hint_seconds(self) -> float:
        """How long the schedulers were busy with hints so far, as our plugin tells; 0 for a stock engine."""
        answer = self._client.get("/agentrt/kv")
        if answer.status_code != 200:
            return 0.0
        return float(sum(one.get("spent", 0.0) for one in answer.json()["schedulers"]))

    def fixed(self, system: Message) -> int:
        """How many tokens all prompts have in common that begin with this system message."""
        if system not in self._fixed:
            one, other = (self._tokens((system, Message("user", word))) for word in ("a", "Zebra"))
            same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
            self._fixed[system] = same
        return self._fixed[system]

    def _tokens(self, messages: Sequence[Message]) -> list[int]:
        body = {"model": self.engine.model, "messages": [chat_message(one) for one in messages]}
        answer = self._client.post("/v1/tokenize", json=body)
        answer.raise_for_status()
        return list(answer.json()["tokens"])


def read_metrics(text: str) -> dict[str, float]:
    """Samples in Prometheus' text format whose name speaks of the cache, tokens, or the scheduler, summed by name and
    by our own labels."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name, _, value = line.rpartition(" ")
        bare, _, labels = name.partition("{")
        kept = [one for one in labels.rstrip("}").split(",") if one.startswith(_KEPT_LABELS)]
        if not bare.endswith(_LEFT_OUT) and any(word in bare for word in _KEPT):
            key = bare + ("{" + ",".join(kept) + "}" if kept else "")
            found[key] = found.get(key, 0.0) + float(value)
    return found


_KEPT: Final = ("evict", "load_back", "cache", "agentrt", "token_usage", "prompt_tokens", "retract", "prefetch")
_KEPT_LABELS: Final = ("outcome=", "tier=", "class=", "cache_source=")
_LEFT_OUT: Final = ("_bucket", "_created")


@contextmanager
def served(
    kinds: Sequence[Kind], setting: Setting, pool: int, host: float, tell: Callable[[str], None]
) -> Iterator[dict[str, Served]]:
    """Run one engine of each kind for the time of the block; by ``Engine.key``."""
    with ExitStack() as stack:
        found: dict[str, Served] = {}
        for kind in kinds:
            tell(f"starting {kind.core} {kind.server.get('radix_eviction_policy', '')} with {pool:,} tokens")
            found[kind.key] = _served(kind, setting, pool, host, stack)
        yield found


def _served(kind: Kind, setting: Setting, pool: int, host: float, stack: ExitStack) -> Served:
    """One engine of that kind, which ends with the stack, and the proxy before it."""
    with _tree(kind.core):
        engine = start(setting.spec(kind, pool, host))
    stack.callback(engine.stop)
    headers = {"authorization": f"Bearer {engine.api_key}"}
    client = httpx.Client(base_url=engine.url, headers=headers, timeout=2 * FLUSH_S, trust_env=False)
    front = ""
    if kind.fronted:
        assert setting.thunderagent is not None  # without a checkout it takes no part
        checkout, device = setting.thunderagent, engine.info.device
        front = stack.enter_context(
            thunderagent.proxy(checkout, engine.url, engine.api_key, device, setting.time_scale)
        )
    return Served(engine, stack.enter_context(client), session=engine.info.pid, log=engine.info.log, front=front)


@contextmanager
def _tree(core: str) -> Iterator[None]:
    """Engines started inside keep their cache in this tree."""
    before = os.environ.get(TREE)
    os.environ[TREE] = core
    try:
        yield
    finally:
        if before is None:
            del os.environ[TREE]
        else:
            os.environ[TREE] = before


def batches(contestants: Sequence[Contestant], together: int) -> list[tuple[Contestant, ...]]:
    """The contestants in groups that need at most ``together`` engines each, the first contestant in every group."""
    first, *others = contestants
    groups: list[list[Contestant]] = [[first]]
    for one in others:
        keys = {each.engine.key for each in groups[-1]} | {one.engine.key}
        if len(keys) > max(2, together):
            groups.append([first])
        groups[-1].append(one)
    return [tuple(group) for group in groups]


def room_for(device: str) -> int:
    """How many engines the machine has room for now."""
    if device == "cuda":
        return ON_A_GPU
    lines = Path("/proc/meminfo").read_text().splitlines()
    free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    return max(1, int((free / 2**20 - SPARE_GB) / EACH_GB))


def kinds_of(contestants: Sequence[Contestant]) -> list[Kind]:
    """The different engines that these contestants need, in their order."""
    return list({one.engine.key: one.engine for one in contestants}.values())
