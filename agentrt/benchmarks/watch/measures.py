"""The figures, one kind after another: first paint, load of the watcher, keys, and what the watched run notices."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple, TypeAlias

from agentrt.benchmarks.watch.programs import STEPS
from agentrt.benchmarks.watch.scene import Scene
from agentrt.benchmarks.watch.terminal import Load, NotShown, Terminal

Tell: TypeAlias = Callable[[str], None]

_KEYS: Final = {"runs": b"1", "graph": b"2", "kv": b"3", "log": b"4"}
"""The screens that are looked at, and their keys."""

QUARTERS: Final = 4
LOOK_S: Final = 0.25
SETTLED_S: Final = 2.0
"""Seconds after the start of the watcher that are its start."""

FIRST: Final = rb"1 Runs"
"""The first that is drawn: the tabs."""

_NAMES: Final = {b"1": b"1 Runs", b"2": b"2 Graph", b"3": b"3 KV", b"4": b"4 Log", b"5": b"5 Questions"}


def shown(tab: bytes) -> bytes:
    """The pattern of a tab's name as it is drawn when it is shown, in bold: no repaint of another screen has it."""
    return rb"\x1b\[1;[0-9;]*m[^\x1b]*" + re.escape(_NAMES[tab])


HELP: Final = rb"\x1b\[1;[0-9;]*mSigns|\x1b\[1;[0-9;]*mKeys"
"""Nothing but the help has this."""


@dataclass(slots=True)
class Paint:
    """Seconds from the start of the command to its first text, and to the run on the screen, a start each."""

    text: list[float] = field(default_factory=list)
    picture: list[float] = field(default_factory=list)


class Quarter(NamedTuple):
    """A quarter of a run, watched: CPU as a share of one core, bytes of memory at its end."""

    share: float
    resident: int


@dataclass(frozen=True, slots=True)
class Watch:
    """One run, watched on one screen from its start to its end; ``rows`` of its journal a second."""

    screen: str
    steps: int
    rows: float
    seconds: float
    quarters: tuple[Quarter, ...]
    share: float

    @property
    def bytes_a_step(self) -> float:
        """Growth of the watcher's memory from the end of the first quarter to the end of the run."""
        grown = self.quarters[-1].resident - self.quarters[0].resident
        return grown / (self.steps * (QUARTERS - 1) / QUARTERS)


class Key(NamedTuple):
    """A key, what it does, and the seconds until each press was answered; ``missed`` were not within a second."""

    name: str
    does: str
    seconds: list[float]
    missed: int


@dataclass(slots=True)
class Arm:
    """The watched program in one circumstance: CPU and wall seconds of its process, a round each."""

    name: str
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)


def paint(scene: Scene, starts: int, tell: Tell) -> Paint:
    """Start ``agentrt watch RUN`` so many times on a run that is over."""
    run = finished(scene, 50)
    found = Paint()
    for number in range(starts + 1):
        tell(f"first paint: {number} of {starts}")
        with scene.watch(run) as terminal:
            text = terminal.until(FIRST) - terminal.began
            picture = terminal.until(rb"survey") - terminal.began
        if number:  # the first one reads everything from the disk
            found.text.append(text)
            found.picture.append(picture)
    return found


def finished(scene: Scene, chapters: int) -> str:
    """A run that is over."""
    with scene.subject(chapters, 0.0) as subject:
        run = subject.begin()
        subject.end()
    return run


def watch(scene: Scene, screen: str, chapters: int, rows: float, tell: Tell) -> Watch:
    """Watch a run on one screen from its start to its end."""
    tell(f"watching {chapters * STEPS:,} steps on {screen}")
    with scene.subject(chapters, rows) as subject:
        run = subject.begin()
        with scene.watch(run) as terminal:
            open_on(terminal, screen)
            time.sleep(SETTLED_S)
            loads = [terminal.load()]
            over = False
            while not over:
                over = subject.over_in(LOOK_S)
                loads.append(terminal.load())
            told = subject.end()
    share = (loads[-1].cpu - loads[0].cpu) / (loads[-1].at - loads[0].at)
    wall = told["wall"]
    return Watch(screen, chapters * STEPS, scene.rows_of(run) / wall, wall, quarters(loads), share)


def open_on(terminal: Terminal, screen: str) -> None:
    """Wait until the watcher has drawn, and go to a screen; the graph is there already."""
    terminal.until(rb"survey")
    if screen != "graph":
        terminal.send(_KEYS[screen])
        terminal.until(shown(_KEYS[screen]))


def quarters(loads: Sequence[Load]) -> tuple[Quarter, ...]:
    """Cut what was seen into four times of the same length."""
    first, last = loads[0].at, loads[-1].at
    edges = []
    for number in range(QUARTERS + 1):
        wanted = first + (last - first) * number / QUARTERS
        edges.append(min(loads, key=lambda load: abs(load.at - wanted)))
    return tuple(
        Quarter((late.cpu - early.cpu) / max(LOOK_S, late.at - early.at), late.resident)
        for early, late in pairwise(edges)
    )


# -- keys ------------------------------------------------------------------------------------------------------------

_ROUND: Final[tuple[tuple[bytes, str, bytes], ...]] = (
    (b"1", "to the runs", shown(b"1")),
    (b"4", "to the log", shown(b"4")),
    (b"k", "a line up in the log", rb"end follows again"),
    (b"G", "to its end", rb"following the end"),
    (b"?", "opens the help", HELP),
    (b"?", "closes the help", shown(b"4")),
    (b"3", "to the KV cache", shown(b"3")),
    (b"5", "to the questions", shown(b"5")),
    (b"2", "to the graph", shown(b"2")),
)
"""Keys that always change the screen, what they do, and what is drawn then and never before they are pressed."""


def keys(scene: Scene, chapters: int, rows: float, tell: Tell, chance: Random) -> list[Key]:
    """Press keys at odd times while a run goes on, and time what is drawn because of them."""
    found = {(key, does): Key(key.decode(), does, [], 0) for key, does, _ in _ROUND}
    with scene.subject(chapters, rows) as subject:
        run = subject.begin()
        with scene.watch(run) as terminal:
            open_on(terminal, "graph")
            time.sleep(SETTLED_S)
            number = 0
            while not subject.over_in(0.1 + 0.4 * chance.random()):
                key, does, answer = _ROUND[number % len(_ROUND)]
                number += 1
                tell(f"key {number}: {key.decode()} {does}")
                found[key, does] = press(terminal, found[key, does], answer)
            subject.end()
    return list(found.values())


def press(terminal: Terminal, key: Key, answer: bytes) -> Key:
    """Press once, and wait for the answer."""
    at = terminal.send(key.name.encode())
    try:
        key.seconds.append(terminal.until(answer, 1.0) - at)
    except NotShown:
        return key._replace(missed=key.missed + 1)
    return key


# -- the watched run -------------------------------------------------------------------------------------------------


def notice(scene: Scene, rounds: int, chapters: int, rows: float, tell: Tell) -> list[Arm]:
    """The same program alone, alone again, and watched, in turns: the second shows what chance does."""
    arms = [Arm("alone"), Arm("alone again"), Arm("watched")]
    for number in range(rounds):
        for arm in arms[number % len(arms) :] + arms[: number % len(arms)]:
            tell(f"round {number + 1} of {rounds}, {rows:g} rows a second: {arm.name}")
            told = _watched(scene, chapters, rows) if arm.name == "watched" else _alone(scene, chapters, rows)
            arm.cpu.append(told["cpu"])
            arm.wall.append(told["wall"])
    return arms


def _alone(scene: Scene, chapters: int, rows: float) -> dict[str, float]:
    with scene.subject(chapters, rows) as subject:
        subject.begin()
        return subject.end()


def _watched(scene: Scene, chapters: int, rows: float) -> dict[str, float]:
    """The watcher starts when the run has begun, and its start is part of what the run may notice."""
    with scene.subject(chapters, rows) as subject, scene.watch(subject.begin()) as terminal:
        open_on(terminal, "graph")
        return subject.end()
