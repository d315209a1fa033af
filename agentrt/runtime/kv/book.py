"""What one engine was told of each subject last, and so what is news to it."""

from __future__ import annotations

import math
from collections.abc import Callable

from agentrt.kvcache.contexts import Advice, Context
from agentrt.kvcache.hints import MAX_TEXT, Hint, Subject


class Told:
    """What the engine was told of a subject last, and when."""

    __slots__ = ("advice", "at", "generation")

    def __init__(self) -> None:
        self.advice: Advice | None = None
        self.at = -math.inf
        self.generation = 0


class Book:
    """Makes hints of advice that says something new. ``wall`` is the time of day, in seconds."""

    def __init__(self, policy: str, tenant: str, wall: Callable[[], float]) -> None:
        self.told: dict[Subject, Told] = {}
        self._policy = policy
        self._tenant = tenant
        self._wall = wall

    def anew(self) -> None:
        """The engine may know nothing of it: everything is news again."""
        for told in self.told.values():
            told.advice = None

    def ended(self, subject: Subject) -> Hint | None:
        """Its last hint; ``None`` where there is nothing to take back."""
        told = self.told.pop(subject, None)
        if subject.kind == "session":
            return Hint(subject=subject, generation=self._next(told), tenant=self._tenant, ended=True)
        if told is None:
            return None
        return Hint(subject=subject, generation=self._next(told), tenant=self._tenant, keep=0.0)

    def news(self, context: Context, advice: Advice | None, prefix: tuple[int, ...], now: float) -> Hint | None:
        """The hint, if there is need of one; ``prefix`` goes with the first. Raises ``ValueError`` for nonsense."""
        told = self.told.setdefault(context.subject, Told())
        if not self._differs(told, advice, now):
            return None
        if advice is not None:
            _check(advice, self._policy)
        first = told.advice is None
        told.advice, told.at, told.generation = advice, now, self._next(told)
        return self._as_hint(context, advice, told.generation, prefix if first else ())

    def _as_hint(self, context: Context, advice: Advice | None, generation: int, prefix: tuple[int, ...]) -> Hint:
        if advice is None:
            return Hint(subject=context.subject, generation=generation, tenant=self._tenant, keep=0.0)
        tool = context.tools[0] if context.tools else None
        return Hint(
            subject=context.subject,
            generation=generation,
            tenant=self._tenant,
            agent=context.agent[:MAX_TEXT],
            keep=advice.keep,
            priority=advice.priority,
            steps=advice.steps,
            remaining=advice.remaining,
            tool=f"{tool.name} {tool.word}".strip()[:MAX_TEXT] if tool else "",
            elapsed=tool.elapsed if tool else 0.0,
            prefetch=advice.prefetch,
            prefix=prefix,
        )

    def _differs(self, told: Told, advice: Advice | None, now: float) -> bool:
        """Whether the engine's order could change by it; what time alone changes the engine counts down itself."""
        last = told.advice
        if last is None or advice is None:
            return last is not advice
        if (last.priority, last.steps) != (advice.priority, advice.steps):
            return True
        if advice.prefetch and not last.prefetch:
            return True
        if now - told.at > last.keep / 2:
            return True
        return _moved_on(last.remaining, advice.remaining, now - told.at)

    def _next(self, told: Told | None) -> int:
        """A generation newer than any before, of this process or an earlier one: the time of day in microseconds."""
        return max(int(self._wall() * 1e6), told.generation + 1 if told else 0)


def _check(advice: Advice, policy: str) -> None:
    """Raise ``ValueError`` for what no engine takes: it would refuse the whole batch, time and again."""
    times = (advice.keep, 0.0 if advice.remaining is None else advice.remaining)
    steps: object = 0 if advice.steps is None else advice.steps
    if not (math.isfinite(advice.priority) and all(0 <= one < math.inf for one in times)):
        raise ValueError(f"policy {policy!r} advised {advice!r}: expected finite numbers, and times of 0 or more")
    if not isinstance(steps, int) or not 0 <= steps < 2**63:
        raise ValueError(f"policy {policy!r} advised {advice!r}: expected steps as a whole number, 0 or more")


def _moved_on(last: float | None, new: float | None, since: float) -> bool:
    """Whether the expected time has shifted by more than a quarter, and by more than half a second."""
    if last is None or new is None:
        return last is not new
    shift = abs(new - (last - since))
    return shift > max(0.5, 0.25 * max(new, last - since))
