"""Functions of the program's own source: helpers are read in place, programs and agents inside their node."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

from agentrt.graph.compile.build import Link
from agentrt.graph.compile.names import bound_names
from agentrt.graph.compile.reader import MAX_CALLS, MAX_EXPANDED, End, Frame, Reader
from agentrt.graph.compile.values import PLAIN, Function, StepDef, Value, both, items, many, waiting
from agentrt.graph.template import TemplateId, TemplateKind

MAX_STACK = 30


def call_function(
    reader: Reader, function: Function, node: ast.Call, args: Sequence[Value], named: Mapping[str, Value]
) -> Value:
    """Read a helper where it is called; a coroutine's waits stay its own until it is awaited.

    One that calls itself, is nested too deeply, or has nothing to do with steps, is plain Python.
    """
    plain = Value(waits=both(*(one.waits for one in (*args, *named.values()))))
    later = isinstance(function.node, ast.AsyncFunctionDef)
    if not _worth_reading(reader, function) or (later and reader.known):
        return plain
    start, mark = reader.end(), reader.builder.mark()
    if start is None:
        return plain
    reader.calls += 1
    frame = _frame(reader, function, args, named)
    value = _read_body(reader, frame, function, node)
    if reader.builder.idle(mark, start.front):
        value = _forget(reader, frame, start, mark, value)
    if later:
        fresh = tuple(one for one in reader.frame.front or {} if one not in start.front)
        reader.frame.front = start.front
        return Value("task", fresh, result=value)
    return value


def _forget(reader: Reader, frame: Frame, start: End, mark: tuple[int, int], value: Value) -> Value:
    """The helper made no steps: keep only what it waited for."""
    reader.builder.rollback(mark)
    nodes, outer = reader.builder.nodes, reader.frame
    waited = [one for end in frame.returns for one in end.front if one in nodes and one not in start.front]
    outer.names = {name: _existing(one, nodes) for name, one in outer.names.items()}
    if outer.front is not None:
        outer.front = start.front
        reader.wait(waited) if waited else None
    return _existing(value, nodes)


def _existing(value: Value, nodes: Mapping[TemplateId, object]) -> Value:
    kept = tuple(one for one in value.waits if one in nodes)
    return value if kept == value.waits else waiting(value, kept)


def _worth_reading(reader: Reader, function: Function) -> bool:
    deep = len(reader.stack) >= MAX_STACK or reader.calls >= MAX_CALLS or len(reader.builder.nodes) >= MAX_EXPANDED
    return not (reader.silent or deep or function.node in reader.stack)


def _frame(reader: Reader, function: Function, args: Sequence[Value], named: Mapping[str, Value]) -> Frame:
    outer = reader.frame
    bound = bound_names(function.node)
    names = {name: value for name, value in outer.names.items() if function.nested or " " in name}
    names = {name: value for name, value in names.items() if name not in bound}
    names.update(parameters(function, args, named))
    return Frame(
        function.module, outer.parent, outer.depth, outer.block, names, outer.front, bound=bound, body=function.node
    )


def _read_body(reader: Reader, frame: Frame, function: Function, node: ast.AST) -> Value:
    """Read the function in its frame and stand behind it."""
    outer, counts = reader.frame, (reader.jumps, reader.returned)
    reader.frame = frame
    reader.stack.append(function.node)
    try:
        _read_to_end(reader, function)
        value = reader.merge(frame.returns, node)
    finally:
        reader.stack.pop()
        reader.frame = outer
        reader.jumps, reader.returned = counts
    outer.front = frame.front
    own = set(parameters(function, (), {})) | frame.bound
    outer.names.update(
        {name: one for name, one in frame.names.items() if name not in own and (name in outer.names or " " in name)}
    )
    return value


def parameters(function: Function, args: Sequence[Value], named: Mapping[str, Value]) -> dict[str, Value]:
    """The function's parameters, bound to the arguments of a call."""
    spec = function.node.args
    positional = [one.arg for one in (*spec.posonlyargs, *spec.args)]
    found = {one.arg: PLAIN for one in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)}
    found.update(zip(positional, args, strict=False))
    found.update({name: value for name, value in named.items() if name in found})
    if spec.vararg:
        found[spec.vararg.arg] = items(args[len(positional) :])
    if spec.kwarg:
        found[spec.kwarg.arg] = many(PLAIN, both(*(value.waits for name, value in named.items() if name not in found)))
    return found


def expand(
    reader: Reader,
    step: StepDef,
    node: TemplateId,
    call: ast.Call,
    args: Sequence[Value],
    named: Mapping[str, Value],
) -> Value:
    """The inside of a step: an agent's turns and tools, or the steps that a program or a step's own code calls."""
    if step.kind == "agent":
        return Value("handle", (_agent(reader, step, node, call),))
    if step.function is None or not _worth_reading(reader, step.function):
        return Value("handle", (node,))
    mark = reader.builder.mark()
    last = _program(reader, step.function, node, call, args, named)
    if any(one.is_step for one in reader.builder.since(mark)):
        return Value("handle", (last,))
    reader.builder.rollback(mark)
    return Value("handle", (node,))


def _agent(reader: Reader, step: StepDef, node: TemplateId, call: ast.Call) -> TemplateId:
    """The loop of an agent: a model turn, the tools it asked for side by side, the next turn."""
    builder, place = reader.builder, reader.place(call)
    turn = builder.add("llm", f"{step.name}.turn", place, [Link(node, "body")], parent=node)
    for tool in step.tools:
        called = builder.add("tool", tool.name, place, [Link(turn, "then")], parent=node)
        builder.back(called, node, reader.frame.depth + 1)
    return turn


def _program(
    reader: Reader,
    function: Function,
    node: TemplateId,
    call: ast.Call,
    args: Sequence[Value],
    named: Mapping[str, Value],
) -> TemplateId:
    outer, start = reader.frame, reader.frame.front
    frame = Frame(
        function.module,
        node,
        outer.depth,
        names=parameters(function, args, named),
        front={node: ("body", "")},
        bound=bound_names(function.node),
        body=function.node,
    )
    catchers, reader.catchers = reader.catchers, []
    counts = (reader.jumps, reader.returned)
    reader.frame = frame
    reader.stack.append(function.node)
    try:
        _read_to_end(reader, function)
        return close(reader, "join", function.name, call)
    finally:
        reader.frame, reader.catchers = outer, catchers
        reader.jumps, reader.returned = counts
        outer.front = start
        reader.stack.pop()


def _read_to_end(reader: Reader, function: Function) -> None:
    if isinstance(function.node, ast.Lambda):
        value = reader.expr(function.node.body)
    else:
        reader.block(function.node.body)
        value = PLAIN
    if (end := reader.end(value)) is not None:
        reader.frame.returns.append(end)


def close(reader: Reader, kind: TemplateKind, name: str, node: ast.AST) -> TemplateId:
    """The node in which every way out of the program ends, with what it returns."""
    frame, builder, place = reader.frame, reader.builder, reader.place(node)
    ways = [
        [*(Link(one, *way) for one, way in end.front.items()), *(Link(one, "data") for one in end.value.waits)]
        for end in frame.returns
    ]
    if len(ways) == 1:
        return builder.add(kind, name, place, ways[0], parent=frame.parent)
    into = [
        way[0] if len(way) == 1 else Link(builder.add("join", "all", place, way, parent=frame.parent), "control")
        for way in ways
    ]
    return builder.add(kind, name, place, into, join="any", parent=frame.parent)
