"""Policies and stock engines in turns over the same entries: is it the same score, and who is faster?

The entries are cut into parts. Each contestant takes a part on its own engine, with an empty cache, before any goes on
with the next one, so that a busy moment hits all alike.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from agentrt.benchmarks.bfcl import command
from agentrt.benchmarks.bfcl.official import Official
from agentrt.benchmarks.harness import contest
from agentrt.benchmarks.harness.contest import Arm
from agentrt.benchmarks.harness.graders import Environment
from agentrt.benchmarks.harness.options import positive
from agentrt.benchmarks.kv.engines import Setting

POOL: Final = 16_384
"""Tokens that an engine keeps, unless said otherwise: the tools of some four entries."""

PARTS: Final = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison."""
    add = contest.add_arguments(parser, rounds="parts that the entries are cut into", number=PARTS, pool=f"{POOL:,}")
    add("--window", metavar="TOKENS", type=positive, default=0, help="their context length (8,192 on a CPU)")


def hold(options: argparse.Namespace, made: Environment) -> int:
    """Start the engines, have the rounds, judge; print reports and comparisons. The exit code is 0, or 1 for failures.

    Raises ``ConfigError`` for a contestant that cannot take part, ``StartError`` when an engine does not start.
    """
    some = contest.contestants(options)
    pool = options.pool or POOL
    window = options.window or contest.WINDOW[options.device]
    setting = Setting(options.device, contest.model_of(options), window, pool)
    own = command.told(options) | {"rounds": options.rounds, "pool": pool, "window": window}
    with contest.arms(options, "bfcl", some, setting, pool) as arms:
        for number, arm in contest.turns(arms, options.rounds):
            asyncio.run(_part(arm, options, own, made, number))
    return contest.conclude({arm.one.name: arm.folder for arm in arms}, as_json=options.json)


async def _part(arm: Arm, options: argparse.Namespace, own: Mapping[str, Any], made: Environment, number: int) -> None:
    """One contestant's part of the entries, or what is left of it; after the last one all are judged."""
    async with (
        arm.opened(options, "bfcl", own) as bench,
        Official.started(made, command.kind_of(options), bench.folder.path / "official.log") as official,
    ):
        tasks = {task.id: task for task in await official.tasks(options.categories)}
        wanted = replace(bench, ids=options.ids, limit=options.limit)
        entries = wanted.chosen(command.entries(tasks.values(), options.categories))
        await bench.run(
            entries[number - 1 :: options.rounds], await command.program(options, bench, official, made, tasks)
        )
        if number == options.rounds:
            found = bench.folder.outcomes()
            await command.judged(bench, official, [found[entry.id] for entry in entries if entry.id in found])
