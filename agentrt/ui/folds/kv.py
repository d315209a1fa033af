"""What is known of the KV cache of a run: the fold of its hints, of what its engines say, and of its turns.

Three voices, and it is always said whose a number is. A turn's ``Usage`` is the engine's count of one prompt: so many
tokens, so many of them cached. A hint is what the runtime told the engine. A sample is what the engine said it holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from agentrt.events import Event, HintsSent, KvSampled, RunEnded, RunResumed, StepEnded, TurnMoved, TurnSent
from agentrt.types import SessionId, StepId, Usage
from agentrt.ui.folds.kv_engine import EngineView, Series, number

Standing: TypeAlias = Literal[
    "in use", "held back", "protected", "partly", "hinted", "evictable", "evicted", "ended", ""
]
"""How a context stands.

in use: a turn of it is at the engine; held back: its turn waits until there is room; protected: hints keep all of it;
partly: the budget has no room for all of it; hinted: the engine was told, and has said nothing since; evictable: it
goes when room is needed; evicted: nothing of it is left; ended: it never comes back. Empty: nobody has said.
"""

KEEP_S: Final = 60.0
"""Seconds that a hint holds which does not say so: the default of ``Hint.keep``."""


class TurnPoint(NamedTuple):
    """The run's turns until a moment: how many, and the tokens of their prompts, cached and computed again."""

    at: float
    turns: int
    prompt: int
    cached: int
    regenerated: int


@dataclass(slots=True)
class ContextView:
    """One session of the run, or a fixed prompt that its sessions share (``kind`` is ``agent``).

    ``tokens`` is its size after the last turn; ``prompt``, ``cached`` and ``regenerated`` add up its turns. What the
    engine was told: ``steps`` to execution, when it is ``due``, and ``until`` when that holds. What the engine said, at
    ``sampled``: the tokens on the ``device`` and the ``host``, and its ``standing`` there, which is hinted, unhinted or
    ended. Times are seconds since the run began.
    """

    kind: Literal["session", "agent"]
    name: str
    agent: str = ""
    model: str = ""
    step: StepId | None = None
    turns: int = 0
    tokens: int = 0
    prompt: int = 0
    cached: int = 0
    regenerated: int = 0
    running: int = 0
    queued: bool = False
    ended: bool = False
    told: float | None = None
    until: float = 0.0
    steps: int | None = None
    due: float | None = None
    tool: str = ""
    prefetch: bool = False
    sampled: float | None = None
    standing: str = ""
    protected: bool = False
    clipped: bool = False
    device: int = 0
    host: int = 0

    @property
    def held(self) -> int:
        """Tokens of it that the engine said it holds, on the device or behind it."""
        return self.device + self.host

    def left(self, now: float) -> float | None:
        """Seconds until it is expected back; 0 when it is overdue, ``None`` when nobody knows (any more)."""
        return None if self.due is None or not self.expected(now) else max(0.0, self.due - now)

    def expected(self, now: float) -> bool:
        """Whether what the engine was told of it still holds."""
        return self.told is not None and now < self.until and not self.ended

    def state(self, now: float) -> Standing:
        """How it stands."""
        if self.ended:
            return "ended"
        if self.running:
            return "held back" if self.queued else "in use"
        if self.sampled is None:
            return "hinted" if self.expected(now) else ""
        if self.held == 0:
            return "evicted" if self.turns else ""
        if self.standing == "hinted" and self.protected:
            return "partly" if self.clipped else "protected"
        return "ended" if self.standing == "ended" else "evictable"

    def answered(self, usage: Usage) -> int:
        """Take in an answered turn; the tokens that were computed again: see ``KvView``."""
        known = max(0, self.tokens - 1)
        again = max(0, min(known, usage.prompt) - usage.cached)
        self.turns += 1
        self.prompt += usage.prompt
        self.cached += usage.cached
        self.regenerated += again
        self.tokens = usage.prompt + usage.completion
        return again

    def hinted(self, at: float, hint: Mapping[str, Any]) -> None:
        """Take in a hint, as JSON; what it leaves out is unknown."""
        keep, remaining, steps = hint.get("keep", KEEP_S), hint.get("remaining"), hint.get("steps")
        self.told, self.until = at, at + _seconds(keep)
        self.steps = steps if isinstance(steps, int) else None
        self.due = None if remaining is None else at + _seconds(remaining)
        self.tool = str(hint.get("tool", ""))
        self.prefetch = bool(hint.get("prefetch"))
        self.agent = self.agent or str(hint.get("agent", ""))
        self.ended |= bool(hint.get("ended"))
        if self.kind == "agent" and "prefix_tokens" in hint:
            self.tokens = number(hint, "prefix_tokens")

    def shown(self, at: float, told: Mapping[str, Any]) -> None:
        """Take in what the engine says of it."""
        self.sampled = at
        self.standing = str(told.get("class", ""))
        self.protected, self.clipped = bool(told.get("protected")), bool(told.get("clipped"))
        self.device, self.host = number(told, "device"), number(told, "host")
        self.agent = self.agent or str(told.get("agent", ""))


class KvView:
    """``apply`` takes a run's events in order; everything else only reads.

    **Regenerated tokens** are those of a session's context that an earlier turn had and that the engine computed
    again. For each turn: the smaller of what the session had (prompt and answer of its turn before, less the answer's
    last token, which no engine computes anything for) and the new prompt, less what the engine says was cached; at
    least 0. A conversation that the program has shortened or put in other words counts as well, up to its new length.

    ``contexts`` are the sessions and fixed prompts by kind and name, in the order in which they were heard of;
    ``engines`` those that told of themselves, by model; ``turns`` the run's ``total`` over time. ``sent`` counts the
    turns that were sent, ``hints`` the hints. ``over``: the run has ended.
    """

    def __init__(self) -> None:
        self.contexts: dict[tuple[str, str], ContextView] = {}
        self.engines: dict[str, EngineView] = {}
        self.turns: Series[TurnPoint] = Series()
        self.total = TurnPoint(0.0, 0, 0, 0, 0)
        self.hints = 0
        self.sent = 0
        self.over = False
        self._asked: dict[StepId, ContextView | None] = {}

    def apply(self, event: Event) -> None:
        """Take in what happened next."""
        take = _TAKERS.get(type(event))
        if take is not None:
            take(self, event)

    def _context(self, kind: Literal["session", "agent"], name: str) -> ContextView:
        key = (kind, name)
        if key not in self.contexts:
            self.contexts[key] = ContextView(kind, name)
        return self.contexts[key]

    def _turn_sent(self, event: TurnSent) -> None:
        if event.step not in self._asked:
            self.sent += 1
        elif (before := self._asked[event.step]) is not None:
            before.running -= 1
        self._asked[event.step] = None if event.session is None else self._begun(event, event.session)

    def _begun(self, event: TurnSent, session: SessionId) -> ContextView:
        context = self._context("session", session)
        context.agent, context.model, context.step = event.agent, event.model, event.step
        context.running += 1
        context.queued = context.ended = False
        return context

    def _turn_moved(self, event: TurnMoved) -> None:
        context = self._asked.get(event.step)
        if context is not None:
            context.queued = event.phase == "queued"

    def _ended(self, event: StepEnded) -> None:
        if event.step not in self._asked:
            return
        context = self._asked.pop(event.step)
        if context is not None:
            context.running -= 1
        if event.usage.prompt:
            again = 0 if context is None else context.answered(event.usage)
            usage, before = event.usage, self.total
            self.total = TurnPoint(
                event.at,
                before.turns + 1,
                before.prompt + usage.prompt,
                before.cached + usage.cached,
                before.regenerated + again,
            )
            self.turns.add(self.total)

    def _hinted(self, event: HintsSent) -> None:
        for hint in event.hints:
            found = _subject(hint)
            if found is not None:
                self.hints += 1
                context = self._context(*found)
                context.model = context.model or event.model
                context.hinted(event.at, hint)

    def _sampled(self, event: KvSampled) -> None:
        if event.model not in self.engines:
            self.engines[event.model] = EngineView(event.model)
        self.engines[event.model].take(event.at, event.state)
        subjects = event.state.get("subjects")
        for told in subjects if isinstance(subjects, (list, tuple)) else ():
            found = _subject(told)
            if found is not None:
                context = self._context(*found)
                context.model = context.model or event.model
                context.shown(event.at, told)

    def _resumed(self, _: RunResumed) -> None:
        """Another process goes on; what was at an engine is asked again."""
        self._over(_)
        self.over = False
        for context in self.contexts.values():
            context.ended = False

    def _over(self, _: RunEnded | RunResumed) -> None:
        self._asked.clear()
        self.over = True
        for context in self.contexts.values():
            context.running, context.queued, context.ended = 0, False, True


def _subject(told: object) -> tuple[Literal["session", "agent"], str] | None:
    """Whom a hint or a sample is about; ``None`` for what is neither."""
    subject = told.get("subject") if isinstance(told, Mapping) else None
    if not isinstance(subject, (list, tuple)) or len(subject) < 2:
        return None
    kind, name = subject[:2]
    return (kind, str(name)) if kind in ("session", "agent") else None


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


_TAKERS: Final[dict[type, Callable[[KvView, Any], None]]] = {
    TurnSent: KvView._turn_sent,
    TurnMoved: KvView._turn_moved,
    StepEnded: KvView._ended,
    HintsSent: KvView._hinted,
    KvSampled: KvView._sampled,
    RunResumed: KvView._resumed,
    RunEnded: KvView._over,
}
