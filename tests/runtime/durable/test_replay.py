"""Runs that were cut off anywhere end as they would have, and no finished step is run again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agentrt import Program

from . import zoo
from .cutting import Cutter, assert_goes_on, lengths, some


async def cut_everywhere(cuts: Cutter, program: Program[..., Any], *args: Any) -> None:
    """Cut a run after every entry and resume it; cut some of what comes of that again; the output stays."""
    first = await cuts.run(program, *args)
    assert first.result.status == "done"
    for length in lengths(first.recording):
        second = await cuts.resume(program, await cuts.cut(first.recording, length))
        assert second.result.status == "done", (length, second.result.error)
        assert second.result.output == first.result.output, length
        assert_goes_on(first.recording, length, second)
        for again in some(lengths(second.recording), 2, length):
            third = await cuts.resume(program, await cuts.cut(second.recording, again))
            assert third.result.status == "done", (length, again, third.result.error)
            assert third.result.output == first.result.output, (length, again)
            assert_goes_on(second.recording, again, third)


@pytest.mark.parametrize("program", zoo.ALL, ids=lambda one: str(one.name))
async def test_a_run_cut_anywhere_goes_on(cuts: Callable[..., Cutter], program: Program[..., Any]) -> None:
    """After every entry: the same output, nothing that has a result is run again, and so on from there."""
    await cut_everywhere(cuts(kv="none"), program)


@pytest.mark.parametrize("program", zoo.LANES, ids=lambda one: str(one.name))
async def test_a_run_with_few_places_goes_on(cuts: Callable[..., Cutter], program: Program[..., Any]) -> None:
    """So does one whose steps wait for places."""
    await cut_everywhere(cuts(kv="none", limits={"python": 2, "tool": 1}), program)
