"""Handles inside arguments: found when a step is called, replaced by their values when it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from agentrt.runtime.handle import Handle

_LEAVES = frozenset({str, int, float, bool, type(None), bytes, complex})


def find(value: Any, found: list[Handle[Any]]) -> None:
    """Append every handle inside the value to ``found``, in order. ``RecursionError`` for a container inside itself."""
    if type(value) in _LEAVES:
        return
    if isinstance(value, Handle):
        found.append(value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            find(item, found)
    elif isinstance(value, dict):
        for item in value.values():
            find(item, found)
    else:
        for item in _fields(value).values():
            find(item, found)


def fill(value: Any) -> Any:
    """The value with every finished handle inside replaced by its result; what holds none is returned as it is."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, Handle):
        return fill(value.result())
    if isinstance(value, dict):
        return _changed(value, {key: fill(item) for key, item in value.items()})
    if isinstance(value, (list, set, frozenset)):
        return _fill_items(value, type(value))
    if isinstance(value, tuple):
        return _fill_items(value, type(value)._make if hasattr(value, "_make") else type(value))
    return _fill_object(value)


def _fill_items(value: Any, make: Callable[[list[Any]], Any]) -> Any:
    old = list(value)
    new = [fill(item) for item in old]
    return value if all(a is b for a, b in zip(old, new, strict=True)) else make(new)


def _changed(old: dict[Any, Any], new: dict[Any, Any]) -> dict[Any, Any]:
    return old if all(item is new[key] for key, item in old.items()) else new


def _fill_object(value: Any) -> Any:
    old = _fields(value)
    new = {name: filled for name, item in old.items() if (filled := fill(item)) is not item}
    if not new:
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **new)
    return value.model_copy(update=new)


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass or a pydantic model (known by its shape, so that this module need not import it)."""
    if isinstance(value, type):
        return {}
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    names = getattr(type(value), "__pydantic_fields__", None)
    return {name: getattr(value, name) for name in names} if names else {}
