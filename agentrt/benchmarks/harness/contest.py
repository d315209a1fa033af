"""Policies and stock engines in turns: in each round every contestant does the same, beginning with another one.

Each has an engine of its kind and a folder of its own below ``--out``, so that any two can be put side by side with
``agentrt bench compare``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.options import RESULTS, Bench, positive, told_of
from agentrt.benchmarks.kv.contestants import CONTESTANTS, Contestant, named
from agentrt.benchmarks.kv.engines import Served, Setting, kinds_of, served
from agentrt.errors import ConfigError
from agentrt.kvcache.policies import POLICIES

WINDOW: Final = {"cpu": 8_192, "cuda": 131_072}
"""The engines' context length, unless said otherwise."""

_WIDTH: Final = 110


def add_arguments(parser: argparse.ArgumentParser, *, rounds: str, number: int, pool: str) -> Any:
    """Add the options of a contest; ``rounds`` says what one is, ``number`` how many there are, ``pool`` the default.

    Returns what adds more of them.
    """
    group = parser.add_argument_group("--kv NAME,NAME: policies in turns, beside stock SGLang (lru)")
    group.add_argument("--rounds", metavar="N", type=positive, default=number, help=f"{rounds} ({number})")
    group.add_argument("--pool", metavar="TOKENS", type=positive, default=0, help=f"the engines' pool ({pool})")
    group.add_argument("--device", default="cpu", choices=tuple(WINDOW), help="where these engines run (cpu)")
    return group.add_argument


def is_contest(kv: str) -> bool:
    """Whether several take part, or one that an engine has to be started for."""
    return "," in kv or (kv not in POLICIES and kv in {one.name for one in CONTESTANTS})


def contestants(options: argparse.Namespace) -> tuple[Contestant, ...]:
    """Those of ``--kv``. Raises ``ConfigError`` for one that cannot take part."""
    found = named(options.kv)
    odd = [one.name for one in found if one.ranks or one.fault or one.engine.fronted or one.engine.tiers > 1]
    if odd:
        raise ConfigError(f"--kv {', '.join(odd)}: only policies on engines with one tier are compared; leave it out")
    if options.engine:
        raise ConfigError("--engine holds one tree and one policy; leave it out to compare several, or name one --kv")
    return found


def model_of(options: argparse.Namespace) -> str:
    """The model that all of them serve."""
    from agentrt.engine import DEFAULT_MODEL

    return str(options.model or DEFAULT_MODEL)


@dataclass(frozen=True, slots=True)
class Arm:
    """One contestant: its engine, and the folder of what it did."""

    one: Contestant
    server: Served
    folder: Folder

    @asynccontextmanager
    async def opened(self, options: argparse.Namespace, name: str, own: Mapping[str, Any]) -> AsyncIterator[Bench]:
        """The benchmark ``name`` on its engine; ``own`` are the options of it that change results."""
        from agentrt.benchmarks.harness import serving
        from agentrt.benchmarks.harness.driver import Settings
        from agentrt.benchmarks.harness.progress import progress_on

        one, engine = self.one, self.server.engine
        async with serving.served(engine.url, engine.model) as here:
            told = told_of(options, name, own, here.told) | {"kv": one.name}
            self.folder.begin(told)
            settings = Settings(
                options.at_once,
                options.timeout,
                one.policy,
                one.admission,
                engine=self.server.session,
                teller=here.teller,
            )
            with progress_on(sys.stderr, self.folder) as watcher:
                yield Bench(self.folder, here.models, settings, watcher, told)


@contextmanager
def arms(
    options: argparse.Namespace, name: str, some: Sequence[Contestant], setting: Setting, pool: int
) -> Iterator[list[Arm]]:
    """Everybody's engine runs for the time of the block, and has answered once. Raises ``StartError``."""
    out = options.out or RESULTS / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    with served(kinds_of(some), setting, pool, 0.0, _note) as engines, ExitStack() as stack:
        found = [Arm(one, engines[one.engine.key], Folder(out / one.name)) for one in some]
        for arm in found:
            stack.enter_context(arm.folder.held())
        for engine in engines.values():
            engine.warm()
        yield found


def turns(there: Sequence[Arm], rounds: int) -> Iterator[tuple[int, Arm]]:
    """Whose turn it is, with the number of the round, from 1 on; its engine's cache is empty then."""
    for number in range(1, rounds + 1):
        first = (number - 1) % len(there)
        for arm in [*there[first:], *there[:first]]:
            _note(f"round {number} of {rounds}: {arm.one.name}")
            arm.server.flush()
            yield number, arm


def conclude(folders: Mapping[str, Folder], *, as_json: bool) -> int:
    """Write the reports of all; print them and each beside the first. 1 when an entry did not come to its end."""
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


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
