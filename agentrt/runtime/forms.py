"""Answers against a JSON schema, where the program that has the real type is not at hand.

Only what pydantic writes into schemas is looked at, and what is not understood is taken to fit: the program checks
every answer once more, with its own type.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from agentrt.types import JsonSchema

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}
_BOUNDS: Final[tuple[tuple[str, str, Callable[[float, float], bool]], ...]] = (
    ("minimum", "at least {}", operator.ge),
    ("maximum", "at most {}", operator.le),
    ("exclusiveMinimum", "more than {}", operator.gt),
    ("exclusiveMaximum", "less than {}", operator.lt),
)
_SIZES: Final = (
    ("minLength", "maxLength", str, "characters"),
    ("minItems", "maxItems", list, "items"),
)


class Field(NamedTuple):
    """One field of a form. ``hint`` says in a few words what goes there; ``default`` is ``None`` when there is none."""

    name: str
    schema: JsonSchema
    required: bool
    hint: str
    default: Any


def misfits(schema: JsonSchema, value: Any) -> list[str]:
    """What about a JSON value does not fit, each as ``place: what is expected``; nothing when all does."""
    found = _problems(schema, value, "", schema.get("$defs", {}))
    return [f"{place or 'value'}: {problem}" for place, problem in found]


def fields(schema: JsonSchema) -> list[Field]:
    """The fields of a form, in the order of the model; none when the schema is not of an object."""
    defs = schema.get("$defs", {})
    found = _resolved(schema, defs)
    required = found.get("required", ())
    made = []
    for name, each in found.get("properties", {}).items():
        one = {**_resolved(each, defs), "$defs": defs}
        made.append(Field(name, one, name in required, _hint(one), one.get("default")))
    return made


def read_field(schema: JsonSchema, text: str) -> Any:
    """A typed text as a field's value: as it is where a text fits, else as JSON where that can be read."""
    as_text = not misfits(schema, text)
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if as_text and (isinstance(value, str) or misfits(schema, value)) else value


def _problems(schema: JsonSchema, value: Any, place: str, defs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    schema = _resolved(schema, defs)
    ways = schema.get("anyOf") or schema.get("oneOf")
    if ways:
        found = [list(_problems(way, value, place, defs)) for way in ways]
        if all(found):
            yield from min(found, key=len)
        return
    if "enum" in schema or "const" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        if not any(value == one and type(value) is type(one) for one in allowed):
            yield place, f"expected {' or '.join(map(json.dumps, allowed))}"
        return
    if not _is_of(schema.get("type"), value):
        yield place, f"expected {_hint({**schema, '$defs': defs})}, not {_cut(value)}"
        return
    yield from _out_of_bounds(schema, value, place)
    if isinstance(value, dict):
        yield from _in_object(schema, value, place, defs)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(schema.get("items", {}), item, f"{place}[{index}]", defs)


def _in_object(
    schema: JsonSchema, value: dict[str, Any], place: str, defs: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield _under(place, name), "is missing"
    for name, item in value.items():
        if name in known or other not in (True, False):
            yield from _problems(known.get(name, other), item, _under(place, name), defs)
        elif other is False:
            yield _under(place, name), f"is not known; there are: {', '.join(known)}"


def _out_of_bounds(schema: JsonSchema, value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, (int, float)):
        for key, words, fits in _BOUNDS:
            if key in schema and not fits(value, schema[key]):
                yield place, f"expected {words.format(schema[key])}, not {value}"
    for least, most, kind, unit in _SIZES:
        if isinstance(value, kind) and not schema.get(least, 0) <= len(value) <= schema.get(most, len(value)):
            bounds = f"{schema.get(least, 0)} to {schema.get(most, 'any number of')}"
            yield place, f"expected {bounds} {unit}, not {len(value)}"


def _is_of(kind: Any, value: Any) -> bool:
    if kind is None:
        return True
    if isinstance(kind, list):
        return any(_is_of(one, value) for one in kind)
    if isinstance(value, bool):
        return bool(kind == "boolean")
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(kind, (object,)))


def _resolved(schema: Any, defs: Mapping[str, Any]) -> JsonSchema:
    """The schema that a reference stands for; what is said beside it stays."""
    if not isinstance(schema, Mapping):
        return {}
    found: JsonSchema = schema
    while "$ref" in found:
        beside = {key: one for key, one in found.items() if key != "$ref"}
        found = {**defs.get(str(found["$ref"]).rpartition("/")[2], {}), **beside}
    return found


def _hint(schema: JsonSchema, depth: int = 3) -> str:
    """What is expected, in a few words: ``integer``, ``"red" or "blue"``, ``list of string``."""
    defs = schema.get("$defs", {})

    def inner(one: Any) -> str:
        return _hint({**_resolved(one, defs), "$defs": defs}, depth - 1) if depth else "..."

    if "enum" in schema or "const" in schema:
        return " or ".join(map(json.dumps, schema.get("enum", [schema.get("const")])))
    ways = schema.get("anyOf") or schema.get("oneOf")
    if ways:
        return " or ".join(dict.fromkeys(map(inner, ways)))
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {inner(schema.get('items', {}))}"
    if kind == "object":
        return str(schema.get("title", "object")) if "properties" in schema else "object"
    return str(schema.get("format", kind)) if kind == "string" else str(kind)


def _under(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _cut(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}..."
