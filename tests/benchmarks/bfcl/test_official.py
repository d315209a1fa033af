"""The official package in its environment."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentrt.benchmarks.bfcl.official import CATEGORIES, GROUPS, VERSION, Official, Task, group_of
from agentrt.benchmarks.harness.graders import Environment
from agentrt.types import ToolSpec


@pytest.fixture
async def task(official: Official) -> Task:
    """A conversation about files."""
    return (await official.tasks(["multi_turn_base"]))[0]


async def test_it_is_the_version_that_is_told_of(official: Official) -> None:
    """The package is the pinned one, and has the categories by the names that are used here."""
    about = await official.about()
    assert about["version"] == VERSION
    assert about["steps"] == 20
    left_out = {"memory_kv", "memory_vector", "memory_rec_sum", "web_search_base", "web_search_no_snippet"}
    assert set(about["collections"]["all_scoring"]) - left_out == set(CATEGORIES)


def test_every_category_has_a_folder() -> None:
    """Result files are found by the group of their category."""
    assert {group_of(one) for one in CATEGORIES} == {"non_live", "live", "multi_turn"}
    assert [one for name in ("non_live", "live", "multi_turn") for one in GROUPS[name]] == list(CATEGORIES)


async def test_tools_are_json_schemas_with_names_that_servers_take(official: Official) -> None:
    """Types and names are those of OpenAI's protocol, all the way down."""
    tools = [
        tool
        for task in await official.tasks(["simple_python", "multiple"])
        for turn in task.turns
        for tool in turn.tools
    ]
    assert len(tools) > 500
    known = {"object", "array", "string", "integer", "number", "boolean"}
    for tool in tools:
        assert tool.name.replace("_", "").replace("-", "").isalnum()
        assert kinds(tool) <= known


def kinds(tool: ToolSpec) -> set[str]:
    found = set()

    def look(schema: Any) -> None:
        found.add(schema["type"])
        for one in schema.get("properties", {}).values():
            look(one)

    look(tool.parameters)
    return found


async def test_functions_that_are_held_out_come_later(official: Official) -> None:
    """What is missing at first comes with the turn of the user's that says so."""
    task = (await official.tasks(["multi_turn_miss_func"]))[0]
    late = [turn for turn in task.turns[1:] if turn.tools]
    assert len(late) == 1
    assert {tool.name for tool in late[0].tools}.isdisjoint(tool.name for tool in task.turns[0].tools)
    assert late[0].messages[0].role == "user"


async def test_calls_have_effects_one_after_the_other(official: Official, task: Task) -> None:
    """A call sees what those before it did; where the process did not make them, it makes them first."""
    assert task.scenario is not None
    inside = ["cd(folder='document')"]
    first = await official.execute(task.scenario, [], inside[0])
    assert json.loads(first) == {"current_working_directory": "document"}
    listing = await official.execute(task.scenario, inside, "ls()")
    outside = await official.execute(task.scenario, [], "ls()")
    assert "final_report.pdf" in listing
    assert "final_report.pdf" not in outside
    assert await official.execute(task.scenario, inside, "ls()") == listing


@pytest.mark.parametrize(
    "call",
    [
        "__import__('os').system(command='true')",
        "open(file='/etc/passwd')",
        "importlib.import_module(name='os')",
        "ls(a=open)",
        "ls(a=[].append)",
        "ls(a=__import__('os'))",
        "no_such_function()",
        "ls(**{'a': open})",
    ],
)
async def test_nothing_but_calls_of_its_functions_is_evaluated(official: Official, task: Task, call: str) -> None:
    """What a model may write that is no call of a function of the entry fails as an unknown name does."""
    assert task.scenario is not None
    assert "Error during execution: name" in await official.execute(task.scenario, [], call)


async def test_replies_are_decoded_as_the_official_handlers_do(
    official: Official, official_environment: Environment, tmp_path: Any
) -> None:
    """Calls become code; words, and arguments that are no JSON, become nothing."""
    assert await official.decode([{"cd": '{"folder": "a"}'}, {"ls": "{}"}]) == ["cd(folder='a')", "ls()"]
    assert await official.decode("There is nothing to do.") == []
    assert await official.decode("") == []
    assert await official.decode([{"cd": '{"folder"'}]) == []
    async with Official.started(official_environment, "prompting", tmp_path / "log") as prompted:
        assert await prompted.decode("[cd(folder='a'), ls()]") == ["cd(folder='a')", "ls()"]
        assert await prompted.decode("[mean(numbers=[2*3])]") == ["mean(numbers=[6])"]
        assert await prompted.decode("[mean(numbers=[2*__import__('os').getpid()])]") == []
        assert await prompted.decode("[mean(numbers=[2**10, 10**-2])]") == ["mean(numbers=[1024, 0.01])"]
        assert await prompted.decode("[mean(numbers=[9**9**9**9])]") == []
        assert await prompted.decode("[mean(numbers=[1<<99999999999])]") == []
        assert await prompted.decode("I do not know.") == []


async def test_the_official_checkers_judge(official: Official) -> None:
    """Of a right, a wrong and a wordy answer the score file has the last two, with its reasons."""
    results = [
        {"id": "simple_python_0", "result": [{"calculate_triangle_area": '{"base": 10, "height": 5}'}]},
        {"id": "simple_python_3", "result": "I do not know."},
        {"id": "simple_python_1", "result": [{"math_factorial": '{"number": 6}'}]},
    ]
    wrong = {one["id"]: one["error_type"] for one in await official.judge("simple_python", results, 60)}
    assert wrong == {"simple_python_1": "value_error:others", "simple_python_3": "ast_decoder:decoder_failed"}
