"""Finding calls in replies."""

from __future__ import annotations

import pytest

from agentrt.benchmarks.bfcl.calls import split
from agentrt.types import ModelReply, ToolCall

WEATHER = '{"name": "weather", "arguments": {"city": "Rome"}}'
TIME = '{"name": "time", "parameters": {}}'


def named(text: str) -> list[tuple[str, str]]:
    return [(one.name, one.arguments) for one in split(ModelReply(text))[1]]


def test_what_the_server_parsed_counts_first() -> None:
    """Calls that came as calls are the calls, whatever the text beside them looks like."""
    parsed = ToolCall("a", "weather", "{}")
    assert split(ModelReply(WEATHER, (parsed,))) == (WEATHER, (parsed,))


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{WEATHER}</tool_call>",
        f"<tool_call>\n{WEATHER}\n</tool_call>",
        f"<tool_call>{WEATHER}",
        f"Let me see.\n<tool_call>{WEATHER}</tool_call>",
        f"```json\n{WEATHER}\n```",
        f"I will look:\n```json\n[{WEATHER}]\n```\nOne moment.",
        WEATHER,
        f"[{WEATHER}]",
        f'{{"type": "function", "function": {WEATHER}}}',
    ],
)
def test_every_way_to_spell_a_call_is_read(text: str) -> None:
    """Tags, fences, and nothing but JSON; an end tag may be missing."""
    assert named(text) == [("weather", '{"city": "Rome"}')]


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{WEATHER}</tool_call><tool_call>{TIME}</tool_call>",
        f"```json\n{WEATHER}\n```\n```json\n{TIME}\n```",
        f"[{WEATHER}, {TIME}]",
    ],
)
def test_several_calls_keep_their_order(text: str) -> None:
    """All of them count, in the order in which they were written."""
    assert [name for name, _ in named(text)] == ["weather", "time"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "There is no function for that.",
        '{"answer": 42}',
        '{"name": "Rome", "population": 2800000}',
        '```json\n{"name": "Rome"}\n```',
        "```python\nweather(city='Rome')\n```",
        f"The call would be {WEATHER}.",
        "<tool_call>weather</tool_call>",
        "[]",
        '[{"name": "weather", "arguments": {}}, 42]',
    ],
)
def test_an_answer_stays_an_answer(text: str) -> None:
    """Text without calls, and JSON that is something else, is no call."""
    assert split(ModelReply(text)) == (text, ())


def test_a_list_that_ran_out_of_tokens_counts_as_far_as_it_goes() -> None:
    """The complete calls of a list that was cut off are calls; of one that broke off by itself they are not."""
    text = f'[{WEATHER}, {{"name": "ti'
    assert [one.name for one in split(ModelReply(text, finish="length"))[1]] == ["weather"]
    assert split(ModelReply(text))[1] == ()


def test_ids_begin_as_they_are_told() -> None:
    """Calls of different turns have different ids."""
    assert split(ModelReply(WEATHER), "call_7")[1][0].id == "call_7_0"
