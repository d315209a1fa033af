"""Joins, which stand for what steps take together or come after: written once, and named from then on.

A join is kept among the large texts of its run: the names of what it gathers as a JSON list, steps by their ids and
other joins by their names. A name is made of the text's hash, and has no ``#``, as ids of steps have. So a program that
awaits ever more steps writes what is new with the name of the join before, not everything again. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSet
from typing import Any, Final, TypeVar

from agentrt.types import StepId

_JOIN: Final = "join-"

T = TypeVar("T")


def join_named(hash_: str) -> StepId:
    """The name of the join whose text has this hash."""
    return StepId(f"{_JOIN}{hash_}")


def hash_of(join: str) -> str:
    """The hash of a join's text."""
    return join.removeprefix(_JOIN)


def is_join(name: str) -> bool:
    """Whether a name is a join's, and no step's id."""
    return name.startswith(_JOIN) and "#" not in name


def edges_of(data: Mapping[str, Any]) -> tuple[list[StepId], list[StepId]]:
    """What a step takes, and what it comes after, by the data of its ``called`` entry.

    Before version 3 of the journal a join had no name, only its text a hash: the names of all steps behind it.
    """
    inputs, after = (
        [join_named(data[f"{name}body"])] if f"{name}body" in data else data.get(name, []) for name in ("in", "after")
    )
    return inputs, after


def gathered(join: str, body: Callable[[str], str]) -> list[StepId]:
    """What a join gathers; ``body`` gives a text by its hash."""
    names: list[StepId] = json.loads(body(hash_of(join)))
    return names


def new_joins(
    names: Iterable[StepId], known: MutableSet[StepId], body: Callable[[str], str]
) -> Iterator[tuple[StepId, list[StepId]]]:
    """The joins that are not ``known`` yet among these names and behind them, with what they gather.

    Each comes after those that it gathers, and is known from then on.
    """
    found: dict[StepId, list[StepId]] = {}

    def inside(join: StepId) -> Iterable[StepId]:
        found[join] = gathered(join, body)
        return filter(is_join, found[join])

    for join in bottom_up(filter(is_join, names), known.__contains__, inside):
        known.add(join)
        yield join, found.pop(join)


def bottom_up(tops: Iterable[T], known: Callable[[T], object], inside: Callable[[T], Iterable[T]]) -> Iterator[T]:
    """These and what is inside them, as far as it is not known: each after what is inside it.

    Who asks for the next one has to know those before. A loop, as joins may be nested as deep as a program is long.
    """
    left = list(tops)
    left.reverse()
    opened: set[T] = set()
    while left:
        one = left[-1]
        if known(one):
            left.pop()
        elif one in opened:
            yield one
        else:
            opened.add(one)
            left.extend(inside(one))
