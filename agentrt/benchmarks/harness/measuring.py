"""What is measured of a run: a fold of its events, as its journal tells them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agentrt.benchmarks.harness.entries import Measures
from agentrt.events import Event, StepAdded, StepEnded, StepRetried, StepStarted, TurnMoved, TurnSent
from agentrt.store.recording import Recording
from agentrt.store.retelling import Retelling
from agentrt.store.rows import NoteRow
from agentrt.types import StepId, StepKind, Usage

_WORK: Final = ("llm", "tool")


class Busy:
    """The time in which at least one of several things was under way, in seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: dict[StepId, None] = {}
        self._began = 0.0

    def begin(self, step: StepId, at: float) -> None:
        """One more is under way."""
        if not self._since:
            self._began = at
        self._since[step] = None

    def end(self, step: StepId, at: float) -> None:
        """One has ended; one that never began changes nothing."""
        if step in self._since:
            del self._since[step]
            if not self._since:
                self.seconds += at - self._began


class Meter:
    """``take`` takes the events of one run in order; ``measures`` says what they come to."""

    def __init__(self) -> None:
        self._kinds: dict[StepId, StepKind] = {}
        self._busy = {kind: Busy() for kind in _WORK}
        self._asked: dict[StepId, float] = {}
        self._held: dict[StepId, float] = {}
        self._ended: dict[StepId, Usage] = {}
        self._first: list[float] = []
        self._queued = 0.0

    def take(self, event: Event) -> None:
        """Take in what happened next."""
        match event:
            case StepAdded() if event.kind != "join":
                self._kinds[event.step] = event.kind
            case StepStarted():
                self._of(event.step, begin=event.at)
            case StepRetried():
                self._of(event.step, end=event.at)
                self._let_go(event.step, event.at)
            case StepEnded() if event.step in self._kinds:
                self._of(event.step, end=event.at)
                self._let_go(event.step, event.at)
                self._ended[event.step] = event.usage  # of one that was resumed, the last time counts
            case TurnSent():
                self._asked[event.step] = event.at
            case TurnMoved():
                self._moved(event)

    def measures(self, seconds: float, others: float = 0.0) -> Measures:
        """What it comes to; the run took ``seconds``."""
        used = sum(self._ended.values(), Usage())
        kinds = list(self._kinds.values())
        return Measures(
            seconds=seconds,
            steps=len(kinds),
            turns=kinds.count("llm"),
            tools=kinds.count("tool"),
            prompt=used.prompt,
            cached=used.cached,
            completion=used.completion,
            model_s=self._busy["llm"].seconds,
            tool_s=self._busy["tool"].seconds,
            queued_s=self._queued,
            first=tuple(self._first),
            others=others,
        )

    def _of(self, step: StepId, *, begin: float | None = None, end: float | None = None) -> None:
        busy = self._busy.get(self._kinds.get(step, "python"))
        if busy is None:
            return
        if begin is not None:
            busy.begin(step, begin)
        if end is not None:
            busy.end(step, end)

    def _moved(self, event: TurnMoved) -> None:
        if event.phase == "queued":
            self._held.setdefault(event.step, event.at)
            return
        self._let_go(event.step, event.at)
        if event.phase == "decode" and event.step in self._asked:
            self._first.append(max(0.0, event.at - self._asked.pop(event.step)))

    def _let_go(self, step: StepId, at: float) -> None:
        """A turn is held back no longer: it is sent, or its step is at an end."""
        self._queued += max(0.0, at - self._held.pop(step, at))


def measure(recording: Recording, notes: Sequence[NoteRow], others: float = 0.0) -> Measures:
    """What a recorded run took, also one that several processes worked on; ``notes`` are all that were made of it.

    Raises ``JournalError`` when it is damaged.
    """
    meter = Meter()
    for event in Retelling(recording.run, recording.body).tell(recording.entries, notes):
        meter.take(event)
    return meter.measures(recording.run.seconds, others)
