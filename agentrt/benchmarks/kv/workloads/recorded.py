"""Where the shape of tool loops comes from: a recording that the user has, or published numbers."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Final

from agentrt.benchmarks.kv.workloads.loops import Beat
from agentrt.kvcache.simulator.jobs import Job, coding_jobs
from agentrt.kvcache.simulator.traces import read_jobs

MADE_UP: Final = 64
"""Runs that are drawn where there is no recording."""


def recorded_runs(trace: Path | None, seed: int) -> list[list[Beat]]:
    """The runs of a recording, or of made-up coding agents without one. Raises ``ConfigError`` for a bad file."""
    jobs = coding_jobs(MADE_UP, seed=seed) if trace is None else read_jobs(trace)
    return [beats_of(job) for job in jobs]


def beats_of(job: Job) -> list[Beat]:
    """The turns of a job, each with its prompt's tokens and the tool that ran after it."""
    contexts = zip(job.turns, job.contexts(), strict=True)
    prompts = [size - turn.output for turn, size in contexts]
    after = zip_longest(prompts, job.turns[1:])
    return [Beat(prompt, turn.tool, turn.word, turn.gap) if turn else Beat(prompt) for prompt, turn in after]
