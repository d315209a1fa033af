"""Values as JSON text that says what they were.

JSON's own values are themselves. What JSON has no word for becomes an object with a ``$`` that names its kind: tuples,
sets, bytes, times, numbers that are none, dataclasses, pydantic models, enums, named tuples, errors. Reading one back
calls no constructor and no code of its class, it may import the module that the class is in: a journal holds data,
never instructions. Equal values give equal text, also in another process (sets are sorted), so that text can be
compared and hashed.
"""

from __future__ import annotations

import base64
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from hashlib import blake2b
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final, NamedTuple
from uuid import UUID

from agentrt.store.objects import KIND as KIND
from agentrt.store.objects import TAGS, bare_error, found_by, name_of, object_again, plain_object
from agentrt.store.objects import Undecodable as Undecodable
from agentrt.store.objects import Unstorable as Unstorable

_LEAVES: Final = frozenset({str, int, bool, float, type(None)})
quoted: Final = json.encoder.encode_basestring_ascii
"""A text as JSON."""


def _encoder() -> Callable[[Any], str]:
    """``json.dumps`` without its set-up, which takes longer than a small value does."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(",", ":"), check_circular=False, allow_nan=False).encode
    pieces = make(None, _refuse, quoted, None, ":", ",", False, False, False)
    return lambda value: "".join(pieces(value, 0))


def encode(value: Any) -> str:
    """The value as JSON text, all ASCII. Raises ``Unstorable`` for what is no data: a socket, a function, a lock.

    Errors are stored whatever they hold: what of that is no data is left out.
    """
    try:
        return _text(value, _STORED)
    except Unstorable:
        if isinstance(value, BaseException):
            return _dumps(bare_error(value))
        raise


def show(value: Any) -> str:
    """The value as JSON text for reading and comparing only: what is no data stands there by the name of its type.

    An object with a method ``__journal__`` stands there as what that returns.
    """
    try:
        return _text(value, _SHOWN)
    except Unstorable:  # too deep
        return _dumps(_shown(value))


def show_call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The arguments of a call, as ``show`` shows them: a list of two, or nothing when there are none."""
    if not kwargs and _LEAVES.issuperset(map(type, args)):  # most calls
        return f"[{compact(list(args))},{{}}]" if args else ""
    return show([list(args), kwargs])


def decode(text: str, modules: Mapping[str, str] | None = None) -> Any:
    """The value again. ``modules`` maps names of modules that were renamed since: ``__main__`` to the file's own.

    Raises ``Undecodable`` when a class is not there any more, or the text is none of ``encode``.
    """
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Undecodable(f"a stored value is damaged: {error}") from error
    return restore(plain, modules)


def restore(plain: Any, modules: Mapping[str, str] | None = None) -> Any:
    """``decode``, of text that is parsed already."""
    try:
        return _value(plain, modules or {})
    except Undecodable:
        raise
    except Exception as error:  # whatever it is that the text does not say
        raise Undecodable(f"a stored value cannot be read: {error!r}") from error


def compact(plain: Any) -> str:
    """Plain JSON as text, as ``encode`` writes it."""
    try:
        return _dumps(plain)
    except ValueError:
        return _dumps(_odd_numbers(plain))


def digest(text: str) -> str:
    """The hash under which a text is kept once: 128 bits, as 32 hexadecimal digits."""
    return blake2b(text.encode(), digest_size=16).hexdigest()


# -- to text ---------------------------------------------------------------------------------------------------------


class _Manner(NamedTuple):
    """How values become plain JSON: what a class is called, and what stands there for that which is no data."""

    name: Callable[[type], str]
    otherwise: Callable[[Any], Any]


def _text(value: Any, manner: _Manner) -> str:
    kind = type(value)
    if kind is str:
        return quoted(value)
    try:
        return compact(value if kind in _LEAVES else _plain(value, manner))
    except RecursionError as error:
        raise Unstorable(f"a {name_of(kind)} that contains itself, or is nested too deeply") from error
    except ValueError as error:  # Python limits the digits of fractions that become text
        raise Unstorable(f"a {name_of(kind)} with a number that is too long to write: {error}") from error


def _plain(value: Any, manner: _Manner) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if kind is list:
        return [_plain(item, manner) for item in value]
    if kind is dict:
        return _plain_dict(value, manner)
    if kind is tuple:
        return {KIND: "tuple", "v": [_plain(item, manner) for item in value]}
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return {KIND: simple[0], "v": simple[1](value)}
    if manner is _SHOWN and hasattr(kind, "__journal__"):
        return _shown(value)
    if kind in _SETS:
        return {KIND: kind.__name__, "v": sorted((_plain(item, manner) for item in value), key=compact)}
    return _plain_collection(value, kind, manner)


def _plain_dict(value: dict[Any, Any], manner: _Manner) -> Any:
    if KIND not in value and all(type(key) is str for key in value):
        return {key: _plain(item, manner) for key, item in value.items()}
    return {KIND: "dict", "v": _pairs(value, manner)}


def _plain_collection(value: Any, kind: type, manner: _Manner) -> Any:
    if kind in (OrderedDict, Counter):
        return {KIND: "ordered" if kind is OrderedDict else "counter", "v": _pairs(value, manner)}
    if kind is defaultdict and value.default_factory in _FACTORIES.values():
        return {KIND: "default", "v": _pairs(value, manner), "of": value.default_factory.__name__}
    if kind is deque:
        return {KIND: "deque", "v": [_plain(item, manner) for item in value], "max": value.maxlen}
    if kind in (datetime, time):
        return _plain_time(value)
    if isinstance(value, PurePath):
        return {KIND: _PATHS.get(kind, "path"), "v": str(value)}
    found = plain_object(value, kind, partial(_plain, manner=manner), manner.name)
    return manner.otherwise(value) if found is None else found


def _pairs(value: Mapping[Any, Any], manner: _Manner) -> list[Any]:
    return [[_plain(key, manner), _plain(item, manner)] for key, item in value.items()]


def _plain_time(value: datetime | time) -> dict[str, Any]:
    """With the name of its zone, which makes more of a time than its distance from UTC, if it has one."""
    plain: dict[str, Any] = {KIND: type(value).__name__, "v": value.isoformat()}
    zone = getattr(value.tzinfo, "key", None)
    if zone is not None:
        plain["zone"] = zone
    return {**plain, "fold": 1} if value.fold else plain


def _odd_numbers(plain: Any) -> Any:
    """With words for what JSON has none for: infinity, what is no number, and what is too long for Python to read."""
    kind = type(plain)
    if kind is list:
        return [_odd_numbers(item) for item in plain]
    if kind is dict:
        return {key: _odd_numbers(item) for key, item in plain.items()}
    if kind is float and not math.isfinite(plain):
        return {KIND: "float", "v": str(plain)}
    if kind is int and plain.bit_length() > _LONG_BITS:
        return {KIND: "int", "v": hex(plain)}
    return plain


def _refuse(value: Any) -> Any:
    raise Unstorable(f"a {name_of(type(value))}")


_dumps: Final = _encoder()


def _shown(value: Any) -> Any:
    journal = getattr(type(value), "__journal__", None)
    if journal is not None:
        return {KIND: "shown", "v": journal(value)}
    return {KIND: "opaque", "v": name_of(type(value))}


_STORED: Final = _Manner(found_by, _refuse)
_SHOWN: Final = _Manner(name_of, _shown)


# -- and back --------------------------------------------------------------------------------------------------------


def _value(plain: Any, modules: Mapping[str, str]) -> Any:
    kind = type(plain)
    if kind is list:
        return [_value(item, modules) for item in plain]
    if kind is not dict:
        return plain
    if KIND not in plain:
        return {key: _value(item, modules) for key, item in plain.items()}
    tag = plain[KIND]
    back = _BACK.get(tag)
    if back is not None:
        return back(_value(plain["v"], modules))
    if tag in TAGS:
        return object_again(plain, partial(_value, modules=modules), modules)
    return _collection(tag, plain, modules)


def _collection(tag: str, plain: dict[str, Any], modules: Mapping[str, str]) -> Any:
    value = _value(plain["v"], modules)
    match tag:
        case "deque":
            return deque(value, plain["max"])
        case "default":
            return defaultdict(_FACTORIES[plain["of"]], value)
        case "datetime" | "time":
            return _time(tag, value, plain)
    raise Undecodable(f"a stored value of the kind {tag!r}, which this version does not know")


def _time(tag: str, text: str, plain: dict[str, Any]) -> Any:
    value = (datetime if tag == "datetime" else time).fromisoformat(text)
    if "zone" in plain:
        from zoneinfo import ZoneInfo

        value = value.replace(tzinfo=ZoneInfo(plain["zone"]))
    return value.replace(fold=plain.get("fold", 0))


def _fraction(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(int(above), int(below or 1))


def _counter(pairs: list[Any]) -> Counter[Any]:
    counter: Counter[Any] = Counter()
    counter.update(dict(pairs))
    return counter


_LONG_BITS: Final = 10_000
_FACTORIES: Final = {kind.__name__: kind for kind in (list, dict, set, int, float, str, tuple, bool)}
_PATHS: Final[dict[type, str]] = {PurePosixPath: "posixpath", PureWindowsPath: "windowspath"}
_SETS: Final = frozenset({set, frozenset})
_SIMPLE: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
    bytearray: ("bytearray", lambda value: base64.b64encode(value).decode()),
    complex: ("complex", lambda value: [value.real, value.imag]),
    range: ("range", lambda value: [value.start, value.stop, value.step]),
    date: ("date", date.isoformat),
    timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    Decimal: ("decimal", str),
    Fraction: ("fraction", str),
    UUID: ("uuid", str),
}
_BACK: Final[dict[str, Callable[[Any], Any]]] = {
    "bytes": partial(base64.b64decode, validate=True),
    "bytearray": lambda text: bytearray(base64.b64decode(text, validate=True)),
    "complex": lambda parts: complex(*parts),
    "range": lambda parts: range(*parts),
    "date": date.fromisoformat,
    "timedelta": lambda parts: timedelta(*parts),
    "decimal": Decimal,
    "fraction": _fraction,
    "uuid": UUID,
    "float": float,
    "int": lambda text: int(text, 16),
    "path": Path,
    "posixpath": PurePosixPath,
    "windowspath": PureWindowsPath,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "ordered": OrderedDict,
    "counter": _counter,
}
