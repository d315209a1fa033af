"""Handles inside arguments: found when a step is called, replaced by their values when it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass, replace
from typing import Any, Final, TypeAlias

from agentrt.runtime.handle import Handle

_LEAVES: Final = frozenset({str, int, float, bool, type(None), bytes, complex})
_SAME: Final = object()
_Leaf: TypeAlias = Callable[[Handle[Any]], Any]


def collect(value: Any, found: list[Handle[Any]]) -> Any:
    """Append every handle inside the value to ``found``, in order, and return the value as it is now.

    What holds handles is copied, so that changing a list after the call does not change the call; what holds none is
    returned itself. Raises ``RecursionError`` for a container inside itself.
    """

    def leaf(handle: Handle[Any]) -> Handle[Any]:
        found.append(handle)
        return handle

    return _replaced(value, leaf)


def fill(value: Any) -> Any:
    """The value with every finished handle inside replaced by its result; what holds none is returned itself."""
    return _replaced(value, _result)


def _result(handle: Handle[Any]) -> Any:
    return handle.result()  # holds no handles: those that a step returns are awaited before it ends


def _replaced(value: Any, leaf: _Leaf) -> Any:
    new = _rebuilt(value, leaf)
    return value if new is _SAME else new


def _rebuilt(value: Any, leaf: _Leaf) -> Any:
    """The value with ``leaf`` of each handle in the handle's place, or ``_SAME`` when no handle is inside."""
    kind = type(value)
    if kind in _LEAVES:
        return _SAME
    if isinstance(value, Handle):
        return leaf(value)
    if isinstance(value, dict):
        items = _items(value.values(), leaf)
        return _SAME if items is None else dict(zip(value, items, strict=True))
    if isinstance(value, (list, tuple, set, frozenset)):
        items = _items(value, leaf)
        return _SAME if items is None else getattr(kind, "_make", kind)(items)
    return _rebuilt_object(value, leaf)


def _items(old: Iterable[Any], leaf: _Leaf) -> list[Any] | None:
    kept = list(old)
    new = [_rebuilt(item, leaf) for item in kept]
    if all(item is _SAME for item in new):
        return None
    return [before if after is _SAME else after for before, after in zip(kept, new, strict=True)]


def _rebuilt_object(value: Any, leaf: _Leaf) -> Any:
    new = {name: item for name, old in _fields(value).items() if (item := _rebuilt(old, leaf)) is not _SAME}
    if not new:
        return _SAME
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
