"""When each context is needed again: the live graph for what has been called, the template for what has not.

For one session the *way back* counts: which steps that run now lead to its next turn. Those are the steps that come
after its last turn, by data or by what the program awaited. Several branches that stand at different places of one loop
so each get their own answer. The template's answer for a place never changes, so it is looked up once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Final

from agentrt.graph.analysis import live_view, steps_to_execution
from agentrt.graph.analysis_template import template_steps
from agentrt.graph.machine import Node
from agentrt.graph.template import Template, TemplateId
from agentrt.kvcache.contexts import ToolRun
from agentrt.kvcache.estimators import Estimators
from agentrt.types import SessionId, StepId

WAY_BACK: Final = 64
"""Steps looked at behind a running one to find the turn that it comes after."""

TURN: Final = "turn:"
"""Durations of model turns are learned under this and the agent's name; those of plain steps under ``STEP``."""

STEP: Final = "step:"


class Places:
    """What a template says of its places, found out once for all runs of a program. ``None`` where none can be read."""

    def __init__(self, template: Template | None) -> None:
        self._template = template
        self._named: dict[tuple[str, int], tuple[TemplateId, ...]] = {}
        self._asked: dict[str, tuple[TemplateId, ...]] = {}
        self.steps = lru_cache(1024)(self._steps)

    def stands(self, node: Node) -> tuple[TemplateId, ...]:
        """Where a step of a run may stand in the template."""
        if self._template is None or node.place is None:
            return ()
        key = (node.name, node.place[1])
        if key not in self._named:
            self._named[key] = tuple(one.id for one in self._template.find(*key))
        return self._named[key]

    def calls(self, agent: str) -> tuple[TemplateId, ...]:
        """The places in the template where the agent is asked."""
        if self._template is None:
            return ()
        if agent not in self._asked:
            found = (*self._template.find(agent), *self._template.find(f"{agent}.turn"))
            self._asked[agent] = tuple(one.id for one in found if one.kind in ("llm", "agent"))
        return self._asked[agent]

    def _steps(self, running: frozenset[TemplateId]) -> Mapping[TemplateId, int]:
        assert self._template is not None, "a place in a template comes from one"
        return template_steps(self._template, running)


class Forecast:
    """Steps and seconds to the next use of contexts, in one run."""

    def __init__(self, places: Places, estimators: Estimators) -> None:
        self.places = places
        self.estimators = estimators

    def look(self, live: Mapping[StepId, Node], now: float) -> Outlook:
        """What can be said at this moment of unfinished steps; ``now`` is in seconds of the run's clock."""
        return Outlook(self, live, now)


class Outlook:
    """The forecast at one instant; everything in it is found out at most once, and only when asked for."""

    def __init__(self, forecast: Forecast, live: Mapping[StepId, Node], now: float) -> None:
        self._forecast = forecast
        self._live = live
        self._now = now
        self._called: Mapping[str, int] | None = None
        self._everywhere: Mapping[TemplateId, int] | None = None
        self._back: dict[SessionId, list[Node]] | None = None

    @cached_property
    def _running(self) -> list[Node]:
        """The steps that run, without those that only hold another running one."""
        running = [node for node in self._live.values() if node.status == "running"]
        holders = {node.parent for node in running}
        return [node for node in running if node not in holders]

    @cached_property
    def _moving(self) -> list[Node]:
        """Those of them that end by themselves: nobody knows when a person answers."""
        return [node for node in self._running if node.kind != "question"]

    @cached_property
    def _asking(self) -> set[Node]:
        """The steps inside which a person is asked."""
        found: set[Node] = set()
        for node in self._running:
            above = node.parent if node.kind == "question" else None
            while above is not None:
                found.add(above)
                above = above.parent
        return found

    @cached_property
    def _pending(self) -> list[Node]:
        """The turns that are called and wait for what they take."""
        return [node for node in self._live.values() if node.session and node.status in ("pending", "ready")]

    def session(self, session: SessionId, agent: str, last: Node | None) -> tuple[int | None, float | None]:
        """Steps and seconds to the session's next turn; ``last`` is its last one. None that waits for a person."""
        called = [node for node in self._pending if node.session == session]
        steps = self._called_steps(called)
        ways = self._ways_back().get(session, []) if last is not None else []
        through = [node for node in ways if node.kind != "question"]
        if (ways and not through) or (called and all(map(_after_a_person, called))):
            return None, None
        if steps is None:
            found = [self._from(node, agent) for node in ways]
            steps = min((one for one in found if one is not None), default=None)
        if steps is None and not ways:
            steps = self._soonest(agent)
        if steps == 1 and len(through) < len(ways):  # it needs all of them
            return None, None
        return steps, self._wait(steps, through or self._moving)

    def agent(self, agent: str) -> tuple[int | None, float | None]:
        """Steps and seconds to the next call of the agent that is not made yet."""
        steps = self._soonest(agent)
        return steps, self._wait(steps, self._moving)

    def asks(self, node: Node) -> bool:
        """Whether a person is asked inside the step, so that nobody knows when it ends."""
        return node in self._asking

    def tools(self, last: Node | None, nodes: Mapping[StepId, Node]) -> tuple[ToolRun, ...]:
        """The tools that run between a session's last turn and its next one."""
        if last is None or last.session is None:
            return ()
        ways = self._ways_back().get(last.session, [])
        if any(node.kind == "question" for node in ways):
            return ()
        return tuple(ToolRun(node.name, node.word, self._elapsed(node)) for node in ways if node.kind == "tool")

    def _called_steps(self, called: list[Node]) -> int | None:
        if not called:
            return None
        if self._called is None:
            self._called = steps_to_execution(live_view(self._live.values()))
        return min((self._called[node.id] for node in called if node.id in self._called), default=None)

    def _from(self, node: Node, agent: str) -> int | None:
        found = []
        for place in self._forecast.places.stands(node):
            ahead = self._forecast.places.steps(frozenset((place,)))
            found += [ahead[one] for one in self._forecast.places.calls(agent) if ahead.get(one)]
        return min(found, default=None)

    def _soonest(self, agent: str) -> int | None:
        calls = self._forecast.places.calls(agent)
        if not calls:
            return None
        if self._everywhere is None:
            places = frozenset(place for node in self._moving for place in self._forecast.places.stands(node))
            self._everywhere = self._forecast.places.steps(places) if places else {}
        return min((self._everywhere[one] for one in calls if one in self._everywhere), default=None)

    def _ways_back(self) -> dict[SessionId, list[Node]]:
        """For each session the running steps that come after its last turn."""
        if self._back is None:
            self._back = {}
            for node in self._running:
                for session in turns_before(node):
                    self._back.setdefault(session, []).append(node)
        return self._back

    def _wait(self, steps: int | None, through: list[Node]) -> float | None:
        if steps is None:
            return None
        if steps == 0 or not through:
            return 0.0 if steps == 0 else None
        left = [self._left(node) for node in through]
        longest = max(left) if steps == 1 else min(left)
        return longest + (steps - 1) * self._forecast.estimators.durations.of(TURN).mean

    def _left(self, node: Node) -> float:
        name = duration_name(node)
        if name is None:
            return 0.0
        return self._forecast.estimators.durations.of(name, node.word).residual(self._elapsed(node))

    def _elapsed(self, node: Node) -> float:
        return max(0.0, self._now - node.started) if node.started is not None else 0.0


def duration_name(node: Node) -> str | None:
    """Under which name the step's duration is learned; ``None`` for what only holds other steps."""
    if node.kind == "tool":
        return node.name
    if node.kind == "llm":
        return TURN + node.name
    return STEP + node.name if node.kind == "python" else None


def _after_a_person(node: Node) -> bool:
    """Whether a called step waits for a question that is not answered."""
    seen = {node}
    queue = [node]
    for one in queue:
        if one.kind == "question":
            return True
        for before in one.inputs:
            if before.ended is None and before not in seen and len(seen) < WAY_BACK:
                seen.add(before)
                queue.append(before)
    return False


def turns_before(node: Node) -> set[SessionId]:
    """The sessions whose turns come next before a step, along every way."""
    if node.session is not None:
        return {node.session}
    found: set[SessionId] = set()
    seen = {node}
    queue = [node]
    for one in queue:
        before = (*one.inputs, *one.after)
        if not before and one.parent is not None:
            before = (one.parent,)
        for each in before:
            if each in seen:
                continue
            seen.add(each)
            if each.session is not None:
                found.add(each.session)
            elif len(queue) < WAY_BACK:
                queue.append(each)
    return found
