"""Ground truth as a model would say it: what must score 100%, and with one thing wrong 0%. Pure."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from agentrt.types import ModelReply, ToolCall, Usage

Calls: TypeAlias = "tuple[Made, ...]"
"""The calls of one reply."""

Functions: TypeAlias = "Sequence[Mapping[str, Any]]"
"""Functions as documented."""

Write: TypeAlias = "Callable[[Any, Mapping[str, Any]], Any]"
"""Writes a value as a parameter of that type."""

_ALWAYS: Final = frozenset(
    {
        "simple_java_36",
        "simple_java_64",
        "simple_java_65",
        "live_simple_106-63-0",
        "live_simple_112-68-0",
        "live_multiple_862-181-3",
        "live_multiple_964-207-0",
    }
)
UNACCEPTED: Final[Mapping[str, frozenset[str]]] = {"fc": _ALWAYS, "prompting": _ALWAYS | {"simple_javascript_5"}}
"""Entries whose own ground truth the official checker does not accept, by the kind of model: ``docs/results/bfcl.md``
has its words."""

_NONE: Final = ""
"""How the answers say that a parameter may be left out."""


class Made(NamedTuple):
    """One call."""

    name: str
    arguments: Mapping[str, Any]


def script(category: str, truth: Mapping[str, Any], *, drop: bool = False) -> tuple[Calls, ...]:
    """The replies to an entry, one after another; one without calls ends a turn of the user's.

    ``truth`` is what the worker's ``truths`` has of the entry. With ``drop`` one thing is wrong: a call is missing, or
    where there is one call an argument is another, or where none is wanted one is made.
    """
    functions = truth["functions"]
    if "relevance" in category:  # irrelevance too
        wanted = (Made(functions[0]["name"] if functions else "function", {}),)
        return (wanted,) if ("irrelevance" in category) == drop else ((),)
    if category.startswith("multi_turn"):
        return tuple(_conversation(truth["truth"], functions, drop=drop))
    write = _WRITERS.get(category, _plain)
    calls = [_answer(one, functions) for one in truth["truth"]]
    if drop:
        calls = calls[:-1] if len(calls) > 1 else [_spoilt(calls[0], truth["truth"][0])]
    return (tuple(_written(one, functions, write) for one in calls),)


def _conversation(turns: Sequence[Sequence[str]], functions: Functions, *, drop: bool) -> Iterator[Calls]:
    """For each turn its calls in one reply, and one without; the first turn that has calls lacks its first one."""
    for turn in turns:
        calls = tuple(_parsed(one, functions) for one in turn)
        if drop and calls:
            calls, drop = calls[1:], False
        if calls:
            yield calls
        yield ()


def _parsed(call: str, functions: Functions) -> Made:
    """``f(1, b=2)`` with the names that its arguments have in the function's documentation."""
    node = ast.parse(call.strip(), mode="eval").body
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise ValueError(f"ground truth {call!r}: expected one call of a function")
    name = node.func.id
    names = next((list(one["parameters"]["properties"]) for one in functions if one["name"] == name), [])
    given = {key: ast.literal_eval(value) for key, value in zip(names, node.args, strict=False)}
    given |= {str(one.arg): ast.literal_eval(one.value) for one in node.keywords}
    return Made(name, given)


def _answer(possible: Mapping[str, Any], functions: Functions) -> Made:
    """A call with the first possible value of each parameter that has one; what may be left out and is not documented
    is."""
    ((name, parameters),) = possible.items()
    documented = _documented(name, functions)
    given = {}
    for key, options in parameters.items():
        if _NONE in options and key not in documented["properties"]:
            continue
        found = [one for one in options if one != _NONE]
        if not found and key in documented.get("required", ()):
            found = list(options)
        if found:
            given[key] = _chosen(found[0])
    return Made(name, given)


def _documented(name: str, functions: Functions) -> Mapping[str, Any]:
    """The parameters of a function."""
    parameters: Mapping[str, Any] = next((one for one in functions if one["name"] == name), functions[0])["parameters"]
    return parameters


def _written(made: Made, functions: Functions, write: Write) -> Made:
    """The call with its values as the category wants them."""
    types = _documented(made.name, functions)["properties"]
    return Made(made.name, {key: write(value, types.get(key, {})) for key, value in made.arguments.items()})


def _chosen(option: Any) -> Any:
    """A possible value as a value: inside of it, too, each entry of a dictionary has possible values."""
    if isinstance(option, Mapping):
        chosen = {}
        for key, options in option.items():
            found = [one for one in options if one != _NONE] if isinstance(options, list) else [options]
            if found:
                chosen[key] = _chosen(found[0])
        return chosen
    if isinstance(option, list):
        return [_chosen(one) if isinstance(one, Mapping) else one for one in option]
    return option


def _spoilt(made: Made, possible: Mapping[str, Any]) -> Made:
    """The call with another value of its first parameter, none of those that are possible; without any, of another
    name."""
    ((_, parameters),) = possible.items()
    if not made.arguments:
        return Made(f"{made.name}_2", {})
    key = next(iter(made.arguments))
    return Made(made.name, {**made.arguments, key: _other(made.arguments[key], parameters[key])})


def _other(value: Any, options: Sequence[Any]) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value if (not value) not in options else None
    if isinstance(value, (int, float)):
        return value + 1_000_003
    if isinstance(value, list):
        return [*value, *(value[:1] or ["other"])]
    if isinstance(value, Mapping):
        return {**value, "other": "other"}
    return f"{value} other"


# -- values as code, where a model has to write them so --------------------------------------------------------------


def _plain(value: Any, _: Mapping[str, Any]) -> Any:
    return value


def _java(value: Any, parameter: Mapping[str, Any]) -> str:
    """A value as Java, as far as the official converter reads it."""
    kind, inner = parameter.get("type"), parameter.get("items", {}).get("type", "any")
    if isinstance(value, str):
        return value
    if kind == "ArrayList":
        return (
            f"new ArrayList<>(Arrays.asList({', '.join(_java_item(one, inner) for one in value)}))"
            if value
            else ("new ArrayList<>()")
        )
    if kind == "Array":
        return (
            f"new {inner}[]{{{', '.join(str(one) if inner == 'String' else _java_item(one, inner) for one in value)}}}"
        )
    if kind == "HashMap":
        puts = " ".join(f"put({json.dumps(key)}, {_java_item(one, 'any')});" for key, one in value.items())
        return f"new HashMap<String, Object>() {{{{ {puts} }}}}"
    return _java_item(value, str(kind))


def _java_item(value: Any, kind: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return f"{value}{'L' if kind == 'long' else 'f' if kind == 'float' else ''}"


def _javascript(value: Any, parameter: Mapping[str, Any]) -> str:
    """A value as JavaScript, as far as the official converter reads it."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) + ("n" if parameter.get("type") == "Bigint" else "")


_WRITERS: Final[Mapping[str, Write]] = {
    "simple_java": _java,
    "simple_javascript": _javascript,
}


# -- as replies ------------------------------------------------------------------------------------------------------


def spoken(calls: Calls, kind: str, number: int) -> ModelReply:
    """The reply that makes these calls: as tool calls, or in words as prompted models are told to."""
    usage = Usage()
    if not calls:
        return ModelReply("There is nothing more to call.", usage=usage)
    if kind == "prompting":
        made = [f"{one.name}({', '.join(f'{key}={value!r}' for key, value in one.arguments.items())})" for one in calls]
        return ModelReply(f"[{', '.join(made)}]", usage=usage)
    wire = tuple(
        ToolCall(f"truth_{number}_{place}", one.name.replace(".", "_"), json.dumps(one.arguments, ensure_ascii=False))
        for place, one in enumerate(calls)
    )
    return ModelReply("", wire, "tool_calls", usage)
