"""A run that is over, or a part of one, told again at any speed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias

from agentrt.events import Event
from agentrt.store.rows import StepStory
from agentrt.types import StepId
from agentrt.ui.watch.sources.base import LogLine, Look, RunSource, RunState

Steering: TypeAlias = Literal["pause", "faster", "slower", "back", "on"]

SPEEDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0)

_PAGE: Final = 2_000
"""Events told at once."""


class Replayed:
    """A ``RunSource`` that tells what ``source`` has told by ``clock``'s time, ``speed`` times as fast as it happened.

    ``rewound`` counts how often it began anew: what was told before does not count then.
    """

    def __init__(self, source: RunSource, clock: Callable[[], float], speed: float = 1.0) -> None:
        self.speed = speed
        self.paused = False
        self.rewound = 0
        self._source = source
        self._clock = clock
        self._events: list[Event] = []
        self._told = 0
        self._shown = 0.0
        self._last = clock()
        self._state: RunState | None = None

    @property
    def now(self) -> float:
        """The moment that is shown, in seconds since the run began."""
        return self._shown

    @property
    def end(self) -> float:
        """How long the run took, in seconds."""
        return max((getattr(event, "at", 0.0) for event in self._events[-1:]), default=0.0)

    @property
    def told(self) -> str:
        """How it stands, in a few signs: ``▶ replay 2x 3.5/10.0 s``."""
        return f"{'‖' if self.paused else '▶'} replay {self.speed:g}x {self.now:.1f}/{self.end:.1f} s"

    async def look(self) -> Look:
        """See ``RunSource``."""
        if self._state is None:
            self._state = await self._read()
        self._tick()
        over = self._shown >= self.end
        status = self._state.status if over else "running"
        events = self._happened()
        return Look(replace(self._state, status=status, now=self._shown, live=not over), events, len(events) == _PAGE)

    async def _read(self) -> RunState:
        """Take in everything that the source tells; how the run stands."""
        while True:
            state, events, more = await self._source.look()
            self._events += events
            if not more:
                return state

    def _happened(self) -> Sequence[Event]:
        """What has happened by now and was not told yet."""
        first = last = self._told
        while last < len(self._events) and last - first < _PAGE and _at(self._events[last]) <= self._shown:
            last += 1
        self._told = last
        return self._events[first:last]

    async def story(self, step: StepId) -> StepStory:
        """See ``RunSource``; what had not happened yet is left out."""
        found = await self._source.story(step)
        return found._replace(
            entries=[one for one in found.entries if one["at"] <= self._shown],
            notes=[one for one in found.notes if one["at"] <= self._shown],
            hints=[one for one in found.hints if one[0] <= self._shown],
        )

    async def count(self, find: str = "") -> int:
        """See ``RunSource``: of the whole log, as it is known already."""
        return await self._source.count(find)

    async def lines(self, first: int, most: int, find: str = "") -> Sequence[LogLine]:
        """See ``RunSource``."""
        return await self._source.lines(first, most, find)

    # -- controls ------------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop the clock, or let it go on."""
        self._tick()
        self.paused = not self.paused

    def faster(self, steps: int) -> None:
        """Go so many steps up in ``SPEEDS``, or down."""
        self._tick()
        nearest = min(range(len(SPEEDS)), key=lambda index: abs(SPEEDS[index] - self.speed))
        self.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, nearest + steps))]

    def steer(self, what: Steering) -> None:
        """Do what a key asks for; ``back`` and ``on`` are a twentieth of it all."""
        match what:
            case "pause":
                self.pause()
            case "faster":
                self.faster(1)
            case "slower":
                self.faster(-1)
            case "back":
                self.jump(self.now - self.end / 20)
            case "on":
                self.jump(self.now + self.end / 20)

    def jump(self, at: float) -> None:
        """Show that moment, in seconds since the run began."""
        self._tick()
        if at < self._shown:
            self._told = 0
            self.rewound += 1
        self._shown = max(0.0, min(at, self.end))

    def _tick(self) -> None:
        now = self._clock()
        if not self.paused:
            self._shown = min(self.end, self._shown + (now - self._last) * self.speed) if self._events else 0.0
        self._last = now


def _at(event: Event) -> float:
    return getattr(event, "at", 0.0)
