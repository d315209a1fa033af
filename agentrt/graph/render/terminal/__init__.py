"""Step graphs drawn with box characters, for terminals: layout and lines, without labels and colours."""

from __future__ import annotations

from agentrt.graph.render.terminal.drawing import CellEdge, CellNode, CellPicture, CellPlace, draw_cells
from agentrt.graph.render.terminal.strokes import CellRun, Role

__all__ = ["CellEdge", "CellNode", "CellPicture", "CellPlace", "CellRun", "Role", "draw_cells"]
