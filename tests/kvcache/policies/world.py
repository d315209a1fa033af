"""Contexts and worlds for tests of policies, with what matters given and the rest plain."""

from __future__ import annotations

from typing import Any

from agentrt.kvcache.contexts import Context, Phase, ToolRun, World
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import Subject


def session(phase: Phase, **known: Any) -> Context:
    """One session's context."""
    return Context(Subject("session", "s1"), program="p1", agent="coder", phase=phase, **known)


def prompt(phase: Phase = "waiting", **known: Any) -> Context:
    """One agent's fixed prompt."""
    return Context(Subject("agent", "coder", "p1"), program="p1", agent="coder", phase=phase, **known)


def acting(elapsed: float, name: str = "bash", word: str = "", **known: Any) -> Context:
    """A session whose tool has run for so long."""
    return session("acting", held=elapsed, steps=1, tools=(ToolRun(name, word, elapsed),), **known)


def world(estimators: Estimators | None = None, *, pool: int = 10_000, host: int = 0, pressure: float = 2.0) -> World:
    """One instant, with twice as many live contexts as fit."""
    return World(100.0, pool, host, pressure, estimators if estimators is not None else Estimators())


def tools(**seconds: list[float]) -> Estimators:
    """Estimators that have seen each tool take these times."""
    made = Estimators()
    for name, times in seconds.items():
        for one in times:
            made.durations.observe(name, "", one)
    return made
