"""``agentrt bench swebench``."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.benchmarks.harness.options import add_arguments as add_shared
from agentrt.benchmarks.harness.options import names, opened, positive, seconds
from agentrt.benchmarks.swebench import datasets
from agentrt.benchmarks.swebench.instances import PROVEN

if TYPE_CHECKING:
    from agentrt.benchmarks.harness.entries import Verdict
    from agentrt.benchmarks.harness.options import Bench
    from agentrt.benchmarks.swebench.shop import Shop
    from agentrt.benchmarks.swebench.solver import Effort
    from agentrt.sdk.steps import Program

PREDICTIONS: Final = "predictions.jsonl"
_WINDOW: Final = 32_768
REPOS_VARIABLE: Final = "AGENTRT_SWEBENCH_REPOS"
DESCRIPTION: Final = (
    "SWE-bench: issues of real repositories, solved by an agent program and graded by the official package. Without "
    f"Docker it runs the instances of {', '.join(PROVEN)} (95 of SWE-bench Verified)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.description = DESCRIPTION
    what = parser.add_argument_group("what is run").add_argument
    what("--dataset", metavar="NAME|FILE", default="verified", help=datasets.HELP)
    what("--repos", metavar="OWNER/NAME,...", type=names, help="instances of these repositories only")
    what(
        "--repo-dir",
        metavar="FOLDER",
        type=Path,
        action="append",
        help=f"mirrors of the repositories, as FOLDER/owner__name.git and the like ({REPOS_VARIABLE}; else they are "
        f"cloned once from GitHub)",
    )
    what(
        "--containers",
        nargs="?",
        const="docker",
        metavar="COMMAND",
        help="grade in the official images with Docker, or with what has its command line; with --gold or --empty "
        "instances of all repositories (work trees, as above)",
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--agent",
        choices=("agentrt", "mini"),
        default="agentrt",
        help="who works: our program, or mini-swe-agent with its own loop and messages (agentrt)",
    )
    who.add_argument("--gold", action="store_true", help="hand in the reference patches: all must resolve")
    who.add_argument("--empty", action="store_true", help="hand in empty patches: none must resolve")
    much = parser.add_argument_group("how much an agent may do").add_argument
    much("--turns", metavar="N", type=positive, default=40, help="model turns for one instance (40)")
    much("--together", metavar="N", type=positive, default=20, help="of them in one conversation (20)")
    much("--max-tokens", metavar="N", type=positive, default=1024, help="tokens of one reply (1024)")
    much("--context", metavar="N", type=positive, default=0, help="the model's window in tokens (as the engine says)")
    much("--command-timeout", metavar="SECONDS", type=seconds, default=120.0, help="that one command may take (120)")
    much(
        "--tool-use",
        choices=("auto", "first"),
        default="auto",
        help="first: the server makes the model call a tool in the first turn and after a reminder, for small models "
        "(auto)",
    )
    much("--temperature", metavar="T", type=_temperature, default=0.0, help="0 takes the likeliest (0)")
    add_shared(parser, name="swebench")


def run(options: argparse.Namespace) -> int:
    """Run it; 0, or 1 when a self-check (``--gold``, ``--empty``) did not come out as it must.

    Raises ``ConfigError`` for options that cannot be used, ``SetupError`` for what cannot be installed or found.
    """
    return asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> int:
    from agentrt.benchmarks.harness.report import conclude
    from agentrt.benchmarks.swebench import predictions
    from agentrt.benchmarks.swebench.figures import figures
    from agentrt.benchmarks.swebench.shop import shop
    from agentrt.engine import progress_for

    file = await asyncio.to_thread(datasets.dataset, options.dataset)
    asks = not (options.gold or options.empty)
    async with opened(options, "swebench", await asyncio.to_thread(_told, options, file), asks=asks) as bench:
        progress = progress_for()
        async with shop(bench, file, _repos(options), _mirrors(options), options.containers, progress) as here:
            progress.close()
            entries = [one.entry for one in here.instances.values()]
            outcomes = await bench.run(entries, _program(options, here, _effort(options, _window(bench))))
            patches = await here.patches(bench, outcomes)
            predictions.write(bench.folder.path / PREDICTIONS, bench.told["model"] or _who(options), patches)
            verdicts = await here.judge(bench, outcomes, patches)
        bench.folder.tell(figures(outcomes, patches))
    conclude(bench.folder, as_json=options.json)
    return _checked(options, verdicts)


def _program(options: argparse.Namespace, here: Shop, effort: Effort) -> Program[..., Any]:
    """What works on an instance."""
    if options.gold or options.empty:
        from agentrt.benchmarks.swebench.handed_in import handed_in

        return handed_in({name: one.patch if options.gold else "" for name, one in here.instances.items()})
    if options.agent == "mini":
        from agentrt.benchmarks.swebench.mini import mini, mini_solver

        return mini_solver(here.instances, here.local, effort, mini(), here.folder / "mini.log")
    from agentrt.benchmarks.swebench.solver import solver

    return solver(here.instances, here.local, effort)


def _effort(options: argparse.Namespace, window: int) -> Effort:
    from agentrt.benchmarks.swebench.solver import Effort

    return Effort(
        turns=options.turns,
        together=options.together,
        reply=options.max_tokens,
        window=options.context or window or _WINDOW,
        command_s=options.command_timeout,
        seed=options.seed,
        temperature=options.temperature,
        tool_use=options.tool_use,
    )


def _repos(options: argparse.Namespace) -> Sequence[str] | None:
    """Whose instances are run; ``None`` for all. Agents work in work trees, so only where those are proven."""
    everywhere = options.containers and (options.gold or options.empty)
    named: Sequence[str] | None = options.repos
    return named or (None if everywhere else PROVEN)


def _checked(options: argparse.Namespace, verdicts: Sequence[Verdict]) -> int:
    """Whether a self-check came out as it must; names what did not."""
    if not (options.gold or options.empty):
        return 0
    wrong = [one for one in verdicts if bool(one.score) is not options.gold]
    for one in wrong:
        print(f"{one.entry}: expected {'resolved' if options.gold else 'not resolved'}: {one.why}", file=sys.stderr)
    return int(bool(wrong))


def _told(options: argparse.Namespace, dataset: Path) -> dict[str, Any]:
    """What results depend on."""
    name = options.dataset if options.dataset in datasets.NAMES else dataset.name
    known = hashlib.sha256(dataset.read_bytes()).hexdigest()[:16]
    told = {"dataset": f"{name} {known}", "repos": list(options.repos or ()), "agent": _who(options)}
    own = ("turns", "together", "max_tokens", "context", "command_timeout", "temperature", "tool_use")
    return told if options.gold or options.empty else told | {one: getattr(options, one) for one in own}


def _window(bench: Bench) -> int:
    """The window that the engine tells of, 0 for none."""
    return int(bench.told["environment"]["engine"].get("context_length") or 0)


def _temperature(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected 0 or more")
    return value


def _who(options: argparse.Namespace) -> str:
    return "gold" if options.gold else "empty" if options.empty else str(options.agent)


def _mirrors(options: argparse.Namespace) -> list[Path]:
    named: list[Path] = options.repo_dir or []
    folder = os.environ.get(REPOS_VARIABLE)
    return [one.expanduser().absolute() for one in named or ([Path(folder)] if folder else [])]
