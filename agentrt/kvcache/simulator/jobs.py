"""Workloads: jobs that take turns with an engine, run tools in between, and are done after their last turn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Final, NamedTuple

from agentrt.errors import ConfigError
from agentrt.kvcache.simulator.access import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One model turn. Lengths are tokens.

    ``gap`` seconds before it, ``tool`` began to run (its command's first word is ``word``), and its result is among the
    ``new`` tokens that the context has grown by since the last reply; ``output`` is the length of the reply. ``fresh``:
    the context begins anew, after the job's fixed prompt, or, for a turn of one of several agents, after the prompt of
    ``agent``.
    """

    new: int
    output: int
    gap: float = 0.0
    tool: str = ""
    word: str = ""
    fresh: bool = False
    agent: Segment | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a program: its turns in order, from ``arrives`` seconds on. ``head`` is its fixed prompt."""

    name: str
    turns: tuple[Turn, ...]
    head: Segment | None = None
    arrives: float = 0.0

    def contexts(self) -> list[int]:
        """The tokens in the context at the end of each turn, the reply included."""
        sizes: list[int] = []
        size = 0
        for turn in self.turns:
            start = turn.agent or self.head
            size = (start.tokens if start else 0) if turn.fresh or not sizes else size
            size += turn.new + turn.output
            sizes.append(size)
        return sizes

    @property
    def longest(self) -> int:
        """The most tokens that its context ever has."""
        return max(self.contexts(), default=0)


def working_set(jobs: Sequence[Job]) -> int:
    """The tokens that would have to be kept for nothing ever to be computed twice at the jobs' largest: every fixed
    prompt once, and each job's longest context without it. Turns of agents count with their prompts alone."""
    fixed: dict[str, int] = {}
    own = 0
    for job in jobs:
        heads = {turn.agent or job.head for turn in job.turns}
        fixed |= {head.id: head.tokens for head in heads if head}
        if not any(turn.agent for turn in job.turns):
            own += job.longest - (job.head.tokens if job.head else 0)
    return own + sum(fixed.values())


# -- scaling -------------------------------------------------------------------------------------------------


def shrink(
    jobs: Sequence[Job],
    *,
    context: int | None = None,
    gap: float | None = None,
    longest_gap: float = float("inf"),
    turns: int | None = None,
    outputs: tuple[int, int] = (1, 1 << 30),
) -> list[Job]:
    """The jobs at another scale, shapes kept: one factor for all lengths, and one for all gaps.

    Sessions are cut to their first ``turns``; then the median job's longest context becomes ``context`` tokens, and the
    mean gap ``gap`` seconds, none above ``longest_gap``. Replies are held within ``outputs`` tokens. What is not given
    stays as it is. Raises ``ConfigError`` when there is nothing to scale.
    """
    cut = [replace(job, turns=job.turns[:turns]) for job in jobs if job.turns]
    if not cut:
        raise ConfigError("no job has any turn: there is nothing to scale")
    size = context / median(job.longest for job in cut) if context else 1.0
    mean = fmean(turn.gap for job in cut for turn in job.turns)
    pace = gap / mean if gap and mean else 1.0
    scale = _Scale(size, pace, longest_gap, outputs)
    return [replace(job, turns=tuple(map(scale.turn, job.turns)), head=scale.segment(job.head)) for job in cut]


class _Scale(NamedTuple):
    size: float
    pace: float
    longest: float
    outputs: tuple[int, int]

    def turn(self, turn: Turn) -> Turn:
        low, high = self.outputs
        return replace(
            turn,
            new=max(1, round(turn.new * self.size)),
            output=min(max(low, round(turn.output * self.size)), high),
            gap=min(turn.gap * self.pace, self.longest),
            agent=self.segment(turn.agent),
        )

    def segment(self, one: Segment | None) -> Segment | None:
        return Segment(one.id, max(1, round(one.tokens * self.size))) if one else None


def draw(jobs: Sequence[Job], count: int, *, seed: int, least: int = 1, arrivals: float = 0.0) -> list[Job]:
    """``count`` jobs of at least ``least`` turns, each once before any comes twice; named ``0 name``, ``1 name``...

    They arrive together, or with ``arrivals`` mean seconds between them (a Poisson process). Raises ``ConfigError``
    when no job is long enough.
    """
    chance = random.Random(seed)  # noqa: S311 - a workload, not a secret
    fit = [job for job in jobs if len(job.turns) >= least]
    if not fit:
        raise ConfigError(f"none of {len(jobs)} jobs has {least} turns or more")
    picked: list[Job] = []
    while len(picked) < count:
        picked += chance.sample(fit, min(len(fit), count - len(picked)))
    made, now = [], 0.0
    for number, job in enumerate(picked):
        made.append(replace(job, name=f"{number} {job.name}", arrives=now))
        now += chance.expovariate(1 / arrivals) if arrivals else 0.0
    return made


# -- a workload from published numbers -----------------------------------------------------------------------


class _Kind(NamedTuple):
    """A tool: how often it is called, and its duration as a log-normal (mean and deviation of ln seconds)."""

    tool: str
    word: str
    share: float
    mu: float
    sigma: float


CODING: Final = (
    _Kind("bash", "python", 0.20, 0.4, 1.5),
    _Kind("bash", "git", 0.10, -2.5, 1.5),
    _Kind("bash", "grep", 0.08, -2.5, 1.5),
    _Kind("bash", "pip", 0.03, 1.0, 1.5),
    _Kind("bash", "pytest", 0.09, 1.5, 1.2),
    _Kind("read", "", 0.19, -3.9, 0.9),
    _Kind("edit", "", 0.12, -3.5, 0.6),
    _Kind("search", "", 0.11, -3.5, 0.8),
    _Kind("todo", "", 0.08, -4.0, 0.7),
)
"""Tools of a coding agent: shares and durations near those of recorded runs on SWE-rebench tasks."""


def coding_jobs(count: int, *, seed: int, turns: float = 37.0, head: int = 13_000) -> list[Job]:
    """Made-up coding agents for those who have no recording: one fixed prompt of ``head`` tokens shared by all.

    Log-normal throughout, by the recorded runs' parameters: turns with median ``turns`` and deviation 0.6, new tokens
    a turn exp(5.6 +- 1.4), replies exp(4.2 +- 1.1) tokens, gaps by tool (``CODING``). Scale them with ``shrink``.
    """
    chance = random.Random(seed)  # noqa: S311 - a workload, not a secret
    prompt = Segment("coding", head)
    return [Job(f"coding{number}", tuple(_coding_turns(chance, turns)), head=prompt) for number in range(count)]


def _coding_turns(chance: random.Random, turns: float) -> list[Turn]:
    made = [Turn(new=_tokens(chance, 6.5, 0.5), output=_tokens(chance, 4.2, 1.1))]
    for _ in range(max(2, round(turns * chance.lognormvariate(0, 0.6))) - 1):
        [kind] = chance.choices(CODING, [one.share for one in CODING])
        made.append(
            Turn(
                new=_tokens(chance, 5.6, 1.4),
                output=_tokens(chance, 4.2, 1.1),
                gap=min(chance.lognormvariate(kind.mu, kind.sigma), 600.0),
                tool=kind.tool,
                word=kind.word,
            )
        )
    return made


def _tokens(chance: random.Random, mu: float, sigma: float) -> int:
    return max(1, min(round(chance.lognormvariate(mu, sigma)), 20_000))


def agent_jobs(count: int, *, agents: int = 10, fixed: int = 500, rounds: int = 3, new: int = 30, output: int = 10,
               shared: bool = True) -> list[Job]:  # fmt: skip
    """KVFlow's workload (section 5): each job calls ``agents`` agents one after the other, in ``rounds`` rounds.

    Every agent has a fixed prompt of ``fixed`` tokens and each call ``new`` ones of its own. ``shared``: all jobs use
    the same agents; otherwise each has its own.
    """
    jobs = []
    for number in range(count):
        prompts = [Segment(f"agent{one}" if shared else f"agent{one} of {number}", fixed) for one in range(agents)]
        turns = [Turn(new=new, output=output, fresh=True, agent=prompt) for _ in range(rounds) for prompt in prompts]
        jobs.append(Job(f"workflow{number}", tuple(turns)))
    return jobs
