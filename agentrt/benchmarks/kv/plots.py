"""Two small pictures in SVG: ratios as bars, and how they move with the pressure. Readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from agentrt.benchmarks.kv.contest import Row, Score

_STYLE: Final = """\
  .page{fill:#ffffff} .text{fill:#1f2328;font:12px system-ui,sans-serif}
  .small{fill:#59636e;font:11px system-ui,sans-serif}
  .title{fill:#1f2328;font:600 14px system-ui,sans-serif} .axis{stroke:#8c959f;stroke-width:1}
  .one{stroke:#59636e;stroke-dasharray:4 3} .stock{fill:#8c959f} .ours{fill:#0969da} .line{fill:none;stroke-width:2}
  .c0{stroke:#8c959f} .c1{stroke:#0969da} .c2{stroke:#1a7f37} .c3{stroke:#9a6700} .c4{stroke:#cf222e}
  .c5{stroke:#8250df}
  @media (prefers-color-scheme:dark){
  .page{fill:#0d1117} .text,.title{fill:#e6edf3} .small{fill:#9198a1} .axis{stroke:#656c76} .one{stroke:#9198a1}
  .stock{fill:#656c76} .ours{fill:#4493f8} .c0{stroke:#9198a1} .c1{stroke:#4493f8} .c2{stroke:#3fb950}
  .c3{stroke:#d29922} .c4{stroke:#f85149} .c5{stroke:#ab7df8} }"""

BAR: Final = 16
LEFT: Final = 130
WIDE: Final = 360
_COLOURS: Final = 6


def bars(rows: Sequence[Row]) -> str:
    """Mean completion time over the best stock policy's, a group of bars for each cell; shorter is better."""
    body: list[str] = []
    y = 50.0
    for row in rows:
        found = [(score, ratio) for score in row.scores if (ratio := row.ratio(score)) is not None]
        longest = max([1.2, *(ratio for _, ratio in found)])
        body.append(f'<text class="text" x="16" y="{y:.0f}">{escape(row.cell.name)}</text>')
        top = y + 8
        for score, ratio in found:
            body += _bar(score, ratio, longest, y := y + BAR + 4)
        line = LEFT + WIDE / longest
        body.append(f'<path class="axis one" d="M{line:.1f} {top:.0f}V{y + 8:.0f}"/>')
        y += 40
    return _svg("Mean completion time over the best stock policy's (shorter is better)", LEFT + WIDE + 70, y, body)


def _bar(score: Score, ratio: float, longest: float, y: float) -> Iterator[str]:
    width, look = WIDE * ratio / longest, "stock" if score.contestant.stock else "ours"
    yield f'<text class="small" x="{LEFT - 8}" y="{y:.0f}" text-anchor="end">{escape(score.contestant.name)}</text>'
    yield f'<rect class="{look}" x="{LEFT}" y="{y - 11:.0f}" width="{width:.1f}" height="{BAR - 2}" rx="2"/>'
    yield f'<text class="small" x="{LEFT + width + 6:.1f}" y="{y:.0f}">{ratio:.2f}</text>'


def lines(rows: Sequence[Row]) -> str:
    """Mean completion time over the best stock policy's against the pressure: a panel for each workload and number of
    programs of which at least two pressures were run, empty when there is none."""
    panels: dict[str, list[Row]] = {}
    for row in rows:
        if not row.cell.host:
            panels.setdefault(f"{row.cell.workload.name}, {row.cell.size.programs} programs", []).append(row)
    several = {name: sorted(found, key=lambda row: row.cell.pressure) for name, found in panels.items()}
    several = {name: found for name, found in several.items() if len(found) > 1}
    if not several:
        return ""
    body: list[str] = []
    y = 40.0
    for name, found in several.items():
        part, y = _panel(name, found, y)
        body += part
    return _svg("How the ratio moves with the pressure", LEFT + WIDE + 130, y, body)


def _panel(name: str, rows: Sequence[Row], top: float) -> tuple[list[str], float]:
    names = [
        score.contestant.name
        for score in rows[-1].scores
        if sum(bool(row.score(score.contestant.name)) for row in rows) > 1
    ]
    points = {one: _points(one, rows) for one in names}
    highest = max([1.2, *(ratio for found in points.values() for _, ratio in found)])
    height, left = 180.0, 60.0
    step = (LEFT + WIDE - left - 80) / max(1, len(rows) - 1)

    def place(at: int, ratio: float) -> str:
        return f"{left + at * step:.1f} {top + 24 + height * (1 - ratio / highest):.1f}"

    body = [f'<text class="text" x="16" y="{top + 8:.0f}">{escape(name)}</text>']
    body.append(f'<path class="axis one" d="M{place(0, 1.0)}L{place(len(rows) - 1, 1.0)}"/>')
    body.append(f'<path class="axis" d="M{place(0, highest)}L{place(0, 0)}L{place(len(rows) - 1, 0)}"/>')
    for at, row in enumerate(rows):
        x, low = place(at, 0).split()
        label = "fits" if row.cell.pressure < 1 else f"x{row.cell.pressure:g}"
        body.append(f'<text class="small" x="{x}" y="{float(low) + 16:.0f}" text-anchor="middle">{label}</text>')
    for number, (one, found) in enumerate(points.items()):
        look = f"line c{number % _COLOURS}"
        body.append(f'<path class="{look}" d="M{"L".join(place(*point) for point in found)}"/>')
        key = top + 30 + number * 16
        body.append(f'<path class="{look}" d="M{LEFT + WIDE - 6} {key - 4:.0f}h18"/>')
        body.append(f'<text class="small" x="{LEFT + WIDE + 18}" y="{key:.0f}">{escape(one)}</text>')
    return body, top + max(height, len(points) * 16.0) + 70


def _points(name: str, rows: Sequence[Row]) -> list[tuple[int, float]]:
    found = []
    for at, row in enumerate(rows):
        score = row.score(name)
        ratio = row.ratio(score) if score else None
        if ratio is not None:
            found.append((at, ratio))
    return found


def _svg(title: str, width: float, height: float, body: Sequence[str]) -> str:
    inside = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE}\n</style>\n"
        f'<rect class="page" width="100%" height="100%"/>\n'
        f'<text class="title" x="16" y="24">{escape(title)}</text>\n{inside}\n</svg>\n'
    )
