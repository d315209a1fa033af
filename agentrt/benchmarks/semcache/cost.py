"""What a look-up costs, ours and GPTCache's: each in a process of its own, in turns, block after block."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from agentrt.benchmarks.harness.graders import Environment, Grader, grader
from agentrt.benchmarks.semcache.questions import Made, several
from agentrt.errors import AgentrtError, ConfigError

GPTCACHE: Final = "0.1.44"
PEERS: Final = ("faiss", "hnswlib")
"""GPTCache's indexes: the one that its documentation uses, which looks at all vectors, and a graph in memory."""

PREPARED: Final = "miss, embedded before"
KINDS: Final = ("miss", PREPARED, "exact hit", "near hit")

_THRESHOLDS: Final = (0.99, 0.8)
"""GPTCache's for misses and for hits: at 0.8, its default, most of our new questions would be hits, wrong ones."""

_REQUIREMENTS: Final = (
    f"gptcache=={GPTCACHE}", "faiss-cpu==1.15.1", "chroma-hnswlib==0.7.6", "sqlalchemy==2.1.9",
    "wordllama==0.4.0.post1", "numpy==2.4.6", "cachetools==8.0.0", "requests==2.34.2", "certifi==2026.10.18",
    "charset-normalizer==3.5.2", "idna==3.20", "urllib3==2.8.0", "typing-extensions==4.16.0", "packaging==26.3",
    "safetensors==0.8.0", "tokenizers==0.23.3", "toml==0.10.2", "pydantic==2.14.3", "pydantic-core==2.50.4",
    "annotated-types==0.8.0", "typing-inspection==0.4.5",
)  # fmt: skip
_HERE: Final = Path(__file__).parent
_PATIENCE: Final = 1_800.0
_MEMORY: Final = 24 << 30
_FRESH: Final = 1_000_003
"""Seeds of questions that were not stored begin here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``entries`` on our side and ``peer_entries`` on the peers'; ``blocks`` of so many ``questions`` of each kind."""

    entries: int
    peer_entries: int
    blocks: int
    questions: int
    peers: tuple[str, ...] = PEERS
    seed: int = 1


class Asked(NamedTuple):
    """One question: seconds of the look-up, seconds from the model to the reply, and whether it was a hit."""

    before: float
    after: float
    hit: bool


@dataclass(slots=True)
class Score:
    """What one side did: ``blocks[KIND]`` are the questions of each block. ``filled`` is what ``fill`` said."""

    name: str
    entries: int
    filled: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, list[list[Asked]]] = field(default_factory=dict)
    problem: str = ""

    def asked(self, kind: str) -> list[Asked]:
        """All questions of a kind."""
        return [one for block in self.blocks.get(kind, []) for one in block]

    def right(self, kind: str) -> list[Asked]:
        """Those of them that were what they were to be: misses, or hits."""
        return [one for one in self.asked(kind) if _expected(one, kind)]

    def medians(self, kind: str) -> list[float | None]:
        """Of each block the median look-up of those that were what they were to be; ``None``: none was."""
        blocks = [[one.before for one in block if _expected(one, kind)] for block in self.blocks.get(kind, [])]
        return [median(seconds) if seconds else None for seconds in blocks]


def _expected(one: Asked, kind: str) -> bool:
    return one.hit == ("hit" in kind)


def own_process(folder: Path, name: str) -> Grader:
    """Our side in a process of its own."""
    here = Environment(Path(sys.executable), folder)
    return Grader(here, _HERE / "ours.py", log=folder / f"{name}.log", memory=_MEMORY)


def measure(plan: Plan, folder: str | None, tell: Callable[[str], None]) -> list[Score]:
    """All sides, ours first. A peer that cannot be installed or fails has a ``problem``, and the others go on."""
    with TemporaryDirectory(prefix="agentrt-bench-", dir=folder) as made:
        return asyncio.run(_measure(plan, Path(made), tell))


async def _measure(plan: Plan, folder: Path, tell: Callable[[str], None]) -> list[Score]:
    stored = several(plan.seed, max(plan.entries, plan.peer_entries))
    async with AsyncExitStack() as stack:
        sides: list[tuple[Score, Grader | None]] = []
        ours = Score("agentrt", plan.entries)
        process = await stack.enter_async_context(own_process(folder, "ours"))
        tell(f"agentrt: {plan.entries:,} answers")
        ours.filled = await _filled(process, folder / "ours", stored[: plan.entries], plan)
        sides.append((ours, process))
        for peer in plan.peers:
            score = Score(f"GPTCache, {peer}", plan.peer_entries)
            tell(f"{score.name}: {plan.peer_entries:,} answers")
            theirs = await _peer(stack, score, peer, folder, stored[: plan.peer_entries], plan)
            if theirs is not None:
                score.filled["alike"] = await _alike(process, theirs, stored[0].text)
            sides.append((score, theirs))
        for number in range(plan.blocks):
            tell(f"block {number + 1} of {plan.blocks}")
            await _block(plan, number, sides, stored)
        return [score for score, _ in sides]


async def _peer(
    stack: AsyncExitStack, score: Score, name: str, folder: Path, stored: Sequence[Made], plan: Plan
) -> Grader | None:
    try:
        environment = grader("gptcache", _REQUIREMENTS, python=">=3.11,<3.13")
        log = folder / f"{name}.log"
        process = await stack.enter_async_context(
            Grader(environment, _HERE / "inside" / "gpt.py", log=log, memory=_MEMORY)
        )
        score.filled = await _filled(process, folder / name, stored, plan, index=name)
    except AgentrtError as error:
        score.problem = str(error).splitlines()[0]
        return None
    return process


async def _alike(ours: Grader, theirs: Grader, text: str) -> float:
    """The cosine of both sides' vectors of a text: 1, since only the caches are to differ."""
    alike: float = await theirs.ask("alike", text=text, vector=await ours.ask("vector", text=text))
    return alike


async def _filled(process: Grader, folder: Path, stored: Sequence[Made], plan: Plan, **more: Any) -> dict[str, Any]:
    texts = [one.text for one in stored]
    room = 2 * len(texts) + 10 * plan.blocks * plan.questions
    filled: dict[str, Any] = await process.ask(
        "fill", within=_PATIENCE, folder=str(folder), questions=texts, room=room, **more
    )
    return filled


async def _block(plan: Plan, number: int, sides: Sequence[tuple[Score, Grader | None]], stored: Sequence[Made]) -> None:
    """Every side is asked questions of every kind."""
    drawn = several(_FRESH + number, 2 * plan.questions)
    known = min(plan.entries, plan.peer_entries)
    places = [(number * plan.questions + at) % known for at in range(plan.questions)]
    texts = {
        "miss": [one.text for one in drawn[: plan.questions]],
        PREPARED: [one.text for one in drawn[plan.questions :]],
        "exact hit": [stored[at].text for at in places],
        "near hit": [stored[at].again for at in places],
    }
    for kind, questions in texts.items():
        for score, process in sides:
            if process is not None and not score.problem:
                await _asked(score, process, kind, questions)


async def _asked(score: Score, process: Grader, kind: str, questions: Sequence[str]) -> None:
    """Ask one side these. A peer that fails is not asked again; nor is one what it has no way to do."""
    peer = score.name.startswith("GPTCache")
    if peer and kind == PREPARED:
        return
    more: dict[str, Any] = {"threshold": _THRESHOLDS["hit" in kind]} if peer else {"prepared": kind == PREPARED}
    try:
        found = await process.ask("ask", within=_PATIENCE, questions=questions, **more)
    except AgentrtError as error:
        if not peer:
            raise
        score.problem = str(error).splitlines()[0]
        return
    score.blocks.setdefault(kind, []).append([Asked(*one) for one in found])


def chosen(names: str) -> tuple[str, ...]:
    """The peers of ``all``, ``none`` or names. Raises ``ConfigError`` for others."""
    if names in ("all", "none"):
        return PEERS if names == "all" else ()
    unknown = [name for name in names.split(",") if name not in PEERS]
    if unknown:
        raise ConfigError(
            f"--peers: there is no {', '.join(map(repr, unknown))}; expected all, none or {','.join(PEERS)}"
        )
    return tuple(names.split(","))
