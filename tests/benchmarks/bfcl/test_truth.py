"""Ground truth as replies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.benchmarks.bfcl.truth import Made, _other, script, spoken


def documented(name: str, required: tuple[str, ...] = (), **types: Any) -> dict[str, Any]:
    properties = {key: kind if isinstance(kind, dict) else {"type": kind} for key, kind in types.items()}
    return {"name": name, "parameters": {"type": "dict", "properties": properties, "required": list(required)}}


def single(category: str, *answers: dict[str, Any], functions: list[dict[str, Any]], drop: bool = False) -> Any:
    return script(category, {"truth": list(answers), "functions": functions}, drop=drop)


def test_the_first_possible_value_is_said() -> None:
    """What may be left out is, unless another value is possible; inside of dictionaries too."""
    functions = [documented("f", ("a",), a="integer", b="string", c="dict", d="array")]
    answer = {"f": {"a": [1, 2], "b": ["", "x"], "c": [{"k": ["v", "w"], "l": [""]}], "d": [[{"m": [3]}]], "e": [""]}}
    told = single("simple_python", answer, functions=functions)
    assert told == ((Made("f", {"a": 1, "b": "x", "c": {"k": "v"}, "d": [{"m": 3}]}),),)


def test_what_must_be_given_is_given_even_empty() -> None:
    """A required parameter whose one possible value is the empty text has that; one nobody documents is left out."""
    functions = [documented("f", ("a",), a="string")]
    told = single("simple_python", {"f": {"a": [""], "other": ["", 1]}}, functions=functions)
    assert told == ((Made("f", {"a": ""}),),)


def test_one_of_several_calls_is_dropped() -> None:
    """The last one is missing, the others are as they were."""
    functions = [documented("f", a="integer")]
    told = single("parallel", {"f": {"a": [1]}}, {"f": {"a": [2]}}, functions=functions, drop=True)
    assert told == ((Made("f", {"a": 1}),),)


def test_a_single_call_gets_another_value_or_name() -> None:
    """Where nothing can be dropped the first argument is another, or the name where there is none."""
    functions = [documented("f", a="integer")]
    ((call,),) = single("simple_python", {"f": {"a": [1]}}, functions=functions, drop=True)
    assert call.name == "f"
    assert call.arguments["a"] != 1
    ((call,),) = single("simple_python", {"f": {}}, functions=functions, drop=True)
    assert call.name != "f"


@given(st.one_of(st.booleans(), st.integers(), st.floats(-1e9, 1e9), st.text(), st.lists(st.integers()), st.just({})))
def test_another_value_is_none_of_the_possible_ones(value: Any) -> None:
    """Whatever the type, the changed value differs from the one that was there."""
    assert _other(value, [value]) != value


def test_a_wish_that_no_function_fits_gets_words() -> None:
    """Irrelevant ones are answered in words, relevant ones by a call; with something wrong the other way round."""
    functions = [documented("f")]
    truth = {"truth": None, "functions": functions}
    call, words = ((Made("f", {}),),), ((),)
    assert script("irrelevance", truth) == script("live_irrelevance", truth) == words
    assert script("live_relevance", truth) == call
    assert script("irrelevance", truth, drop=True) == call
    assert script("live_relevance", truth, drop=True) == words


def test_a_conversation_calls_and_then_says_so() -> None:
    """Each turn has its calls in one reply and ends with words; places become names."""
    functions = [documented("cd", folder="string"), documented("sort", file="string", lines="integer")]
    truth = {"truth": [["cd(folder='a')", "sort('b', lines=2)"], [], ["cd('..')"]], "functions": functions}
    calls = (Made("cd", {"folder": "a"}), Made("sort", {"file": "b", "lines": 2}))
    assert script("multi_turn_base", truth) == (calls, (), (), (Made("cd", {"folder": ".."}),), ())
    assert script("multi_turn_base", truth, drop=True)[0] == calls[1:]


@pytest.mark.parametrize(
    ("value", "kind", "code"),
    [
        ("name", "any", "name"),
        (5, "integer", "5"),
        (5, "long", "5L"),
        (0.5, "float", "0.5f"),
        (True, "boolean", "true"),
        (["a", "b"], {"type": "ArrayList", "items": {"type": "String"}}, 'new ArrayList<>(Arrays.asList("a", "b"))'),
        ([], {"type": "ArrayList", "items": {"type": "String"}}, "new ArrayList<>()"),
        ([1, 2], {"type": "Array", "items": {"type": "integer"}}, "new integer[]{1, 2}"),
        ({"a": [1]}, "HashMap", 'new HashMap<String, Object>() {{ put("a", 1); }}'),
    ],
)
def test_java_values_are_written_as_java(value: Any, kind: Any, code: str) -> None:
    """In the Java category every argument is a text of code."""
    ((call,),) = single("simple_java", {"f": {"a": [value]}}, functions=[documented("f", a=kind)])
    assert call.arguments == {"a": code}


def test_javascript_values_are_written_as_javascript() -> None:
    """In the JavaScript category too."""
    functions = [documented("f", a="Boolean", b="Bigint", c="array", d="String")]
    answer = {"f": {"a": [True], "b": [5], "c": [["x", 1]], "d": ["y"]}}
    ((call,),) = single("simple_javascript", answer, functions=functions)
    assert call.arguments == {"a": "true", "b": "5n", "c": '["x", 1]', "d": "y"}


def test_replies_come_as_calls_or_as_the_prompt_wants_them() -> None:
    """Names of tools have no dots; prompted models write Python; no calls are words."""
    calls = (Made("a.b", {"c": "d"}), Made("e", {}))
    wire = spoken(calls, "fc", 0)
    assert [(one.name, json.loads(one.arguments)) for one in wire.tool_calls] == [("a_b", {"c": "d"}), ("e", {})]
    assert spoken(calls, "prompting", 0).text == "[a.b(c='d'), e()]"
    assert not spoken((), "fc", 0).tool_calls
    assert spoken((), "fc", 0).text
