"""Plain functions in threads, where there are not enough of them."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import asyncio, resource, threading
from agentrt import Runtime, program, step

gate = threading.Event()

@step
def waits() -> None:
    gate.wait()

@program
async def main() -> None:
    try:
        await asyncio.gather(*[waits() for _ in range(8)])
    finally:
        gate.set()

async def run() -> None:
    async with Runtime({}) as runtime:
        print((await runtime.run(main)).error)

threading.stack_size(1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
asyncio.run(run())
"""


def test_too_many_threads_are_told_with_the_way_out() -> None:
    """Where the system gives no further thread, the step says how to need fewer; the others run on."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert "waits(): can't start new thread; run fewer plain functions at once" in done.stdout, done.stderr
    assert "limits={'python': 100" in done.stdout
