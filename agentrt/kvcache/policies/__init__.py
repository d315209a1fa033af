"""From a context to advice, by name: ``policy("agentrt").advise(context, world)``. One small file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from agentrt.errors import ConfigError
from agentrt.kvcache.policies.base import Policy
from agentrt.kvcache.policies.none import Nothing

POLICIES: Final[Mapping[str, Callable[[], Policy]]] = {
    "none": Nothing,
}
"""Every policy by its name."""


def policy(name: str) -> Policy:
    """The policy of that name. Raises ``ConfigError`` for one that is not there."""
    if name not in POLICIES:
        raise ConfigError(f"policy {name!r} is not known; there are {', '.join(POLICIES)}")
    return POLICIES[name]()


__all__ = ["POLICIES", "Policy", "policy"]
