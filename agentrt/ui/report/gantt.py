"""Where the time went, as a picture: a line for each step, or for all of a name, on one time axis. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agentrt.ui.drawing.bars import Window, ticks
from agentrt.ui.folds.timeline import WORDS, Crowd, Row, Stage, told, worded
from agentrt.ui.model import GroupView, StepView
from agentrt.ui.report.escaping import html, line
from agentrt.ui.report.reading import Report
from agentrt.ui.words import counted, cut

WIDTH: Final = 1000
"""Of the picture, in pixels; it is drawn larger or smaller as there is room."""

MOST_ROWS: Final = 120

_LABELS: Final = 220
_AXIS: Final = WIDTH - _LABELS - 16
_ROW: Final = 20
_TOP: Final = 44
_LETTERS: Final = 32
_BUCKETS: Final = 195

_STAGES: Final[dict[Stage, tuple[float, float]]] = {
    "waiting": (9, 2),
    "holding": (7, 6),
    "pause": (8.5, 3),
    "queued": (6, 8),
    "prefill": (4, 12),
    "decode": (4, 12),
    "tool": (4, 12),
    "code": (4, 12),
    "asking": (4, 12),
}
"""Where a stretch begins in its line, from the top, and how high it is: what works is high, what waits is low."""

STYLE: Final = """\
  .g-label{fill:#1f2328;font:12px system-ui,sans-serif} .g-small{fill:#59636e;font:11px system-ui,sans-serif}
  .g-grid{stroke:#818b98;stroke-opacity:.3} .g-now{stroke:#cf222e;stroke-dasharray:4 3}
  .g-even{fill:#818b98;fill-opacity:.07}
  .g-critical{fill:#cf222e} .g-critical-label{font-weight:700}
  .g-waiting{fill:#afb8c1} .g-holding{fill:#8250df;fill-opacity:.3} .g-pause{fill:#cf222e;fill-opacity:.6}
  .g-queued{fill:url(#g-hatch)} .g-hatch{stroke:#59636e} .g-prefill{fill:#80ccff} .g-decode{fill:#0550ae}
  .g-tool{fill:#2da44e} .g-code{fill:#d4a72c} .g-asking{fill:#bf3989} .g-mark{fill:#cf222e}
  @media (prefers-color-scheme:dark){ .g-label{fill:#e6edf3} .g-small{fill:#9198a1}
  .g-waiting{fill:#656c76} .g-hatch{stroke:#9198a1} .g-prefill{fill:#1f5f99} .g-decode{fill:#79c0ff}
  .g-tool{fill:#3fb950} .g-code{fill:#d29922} .g-asking{fill:#f778ba} .g-critical,.g-mark{fill:#ff7b72}
  .g-now{stroke:#ff7b72} .g-holding{fill:#ab7df8;fill-opacity:.4} }"""

DEFS: Final = (
    '<defs><pattern id="g-hatch" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<line class="g-hatch" x1="1" y1="0" x2="1" y2="5" stroke-width="2"/></pattern></defs>'
)


class Gantt:
    """The picture of one run, as wide as ``WIDTH``; ``height`` is in pixels."""

    def __init__(self, report: Report) -> None:
        self._report = report
        rows = report.line.rows("tree")
        self.rows = rows[:MOST_ROWS]
        self.left_out = len(rows) - len(self.rows)
        self.height = _TOP + _ROW * len(self.rows) + 12
        self._path = set(report.path)
        self._scale = _AXIS / max(report.now, 1e-3)

    def svg(self) -> str:
        """The picture by itself, for a page that has its style."""
        size = f'viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" height="{self.height}"'
        return f'<svg {size} role="img" aria-label="time of the steps">{"".join(self.lines())}</svg>'

    def lines(self, top: float = 0.0) -> Iterator[str]:
        """The parts of the picture, as SVG, so far below the top."""
        yield f'<g transform="translate(0 {top:.0f})">{DEFS}'
        yield from self._legend()
        yield from self._axis()
        for number, row in enumerate(self.rows):
            yield from self._row(row, _TOP + _ROW * number, even=number % 2 == 0)
        yield "</g>"

    def _legend(self) -> Iterator[str]:
        x = float(_LABELS)
        for stage, (y, height) in _STAGES.items():
            word = WORDS[stage]
            yield f'<rect class="g-{stage}" x="{x:.0f}" y="{y:.1f}" width="14" height="{height:g}"/>'
            yield f'<text class="g-small" x="{x + 18:.0f}" y="14">{word}</text>'
            x += 30 + 6.2 * len(word)
        if self._path:
            yield f'<rect class="g-critical" x="{x:.0f}" y="11" width="14" height="3"/>'
            yield f'<text class="g-small" x="{x + 18:.0f}" y="14">critical path</text>'

    def _axis(self) -> Iterator[str]:
        bottom = self.height - 8
        for column, word in ticks(Window(0.0, 1 / self._scale, _AXIS), 80):
            x = _LABELS + column
            yield f'<line class="g-grid" x1="{x}" y1="{_TOP - 4}" x2="{x}" y2="{bottom}"/>'
            yield f'<text class="g-small" x="{x}" y="{_TOP - 8}" text-anchor="middle">{word}</text>'
        if self._report.live:
            x = _LABELS + _AXIS
            yield f'<line class="g-now" x1="{x}" y1="{_TOP - 4}" x2="{x}" y2="{bottom}"><title>now</title></line>'

    def _row(self, row: Row, y: float, *, even: bool) -> Iterator[str]:
        if even:
            yield f'<rect class="g-even" x="0" y="{y:.0f}" width="{WIDTH}" height="{_ROW}"/>'
        critical = row.group is None and row.step.id in self._path
        look = "g-label g-critical-label" if critical else "g-label"
        label = line(cut(row.label, max(8, _LETTERS - 2 * row.depth), "…"))
        yield f'<text class="{look}" x="{6 + 12 * min(row.depth, 8)}" y="{y + 14:.0f}">{label}</text>'
        if row.group is not None:
            yield from self._crowd(self._report.line.crowd(row.group), row, y)
            yield from self._path_through(row.group, y)
        else:
            yield from self._step(row.step, y, critical=critical)

    def _step(self, step: StepView, y: float, *, critical: bool) -> Iterator[str]:
        now = self._report.now
        words = html(f"{cut(step.id, 300)}\n{step.kind}, {step.status}\n{told(self._report.line, step, now)}")
        yield f'<g data-step="{line(step.id)}"><title>{words}</title>'
        for stage, start, end in self._report.line.stretches(step):
            top, height = _STAGES[stage]
            yield self._bar(f"g-{stage}", start, now if end is None else end, y + top, height)
        if critical and step.started is not None:
            yield self._bar("g-critical", step.started, now if step.ended is None else step.ended, y + 17, 2.5)
        for moment in self._report.moments_of(step.id):
            x = self._x(moment.at)
            mark = f"M{x:.1f} {y + 3:.1f}l3.5 5h-7z"
            yield f'<path class="g-mark" d="{mark}"><title>{line(moment.words)}</title></path>'
        yield "</g>"

    def _bar(self, look: str, start: float, end: float, y: float, height: float) -> str:
        x = self._x(start)
        width = max(self._x(end) - x, 0.6)
        return f'<rect class="{look}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:g}"/>'

    def _x(self, at: float) -> float:
        return _LABELS + min(at, self._report.now) * self._scale

    def _path_through(self, group: GroupView, y: float) -> Iterator[str]:
        """When the critical path led through steps of a group."""
        parts: list[str] = []
        last = 0.0
        for name in self._report.path:
            step = self._report.view.steps[name]
            if step.path == group.path and step.started is not None:
                start = max(self._x(step.started), last)
                last = self._x(self._report.now if step.ended is None else step.ended)
                if last - start >= 0.1:
                    parts.append(f"M{start:.1f} {y + 17.5:.1f}h{last - start:.1f}v2h-{last - start:.1f}z")
        if parts:
            yield f'<path class="g-critical" d="{"".join(parts)}"/>'

    # -- many steps in one line --------------------------------------------------------------------------------------

    def _crowd(self, crowd: Crowd, row: Row, y: float) -> Iterator[str]:
        """How many steps are in each stage, one on top of the other, where the highest of all fills the line."""
        assert row.group is not None, "a line of many"
        edges = [self._report.now * number / _BUCKETS for number in range(_BUCKETS + 1)]
        means = {stage: crowd.levels[stage].means(edges) for stage in _STAGES if stage in crowd.levels}
        most = max(map(sum, zip(*means.values(), strict=True)), default=0.0)
        name, total = cut(" / ".join(row.group.path), 300), counted(row.group.total, "step")
        words = f"{name}: {total}, {most:.3g} at once\nin sum: {worded(crowd.seconds(self._report.now))}"
        yield f"<g><title>{html(words)}</title>"
        if most > 0:
            yield from _stacked(means, most, y)
        yield "</g>"


def _stacked(means: dict[Stage, list[float]], most: float, y: float) -> Iterator[str]:
    bases = [0.0] * _BUCKETS
    width = _AXIS / _BUCKETS
    for stage, values in reversed(means.items()):  # what works stands at the bottom
        parts: list[str] = []
        for number, (base, value) in enumerate(zip(bases, values, strict=True)):
            height = value / most * (_ROW - 3)
            if height >= 0.1:
                top = y + _ROW - 1 - base / most * (_ROW - 3) - height
                parts.append(f"M{_LABELS + number * width:.1f} {top:.1f}h{width:.2f}v{height:.1f}h-{width:.2f}z")
        if parts:
            yield f'<path class="g-{stage}" d="{"".join(parts)}"/>'
        bases = [base + value for base, value in zip(bases, values, strict=True)]
