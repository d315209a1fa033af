"""How calls read: steps, agents and programs, helper functions, and the library functions that matter to steps."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from agentrt.graph.compile.build import Link
from agentrt.graph.compile.define import define_agent, define_step, maker
from agentrt.graph.compile.inline import call_function
from agentrt.graph.compile.members import each_member, refuse
from agentrt.graph.compile.methods import METHODS
from agentrt.graph.compile.reader import Reader
from agentrt.graph.compile.steps import Arguments, call_step, controls, turn
from agentrt.graph.compile.unbound import check_bound
from agentrt.graph.compile.values import PLAIN, StepDef, Value, both, choose, items, many

QUESTIONS: Final = frozenset({"approve", "ask", "choose", "fill"})
"""The functions of agentrt that ask a person; any number of calls share their names."""


def read_call(reader: Reader, node: ast.Call) -> Value:
    """A call: the function first, then the arguments, then what the call does."""
    base = reader.expr(node.func.value) if isinstance(node.func, ast.Attribute) else None
    function = reader.expr(node.func) if base is None or base.sort in ("foreign", "module") else PLAIN
    seen = len(reader.unbound)
    call = _arguments(reader, node)
    if base is not None and isinstance(node.func, ast.Attribute):
        method = METHODS.get(base.sort)
        found = method(reader, base, node.func.attr, call) if method else None
        if found is not None:
            check_bound(reader, node, seen, found)
            return found
        function = function if base.sort in ("foreign", "module") else Value(waits=base.waits)
    found = call_value(reader, function, call)
    check_bound(reader, node, seen, function)
    return found


def _arguments(reader: Reader, node: ast.Call) -> Arguments:
    args: list[Value] = []
    for one in node.args:
        value = reader.expr(one.value if isinstance(one, ast.Starred) else one)
        if not isinstance(one, ast.Starred):
            args.append(value)
        elif value.items is not None:
            args.extend(value.items)
        else:
            args.append(many(value.member, value.waits))
    named = {one.arg or f"**{index}": reader.expr(one.value) for index, one in enumerate(node.keywords)}
    return Arguments(node, tuple(args), named)


def call_value(reader: Reader, function: Value, call: Arguments) -> Value:
    """Call whatever the function is."""
    if function.sort == "step":
        return call_step(reader, function.ref, call, controls(function))
    if function.sort == "session":
        return turn(reader, function, call)
    if function.sort == "function":
        return call_function(reader, function.ref, call.node, call.args, call.named)
    if function.sort == "maker":
        return define_step(reader, call.node, call.first(), *function.ref)
    if function.sort == "choice":
        return _any_of(reader, function, call)
    if function.sort == "foreign":
        return _call_foreign(reader, function.ref, call)
    return Value(waits=both(function.waits, call.waits))


def _any_of(reader: Reader, function: Value, call: Arguments) -> Value:
    ways: list[Any] = [("case", _title(one), _lazily(reader, one, call)) for one in dict.fromkeys(function.items or ())]
    return reader.branch(call.node, reader.text(call.node.func), ways)


def _title(value: Value) -> str:
    return getattr(value.ref, "name", "") or (value.ref[1].name if value.sort == "session" else "")


def _lazily(reader: Reader, function: Value, call: Arguments) -> Callable[[], Value]:
    return lambda: call_value(reader, function, call)


# -- library functions ---------------------------------------------------------------------------------------


def _call_foreign(reader: Reader, name: str, call: Arguments) -> Value:
    root, _, last = name.rpartition(".")
    if root.split(".")[0] == "agentrt":
        return _call_own(reader, last, call)
    special = _FOREIGN.get(name)
    if special is not None:
        return special(reader, call)
    if name in _NEED_VALUE:
        for argument, value in zip(call.node.args, call.args, strict=False):
            refuse(reader, value, argument, f"{last}()")
    if name in _SAME_MEMBERS and call.first().sort == "items":
        return replace(call.first(), ref=None)
    return Value(waits=call.waits)


def _call_own(reader: Reader, name: str, call: Arguments) -> Value:
    if name in ("tool", "step", "program"):
        return maker(reader, call.node, name, call.first("function"))
    if name == "Agent":
        return define_agent(reader, call.node)
    if name in QUESTIONS:
        return call_step(reader, StepDef(name, "question", reader.place(call.node), dynamic=True), call)
    if name == "each":
        return PLAIN if reader.known else _each(reader, call)  # it starts when it is waited for
    return Value(waits=call.waits)


def _map(reader: Reader, call: Arguments) -> Value:
    """``map(step, items)``: a loop over the step."""
    return _over(reader, call, lambda made: made)


def _each(reader: Reader, call: Arguments) -> Value:
    """``each(step, items)``: a loop over the step that waits for earlier values before it calls for later ones."""

    def awaited(made: Value) -> Value:
        reader.wait(made.waits)
        return made.settled

    return _over(reader, call, awaited)


def _over(reader: Reader, call: Arguments, then: Callable[[Value], Value]) -> Value:
    if len(call.args) < 2 or call.args[0].sort not in ("step", "session", "function", "choice"):
        return Value(waits=call.waits)
    function, source = call.args[0], call.args[1]

    def inner() -> Value:
        one = Arguments(call.node, (source.member,), {})
        return items((then(call_value(reader, function, one)),))

    return each_member(reader, call.node, call.node.args[-1], source, None, inner)


def _gather(reader: Reader, call: Arguments) -> Value:
    positional = replace(items(call.args), ref=None)
    wide = any(isinstance(one, ast.Starred) for one in call.node.args) and any(v.sort == "items" for v in call.args)
    result = many(choose(one.member.settled if one.sort == "items" else one.settled for one in call.args), ())
    return Value("task", positional.waits, result=result if wide else positional.settled)


def _wait(reader: Reader, call: Arguments) -> Value:
    """``asyncio.wait``: for all, or with FIRST_COMPLETED for any one."""
    when = next((one.value for one in call.node.keywords if one.arg == "return_when"), None)
    if when is not None and reader.text(when).rpartition(".")[2].strip("'\"") == "FIRST_COMPLETED":
        return Value("task", _race(reader, call))
    return Value("task", call.waits)


def _as_completed(reader: Reader, call: Arguments) -> Value:
    return many(Value("task", _race(reader, call)))


def _race(reader: Reader, call: Arguments) -> tuple[Any, ...]:
    waits = call.waits
    if len(waits) < 2 or reader.known:
        return waits
    into = [Link(one, "data") for one in waits]
    builder, place = reader.builder, reader.place(call.node)
    return (builder.add("join", "first", place, into, join="any", parent=reader.frame.parent),)


def _awaitable(reader: Reader, call: Arguments) -> Value:
    first = call.first()
    return first if first.waits or first.sort in ("handle", "task") else Value("task", call.waits)


def _group(reader: Reader, call: Arguments) -> Value:
    key = f"group {call.node.lineno}:{call.node.col_offset}"
    reader.frame.names[key] = PLAIN
    return Value("foreign", ref=key)


def _partial(reader: Reader, call: Arguments) -> Value:
    first = call.first()
    return first if first.sort in ("step", "function", "session", "choice") else Value(waits=call.waits)


def _range(reader: Reader, call: Arguments) -> Value:
    for argument, value in zip(call.node.args, call.args, strict=True):
        refuse(reader, value, argument, "range()")
    numbers = [_number(one) for one in call.node.args]
    if not numbers or len(numbers) > 3 or None in numbers or (len(numbers) == 3 and numbers[2] == 0):
        return PLAIN
    length = len(range(*(one for one in numbers if one is not None)))
    return items([PLAIN] * length) if length <= 1_000 else PLAIN


def _number(node: ast.expr) -> int | None:
    sign = -1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else 1
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    if isinstance(inner, ast.Constant) and type(inner.value) is int and abs(inner.value) < 10**9:
        return sign * inner.value
    return None


def _enumerate(reader: Reader, call: Arguments) -> Value:
    _refuse_all(reader, call, "enumerate()")
    source = call.first("iterable")
    if source.items is not None and not isinstance(source.ref, tuple):
        return items(items((PLAIN, one)) for one in source.items)
    return many(items((PLAIN, source.member)), source.waits)


def _zip(reader: Reader, call: Arguments) -> Value:
    _refuse_all(reader, call, "zip()")
    if call.args and all(one.items is not None and not isinstance(one.ref, tuple) for one in call.args):
        return items(items(row) for row in zip(*(one.items or () for one in call.args), strict=False))
    return many(items(one.member for one in call.args), call.waits)


def _refuse_all(reader: Reader, call: Arguments, use: str) -> None:
    for argument, value in zip(call.node.args, call.args, strict=False):
        if not isinstance(argument, ast.Starred):
            refuse(reader, value, argument, use)


_NEED_VALUE: Final = frozenset(
    f"builtins.{name}"
    for name in ("len", "int", "float", "str", "list", "tuple", "set", "sum", "sorted", "iter", "reversed")
)
_SAME_MEMBERS: Final = frozenset(
    f"builtins.{name}" for name in ("list", "tuple", "set", "sorted", "reversed", "iter", "frozenset")
) | {"asyncio.sleep"}
_FOREIGN: Final[dict[str, Callable[[Reader, Arguments], Value]]] = {
    "asyncio.gather": _gather,
    "asyncio.wait": _wait,
    "asyncio.as_completed": _as_completed,
    "asyncio.wait_for": _awaitable,
    "asyncio.shield": _awaitable,
    "asyncio.create_task": _awaitable,
    "asyncio.ensure_future": _awaitable,
    "asyncio.TaskGroup": _group,
    "functools.partial": _partial,
    "builtins.map": _map,
    "builtins.range": _range,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
}
