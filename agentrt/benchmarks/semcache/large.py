"""Many answers: kept by one process, read again by another, as after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from agentrt.benchmarks.semcache.cost import own_process

_SEED: Final = 3
_PATIENCE: Final = 3_600.0
_MORE: Final = 20
"""A part of so many is asked for anew after the restart."""


class Large(NamedTuple):
    """``entries`` were kept in ``stored`` seconds and ``bytes`` on the disk.

    ``restart`` is seconds from nothing to the first answer, with ``mib`` resident then. ``more`` new ones went through
    the front, 64 at a time, in ``more_seconds``, with ``mib_more`` at the end.
    """

    entries: int
    stored: float
    bytes: int
    restart: float
    mib: float
    more: int
    more_seconds: float
    mib_more: float


def measure(entries: int, folder: str | None, tell: Callable[[str], None]) -> Large:
    """Keep so many and open them again."""
    with TemporaryDirectory(prefix="agentrt-bench-", dir=folder) as made:
        return asyncio.run(_measure(entries, Path(made), tell))


async def _measure(entries: int, folder: Path, tell: Callable[[str], None]) -> Large:
    more = max(1, min(10_000, entries // _MORE))
    place = folder / "store"
    place.mkdir()
    tell(f"keeping {entries:,} answers")
    async with own_process(folder, "store") as first:
        stored = await first.ask("store", within=_PATIENCE, folder=str(place), count=entries, seed=_SEED)
    tell(f"reading {entries:,} answers")
    async with own_process(folder, "restart") as second:
        found = await second.ask("restart", within=_PATIENCE, folder=str(place), count=entries, seed=_SEED, more=more)
    assert found["hit"], "the first question was stored"
    assert found["held"] == entries, "all of them were"
    return Large(
        entries, stored["seconds"], stored["bytes"], found["seconds"], found["mib"], more, found["more"],
        found["mib_more"],
    )  # fmt: skip
