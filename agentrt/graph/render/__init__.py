"""Step graphs as text, JSON, mermaid, dot and SVG: templates read from source, and live graphs of runs."""

from __future__ import annotations

from agentrt.graph.render.draw import FORMATS, render_run, render_template

__all__ = ["FORMATS", "render_run", "render_template"]
