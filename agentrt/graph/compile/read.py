"""From a program's source to its step template. Nothing of the program is imported or run."""

from __future__ import annotations

import ast
from contextlib import suppress
from pathlib import Path
from typing import cast

from agentrt.errors import ProgramError
from agentrt.graph.compile.expr import EXPRESSIONS
from agentrt.graph.compile.flow import STATEMENTS
from agentrt.graph.compile.inline import close, parameters
from agentrt.graph.compile.module import Module, too_deep
from agentrt.graph.compile.names import bound_names
from agentrt.graph.compile.reader import Frame, Reader, Stop
from agentrt.graph.compile.values import PLAIN, Function, StepDef
from agentrt.graph.template import STEP_KINDS, KnownStep, Template
from agentrt.types import StepId, StepKind

MAX_FILES = 50


def read_template(source: str, file: str, program: str | None = None) -> Template:
    """The step template of the program of that name, or of the only one, in the source of ``file``.

    Files that it imports from its own folder are read too. Raises ``ProgramError`` when the source is no Python or has
    no such program, ``GraphError`` when the program's steps are impossible: a cycle, an unknown tool, two steps of one
    name, a handle used as a value. Both name the place.
    """
    try:
        module = _Sources(Path(file)).read(source, file)
        return _template(_choose(module, program))
    except RecursionError as error:
        raise too_deep(file) from error


class _Sources:
    """The files of one folder, each read once."""

    def __init__(self, main: Path) -> None:
        self._folder = main.parent
        self._read: dict[str, Module | None] = {main.stem: None}

    def read(self, source: str, file: str) -> Module:
        """The module of this source, its top level read."""
        module = Module(source, file, self.near)
        reader = Reader(module, EXPRESSIONS, STATEMENTS, silent=True)
        reader.block(module.tree.body)
        module.names = reader.frame.names
        return module

    def near(self, name: str) -> Module | None:
        """The module that ``import name`` finds in this folder, if it is a single file there."""
        if name not in self._read and len(self._read) < MAX_FILES and name.isidentifier():
            self._read[name] = None  # for a file that imports itself in a circle
            self._read[name] = self._load(self._folder / f"{name}.py")
        return self._read.get(name)

    def _load(self, path: Path) -> Module | None:
        try:
            source = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
        return self.read(source, str(path))


def _choose(module: Module, program: str | None) -> StepDef:
    found: dict[str, StepDef] = {
        name: value.ref for name, value in module.names.items() if value.sort == "step" and value.ref.kind == "program"
    }
    own = {name: step for name, step in found.items() if step.place.file == module.file}
    if program is not None:
        for name, step in found.items():
            if program in (name, step.name):
                return step
        raise ProgramError(f"{module.file}: no program {program!r}; {_list(module, own)}")
    if len(own) == 1:
        return next(iter(own.values()))
    raise ProgramError(f"{module.file}: {'several programs' if own else 'no program'}; {_list(module, own)}")


def _list(module: Module, programs: dict[str, StepDef]) -> str:
    if not programs:
        return "put @program above an async function"
    return "choose one of " + ", ".join(f"{module.file}:{name}" for name in programs)


def _template(step: StepDef) -> Template:
    assert step.function is not None
    reader = _reader(step, step.function, known=False)
    node = step.function.node
    start = reader.builder.add("start", "start", step.place)
    reader.frame.front = {start: ("control", "")}
    _read(reader, step.function)
    close(reader, "end", "end", _last(node))
    nodes, edges = reader.builder.finish()
    return Template(step.name, step.place, nodes, edges, _known(step, step.function))


def _known(step: StepDef, function: Function) -> tuple[KnownStep, ...]:
    """The steps that every run makes before its program first waits."""
    reader = _reader(step, function, known=True)
    with suppress(Stop):
        _read(reader, function)
    into: dict[str, list[StepId]] = {}
    for edge in reader.builder.edges.values():
        into.setdefault(edge.target, []).append(StepId(edge.source))
    return tuple(
        KnownStep(StepId(one.id), one.name, cast("StepKind", one.kind), one.place, tuple(into.get(one.id, ())))
        for one in reader.builder.nodes.values()
        if one.kind in STEP_KINDS
    )


def _reader(step: StepDef, function: Function, *, known: bool) -> Reader:
    reader = Reader(function.module, EXPRESSIONS, STATEMENTS, known=known)
    reader.frame = Frame(
        function.module,
        names=parameters(function, (), {}),
        bound=bound_names(function.node),
        body=function.node,
    )
    reader.steps[step.name] = step
    reader.stack.append(function.node)
    return reader


def _read(reader: Reader, function: Function) -> None:
    node = function.node
    if not isinstance(node, ast.Lambda):
        reader.block(node.body)
    if (end := reader.end(PLAIN)) is not None:
        reader.frame.returns.append(end)


def _last(node: ast.AST) -> ast.AST:
    body = getattr(node, "body", None)
    return body[-1] if isinstance(body, list) and body else node
