"""The times in which a folder was worked on: a benchmark that is stopped and gone on with has several."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from agentrt.benchmarks.harness import meter


@dataclass(frozen=True, slots=True)
class Sitting:
    """One process that worked on a folder, up to the last entry that it finished.

    ``began`` is seconds since the epoch, ``seconds`` how long, ``own_s`` the CPU time of the process that runs the
    programs, which is what the harness costs at most, ``engine_s`` that of an engine on this machine, ``others`` the
    share of the machine that neither had, from 0 to 1. ``steps`` counts those of the ``finished`` entries. ``kv`` is
    what the engine counted meanwhile, where it tells: ``prompt`` and ``cached`` tokens, ``behind`` those of them that
    came from the tier behind its pool.
    """

    began: float
    seconds: float = 0.0
    own_s: float = 0.0
    engine_s: float = 0.0
    others: float = 0.0
    finished: int = 0
    steps: int = 0
    kv: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One element of ``sittings.json``."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**{one.name: told[one.name] for one in fields(cls) if one.name in told})


class Clock:
    """Measures a sitting that goes on. ``session`` is that of an engine on this machine, 0 for none."""

    def __init__(self, session: int, counts: Mapping[str, int]) -> None:
        self._session = session
        self._counts = dict(counts)
        self._wall = time.time()
        self._before, self._own = meter.read(session), cpu_s()
        self._entries = self._steps = 0

    @property
    def seconds(self) -> float:
        """How long it goes on."""
        return time.monotonic() - self._before.wall

    def finished(self, steps: int) -> None:
        """Another entry is, of so many steps."""
        self._entries += 1
        self._steps += steps

    def sitting(self, counts: Mapping[str, int]) -> Sitting:
        """How it stands; ``counts`` are the engine's now."""
        now = meter.read(self._session)
        return Sitting(
            self._wall,
            now.wall - self._before.wall,
            cpu_s() - self._own,
            now.engine - self._before.engine,
            meter.others(self._before, now),
            self._entries,
            self._steps,
            {name: counts[name] - before for name, before in self._counts.items() if name in counts},
        )


def cpu_s() -> float:
    """CPU seconds of this process alone, its threads included."""
    times = os.times()
    return times.user + times.system


def kv_counts(states: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """What an engine's schedulers have counted since they started; empty when they tell nothing."""
    told = [state["counts"] for state in states if "counts" in state]
    if not told:
        return {}
    behind = sum(one["loaded"] + one["prefetched"] - one["prefetched_in_vain"] for one in told)
    return {
        "prompt": sum(one["prompt"] for one in told),
        "cached": sum(one["cached"] for one in told),
        "behind": behind,
    }
