"""Rules for kinds of questions (category-aware caching, 2510.26835), and finding what kind a question is of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from agentrt.errors import ConfigError
from agentrt.semcache.base import Embedder
from agentrt.types import Scope

if TYPE_CHECKING:
    from agentrt.semcache.base import Vector

Eviction: TypeAlias = Literal["least recent", "least used", "oldest"]
"""What goes first when a category is full: what was not given again for the longest time, or least often, or what came
first."""

DEFAULT: Final = "default"
"""The category of questions of no other kind."""

_ALIKE: Final = 0.3
"""Cosine to the middle of a category's examples below which a question is of no kind."""


@dataclass(frozen=True, slots=True)
class Relax:
    """What a category allows while the engine is busy.

    From a load of ``above`` on, up to 1, the rules move from the usual ones to these: ``max_error_rate``, and ``ttl``
    times the usual time to live.
    """

    above: float = 0.8
    max_error_rate: float = 0.0
    ttl: float = 1.0


@dataclass(frozen=True, slots=True)
class Category:
    """The rules for one kind of question.

    ``max_error_rate`` is the share of wrong answers among those that are given to another question than their own,
    promised with ``confidence``; 0 allows only equal requests. ``least_cosine`` is asked for besides. ``ttl`` is in
    seconds. ``quota`` is how many answers are kept, ``eviction`` which go first. ``scope`` is whom an answer may be
    given to. ``signed``: only answers that a person vouched for are given to other questions. ``sampled`` caches
    replies that were drawn at a temperature, too. ``shadow`` is the share of answers from the cache that the model
    gives all the same, so that the error is measured. ``examples`` are questions of this kind, for those that name no
    category.
    Raises ``ConfigError`` for rules that cannot be kept.
    """

    name: str = DEFAULT
    max_error_rate: float = 0.02
    confidence: float = 0.95
    least_cosine: float = 0.0
    ttl: float = 7 * 86_400.0
    quota: int = 100_000
    eviction: Eviction = "least recent"
    scope: Scope = "tenant"
    signed: bool = False
    sampled: bool = False
    shadow: float = 0.05
    relax: Relax | None = None
    examples: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rates = {"max_error_rate": self.max_error_rate, "shadow": self.shadow, "confidence": self.confidence}
        for name, value in rates.items():
            if not 0 <= value < 1:
                raise ConfigError(
                    f"category {self.name!r}: {name} is {value!r}; expected a share, 0 or more and below 1"
                )
        if not self.ttl > 0 or self.quota < 1:
            raise ConfigError(
                f"category {self.name!r}: ttl is {self.ttl!r} s and quota {self.quota!r}; expected more than 0, and 1 "
                f"or more"
            )
        if self.relax is not None and not self.max_error_rate <= self.relax.max_error_rate < 1:
            raise ConfigError(
                f"category {self.name!r}: under load {self.relax.max_error_rate!r} wrong answers would be allowed; "
                f"expected at least the usual {self.max_error_rate!r}, and below 1"
            )

    @property
    def near(self) -> bool:
        """Whether anything but equal requests may ever be answered."""
        return self.max_error_rate > 0 or (self.relax is not None and self.relax.max_error_rate > 0)

    def under(self, load: float) -> tuple[Category, str]:
        """The rules while the engine is so busy, 0 to 1, and why they are others than usual; empty if they are not."""
        relax = self.relax
        if relax is None or not load > relax.above:
            return self, ""
        part = min(1.0, (load - relax.above) / max(1e-9, 1.0 - relax.above))
        rate = self.max_error_rate + part * (relax.max_error_rate - self.max_error_rate)
        ttl = self.ttl * (1 + part * (relax.ttl - 1))
        why = f"load {load:.2f}: up to {rate:.1%} wrong instead of {self.max_error_rate:.1%}, {ttl:.0f} s old"
        return replace(self, max_error_rate=rate, ttl=ttl), why


class Kinds:
    """The categories there are, and which of them a question is of: the one whose examples it is nearest to.

    Raises ``ConfigError`` for two of one name.
    """

    def __init__(self, categories: Sequence[Category], embedder: Embedder | None = None) -> None:
        self.categories = {one.name: one for one in (Category(), *categories)}
        if len({one.name for one in categories}) < len(categories):
            raise ConfigError(f"two categories have one name: {', '.join(one.name for one in categories)}")
        self._middles: dict[str, Vector] = {}
        for one in categories if embedder is not None else ():
            if one.examples:
                assert embedder is not None, "asked above"
                self._middles[one.name] = _middle(one.examples, embedder)

    @property
    def finds(self) -> bool:
        """Whether a question's category depends on what it says."""
        return bool(self._middles)

    def named(self, name: str) -> Category:
        """The rules of that name. Raises ``ConfigError`` naming those there are."""
        if name in self.categories:
            return self.categories[name]
        known = ", ".join(map(repr, self.categories))
        raise ConfigError(
            f"there is no cache category {name!r}; there are {known}: give it to SemanticCache(categories=...)"
        )

    def of(self, vector: Vector) -> Category:
        """The category of a question that names none."""
        near = {name: float(middle @ vector) for name, middle in self._middles.items()}
        best = max(near, key=near.__getitem__, default=DEFAULT)
        return self.categories[best if near.get(best, 0.0) >= _ALIKE else DEFAULT]


def _middle(examples: Sequence[str], embedder: Embedder) -> Vector:
    middle: Vector = embedder.embed(list(examples)).sum(axis=0)
    length = math.sqrt(float(middle @ middle))
    return middle / length if length else middle
