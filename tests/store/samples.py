"""Classes whose objects are kept in journals, and ones whose code must not run when they are read."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, field_validator
from pydantic.dataclasses import dataclass as checked_dataclass

T = TypeVar("T")
RAN: list[str] = []
"""What code of the classes ran."""


class Point(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any


@dataclass
class Plain:
    """A dataclass that keeps something beside its fields."""

    a: Any
    b: Any = None

    def __post_init__(self) -> None:
        self.beside = [self.a]

    @cached_property
    def text(self) -> str:
        """Kept for speed alone."""
        return str(self.a)


@dataclass(frozen=True)
class Frozen:
    """A dataclass that cannot be changed."""

    a: Any


@dataclass(frozen=True, slots=True)
class Slotted(Frozen):
    """One without a dict of its own."""

    b: Any = 3
    late: Any = field(init=False)


@dataclass(slots=True)
class Node(Generic[T]):
    """A generic one, which may hold others."""

    value: T
    more: list[Node[T]] = field(default_factory=list)


@checked_dataclass
class Checked:
    """A dataclass of pydantic's."""

    a: int


class Model(BaseModel):
    """A model with everything a model can have."""

    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    a: Any = Field(alias="A")
    b: list[int] = []
    _private: Any = PrivateAttr(default=None)
    _unset: int = PrivateAttr()

    @cached_property
    def text(self) -> str:
        """Kept for speed alone."""
        return str(self.a)


class Child(Model):
    """One that is derived from another."""

    c: Model | None = None


class Box(BaseModel, Generic[T]):
    """A generic model."""

    held: T


class Numbers(RootModel[list[int]]):
    """A model of a list."""


class Colour(enum.Enum):
    """An enum with a second name for one of its members."""

    RED = 1
    GREEN = "g"
    ROUGE = 1  # noqa: PIE796


class Level(enum.IntEnum):
    """Numbers with names."""

    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    """Texts with names."""

    YES = "yes"


class Right(enum.Flag):
    """Flags."""

    READ = 1
    WRITE = 2
    RUN = 4


class Mode(enum.IntFlag):
    """Flags that keep bits without names."""

    A = 1
    B = 2


class Odd(ValueError):
    """An error that is made of something else than its arguments."""

    def __init__(self, number: int, *, more: Any = None) -> None:
        super().__init__(f"number {number}")
        self.number = number
        self.more = more


class Mute(Exception):
    """An error without a text."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@dataclass
class Record(Exception):
    """An error that is a dataclass."""

    code: int
    why: str = ""


class Loud:
    """Tells of everything that is done to it."""

    def __new__(cls, *_: object) -> Loud:
        RAN.append("__new__")
        return object.__new__(cls)

    def __init__(self, *_: object) -> None:
        RAN.append("__init__")

    def __call__(self, *_: object) -> None:
        RAN.append("__call__")

    def __setstate__(self, _: object) -> None:
        RAN.append("__setstate__")

    def __setattr__(self, name: str, value: object) -> None:
        RAN.append(f"set {name}")
        object.__setattr__(self, name, value)


@dataclass(init=False)
class LoudData(Loud):
    """A dataclass that tells of everything."""

    a: Any = 1

    def __post_init__(self) -> None:
        RAN.append("__post_init__")

    @property
    def b(self) -> int:
        """A property."""
        RAN.append("get b")
        return 1

    @b.setter
    def b(self, _: object) -> None:
        RAN.append("set b")


class LoudModel(BaseModel):
    """A model that tells of everything."""

    a: int = 1

    def __init__(self, **held: Any) -> None:
        RAN.append("__init__")
        super().__init__(**held)

    @field_validator("a")
    @classmethod
    def check(cls, value: int) -> int:
        """Validate."""
        RAN.append("validate")
        return value

    def model_post_init(self, _: object) -> None:
        """After the initialization."""
        RAN.append("post init")

    def __setstate__(self, state: dict[Any, Any]) -> None:
        RAN.append("__setstate__")
        super().__setstate__(state)


class LoudError(Exception):
    """An error that tells of everything."""

    def __new__(cls, *_: object) -> LoudError:
        RAN.append("__new__")
        return Exception.__new__(cls)

    def __init__(self, *_: object) -> None:
        RAN.append("__init__")

    def __setattr__(self, name: str, value: object) -> None:
        RAN.append(f"set {name}")


class LoudFlag(enum.Flag):
    """Flags that tell of everything."""

    A = 1
    B = 2

    @classmethod
    def _missing_(cls, value: object) -> Any:
        RAN.append("_missing_")
        return super()._missing_(value)


class Loudest(type):
    """A class of classes that tells when its classes are called."""

    def __call__(cls, *args: Any) -> Any:
        RAN.append("call of a class")
        return super().__call__(*args)


class Made(metaclass=Loudest):
    """A class of that class."""


def function(*_: object) -> None:
    """No class."""
    RAN.append("function")


LAZY: dict[str, list[int]] = defaultdict(list)
INSTANCE = Loud()
RAN.clear()
