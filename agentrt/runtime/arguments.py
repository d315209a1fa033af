"""Handles inside arguments: found when a step is called, replaced by their values when it starts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from copy import copy
from dataclasses import fields, is_dataclass
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


def exchanged(value: Any, new: Callable[[Handle[Any]], Any]) -> Any:
    """The value with ``new`` of each handle inside in its place; what holds none is returned itself."""
    return _replaced(value, new)


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
        return _rebuilt_dict(value, leaf)
    if isinstance(value, (list, tuple, set, frozenset)):
        items = _items(value, leaf)
        return _SAME if items is None else container(value, items)
    return _rebuilt_object(value, leaf)


def _rebuilt_dict(value: dict[Any, Any], leaf: _Leaf) -> Any:
    keys, items = _items(value, leaf), _items(value.values(), leaf)
    if keys is None and items is None:
        return _SAME
    return mapping(value, zip(keys or value, items or value.values(), strict=True))


def mapping(value: dict[Any, Any], items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict of the same kind that holds these items."""
    new: dict[Any, Any] = {} if type(value) is dict else _emptied(value)
    new.update(items)
    return new


def container(value: Any, items: list[Any]) -> Any:
    """A container of the same kind that holds these items."""
    if isinstance(value, list) and type(value) is not list:
        new = _emptied(value)
        new.extend(items)
        return new
    return getattr(type(value), "_make", type(value))(items)


def _emptied(value: Any) -> Any:
    """A copy without items: what else a subclass keeps, a default for keys or a name, stays."""
    new = copy(value)
    new.clear()
    return new


def _items(old: Collection[Any], leaf: _Leaf) -> list[Any] | None:
    if _LEAVES.issuperset(map(type, old)):  # a million numbers take no more than a glance
        return None
    kept = list(old)
    new = [_rebuilt(item, leaf) for item in kept]
    if all(item is _SAME for item in new):
        return None
    return [before if after is _SAME else after for before, after in zip(kept, new, strict=True)]


def _rebuilt_object(value: Any, leaf: _Leaf) -> Any:
    new = {name: item for name, old in _fields(value).items() if (item := _rebuilt(old, leaf)) is not _SAME}
    if not new:
        return _SAME
    if not is_dataclass(value):
        return value.model_copy(update=new)
    twin = copy(value)  # not through its ``__init__``, which may take other arguments than there are fields
    for name, item in new.items():
        object.__setattr__(twin, name, item)  # frozen ones too
    return twin


def _fields(value: Any) -> dict[str, Any]:
    """The fields of a dataclass or a pydantic model (known by its shape, so that this module need not import it)."""
    if isinstance(value, type):
        return {}
    if is_dataclass(value):
        names: Iterable[str] = (field.name for field in fields(value))
    else:
        names = getattr(type(value), "__pydantic_fields__", ())
    return {name: getattr(value, name) for name in names if hasattr(value, name)}  # some may not be set yet
