"""``agentrt bench bfcl``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.benchmarks.bfcl.official import CATEGORIES, GROUPS, VERSION, Kind
from agentrt.benchmarks.harness.options import add_arguments as add_shared
from agentrt.benchmarks.harness.options import positive
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.bfcl.official import Official, Task
    from agentrt.benchmarks.bfcl.oracle import Oracle
    from agentrt.benchmarks.harness.entries import Entry, Outcome, Verdict
    from agentrt.benchmarks.harness.graders import Environment
    from agentrt.benchmarks.harness.options import Bench
    from agentrt.sdk.steps import Program

_MAX_TOKENS: Final = 1024
_ABOUT: Final = f"""\
BFCL v4 (bfcl-eval {VERSION}): entries and checkers are those of the official package, which is installed into an
environment of its own the first time. Result and score files are laid out as `bfcl evaluate` has them.

categories: {", ".join(CATEGORIES)}
groups: {", ".join(GROUPS)}

  agentrt bench bfcl --engine URL --model NAME --categories simple_python,multi_turn_base --limit 50
  agentrt bench bfcl --oracle            the ground truth in place of a model: must score 100%
  agentrt bench bfcl --oracle --drop     the same with one thing wrong: must score 0%
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add its options."""
    from agentrt.benchmarks.bfcl import contest

    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _ABOUT
    add = parser.add_argument_group("what is run").add_argument
    add("--categories", metavar="A,B", type=_categories, default=CATEGORIES, help="categories or groups of them (all)")
    add("--prompting", action="store_true", help="tell functions in the prompt, for models that know no tools")
    add(
        "--max-tokens", metavar="N", type=positive, default=_MAX_TOKENS, help=f"that one reply may take ({_MAX_TOKENS})"
    )
    add("--oracle", action="store_true", help="check the benchmark: the ground truth answers, no model is asked")
    add("--drop", action="store_true", help="with --oracle: one thing of it is wrong")
    contest.add_arguments(parser)
    add_shared(parser, name="bfcl")


def run(options: argparse.Namespace) -> int:
    """Run it and print what came of it. Raises ``ConfigError``, ``EngineError`` and ``ExecutorError``."""
    from agentrt.benchmarks.harness.contest import is_contest

    if options.drop and not options.oracle:
        raise ConfigError("--drop leaves something out of the ground truth; give --oracle with it")
    if is_contest(options.kv):
        return _contest(options)
    return asyncio.run(_run(options))


def _contest(options: argparse.Namespace) -> int:
    from agentrt.benchmarks.bfcl import contest

    if options.oracle:
        raise ConfigError(f"--oracle asks no model, so --kv {options.kv} has nothing to compare; leave one of them out")
    return contest.hold(options, _environment())


def _environment() -> Environment:
    from agentrt.benchmarks.bfcl.official import environment
    from agentrt.engine.progress import progress_for

    progress = progress_for()
    made = environment(progress)
    progress.close()
    return made


def _categories(text: str) -> tuple[str, ...]:
    """Categories named by themselves or by a group, in the official order."""
    named = [one for one in text.split(",") if one]
    unknown = [one for one in named if one not in CATEGORIES and one not in GROUPS]
    if unknown or not named:
        there = ", ".join((*CATEGORIES, *GROUPS))
        raise argparse.ArgumentTypeError(f"{', '.join(unknown) or 'none'}: no category; there are {there}")
    wanted = {category for one in named for category in GROUPS.get(one, (one,))}
    return tuple(one for one in CATEGORIES if one in wanted)


async def _run(options: argparse.Namespace) -> int:
    from agentrt.benchmarks.bfcl.official import Official
    from agentrt.benchmarks.harness.options import opened
    from agentrt.benchmarks.harness.report import conclude

    made = await asyncio.to_thread(_environment)
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(opened(options, "bfcl", told(options), asks=not options.oracle))
        official = await stack.enter_async_context(Official.started(made, kind_of(options), _log(bench)))
        outcomes = await _outcomes(options, bench, official, made)
        found = await judged(bench, official, outcomes)
    conclude(bench.folder, as_json=options.json)
    return _checked(options, found) if options.oracle else 0


def kind_of(options: argparse.Namespace) -> Kind:
    """How functions are told."""
    return "prompting" if options.prompting else "fc"


def told(options: argparse.Namespace) -> dict[str, Any]:
    """The options that change results."""
    return {
        "official": f"bfcl-eval {VERSION}",
        "categories": list(options.categories),
        "kind": kind_of(options),
        "max_tokens": options.max_tokens,
        "oracle": ("drop" if options.drop else "truth") if options.oracle else "",
    }


def _log(bench: Bench) -> Path:
    return bench.folder.path / "official.log"


async def _outcomes(options: argparse.Namespace, bench: Bench, official: Official, made: Environment) -> list[Outcome]:
    """All chosen entries, run."""
    tasks = {task.id: task for task in await official.tasks(options.categories)}
    if options.oracle:
        oracle = await _oracle(official, options.categories, tasks, drop=options.drop)
        bench = replace(bench, models={"default": oracle})
    there = entries(tasks.values(), options.categories)
    return await bench.run(there, await program(options, bench, official, made, tasks))


async def program(
    options: argparse.Namespace, bench: Bench, official: Official, made: Environment, tasks: Mapping[str, Task]
) -> Program[..., Any]:
    """What is run for each entry."""
    from agentrt.benchmarks.bfcl.official import Official
    from agentrt.benchmarks.bfcl.program import Settings, entry_program
    from agentrt.types import Sampling

    sampling = Sampling(max_tokens=options.max_tokens, temperature=0.0, seed=options.seed)
    settings = Settings(official.kind, sampling, (await official.about())["steps"])
    log = _log(bench)
    return entry_program(tasks, lambda: Official.started(made, official.kind, log), settings)


def entries(tasks: Iterable[Task], categories: Sequence[str]) -> Iterator[Entry]:
    """The entries, one of each category in turn, so that the first few are of all of them."""
    from agentrt.benchmarks.harness.entries import Entry

    by_category: dict[str, list[Entry]] = {category: [] for category in categories}
    for task in tasks:
        by_category[task.category].append(Entry(task.id, task.category, {"entry": task.id}))
    for row in zip_longest(*by_category.values()):
        yield from (entry for entry in row if entry is not None)


async def _oracle(official: Official, categories: Sequence[str], tasks: Mapping[str, Task], *, drop: bool) -> Oracle:
    from agentrt.benchmarks.bfcl.oracle import Oracle, Said
    from agentrt.benchmarks.bfcl.truth import script
    from agentrt.benchmarks.harness.driver import run_id
    from agentrt.benchmarks.harness.entries import Entry

    truths = await official.truths(categories)
    runs: dict[str, Said] = {}
    for task in tasks.values():
        quoted = sum(message.role == "assistant" for turn in task.turns for message in turn.messages)
        replies = script(task.category, truths[task.id], drop=drop)
        runs[run_id(Entry(task.id, task.category))] = Said(replies, quoted)
    return Oracle(runs, official.kind)


async def judged(bench: Bench, official: Official, outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Result files, score files and verdicts, in the folder."""
    from agentrt.benchmarks.bfcl import results

    bench.watcher.note("the official checkers judge")
    folder, model = bench.folder.path, str(bench.told["model"] or "oracle")
    by_category: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_category.setdefault(one.category, []).append(one)
    results.write_results(folder, model, results.result_lines(outcomes))
    found: list[Verdict] = []
    for category, some in by_category.items():
        wrong = await results.judge(official, category, some)
        results.write_scores(folder, model, category, len(some), wrong)
        found += results.verdicts(category, some, wrong)
    bench.folder.judged(found)
    return found


def _checked(options: argparse.Namespace, found: Sequence[Verdict]) -> int:
    """Say which entries were not judged as they should be; 0 when all were, but for those that are known."""
    from agentrt.benchmarks.bfcl.truth import UNACCEPTED

    known = UNACCEPTED["prompting" if options.prompting else "fc"]
    odd = [one for one in found if (one.score < 1) != options.drop]
    for one in odd:
        print(f"{one.entry}: {one.why or 'accepted, with something wrong'}", file=sys.stderr)
    return int(any(options.drop or one.entry not in known for one in odd))
