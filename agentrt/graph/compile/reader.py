"""Walks through a program's source the way it would run, and builds the template on the way.

The reader holds where the program stands and what its names are; how single expressions and statements read is in
tables handed to it. Blocks with several ways (branches, loops, handlers) are read way by way and merged after.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from agentrt.errors import GraphError
from agentrt.graph.compile.build import Builder, Front, Link, links
from agentrt.graph.compile.module import Module
from agentrt.graph.compile.values import PLAIN, StepDef, Value, both, choose, waiting
from agentrt.graph.template import EdgeKind, TemplateId, TemplateKind
from agentrt.types import Place

MAX_NODES = 5_000
MAX_CALLS = 2_000
MAX_EXPANDED = 2_000
MAX_UNROLLED = 5_000

Names: TypeAlias = dict[str, Value]
Body: TypeAlias = Callable[[], Value]


class Stop(Exception):
    """Raised while collecting the steps that are known beforehand: from here on it depends."""


@dataclass(slots=True)
class End:
    """A point where a block ended: where the program stood, what its names were, and its value."""

    front: Front
    names: Names
    value: Value = PLAIN


@dataclass(slots=True)
class Frame:
    """One function being read.

    ``front`` is ``None`` behind a ``return`` or ``raise``. ``bound`` are the names it owns. ``nesting`` counts the
    branches and loops around, ``loops`` has for each loop the names that it binds, and its nesting.
    """

    module: Module
    parent: TemplateId | None = None
    depth: int = 0
    block: tuple[TemplateId, str] | None = None
    names: Names = field(default_factory=dict)
    front: Front | None = field(default_factory=dict)
    bound: frozenset[str] = frozenset()
    body: ast.AST | None = None
    returns: list[End] = field(default_factory=list)
    breaks: list[list[End]] = field(default_factory=list)
    continues: list[list[End]] = field(default_factory=list)
    nesting: int = 0
    loops: list[tuple[frozenset[str], int]] = field(default_factory=list)

    def may_be_bound(self, name: str) -> bool:
        """Whether an earlier round of a loop may have bound the name: here, where not every round comes by."""
        return any(name in names and self.nesting > nesting for names, nesting in self.loops)


class Reader:
    """The state of reading one program.

    ``known`` reads only up to the first wait, with real steps in place of loops; ``silent`` makes no steps at all,
    for the top level of a file.
    """

    def __init__(
        self,
        module: Module,
        expressions: Mapping[type, Callable[[Reader, ast.expr], Value]],
        statements: Mapping[type, Callable[[Reader, ast.stmt], None]],
        *,
        known: bool = False,
        silent: bool = False,
    ) -> None:
        self.builder = Builder()
        self.frame = Frame(module)
        self.known = known
        self.silent = silent
        self.steps: dict[str, StepDef] = {}
        self.stack: list[object] = []
        self.calls = 0
        self.rounds = 0
        self.jumps = 0
        self.returned = 0
        self.unbound: list[ast.Name] = []
        self.catchers: list[list[TemplateId]] = []
        self._expressions = expressions
        self._statements = statements

    # -- reading ---------------------------------------------------------------------------------------------

    def expr(self, node: ast.expr | None) -> Value:
        """Read one expression."""
        if node is None:
            return PLAIN
        return self._expressions.get(type(node), self._expressions[ast.expr])(self, node)

    def block(self, body: Iterable[ast.stmt]) -> None:
        """Read statements up to the first that is never left."""
        for statement in body:
            if self.frame.front is None:
                return
            handler = self._statements.get(type(statement), self._statements[ast.stmt])
            handler(self, statement)

    def place(self, node: ast.AST) -> Place:
        """Where the node stands in the source."""
        return Place(self.frame.module.file, getattr(node, "lineno", 1))

    def text(self, node: ast.AST) -> str:
        """What the source says there, on one short line."""
        return self.frame.module.text(node)

    def error(self, node: ast.AST, message: str) -> GraphError:
        """The error to raise for that place."""
        return GraphError(f"{self.place(node)}: {message}")

    # -- moving ----------------------------------------------------------------------------------------------

    def add(
        self,
        kind: TemplateKind,
        name: str,
        node: ast.AST,
        waits: Iterable[TemplateId] = (),
        *,
        label: str = "",
        extra: Iterable[Link] = (),
    ) -> TemplateId:
        """Make a node where the program stands, behind what it waits for."""
        if len(self.builder.nodes) >= MAX_NODES:
            if self.known:
                raise Stop
            raise self.error(node, f"the program has more than {MAX_NODES} steps here; put repeated ones into a loop")
        before = [*links(self.frame.front or {}), *extra, *(Link(one, "data") for one in waits)]
        here = self.frame
        return self.builder.add(kind, name, self.place(node), before, label=label, parent=here.parent, block=here.block)

    def wait(self, waits: Sequence[TemplateId]) -> None:
        """The program waits for these nodes; what it does next comes after them."""
        if self.known:
            raise Stop
        if not waits or self.frame.front is None:
            return
        for catcher in self.catchers[-1:]:
            catcher.extend(waits)
        after = self.builder.comes_after
        kept = {
            old: way
            for old, way in self.frame.front.items()
            if old not in waits and not any(after(one, old) for one in waits)
        }
        fresh = [one for one in waits if not any(other != one and after(other, one) for other in waits)]
        fresh = [one for one in fresh if not any(after(old, one) for old in kept)]
        self.frame.front = {**kept, **dict.fromkeys(fresh, ("control", ""))}

    def leave(self) -> None:
        """Nothing after this is reached."""
        self.frame.front = None
        self.jumps += 1

    def end(self, value: Value = PLAIN) -> End | None:
        """Where the program stands now, ``None`` when it does not get here."""
        return None if self.frame.front is None else End(self.frame.front, dict(self.frame.names), value)

    def go(self, end: End) -> Value:
        """Stand there again."""
        self.frame.front, self.frame.names = end.front, dict(end.names)
        return end.value

    # -- several ways ----------------------------------------------------------------------------------------

    def merge(self, ends: Iterable[End | None], node: ast.AST) -> Value:
        """Go on from wherever one of several ways ended."""
        found = [end for end in ends if end is not None]
        if not found:
            self.frame.front = None
            return PLAIN
        names = {name: None for end in found for name in end.names}
        merged = {name: self._merge_name(name, found, node) for name in names}
        value = self._phi("value", [(end, end.value) for end in found], node)
        self.frame.names = merged
        self.frame.front = self.builder.merge((end.front for end in found), self.place(node), self.frame.parent)
        return value

    def _merge_name(self, name: str, ends: list[End], node: ast.AST) -> Value:
        return self._phi(name, [(end, end.names[name]) for end in ends if name in end.names], node)

    def _phi(self, name: str, ways: list[tuple[End, Value]], node: ast.AST) -> Value:
        """The value that came by any one of the ways. Waits that differ become a join of their own."""
        value = choose(one for _, one in ways)
        common = [one for one in value.waits if all(one in way.waits for _, way in ways)]
        if len(common) == len(value.waits):
            return value
        sources = [self._source(end, [one for one in way.waits if one not in common], node) for end, way in ways]
        join = self.builder.add(
            "join", name, self.place(node), sources, join="any", label="value", parent=self.frame.parent
        )
        return waiting(value, both(common, (join,)))

    def _source(self, end: End, waits: list[TemplateId], node: ast.AST) -> Link:
        if not waits:
            return self.builder.single(end.front, self.place(node), self.frame.parent)
        if len(waits) == 1:
            return Link(waits[0], "data")
        into = [Link(one, "data") for one in waits]
        return Link(self.builder.add("join", "all", self.place(node), into, parent=self.frame.parent), "data")

    def branch(self, node: ast.AST, label: str, ways: Sequence[tuple[EdgeKind, str, Body]]) -> Value:
        """Read a choice: each way starts at the branch; a choice without any effect on steps leaves no trace."""
        start, mark, jumps = self.end(), self.builder.mark(), self.jumps
        if start is None:
            return PLAIN
        head = self.add("branch", "branch", node, label=label)
        ends, around = [], self.frame.block
        self.frame.nesting += 1
        try:
            for kind, text, body in ways:
                self.frame.front, self.frame.names = {head: (kind, text)}, dict(start.names)
                self.frame.block = (head, text or kind)
                ends.append(self.end(body()))
            self.frame.block = around
            value = self.merge(ends, node)
        except Stop:
            self.builder.rollback(mark)
            raise
        finally:
            self.frame.block = around
            self.frame.nesting -= 1
        if len(self.builder.since(mark)) == 1 and self.jumps == jumps and self._stayed(head):
            self.builder.rollback(mark)
            self.frame.front = None if self.frame.front is None else start.front
            return value
        self.certain(mark)
        return value

    def _stayed(self, head: TemplateId) -> bool:
        return self.frame.front is None or list(self.frame.front) == [head]

    def certain(self, mark: tuple[int, int]) -> None:
        """Where it depends on data what happened since the mark, the known steps end before it."""
        if self.known:
            self.builder.rollback(mark)
            raise Stop
