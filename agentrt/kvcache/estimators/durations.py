"""How long things take, learnt by name: tools, model turns, plain steps."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from agentrt.kvcache.estimators.base import Distribution
from agentrt.kvcache.estimators.mixture import Mixture
from agentrt.kvcache.estimators.observed import Observed
from agentrt.kvcache.estimators.reservoir import SIZE, Reservoir

NAMES: Final = 1024
"""Things told apart; the one unused for longest is forgotten first."""

AT_LEAST: Final = 20
"""Observations with which a thing speaks for itself."""

_SHRINKAGE: Final = 4
"""Observations that weigh as much as the wider class does."""

_LONGEST: Final = 30 * 86400.0
_NAME: Final = 200

Key = tuple[str, str]

UNKNOWN: Final[Distribution] = Observed([(one, 1.0) for one in (0.1, 0.3, 1.0, 3.0, 10.0)], tail=1 / 6)
"""Before anything is seen: something between 0.1 and 10 seconds, or more; not sure at all."""


class Durations:
    """Durations in seconds: per (name, word), per name, and per kind.

    The kind of ``turn:writer`` is ``turn:``; names without a colon, which are tools, are one kind together. A thing
    with n observations, fewer than ``at_least``, answers as a mixture: n / (n + 4) its own, the rest its wider class's
    answer. ``unknown`` is the answer before any observation. Not for several threads at once.
    """

    def __init__(self, unknown: Distribution = UNKNOWN) -> None:
        self._unknown = unknown
        self._kept: OrderedDict[Key, Reservoir] = OrderedDict()
        self._answers: dict[tuple[Key, int], tuple[tuple[int, ...], Distribution]] = {}

    def observe(self, name: str, word: str, seconds: float) -> None:
        """Learn that ``name`` (running the command ``word``, if any) took so many seconds.

        Nonsense (negative, not finite, above a month) is dropped: a wrong clock must not break a run.
        """
        if not 0 <= seconds <= _LONGEST:
            return
        for key in _levels(name, word):
            self._kept.setdefault(key, Reservoir()).add(seconds)
            self._kept.move_to_end(key)
        while len(self._kept) > NAMES:
            self._kept.popitem(last=False)
            self._answers.clear()

    def of(self, name: str, word: str = "", at_least: int = AT_LEAST) -> Distribution:
        """How long it takes. With ``at_least`` observations it answers from its own alone."""
        levels = [self._kept.get(key) for key in _levels(name, word)]
        epochs = tuple(level.epoch if level else -1 for level in levels)
        asked = (name, word), at_least
        known = self._answers.get(asked)
        if known is not None and known[0] == epochs:
            return known[1]
        if len(self._answers) >= 2 * NAMES:
            self._answers.clear()
        found = self._mixed(levels, at_least)
        self._answers[asked] = epochs, found
        return found

    def __len__(self) -> int:
        """Things told apart, wider classes included."""
        return len(self._kept)

    def dump(self) -> list[Any]:
        """All that is kept as plain JSON: ``[name, word, count, seconds]`` of each thing, least recently seen first."""
        return [
            [name, word, kept.count, [float(f"{one:.4g}") for one in kept.values]]
            for (name, word), kept in self._kept.items()
        ]

    def fill(self, dumped: object) -> None:
        """Take in what ``dump`` gave. Raises ``ValueError``, ``TypeError`` or ``KeyError`` if it is something else."""
        for name, word, count, seconds in list(dumped)[-NAMES:]:  # type: ignore[call-overload]
            values = [float(one) for one in seconds]
            if not 0 < len(values) <= SIZE or not all(0 <= one <= _LONGEST for one in values):
                raise ValueError(f"durations of {name!r}: expected 1 to {SIZE} times in seconds")
            self._kept[str(name), str(word)] = Reservoir(values, int(count))

    def _mixed(self, levels: list[Reservoir | None], at_least: int) -> Distribution:
        if levels[0] is not None and levels[0].count >= at_least:
            return levels[0].distribution
        parts, rest, sure = [], 1.0, 0.0
        for doubt, level in enumerate(levels):
            if level is None:
                continue
            own = level.distribution
            share = rest if level.count >= at_least else rest * level.count / (level.count + _SHRINKAGE)
            parts.append((own, share))
            sure += share * own.confidence * 0.5**doubt
            rest -= share
        if rest > 0:
            parts.append((self._unknown, rest))
        samples = levels[0].count if levels[0] is not None else 0
        return Mixture(parts, samples=samples, confidence=sure)


def _levels(name: str, word: str) -> tuple[Key, ...]:
    """The thing, its name, its kind; each once."""
    name = name[:_NAME]
    kind, colon, _ = name.partition(":")
    return tuple(dict.fromkeys(((name, word[:_NAME]), (name, ""), (kind + colon if colon else "", ""))))
