"""A benchmark as small as can be, for tests of the harness: also as a process of its own, to kill.

``python -m tests.benchmarks.harness.toy --engine URL --out FOLDER --ledger FILE``: each entry notes in a ledger what it
does, and asks the model twice.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agentrt import Agent, program, tool
from agentrt.benchmarks.harness.entries import Entry, Outcome, Verdict
from agentrt.benchmarks.harness.options import add_arguments, opened
from agentrt.benchmarks.harness.report import conclude
from agentrt.cli.failures import guarded
from agentrt.testing import Asked, Reply, say

AT_ONCE = 3
writer = Agent("writer", retries=0)


@tool
async def note(ledger: str, what: str) -> None:
    """Write down that it happens."""
    with Path(ledger).open("a") as stream:
        stream.write(f"{what}\n")


@tool
async def wait() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


@program
async def answer(data: Mapping[str, Any]) -> str:
    """Note, ask, note, ask."""
    said = ""
    for turn in range(2):
        await note(data["ledger"], f"{data['question']} {turn}")
        said += await writer(f"question {data['question']} turn {turn}")
    match data.get("trouble"):
        case "raise":
            raise ValueError("the toy broke")
        case "hang":
            await wait()
    return said


def replies(asked: Asked) -> Reply:
    """The same answer to the same question."""
    return say(f"[{asked.last}]")


def entries(number: int, ledger: Path, troubles: Mapping[int, str] | None = None) -> list[Entry]:
    """So many questions; ``troubles`` says what befalls some of them."""
    return [
        Entry(
            f"toy-{one}",
            "even" if one % 2 == 0 else "odd",
            {"question": one, "ledger": str(ledger), "trouble": (troubles or {}).get(one)},
        )
        for one in range(number)
    ]


def judged(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """Questions below ten pass if they were answered."""
    return [
        Verdict(one.entry, one.category, float(one.status == "done" and int(one.entry.removeprefix("toy-")) < 10))
        for one in outcomes
    ]


async def main(options: argparse.Namespace) -> int:
    """Run it, judge it, report it."""
    async with opened(options, "toy", {"size": options.size}) as bench:
        outcomes = await bench.run(entries(options.size, options.ledger), answer)
    bench.folder.judged(judged(outcomes))
    conclude(bench.folder, as_json=options.json)
    return 0


def build() -> argparse.ArgumentParser:
    """The options of its own are ``--size`` and ``--ledger``."""
    parser = argparse.ArgumentParser(prog="toy")
    add_arguments(parser, name="toy")
    parser.add_argument("--size", type=int, default=12)
    parser.add_argument("--ledger", type=Path, required=True)
    parser.set_defaults(handler=lambda options: asyncio.run(main(options)))
    return parser


if __name__ == "__main__":
    sys.exit(guarded(build, None))
