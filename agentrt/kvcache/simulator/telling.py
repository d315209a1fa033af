"""What the simulated runtime tells of its jobs' contexts as they move: the tracker's part of the real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agentrt.kvcache.contexts import ToolRun
from agentrt.kvcache.hints import Subject
from agentrt.kvcache.simulator.access import Segment
from agentrt.kvcache.simulator.hinted import Hinted, Known
from agentrt.kvcache.simulator.jobs import Job, Turn
from agentrt.kvcache.simulator.pool import Node


@dataclass(slots=True, eq=False)
class Running:
    """One job on its way: the turn that runs or comes next, and the context so far as segments.

    ``called`` is when that turn was called, ``ended`` when the job was done; seconds.
    """

    job: Job
    index: int = 0
    session: str = ""
    chain: list[Segment] = field(default_factory=list)
    called: float = 0.0
    ended: float = 0.0

    @property
    def over(self) -> bool:
        """Whether all turns are done."""
        return self.index == len(self.job.turns)

    @property
    def turn(self) -> Turn:
        """The turn that runs or comes next."""
        return self.job.turns[self.index]

    @property
    def head(self) -> Segment | None:
        """The fixed prompt that this turn's context begins with."""
        return self.turn.agent or self.job.head

    @property
    def tokens(self) -> int:
        """Tokens in its context."""
        return sum(one.tokens for one in self.chain)

    def grow(self) -> None:
        """The turn is called: its prompt is the context so far and what is new, or a new context."""
        if self.turn.fresh or not self.chain:
            self.chain = [self.head] if self.head else []
            self.session = f"{self.job.name}#{self.index}"
        self.chain.append(Segment(f"{self.session}/{self.index}p", self.turn.new))

    def agents(self) -> dict[str, int]:
        """The fixed prompts that are still to come, and how many turns until then."""
        found: dict[str, int] = {}
        for distance, turn in enumerate(self.job.turns[self.index :]):
            head = turn.agent or self.job.head
            if head:
                found.setdefault(head.id, distance)
        return found


class Teller:
    """Keeps the contexts of a ``Hinted`` order up to date; does nothing where there is none."""

    def __init__(self, hinted: Hinted | None) -> None:
        self._hinted = hinted

    def called(self, one: Running, now: float) -> None:
        """Its turn is called, and goes or is held back."""
        if self._hinted is None:
            return
        known = self._hinted.know(Subject("session", one.session), one.job.name, one.head.id if one.head else "", now)
        known.steps, known.tokens = 0, one.tokens
        known.enter("queued", now)
        for prompt, distance in self._prompts(one, now):
            prompt.steps = distance
            prompt.enter("waiting", now)

    def held(self, one: Running, now: float) -> None:
        """Its turn is held back, for as long as others need the room."""
        if self._hinted is None:
            return
        held = [
            self._hinted.contexts[Subject("session", one.session)],
            *(known for known, _ in self._prompts(one, now)),
        ]
        for known in held:
            known.steps = None
            known.enter("held", now)

    def placed(self, one: Running, nodes: Sequence[Node]) -> None:
        """Its turn goes to the engine: where in the tree its context will lie."""
        if self._hinted is None:
            return
        self._hinted.revive(nodes)
        self._hinted.contexts[Subject("session", one.session)].nodes = nodes
        if one.head:
            self._hinted.contexts[Subject("agent", one.head.id, one.job.name)].nodes = nodes[:1]

    def answered(self, one: Running, now: float) -> None:
        """Its turn is done, ``one.index`` is the next: the context waits for it, or has ended."""
        if self._hinted is None:
            return
        subject = Subject("session", one.session)
        if one.over or one.turn.fresh:
            self._hinted.end(subject)
        else:
            self._acts(self._hinted.contexts[subject], one, now)
        left = one.agents()
        for known in [known for known in self._hinted.contexts.values() if known.subject.program == one.job.name]:
            if known.subject.name not in left:
                self._hinted.end(known.subject)
        for prompt, distance in self._prompts(one, now):
            self._acts(prompt, one, now, distance)

    def _acts(self, known: Known, one: Running, now: float, distance: int = 0) -> None:
        """It waits for the tool before the next turn, and so many turns after that."""
        tool = ToolRun(one.turn.tool, one.turn.word) if one.turn.tool else None
        session = known.subject.kind == "session"
        known.steps = distance + (tool is not None)
        known.tokens, known.turns = one.tokens if session else 0, known.turns + session
        known.enter(
            "acting" if tool and session else "waiting",
            now,
            tool=tool,
            due=now + one.turn.gap if not distance else float("inf"),
        )

    def _prompts(self, one: Running, now: float) -> Iterator[tuple[Known, int]]:
        assert self._hinted is not None  # asked for by those who looked
        for name, distance in one.agents().items():
            yield self._hinted.know(Subject("agent", name, one.job.name), one.job.name, name, now), distance
