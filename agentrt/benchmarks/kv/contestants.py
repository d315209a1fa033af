"""Who takes part: an engine's settings, and what the client does with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from agentrt.benchmarks.kv.faults import DELAY_S, Delayed, Dropped, Faulty, Random
from agentrt.errors import ConfigError
from agentrt.executors.hinting import HintChannel

Core: TypeAlias = Literal["rust", "python", "agentrt"]
"""The tree that the engine keeps its cache in: SGLang's two, and ours."""


@dataclass(frozen=True, slots=True)
class Engine:
    """How an engine differs from the others. ``server`` are fields of SGLang's ``ServerArgs``; ``tiers`` 2 adds a host
    tier; ``fronted`` puts ThunderAgent's proxy before it."""

    core: Core = "rust"
    server: Mapping[str, Any] = field(default_factory=dict)
    tiers: int = 1
    fronted: bool = False

    @property
    def key(self) -> str:
        """The same for contestants that can share an engine."""
        return json.dumps([self.core, dict(self.server), self.tiers, self.fronted], sort_keys=True)


@dataclass(frozen=True, slots=True)
class Contestant:
    """One column of the table.

    ``policy`` and ``admission`` are those of ``Runtime``. ``ranks``: requests carry a priority, larger for programs
    that came earlier. ``fault`` is put around the channel for hints.
    """

    name: str
    about: str
    engine: Engine = Engine()
    policy: str = "none"
    admission: bool = False
    ranks: bool = False
    fault: Callable[[HintChannel, int], Faulty] | None = None

    @property
    def stock(self) -> bool:
        """Whether it is SGLang as it comes, but for the CPU's kernels."""
        return self.engine.core != "agentrt" and not self.engine.fronted


def _stock(policy: str, **more: Any) -> Engine:
    return Engine(server={"radix_eviction_policy": policy, **more})


def _ours(name: str, about: str, **more: Any) -> Contestant:
    return Contestant(name, about, Engine("agentrt"), **more)


REFERENCE: Final = "lru"
TLRU: Final = "tlru"
THUNDERAGENT: Final = "thunderagent"

CONTESTANTS: Final = (
    Contestant(REFERENCE, "stock SGLang as it comes: LRU on the Rust tree"),
    Contestant("lru-python", "stock LRU on the Python tree", Engine("python")),
    Contestant("lru-lpm", "stock LRU, longest cached prefix scheduled first", _stock("lru", schedule_policy="lpm")),
    Contestant("lfu", "stock LFU", _stock("lfu")),
    Contestant("slru", "stock segmented LRU", _stock("slru")),
    Contestant(
        "priority",
        "stock priority eviction and scheduling; earlier programs first",
        _stock("priority", enable_priority_scheduling=True),
        ranks=True,
    ),
    Contestant(TLRU, "stock tail-optimised LRU", _stock("tlru")),
    Contestant(
        "session",
        "stock session radix cache; sessions closed when they end",
        Engine("rust", {"enable_session_radix_cache": True}),
        policy="agentrt",
    ),
    _ours("none", "our tree without hints or admission"),
    _ours("agentrt", "our policy and admission", policy="agentrt", admission=True),
    _ours("hints", "our policy without admission", policy="agentrt"),
    _ours("admission", "admission without hints", admission=True),
    _ours("kvflow", "KVFlow's policy, no admission", policy="kvflow"),
    _ours("continuum", "Continuum's policy, no admission", policy="continuum"),
    _ours("continuum-2s", "Continuum's public code, no admission", policy="continuum-2s"),
    _ours("saga", "SAGA's policy, no admission", policy="saga"),
    _ours("cachewise", "CacheWise's policy, no admission", policy="cachewise"),
    _ours("infercept", "InferCept's policy, no admission", policy="infercept"),
    _ours("dropped", "our policy, every hint lost", policy="agentrt", fault=Dropped),
    _ours("delayed", f"our policy, hints {DELAY_S:g} s late", policy="agentrt", fault=Delayed),
    _ours("random", "our policy, ranks drawn at random", policy="agentrt", fault=Random),
    Contestant(THUNDERAGENT, "ThunderAgent's proxy before stock LRU", Engine("rust", fronted=True)),
    Contestant("hicache", "stock HiCache: LRU and a host tier", Engine("rust", tiers=2)),
    Contestant("host-none", "our tree with a host tier, no hints", Engine("agentrt", tiers=2)),
    Contestant("host", "ours with a host tier", Engine("agentrt", tiers=2), policy="agentrt", admission=True),
    Contestant("host-hints", "ours with a host tier, no admission", Engine("agentrt", tiers=2), policy="agentrt"),
)
"""Everybody, the reference first."""


def named(names: str) -> tuple[Contestant, ...]:
    """The contestants of a comma-separated list, ``all`` for everybody but ThunderAgent; the reference is always in.

    Raises ``ConfigError`` for a name there is not.
    """
    known = {one.name: one for one in CONTESTANTS}
    wanted = (
        [name for name in known if name != THUNDERAGENT]
        if names == "all"
        else [name.strip() for name in names.split(",")]
    )
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ConfigError(f"no contestant is called {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    return tuple(one for one in CONTESTANTS if one.name in {REFERENCE, *wanted})
