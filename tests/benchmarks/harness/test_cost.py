"""What the harness adds to an entry, in CPU time: little beside a second of a model's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from agentrt import program
from agentrt.benchmarks.harness.driver import Settings, run_entries
from agentrt.benchmarks.harness.entries import Entry
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.progress import Lines
from agentrt.benchmarks.harness.sittings import cpu_s
from agentrt.runtime import Runtime
from agentrt.store import Journal

ENTRIES = 50


@program
async def nothing(data: Mapping[str, Any]) -> int:
    """An entry that does nothing."""
    return 1


async def bare(place: Path) -> float:
    """CPU seconds of as many runs in a journal, without the harness."""
    before = cpu_s()
    async with Journal(place) as journal, Runtime({}, journal=journal) as runtime:
        await asyncio.gather(*(runtime.start(nothing, {"number": number}) for number in range(ENTRIES)))
    return cpu_s() - before


async def harnessed(place: Path) -> float:
    """CPU seconds of as many entries."""
    folder = Folder(place)
    folder.begin({})
    entries = [Entry(f"e{number}", "c", {"number": number}) for number in range(ENTRIES)]
    before = cpu_s()
    await run_entries(folder, entries, nothing, {}, Settings(), Lines(folder, StringIO()))
    return cpu_s() - before


async def test_an_entry_costs_milliseconds(tmp_path: Path) -> None:
    """Less than 2% of an entry that takes a second, beyond what its run costs anyway."""
    await bare(tmp_path / "warm.db")
    await harnessed(tmp_path / "warm")
    added = min([await harnessed(tmp_path / f"h{turn}") - await bare(tmp_path / f"b{turn}.db") for turn in range(2)])
    assert added / ENTRIES < 0.02
