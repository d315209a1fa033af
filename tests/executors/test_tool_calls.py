"""Tool calls that a model wrote into its text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.executors.tool_calls import find_tool_calls

names = st.sampled_from(["search", "add", "send_mail"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
wanted = st.lists(st.tuples(names, st.dictionaries(st.text(), json_values, max_size=3)), min_size=1, max_size=4)
prose = st.text(alphabet="abc äü.,!\n", max_size=30)
TOOLS = {"search", "add", "send_mail"}


def spelled(call: tuple[str, object], key: str = "arguments") -> str:
    return json.dumps({"name": call[0], key: call[1]}, ensure_ascii=False)


def read(text: str, **more: bool) -> list[tuple[str, object]]:
    return [(call.name, json.loads(call.arguments)) for call in find_tool_calls(text, TOOLS, **more)[1]]


@given(wanted, prose, st.booleans())
def test_tagged_calls_are_found_in_any_prose(calls: list[tuple[str, object]], words: str, closed: bool) -> None:
    """Every tagged call is read back exactly, in order, and only the prose is left."""
    blocks = [f"<tool_call>\n{spelled(call)}\n" + ("</tool_call>" if closed else "") for call in calls]
    text = words + words.join(blocks)
    assert read(text) == calls
    assert find_tool_calls(text, TOOLS)[0] == (words * len(calls)).strip() or not closed


@given(wanted, prose)
def test_fenced_calls_are_found(calls: list[tuple[str, object]], words: str) -> None:
    """A fenced block holds one call, or a list of them."""
    one = f"{words}\n```json\n{spelled(calls[0], 'parameters')}\n```\n{words}"
    many = f"```json\n[{', '.join(map(spelled, calls))}]\n```"
    assert read(one) == calls[:1]
    assert read(many) == calls


@given(wanted)
def test_a_reply_that_is_nothing_but_calls(calls: list[tuple[str, object]]) -> None:
    """Bare JSON is read when it is the whole reply, and not when JSON was asked for as the answer."""
    text = f" [{', '.join(map(spelled, calls))}]\n"
    assert read(text) == calls
    assert find_tool_calls(text, TOOLS) == ("", find_tool_calls(text, TOOLS)[1])
    assert find_tool_calls(text, TOOLS, bare=False) == (text, ())


@given(st.text() | json_values.map(json.dumps))
def test_any_other_text_comes_back_as_it_was(text: str) -> None:
    """Text without a call of a known tool is never touched, whatever it holds, and never breaks the reader."""
    for written in (text, f"<tool_call>{text}", f"```json\n{text}\n```"):
        assert find_tool_calls(written, TOOLS) == (written, ())


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "unknown", "arguments": {}}',
        '{"name": "search"}',
        '{"name": "search", "arguments": 3}',
        '{"name": "search", "arguments": {}, "price": 3}',
        '[{"name": "search", "arguments": {}}, {"name": "unknown", "arguments": {}}]',
        '<tool_call>{"name": "search", "arguments": {"query": "te',
        "<tool_call></tool_call>",
        "[" * 100_000,
        'The call {"name": "search", "arguments": {}} would look things up.',
    ],
    ids=lambda text: text[:40],
)
def test_what_only_looks_like_a_call(text: str) -> None:
    """An unknown tool, missing or odd arguments, other keys, half a call, deep nesting and prose are no calls."""
    assert find_tool_calls(text, TOOLS) == (text, ())


@given(wanted, st.data())
def test_a_list_that_broke_off(calls: list[tuple[str, object]], data: st.DataObject) -> None:
    """Of a bare list cut anywhere, exactly the complete calls are read, and none unless it is known to be cut."""
    ends = [len(", ".join(map(spelled, calls[:n]))) + 1 for n in range(1, len(calls) + 1)]
    text = f"[{', '.join(map(spelled, calls))}"
    at = data.draw(st.integers(0, len(text)))
    assert read(text[:at], cut=True) == calls[: sum(end <= at for end in ends)]
    assert read(text[:at]) == []


def test_the_shapes_of_one_call() -> None:
    """OpenAI's nesting and arguments that are JSON in a string are read too."""
    nested = '{"type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 1}"}}'
    assert read(nested) == [("add", {"a": 1})]


def test_ids_are_numbered_from_the_prefix() -> None:
    """Each call has an id of its own."""
    text = f"[{spelled(('add', {}))}, {spelled(('add', {}))}]"
    assert [call.id for call in find_tool_calls(text, TOOLS, prefix="t7")[1]] == ["t7_0", "t7_1"]
