"""The watched run in a process of its own: says its id when it begins, and in the end what it took, as JSON lines.

Run as ``python -m agentrt.benchmarks.watch.worker JSON``. The run begins when a line comes to standard input, so that a
watcher can be there before it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """What to run: so many ``chapters`` into the database ``file``, held back to so many ``rows`` of it a second.

    ``engine`` is the address of a model server. 0 rows: as fast as it can.
    """

    file: str
    chapters: int
    rows: float
    engine: str


def main(argument: str) -> None:
    """Do what the order says."""
    asyncio.run(_run(Order(**json.loads(argument))))


async def _run(order: Order) -> None:
    from agentrt import Runtime
    from agentrt.benchmarks.watch.programs import survey
    from agentrt.executors import SGLangExecutor

    model = SGLangExecutor(order.engine)
    async with Runtime(model, journal=order.file, kv="none", estimates=None) as runtime:
        await runtime.start(survey, 1, 0.0)  # late imports and the first connections count for nobody
        say(ready=True)
        await asyncio.to_thread(sys.stdin.readline)
        run = runtime.start(survey, order.chapters, order.rows)
        wall, cpu = time.perf_counter(), time.process_time()
        say(run=run.id)
        result = await run
        say(status=result.status, wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)


def say(**said: Any) -> None:
    """A line for the process that listens."""
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
