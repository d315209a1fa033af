"""Eviction by the hints of a policy, as the runtime would send them and the engine's plugin would rank them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentrt.kvcache.contexts import Advice, Context, Phase, ToolRun, World
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import Subject
from agentrt.kvcache.policies import Policy
from agentrt.kvcache.simulator.pool import Node


@dataclass(slots=True)
class Known:
    """A context as the simulated runtime knows it: what ``Context`` holds, and where it lies in the tree.

    ``due`` is when its next turn really comes, for the policy that is told the truth.
    """

    subject: Subject
    program: str
    agent: str
    arrived: float
    phase: Phase = "waiting"
    since: float = 0.0
    tokens: int = 0
    turns: int = 0
    steps: int | None = None
    tool: ToolRun | None = None
    due: float = math.inf
    nodes: Sequence[Node] = field(default_factory=list)

    def enter(self, phase: Phase, now: float, *, tool: ToolRun | None = None, due: float = math.inf) -> None:
        """Change the phase."""
        self.phase, self.since, self.tool, self.due = phase, now, tool, due


class Truth:
    """The policy that knows when every context is needed next: what estimates could reach at best."""

    name = "truth"

    def advise(self, context: Context, world: World) -> Advice | None:
        """The true wait, unless it never comes back."""
        return None if context.wait is None else Advice(remaining=context.wait)


class Hinted:
    """An order: ended contexts first, then what has no hint by recency, then by urgency (``Hint``).

    Advice is taken anew at every eviction, so hints are never late here. A node that several contexts share takes the
    most urgent; hints protect at most ``budget`` of the pool, the most urgent first, each from the root down. With
    ``whole`` false an engine is simulated that splits nodes and evicts only as many tokens as it needs.
    """

    def __init__(
        self,
        policy: Policy | Truth,
        pool: int,
        *,
        estimators: Estimators | None = None,
        budget: float = 0.9,
        whole: bool = True,
    ) -> None:
        self.name = policy.name
        self.policy, self.pool, self.budget, self.whole = policy, pool, budget, whole
        self.estimators = estimators or Estimators()
        self.contexts: dict[Subject, Known] = {}
        self._over: set[Node] = set()
        self._ranks: dict[Node, tuple[float, ...]] = {}

    def know(self, subject: Subject, program: str, agent: str, now: float) -> Known:
        """The context of a subject, new if need be."""
        if subject not in self.contexts:
            self.contexts[subject] = Known(subject, program, agent, now, since=now)
        return self.contexts[subject]

    def end(self, subject: Subject) -> None:
        """It never comes back: what no other context shares goes first; a fixed prompt only loses its rank."""
        gone = self.contexts.pop(subject, None)
        if gone is not None and subject.kind == "session":
            self._over |= set(gone.nodes).difference(*(one.nodes for one in self.contexts.values()))

    def begin(self, now: float) -> None:
        """Ask the policy about every context, and rank the nodes of those that it wants kept."""
        world = self._world(now)
        wanted = []
        for known in self.contexts.values():
            advice = self.policy.advise(self._context(known, now, world), world)
            if advice is not None:
                wanted.append((_urgency(advice), known))
        wanted.sort(key=lambda one: one[0], reverse=True)
        self._ranks = {}
        self._protect(wanted)

    def rank(self, node: Node) -> tuple[Any, ...]:
        """Class, then urgency or nothing, then recency."""
        found = self._ranks.get(node)
        if found is not None:
            return (2, *found, node.touched)
        return (0 if node in self._over else 1), node.touched

    def revive(self, nodes: Iterable[Node]) -> None:
        """These are in use again."""
        self._over.difference_update(nodes)

    def _protect(self, wanted: list[tuple[tuple[float, ...], Known]]) -> None:
        room = self.budget * self.pool
        for urgency, known in wanted:
            for node in known.nodes:
                if node in self._ranks:
                    continue
                if node.have > room:
                    break
                room -= node.have
                self._ranks[node] = urgency

    def _world(self, now: float) -> World:
        live = sum(one.tokens for one in self.contexts.values() if one.subject.kind == "session")
        return World(now=now, pool=self.pool, host=0, pressure=live / self.pool, estimators=self.estimators)

    def _context(self, one: Known, now: float, world: World) -> Context:
        tool = one.tool and ToolRun(one.tool.name, one.tool.word, now - one.since)
        return Context(
            subject=one.subject,
            program=one.program,
            agent=one.agent,
            phase=one.phase,
            arrived=one.arrived,
            tokens=one.tokens,
            turns=one.turns,
            held=now - one.since,
            steps=one.steps,
            wait=self._wait(one, tool, now, world),
            tools=(tool,) if tool and one.subject.kind == "session" else (),
        )

    def _wait(self, one: Known, tool: ToolRun | None, now: float, world: World) -> float | None:
        """Expected seconds: of its tool, then of one turn for each further step; ``Truth`` is told the true ones."""
        if one.phase == "queued":
            return 0.0
        if self.name == Truth.name and math.isfinite(one.due):
            return one.due - now
        if one.steps is None:
            return None
        durations = world.estimators.durations
        left = durations.of(tool.name, tool.word).residual(tool.elapsed) if tool else 0.0
        return left + max(0, one.steps - 1) * durations.of("turn:").mean


def _urgency(advice: Advice) -> tuple[float, ...]:
    """Larger is more urgent: priority, fewer steps, sooner; unknown is furthest."""
    steps = math.inf if advice.steps is None else advice.steps
    return advice.priority, -steps, -(math.inf if advice.remaining is None else advice.remaining)
