"""What every benchmark of agents is told on the command line, and what it is given to work with.

add_arguments(parser, name="bfcl")
async with opened(options, "bfcl", {"categories": ["simple_python"]}) as bench:
    outcomes = await bench.run(entries, program)
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.errors import ConfigError, RunCancelled
from agentrt.runtime.stopping import stopped_by_signals

if TYPE_CHECKING:
    from agentrt.benchmarks.harness.driver import Settings
    from agentrt.benchmarks.harness.entries import Entry, Outcome
    from agentrt.benchmarks.harness.folder import Folder
    from agentrt.benchmarks.harness.progress import Progress
    from agentrt.executors.base import ModelExecutor
    from agentrt.sdk.steps import Program

RESULTS: Final = Path("bench-results")
"""Where folders are made that are not named."""


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark that is ready to run: its folder is begun, its engine answers.

    ``told`` is what stands in ``bench.json``; ``ids`` and ``limit`` say which entries are wanted, 0 for all.
    """

    folder: Folder
    models: Mapping[str, ModelExecutor]
    settings: Settings
    watcher: Progress
    told: Mapping[str, Any]
    ids: tuple[str, ...] = ()
    limit: int = 0

    def chosen(self, entries: Iterable[Entry]) -> list[Entry]:
        """Those of ``--ids``, in the order in which there are such, and of them the first ``--limit``.

        Raises ``ConfigError`` naming an id that is none.
        """
        there = {entry.id: entry for entry in entries}
        unknown = [one for one in self.ids if one not in there]
        if unknown:
            some = ", ".join(list(there)[:3])
            raise ConfigError(f"--ids: there is no {', '.join(map(repr, unknown))} among {len(there)} ({some}, ...)")
        wanted = [entry for entry in there.values() if not self.ids or entry.id in self.ids]
        return wanted[: self.limit or None]

    async def run(self, entries: Iterable[Entry], program: Program[..., Any]) -> list[Outcome]:
        """Run ``program`` for each chosen entry that is not finished; the outcomes of all chosen, in their order.

        Raises ``JournalError`` when nothing can be written down.
        """
        from agentrt.benchmarks.harness.driver import run_entries

        chosen = self.chosen(entries)
        return await run_entries(self.folder, chosen, program, self.models, self.settings, self.watcher)


def add_arguments(parser: argparse.ArgumentParser, *, name: str) -> None:
    """Add the options that all benchmarks of agents share; ``name`` is that of the benchmark."""
    add = parser.add_argument_group("how it is run").add_argument
    add("--out", metavar="FOLDER", type=_path, help=f"begin there, or go on ({RESULTS}/{name}-DATE)")
    add(
        "--engine",
        metavar="URL",
        type=_text,
        help="any OpenAI-compatible server, its key in AGENTRT_API_KEY (an engine of ours)",
    )
    model = "the model, as the server calls it or as `agentrt engine up --model` takes it"
    add("--model", metavar="NAME", type=_text, help=model)
    add("--kv", metavar="POLICY", default="agentrt", help="what the engine is told of its KV cache (agentrt)")
    add("--at-once", metavar="N", type=positive, default=8, help="entries that run at the same time (8)")
    add("--timeout", metavar="SECONDS", type=seconds, default=600.0, help="that one entry may take (600)")
    add("--limit", metavar="N", type=positive, default=0, help="the first N entries only")
    add("--ids", metavar="ID,ID", type=names, default=(), help="these entries only")
    add("--seed", metavar="N", type=int, default=0, help="of all that is drawn (0)")
    add("--json", action="store_true", help="print the report as one JSON object")


@asynccontextmanager
async def opened(
    options: argparse.Namespace, name: str, told: Mapping[str, Any], *, asks: bool = True
) -> AsyncIterator[Bench]:
    """A benchmark ready to run: an engine found or started, the folder begun or gone on with.

    ``told`` are the benchmark's own options that change its results, as plain JSON. ``asks=False`` is for one that asks
    no model (ground truth, reference patches): it needs no engine. Raises ``ConfigError`` for options that cannot be
    used and a folder of something else, ``Unreachable`` and ``Refused`` for a server that does not answer,
    ``EngineError`` when none can be started, ``RunCancelled`` when Ctrl-C or SIGTERM ended it: entries that ran then
    are not finished, and go on the next time.
    """
    from agentrt.benchmarks.harness.driver import Settings
    from agentrt.benchmarks.harness.progress import progress_on
    from agentrt.benchmarks.harness.serving import NOBODY, served
    from agentrt.kvcache.policies import policy

    policy(options.kv)
    with _stoppable() as why:
        watcher: Progress | None = None
        try:
            async with AsyncExitStack() as stack:
                here = await stack.enter_async_context(served(options.engine, options.model)) if asks else NOBODY
                whole = told_of(options, name, told, here.told)
                folder = _folder(options.out, name, whole)
                stack.enter_context(folder.held())
                folder.begin(whole)
                watcher = stack.enter_context(progress_on(sys.stderr, folder))
                settings = Settings(
                    options.at_once, options.timeout, options.kv, engine=here.session, teller=here.teller
                )
                yield Bench(folder, here.models, settings, watcher, whole, tuple(options.ids), options.limit)
        except BaseException as error:
            if watcher is not None:
                watcher.broken_off()
            if why and isinstance(error, asyncio.CancelledError):
                raise RunCancelled(f"stopped by {why[0]}") from None
            raise


@contextmanager
def _stoppable() -> Iterator[list[str]]:
    """Inside, Ctrl-C and SIGTERM cancel the task that goes in; the list has the one that did."""
    task = asyncio.current_task()
    why: list[str] = []

    def stop(reason: str) -> None:
        why.append(reason)
        if task is not None:
            task.cancel(reason)

    if threading.current_thread() is not threading.main_thread():  # no other may handle signals
        yield why
        return
    with stopped_by_signals(asyncio.get_running_loop(), stop):
        yield why


def told_of(
    options: argparse.Namespace, name: str, own: Mapping[str, Any], engine: Mapping[str, Any]
) -> dict[str, Any]:
    """What stands in ``bench.json``: ``own`` are the benchmark's options, ``engine`` what the engine says of itself."""
    from agentrt.benchmarks.harness.machine import machine

    return {
        "benchmark": name,
        "model": engine["model"],
        "kv": options.kv,
        "seed": options.seed,
        "timeout": options.timeout,
        "limit": options.limit,
        "ids": list(options.ids),
        "options": dict(own),
        "at_once": options.at_once,
        "environment": {"engine": dict(engine), **machine()},
        "began": datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _folder(out: Path | None, name: str, told: Mapping[str, Any]) -> Folder:
    """The one that was named; else today's, and where that holds something else, the next one."""
    from agentrt.benchmarks.harness.folder import Folder

    if out is not None:
        return Folder(out)
    first = RESULTS / f"{name}-{datetime.now().astimezone():%Y%m%d}"
    for number in count(1):
        folder = Folder(first if number == 1 else first.with_name(f"{first.name}-{number}"))
        if not folder.begun or not folder.differs(told):
            break
    return folder


def positive(text: str) -> int:
    """A whole number, 1 or more: the ``type`` of an option."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 or more")
    return int(text)


def seconds(text: str) -> float:
    """Seconds above 0: the ``type`` of an option."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected seconds above 0")
    return value


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them: the ``type`` of an option."""
    found = tuple(one for one in text.split(",") if one)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a name or several; leave the option out for all")
    return found


def _text(text: str) -> str:
    """What a shell makes of a variable that is not set must not choose another engine, model or folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a value; leave the option out to do without")
    return text


def _path(text: str) -> Path:
    return Path(_text(text))
