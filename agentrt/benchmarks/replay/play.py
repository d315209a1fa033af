"""Recorded sessions made into what is played: scaled, cut to the engine's window, as plain JSON. Pure."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from agentrt.benchmarks.replay.sessions import Session, Turn, left
from agentrt.benchmarks.replay.tokens import Ask, Fixed
from agentrt.errors import ConfigError

_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_TOOLS: Final[Mapping[str, str]] = {
    "bash": "bash", "read": "read", "edit": "edit", "write": "edit", "multiedit": "edit", "grep": "search",
    "glob": "search", "search": "search", "todowrite": "note", "note": "note", "person": "person", "pause": "pause",
    "": "pause",
}  # fmt: skip
"""What the program calls a recorded tool; all others are ``tool``."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a recording is scaled: lengths are divided by ``scale``, gaps by ``speed``, none longer than ``max_gap``
    seconds then. No prompt with its reply is longer than ``window`` tokens, 0 for any length."""

    scale: float = 1.0
    speed: float = 1.0
    max_gap: float = 60.0
    window: int = 0
    seed: int = 0


@dataclass
class Played:
    """What became of the sessions: turns played, turns left out as longer than the window and the sessions they were
    in, gaps there were and gaps cut short, and the sum of the gaps in seconds."""

    sessions: int = 0
    helpers: int = 0
    turns: int = 0
    left_out: int = 0
    cut: int = 0
    gaps: int = 0
    capped: int = 0
    gap_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def chosen(sessions: Sequence[Session], count: int, turns: int, seed: int) -> list[Session]:
    """``count`` sessions, 0 for all, each cut to its first ``turns``, 0 for all.

    Where they have arrivals, the first of them; else drawn by the seed.
    """
    cut = [replace(one, turns=one.turns[:turns], last=()) if turns else one for one in sessions]
    if not count or count >= len(cut):
        return cut
    if any(one.arrives for one in cut):
        return cut[:count]
    return random.Random(seed).sample(cut, count)  # noqa: S311 - a workload, not a secret


def arriving(sessions: Sequence[Session], rate: float, seed: int) -> list[Session]:
    """The sessions with arrivals of a Poisson process, ``rate`` a second; 0 keeps those recorded.

    Raises ``ConfigError`` where none were.
    """
    if not rate:
        if len(sessions) > 1 and not any(one.arrives for one in sessions):
            raise ConfigError("--open: this recording tells of no arrivals; give a rate, as in --open 0.5 (a second)")
        return list(sessions)
    draw = random.Random(seed)  # noqa: S311 - a workload, not a secret
    found, now = [], 0.0
    for one in sessions:
        found.append(replace(one, arrives=now))
        now += draw.expovariate(rate)
    return found


def fitting_scale(sessions: Sequence[Session], window: int) -> float:
    """The least whole number by which lengths are divided so that all contexts fit the window."""
    longest = max((one.longest for one in sessions), default=0)
    return float(max(1, -(-longest // max(1, window - 2))))


def working_set(sessions: Sequence[Session], at_once: int, scale: float) -> int:
    """The tokens of so many sessions' longest contexts, of mean length, once scaled."""
    return round(sum(one.longest for one in sessions) / max(1, len(sessions)) * at_once / scale)


def played(session: Session, pace: Pace, count: Played) -> dict[str, Any] | None:
    """A session as the program takes it; ``None`` when no turn is left. ``count`` is added to."""
    found = _Playing(session, pace, count).play()
    if found["turns"]:
        count.sessions += 1
    return found if found["turns"] else None


@dataclass(frozen=True, slots=True)
class _Held:
    """A context as it was played: the last prompt and its reply, in tokens as sent. ``least`` recorded tokens of it are
    in all turns that were left out since, none where none was."""

    prompt: int
    output: int
    recorded: Turn
    least: int | None = None


class _Playing:
    def __init__(self, session: Session, pace: Pace, count: Played) -> None:
        self._session = session
        self._pace = pace
        self._count = count
        self._held: dict[int, _Held] = {}
        self._heads: dict[int, bool] = {}
        self._left_out = 0
        self._waiting: list[Session] = []
        """Sub-agents before turns that were left out."""

    def play(self) -> dict[str, Any]:
        turns = [one for number, turn in enumerate(self._session.turns) if (one := self._turn(number, turn))]
        last = {turn["context"]: number for number, turn in enumerate(turns)}
        for number, turn in enumerate(turns):
            turn["closes"] = last[turn["context"]] == number
        self._count.turns += len(turns)
        self._count.left_out += self._left_out
        self._count.cut += self._left_out > 0
        return {"turns": turns, "last": self._helpers([*self._waiting, *self._session.last]) if turns else []}

    def _helpers(self, helpers: Sequence[Session]) -> list[dict[str, Any]]:
        found = [_Playing(one, self._pace, self._count).play() for one in helpers]
        self._count.helpers += len(found)
        return [one for one in found if one["turns"]]

    def _turn(self, number: int, turn: Turn) -> dict[str, Any] | None:
        held = self._held.get(turn.context)
        starts = self._heads.setdefault(turn.context, bool(turn.kept) and self._session.head is not None)
        keep = self._head if starts else 0
        if held is not None:
            keep = self._kept(held, turn)
        prompt = max(int(turn.prompt / self._pace.scale), keep + 1)
        output = max(1, round(turn.output / self._pace.scale))
        if self._pace.window and prompt + output >= self._pace.window:
            self._leave_out(held, turn)
            return None
        self._held[turn.context] = _Held(prompt, output, turn)
        helpers, self._waiting = [*self._waiting, *turn.helpers], []
        gap = self._gap(turn.gap)
        head = Fixed(f"{self._pace.seed}/{self._session.head.name}", keep) if self._session.head and starts else None
        return {
            "context": turn.context,
            "head": head.to_text() if head and held is None else "",
            "agent": f"replayed-{_ODD.sub('_', self._session.head.name)}" if self._session.head else "replayed",
            "prompt": self._ask(number, turn, keep, prompt, output, own=held is not None).to_text(),
            "gap": gap,
            "tool": _TOOLS.get(turn.tool.lower(), "tool") if gap else "",
            "word": turn.word,
            "helpers": self._helpers(helpers),
            "closes": False,
        }

    @property
    def _head(self) -> int:
        head = self._session.head
        return int(head.tokens / self._pace.scale) if head else 0

    def _kept(self, held: _Held, turn: Turn) -> int:
        """How many of the tokens as sent a turn keeps: all, all but the reply, or up to where it differs."""
        if held.least is None and turn.kept >= held.recorded.prompt + held.recorded.output:
            return held.prompt + held.output
        if held.least is None and turn.kept >= held.recorded.prompt:
            return held.prompt
        least = turn.kept if held.least is None else min(held.least, turn.kept)
        return min(int(least / self._pace.scale), held.prompt)

    def _leave_out(self, held: _Held | None, turn: Turn) -> None:
        self._left_out += 1
        self._waiting += turn.helpers
        if held is not None:
            least = turn.kept if held.least is None else min(held.least, turn.kept)
            self._held[turn.context] = replace(held, least=least)

    def _gap(self, recorded: float) -> float:
        scaled = recorded / self._pace.speed
        gap = round(min(scaled, self._pace.max_gap), 3)
        if gap > 0:
            self._count.gaps += 1
            self._count.capped += scaled > self._pace.max_gap
            self._count.gap_s += gap
        return gap

    def _ask(self, number: int, turn: Turn, keep: int, prompt: int, output: int, *, own: bool) -> Ask:
        block, scale = self._session.block, self._pace.scale
        at = int(keep * scale) // block if block else 0
        return Ask(
            keep=keep,
            prompt=prompt,
            say=output,
            scope=f"{self._pace.seed}/{self._session.scope}",
            tail=f"{self._pace.seed}/{self._session.name}/{number}",
            block=block,
            scale=scale,
            at=at,
            blocks=tuple((first, many) for first, many in left(turn.blocks, at)),
            own=own,
        )
