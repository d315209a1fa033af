"""A mypy plugin: steps take handles wherever they take values.

``plugins = ["agentrt.mypy"]`` lets mypy check ``summarise(facts)`` where ``facts`` is a ``Handle[list[str]]`` and
``summarise`` takes a ``list[str]``: every parameter of a step's call also accepts a handle of its type, and lists,
sequences, tuples and mappings also accept handles of their items. A handle of another type stays an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy.nodes import TypeInfo
from mypy.plugin import MethodSigContext, Plugin
from mypy.types import AnyType, FunctionLike, Instance, TupleType, Type, UnionType, get_proper_type

_STEPS: Final = frozenset({"agentrt.sdk.steps.Step", "agentrt.sdk.steps.Program", "agentrt.sdk.tools.Tool"})
_HANDLE: Final = "agentrt.runtime.handle.Handle"
_CONTAINERS: Final = frozenset(
    {
        "builtins.list",
        "builtins.dict",
        "builtins.set",
        "builtins.frozenset",
        "typing.Sequence",
        "typing.Iterable",
        "typing.Collection",
        "typing.Mapping",
    }
)


class _Steps(Plugin):
    def get_method_signature_hook(self, fullname: str) -> Callable[[MethodSigContext], FunctionLike] | None:
        if fullname.removesuffix(".__call__") in _STEPS and fullname.endswith(".__call__"):
            return self._widen_call
        return None

    def _widen_call(self, context: MethodSigContext) -> FunctionLike:
        signature = context.default_signature
        found = self.lookup_fully_qualified(_HANDLE)
        if found is None or not isinstance(found.node, TypeInfo):
            return signature
        info = found.node
        return signature.copy_modified(arg_types=[_widen(one, info) for one in signature.arg_types])


def _widen(value: Type, handle: TypeInfo) -> Type:
    proper = get_proper_type(value)
    if isinstance(proper, AnyType):
        return value
    whole = UnionType.make_union([value, Instance(handle, [value])])
    if isinstance(proper, Instance) and proper.type.fullname in _CONTAINERS:
        items = [
            *proper.args[:-1],
            UnionType.make_union([proper.args[-1], Instance(handle, [proper.args[-1]])]),
        ]
        return UnionType.make_union([whole, Instance(proper.type, items), *_of_handles(proper, handle)])
    if isinstance(proper, TupleType):
        items = [UnionType.make_union([item, Instance(handle, [item])]) for item in proper.items]
        return UnionType.make_union([whole, proper.copy_modified(items=items)])
    return whole


def _of_handles(container: Instance, handle: TypeInfo) -> list[Type]:
    """The same container holding only handles: a variable of that type is not one of a mixed container."""
    items = [*container.args[:-1], Instance(handle, [container.args[-1]])]
    return [Instance(container.type, items)]


def plugin(version: str) -> type[Plugin]:
    """Mypy's way in."""
    return _Steps


__all__ = ["plugin"]
