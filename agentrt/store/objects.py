"""Objects of classes as plain JSON, and back: enums, named tuples, dataclasses, pydantic models, errors.

An object is its class's name and its state. It is made again without its class's code: nothing of ``__new__``,
``__init__``, ``__post_init__``, validators and properties runs.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cached_property, lru_cache
from importlib import import_module
from inspect import getattr_static
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final, NamedTuple, TypeAlias

from agentrt.errors import JournalError, StepError

KIND: Final = "$"
_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class that is written in Python
_MODEL_STATE: Final = ("__dict__", "__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")

Inner: TypeAlias = Callable[[Any], Any]
"""Makes plain JSON of what is inside an object, or makes that again."""


class Unstorable(JournalError):
    """A value that has no place in a journal; the message names its type."""


class Undecodable(JournalError):
    """A stored value that the program cannot have again: its class is gone, or is another one now."""


# -- to plain JSON ---------------------------------------------------------------------------------------------------


def plain_object(value: Any, kind: type, inner: Inner, name: Callable[[type], str]) -> dict[str, Any] | None:
    """The object as plain JSON, ``None`` for what is none of these. ``name`` says what a class is found by.

    Raises ``Unstorable`` for a class that could not be found again, and what ``inner`` raises.
    """
    if isinstance(value, BaseException):
        return _plain_error(value, inner, name)
    if isinstance(value, enum.Enum):
        plain = {KIND: "enum", "c": name(kind), "v": value._name_}
        return {**plain, "n": inner(value._value_)} if isinstance(value, enum.Flag) else plain
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return {KIND: "named", "c": name(kind), "v": [inner(item) for item in value]}
    if not _made_of(kind, object):
        return None
    if is_dataclass(kind):
        return {KIND: "data", "c": name(kind), "v": inner(_state(value, kind))}
    if hasattr(kind, "__pydantic_fields__"):
        return {KIND: "model", "c": name(kind), "v": inner(_model_state(value, kind))}
    return None


def name_of(kind: type) -> str:
    """Where a class is, for reading: ``module:Class.Inner``."""
    return f"{kind.__module__}:{kind.__qualname__}"


@lru_cache(1024)
def found_by(kind: type) -> str:
    """What a class is found by again. Raises ``Unstorable`` for one that is not: made in a function, or on the fly."""
    with suppress(KeyError, TypeError):
        if _walk(sys.modules[kind.__module__], kind.__qualname__) is kind:
            return name_of(kind)
    origin = getattr(kind, "__pydantic_generic_metadata__", {}).get("origin")
    if origin is not None:  # Box[int] is stored as a Box
        return found_by(origin)
    raise Unstorable(f"a {name_of(kind)}, which is not found by its name; define the class at the top of a module")


def _state(value: Any, kind: type) -> dict[str, Any]:
    """What the object holds: fields first, so that equal objects give equal text; no cached results."""
    held, shape = _held(value, kind), _shape(kind)
    state = {name: held.pop(name) for name in shape.fields if name in held}
    for name in sorted(held):
        if name not in shape.cached:
            state[name] = held[name]
    return state


def _held(value: Any, kind: type) -> dict[str, Any]:
    held = {**getattr(value, "__dict__", {})}
    for name, slot in _shape(kind).slots.items():
        with suppress(AttributeError):  # nothing is in it
            held[name] = slot.__get__(value)
    return held


def _model_state(value: Any, kind: type) -> dict[str, Any]:
    held: dict[str, Any] = {name: getattr(value, name, None) for name in _MODEL_STATE}
    if cached := _shape(kind).cached:
        held["__dict__"] = {name: item for name, item in held["__dict__"].items() if name not in cached}
    if private := held["__pydantic_private__"]:
        held["__pydantic_private__"] = {name: item for name, item in private.items() if not _is_undefined(item)}
    return held


def _plain_error(error: BaseException, inner: Inner, name: Callable[[type], str]) -> dict[str, Any]:
    """Its arguments and attributes as far as they are data; its text in any case.

    An error of a class that could not be found again is one of the nearest class that can.
    """
    plain: dict[str, Any] = {KIND: "error", "c": _nearest(error, name), "text": _said(error)}
    args, held = error.args, _held(error, type(error))
    with suppress(Exception):  # of what is built in, more than that is known: names of files and modules
        _, args, *more = _built_in(type(error)).__reduce__(error)
        held.update(*more)
    plain["args"] = _if_data(args, inner)
    plain["state"] = {}
    for key, item in held.items():
        with suppress(Unstorable):
            plain["state"][key] = inner(item)
    plain["cause"] = None if error.__cause__ is None else _if_data(error.__cause__, inner)
    return plain


def bare_error(error: BaseException) -> dict[str, Any]:
    """No more than its class and its text, of an error that holds itself."""
    plain: dict[str, Any] = {KIND: "error", "c": _nearest(error, found_by), "text": _said(error)}
    return {**plain, "args": None, "state": None, "cause": None}


def _nearest(error: BaseException, name: Callable[[type], str]) -> str:
    for kind in type(error).__mro__:
        with suppress(Unstorable):
            return name(kind)
    raise AssertionError("BaseException is found")


def _if_data(value: Any, inner: Inner) -> Any:
    try:
        return inner(value)
    except Unstorable:
        return None


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's own exception, whose text is broken
        return ""


# -- and back --------------------------------------------------------------------------------------------------------


def object_again(plain: Mapping[str, Any], inner: Inner, modules: Mapping[str, str]) -> Any:
    """The object that ``plain_object`` made this of. Raises ``Undecodable`` when it cannot be."""
    kind = _class(plain["c"], modules)
    return _AGAIN[plain[KIND]](plain, kind, inner)


def _class(name: str, modules: Mapping[str, str]) -> type:
    found = _found(name, modules)
    if not isinstance(found, type):
        raise Undecodable(f"a stored value is a {name}, which is no class any more")
    return found


def _found(name: str, modules: Mapping[str, str]) -> Any:
    """What a module has under that name, whose own import may be all that runs."""
    where, _, path = name.partition(":")
    where = modules.get(where, where)
    try:
        return _walk(sys.modules.get(where) or import_module(where), path)
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise Undecodable(f"a stored value is a {name}, which is not there any more: {error!r}") from error


def _walk(found: Any, path: str) -> Any:
    """What is found by a path of names, with nothing asked that could be code: only modules and classes hold names."""
    for part in path.split("."):
        found = vars(found)[part]
    return found


def _enum(plain: Mapping[str, Any], kind: type, inner: Inner) -> Any:
    _expect(issubclass(kind, enum.Enum), plain, kind)
    assert issubclass(kind, enum.Enum), "expected above"
    member = kind._member_map_.get(plain["v"])
    if member is None and issubclass(kind, enum.Flag):
        with suppress(ValueError):
            member = _bits(kind, inner(plain["n"]))
    if member is None:
        raise Undecodable(f"a stored value is {plain['c']}.{plain['v']}, which is not there any more")
    return member


def _bits(kind: type[enum.Flag], value: int) -> enum.Enum:
    """Several flags, or none: what the class's own call would give, without what it may have made of that."""
    known: Any = kind._value2member_map_.get(value)
    return known if known is not None else enum.Flag._missing_.__func__(kind, value)  # type: ignore[attr-defined,no-any-return]


def _named(plain: Mapping[str, Any], kind: type, inner: Inner) -> Any:
    names = getattr(kind, "_fields", None)
    _expect(issubclass(kind, tuple) and isinstance(names, tuple), plain, kind)
    items = inner(plain["v"])
    _expect(len(items) == len(names or ()), plain, kind)
    return tuple.__new__(kind, items)


def _data(plain: Mapping[str, Any], kind: type, inner: Inner) -> Any:
    _expect(is_dataclass(kind) and _made_of(kind, object), plain, kind)
    new: Any = object.__new__(kind)
    held = inner(plain["v"])
    slots = _shape(kind).slots
    for field in fields(kind):
        if field.name not in held:
            _add_default(held, field, plain)
    for name, item in held.items():
        if name in slots:
            slots[name].__set__(new, item)
        elif hasattr(new, "__dict__"):  # else it was a field, and is none any more
            vars(new)[name] = item
    return new


def _add_default(held: dict[str, Any], field: Field[Any], plain: Mapping[str, Any]) -> None:
    """A field that the class has got since."""
    if field.default is not MISSING:
        held[field.name] = field.default
    elif field.init:
        raise Undecodable(f"a stored value is a {plain['c']} without {field.name!r}, which that has now")


def _model(plain: Mapping[str, Any], kind: type, inner: Inner) -> Any:
    known = getattr(kind, "__pydantic_fields__", None)
    _expect(isinstance(known, dict) and _made_of(kind, object), plain, kind)
    assert isinstance(known, dict), "expected above"
    new: Any = object.__new__(kind)
    held = inner(plain["v"])
    for name, field in known.items():
        if name not in held["__dict__"] and not _is_undefined(field.default):
            held["__dict__"][name] = deepcopy(field.default)
    for name in _MODEL_STATE:
        object.__setattr__(new, name, held[name])
    return new


def _error(plain: Mapping[str, Any], kind: type, inner: Inner) -> Any:
    _expect(issubclass(kind, BaseException), plain, kind)
    args = inner(plain["args"])
    try:
        new = _raised(kind, (plain["text"],) if args is None else args)
    except Exception as error:  # noqa: BLE001 - of a class that is made by its own code only, as some of extensions
        new = StepError(f"{plain['text']} (it was a {plain['c']}, which cannot be made from what is stored: {error})")
    for name, item in (inner(plain["state"]) or {}).items():
        place = getattr_static(new, name, None)
        if isinstance(place, (MemberDescriptorType, GetSetDescriptorType)):
            place.__set__(new, item)
        else:
            vars(new)[name] = item
    if plain["cause"] is not None:
        new.__cause__ = inner(plain["cause"])
    return new


def _raised(kind: type, args: tuple[Any, ...]) -> BaseException:
    """An error of that class, made by the code of the built-in one that it is derived from."""
    built_in = _built_in(kind)
    new: BaseException = built_in.__new__(kind, *args)
    with suppress(TypeError):  # these arguments are its text, where its own were no data
        built_in.__init__(new, *args)
    return new


_AGAIN: Final[dict[str, Callable[[Mapping[str, Any], type, Inner], Any]]] = {
    "enum": _enum,
    "named": _named,
    "data": _data,
    "model": _model,
    "error": _error,
}
TAGS: Final = frozenset(_AGAIN)
"""What kinds of objects there are."""


# -- classes ---------------------------------------------------------------------------------------------------------


def _expect(fits: bool, plain: Mapping[str, Any], kind: type) -> None:
    if not fits:
        raise Undecodable(f"a stored value is a {plain['c']}, which is no longer what it was: {kind!r}")


def _made_of(kind: type, base: type) -> bool:
    """Whether objects of a class are made by what makes those of ``base``, and hold nothing beside their state."""
    return next(one for one in kind.__mro__ if not one.__flags__ & _HEAP_TYPE) is base


def _built_in(kind: type) -> Any:
    return next(one for one in kind.__mro__ if one.__module__ == "builtins")


class _Shape(NamedTuple):
    """What objects of a class hold: fields of a dataclass, slots, and results that are only kept for speed."""

    fields: tuple[str, ...]
    slots: dict[str, MemberDescriptorType]
    cached: frozenset[str]


@lru_cache(1024)
def _shape(kind: type) -> _Shape:
    own = [vars(base) for base in kind.__mro__ if base.__flags__ & _HEAP_TYPE]
    slots = {name: one for held in own for name, one in held.items() if isinstance(one, MemberDescriptorType)}
    cached = frozenset(name for held in own for name, one in held.items() if isinstance(one, cached_property))
    return _Shape(tuple(field.name for field in fields(kind)) if is_dataclass(kind) else (), slots, cached)


def _is_undefined(value: Any) -> bool:
    """Pydantic's mark for no value; it need not be imported for that."""
    return type(value).__name__ == "PydanticUndefinedType"
