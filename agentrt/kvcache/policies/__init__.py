"""From a context to advice, by name: ``policy("agentrt").advise(context, world)``. One small file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agentrt.errors import ConfigError
from agentrt.kvcache.policies.agentrt import Agentrt
from agentrt.kvcache.policies.base import Policy
from agentrt.kvcache.policies.cachewise import CacheWise
from agentrt.kvcache.policies.continuum import Continuum
from agentrt.kvcache.policies.continuum_2s import Continuum2s
from agentrt.kvcache.policies.infercept import InferCept
from agentrt.kvcache.policies.kvflow import KVFlow
from agentrt.kvcache.policies.none import Nothing
from agentrt.kvcache.policies.saga import Saga

DEFAULT: Final = "agentrt"
"""The policy that is used when none is named."""

POLICIES: Final[Mapping[str, Callable[[], Policy]]] = {
    "agentrt": Agentrt,
    "cachewise": CacheWise,
    "continuum": Continuum,
    "continuum-2s": Continuum2s,
    "infercept": InferCept,
    "kvflow": KVFlow,
    "none": Nothing,
    "saga": Saga,
}
"""Every policy by its name."""


def policy(name: str = DEFAULT) -> Policy:
    """The policy of that name. Raises ``ConfigError`` for one that is not there."""
    if name not in POLICIES:
        raise ConfigError(f"policy {name!r} is not known; choose one of {', '.join(POLICIES)}")
    return POLICIES[name]()


__all__ = ["DEFAULT", "POLICIES", "Policy", "policy"]
