"""Two runs of one benchmark, entry by entry: score and times of those that both have. Pure, but for ``compared``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final, NamedTuple

from agentrt.benchmarks.harness.entries import Measures, Outcome
from agentrt.benchmarks.harness.folder import Folder
from agentrt.benchmarks.harness.report import STRANGE, Report, report
from agentrt.benchmarks.harness.stats import Interval, Paired, gain, mcnemar, paired, ratio
from agentrt.benchmarks.harness.words import chance, counted, percent
from agentrt.errors import ConfigError

_SURE: Final = 0.05
_NOISY: Final = 0.1
_NAMED: Final = 5

_KINDS: Final[Mapping[str, Callable[[Measures], float | None]]] = {
    "job completion time": lambda one: one.seconds,
    "model time": lambda one: one.model_s,
    "tool time": lambda one: one.tool_s,
    "time to first token": lambda one: fmean(one.first) if one.first else None,
    "time held back": lambda one: one.queued_s,
}
"""What is compared of each entry, in seconds; ``None`` where it has none."""


class Times(NamedTuple):
    """One kind of time: its mean in both, by how much the second differs, and second over first, of the sums."""

    name: str
    first: float
    second: float
    paired: Paired
    ratio: Interval

    @property
    def differ(self) -> bool:
        """Whether it can be told: the interval leaves 1 out, and chance alone would seldom give as much."""
        return self.paired.p < _SURE and not self.ratio.low <= 1 <= self.ratio.high


class Scores(NamedTuple):
    """The shares that passed, the difference with its interval, and the chance to see one as large without any."""

    first: float
    second: float
    difference: Interval
    p: float
    pairs: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """``second`` beside ``first``. ``missing`` are ids that only one has, by its name; ``left_out`` how many of both
    did not come to their end in one, and count for the score alone."""

    first: str
    second: str
    pairs: int
    left_out: int
    missing: Mapping[str, tuple[str, ...]]
    scores: Scores | None
    times: tuple[Times, ...]
    warnings: tuple[str, ...]

    @property
    def conclusion(self) -> str:
        """What can be said, in a sentence."""
        return "; ".join(part for part in (self._of_times(), self._of_scores()) if part)

    def _of_times(self) -> str:
        if not self.times:
            return "no entry came to its end in both, so times cannot be compared"
        found = self.times[0]
        whole = f"{found.ratio.value:.2f} of {self.first}'s time ({found.ratio.low:.2f}-{found.ratio.high:.2f}"
        sure = f"{chance(found.paired.p)}, {counted(found.paired.pairs, 'entry')})"
        if found.differ:
            return f"{self.second} takes {whole}, {sure}"
        return f"no difference in time can be told: {self.second} takes {whole}, {sure}"

    def _of_scores(self) -> str:
        if self.scores is None:
            return ""
        found = self.scores
        sure = f"({chance(found.p)}, {counted(found.pairs, 'entry')})"
        if found.p >= _SURE:
            return f"no difference in score can be told {sure}"
        way = "higher" if found.difference.value > 0 else "lower"
        return f"{self.second}'s score is {way} by {abs(100 * found.difference.value):.1f} points {sure}"

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "pairs": self.pairs,
            "left_out": self.left_out,
            "missing": {name: list(ids) for name, ids in self.missing.items()},
            "scores": None
            if self.scores is None
            else self.scores._asdict() | {"difference": self.scores.difference._asdict()},
            "times": [
                {
                    "name": one.name,
                    "first": one.first,
                    "second": one.second,
                    "difference": one.paired.difference._asdict(),
                    "p": one.paired.p,
                    "pairs": one.paired.pairs,
                    "ratio": one.ratio._asdict(),
                }
                for one in self.times
            ],
            "warnings": list(self.warnings),
            "conclusion": self.conclusion,
        }


def compared(folders: Sequence[Folder]) -> list[Comparison]:
    """Each of the others beside the first folder.

    Raises ``ConfigError`` for a folder that is named twice, for folders of different benchmarks, or without an entry
    that both have.
    """
    places = [folder.path.resolve() for folder in folders]
    twice = [str(place) for place in places if places.count(place) > 1]
    if twice:
        raise ConfigError(f"{twice[0]!r} is named twice; name the folders of different runs")
    names = _names(folders)
    first, *others = (report(folder) for folder in folders)
    return [compare(first, other, names[0], name) for other, name in zip(others, names[1:], strict=True)]


def compare(first: Report, second: Report, name: str, other: str) -> Comparison:
    """Two reports of one benchmark; raises as ``compared`` does."""
    kinds = (first.told.get("benchmark"), second.told.get("benchmark"))
    if kinds[0] != kinds[1]:
        raise ConfigError(f"{name} is a run of {kinds[0]!r}, {other} of {kinds[1]!r}; compare runs of one benchmark")
    ours, theirs = ({one.entry: one for one in each.outcomes} for each in (first, second))
    both = [entry for entry in ours if entry in theirs]
    if not both:
        raise ConfigError(f"{name} and {other} have no finished entry in common; run the same entries, see --ids")
    ended = [(ours[one], theirs[one]) for one in both if ours[one].status == theirs[one].status == "done"]
    return Comparison(
        name,
        other,
        len(both),
        len(both) - len(ended),
        {name: tuple(one for one in ours if one not in theirs), other: tuple(one for one in theirs if one not in ours)},
        _scores(first, second, both),
        tuple(_times(ended)),
        tuple(_warnings(first, second, name, other)),
    )


def _scores(first: Report, second: Report, both: Sequence[str]) -> Scores | None:
    judged = [one for one in both if one in first.verdicts and one in second.verdicts]
    if not judged:
        return None
    before, after = ([each.verdicts[one].score for one in judged] for each in (first, second))
    if all(one in (0, 1) for one in (*before, *after)):
        passed, late = [one == 1 for one in before], [one == 1 for one in after]
        difference, p = gain(passed, late), mcnemar(passed, late)
    else:
        difference, p, _ = paired(before, after)
    return Scores(fmean(before), fmean(after), difference, p, len(judged))


def _times(ended: Sequence[tuple[Outcome, Outcome]]) -> Iterator[Times]:
    for name, of in _KINDS.items():
        values = [(of(early.measures), of(late.measures)) for early, late in ended]
        pairs = [(early, late) for early, late in values if early is not None and late is not None]
        if any(early or late for early, late in pairs):
            first, second = [early for early, _ in pairs], [late for _, late in pairs]
            yield Times(name, fmean(first), fmean(second), paired(first, second), ratio(first, second))


def _warnings(first: Report, second: Report, name: str, other: str) -> Iterator[str]:
    """What makes the two less alike than one would like, but for the KV policy."""
    for what in ("model", "seed", "timeout", "at_once"):
        one, two = first.told.get(what), second.told.get(what)
        if one != two:
            yield f"different {what.replace('_', '-')}: {one!r} in {name}, {two!r} in {other}"
    for what, of in (("options", _options), ("machine", _machine), ("engine", _engine)):
        ours, theirs = of(first), of(second)
        differ = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
        if differ:
            yield f"different {what}: {_some(ours, differ)} in {name}, {_some(theirs, differ)} in {other}"
    for each, called in ((first, name), (second, other)):
        if each.numbers.others > _NOISY:
            yield f"others took {percent(each.numbers.others)} of the machine while {called} ran: times mean less"
        if each.numbers.strange > STRANGE:
            yield f"others asked the engine {percent(each.numbers.strange)} of its prompts while {called} ran"


def _options(found: Report) -> Mapping[str, Any]:
    options: Mapping[str, Any] = found.told.get("options", {})
    return options


def _machine(found: Report) -> Mapping[str, Any]:
    return {key: value for key, value in found.told.get("environment", {}).items() if key != "engine"}


def _engine(found: Report) -> Mapping[str, Any]:
    engine = found.told.get("environment", {}).get("engine", {})
    return {key: value for key, value in engine.items() if key not in ("url", "model")}


def _some(told: Mapping[str, Any], keys: Sequence[str]) -> str:
    return ", ".join(f"{key} {_short(told.get(key, '?'))}" for key in keys)


def _short(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    return ids([str(one) for one in value]) or "none"


def _names(folders: Sequence[Folder]) -> list[str]:
    """The shortest that tell them apart."""
    short = [folder.path.resolve().name for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder.path) for folder in folders]


def ids(found: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
