"""A real engine for tests: one, started when the first test needs it, ended after the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agentrt.engine import Engine, EngineSpec, progress_for, start


@contextmanager
def real_engine(spec: EngineSpec | None = None) -> Iterator[Engine]:
    """Start the embedded engine, installing it first if need be, and end it after the block.

    It belongs to the test process: however that ends, the engine ends too. Put it in a session-scoped fixture;
    a start takes seconds and tests can share an engine, since every request stands for itself.
    """
    progress = progress_for()
    failed = True
    try:
        engine = start(spec or EngineSpec(device="cpu"), attached=True, progress=progress)
        failed = False
    finally:
        progress.close(failed=failed)
    try:
        yield engine
    finally:
        engine.stop()
