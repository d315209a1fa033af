"""Step graphs: the scheduler core, the template read from source, analysis and drawing.

Pure: nothing here knows asyncio, HTTP or an engine. Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrt.lazy import lazily

if TYPE_CHECKING:
    from agentrt.graph.analysis import critical_path, live_view, steps_to_execution
    from agentrt.graph.analysis_template import template_steps
    from agentrt.graph.compile import read_template
    from agentrt.graph.machine import Instruction, Machine, Node
    from agentrt.graph.render import render_run, render_template
    from agentrt.graph.template import Template

_HOMES = {
    "Instruction": "machine",
    "Machine": "machine",
    "Node": "machine",
    "Template": "template",
    "critical_path": "analysis",
    "live_view": "analysis",
    "read_template": "compile",
    "render_run": "render",
    "render_template": "render",
    "steps_to_execution": "analysis",
    "template_steps": "analysis_template",
}

__all__ = [
    "Instruction",
    "Machine",
    "Node",
    "Template",
    "critical_path",
    "live_view",
    "read_template",
    "render_run",
    "render_template",
    "steps_to_execution",
    "template_steps",
]

if not TYPE_CHECKING:  # a checker that saw it would take every misspelt name for one of ours
    __getattr__ = lazily(__name__, _HOMES)
