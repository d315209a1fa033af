"""A step graph as a self-contained SVG picture, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise
from typing import Final

from agentrt.graph.render.layout import HEADER, PADDING, Box, Layout, Route, lay_out
from agentrt.graph.render.model import Drawing, DrawnEdge, DrawnNode, clean

MARGIN = 24.0
_LETTER = 7.4
_SMALL_LETTER = 6.0
_MAX_TITLE = 44

_STYLE: Final = """\
  .page{fill:#ffffff} .text{fill:#1f2328;font:13px system-ui,sans-serif}
  .small{fill:#59636e;font:11px system-ui,sans-serif} .note{paint-order:stroke;stroke:#ffffff;stroke-width:4px}
  .title{fill:#1f2328;font:600 15px system-ui,sans-serif} .box{fill:#f6f8fa;stroke:#8c959f;stroke-width:1.2}
  .llm,.agent{fill:#ddf4ff;stroke:#0969da} .tool{fill:#dafbe1;stroke:#1a7f37}
  .question{fill:#ffeff7;stroke:#bf3989}
  .python,.program{fill:#fff8c5;stroke:#9a6700} .branch,.loop{fill:#fbefff;stroke:#8250df}
  .holder{fill:#818b98;fill-opacity:.08} .failed,.cancelled{stroke:#cf222e;stroke-width:2.4}
  .running{stroke-width:2.6} .pending,.ready,.skipped{stroke-dasharray:3 3}
  .edge{fill:none;stroke:#59636e;stroke-width:1.3} .tip{fill:#59636e} .control{stroke-dasharray:5 4}
  .back{stroke:#8250df;stroke-dasharray:2 3} .except{stroke:#cf222e;stroke-dasharray:5 4}
  @media (prefers-color-scheme:dark){
  .page{fill:#0d1117} .text,.title{fill:#e6edf3} .small{fill:#9198a1} .note{stroke:#0d1117}
  .box{fill:#161b22;stroke:#656c76} .llm,.agent{fill:#0c2d6b;stroke:#4493f8} .tool{fill:#0f3d1e;stroke:#3fb950}
  .question{fill:#42062a;stroke:#db61a2}
  .python,.program{fill:#3b2e00;stroke:#d29922} .branch,.loop{fill:#2b1a4a;stroke:#ab7df8} .holder{fill:#818b98}
  .edge{stroke:#9198a1} .tip{fill:#9198a1} .back{stroke:#ab7df8} .failed,.cancelled,.except{stroke:#f85149} }"""


def to_svg(drawing: Drawing) -> str:
    """The graph as SVG text: rows from top to bottom, what an agent or a sub-program holds in a box of its own."""
    picture = _Picture(drawing)
    layout = picture.lay_out(None)
    title = clean(f"{drawing.title}  {drawing.subtitle}".strip())
    width = max(layout.width, len(title) * 8.0) + 2 * MARGIN
    height = layout.height + 2 * MARGIN + 28
    body = "\n".join(picture.draw(layout, MARGIN, MARGIN + 28))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">\n<title>{_text(title)}</title>\n'
        f"<style>\n{_STYLE}\n</style>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="tip" d="M0 0 8 4 0 8Z"/></marker></defs>\n'
        f'<rect class="page" width="100%" height="100%"/>\n'
        f'<text class="title" x="{MARGIN:.0f}" y="{MARGIN + 6:.0f}">{_text(title)}</text>\n{body}\n</svg>\n'
    )


class _Picture:
    """The nodes by what holds them, and the layouts of the holders."""

    def __init__(self, drawing: Drawing) -> None:
        self.nodes = {node.id: node for node in drawing.nodes}
        self.edges = drawing.edges
        self.inside: dict[str | None, list[DrawnNode]] = {}
        for node in drawing.nodes:
            self.inside.setdefault(node.parent if node.parent in self.nodes else None, []).append(node)
        self.layouts: dict[str, Layout] = {}
        self.scoped = self._scoped()

    def _scoped(self) -> dict[str | None, list[tuple[str, str, int]]]:
        """The edges by the holder in whose layout they are drawn, their ends lifted to what stands there."""
        found: dict[str | None, list[tuple[str, str, int]]] = {}
        for index, edge in enumerate(self.edges):
            sources, targets = self._holders(edge.source), self._holders(edge.target)
            if edge.target in sources and edge.source != edge.target:  # back to the head of its own holder
                targets = [self.inside[edge.target][0].id, *targets]
            depth = 0
            while depth < min(len(sources), len(targets)) and sources[-1 - depth] == targets[-1 - depth]:
                depth += 1
            if depth < min(len(sources), len(targets)):
                ends = (sources[-1 - depth], targets[-1 - depth], index)
                found.setdefault(sources[-depth] if depth else None, []).append(ends)
        return found

    def _holders(self, node: str) -> list[str]:
        """The node, what holds it, what holds that, and so on."""
        chain = [node]
        while (above := self.nodes[chain[-1]].parent) is not None and above in self.nodes:
            chain.append(above)
        return chain

    def lay_out(self, holder: str | None) -> Layout:
        """The layout of what the holder holds, and of all holders inside."""
        sizes = {node.id: self._size(node) for node in self.inside.get(holder, [])}
        edges = self.scoped.get(holder, [])
        forward = [edge for edge in edges if self.edges[edge[2]].kind != "back"]
        back = [edge for edge in edges if self.edges[edge[2]].kind == "back"]
        return lay_out(sizes, forward, back)

    def _size(self, node: DrawnNode) -> tuple[float, float]:
        if node.id in self.inside:
            inner = self.layouts[node.id] = self.lay_out(node.id)
            title = len(_headed(node)) * _LETTER
            width = max(inner.width, title) + 2 * PADDING
            return width, inner.height + HEADER + 2 * PADDING
        if node.kind == "join":
            return 30.0, 30.0
        return _wide(node), 46.0 if node.detail else 32.0

    def draw(self, layout: Layout, x: float, y: float) -> Iterator[str]:
        """The layout's boxes and edges, moved to x, y."""
        for box in layout.boxes.values():
            yield from self._draw_box(self.nodes[box.id], box, x, y)
        for route in layout.routes:
            yield _draw_route(self.edges[route.index], route, layout, x, y)
        for lane, route in enumerate(layout.back):
            yield _draw_back(route, layout, x, y, lane)

    def _draw_box(self, node: DrawnNode, box: Box, x: float, y: float) -> Iterator[str]:
        left, top = x + box.x, y + box.y
        holder = node.id in self.layouts
        look = f"box {node.kind} {node.status or ''}{' holder' if holder else ''}"
        round_ = 15.0 if node.kind in ("join", "start", "end", "loop") else 7.0
        size = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="{round_:.0f}"'
        yield f'<rect class="{look.strip()}" x="{left:.1f}" y="{top:.1f}" {size}/>'
        if holder:
            inner = self.layouts[node.id]
            yield _label(_headed(node), left + box.width / 2, top + 20, "text")
            inset = (box.width - inner.width) / 2
            yield from self.draw(inner, left + inset, top + HEADER + PADDING)
            return
        yield _label(_shown(node), left + box.width / 2, top + (20 if node.detail else box.height / 2 + 4.5), "text")
        if node.detail:
            yield _label(node.detail, left + box.width / 2, top + 37, "small")


def _draw_route(edge: DrawnEdge, route: Route, layout: Layout, x: float, y: float) -> str:
    source, target = layout.boxes[route.source], layout.boxes[route.target]
    stops = [source, *route.bends, target]
    path = f"M{x + source.middle:.1f} {y + source.y + source.height:.1f}"
    for upper, lower in pairwise(stops):
        x0, y0, x1, y1 = x + upper.middle, y + upper.y + upper.height, x + lower.middle, y + lower.y
        half = (y1 - y0) / 2
        path += f" C{x0:.1f} {y0 + half:.1f} {x1:.1f} {y1 - half:.1f} {x1:.1f} {y1:.1f}"
        if lower.bend:
            path += f" V{y1 + lower.height:.1f}"
    line = f'<path class="edge {edge.kind}" d="{path}" marker-end="url(#tip)"/>'
    label = edge.label or (edge.kind if edge.kind in ("then", "else", "exit", "except") else "")
    if not label:
        return line
    x0, y0, x1, y1 = source.middle, source.y + source.height, stops[1].middle, stops[1].y
    return line + _label(label, x + x0 + (x1 - x0) * 0.4, y + y0 + (y1 - y0) * 0.4 + 4, "small note")


def _draw_back(route: Route, layout: Layout, x: float, y: float, lane: int) -> str:
    source, target = layout.boxes[route.source], layout.boxes[route.target]
    x0, y0 = x + source.x + source.width, y + source.y + source.height / 2
    x1, y1 = x + target.x + target.width, y + target.y + target.height / 2
    out = max(x0, x1) + 18 + 5 * (lane % 3)
    path = f"M{x0:.1f} {y0:.1f} C{out:.1f} {y0:.1f} {out:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    return f'<path class="edge back" d="{path}" marker-end="url(#tip)"/>'


def _wide(node: DrawnNode) -> float:
    return max(len(_shown(node)) * _LETTER, len(node.detail) * _SMALL_LETTER) + 26.0


def _headed(node: DrawnNode) -> str:
    return f"{_shown(node)} · {node.detail}"


def _shown(node: DrawnNode) -> str:
    text = clean(node.title)
    return text if len(text) <= _MAX_TITLE else text[: _MAX_TITLE - 1] + "…"


def _label(text: str, x: float, y: float, look: str) -> str:
    return f'<text class="{look}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{_text(text)}</text>'


def _text(text: str) -> str:
    return escape(clean(text))
