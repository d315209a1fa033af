"""A small value that fits a JSON schema: what a model without a mind would say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_PLAIN: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "null": None}


def sample(schema: Mapping[str, Any]) -> Any:
    """A value for the schemas that type hints make: objects, lists, enums, unions and references inside them.

    Bounds on lengths, lists and numbers are met; patterns and formats are not.
    """
    return _sample(schema, schema, 0)


def _sample(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf"):
        if options := schema.get(union):
            return _sample(_shallowest(options, depth), root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        return _array(schema, root, depth)
    return _bounded(_PLAIN[kind], schema)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    while isinstance(reference := schema.get("$ref"), str):
        found: Any = root
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _shallowest(options: list[Mapping[str, Any]], depth: int) -> Mapping[str, Any]:
    """The first option; deep inside a recursive schema, one that ends the recursion."""
    ends = [option for option in options if option.get("type") in _PLAIN]
    return ends[-1] if depth > 3 and ends else options[0]


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    wanted = schema.get("required", ())
    properties = schema.get("properties", {})
    return {key: _sample(properties[key], root, depth + 1) for key in properties if key in wanted}


def _array(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> list[Any]:
    if prefix := schema.get("prefixItems"):
        return [_sample(item, root, depth + 1) for item in prefix]
    fewest = schema.get("minItems", 0)
    count = max(fewest, min(2, schema.get("maxItems", 2))) if depth < 4 else fewest
    return [_sample(schema.get("items", {}), root, depth + 1) for _ in range(count)]


def _bounded(value: Any, schema: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        return value.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = max(value, schema.get("minimum", value), schema.get("exclusiveMinimum", value - 1) + 1)
        return min(value, schema.get("maximum", value))
    return value
