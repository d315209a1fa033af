"""Arguments of which some are not wanted: what a step can do without, and how it is called then.

A handle whose step was skipped, with nobody to blame, has no value. Where Python lets it be absent, it is left out: in
a list, a tuple, a set or a dict, among ``*args``, and as an argument that has a default. Anything else is needed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from agentrt.errors import StepSkipped
from agentrt.runtime.arguments import collect, container, fill, mapping
from agentrt.runtime.handle import Handle

_ABSENT: Final = object()


class NotCalled(StepSkipped):
    """A step needs something that is not wanted, so it is not called."""


def spares(handle: Handle[Any]) -> bool:
    """Whether the step can do without those of its inputs that are not wanted; they are left out of its arguments.

    One that it only comes after stands for a condition of the call itself: it cannot be spared.
    """
    found: list[Handle[Any]] = []
    collect((handle.args, handle.kwargs), found)
    taken = {one.node for one in found}
    if any(node.unwanted and node not in taken for node in handle.node.inputs):
        return False
    try:
        handle.args, handle.kwargs = _called(handle)
    except NotCalled:
        return False
    return True


def filled(handle: Handle[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a step that starts, with values in place of handles. Raises ``NotCalled`` if one is missing."""
    try:
        return fill(handle.args), fill(handle.kwargs)
    except StepSkipped:  # it became known behind a join of many
        args, kwargs = _called(handle)
        return fill(args), fill(kwargs)


def _called(handle: Handle[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    parameters = _parameters(handle.spec.body)
    kwargs = {name: _pruned(value) for name, value in handle.kwargs.items()}
    for name in [name for name, value in kwargs.items() if value is _ABSENT]:
        if name in parameters and parameters[name].default is inspect.Parameter.empty:
            raise NotCalled(f"step {handle.id!r} needs {name!r}, which is not there")
        del kwargs[name]
    return _positional(handle, parameters), kwargs


def _positional(handle: Handle[Any], parameters: Mapping[str, inspect.Parameter]) -> tuple[Any, ...]:
    named = [one for one in parameters.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    args = []
    for index, value in enumerate(handle.args):
        new = _pruned(value)
        if new is _ABSENT and index < len(named):
            new = named[index].default
            if new is inspect.Parameter.empty:
                raise NotCalled(f"step {handle.id!r} needs {named[index].name!r}, which is not there")
        if new is not _ABSENT:
            args.append(new)
    return tuple(args)


def _parameters(body: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(body).parameters
    except (TypeError, ValueError):  # some callables written in C do not tell
        return {}


def _pruned(value: Any) -> Any:
    """The value without handles that are not wanted, ``_ABSENT`` for such a handle itself."""
    if isinstance(value, Handle):
        return _ABSENT if value.node.unwanted else value
    if isinstance(value, dict):
        pairs = [(_pruned(key), _pruned(item)) for key, item in value.items()]
        same = all(
            new is old
            for pair, item in zip(pairs, value.items(), strict=True)
            for new, old in zip(pair, item, strict=True)
        )
        return value if same else mapping(value, (pair for pair in pairs if _ABSENT not in pair))
    if isinstance(value, (list, tuple, set, frozenset)) and not hasattr(value, "_fields"):
        items = [_pruned(item) for item in value]
        same = all(new is old for new, old in zip(items, value, strict=True))
        return value if same else container(value, [item for item in items if item is not _ABSENT])
    return _whole(value)


def _whole(value: Any) -> Any:
    """An object has all its fields or cannot be used."""
    found: list[Handle[Any]] = []
    collect(value, found)
    if any(one.node.unwanted for one in found):
        raise NotCalled(f"a {type(value).__name__} has a field without a value")
    return value
