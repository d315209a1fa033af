"""The contexts of one run: where each is in its life, folded from the run's events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from agentrt.events import Event, GraphEdited, RunEnded, StepAdded, StepEnded, StepStarted
from agentrt.graph.machine import Node
from agentrt.kvcache.contexts import Context, Phase, ToolRun
from agentrt.kvcache.estimators import Estimators
from agentrt.kvcache.hints import Subject
from agentrt.kvcache.policies.waits import tools_left
from agentrt.runtime.kv.forecast import Forecast, Outlook, duration_name, turns_before
from agentrt.types import Message, RunId, SessionId, StepId, ToolSpec, Usage

PEOPLE_S: Final = 3600.0
"""Seconds that a person is taken to need for an answer: long enough for nothing to be kept for it."""

MOST_PROMPTS: Final = 256
"""Fixed prompts told apart in one run; a program that makes up one for each of its calls shares none of them."""


class Prompt(NamedTuple):
    """What every conversation of an agent starts with, and which of the runtime's models answers it."""

    agent: str
    model: str
    fixed: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for prompts that are equal; a tool's schema is no key, its name and description stand for it."""
        return self.model, self.fixed, tuple((one.name, one.description) for one in self.tools)


class Tracked:
    """One session while it lives; times are seconds of the runtime's clock."""

    __slots__ = ("acting", "fixed", "id", "last", "phase", "prompt", "since", "tokens", "turns")

    def __init__(self, id: SessionId, prompt: Prompt, fixed: Subject | None, now: float) -> None:  # noqa: A002 - the field's name
        self.id = id
        self.prompt = prompt
        self.fixed = fixed
        self.phase: Phase = "waiting"
        self.since = now
        self.turns = 0
        self.tokens = 0
        self.acting: dict[Node, float] = {}
        self.last: Node | None = None

    def enter(self, phase: Phase, now: float) -> None:
        """Change the phase."""
        if phase != self.phase:
            self.phase, self.since = phase, now


class Tracker:
    """Follows one run. ``moved`` is called whenever something may have changed for the engine.

    ``urgent`` then says that it should be told at once: a context has ended. ``acts`` is told of a session behind whose
    last turn a tool begins, and for how many seconds. Also an observer of the run's events.
    """

    def __init__(
        self,
        run: RunId,
        nodes: Mapping[StepId, Node],
        forecast: Forecast,
        estimators: Estimators,
        now: Callable[[], float],
        moved: Callable[[Tracker, bool], None],
        acts: Callable[[RunId, SessionId, float], None],
    ) -> None:
        self.run = run
        self.prompts: dict[Subject, Prompt] = {}
        self.ended: list[tuple[str, Subject]] = []
        self.over = False
        self._nodes = nodes
        self._forecast = forecast
        self._estimators = estimators
        self._now = now
        self._moved = moved
        self._acts = acts
        self._subjects: dict[tuple[object, ...], Subject] = {}
        self._sessions: dict[SessionId, Tracked] = {}
        self._live: dict[StepId, Node] = {}
        self._born = now()
        self._answers = 0
        self._left = 0.0

    # -- what the agents tell --------------------------------------------------------------------------------

    def opened(self, session: SessionId, prompt: Prompt) -> None:
        """A context exists; nothing of it has been sent."""
        self._sessions[session] = Tracked(session, prompt, self._fixed_in(prompt), self._now())

    def _fixed_in(self, prompt: Prompt) -> Subject | None:
        """The subject of a fixed prompt in this run. Agents of one name may have several, which are told apart."""
        subject = self._subjects.get(prompt.key)
        if subject is None and len(self.prompts) < MOST_PROMPTS:
            same = sum(one.agent == prompt.agent for one in self.prompts.values())
            name = f"{prompt.agent}~{same + 1}" if same else prompt.agent
            subject = self._subjects[prompt.key] = Subject("agent", name, self.run)
            self.prompts[subject] = prompt
        return subject

    def closed(self, session: SessionId) -> None:
        """No further turn of the context comes."""
        known = self._sessions.pop(session, None)
        if known is not None:
            self._end(known)
            self._moved(self, True)

    def held(self, session: SessionId, held: bool) -> None:
        """A turn of the context is held back, or goes to the engine: its time begins there."""
        known = self._sessions.get(session)
        if known is not None:
            known.enter("held" if held else "queued", self._now())
            known.since = self._now()
            self._moved(self, False)

    def answered(self, session: SessionId, usage: Usage, first: float | None, alone: bool) -> None:
        """A turn of the context was answered, its first token ``first`` seconds after it was sent.

        ``alone``: no other turn of this runtime was at the model then, so that it did not queue.
        """
        known = self._sessions.get(session)
        if known is None:
            return
        known.turns += 1
        self._answers += 1
        known.tokens = usage.prompt + usage.completion
        if first is not None and usage.prompt:
            self._learn_prefill(usage, first, alone)

    @property
    def left(self) -> float:
        """Turns that the run's live sessions are expected to take still.

        Counted anew after as many answers as there are sessions, so that a turn costs the same beside thousands.
        """
        if self._answers >= len(self._sessions):
            left, self._answers = self._estimators.turns.left, 0
            self._left = sum(left(known.prompt.agent, known.turns).value for known in self._sessions.values())
        return self._left

    def _learn_prefill(self, usage: Usage, first: float, alone: bool) -> None:
        """Time to the first token is prefill, for a turn that was alone; else what is beyond that was the queue."""
        new = usage.prompt - usage.cached
        if alone:
            self._estimators.prefill.observe(new, usage.cached, first)
            return
        expected = self._estimators.prefill.seconds(new, usage.cached)
        if expected.samples:
            self._estimators.queueing.observe(max(0.0, first - expected.value))

    # -- what the run tells ----------------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Take one event of the run."""
        kind = type(event)
        if kind is StepAdded:
            self._live[event.step] = self._nodes[event.step]  # type: ignore[union-attr]
        elif kind is StepStarted:
            self._began(self._nodes[event.step])  # type: ignore[union-attr]
        elif kind is StepEnded:
            self._over(self._nodes[event.step])  # type: ignore[union-attr]
        elif kind is GraphEdited:
            self._moved(self, False)
        elif kind is RunEnded:
            self._close()

    def _began(self, node: Node) -> None:
        known = self._sessions.get(node.session) if node.session else None
        if known is not None:
            now = self._now()
            if node.kind == "llm":
                known.last = node
                known.enter("queued", now)
            elif node.kind == "tool":
                known.acting[node] = now
                known.enter("acting", now)
        if node.kind in ("tool", "question"):
            asks = node.kind == "question"
            expected = PEOPLE_S if asks else self._estimators.durations.of(node.name, node.word).mean
            for session in turns_before(node):
                if session in self._sessions:
                    self._acts(self.run, session, expected)
        self._moved(self, False)

    def _over(self, node: Node) -> None:
        self._live.pop(node.id, None)
        known = self._sessions.get(node.session) if node.session else None
        self._learn(node, known)
        if known is not None:
            known.acting.pop(node, None)
            if not known.acting:
                known.enter("waiting", self._now())
        self._moved(self, False)

    def _learn(self, node: Node, known: Tracked | None) -> None:
        """How long a step took; a turn without the time it was held back, or an engine was started for it."""
        if node.status == "done" and node.started is not None and node.ended is not None:
            name = duration_name(node)
            took = node.ended - node.started
            if node.kind == "llm" and known is not None:
                took = min(took, self._now() - known.since)
            if name is not None:
                self._estimators.durations.observe(name, node.word, took)

    def _end(self, known: Tracked) -> None:
        """Its turns are learned; those of a run that was cut off count as far as they came."""
        self.ended.append((known.prompt.model, Subject("session", known.id)))
        if known.turns:
            self._estimators.turns.observe(known.prompt.agent, known.turns)

    def _close(self) -> None:
        for known in self._sessions.values():
            self._end(known)
        self.ended += [(prompt.model, subject) for subject, prompt in self.prompts.items()]
        self._sessions.clear()
        self.over = True
        self._moved(self, True)

    # -- what the publisher asks -----------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether a context waits for something else than the engine: then time alone changes what is expected."""
        return any(known.phase in ("waiting", "acting") for known in self._sessions.values())

    def tokens(self, model: str) -> int:
        """The size of all live contexts at that model."""
        return sum(known.tokens for known in self._sessions.values() if known.prompt.model == model)

    def contexts(self, model: str) -> Iterator[Context]:
        """Every live session and fixed prompt at that model, with what is expected of it."""
        now = self._now()
        outlook = self._forecast.look(self._live, now - self._born)
        soonest: dict[Subject, tuple[int, float | None]] = {}
        for known in self._sessions.values():
            if known.prompt.model == model:
                context = self._context(known, outlook, now)
                if context.steps is not None and known.fixed is not None:
                    _keep_soonest(soonest, known.fixed, context.steps, context.wait)
                yield context
        for subject, prompt in self.prompts.items():
            if prompt.model == model:
                yield self._fixed(subject, prompt, outlook, soonest)

    def _context(self, known: Tracked, outlook: Outlook, now: float) -> Context:
        asks = any(map(outlook.asks, known.acting))
        tools = tuple(ToolRun(node.name, node.word, now - began) for node, began in known.acting.items())
        steps, wait = (None, None) if asks else self._expected(known, tools, outlook)
        return Context(
            subject=Subject("session", known.id),
            program=self.run,
            agent=known.prompt.agent,
            phase="waiting" if asks else known.phase,
            arrived=self._born,
            tokens=known.tokens,
            turns=known.turns,
            held=now - known.since,
            steps=steps,
            wait=wait,
            tools=() if asks else tools or outlook.tools(known.last, self._nodes),
        )

    def _expected(
        self, known: Tracked, tools: tuple[ToolRun, ...], outlook: Outlook
    ) -> tuple[int | None, float | None]:
        if known.phase == "held":
            return None, None  # nobody knows when it is let go; nor is its agent's prompt needed for it before that
        if known.phase == "queued":
            return 0, 0.0
        if tools:
            return 1, tools_left(tools, self._estimators.durations)
        return outlook.session(known.id, known.prompt.agent, known.last)

    def _fixed(
        self, subject: Subject, prompt: Prompt, outlook: Outlook, soonest: dict[Subject, tuple[int, float | None]]
    ) -> Context:
        """A fixed prompt is needed as soon as the first of the sessions that share it, or of the calls to come."""
        steps, wait = soonest.get(subject, (None, None))
        if steps != 0:
            called, after = outlook.agent(prompt.agent)
            if called is not None:
                _keep_soonest(soonest, subject, called, after)
                steps, wait = soonest[subject]
        return Context(subject, self.run, prompt.agent, "waiting", self._born, steps=steps, wait=wait)


def _keep_soonest(
    found: dict[Subject, tuple[int, float | None]], subject: Subject, steps: int, wait: float | None
) -> None:
    known = found.get(subject)
    if known is None or (steps, _far(wait)) < (known[0], _far(known[1])):
        found[subject] = (steps, wait)


def _far(wait: float | None) -> float:
    return float("inf") if wait is None else wait
