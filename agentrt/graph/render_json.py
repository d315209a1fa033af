"""A step graph as JSON."""

from __future__ import annotations

import json

from agentrt.graph.render_model import Drawing


def to_json(drawing: Drawing) -> str:
    """The graph's nodes and edges, and a template's known steps, as one JSON object."""
    return json.dumps(drawing.data, indent=2, ensure_ascii=False, default=str) + "\n"
