"""The core: what is held, and what goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from agentrt.semcache.base import Answer, Shelf
from agentrt.semcache.cache import Cache
from agentrt.semcache.category import Category, Eviction, Kinds
from agentrt.semcache.vectors import packed
from agentrt.types import ModelReply
from tests.executors.cached.stage import LETTERS, ByCosine, Rows

SHELVES = [Shelf(scope, category, "f") for scope in ("a", "b") for category in ("default", "faq")]


def cache(quota: int = 1_000, eviction: Eviction = "least recent") -> Cache:
    kinds = Kinds([Category(quota=quota, eviction=eviction), Category("faq", quota=quota, eviction=eviction)])
    return Cache(kinds, ByCosine(0.9), Rows)


def answer(number: int, exact: str, shelf: Shelf = SHELVES[0], at: float = 0.0) -> Answer:
    vector = packed(LETTERS.embed([exact])[0])
    return Answer(number, shelf, exact, exact, ModelReply(exact), at, vector=vector, embedder="letters")


def state(one: Cache) -> object:
    """All that can be seen from outside: what is found for each word on each shelf."""
    words = ["".join(chr(97 + (n * step) % 26) for n in range(4)) for step in range(1, 26)]
    rules = one.kinds.categories["default"]
    return [
        (one.same(shelf, word, rules, 0.0), one.near(shelf, word, LETTERS.embed([word])[0], rules, 0.0))
        for shelf in SHELVES
        for word in words
    ]


@pytest.mark.parametrize("seed", range(20))
def test_many_at_once_are_the_same_as_one_by_one(seed: int) -> None:
    """Whatever replaces what, within a page or beyond: the same is found."""
    draw = Random(seed)
    made = [
        answer(number, "".join(draw.choice("abcdef") for _ in range(2)), draw.choice(SHELVES))
        for number in range(1, 300)
    ]
    singly, paged = cache(), cache()
    gone = [left for one in made for left in singly.keep(one)]
    again: list[int] = []
    for first in range(0, len(made), 50):
        again += paged.load(made[first : first + 50])
    assert sorted(gone) == sorted(again)
    assert (len(singly), state(singly)) == (len(paged), state(paged))


@pytest.mark.parametrize("eviction", ["least recent", "least used", "oldest"])
def test_there_is_never_more_than_there_is_room_for(eviction: Eviction) -> None:
    """Under any mixture of keeping, giving and dropping; what went is told once, and not found again."""
    draw, held = Random(3), cache(quota=20, eviction=eviction)
    gone: list[int] = []
    for number in range(1, 500):
        gone += held.keep(answer(number, f"q{draw.randrange(60)}", draw.choice(SHELVES)))
        there = [one for one in range(1, number + 1) if one in held]
        if there and draw.random() < 0.5:
            held.given(draw.choice(there))
        if there and draw.random() < 0.1:
            left = draw.choice(there)
            held.drop([left])
            gone.append(left)
    assert len(held) <= 40
    assert len(gone) == len(set(gone)) == 499 - len(held)
    assert not any(one in held for one in gone)


def test_rules_decide_what_may_be_given() -> None:
    """Age, standing, and how near it has to be; a question that asks nothing is like none."""
    held = cache()
    held.keep(answer(1, "abcd"))
    rules = Category()
    vector = LETTERS.embed(["abcde"])[0]
    (found,) = near = held.near(SHELVES[0], "abcde", vector, rules, 0.0)
    assert (found.answer, found.question) == (1, "abcd")
    assert held.trusted(SHELVES[0], "abcde", near, rules) is None, "0.894 is below 0.9"
    assert held.near(SHELVES[0], "abcde", vector, replace(rules, least_cosine=0.95), 0.0) == ()
    assert held.near(SHELVES[0], "", vector, rules, 0.0) == ()
    assert held.near(SHELVES[1], "abcde", vector, rules, 0.0) == ()
    assert held.near(SHELVES[0], "abcde", vector, replace(rules, ttl=10.0), 11.0) == ()
    held.stand(1, "refused")
    assert held.same(SHELVES[0], "abcd", rules, 0.0) is None


def test_the_surest_of_the_near_ones_is_taken() -> None:
    """Not the nearest, if the verifier thinks otherwise."""

    class Other(ByCosine):
        def scores(self, question: str, near: Sequence[tuple[str, float]]) -> Sequence[float]:
            return [2.0 if stored == "abcc" else cosine for stored, cosine in near]

    held = Cache(Kinds([]), Other(0.9), Rows)
    held.load([answer(1, "abcd"), answer(2, "abcc")])
    near = held.near(SHELVES[0], "abcd", LETTERS.embed(["abcd"])[0], Category(), 0.0)
    found = held.trusted(SHELVES[0], "abcd", near, Category())
    assert found is not None
    assert (found.answer, found.score) == (2, 2.0)


def test_what_is_too_old_for_any_rules_is_told() -> None:
    """So that it can be thrown out of the store; tags find what belongs together."""
    held = cache()
    held.load([answer(1, "a"), answer(2, "b", at=100.0), replace(answer(3, "c", at=100.0), tags=("x",))])
    ttl = Category().ttl
    assert held.expired(ttl + 50) == [1]
    assert held.expired(ttl + 150) == [1, 2, 3]
    assert list(held.tagged("x")) == [3]


def test_vectors_survive_being_packed() -> None:
    """To a thousandth; a vector of nothing is no bytes."""
    rows: Sequence[str] = ("abc", "zzy")
    vectors = LETTERS.embed(list(rows))
    from agentrt.semcache.vectors import unpacked

    assert np.abs(unpacked(b"".join(map(packed, vectors)), 2) - vectors).max() < 1e-3
    assert packed(LETTERS.embed(["7"])[0]) == b""
