"""Values as JSON text that says what they were.

JSON's own values are themselves. What JSON has no word for becomes an object with a ``$`` that names its kind: tuples,
sets, bytes, times, dataclasses, pydantic models, enums, named tuples, errors. Reading one back calls no constructor
and no code of its class: a journal holds data, never instructions. Equal values give equal text, also in another
process (sets are sorted), so that text can be compared and hashed.
"""

from __future__ import annotations

import base64
import enum
import json
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from importlib import import_module
from pathlib import Path, PurePath
from typing import Any, Final
from uuid import UUID

from agentrt.errors import JournalError, StepError

KIND: Final = "$"
_LEAVES: Final = frozenset({str, int, bool, float, type(None)})
quoted: Final = json.encoder.encode_basestring_ascii
"""A text as JSON."""


def _encoder() -> Callable[[Any], str]:
    """``json.dumps`` without its set-up, which takes longer than a small value does."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
    pieces = make(None, _refuse, quoted, None, ":", ",", False, False, True)
    return lambda value: "".join(pieces(value, 0))


class Unstorable(JournalError):
    """A value that has no place in a journal; the message names its type."""


class Undecodable(JournalError):
    """A stored value whose class the program no longer has."""


def encode(value: Any) -> str:
    """The value as JSON text, all ASCII. Raises ``Unstorable`` for what is no data: a socket, a function, a lock."""
    return _text(value, _refuse)


def show(value: Any) -> str:
    """The value as JSON text for reading and comparing only: what is no data stands there by the name of its type.

    An object with a method ``__journal__`` stands there as what that returns.
    """
    try:
        return _text(value, _shown)
    except Unstorable:  # too deep, or too large a number
        return _dumps(_shown(value))


def show_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The arguments of a call, as ``show`` shows them: a list of two, or nothing when there are none."""
    if not kwargs and _LEAVES.issuperset(map(type, args)):  # most calls
        return f"[{_dumps(list(args))},{{}}]" if args else ""
    return show([list(args), kwargs])


def decode(text: str, modules: Mapping[str, str] | None = None) -> Any:
    """The value again. ``modules`` maps names of modules that were renamed since: ``__main__`` to the file's own.

    Raises ``Undecodable`` when a class is not there any more.
    """
    return _value(json.loads(text), modules or {})


def restore(plain: Any, modules: Mapping[str, str] | None = None) -> Any:
    """``decode``, of text that is parsed already."""
    return _value(plain, modules or {})


def compact(plain: Any) -> str:
    """Parsed JSON as text again, as ``encode`` writes it."""
    return _dumps(plain)


def digest(text: str) -> str:
    """The hash under which a text is kept once: 128 bits, as 32 hexadecimal digits."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


# -- to text ---------------------------------------------------------------------------------------------------------


def _text(value: Any, otherwise: Callable[[Any], Any]) -> str:
    kind = type(value)
    if kind is str:
        return quoted(value)
    try:
        return _dumps(value if kind in _LEAVES else _plain(value, otherwise))
    except RecursionError as error:
        raise Unstorable(f"a {_name(type(value))} that contains itself, or is nested too deeply") from error
    except ValueError as error:  # Python limits the digits of numbers that become text
        raise Unstorable(f"a {_name(type(value))} with a number that is too long to write: {error}") from error


def _plain(value: Any, otherwise: Callable[[Any], Any]) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is list:
        return [_plain(item, otherwise) for item in value]
    if kind is dict:
        return _plain_dict(value, otherwise)
    if kind is tuple:
        return {KIND: "tuple", "v": [_plain(item, otherwise) for item in value]}
    known = _SIMPLE.get(kind)
    if known is not None:
        return {KIND: known[0], "v": known[1](value)}
    if otherwise is _shown and hasattr(kind, "__journal__"):
        return _shown(value)
    if kind in _SETS:
        return {KIND: kind.__name__, "v": sorted((_plain(item, otherwise) for item in value), key=_dumps)}
    return _plain_object(value, kind, otherwise)


def _plain_dict(value: dict[Any, Any], otherwise: Callable[[Any], Any]) -> Any:
    if KIND not in value and all(type(key) is str for key in value):
        return {key: _plain(item, otherwise) for key, item in value.items()}
    return {KIND: "dict", "v": [[_plain(key, otherwise), _plain(item, otherwise)] for key, item in value.items()]}


def _plain_object(value: Any, kind: type, otherwise: Callable[[Any], Any]) -> Any:
    if isinstance(value, enum.Enum):
        return {KIND: "enum", "c": _name(kind), "v": value.name}
    if isinstance(value, PurePath):
        return {KIND: "path", "v": str(value)}
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return {KIND: "named", "c": _name(kind), "v": [_plain(item, otherwise) for item in value]}
    if is_dataclass(kind):
        held = {field.name: getattr(value, field.name) for field in fields(kind) if hasattr(value, field.name)}
        return {KIND: "data", "c": _name(kind), "v": _plain(held, otherwise)}
    if hasattr(kind, "__pydantic_fields__"):
        return {KIND: "model", "c": _name(kind), "v": _plain(value.__getstate__(), otherwise)}
    if isinstance(value, BaseException):
        return _plain_error(value, kind, otherwise)
    if kind is OrderedDict:
        pairs = [[_plain(key, otherwise), _plain(item, otherwise)] for key, item in value.items()]
        return {KIND: "ordered", "v": pairs}
    if kind is deque:
        return {KIND: "deque", "v": [_plain(item, otherwise) for item in value], "max": value.maxlen}
    return otherwise(value)


def _plain_error(error: BaseException, kind: type, otherwise: Callable[[Any], Any]) -> Any:
    """Its arguments and attributes as far as they are data; its text in any case."""
    plain: dict[str, Any] = {KIND: "error", "c": _name(kind), "text": _said(error)}
    args = OSError.__reduce__(error)[1] if isinstance(error, OSError) else error.args  # with the names of files
    for key, held in (("args", args), ("state", {**vars(error)}), ("cause", error.__cause__)):
        try:
            plain[key] = None if held is None else _plain(held, otherwise)
        except (Unstorable, RecursionError):
            plain[key] = None
    return plain


def _said(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's own exception, whose text is broken
        return ""


def _refuse(value: Any) -> Any:
    raise Unstorable(f"a {_name(type(value))}")


_dumps: Final = _encoder()


def _shown(value: Any) -> Any:
    journal = getattr(type(value), "__journal__", None)
    if journal is not None:
        return {KIND: "shown", "v": journal(value)}
    return {KIND: "opaque", "v": _name(type(value))}


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


# -- and back --------------------------------------------------------------------------------------------------------


def _value(plain: Any, modules: Mapping[str, str]) -> Any:
    kind = type(plain)
    if kind is list:
        return [_value(item, modules) for item in plain]
    if kind is not dict:
        return plain
    tag = plain.get(KIND)
    if tag is None:
        return {key: _value(item, modules) for key, item in plain.items()}
    back = _BACK.get(tag)
    if back is not None:
        return back(plain["v"])
    if tag in _OBJECTS:
        return _OBJECTS[tag](plain, _class(plain["c"], modules), modules)
    return _collection(tag, plain, modules)


def _collection(tag: str, plain: dict[str, Any], modules: Mapping[str, str]) -> Any:
    items = [_value(item, modules) for item in plain["v"]]
    match tag:
        case "tuple":
            return tuple(items)
        case "set":
            return set(items)
        case "frozenset":
            return frozenset(items)
        case "dict":
            return dict(items)
        case "ordered":
            return OrderedDict(items)
        case "deque":
            return deque(items, plain["max"])
    raise Undecodable(f"a stored value of the kind {tag!r}, which this version does not know")


def _class(name: str, modules: Mapping[str, str]) -> type:
    module, _, path = name.partition(":")
    module = modules.get(module, module)
    try:
        found: Any = sys.modules.get(module) or import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise Undecodable(f"a stored value is a {name}, which is not there any more: {error}") from error
    if not isinstance(found, type):
        raise Undecodable(f"a stored value is a {name}, which is no class any more")
    return found


def _enum(plain: dict[str, Any], kind: type, modules: Mapping[str, str]) -> Any:
    member = getattr(kind, "__members__", {}).get(plain["v"])
    if member is None and issubclass(kind, enum.Flag):
        member = _flags(kind, plain["v"])
    if member is None:
        raise Undecodable(f"a stored value is {plain['c']}.{plain['v']}, which is not there any more")
    return member


def _flags(kind: type[enum.Flag], names: str | None) -> enum.Flag | None:
    found = kind(0)
    for name in (names or "").split("|"):
        if name:
            member = kind.__members__.get(name)
            if member is None:
                return None
            found |= member
    return found


def _named(plain: dict[str, Any], kind: type, modules: Mapping[str, str]) -> Any:
    _expect(kind, hasattr(kind, "_fields"), plain)
    return tuple.__new__(kind, [_value(item, modules) for item in plain["v"]])


def _data(plain: dict[str, Any], kind: type, modules: Mapping[str, str]) -> Any:
    _expect(kind, is_dataclass(kind), plain)
    new: Any = object.__new__(kind)
    for name, item in _value(plain["v"], modules).items():
        object.__setattr__(new, name, item)
    return new


def _model(plain: dict[str, Any], kind: type, modules: Mapping[str, str]) -> Any:
    _expect(kind, hasattr(kind, "__pydantic_fields__"), plain)
    new: Any = object.__new__(kind)
    for name, item in _value(plain["v"], modules).items():
        object.__setattr__(new, name, item)
    return new


def _error(plain: dict[str, Any], kind: type, modules: Mapping[str, str]) -> Any:
    _expect(kind, issubclass(kind, BaseException), plain)
    args = plain["args"] and _value(plain["args"], modules)
    args = (plain["text"],) if args is None else args
    try:
        new = _raised(kind, args)
    except Exception as error:  # noqa: BLE001 - of a class that is made by its own code only, as some of extensions
        new = StepError(f"{plain['text']} (it was a {plain['c']}, which cannot be made from what is stored: {error})")
    for name, item in (_value(plain["state"], modules) if plain["state"] else {}).items():
        object.__setattr__(new, name, item)
    new.__cause__ = _value(plain["cause"], modules) if plain["cause"] else None
    return new


def _raised(kind: type, args: Sequence[Any]) -> BaseException:
    """An error of that class, made by the code of the built-in one that it is derived from."""
    built_in: Any = next(one for one in kind.__mro__ if one.__module__ == "builtins")
    new: BaseException = built_in.__new__(kind, *args)
    with suppress(TypeError):  # these arguments are its text, where its own were no data
        built_in.__init__(new, *args)
    return new


def _expect(kind: type, fits: bool, plain: dict[str, Any]) -> None:
    if not fits:
        raise Undecodable(f"a stored value is a {plain['c']}, which is no longer what it was: {kind!r}")


_SETS: Final = frozenset({set, frozenset})
_SIMPLE: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
    bytearray: ("bytearray", lambda value: base64.b64encode(value).decode()),
    complex: ("complex", lambda value: [value.real, value.imag]),
    range: ("range", lambda value: [value.start, value.stop, value.step]),
    datetime: ("datetime", datetime.isoformat),
    date: ("date", date.isoformat),
    time: ("time", time.isoformat),
    timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("decimal", str),
    Fraction: ("fraction", str),
    UUID: ("uuid", str),
}
_BACK: Final[dict[str, Callable[[Any], Any]]] = {
    "bytes": base64.b64decode,
    "bytearray": lambda text: bytearray(base64.b64decode(text)),
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*parts),
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "fraction": Fraction,
    "uuid": UUID,
    "path": Path,
}
_OBJECTS: Final[dict[str, Callable[[dict[str, Any], type, Mapping[str, str]], Any]]] = {
    "enum": _enum,
    "named": _named,
    "data": _data,
    "model": _model,
    "error": _error,
}
