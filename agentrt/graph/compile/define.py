"""Where steps are defined: decorators, agents and their tools."""

from __future__ import annotations

import ast
from dataclasses import replace

from agentrt.graph.compile.reader import Reader
from agentrt.graph.compile.values import PLAIN, Function, StepDef, Value
from agentrt.types import StepKind

_KINDS: dict[str, StepKind] = {"tool": "tool", "step": "python", "program": "program"}


def maker(reader: Reader, node: ast.Call, word: str, function: Value) -> Value:
    """``tool(name=...)`` gives a decorator, ``tool(function)`` a step."""
    name = _text_argument(node, "name")
    if function.sort == "function":
        return define_step(reader, node, function, word, name)
    return Value("maker", ref=(word, name))


def define_step(reader: Reader, node: ast.AST, function: Value, word: str, name: str | None) -> Value:
    """What the decorator makes of a function."""
    if function.sort != "function":
        return PLAIN
    found: Function = function.ref
    place = replace(reader.place(found.node), file=found.module.file)
    return Value("step", ref=StepDef(name or found.name, _KINDS[word], place, function=found))


def define_agent(reader: Reader, node: ast.Call) -> Value:
    """``Agent("name", ..., tools=[...])``."""
    first = node.args[0] if node.args else None
    name = _text_argument(node, "name") or _constant_text(first)
    tools = read_tools(reader, node)
    text = name or (reader.text(first) if first else "agent")
    kind: StepKind = "agent" if tools else "llm"
    return Value("step", ref=StepDef(text, kind, reader.place(node), tools, dynamic=name is None))


def with_options(reader: Reader, step: StepDef, node: ast.Call) -> StepDef:
    """The step that ``step.with_(...)`` gives: the same one, but perhaps with other tools or another name."""
    if any(one.arg == "tools" for one in node.keywords):
        tools = read_tools(reader, node)
        step = replace(step, tools=tools, kind="agent" if tools else "llm")
    name = _text_argument(node, "name")
    return replace(step, name=name, place=reader.place(node)) if name else step


def read_tools(reader: Reader, node: ast.Call) -> tuple[StepDef, ...]:
    """The tools an agent is given. Raises ``GraphError`` for what is none, and for two of one name."""
    given = next((one.value for one in node.keywords if one.arg == "tools"), None)
    if given is None:
        return ()
    elements = given.elts if isinstance(given, (ast.List, ast.Tuple, ast.Set)) else [given]
    tools: dict[str, StepDef] = {}
    for element in elements:
        for tool in _tools_of(reader, element):
            if tool.name in tools and not tool.dynamic:
                raise reader.error(element, f"two tools of this agent are named {tool.name!r}; give one another name")
            tools[tool.name] = tool
    return tuple(tools.values())


def _tools_of(reader: Reader, element: ast.expr) -> list[StepDef]:
    if isinstance(element, ast.Starred):
        element = element.value
    if isinstance(element, ast.Constant) and isinstance(element.value, str):
        return [_by_name(reader, element, element.value)]
    value = reader.expr(element)
    if value.sort == "items":
        members = value.items if value.items is not None else (value.member,)
        return [_checked(reader, element, one) for one in members]
    return [_checked(reader, element, value)] if not isinstance(element, ast.Constant) else []


def _checked(reader: Reader, element: ast.expr, value: Value) -> StepDef:
    text = reader.text(element)
    if value.sort == "step":
        step: StepDef = value.ref
        if step.kind == "tool":
            return step
        word = {"python": "a @step", "program": "a @program"}.get(step.kind, "an agent")
        raise reader.error(element, f"{text} is {word}, expected a tool: call it from a function with @tool")
    if value.sort == "function":
        raise reader.error(element, f"{text} is a plain function, expected a tool: put @tool above it")
    if isinstance(element, ast.Name) and not _defined(reader, element.id):
        raise reader.error(element, f"unknown tool {text!r}: nothing above defines it; {_offer(reader)}")
    return StepDef(text or "tools", "tool", reader.place(element), dynamic=True)


def _by_name(reader: Reader, element: ast.expr, name: str) -> StepDef:
    for value in (*reader.frame.names.values(), *reader.frame.module.names.values()):
        if value.sort == "step" and value.ref.kind == "tool" and value.ref.name == name:
            step: StepDef = value.ref
            return step
    raise reader.error(element, f"unknown tool {name!r}: no @tool above has this name; {_offer(reader)}")


def _defined(reader: Reader, name: str) -> bool:
    return name in reader.frame.names or name in reader.frame.module.names


def _offer(reader: Reader) -> str:
    values = (*reader.frame.names.values(), *reader.frame.module.names.values())
    names = dict.fromkeys(one.ref.name for one in values if one.sort == "step" and one.ref.kind == "tool")
    return f"known tools: {', '.join(names)}" if names else "define one with @tool"


def _text_argument(node: ast.Call, name: str) -> str | None:
    return next((_constant_text(one.value) for one in node.keywords if one.arg == name), None)


def _constant_text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
