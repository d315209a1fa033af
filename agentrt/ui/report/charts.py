"""Numbers over time as small pictures: areas on top of each other, or lines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log10
from typing import Final, NamedTuple

from agentrt.ui.drawing.bars import Window, ticks
from agentrt.ui.report.escaping import line

_WIDTH: Final = 520
_HEIGHT: Final = 190
_LEFT: Final = 46
_TOP: Final = 10
_BOTTOM: Final = 22
_INSIDE: Final = (_WIDTH - _LEFT - 12, _HEIGHT - _TOP - _BOTTOM)

STYLE: Final = """\
  .c-a{fill:#0550ae;stroke:#0550ae} .c-b{fill:#2da44e;stroke:#2da44e} .c-c{fill:#d4a72c;stroke:#d4a72c}
  .c-d{fill:#afb8c1;stroke:#afb8c1} .c-e{fill:#cf222e;stroke:#cf222e} .c-f{fill:#80ccff;stroke:#80ccff}
  .c-line{fill:none;stroke-width:2} .c-area{stroke:none;fill-opacity:.85}
  @media (prefers-color-scheme:dark){ .c-a{fill:#79c0ff;stroke:#79c0ff} .c-b{fill:#3fb950;stroke:#3fb950}
  .c-c{fill:#d29922;stroke:#d29922} .c-d{fill:#3d444d;stroke:#3d444d} .c-e{fill:#ff7b72;stroke:#ff7b72}
  .c-f{fill:#1f5f99;stroke:#1f5f99} .c-line{fill:none} }"""

_DASHES: Final = {"a": "", "b": "7 3", "c": "2 3", "d": "9 3 2 3", "e": "4 4", "f": "12 4"}
"""Lines are told apart where there is no colour, too."""


class Curve(NamedTuple):
    """A number over time: its name, its look (a letter from a to f), and (seconds, value) in order."""

    name: str
    look: str
    points: Sequence[tuple[float, float]]


def figure(title: str, curves: Sequence[Curve], end: float, *, stacked: bool = False, top: float = 0.0) -> str:
    """A picture with its title and what its looks mean, from 0 to ``end``; at least as high as ``top``.

    ``stacked`` curves have points at the same times, and stand on top of each other in their order.
    """
    shown = list(_stacked(curves)) if stacked else list(curves)
    most = max([top, *(value for curve in shown for _, value in curve.points)], default=0.0) or 1.0
    picture = _Picture(max(end, 1e-3), most)
    parts = [*picture.grid(), *(picture.area(one) if stacked else picture.stroke(one) for one in reversed(shown))]
    keys = "".join(_key(number, curve, stacked=stacked) for number, curve in enumerate(curves))
    last = ", ".join(f"{curve.name} {rounded(curve.points[-1][1])}" for curve in curves if curve.points)
    return (
        f'<figure><figcaption><b>{line(title)}</b> <span class="soft">at the end: {line(last)}</span></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 18}" role="img" aria-label="{line(title)}">{"".join(parts)}{keys}</svg>'
        "</figure>\n"
    )


def _stacked(curves: Sequence[Curve]) -> Iterator[Curve]:
    below = [0.0] * max((len(curve.points) for curve in curves), default=0)
    for curve in curves:
        below = [base + value for base, (_, value) in zip(below, curve.points, strict=True)]
        yield curve._replace(points=[(at, sum_) for (at, _), sum_ in zip(curve.points, below, strict=True)])


class _Picture:
    """Turns seconds and values into pixels."""

    def __init__(self, end: float, most: float) -> None:
        self._most = most
        self._x = _INSIDE[0] / end
        self._y = _INSIDE[1] / most

    def grid(self) -> Iterator[str]:
        """Lines at round times and values."""
        low = _TOP + _INSIDE[1]
        for column, word in ticks(Window(0.0, 1 / self._x, _INSIDE[0]), 90):
            x = _LEFT + column
            yield f'<line class="g-grid" x1="{x}" y1="{_TOP}" x2="{x}" y2="{low}"/>'
            yield f'<text class="g-small" x="{x}" y="{low + 14}" text-anchor="middle">{word}</text>'
        step = round_up(self._most / 4)
        for number in range(int(self._most / step) + 1):
            y = low - number * step * self._y
            yield f'<line class="g-grid" x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - 12}" y2="{y:.1f}"/>'
            word = rounded(number * step)
            yield f'<text class="g-small" x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{word}</text>'

    def stroke(self, curve: Curve) -> str:
        """The curve as steps: a value holds until the next one is known."""
        dash = f' stroke-dasharray="{_DASHES[curve.look]}"' if _DASHES[curve.look] else ""
        return (
            f'<path class="c-{curve.look} c-line"{dash} d="{self._way(curve)}"><title>{line(curve.name)}</title></path>'
        )

    def area(self, curve: Curve) -> str:
        """The curve with all that is below it."""
        way = self._way(curve)
        low = _TOP + _INSIDE[1]
        end = f"V{low}H{self._at(curve.points[0][0])}z" if curve.points else ""
        return f'<path class="c-{curve.look} c-area" d="{way}{end}"><title>{line(curve.name)}</title></path>'

    def _way(self, curve: Curve) -> str:
        parts = []
        for number, (at, value) in enumerate(curve.points):
            y = f"{_TOP + _INSIDE[1] - value * self._y:.1f}"
            parts.append(f"H{self._at(at)}V{y}" if number else f"M{self._at(at)} {y}")
        return "".join(parts)

    def _at(self, at: float) -> str:
        return f"{_LEFT + at * self._x:.1f}"


def _key(number: int, curve: Curve, *, stacked: bool) -> str:
    x = _LEFT + number * 112
    dash = "" if stacked or not _DASHES[curve.look] else f' stroke-dasharray="{_DASHES[curve.look]}"'
    sign = (
        f'<rect class="c-{curve.look} c-area" x="{x}" y="{_HEIGHT + 4}" width="16" height="10"/>'
        if stacked
        else f'<path class="c-{curve.look} c-line"{dash} d="M{x} {_HEIGHT + 9}h18"/>'
    )
    return f'{sign}<text class="g-small" x="{x + 22}" y="{_HEIGHT + 13}">{line(curve.name)}</text>'


def round_up(value: float) -> float:
    """The next of 1, 2 and 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** int(log10(value) // 1)
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def rounded(value: float) -> str:
    """``950``, ``1.2k``, ``34k``, ``5.6M``; below 10 with what it has behind the point."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}" if value < 10 else f"{value:.0f}"
