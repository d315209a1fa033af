"""The step template: what a program's source says about its steps, before anything runs.

A template is a flow graph. Steps stand in it once, however often a loop will call them; branches, loops and joins are
nodes that take no time. Edges point forward, in the order of the source, but for those of kind ``back``, which close
a loop. A node waits for its forward edges (all of them, or any one: ``join``); a back edge is another way in.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, NewType, TypeAlias

from agentrt.errors import ConfigError
from agentrt.types import Place, StepId, StepKind

TemplateId = NewType("TemplateId", str)
"""One node of a template: ``name#count``, below the program or agent that holds it: ``writer#1/search#1``."""

TemplateKind: TypeAlias = StepKind | Literal["branch", "loop", "start", "end"]
"""A step's kind, or: a place where one of several ways is taken, the head of a loop, the program's start and end."""

EdgeKind: TypeAlias = Literal["data", "control", "then", "else", "case", "body", "back", "exit", "except"]
"""data: the value is handed on; control: awaited before; then, else, case, body, except: the way into a block; back:
to the next round of a loop; exit: the way out of one."""

JoinMode: TypeAlias = Literal["all", "any"]
"""Whether a node needs every forward edge or one of them."""

STEP_KINDS: Final[frozenset[str]] = frozenset({"llm", "tool", "python", "question", "agent", "program"})
"""The kinds that stand for work; all others take no time."""


@dataclass(frozen=True, slots=True)
class TemplateNode:
    """One node. ``label`` is what the source says there (a condition, a loop's range).

    ``parent`` is the agent or program whose inside it belongs to; one that holds nodes takes no time of its own.
    ``block`` is the branch or loop around it there, ``way`` which of that one's ways: then, else, body, or a case's
    pattern.
    """

    id: TemplateId
    kind: TemplateKind
    name: str
    place: Place
    label: str = ""
    join: JoinMode = "all"
    parent: TemplateId | None = None
    block: TemplateId | None = None
    way: str = ""

    @property
    def is_step(self) -> bool:
        """Whether the node stands for work, in contrast to a branch, a loop, a join or an end."""
        return self.kind in STEP_KINDS


@dataclass(frozen=True, slots=True)
class TemplateEdge:
    """One edge. ``depth`` is 0, but for a back edge: how deep its loop lies in others, 1 for an outermost one."""

    source: TemplateId
    target: TemplateId
    kind: EdgeKind
    label: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class KnownStep:
    """A real step that every run makes before its program first waits. ``inputs`` are its data edges."""

    id: StepId
    name: str
    kind: StepKind
    place: Place
    inputs: tuple[StepId, ...] = ()


@dataclass(frozen=True, slots=True)
class Template:
    """The template of one program. Nodes stand in the order of the source, start first and end last."""

    program: str
    place: Place
    nodes: tuple[TemplateNode, ...]
    edges: tuple[TemplateEdge, ...]
    known: tuple[KnownStep, ...] = ()

    def find(self, name: str, line: int | None = None) -> tuple[TemplateNode, ...]:
        """The steps of that name, those called in that line of the source only if one is given."""
        return tuple(
            node
            for node in self.nodes
            if node.is_step and node.name == name and (line is None or node.place.line == line)
        )

    def to_json(self) -> dict[str, Any]:
        """The template as plain JSON; ``Template.from_json`` reads it back."""
        return {
            "program": self.program,
            "place": asdict(self.place),
            "nodes": [asdict(node) for node in self.nodes],
            "edges": [asdict(edge) for edge in self.edges],
            "known": [{**asdict(step), "inputs": list(step.inputs)} for step in self.known],
        }

    def dumps(self) -> str:
        """The template as JSON text."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Template:
        """The template that ``to_json`` wrote. Raises ``ConfigError`` for anything else."""
        try:
            return cls(
                program=data["program"],
                place=Place(**data["place"]),
                nodes=tuple(_node(node) for node in data["nodes"]),
                edges=tuple(TemplateEdge(**edge) for edge in data["edges"]),
                known=tuple(_known(step) for step in data["known"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigError(f"not the JSON of a step template ({error!r}); write it with Template.to_json") from error


def _node(data: dict[str, Any]) -> TemplateNode:
    return TemplateNode(**{**data, "place": Place(**data["place"])})


def _known(data: dict[str, Any]) -> KnownStep:
    return KnownStep(**{**data, "place": Place(**data["place"]), "inputs": tuple(data["inputs"])})
