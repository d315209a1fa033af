"""Policies and stock engines in turns: in each round every contestant replays the same sessions once."""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from agentrt.benchmarks.harness import contest
from agentrt.benchmarks.harness.contest import Arm
from agentrt.benchmarks.kv.engines import Setting
from agentrt.benchmarks.replay.entries import Wanted, own_options, wanted
from agentrt.benchmarks.replay.play import working_set
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.replay.sessions import Session

ROOM: Final = 1.05
"""The pool is at least the longest context times this."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison."""
    add = contest.add_arguments(parser, rounds="how often each replays all sessions", number=3, pool="by --pressure")
    add("--pressure", metavar="X", type=float, default=2.0, help="contexts of those at once over the pool (2)")


def hold(options: argparse.Namespace, kind: str, sessions: Sequence[Session]) -> int:
    """Start the engines, have the rounds, print reports and comparisons; the exit code is 0.

    Raises ``ConfigError`` for a contestant that cannot replay, ``StartError`` when an engine does not start.
    """
    some = contest.contestants(options)
    sessions = _named(sessions, options)
    window = options.window or contest.WINDOW[options.device]
    what = wanted(kind, sessions, options, window)
    pool = _pool(what, options)
    scale = working_set(what.sessions, options.at_once, 1.0)
    setting = Setting(options.device, contest.model_of(options), window, scale)
    own = own_options(kind, options) | {"rounds": options.rounds, "pool": pool, "scale": what.pace.scale}
    with contest.arms(options, "replay", some, setting, pool) as arms:
        for number, arm in contest.turns(arms, options.rounds):
            asyncio.run(_once(arm, what, options, own, number))
    return contest.conclude({arm.one.name: arm.folder for arm in arms}, as_json=options.json)


async def _once(arm: Arm, what: Wanted, options: argparse.Namespace, own: Mapping[str, Any], number: int) -> None:
    """One contestant's round, or what is left of it."""
    from agentrt.benchmarks.replay.executor import ReplayExecutor
    from agentrt.benchmarks.replay.program import replay

    engine = arm.server.engine
    async with arm.opened(options, "replay", own) as bench:
        executor = ReplayExecutor(engine.url, model=engine.model, api_key=engine.api_key)
        await replace(bench, models={"default": executor}).run(what.entries(number), replay)
    arm.folder.tell(what.figures(arm.folder.outcomes().values()))


def _named(sessions: Sequence[Session], options: argparse.Namespace) -> list[Session]:
    """Those of ``--ids``, and of them the first ``--limit``. Raises ``ConfigError`` when none is there."""
    found = [one for one in sessions if not options.ids or one.name in options.ids]
    if not found:
        raise ConfigError(f"--ids {','.join(options.ids)}: none of {len(sessions)} chosen sessions is called so")
    return found[: options.limit or None]


def _pool(what: Wanted, options: argparse.Namespace) -> int:
    """Tokens of the pool: by the pressure, but room for the longest context."""
    if not 0 < options.pressure < math.inf:
        raise ConfigError(f"--pressure {options.pressure:g}: expected a number above 0")
    needed = int(what.longest * ROOM) + 1
    if options.pool and options.pool < needed:
        raise ConfigError(f"--pool {options.pool}: the longest context needs {needed}; give more, or a larger --scale")
    by_pressure = round(working_set(what.sessions, options.at_once, what.pace.scale) / options.pressure)
    return int(options.pool or max(needed, by_pressure))
