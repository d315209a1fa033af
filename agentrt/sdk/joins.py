"""Joins of the first of many, and conditions: what the graph can say without the program waiting."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar, overload

from agentrt.errors import ConfigError, ProgramError, StepSkipped
from agentrt.runtime import Handle, StepSpec, join

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


@overload
def any_of(first: Handle[A], second: Handle[B], /, *, cancel_rest: bool = False) -> Handle[A | B]: ...
@overload
def any_of(*handles: Handle[T], cancel_rest: bool = False) -> Handle[T]: ...
def any_of(*handles: Handle[Any], cancel_rest: bool = False) -> Handle[Any]:
    """The first value of several: ``await any_of(search(a), search(b))``.

    Fails when none of them can have a value any more; until then failures are passed over, and steps that were skipped.
    The others go on unless ``cancel_rest`` ends them. Raises ``ConfigError`` when there is no handle.
    """
    return _some("any_of", 1, handles, _the_first, cancel_rest)


def n_of(n: int, handles: Iterable[Handle[T]], *, cancel_rest: bool = False) -> Handle[list[T]]:
    """The first ``n`` values of several, in the order in which they came.

    Fails when too few of them can still have a value. Raises ``ConfigError`` when there are fewer handles than ``n``.
    """
    return _some("n_of", n, tuple(handles), _values, cancel_rest)


def when(handle: Handle[T], condition: Callable[[T], bool]) -> Handle[T]:
    """The value of a step if it meets a condition: ``publish(draft, when(review, lambda one: one.ok))``.

    Otherwise there is none: a step that takes it is skipped, and so on, which is no failure; ``await`` raises
    ``StepSkipped``. In a list, a tuple, a set or a dict, and as an argument with a default, it is just left out, unless
    all that the step takes is. The condition is asked once, when the value is there, and again when a run is replayed.
    """
    return join(
        StepSpec("when", "join", _never, value_of=partial(_judged, condition)), _handles("when", (handle,)), None
    )


def _some(
    name: str,
    need: int,
    handles: tuple[Handle[Any], ...],
    value: Callable[[Sequence[Handle[Any]]], Any],
    cancel_rest: bool,
) -> Handle[Any]:
    known = _handles(name, handles)
    if not 1 <= need <= len(known):
        raise ConfigError(f"{name}: {need} of {len(known)} steps: expected at least 1, and as many steps")

    def value_of(done: Sequence[Handle[Any]]) -> Any:
        if cancel_rest:  # soon: what is cancelled may be about to start
            done[0].run.loop.call_soon(_cancel, set(known).difference(done))
        return value(done)

    return join(StepSpec(name, "join", _never, value_of=value_of), known, need, depth=3)


def _handles(name: str, given: tuple[Handle[Any], ...]) -> tuple[Handle[Any], ...]:
    for one in given:
        if not isinstance(one, Handle):
            raise ProgramError(f"{name}: got {one!r}; expected handles, as calling a step gives them")
    return tuple(dict.fromkeys(given))


def _the_first(done: Sequence[Handle[Any]]) -> Any:
    return done[0].result()


def _values(done: Sequence[Handle[Any]]) -> list[Any]:
    return [one.result() for one in done]


def _judged(condition: Callable[[Any], bool], done: Sequence[Handle[Any]]) -> Any:
    value = done[0].result()
    holds = condition(value)
    if inspect.iscoroutine(holds):
        holds.close()
        raise ProgramError(f"when({done[0].id!r}, ...): its condition is a coroutine function; make it a plain one")
    if not holds:
        raise StepSkipped(f"the condition on step {done[0].id!r} does not hold")
    return value


def _cancel(rest: Iterable[Handle[Any]]) -> None:
    for one in rest:
        one.cancel()


async def _never(*_: object) -> None:
    raise AssertionError("a join has no body")
