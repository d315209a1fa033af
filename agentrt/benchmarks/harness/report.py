"""What a benchmark found, from its folder: one table, one page, one JSON object.

report(folder).write(); report(folder).show(as_json=False)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentrt.benchmarks.harness.entries import Outcome, Verdict
from agentrt.benchmarks.harness.folder import Folder, write_whole
from agentrt.benchmarks.harness.numbers import Numbers, Score, numbers, scores
from agentrt.benchmarks.harness.words import counted, harmless, percent, percent_between, span, took, took_between

if TYPE_CHECKING:
    from rich.console import Group

TEXT: Final = "report.txt"
PAGE: Final = "report.html"
DATA: Final = "report.json"

_FAILURES: Final = 10
STRANGE: Final = 0.2
"""Below this share, prompts that are not counted as ours may be those of turns that were cancelled."""

_WIDTH: Final = 110


class Figure(NamedTuple):
    """A line of the table: a name, its value, and what else is to be said of it."""

    name: str
    value: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What was run (``told``), what came of each entry, what the grader said, and what it all comes to."""

    folder: Folder
    told: Mapping[str, Any]
    outcomes: tuple[Outcome, ...]
    verdicts: Mapping[str, Verdict]
    scores: tuple[Score, ...]
    numbers: Numbers
    extra: tuple[Figure, ...] = ()

    @property
    def title(self) -> str:
        """What was run on what."""
        model = self.told.get("model") or "no model"
        return f"{self.told.get('benchmark', '?')} · {model} · kv {self.told.get('kv', '?')}"

    @property
    def failures(self) -> list[Outcome]:
        """The entries whose runs did not come to their end."""
        return [one for one in self.outcomes if one.status != "done"]

    @property
    def figures(self) -> list[Figure]:
        """All lines of the table but the scores."""
        return [*_times(self.numbers), *_tokens(self.numbers), *self.extra, *_costs(self.numbers)]

    @property
    def where(self) -> str:
        """Engine, versions, machine and seed in one line."""
        around = self.told.get("environment", {})
        engine = around.get("engine", {})
        parts = [
            " ".join(str(engine[name]) for name in ("kind", "version", "device") if engine.get(name)),
            f"agentrt {around.get('agentrt', '?')}",
            f"Python {around.get('python', '?')}",
            f"{around.get('cores', '?')} cores ({around.get('cpu', '?')}), {around.get('memory_gb', '?')} GB",
            f"seed {self.told.get('seed', '?')}",
            f"{self.told.get('at_once', '?')} at once",
            f"began {self.told.get('began', '?')}",
        ]
        return "; ".join(part for part in parts if part)

    def table(self, failures: int = _FAILURES) -> Group:
        """For a terminal; of the entries that failed the first ones are named."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(harmless(self.title)), title_justify="left", show_header=False)
        for row in self._rows():
            table.add_row(*(Text(harmless(cell)) for cell in row))
        shown = self.failures[:failures]
        lines = [Text(harmless(f"{one.entry}: {one.status}: {_line(one.error)}")) for one in shown]
        if len(self.failures) > len(shown):
            lines.append(Text(f"... and {len(self.failures) - len(shown)} more that did not come to their end"))
        return Group(table, *lines, Text(harmless(self.where)))

    def text(self) -> str:
        """The table as plain text, with all that failed."""
        from rich.console import Console

        stream = StringIO()
        Console(file=stream, width=_WIDTH, color_system=None).print(self.table(len(self.failures)))
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"

    def page(self) -> str:
        """One HTML file that loads nothing."""
        from agentrt.benchmarks.harness.page import page

        return page(self)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "told": dict(self.told),
            "scores": [{"name": one.name, "of": one.of, **one.share._asdict()} for one in self.scores],
            "numbers": _plain(asdict(self.numbers)),
            "figures": [one._asdict() for one in self.figures],
            "entries": [
                one.to_json() | {"verdict": self.verdicts[one.entry].to_json() if one.entry in self.verdicts else None}
                for one in self.outcomes
            ],
        }

    def write(self) -> None:
        """Put ``report.txt``, ``report.html`` and ``report.json`` into the folder."""
        data = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        for name, text in ((TEXT, self.text()), (PAGE, self.page()), (DATA, data)):
            write_whole(self.folder.path / name, text)

    def show(self, *, as_json: bool) -> None:
        """Print it: the table, or the JSON object without its entries."""
        if as_json:
            told = {name: value for name, value in self.to_json().items() if name != "entries"}
            print(json.dumps(told | {"folder": str(self.folder.path)}, indent=2, ensure_ascii=False))
            return
        from rich.console import Console

        console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
        console.print(self.table())
        console.print(f"{self.folder.path / PAGE}", markup=False, soft_wrap=True)

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for one in self.scores:
            name = "score" if len(self.scores) == 1 else f"score, {one.name}"
            yield name, percent_between(one.share), f"of {counted(one.of, 'entry')}; 95% interval"
        for figure in self.figures:
            yield figure.name, figure.value, figure.more


def report(folder: Folder) -> Report:
    """What is in a folder, whether or not its benchmark has come to its end. Raises ``ConfigError`` for none."""
    told, outcomes, verdicts = folder.told(), tuple(folder.outcomes().values()), folder.verdicts()
    found = numbers(outcomes, folder.sittings())
    extra = tuple(Figure(*one) for one in folder.extra())
    return Report(folder, told, outcomes, verdicts, tuple(scores(outcomes, verdicts)), found, extra)


def conclude(folder: Folder, *, as_json: bool) -> Report:
    """What every benchmark does at its end: write the report into its folder, and print it."""
    found = report(folder)
    found.write()
    found.show(as_json=as_json)
    return found


def _times(found: Numbers) -> Iterator[Figure]:
    ended = ", ".join(f"{number:,} {status}" for status, number in found.statuses.items())
    yield Figure("entries", f"{sum(found.statuses.values()):,}", ended)
    yield Figure("job completion time", took_between(found.entry.mean), "mean of entries; 95% interval")
    yield Figure("  p50, p95", f"{took(found.entry.p50)}, {took(found.entry.p95)}")
    yield Figure("steps a minute", f"{found.steps_a_minute:,.1f}", f"{found.steps:,} steps in {span(found.wall_s)}")
    if found.turns:
        first = f"{took(found.first.p50)}, {took(found.first.p95)}"
        yield Figure("time to first token p50, p95", first, counted(found.turns, "model turn"))
    busy = found.model_s + found.tool_s
    if busy:
        shares = f"{percent(found.model_s / busy)} and {percent(found.tool_s / busy)} of both"
        yield Figure("model time, tool time", f"{span(found.model_s)}, {span(found.tool_s)}", f"{shares}; all entries")
        yield Figure("  of it held back", took(found.queued_s), "by admission, summed over turns")


def _tokens(found: Numbers) -> Iterator[Figure]:
    if not found.prompt:
        return
    more = f"{found.prompt:,} prompt, of them {found.cached:,} cached; {found.completion:,} generated"
    yield Figure("tokens", f"{found.prompt + found.completion:,}", more)
    tiers = ""
    if found.behind is not None:
        tiers = f"{percent(1 - found.behind)} of them from the pool, {percent(found.behind)} from the tier behind it"
    yield Figure("cached share of prompts", percent(found.cached_share), tiers)


def _costs(found: Numbers) -> Iterator[Figure]:
    if not found.wall_s:
        return
    own = f"{took(found.own_s)} CPU of the process that runs the programs"
    yield Figure("harness cost, at most", percent(found.harness_share), own)
    if found.engine_s:
        yield Figure("engine", f"{span(found.engine_s)} CPU", f"{found.engine_s / found.wall_s:.2f} cores")
    if found.strange > STRANGE:
        yield Figure(
            "others' share of the engine", percent(found.strange), "of the prompt tokens: it was not ours alone"
        )
    yield Figure(
        "others' share of the machine", percent(found.others), "CPU time that was neither ours nor the engine's"
    )


def _line(error: str | None) -> str:
    return " ".join((error or "no reason is known").split())


def _plain(value: Any) -> Any:
    """Intervals and spreads by their names."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
