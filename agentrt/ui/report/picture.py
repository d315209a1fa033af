"""A run as one SVG picture: its graph, and beneath it where the time went. Pure."""

from __future__ import annotations

import re
from typing import Final

from agentrt.graph.render.svg import MARGIN, to_svg
from agentrt.ui.folds.timeline import summary
from agentrt.ui.report.escaping import line
from agentrt.ui.report.gantt import STYLE, WIDTH, Gantt
from agentrt.ui.report.graph import drawing_of
from agentrt.ui.report.reading import Report
from agentrt.ui.words import cut

_WIDEST: Final = 1_800
_SIZE: Final = re.compile(r'<svg [^>]*?width="(\d+)" height="(\d+)"')
_HEAD: Final = 34


def picture_of(report: Report) -> str:
    """The picture, with nothing in it that is loaded from elsewhere."""
    graph = to_svg(drawing_of(report.view, report.now))
    found = _SIZE.match(graph)
    assert found is not None, "a picture says how large it is"
    wide, high = int(found[1]), int(found[2])
    width = max(WIDTH, min(wide, _WIDEST))
    shrunk = min(1.0, width / wide)
    gantt = Gantt(report)
    grown = (width - 2 * MARGIN) / WIDTH
    top = high * shrunk + _HEAD
    height = top + gantt.height * grown + MARGIN
    placed = graph.replace(
        found[0],
        f'<svg x="{(width - wide * shrunk) / 2:.0f}" width="{wide * shrunk:.0f}" height="{high * shrunk:.0f}"',
        1,
    )
    words = cut(summary(report.line, report.path, report.now), 150, "…")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n<style>\n{STYLE}\n</style>\n'
        f'<rect class="page" width="100%" height="100%"/>\n{placed}'
        f'<text class="text" x="{MARGIN:.0f}" y="{top - 12:.0f}">{line(f"{report.status} · {words}")}</text>\n'
        f'<g transform="translate({MARGIN:.0f} {top:.0f}) scale({grown:.3f})">{"".join(gantt.lines())}</g>\n</svg>\n'
    )
