"""How statements read: where the program goes, and what it waits for on the way."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final

from agentrt.graph.compile.build import Front, Link
from agentrt.graph.compile.define import define_step
from agentrt.graph.compile.expr import look_up
from agentrt.graph.compile.loop import read_loop
from agentrt.graph.compile.members import absorb, bind, each_member, refuse
from agentrt.graph.compile.names import assigned_names
from agentrt.graph.compile.reader import End, Reader, Stop
from agentrt.graph.compile.values import PLAIN, Function, Namespace, Value, choose, items

_OWN: Final = ("Agent", "each", "program", "step", "tool")


def read_assign(reader: Reader, node: ast.Assign) -> None:
    """``a = b = value``."""
    value = reader.expr(node.value)
    for target in node.targets:
        bind(reader, target, value)


def read_annotated(reader: Reader, node: ast.AnnAssign) -> None:
    """``a: T = value``."""
    if node.value is not None:
        bind(reader, node.target, reader.expr(node.value))


def read_augmented(reader: Reader, node: ast.AugAssign) -> None:
    """``a += value``; a container takes members, all else needs values."""
    value = reader.expr(node.value)
    old = look_up(reader, node.target.id) if isinstance(node.target, ast.Name) else None
    refuse(reader, value, node.value, "an operator")
    if old is not None:
        refuse(reader, old, node.target, "an operator")
    members = value.items if value.items is not None else (value.member,)
    for member in members if value.sort == "items" else (value,):
        absorb(reader, node.target, member)


def read_expression(reader: Reader, node: ast.Expr) -> None:
    """An expression on its own."""
    reader.expr(node.value)


def read_if(reader: Reader, node: ast.If) -> None:
    """``if``, with its ``elif`` and ``else``."""
    refuse(reader, reader.expr(node.test), node.test, "a condition")
    ways: list[Any] = [
        ("then", "", lambda: _block(reader, node.body)),
        ("else", "", lambda: _block(reader, node.orelse)),
    ]
    reader.branch(node, reader.text(node.test), ways)


def _block(reader: Reader, body: list[ast.stmt]) -> Value:
    reader.block(body)
    return PLAIN


def read_for(reader: Reader, node: ast.For | ast.AsyncFor) -> None:
    """``for`` and ``async for``."""
    value = reader.expr(node.iter)

    def inner() -> Value:
        reader.block(node.body)
        return items(())

    waits = isinstance(node, ast.AsyncFor)
    each_member(reader, node, node.iter, value, node.target, inner, waits=waits, orelse=node.orelse)


def read_while(reader: Reader, node: ast.While) -> None:
    """``while``; one whose test is a true constant is left by ``break`` only."""
    endless = isinstance(node.test, ast.Constant) and bool(node.test.value)

    def body() -> tuple[End | None, Value]:
        refuse(reader, reader.expr(node.test), node.test, "a condition")
        out = None if endless else reader.end()
        reader.block(node.body)
        return out, PLAIN

    read_loop(reader, node, f"while {reader.text(node.test)}", body, orelse=node.orelse)


# -- leaving -------------------------------------------------------------------------------------------------


def read_return(reader: Reader, node: ast.Return) -> None:
    """``return``: one more way out."""
    value = reader.expr(node.value)
    if (end := reader.end(value)) is not None:
        reader.frame.returns.append(end)
        reader.returned += 1
        reader.leave()


def read_raise(reader: Reader, node: ast.Raise) -> None:
    """``raise``: on to the handler around it, or out of the program."""
    reader.expr(node.exc)
    if reader.catchers:
        reader.catchers[-1].extend(reader.frame.front or {})
        reader.leave()
    reader.frame.front = None


def read_break(reader: Reader, node: ast.Break) -> None:
    """``break``: behind the loop."""
    _jump(reader, reader.frame.breaks)


def read_continue(reader: Reader, node: ast.Continue) -> None:
    """``continue``: to the loop's next round."""
    _jump(reader, reader.frame.continues)


def _jump(reader: Reader, loops: list[list[End]]) -> None:
    if (end := reader.end()) is not None and loops:
        loops[-1].append(end)
    reader.leave()


# -- try -----------------------------------------------------------------------------------------------------


def read_try(reader: Reader, node: ast.Try | ast.TryStar) -> None:
    """``try``: its handlers start where something in the body was awaited, or where the body started."""
    start = reader.end()
    if start is None:
        return
    reader.catchers.append([])
    try:
        reader.block(node.body)
    finally:
        caught = reader.catchers.pop()
    if reader.known and node.handlers and reader.frame.front is None:
        raise Stop
    names = _maybe(reader, start, node)
    reader.block(node.orelse)
    ends = [reader.end()]
    if not reader.known and node.handlers:
        front = _raised(reader, node, start, caught)
        ends += [_handle(reader, handler, front, names) for handler in node.handlers]
    if any(ends):
        reader.merge(ends, node)
    if node.finalbody:
        _read_finally(reader, node, caught, start)


def _read_finally(reader: Reader, node: ast.Try | ast.TryStar, caught: list[Any], start: End) -> None:
    """``finally`` runs behind every end; when all of them leave, behind what was awaited last."""
    gone = reader.frame.front is None
    if gone:
        returns = reader.frame.returns[-1:]
        reader.frame.front = returns[0].front if returns else _raised(reader, node, start, caught)
    reader.block(node.finalbody)
    if gone:
        reader.frame.front = None


def _maybe(reader: Reader, start: End, node: ast.Try | ast.TryStar) -> dict[str, Value]:
    """The names as a handler finds them: as before the body, or as anything in it left them."""
    after = reader.frame.names
    names = dict.fromkeys(assigned_names(node.body), PLAIN)
    for name in {**start.names, **after}:
        names[name] = choose(one[name] for one in (start.names, after) if name in one)
    return names


def _raised(reader: Reader, node: ast.AST, start: End, caught: list[Any]) -> Front:
    sources = [one for one in dict.fromkeys(caught) if one in reader.builder.nodes]
    if not sources:
        return dict.fromkeys(start.front, ("except", ""))
    if len(sources) == 1:
        return {sources[0]: ("except", "")}
    into = [Link(one, "except") for one in sources]
    join = reader.builder.add("join", "any", reader.place(node), into, join="any", parent=reader.frame.parent)
    return {join: ("except", "")}


def _handle(reader: Reader, node: ast.ExceptHandler, front: Front, names: dict[str, Value]) -> End | None:
    label = reader.text(node.type) if node.type else ""
    reader.frame.front = {one: (way[0], label) for one, way in front.items()}
    reader.frame.names = dict(names)
    if node.name:
        reader.frame.names[node.name] = PLAIN
    reader.block(node.body)
    return reader.end()


# -- with, match ---------------------------------------------------------------------------------------------


def read_with(reader: Reader, node: ast.With | ast.AsyncWith) -> None:
    """``with``; the end of a task group waits for its tasks."""
    groups = []
    for item in node.items:
        value = reader.expr(item.context_expr)
        if value.sort == "foreign" and value.ref.startswith("group "):
            groups.append(value.ref)
        if item.optional_vars is not None:
            bind(reader, item.optional_vars, value)
    reader.block(node.body)
    for group in groups:
        waits = reader.frame.names.get(group, PLAIN).waits
        if reader.frame.front is not None and (waits or reader.known):
            reader.wait(waits)


def read_match(reader: Reader, node: ast.Match) -> None:
    """``match``: a way for each case, and one past them all unless the last takes everything."""
    value = reader.expr(node.subject)
    refuse(reader, value, node.subject, "match")
    ways: list[Any] = [("case", reader.text(case.pattern), _case(reader, case, value)) for case in node.cases]
    if not any(_takes_all(case) for case in node.cases):
        ways.append(("else", "", lambda: PLAIN))
    reader.branch(node, f"match {reader.text(node.subject)}", ways)


def _case(reader: Reader, case: ast.match_case, value: Value) -> Callable[[], Value]:
    def read() -> Value:
        for name in assigned_names([case.pattern]):
            reader.frame.names[name] = Value(waits=value.waits)
        reader.expr(case.guard)
        return _block(reader, case.body)

    return read


def _takes_all(case: ast.match_case) -> bool:
    return isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None


# -- definitions ---------------------------------------------------------------------------------------------


def read_function(reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """``def``: a helper, or a step when a decorator makes it one."""
    nested = reader.frame.body is not None
    value = Value("function", ref=Function(node, reader.frame.module, nested))
    for decorator in reversed(node.decorator_list):
        value = _decorated(reader, decorator, value)
    old = reader.frame.names.get(node.name)
    if value.sort == "step" and old is not None and old.sort == "step" and id(node) in reader.frame.module.top:
        raise reader.error(
            node,
            f"{node.name!r} is defined twice, at {old.ref.place} and here; give one of them another name",
        )
    reader.frame.names[node.name] = value


def _decorated(reader: Reader, decorator: ast.expr, value: Value) -> Value:
    found = reader.expr(decorator)
    if found.sort == "maker":
        return define_step(reader, decorator, value, *found.ref)
    root, _, word = str(found.ref).rpartition(".") if found.sort == "foreign" else ("", "", "")
    if root.split(".")[0] == "agentrt" and word in ("tool", "step", "program"):
        return define_step(reader, decorator, value, word, None)
    return value


def read_class(reader: Reader, node: ast.ClassDef) -> None:
    """``class``: a namespace, for the steps that may stand in it."""
    outer = dict(reader.frame.names)
    reader.block(node.body)
    inner = {name: value for name, value in reader.frame.names.items() if outer.get(name) is not value}
    reader.frame.names = {**outer, node.name: Value("module", ref=Namespace(inner))}


def read_import(reader: Reader, node: ast.Import) -> None:
    """``import``: a file beside this one, or a library."""
    for one in node.names:
        module = reader.frame.module.near(one.name)
        root = one.name.split(".")[0]
        found = Value("foreign", ref=one.name if one.asname else root)
        if module is not None:
            found = Value("module", ref=Namespace(module.names))
        reader.frame.names[one.asname or root] = found


def read_from(reader: Reader, node: ast.ImportFrom) -> None:
    """``from ... import``: names of a file beside this one, or of a library."""
    source = node.module or ""
    module = reader.frame.module.near(source) if source and node.level < 2 else None
    for one in node.names:
        if one.name == "*":
            reader.frame.names.update(module.names if module else _star(source))
        else:
            reader.frame.names[one.asname or one.name] = _imported(reader, node, module, one.name)


def _imported(reader: Reader, node: ast.ImportFrom, module: Any, name: str) -> Value:
    if module is not None:
        found: Value = Namespace(module.names).get(name)
        return found
    beside = reader.frame.module.near(name) if node.level == 1 and not node.module else None
    if beside is not None:
        return Value("module", ref=Namespace(beside.names))
    return Value("foreign", ref=f"{'.' * node.level}{node.module or ''}.{name}")


def _star(source: str) -> dict[str, Value]:
    return {name: Value("foreign", ref=f"{source}.{name}") for name in _OWN} if source == "agentrt" else {}


def read_delete(reader: Reader, node: ast.Delete) -> None:
    """``del``: the name is no more."""
    for target in node.targets:
        if isinstance(target, ast.Name):
            reader.frame.names.pop(target.id, None)


def read_assert(reader: Reader, node: ast.Assert) -> None:
    """``assert`` needs a value."""
    refuse(reader, reader.expr(node.test), node.test, "assert")


def read_nothing(reader: Reader, node: ast.stmt) -> None:
    """Statements that say nothing about steps, though they may bind a name, like ``type`` of later Pythons."""
    reader.frame.names.update(dict.fromkeys(assigned_names([node]), PLAIN))


STATEMENTS: Final[dict[type, Callable[[Reader, Any], None]]] = {
    ast.Assign: read_assign,
    ast.AnnAssign: read_annotated,
    ast.AugAssign: read_augmented,
    ast.Expr: read_expression,
    ast.If: read_if,
    ast.For: read_for,
    ast.AsyncFor: read_for,
    ast.While: read_while,
    ast.Return: read_return,
    ast.Raise: read_raise,
    ast.Break: read_break,
    ast.Continue: read_continue,
    ast.Try: read_try,
    ast.TryStar: read_try,
    ast.With: read_with,
    ast.AsyncWith: read_with,
    ast.Match: read_match,
    ast.FunctionDef: read_function,
    ast.AsyncFunctionDef: read_function,
    ast.ClassDef: read_class,
    ast.Import: read_import,
    ast.ImportFrom: read_from,
    ast.Delete: read_delete,
    ast.Assert: read_assert,
    ast.stmt: read_nothing,
}
