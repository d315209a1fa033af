"""The hint: what a workflow knows about a piece of KV cache and an engine cannot. One contract, several adapters.

A hint is advice. It names a *subject* (a session's growing context, or an agent's fixed prompt as one program uses it),
says how soon it is needed again, and expires by itself. A missing, late or wrong hint costs at most what the engine
does without any; correctness never depends on one.

    Hint --batch--> adapter --HTTP--> the engine's plugin --> ledger --> eviction, prefetch

Standard library only: this module is imported on both sides, in the runtime and inside the engine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple, Self, TypeAlias

PROTOCOL: Final = 1
"""Version of the contract. An engine refuses a batch of another one, and says which it speaks."""

MAX_BATCH: Final = 4096
"""Hints in one batch."""

MAX_TOKENS: Final = 500_000
"""Tokens of fixed prompts in one batch, which an engine takes up to some megabytes; a longer prompt goes alone."""

MAX_TEXT: Final = 512
"""Characters of a tenant, an agent's name or a tool's."""

MAX_KEEP: Final = 3600.0
"""Seconds that one hint may hold for; a longer wish is cut to this."""

SubjectKind: TypeAlias = Literal["session", "agent"]


class Subject(NamedTuple):
    """What a hint is about, within a tenant.

    ``session``: a growing context, by the ``session_id`` of its requests. ``agent``: the fixed prompt of ``name`` as
    the program ``program`` uses it; two programs may each have an agent of one name, and one prompt may serve many.
    """

    kind: SubjectKind
    name: str
    program: str = ""

    @property
    def owner(self) -> str:
        """The program it belongs to; that of a session is what stands before the first ``/`` of its name."""
        return self.program or self.name.partition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What is known of one subject. Times are seconds from the moment of sending.

    ``generation`` grows with every hint on a subject; one that is not newer than the last is ignored, so that sending
    twice, or late, does no harm. ``keep`` is how long the hint holds; after that its subject is ranked as if it had
    none. Among subjects with valid hints the engine evicts by smallest ``priority`` first, then by most ``steps`` to
    execution, then by longest ``remaining`` time, each unknown (``None``) counting as furthest. ``ended``: it never
    comes back, evict it first. ``prefetch``: it is needed next, load it from the host tier now. ``prefix``: the token
    ids of an agent's fixed prompt, told once for each program. ``tool`` and ``elapsed`` say what it waits for, for
    those who watch.
    """

    subject: Subject
    generation: int
    tenant: str = field(default="", repr=False)
    agent: str = ""
    keep: float = 60.0
    priority: float = 0.0
    steps: int | None = None
    remaining: float | None = None
    tool: str = ""
    elapsed: float = 0.0
    ended: bool = False
    prefetch: bool = False
    prefix: tuple[int, ...] = ()

    def to_wire(self) -> dict[str, Any]:
        """The hint as plain JSON; fields that say nothing are left out."""
        wire: dict[str, Any] = {"subject": list(self.subject), "generation": self.generation}
        for name, default in _OPTIONAL:
            value = getattr(self, name)
            if value != default:
                wire[name] = list(value) if name == "prefix" else value
        return wire

    @classmethod
    def from_wire(cls, wire: object) -> Self:
        """Read what ``to_wire`` wrote. Raises ``ValueError`` that names the field, its value and what was expected."""
        if not isinstance(wire, Mapping):
            raise ValueError(f"a hint must be a JSON object, not {wire!r}")
        if unknown := wire.keys() - _READERS.keys():
            raise ValueError(f"hint has unknown fields {sorted(unknown)}; known are {sorted(_READERS)}")
        for name in ("subject", "generation"):
            if name not in wire:
                raise ValueError(f"hint {dict(wire)!r} has no {name!r}")
        return cls(**{name: _READERS[name](name, value) for name, value in wire.items()})


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of a batch in one scheduler process: counts of hints."""

    accepted: int = 0
    ignored: int = 0
    clipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.accepted + other.accepted, self.ignored + other.ignored, self.clipped + other.clipped)


@dataclass(frozen=True, slots=True)
class Capability:
    """What an engine can do with hints. ``protocol`` 0 means nothing at all: stock SGLang, or another server.

    ``version`` is the plugin's. ``pool`` and ``host`` are the sizes of the device and host tiers in tokens.
    ``budget`` is the share of the pool that hints may protect. ``closes``: the engine takes ``/close_session``;
    ``priority``: it takes priorities; ``salt``: it keeps tenants apart by ``cache_salt``.
    ``boot`` is another one each time the engine starts: what was told to the last one has to be told again.
    """

    protocol: int = 0
    version: str = ""
    pool: int = 0
    host: int = 0
    budget: float = 0.0
    prefetch: bool = False
    closes: bool = False
    priority: bool = False
    salt: bool = False
    boot: str = ""


def batches(hints: Sequence[Hint]) -> Iterator[Sequence[Hint]]:
    """Cut hints, in their order, into batches that an engine takes."""
    start = tokens = 0
    for at, hint in enumerate(hints):
        tokens += len(hint.prefix)
        if at > start and (at - start == MAX_BATCH or tokens > MAX_TOKENS):
            yield hints[start:at]
            start, tokens = at, len(hint.prefix)
    if hints:
        yield hints[start:]


def batch_to_wire(hints: Sequence[Hint]) -> dict[str, Any]:
    """The JSON body of a batch: ``{"protocol": 1, "hints": [...]}``."""
    return {"protocol": PROTOCOL, "hints": [hint.to_wire() for hint in hints]}


def batch_from_wire(wire: object) -> list[Hint]:
    """Read a batch, in order. Raises ``ValueError`` for another protocol, too many hints, or a malformed one."""
    if not isinstance(wire, Mapping) or not isinstance(wire.get("hints"), list):
        raise ValueError('a batch of hints must be {"protocol": 1, "hints": [...]}')
    if wire.get("protocol") != PROTOCOL:
        raise ValueError(f"hint protocol {wire.get('protocol')!r} is not spoken here; this engine speaks {PROTOCOL}")
    if len(wire["hints"]) > MAX_BATCH:
        raise ValueError(f"{len(wire['hints'])} hints in one batch; send at most {MAX_BATCH}")
    return [Hint.from_wire(one) for one in wire["hints"]]


# -- reading fields ------------------------------------------------------------------------------------------


def _subject(name: str, value: object) -> Subject:
    parts = list(value) if isinstance(value, (list, tuple)) else []
    kind, rest = (parts[0], parts[1:]) if parts else (None, [])
    if kind not in ("session", "agent") or not 1 <= len(rest) <= 2 or not all(isinstance(one, str) for one in rest):
        raise ValueError(f'{name} = {value!r}: expected ["session", id] or ["agent", name, program]')
    if not rest[0]:
        raise ValueError(f"{name} = {value!r}: its name is empty")
    return Subject(kind, *rest)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"{name} = {value!r}: expected a text of at most {MAX_TEXT} characters")
    return value


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{name} = {value!r}: expected a whole number, 0 or more")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} = {value!r}: expected a finite number")
    return float(value)


def _seconds(name: str, value: object) -> float:
    found = _number(name, value)
    if found < 0:
        raise ValueError(f"{name} = {value!r}: expected seconds, 0 or more")
    return found


def _keep(name: str, value: object) -> float:
    return min(_seconds(name, value), MAX_KEEP)


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} = {value!r}: expected true or false")
    return value


def _tokens(name: str, value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or not all(type(one) is int and 0 <= one < 2**31 for one in value):
        raise ValueError(f"{name}: expected a list of token ids")
    return tuple(value)


def _maybe_count(name: str, value: object) -> int | None:
    return None if value is None else _count(name, value)


def _maybe_seconds(name: str, value: object) -> float | None:
    return None if value is None else _seconds(name, value)


_READERS: Final[Mapping[str, Any]] = {
    "subject": _subject,
    "generation": _count,
    "tenant": _text,
    "agent": _text,
    "keep": _keep,
    "priority": _number,
    "steps": _maybe_count,
    "remaining": _maybe_seconds,
    "tool": _text,
    "elapsed": _seconds,
    "ended": _flag,
    "prefetch": _flag,
    "prefix": _tokens,
}
_OPTIONAL: Final = tuple((one.name, one.default) for one in fields(Hint) if one.name not in ("subject", "generation"))
