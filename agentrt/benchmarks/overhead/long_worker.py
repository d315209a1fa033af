"""A long durable run in a process of its own: started and left to be killed, or resumed. Tells of itself in JSON lines.

Run as ``python -m agentrt.benchmarks.overhead.long_worker JSON``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from agentrt.benchmarks.overhead import contract
from agentrt.benchmarks.overhead.contract import Shape, Sync


@dataclass(frozen=True, slots=True)
class LongOrder:
    """What to do: run ``steps`` steps into the database ``file`` and wait to be killed, or ``resume`` that run."""

    file: str
    sync: Sync
    shape: Shape
    steps: int
    resume: str | None = None


def say(**said: object) -> None:
    """A line for the process that listens."""
    print(json.dumps(said), flush=True)


def resident() -> int:
    """Bytes of this process in memory, after the garbage is gone."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Counter(list[None]):
    """Stands in for ``ran``: counts steps, and tells of the memory after a tenth, a half and all of them."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.ran = 0
        self._marks = {steps // 10, steps // 2, steps}

    def append(self, mark: None) -> None:
        """A step starts."""
        self.ran += 1
        if self.ran in self._marks:
            say(steps=self.ran, resident=resident(), cpu=time.process_time())


def main(argument: str) -> None:
    """Do what the order says."""
    from agentrt.benchmarks.overhead.entrants import long

    order = LongOrder(**json.loads(argument))
    contract.ran = counter = Counter(order.steps)
    url = f"sqlite:///{order.file}?sync={order.sync}"
    if order.resume is None:
        asyncio.run(long.start(url, order.shape, order.steps, contract.LONG_LAYER, lambda run: say(waiting=run)))
    else:
        asyncio.run(long.resume(url, order.shape, order.resume))
        say(cpu=time.process_time(), again=counter.ran, resident=resident())


if __name__ == "__main__":
    main(sys.argv[1])
