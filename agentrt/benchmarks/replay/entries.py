"""What is replayed, from the command line's options to entries of the harness and lines of its report."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentrt.benchmarks.harness.entries import Entry, Outcome
from agentrt.benchmarks.harness.words import counted, percent, span
from agentrt.benchmarks.replay.play import Pace, Played, arriving, chosen, fitting_scale, played
from agentrt.benchmarks.replay.sessions import Session
from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.replay.readers import Recording

CLOSED: Final = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """The chosen sessions of a recording, how they are scaled, and what became of them when they were."""

    kind: str
    sessions: tuple[Session, ...]
    pace: Pace
    played: Played
    plain: tuple[dict[str, Any] | None, ...]

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt with its reply, scaled."""
        scaled = max(one.longest for one in self.sessions) / self.pace.scale
        return int(min(scaled, self.pace.window) if self.pace.window else scaled) + 1

    def entries(self, round_: int = 0) -> list[Entry]:
        """An entry for each session that has a turn; those of a round have its number in their ids."""
        after = f" r{round_}" if round_ else ""
        seen: dict[str, int] = {}
        found = []
        for session, plain in zip(self.sessions, self.plain, strict=True):
            if plain is None:
                continue
            number = seen[session.name] = seen.get(session.name, 0) + 1
            name = session.name if number == 1 else f"{session.name} ({number})"
            arrives = session.arrives / self.pace.speed
            found.append(Entry(f"{name}{after}", self.kind, plain, arrives))
        return found

    def figures(self, outcomes: Iterable[Outcome]) -> list[tuple[str, str, str]]:
        """Lines for the report: what was replayed, what was cut, and what was computed twice."""
        done = [one.output for one in outcomes if isinstance(one.output, dict)]
        prompt = sum(one.get("prompt", 0) for one in done)
        again = sum(one.get("regenerated", 0) for one in done)
        count, pace = self.played, self.pace
        helpers = f", {counted(count.helpers, 'sub-agent')}" if count.helpers else ""
        most = f"none above {pace.max_gap:g} s: {count.capped:,} of {count.gaps:,} cut short"
        window = f"window of {pace.window:,} tokens" if pace.window else "window is not known"
        share = percent(again / prompt) if prompt else "0%"
        return [
            ("replayed", f"{counted(count.sessions, 'session')}, {counted(count.turns, 'turn')}{helpers}", self.kind),
            ("  scale of lengths", f"1/{pace.scale:g}", f"contexts up to {self.longest:,} tokens; {window}"),
            ("  cut", counted(count.left_out, "turn"), f"of {counted(count.cut, 'session')}: longer than the window"),
            ("  gaps", f"{span(count.gap_s)} in all", f"recorded ones over {pace.speed:g}, {most}"),
            ("regenerated tokens", f"{again:,}", f"{share} of prompts: a session's own context, computed once more"),
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of what is replayed."""
    add = parser.add_argument_group("what is replayed").add_argument
    add("--trace", metavar="FILE", required=True, help="the recording; a folder of a benchmark or a journal of runs")
    add("--sessions", metavar="N", type=int, default=16, help="sessions, drawn by the seed; 0 for all (16)")
    add("--turns", metavar="N", type=int, default=0, help="the first N turns of each; 0 for all (all)")
    add("--scale", metavar="X", type=_scale, default=None, help="divide lengths by this (so that all fit the window)")
    add("--speed", metavar="X", type=_above, default=1.0, help="divide gaps by this (1)")
    add("--max-gap", metavar="SECONDS", type=float, default=60.0, help="no gap is longer, once divided (60)")
    add("--window", metavar="TOKENS", type=int, default=0, help="longer contexts are cut (what the engine says)")
    loop = parser.add_mutually_exclusive_group()
    loop.add_argument("--closed", metavar="N", type=int, help=f"N sessions at once, as --at-once N ({CLOSED})")
    loop.add_argument(
        "--open",
        metavar="RATE",
        type=_above,
        nargs="?",
        const=0.0,
        help="sessions begin as recorded, or at random, RATE a second, however many others run",
    )


def checked(options: argparse.Namespace) -> None:
    """Raise ``ConfigError`` for options that cannot be used; set how many sessions run at once."""
    for name, least in (("sessions", 0), ("turns", 0), ("max_gap", 0), ("window", 0), ("closed", 1)):
        value = getattr(options, name)
        if value is not None and not least <= value < math.inf:
            raise ConfigError(f"--{name.replace('_', '-')} {value:g}: expected {least} or more")
    if options.closed:
        options.at_once = options.closed


def chosen_sessions(recording: Recording, options: argparse.Namespace) -> list[Session]:
    """Those that are wanted, with the arrivals that are."""
    found = chosen(recording.sessions, options.sessions, options.turns, options.seed)
    if options.open is None:
        return [replace(one, arrives=0.0) for one in found]
    return arriving(found, options.open / options.speed, options.seed)  # the speed is of what was recorded


def wanted(kind: str, sessions: Sequence[Session], options: argparse.Namespace, window: int) -> Wanted:
    """The sessions as they are played on an engine with that window."""
    scale = options.scale or (fitting_scale(sessions, window) if window else 1.0)
    pace = Pace(scale, options.speed, options.max_gap, window, options.seed)
    count = Played()
    plain = tuple(played(one, pace, count) for one in sessions)
    if not count.sessions:
        raise ConfigError(f"no turn fits a window of {window:,} tokens at --scale {scale:g}; give a larger scale")
    return Wanted(kind, tuple(sessions), pace, count, plain)


def own_options(kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """The options that change what is replayed, for ``bench.json``."""
    names = ("sessions", "turns", "scale", "speed", "max_gap", "window", "open")
    return {"trace": Path(options.trace).name, "kind": kind, **{name: getattr(options, name) for name in names}}


def _above(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number above 0")
    return value


def _scale(text: str) -> float:
    value = float(text)
    if not 1 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected 1 or more")
    return value
