"""Policies and stock engines in turns: in each round every contestant replays the same sessions once.

Each has a folder of its own below ``--out``, so that any two can be put side by side with ``agentrt bench compare``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.kv.contestants import CONTESTANTS, Contestant, named
from agentrt.benchmarks.kv.engines import Served, Setting, kinds_of, served
from agentrt.benchmarks.replay.entries import Wanted, own_options, wanted
from agentrt.benchmarks.replay.play import working_set
from agentrt.errors import ConfigError
from agentrt.kvcache.policies import POLICIES

if TYPE_CHECKING:
    from agentrt.benchmarks.replay.sessions import Session

ROOM: Final = 1.05
"""The pool is at least the longest context times this."""
WINDOW: Final = {"cpu": 8_192, "cuda": 131_072}
"""The engines' context length, unless said otherwise."""

_WIDTH: Final = 110


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a comparison."""
    add = parser.add_argument_group("--kv NAME,NAME: policies in turns, beside stock SGLang (lru)").add_argument
    add("--rounds", metavar="N", type=int, default=3, help="how often each replays all sessions (3)")
    add("--pressure", metavar="X", type=float, default=2.0, help="contexts of those at once over the pool (2)")
    add("--pool", metavar="TOKENS", type=int, default=0, help="the engines' pool (by --pressure)")
    add("--device", default="cpu", choices=("cpu", "cuda"), help="where these engines run (cpu)")


def is_contest(kv: str) -> bool:
    """Whether several take part, or one that an engine has to be started for."""
    return "," in kv or (kv not in POLICIES and kv in {one.name for one in CONTESTANTS})


def hold(options: argparse.Namespace, kind: str, sessions: Sequence[Session]) -> int:
    """Start the engines, have the rounds, print reports and comparisons; the exit code is 0.

    Raises ``ConfigError`` for a contestant that cannot replay, ``StartError`` when an engine does not start.
    """
    contestants = _contestants(options)
    sessions = _named(sessions, options)
    window = options.window or WINDOW[options.device]
    what = wanted(kind, sessions, options, window)
    pool = _pool(what, options)
    out = options.out or Path("bench-results") / f"replay-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    note = partial(print, file=sys.stderr, flush=True)
    setting = Setting(options.device, _model(options), window, working_set(what.sessions, options.at_once, 1.0))
    own = own_options(kind, options) | {"rounds": options.rounds, "pool": pool, "scale": what.pace.scale}
    with served(kinds_of(contestants), setting, pool, 0.0, note) as engines, ExitStack() as stack:
        folders = {one.name: Folder(out / one.name) for one in contestants}
        for folder in folders.values():
            stack.enter_context(folder.held())
        for engine in engines.values():
            engine.warm()
        for number in range(1, options.rounds + 1):
            turn = (number - 1) % len(contestants)
            for one in [*contestants[turn:], *contestants[:turn]]:  # each round begins with another one
                note(f"round {number} of {options.rounds}: {one.name}")
                server = engines[one.engine.key]
                server.flush()
                asyncio.run(_once(one, server, folders[one.name], what, options, own, number))
    return _conclude(folders, as_json=options.json)


async def _once(
    one: Contestant,
    server: Served,
    folder: Folder,
    what: Wanted,
    options: argparse.Namespace,
    own: Mapping[str, Any],
    number: int,
) -> None:
    """One contestant's round, or what is left of it."""
    from agentrt.benchmarks.harness import serving
    from agentrt.benchmarks.harness.driver import Settings, run_entries
    from agentrt.benchmarks.harness.options import told_of
    from agentrt.benchmarks.harness.progress import progress_on
    from agentrt.benchmarks.replay.executor import ReplayExecutor
    from agentrt.benchmarks.replay.program import replay

    engine = server.engine
    async with serving.served(engine.url, engine.model) as here:
        folder.begin(told_of(options, "replay", own, here.told) | {"kv": one.name})
        executor = ReplayExecutor(engine.url, model=engine.model, api_key=engine.api_key)
        settings = Settings(
            options.at_once, options.timeout, one.policy, one.admission, engine=server.session, teller=here.teller
        )
        with progress_on(sys.stderr, folder) as watcher:
            await run_entries(folder, what.entries(number), replay, {"default": executor}, settings, watcher)
    folder.tell(what.figures(folder.outcomes().values()))


def _contestants(options: argparse.Namespace) -> tuple[Contestant, ...]:
    found = named(options.kv)
    odd = [one.name for one in found if one.ranks or one.fault or one.engine.fronted or one.engine.tiers > 1]
    if odd:
        raise ConfigError(f"--kv {', '.join(odd)}: replays compare policies on engines with one tier; leave it out")
    if options.engine:
        raise ConfigError("--engine holds one tree and one policy; leave it out to compare several, or name one --kv")
    return found


def _named(sessions: Sequence[Session], options: argparse.Namespace) -> list[Session]:
    """Those of ``--ids``, and of them the first ``--limit``. Raises ``ConfigError`` when none is there."""
    found = [one for one in sessions if not options.ids or one.name in options.ids]
    if not found:
        raise ConfigError(f"--ids {','.join(options.ids)}: none of {len(sessions)} chosen sessions is called so")
    return found[: options.limit or None]


def _pool(what: Wanted, options: argparse.Namespace) -> int:
    """Tokens of the pool: by the pressure, but room for the longest context."""
    if not 0 < options.pressure < math.inf or options.rounds < 1 or options.pool < 0:
        raise ConfigError(
            f"--pressure {options.pressure:g}, --rounds {options.rounds}, --pool {options.pool}: expected above 0, 1 "
            f"or more, and 0 or more"
        )
    needed = int(what.longest * ROOM) + 1
    if options.pool and options.pool < needed:
        raise ConfigError(f"--pool {options.pool}: the longest context needs {needed}; give more, or a larger --scale")
    by_pressure = round(working_set(what.sessions, options.at_once, what.pace.scale) / options.pressure)
    return int(options.pool or max(needed, by_pressure))


def _model(options: argparse.Namespace) -> str:
    from agentrt.engine import DEFAULT_MODEL

    return str(options.model or DEFAULT_MODEL)


def _conclude(folders: Mapping[str, Folder], *, as_json: bool) -> int:
    """Write the reports of all; print them and each beside the first. 1 when a session did not come to its end."""
    from agentrt.benchmarks.compare.command import drawn
    from agentrt.benchmarks.harness.compare import compared
    from agentrt.benchmarks.harness.report import report

    reports = {name: report(folder) for name, folder in folders.items()}
    for one in reports.values():
        one.write()
    beside = compared(list(folders.values())) if len(folders) > 1 else []
    if as_json:
        told = {name: {**one.to_json(), "entries": None} for name, one in reports.items()}
        print(json.dumps({"reports": told, "comparisons": [one.to_json() for one in beside]}, indent=2))
    else:
        from rich.console import Console

        for one in reports.values():
            one.show(as_json=False)
        console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
        for pair in beside:
            console.print(drawn(pair))
    return int(any(one.failures for one in reports.values()))
