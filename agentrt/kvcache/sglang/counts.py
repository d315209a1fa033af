"""What has happened to hints and tokens since the engine started: numbers for those who watch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Tier: TypeAlias = Literal["device", "host"]
"""Where KV lies: the pool that the model computes on, and main memory behind it."""

Standing: TypeAlias = Literal["ended", "unhinted", "hinted"]
"""How the hints stand to a node, in the order of eviction: ``ended``, only contexts that never come back hold it;
``unhinted``, no valid hint covers it or the budget has no room for it; ``hinted``, it keeps a rank."""

TIERS: Final[tuple[Tier, ...]] = ("device", "host")
STANDINGS: Final[tuple[Standing, ...]] = ("ended", "unhinted", "hinted")


def _nothing() -> dict[Tier, dict[Standing, int]]:
    return {tier: dict.fromkeys(STANDINGS, 0) for tier in TIERS}


@dataclass(slots=True)
class Counts:
    """Counters of hints and of tokens; ``protected`` alone is a gauge.

    ``accepted``, ``ignored`` (not newer than the last one on its subject, or unreadable), ``clipped`` (accepted, and
    the budget had no room for all of it) and ``expired`` count hints; ``forgotten`` counts subjects dropped for
    want of room. ``evicted`` counts tokens by tier and standing, ``protected`` those that hold a rank on the device
    now. ``prefetched`` counts tokens loaded from the host tier because a hint asked, ``prefetched_in_vain`` those of
    them that were evicted before any request used them, ``loaded`` those that a request had to wait for. ``prompt``
    counts the tokens of all prompts that were admitted, whoever sent them, ``cached`` those of them that needed no
    computing; a prompt that was pushed out and came in again counts once.
    """

    accepted: int = 0
    ignored: int = 0
    clipped: int = 0
    expired: int = 0
    forgotten: int = 0
    protected: int = 0
    evicted: dict[Tier, dict[Standing, int]] = field(default_factory=_nothing)
    prefetched: int = 0
    prefetched_in_vain: int = 0
    loaded: int = 0
    prompt: int = 0
    cached: int = 0
