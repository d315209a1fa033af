"""Handles inside arguments: found wherever they are, replaced by their values, and nothing else is touched."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict

from agentrt import Runtime, program, step
from agentrt.errors import ProgramError, RunFailed
from agentrt.runtime.arguments import collect, fill


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Box:
    inside: Any
    label: str = "box"


@dataclass(frozen=True)
class Sealed:
    inside: Any


@dataclass(frozen=True, slots=True)
class Slotted:
    inside: Any


class Model(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    inside: Any
    label: str = "model"


class Opaque:
    """Not searched: neither a container nor a dataclass nor a model."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside


@step
async def word(text: str) -> str:
    return text


@step
async def take(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


async def taken(make: Any) -> tuple[Any, tuple[tuple[str, str], ...]]:
    """What a step got that was called with ``make(handle)``, and the edges into it."""

    @program
    async def main() -> Any:
        args, _ = await take(make(word("x")))
        return args[0]

    result = await Runtime().run(main)
    return result.output, result.edges


@pytest.mark.parametrize(
    "make",
    [
        lambda one: one,
        lambda one: [one, "y"],
        lambda one: (one, "y"),
        lambda one: Pair(one, "y"),
        lambda one: {one, "y"},
        lambda one: frozenset({one, "y"}),
        lambda one: {"key": one, "other": "y"},
        lambda one: Box(one, "y"),
        lambda one: Sealed(one),
        lambda one: Slotted(one),
        lambda one: Model(inside=one),
        lambda one: [{"key": (Box(Sealed(Model(inside=Pair([one], one)))),)}],
    ],
    ids=[
        "bare",
        "list",
        "tuple",
        "namedtuple",
        "set",
        "frozenset",
        "dict",
        "dataclass",
        "frozen",
        "slots",
        "model",
        "nested",
    ],
)
async def test_a_handle_is_found_and_replaced(make: Any) -> None:
    """The step gets an equal structure of the same types with the value in it, and waits for the handle."""
    got, edges = await taken(make)
    assert got == make("x")
    assert type(got) is type(make("x"))
    assert edges == (("word#1", "take#1"),)


async def test_keyword_arguments_are_searched_too() -> None:
    """Handles in keyword arguments are dependencies like any other."""

    @program
    async def main() -> Any:
        return await take(word("a"), key=[word("b")])

    result = await Runtime().run(main)
    assert result.output == (("a",), {"key": ["b"]})
    assert result.edges == (("word#1", "take#1"), ("word#2", "take#1"))


async def test_the_callers_containers_stay_as_they_are() -> None:
    """Filling makes new containers; the caller's own still hold the handles."""

    @program
    async def main() -> bool:
        mine = [word("a")]
        box = Box(mine)
        await take(mine, box)
        return mine[0].done() and box.inside is mine

    assert (await Runtime().run(main)).output


async def test_what_holds_no_handle_keeps_its_identity() -> None:
    """Beside a handle, parts that need no filling arrive as the very same objects."""
    plain: list[Any] = [[1, 2], {"a": 1}, Box(1), Model(inside=1), (1, [2]), {3}, Opaque(1), OrderedDict(a=1)]

    @program
    async def main() -> Any:
        args, _ = await take(plain, [word("a"), *plain])
        return args

    whole, mixed = (await Runtime().run(main)).output
    assert whole is plain
    assert mixed[0] == "a"
    assert all(got is given for got, given in zip(mixed[1:], plain, strict=True))


@pytest.mark.parametrize("value", ["text", b"x", 1, 2.0, True, None, 1j, [], {}, (), [1, [2, {"a": 3}]], Box, Model])
def test_plain_values_pass_through(value: Any) -> None:
    """Nothing is found in plain values, classes included, and filling gives back the same object."""
    found: list[Any] = []
    collect(value, found)
    assert found == []
    assert fill(value) is value


async def test_classes_and_opaque_objects_are_not_searched() -> None:
    """A handle hidden in an object of a class of one's own is no dependency; it arrives as a handle."""

    @program
    async def main() -> Any:
        hidden = word("a")
        args, _ = await take(Opaque(hidden), Box)
        return args[0].inside is hidden, args[1] is Box

    result = await Runtime().run(main)
    assert result.output == (True, True)
    assert result.edges == ()


async def test_one_handle_many_times_is_one_dependency() -> None:
    """The same handle in several places gives one edge, and its value in each of them."""

    @program
    async def main() -> Any:
        one = word("a")
        args, _ = await take(one, [one, {"b": one}])
        return args

    result = await Runtime().run(main)
    assert result.output == ("a", ["a", {"b": "a"}])
    assert result.edges == (("word#1", "take#1"),)


class Unsearched(list[Any]):
    """A list that cannot be walked through."""

    def __iter__(self) -> Any:
        raise AssertionError("somebody searched a result")


async def test_results_are_handed_on_without_being_searched() -> None:
    """However large a result is, the steps that take it get that very object, and nobody looks inside."""
    large = Unsearched([1])

    @step
    async def make() -> Any:
        return large

    @program
    async def main() -> bool:
        args, _ = await take(make())
        return args[0] is large

    assert (await Runtime().run(main)).output


@dataclass
class Derived:
    """Has a field that its constructor does not take."""

    inside: Any
    length: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.length = 7


async def test_dataclasses_with_derived_fields_are_filled() -> None:
    """A field that the constructor does not take does not stand in the way."""
    got, _ = await taken(Derived)
    assert (got.inside, got.length) == ("x", 7)


def test_a_dict_subclass_without_handles_is_not_copied() -> None:
    """An ordered dict that needs no filling stays the ordered dict it is."""
    value = OrderedDict(a=1, b=[2])
    assert fill(value) is value


async def test_an_argument_that_contains_itself_is_refused() -> None:
    """A list inside itself gives one clear error that names the step, never a crash of the stack."""
    knot: list[Any] = []
    knot.append(knot)

    @program
    async def main() -> None:
        await take(knot)

    result = await Runtime().run(main)
    assert isinstance(result.error, RunFailed)
    assert isinstance(result.error.__cause__, ProgramError)
    assert "step 'take': an argument contains itself" in str(result.error)


@dataclass
class Half:
    inside: Any
    later: Any = field(init=False)


async def test_a_dataclass_with_a_field_not_set_yet_is_filled() -> None:
    """What has no value yet is left so."""
    got, _ = await taken(Half)
    assert got.inside == "x"
    assert not hasattr(got, "later")


async def test_a_field_outside_the_constructor_is_filled_too() -> None:
    """A handle in a field that the constructor does not take becomes its value."""

    def made(handle: Any) -> Half:
        half = Half(1)
        half.later = handle
        return half

    got, _ = await taken(made)
    assert (got.inside, got.later) == (1, "x")


class Named(list[Any]):
    def __init__(self, name: str, items: list[Any]) -> None:
        super().__init__(items)
        self.name = name


async def test_containers_of_other_kinds_stay_what_they_are() -> None:
    """A list with an argument of its own and a dict with a default keep both."""
    got, _ = await taken(lambda handle: Named("mine", [handle, 1]))
    assert (type(got), got.name, got) == (Named, "mine", ["x", 1])

    def grouped(handle: Any) -> dict[str, Any]:
        groups = defaultdict(list)
        groups["a"] = handle
        return groups

    got, _ = await taken(grouped)
    assert type(got) is defaultdict
    assert (got["a"], got["other"]) == ("x", [])


async def test_keys_of_a_dict_are_filled() -> None:
    """A handle as a key becomes its value, as one beside it does."""
    got, _ = await taken(lambda handle: {handle: 1, "y": handle})
    assert got == {"x": 1, "y": "x"}
