"""What one engine says of its KV cache over time: the fold of its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

MOST_POINTS: Final = 600
"""Points of a series; when there are more, every other one goes, and the next stand further apart."""

_GAUGES: Final = (
    ("tiers", "device", "locked"),
    ("tiers", "device", "kept"),
    ("tiers", "device", "evictable"),
    ("tiers", "device", "free"),
    ("tiers", "host", "used"),
    ("requests", "running"),
    ("requests", "queued"),
)
_COUNTERS: Final = (
    ("counts", "evicted", "device", "ended"),
    ("counts", "evicted", "device", "unhinted"),
    ("counts", "evicted", "device", "hinted"),
    ("counts", "prefetched"),
    ("counts", "prefetched_in_vain"),
    ("counts", "loaded"),
    ("counts", "prompt"),
    ("counts", "cached"),
)


class EnginePoint(NamedTuple):
    """An engine at one moment, ``at`` seconds after the run began; all but the requests are tokens.

    The device tier is made up of ``locked`` (running requests hold it), ``kept`` (hints keep it), ``evictable`` and
    ``free``; ``host`` is what lies in the host tier. ``running`` and ``queued`` count requests, of all runs. The rest
    has happened since the run's first sample, for all runs of that engine: evicted from the device by standing
    (``ended``, ``unhinted``, ``hinted``), ``prefetched`` from the host before a request came and of that ``in_vain``,
    ``loaded`` while one waited, ``prompt`` tokens of all requests and those of them that were ``cached``.
    """

    at: float
    locked: int
    kept: int
    evictable: int
    free: int
    host: int
    running: int
    queued: int
    ended: int
    unhinted: int
    hinted: int
    prefetched: int
    in_vain: int
    loaded: int
    prompt: int
    cached: int

    @property
    def evicted(self) -> int:
        """Tokens evicted from the device."""
        return self.ended + self.unhinted + self.hinted


class Timed(Protocol):
    """What happened or was so at a moment, in seconds since the run began."""

    @property
    def at(self) -> float:
        """The moment."""
        ...


P = TypeVar("P", bound=Timed)


class Series(Generic[P]):
    """Points over time, in order, at most ``most`` of them: old ones thin out, the newest is always the last."""

    def __init__(self, most: int = MOST_POINTS) -> None:
        self.points: list[P] = []
        self._most = most
        self._spacing = 0.0
        self._begun = 0.0

    def add(self, point: P) -> None:
        """The newest point; it takes the place of one that is very near."""
        if self.points and point.at <= self._begun + self._spacing:
            self.points[-1] = point
            return
        self._begun = point.at
        self.points.append(point)
        if len(self.points) > self._most:
            self.points = self.points[::-2][::-1]
            self._spacing = 2 * (point.at - self.points[0].at) / self._most


@dataclass(slots=True)
class Scheduler:
    """One scheduler process of an engine: its newest gauges, its counters as it said them, and what was added since."""

    pool: int = 0
    host: int = 0
    gauges: list[int] = field(default_factory=lambda: [0] * len(_GAUGES))
    said: list[int] | None = None
    added: list[int] = field(default_factory=lambda: [0] * len(_COUNTERS))

    def take(self, state: Mapping[str, Any]) -> None:
        """Take its newest answer. Counters that go back are those of an engine that was started anew."""
        self.pool, self.host = number(state, "pool"), number(state, "host")
        self.gauges = [number(state, *path) for path in _GAUGES]
        said = [number(state, *path) for path in _COUNTERS]
        if self.said is not None:
            self.added = [
                total + (now - before if now >= before else now)
                for total, now, before in zip(self.added, said, self.said, strict=True)
            ]
        self.said = said


class EngineView:
    """One model's engine as its samples tell it. ``at`` is when the newest was taken; ``full`` says whether it tells
    how full its tiers are; ``budget`` is the share of each that hints may keep."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.at = 0.0
        self.budget = 0.0
        self.full = False
        self.series: Series[EnginePoint] = Series()
        self._schedulers: dict[int, Scheduler] = {}

    @property
    def pool(self) -> int:
        """The device tier, in tokens."""
        return sum(one.pool for one in self._schedulers.values())

    @property
    def host(self) -> int:
        """The host tier, in tokens; 0 without one."""
        return sum(one.host for one in self._schedulers.values())

    @property
    def now(self) -> EnginePoint | None:
        """The newest sample."""
        return self.series.points[-1] if self.series.points else None

    def take(self, at: float, state: Mapping[str, Any]) -> None:
        """One scheduler's answer."""
        self.at, self.full = at, "tiers" in state
        budget = state.get("budget")
        self.budget = float(budget) if isinstance(budget, (int, float)) else 0.0
        self._schedulers.setdefault(number(state, "replica"), Scheduler()).take(state)
        every = self._schedulers.values()
        gauges = [sum(parts) for parts in zip(*(one.gauges for one in every), strict=True)]
        added = [sum(parts) for parts in zip(*(one.added for one in every), strict=True)]
        self.series.add(EnginePoint(at, *gauges, *added))


def number(state: object, *path: str) -> int:
    """The whole number at a path of a JSON object; 0 where there is none."""
    for name in path:
        state = state.get(name) if isinstance(state, Mapping) else None
    return int(state) if isinstance(state, (int, float)) else 0
