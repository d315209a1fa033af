"""Reports made of events, and a reader of pages that takes nothing for granted."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser

from agentrt.events import (
    Event,
    HintsSent,
    KvSampled,
    RunEnded,
    RunStarted,
    StepAdded,
    StepEnded,
    StepRetried,
    StepStarted,
    TurnMoved,
    TurnSent,
)
from agentrt.store.rows import RunRow, ShownStatus
from agentrt.types import RunId, SessionId, StepId, StepKind, Usage
from agentrt.ui.report.reading import Report

RUN = RunId("20261120-101500-abcdef")
HOSTILE = "</script></style><img src=x onerror=alert(1)>\"' \x1b[31m\u202eevil\u2066\0\x9b\udcff &amp;\n-->"
"""What must stay a text, wherever it stands."""


HOSTILE_NAME = HOSTILE.replace("/", "")
"""The same of a step, whose name has no slash."""


def report_of(events: Iterable[Event], *, program: str = "report", live: bool = False, wall: float = 0.0) -> Report:
    """A report of these events, which follow the start."""
    status: ShownStatus = "running" if live else "done"
    row = RunRow(RUN, program, f"{program}.py:{program}", "", "done", 0.0, 0.0, None, None, None)
    report = Report(row, live, status)
    for event in (RunStarted(RUN, program, {"topic": "otters"}, 0.0), *events):
        report.apply(event)
    report.settle(wall)
    return report


def ran(
    step: str,
    start: float,
    end: float,
    *,
    kind: StepKind = "python",
    inputs: Iterable[str] = (),
    status: str = "done",
    error: str | None = None,
) -> list[Event]:
    """A step that was called at ``start`` and ended at ``end``."""
    above, _, last = step.rpartition("/")
    name, parent, edges = last.partition("#")[0], StepId(above) if above else None, tuple(map(StepId, inputs))
    one = StepId(step)
    return [
        StepAdded(RUN, start, one, name, kind, parent, edges, ()),
        StepStarted(RUN, start, one, 1),
        StepEnded(RUN, end, one, status, error, Usage()),  # type: ignore[arg-type]
    ]


def by_time(events: Iterable[Event]) -> list[Event]:
    """Events in the order in which they happened."""
    return sorted(events, key=lambda event: getattr(event, "at", 0.0))


def a_lot(seed: int, size: int = 60) -> list[Event]:
    """A run as programs make them: sessions, tools, retries, joins, holders, samples; all that can overlap does."""
    rng = random.Random(seed)
    events: list[Event] = []
    names: list[StepId] = []
    for number in range(size):
        kind: StepKind = rng.choice(["llm", "tool", "python", "question", "agent", "join"])
        parent = rng.choice([name for name in names if "agent" in name] or [None]) if rng.random() < 0.3 else None
        step = StepId(f"{parent}/{kind}#{number}" if parent else f"{kind}#{number}")
        start = rng.random() * 10
        inputs = tuple(rng.sample(names, min(len(names), rng.choice((0, 1, 1, 3)))))
        above = parent if parent is None else StepId(parent)
        events.append(StepAdded(RUN, 0.0, step, f"{kind}", kind, above, inputs, ()))
        names.append(step)
        if kind == "join" or rng.random() < 0.1:
            continue
        events.append(StepStarted(RUN, start, step, 1))
        events += _turn(rng, step, start) if kind == "llm" else []
        if rng.random() < 0.2:
            events.append(StepRetried(RUN, start + 0.1, step, 1, f"boom {HOSTILE}", 0.2))
            events.append(StepStarted(RUN, start + 0.3, step, 2))
        if rng.random() < 0.9:
            used = Usage(100, 60, 7) if kind == "llm" else Usage()
            events.append(StepEnded(RUN, start + rng.choice((0.0, 0.4, 3.0)), step, "done", None, used))
    for at in range(12):
        tiers = {"device": {"locked": at, "kept": 5, "evictable": 9, "free": 90 - at}, "host": {"used": at}}
        state = {"pool": 104, "host": 50, "tiers": tiers, "counts": {"prefetched": at}}
        events.append(KvSampled(RUN, float(at), "m", state))
    events.append(HintsSent(RUN, 1.0, "m", ({"subject": ["session", "s1", "report"], "steps": 2},)))
    return [*by_time(events), RunEnded(RUN, 14.0, "done", None)]


def _turn(rng: random.Random, step: StepId, start: float) -> list[Event]:
    session = SessionId(rng.choice(["s1", "s2"]))
    return [
        TurnSent(RUN, start, step, "m", "writer", session),
        TurnMoved(RUN, start + 0.05, step, "queued"),
        TurnMoved(RUN, start + 0.1, step, "prefill"),
        TurnMoved(RUN, start + 0.2, step, "decode"),
    ]


_VOID = {"meta", "input", "br", "img", "link", "hr"}
_OPEN_ENDED = {"td", "tr", "option", "th"}


@dataclass
class Page:
    """A page as a browser sees it: its elements with their attributes, and its texts by the element around them."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, *without: str) -> str:
        """What is read on it."""
        return "".join(text for tag, text in self.texts if tag not in ("script", "style", *without))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.page.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open[-1] != tag:
            assert self.open[-1] in _OPEN_ENDED, f"<{self.open[-1]}> is closed by </{tag}>"
            self.open.pop()
        assert self.open, f"</{tag}> closes nothing"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.page.texts.append((self.open[-1] if self.open else "", data))


def parsed(text: str) -> Page:
    """A page, whose elements must all be closed where they belong."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open, f"never closed: {reader.open}"
    return reader.page
