"""Values come back from a journal as they were, and nothing runs when they are read."""

from __future__ import annotations

import array
import asyncio
import io
import json
import math
import os
import re
import subprocess
import sys
import threading
import types
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, create_model

from agentrt.errors import RunFailed, StepTimeout
from agentrt.store.codec import Undecodable, Unstorable, decode, digest, encode, show, show_call
from tests.store import samples
from tests.store.samples import (
    RAN,
    Box,
    Checked,
    Child,
    Colour,
    Frozen,
    Level,
    Mode,
    Model,
    Mute,
    Node,
    Numbers,
    Odd,
    Plain,
    Point,
    Record,
    Right,
    Slotted,
    Word,
)

BERLIN = ZoneInfo("Europe/Berlin")


def same(one: Any, other: Any) -> bool:
    """Equal, of the same types all the way down; what is no number is the same as itself."""
    if type(one) is not type(other):
        return False
    match one:
        case float():
            return repr(one) == repr(other)
        case complex():
            return same([one.real, one.imag], [other.real, other.imag])
        case Decimal():
            return str(one) == str(other)
        case list() | tuple() | deque():
            return len(one) == len(other) and all(map(same, one, other))
        case set() | frozenset():
            return same(sorted(one, key=encode), sorted(other, key=encode))
        case dict():
            return same(list(one.items()), list(other.items()))
    if is_dataclass(one):
        return all(same(getattr(one, f.name, None), getattr(other, f.name, None)) for f in fields(one))
    if isinstance(one, BaseModel):
        return same(one.__getstate__(), other.__getstate__())
    return bool(one == other)


# -- as it was -------------------------------------------------------------------------------------------------------

# two halves of one character beside each other are one character in JSON; nothing else of Unicode is lost
TEXTS = st.text(st.characters(codec="utf-8")) | st.text(st.characters(categories=["Cs"]), max_size=1)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers().map(lambda number: number << 12_000),
    st.floats(),
    TEXTS,
    st.binary(max_size=20),
    st.complex_numbers(),
    st.decimals(allow_nan=False),
    st.fractions(max_denominator=10**20),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones()),
    st.times(timezones=st.none() | st.just(timezone(timedelta(minutes=-90)))),
    st.timedeltas(),
    st.sampled_from([*Colour, *Level, *Word, *Right, Right.READ | Right.RUN, Right(0), Mode(9), Mode.A | Mode.B]),
    st.sampled_from([range(3), range(10, -5, -2), Path("a/b"), PurePosixPath("/x"), PureWindowsPath("c:\\x")]),
)
HASHABLE = st.recursive(
    LEAVES,
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3) | st.builds(Frozen, inner),
    max_leaves=4,
)
VALUES = st.recursive(
    LEAVES | st.decimals() | st.sets(HASHABLE, max_size=4) | st.binary(max_size=5).map(bytearray),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(HASHABLE | st.just("$"), inner, max_size=4),
        st.dictionaries(st.sampled_from(["$", "v", "c", "a"]), inner, max_size=4),
        st.builds(deque, st.lists(inner, max_size=3), st.sampled_from([None, 3])),
        st.dictionaries(TEXTS, inner, max_size=3).map(OrderedDict),
        st.dictionaries(TEXTS, inner, max_size=3).map(lambda held: defaultdict(list, held)),
        st.dictionaries(TEXTS, st.integers(), max_size=3).map(Counter),
        st.builds(Point, inner, inner),
        st.builds(Plain, inner, inner),
        st.builds(Slotted, inner, inner),
        st.builds(Node, inner, st.lists(st.builds(Node, inner), max_size=2)),
        st.builds(Model, A=inner, b=st.lists(st.integers(), max_size=2), more=inner),
        st.builds(Box, held=inner),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    """Whatever is data, however it is nested: the same value, of the same types; the same text; and that is ASCII."""
    text = encode(value)
    back = decode(text)
    assert same(back, value)
    assert encode(back) == text
    assert text.isascii()
    assert "\0" not in text
    json.loads(text, parse_constant=pytest.fail)  # text that every reader of JSON takes


def test_objects_come_back_whole() -> None:
    """What an object keeps beside its fields comes back with it, what is only kept for speed does not."""
    plain, model = Plain([1]), Child(A=1, extra="x", c=Model(A=2))
    assert (plain.text, model.text) == ("[1]", "1")
    model._private = {"k": (1,)}
    back, again = decode(encode(plain)), decode(encode(model))
    assert vars(back) == {"a": [1], "b": None, "beside": [[1]]}
    assert again == model
    assert (again._private, again.model_extra, again.model_fields_set) == (
        {"k": (1,)},
        {"extra": "x"},
        {"a", "c", "extra"},
    )
    assert "text" not in vars(again)
    assert not hasattr(again, "_unset")


def test_equal_objects_are_equal_text() -> None:
    """The order in which attributes were set does not show, nor what was looked at."""
    one, other = Plain(1, 2), Plain(1, 2)
    del other.a, other.beside
    other.beside, other.a = [1], 1
    assert other.text == "1"
    assert encode(one) == encode(other)


def test_frozen_and_slotted_objects_come_back() -> None:
    """Those that cannot be changed, hold slots, or lack a value so far."""
    slotted = Slotted(1, b=[2])
    assert decode(encode(slotted)).b == [2]
    assert not hasattr(decode(encode(slotted)), "late")
    object.__setattr__(slotted, "late", 4)
    assert decode(encode(slotted)).late == 4
    assert decode(encode(Checked(5))) == Checked(5)
    assert decode(encode(Numbers([1, 2]))) == Numbers([1, 2])
    assert decode(encode(Box[int](held=1))) == Box[int](held=1)


def test_what_depends_on_a_clock_comes_back() -> None:
    """A time keeps its zone, and which of two it is when clocks are set back."""
    twice = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)
    back = decode(encode(twice))
    assert (back.tzinfo, back.fold, back.utcoffset()) == (BERLIN, 1, timedelta(hours=1))
    assert decode(encode(time(12, fold=1))).fold == 1
    assert decode(encode(datetime(1, 1, 1, tzinfo=timezone(timedelta(0, 1))))).utcoffset() == timedelta(0, 1)


def test_large_values_come_back() -> None:
    """Megabytes, and numbers that Python does not write in digits."""
    for value in ("ä" * 1_000_000, b"\xff" * 1_000_000, 10**100_000, {-(10**5_000), 2.0}, list(range(100_000))):
        assert decode(encode(value)) == value


@pytest.mark.parametrize("seed", ["0", "1", "77"])
def test_equal_values_are_equal_text_in_every_process(seed: str) -> None:
    """Sets are written in an order that does not depend on the process."""
    code = """
from agentrt.store.codec import encode, show
from tests.store.samples import *
value = {"a", "b", "c", ("d", 1), frozenset({"x", "y"}), 1, 2.5, None, Colour.RED, Point("p", "q"), Frozen("f")}
print(encode([value, Model(A=value), Slotted(value), Odd(1, more=value)]))
print(show([value, {function}, {INSTANCE}]))
"""
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": one}, check=True, capture_output=True
        ).stdout
        for one in (seed, "123")
    ]
    assert said[0] == said[1]
    assert said[0].count(b"\n") == 2


def test_a_hash_is_of_the_text_alone() -> None:
    """128 bits, as hexadecimal digits, the same for the same text."""
    assert digest(encode("x")) == digest('"x"')
    assert re.fullmatch("[0-9a-f]{32}", digest(""))
    assert digest("a") != digest("b")


# -- errors ----------------------------------------------------------------------------------------------------------


def test_errors_come_back_with_all_they_hold() -> None:
    """Arguments, attributes, notes, what caused them, and what is built in."""
    error = Odd(3, more={"why": (1, None)})
    error.add_note("looked at twice")
    error.__cause__ = ImportError("no x", name="x", path="/y")
    back = decode(encode(error))
    assert (type(back), str(back), back.args) == (Odd, "number 3", ("number 3",))
    assert (back.number, back.more, back.__notes__) == (3, {"why": (1, None)}, ["looked at twice"])
    assert (back.__cause__.name, back.__cause__.path, back.__suppress_context__) == ("x", "/y", True)
    assert not decode(encode(ValueError())).__suppress_context__
    exit_, missing = decode(encode(SystemExit(4))), decode(encode(FileNotFoundError(2, "gone", "a.txt")))
    assert (exit_.code, missing.filename, missing.errno) == (4, "a.txt", 2)
    assert decode(encode(StopIteration(5))).value == 5
    record = decode(encode(Record(1, "x")))
    assert (type(record), record.code, record.why) == (Record, 1, "x")


def test_groups_of_errors_come_back() -> None:
    """Groups within groups, of every class."""
    group = BaseExceptionGroup("all", [KeyboardInterrupt(), ExceptionGroup("some", [Odd(1), StepTimeout("late")])])
    back = decode(encode(group))
    assert (back.message, [type(one) for one in back.exceptions]) == ("all", [KeyboardInterrupt, ExceptionGroup])
    assert [str(one) for one in back.exceptions[1].exceptions] == ["number 1", "late"]


def test_of_an_error_what_is_no_data_is_left_out() -> None:
    """A lock among the attributes costs the lock, not the others; one among the arguments leaves the text."""
    error = Odd(3, more=threading.Lock())
    back = decode(encode(error))
    assert (str(back), back.number) == ("number 3", 3)
    assert not hasattr(back, "more")
    assert decode(encode(ValueError("a", threading))).args == (str(ValueError("a", threading)),)
    assert isinstance(decode(encode(Mute(1))), Mute)


def test_errors_that_hold_themselves_are_stored_by_their_text() -> None:
    """However an error is tied up, storing it ends, soon."""
    one, other = Odd(1), Odd(2)
    one.more, one.__cause__, other.__cause__ = one, other, one
    back = decode(encode(one))
    assert (type(back), back.args) == (Odd, ("number 1",))
    chain: BaseException = ValueError("first")
    for number in range(5_000):
        wrapped = RunFailed(str(number))
        wrapped.__cause__ = chain
        chain = wrapped
    assert str(decode(encode(chain))) == "4999"


def test_an_error_that_is_defined_in_a_function_is_one_of_those_it_is() -> None:
    """The nearest class that can be found again takes its place, so that it is still caught as that."""

    class Local(Odd):
        pass

    back = decode(encode(Local(3)))
    assert (type(back), str(back), back.number) == (Odd, "number 3", 3)


# -- what is no data -------------------------------------------------------------------------------------------------


def local() -> Any:
    """An object of a class that nobody finds again."""

    @dataclass
    class Local:
        a: int

    return Local(1)


def circle() -> list[Any]:
    """A list that holds itself."""
    found: list[Any] = []
    found.append(found)
    return found


def deep() -> list[Any]:
    """A list in a list, and so on."""
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()


@dataclass
class Table(dict[str, int]):
    """A dataclass that is a dict as well."""

    a: int = 1


class WithLock(BaseModel, arbitrary_types_allowed=True):
    """A model of something that is no data."""

    lock: Any


NO_DATA = [
    (threading.Lock(), "a _thread:lock"),
    (open, "a builtins:builtin_function_or_method"),
    (local, "a builtins:function"),
    (samples, "a builtins:module"),
    (samples.Loud, "a builtins:type"),
    (samples.INSTANCE, "a tests.store.samples:Loud"),
    (io.StringIO(), "a _io:StringIO"),
    (array.array("b"), "a array:array"),
    (types.SimpleNamespace(a=1), "a types:SimpleNamespace"),
    (iter([]), "a builtins:list_iterator"),
    (Text("x"), "a tests.store.test_codec:Text"),
    (Table(), "a tests.store.test_codec:Table"),
    (WithLock(lock=threading.Lock()), "a _thread:lock"),
    (Plain(os.stat("/")), "a os:stat_result"),  # noqa: PTH116 - a tuple that says what it is in another way
    (defaultdict(lambda: 1), "a collections:defaultdict"),
    (local(), "not found by its name; define the class at the top of a module"),
    (make_dataclass("Made", ["a"])(1), ":Made, which is not found by its name"),
    (create_model("Dynamic", a=(int, 1))(), "Dynamic, which is not found by its name"),
    (circle(), "a builtins:list that contains itself, or is nested too deeply"),
    (deep(), "a builtins:list that contains itself, or is nested too deeply"),
    (Fraction(1, 10**5_000), "with a number that is too long to write"),
]


@pytest.mark.parametrize(("value", "said"), NO_DATA, ids=lambda one: one if isinstance(one, str) else "")
def test_what_is_no_data_is_refused_by_its_type(value: Any, said: str) -> None:
    """The message says what is not data, wherever it is; nothing of it is stored."""
    for whole in (value, [1, {"a": (value,)}]):
        with pytest.raises(Unstorable) as error:
            encode(whole)
        assert said.replace("list that", "") in str(error.value).replace("list that", "")


@pytest.mark.parametrize("value", [one for one, _ in NO_DATA])
def test_everything_can_be_shown(value: Any) -> None:
    """For reading and comparing, every value is text, the same each time, and JSON."""
    assert show(value) == show(value)
    assert show_call((value,), {"a": value}) == show_call((value,), {"a": value})
    json.loads(show(value))


def test_an_object_may_say_how_it_is_shown() -> None:
    """A method ``__journal__`` tells what stands for an object; the address of none does."""

    class Own:
        def __journal__(self) -> str:
            return "own"

    assert json.loads(show([Own()])) == [{"$": "shown", "v": "own"}]
    assert "0x" not in show([object(), asyncio.Lock(), local()])


def test_a_call_without_arguments_is_shown_as_nothing() -> None:
    """The arguments of a call are a list of two, whatever is among them."""
    assert show_call((), {}) == ""
    assert json.loads(show_call((1, None), {})) == [[1, None], {}]
    assert json.loads(show_call((math.inf,), {})) == [[{"$": "float", "v": "inf"}], {}]
    assert json.loads(show_call((), {"b": 1})) == [[], {"b": 1}]


# -- reading ---------------------------------------------------------------------------------------------------------


def test_reading_runs_no_code_of_a_class() -> None:
    """No constructor, no validator, no property, no hook: only what the object held is put into it."""
    data, model = samples.LoudData(), samples.LoudModel(a=2)
    flag, error = samples.LoudFlag.A | samples.LoudFlag.B, samples.LoudError("x")
    texts = [encode(one) for one in (data, model, flag, samples.LoudFlag(0), error)]
    for member in (flag, samples.LoudFlag(0)):
        del samples.LoudFlag._value2member_map_[member._value_]  # as in a process that has not had them yet
    RAN.clear()
    back = [decode(text) for text in texts]
    assert [RAN, type(back[0]), back[1]] == [[], samples.LoudData, model]
    assert back[2]._value_ == 3
    assert back[3]._value_ == 0
    assert (type(back[4]), back[4].args) == (samples.LoudError, error.args)


HOSTILE = [  # HERE is the module of samples
    '{"$":"data","c":"HERE:function","v":{}}',
    '{"$":"data","c":"HERE:INSTANCE","v":{}}',
    '{"$":"data","c":"HERE:Loud","v":{"a":1}}',
    '{"$":"data","c":"HERE:Loud.__init__","v":{}}',
    '{"$":"data","c":"HERE:LAZY.x","v":{}}',
    '{"$":"data","c":"HERE:Made","v":{}}',
    '{"$":"data","c":"HERE:LoudModel","v":{}}',
    '{"$":"data","c":"HERE:LoudData","v":[]}',
    '{"$":"data","c":"HERE:Plain","v":{"b":1}}',
    '{"$":"data","c":"HERE","v":{}}',
    '{"$":"data","c":"HERE:","v":{}}',
    '{"$":"data","c":"os:system","v":"true"}',
    '{"$":"data","c":"os:environ","v":{}}',
    '{"$":"data","c":"subprocess:Popen","v":{"args":"true"}}',
    '{"$":"data","c":"builtins:eval","v":{}}',
    '{"$":"data","c":"no.such.module:Class","v":{}}',
    '{"$":"data","c":"../evil:Class","v":{}}',
    '{"$":"data","c":".samples:Plain","v":{"a":1}}',
    '{"$":"data","c":"","v":{}}',
    '{"$":"data","c":7,"v":{}}',
    '{"$":"data","c":["os","system"],"v":{}}',
    '{"$":"data","v":{}}',
    '{"$":"model","c":"HERE:LoudData","v":{}}',
    '{"$":"model","c":"HERE:LoudModel","v":{"a":1}}',
    '{"$":"model","c":"HERE:LoudModel","v":{"__dict__":7,"__class__":1}}',
    '{"$":"named","c":"HERE:Loud","v":[]}',
    '{"$":"named","c":"HERE:Point","v":[1]}',
    '{"$":"named","c":"HERE:Point","v":[1,2,3]}',
    '{"$":"named","c":"ast:Name","v":[1,2]}',
    '{"$":"named","c":"builtins:tuple","v":[1]}',
    '{"$":"enum","c":"HERE:Loud","v":"__init__"}',
    '{"$":"enum","c":"HERE:Colour","v":"BLUE"}',
    '{"$":"enum","c":"HERE:Colour","v":"__class__"}',
    '{"$":"enum","c":"HERE:Right","v":"X","n":64}',
    '{"$":"enum","c":"HERE:Right","v":"X","n":"1"}',
    '{"$":"error","c":"HERE:Loud","args":null,"state":null,"cause":null,"text":""}',
    '{"$":"error","c":"HERE:Odd"}',
    '{"$":"nothing","v":1}',
    '{"$":null}',
    '{"$":[],"v":1}',
    '{"$":{"$":"tuple","v":[]},"v":1}',
    '{"$":"tuple"}',
    '{"$":"set","v":[[1]]}',
    '{"$":"dict","v":[[[],1]]}',
    '{"$":"dict","v":[[1,2,3]]}',
    '{"$":"deque","v":[],"max":-1}',
    '{"$":"default","v":[],"of":"eval"}',
    '{"$":"bytes","v":7}',
    '{"$":"bytes","v":"?"}',
    '{"$":"uuid","v":"x"}',
    '{"$":"range","v":[1,2,0]}',
    '{"$":"timedelta","v":[1e99,0,0]}',
    '{"$":"decimal","v":"x"}',
    '{"$":"fraction","v":"1e999999999"}',
    '{"$":"fraction","v":"1/0"}',
    '{"$":"datetime","v":"2020-01-01","zone":"../../etc/passwd"}',
    '{"$":"int","v":"0xg"}',
    "[" * 100_000 + "]" * 100_000,
    '{"a":',
    "",
    "nonsense",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:70])
def test_hostile_text_runs_nothing(text: str) -> None:
    """What is not what a value was made of is refused with an error of the journal's; no code of anybody's runs."""
    RAN.clear()
    with pytest.raises(Undecodable):
        decode(text.replace("HERE", "tests.store.samples"))
    assert RAN == []


def test_a_module_that_does_not_import_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the module of a class does when it is imported, it ends in one error that names the class."""
    monkeypatch.syspath_prepend(tmp_path)
    for number, code in enumerate(("raise RuntimeError('not today')", "raise SystemExit(3)", "x = (")):
        (tmp_path / f"broken_{number}.py").write_text(code)
        with pytest.raises(Undecodable, match=f"a broken_{number}:Class, which is not there any more"):
            decode(f'{{"$":"data","c":"broken_{number}:Class","v":{{}}}}')


def test_a_class_that_is_gone_or_changed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields with a default may come, fields may go; a field without one, or another kind of class, is an error."""
    monkeypatch.syspath_prepend(tmp_path)
    head = "import enum\nfrom dataclasses import dataclass, field\nfrom typing import NamedTuple\n"
    (tmp_path / "before.py").write_text(
        f"{head}@dataclass(slots=True)\nclass Kept:\n  a: int\n  gone: int = 2\n"
        "@dataclass\nclass More:\n  a: int\n@dataclass\nclass Other:\n  a: int\n"
        "class Pair(NamedTuple):\n  a: int\n  b: int\nclass Few(enum.Enum):\n  A = 1\n  B = 2\n"
    )
    (tmp_path / "after.py").write_text(
        f"{head}@dataclass(slots=True)\nclass Kept:\n  a: int\n  new: int = 5\n  also: list = field(init=False)\n"
        "@dataclass\nclass More:\n  a: int\n  b: int\nclass Other:\n  pass\n"
        "class Pair(NamedTuple):\n  a: int\nclass Few(enum.Enum):\n  A = 1\n"
    )
    before = __import__("before")
    modules = {"before": "after"}
    kept = decode(encode(before.Kept(1)), modules)
    assert (type(kept).__module__, kept.a, kept.new) == ("after", 1, 5)
    for value, said in (
        (before.More(1), "a before:More without 'b', which that has now"),
        (before.Other(1), "a before:Other, which is no longer what it was"),
        (before.Pair(1, 2), "a before:Pair, which is no longer what it was"),
        (before.Few.B, "before:Few.B, which is not there any more"),
    ):
        with pytest.raises(Undecodable, match=re.escape(said)):
            decode(encode(value), modules)


def test_a_model_may_get_fields_with_a_default() -> None:
    """A model that was stored before it had a field has its default."""
    text = encode(Model(A=1)).replace(',"b":[]', "")
    assert "[]" not in text
    assert decode(text) == Model(A=1)
    assert decode(text).b is not decode(text).b


def test_text_that_nobody_made_fails_soon() -> None:
    """Numbers are not worked out for ever."""
    for text in ('{"$":"decimal","v":"1e999999"}', '{"$":"range","v":[0,1e9,1]}', '{"$":"float","v":"1e9"}'):
        try:
            decode(text)
        except Undecodable:
            continue


def test_ids_and_dates_are_read_as_they_were_written() -> None:
    """The text of simple kinds is what a person would write."""
    for value, text in (
        (UUID(int=1), '{"$":"uuid","v":"00000000-0000-0000-0000-000000000001"}'),
        (date(2026, 1, 2), '{"$":"date","v":"2026-01-02"}'),
        (
            datetime(2026, 1, 2, 3, tzinfo=BERLIN),
            '{"$":"datetime","v":"2026-01-02T03:00:00+01:00","zone":"Europe/Berlin"}',
        ),
        (Fraction(1, 3), '{"$":"fraction","v":"1/3"}'),
        (Colour.ROUGE, '{"$":"enum","c":"tests.store.samples:Colour","v":"RED"}'),
        (Frozen(1), '{"$":"data","c":"tests.store.samples:Frozen","v":{"a":1}}'),
        ({1: 2}, '{"$":"dict","v":[[1,2]]}'),
        (math.nan, '{"$":"float","v":"nan"}'),
    ):
        assert encode(value) == text
