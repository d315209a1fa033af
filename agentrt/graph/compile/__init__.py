"""From a program's source to its step template. Nothing of the program is imported or run."""

from __future__ import annotations

from agentrt.graph.compile.read import read_template

__all__ = ["read_template"]
