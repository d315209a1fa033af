"""Steps that were not wanted are let go of as those that are done."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from agentrt import Runtime, program, step, when
from agentrt.runtime.durable import log
from agentrt.runtime.durable.forgetting import Forgetter

from .cutting import Cutter


@step
async def number(x: int) -> int:
    return x


@program
async def odd_ones() -> int:
    """Every other branch is skipped, and nobody looks at it."""
    total = 0
    for x in range(100):
        one = number(x)
        number(when(one, lambda it: it % 2 == 1).ref)
        total += await one
    return total


async def test_skipped_steps_are_let_go_of(cuts: Callable[..., Cutter], monkeypatch: pytest.MonkeyPatch) -> None:
    """A long run with a journal holds its newest steps only, whether they ran or not; its result counts the others."""
    monkeypatch.setattr(log, "Forgetter", partial(Forgetter, kept=10))
    async with Runtime({}, journal=cuts().journal, kv="none") as runtime:
        going = runtime.start(odd_ones)
        result = await going
    assert result.output == sum(range(100))
    assert len(going.machine.nodes) < 20
    assert len(result.steps) + result.forgotten >= 200
