"""A step graph as JSON."""

from __future__ import annotations

import json

from agentrt.graph.render.model import Drawing


def to_json(drawing: Drawing) -> str:
    """The graph's nodes and edges, and a template's known steps, as one JSON object."""
    text = json.dumps(drawing.data, indent=2, ensure_ascii=False)
    if any("\ud800" <= one <= "\udfff" for one in text):  # no file can hold these but as escapes
        text = json.dumps(drawing.data, indent=2)
    return text + "\n"
