"""What the parts of the semantic cache hand to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from agentrt.types import ModelReply

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector: TypeAlias = NDArray[np.float32]
    """One row of ``size`` numbers, of length 1."""
    Vectors: TypeAlias = NDArray[np.float32]
    """Rows of ``size`` numbers, each of length 1."""

AnswerId: TypeAlias = int
"""Counts up; an answer that was let go leaves a gap."""

Standing: TypeAlias = Literal["new", "signed", "refused"]
"""signed: a person vouches for it; refused: it was wrong, and is never given again."""


class Shelf(NamedTuple):
    """Where an answer lies. Nearness is only asked within one shelf.

    ``scope`` is whose answers they are: ``user:HASH``, ``tenant:HASH`` or ``global``, hashes of their names.
    ``fingerprint`` is a hash of all that makes a reply but the question itself.
    """

    scope: str
    category: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said to a question. ``exact`` is the hash of the whole request.

    ``at`` is when, in seconds since the epoch; ``seconds`` what the model took; ``tags`` are what it can be thrown out
    by. ``vector`` is the question's, as 16-bit floats, as the embedder of that name made it; both are empty where only
    equal requests count.
    """

    id: AnswerId
    shelf: Shelf
    exact: str
    question: str
    reply: ModelReply
    at: float
    seconds: float = 0.0
    tags: tuple[str, ...] = ()
    standing: Standing = "new"
    vector: bytes = b""
    embedder: str = ""


class Feedback(NamedTuple):
    """Whether an answer would have been right for another question: what the bound is learned from.

    ``score`` is the verifier's at that time, ``by`` who judged: ``exact``, ``embedding``, ``model`` or ``person``.
    """

    shelf: Shelf
    answer: AnswerId
    question: str
    stored: str
    cosine: float
    score: float
    right: bool
    by: str
    at: float


class Near(NamedTuple):
    """A stored question that is near: its answer, and the cosine of both."""

    answer: AnswerId
    cosine: float


class Embedder(Protocol):
    """Makes texts vectors. ``name`` says which vectors can be compared; ``quick``: it takes less than a millisecond.

    May raise ``ExecutorError`` when it is somewhere else, and ``ConfigError`` when it cannot be used here.
    """

    @property
    def name(self) -> str:
        """Model and version: vectors of another name are of no use."""
        ...

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        ...

    @property
    def quick(self) -> bool:
        """Whether it may be called on the event loop."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """A row for each text, of length 1; a text without a word that it knows is a row of zeros."""
        ...


class Index(Protocol):
    """Vectors by number, and the nearest of them by cosine. Not for several threads at once."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def add(self, ids: Sequence[AnswerId], vectors: Vectors) -> None:
        """Take these in; an id that is there is replaced."""
        ...

    def remove(self, ids: Sequence[AnswerId]) -> None:
        """Let these go; ids that are not there are no mistake."""
        ...

    def search(self, vector: Vector, most: int) -> list[Near]:
        """The nearest, the nearest first; fewer than ``most`` where there are fewer."""
        ...

    def save(self, path: Path) -> None:
        """Write it into a file, whole or not at all."""
        ...


class AnswerStore(Protocol):
    """Where answers and feedback are kept. Everything may raise ``JournalError``."""

    async def reserve(self, count: int) -> range:
        """Ids for so many answers to come: larger than all before, and nobody else's, in this process or another."""
        ...

    async def put(self, answers: Sequence[Answer]) -> None:
        """Keep these, all or none; an answer to an equal request on the same shelf is replaced."""
        ...

    def answers(self, *, after: AnswerId = 0) -> AsyncIterator[Sequence[Answer]]:
        """All that are kept, in the order of their ids, some thousand at a time; of replies only the ``model``."""
        ...

    async def reply(self, answer: AnswerId) -> ModelReply | None:
        """What was said; ``None`` when it is gone."""
        ...

    async def drop(self, answers: Sequence[AnswerId]) -> None:
        """Throw these out."""
        ...

    async def stand(self, answer: AnswerId, standing: Standing) -> None:
        """Sign an answer, or refuse it. Raises ``NoSuchAnswer`` when it is gone."""
        ...

    async def used(self, hits: Mapping[AnswerId, int], at: float) -> None:
        """These were given again so many times."""
        ...

    async def judge(self, feedback: Sequence[Feedback]) -> None:
        """Keep feedback."""
        ...

    async def feedback(self) -> Sequence[Feedback]:
        """All of it, the oldest first."""
        ...
