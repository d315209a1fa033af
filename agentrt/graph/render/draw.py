"""Drawing step graphs: templates and live graphs, in five formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, TypeAlias, get_args

from agentrt.errors import ConfigError
from agentrt.graph.analysis import LiveNode
from agentrt.graph.render.dot import to_dot
from agentrt.graph.render.json import to_json
from agentrt.graph.render.mermaid import to_mermaid
from agentrt.graph.render.model import Drawing, of_run, of_template
from agentrt.graph.render.svg import to_svg
from agentrt.graph.render.text import to_text
from agentrt.graph.template import Template

Format: TypeAlias = Literal["text", "json", "mermaid", "dot", "svg"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_RENDERERS: Final[Mapping[str, Callable[[Drawing], str]]] = {
    "text": to_text,
    "json": to_json,
    "mermaid": to_mermaid,
    "dot": to_dot,
    "svg": to_svg,
}


def render_template(template: Template, format: str = "text") -> str:  # noqa: A002 - the option's name
    """The template in one of ``FORMATS``, ending in a line break. Raises ``ConfigError`` for another format."""
    return _renderer(format)(of_template(template))


def render_run(nodes: Iterable[LiveNode], format: str = "text", *, title: str = "run", subtitle: str = "") -> str:  # noqa: A002
    """The steps of a run, with their status and times, in one of ``FORMATS``. Nodes come as they were added."""
    return _renderer(format)(of_run(nodes, title, subtitle))


def _renderer(format: str) -> Callable[[Drawing], str]:  # noqa: A002
    if format not in _RENDERERS:
        raise ConfigError(f"graph format {format!r}: expected one of {', '.join(FORMATS)}")
    return _RENDERERS[format]
