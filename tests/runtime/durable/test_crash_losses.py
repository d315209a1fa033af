"""What a crash does cost, as the table of failure semantics says; and that table names tests that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrt import program, tool
from agentrt.types import StepId

from .cutting import Cutter, note

ROOT = Path(__file__).parents[3]
TABLE = ROOT / "docs" / "failure-semantics.md"
NAMED = sorted(set(re.findall(r"\[`(test_\w+)`\]\(\.\./([\w/]+\.py)\)", TABLE.read_text(encoding="utf-8"))))
PASSED: list[str] = []


@tool(retries=1, backoff=0, idempotent=True)
async def hopeless() -> None:
    """A tool that always fails."""
    note()
    raise ConnectionError("down")


@program
async def tries() -> str:
    """Tries what is hopeless, between lines of its own."""
    PASSED.append("before")
    try:
        await hopeless()
    except ConnectionError as error:
        PASSED.append("after")
        return str(error)
    return ""


async def test_the_code_between_steps_runs_again(cuts: Callable[..., Cutter]) -> None:
    """Whatever it does besides calling steps is done once for each process."""
    PASSED.clear()
    cutter = cuts()
    first = await cutter.run(tries)
    run = await cutter.cut(first.recording, len(first.recording.entries) - 1)
    assert (await cutter.resume(tries, run)).result.output == "down"
    assert PASSED == ["before", "after"] * 2


@pytest.mark.parametrize(
    ("last", "attempts"), [("called", [1, 2]), ("begun", [2, 3]), ("retried", [2]), ("ended", [])], ids=str
)
async def test_an_attempt_that_a_crash_ended_is_no_retry(
    cuts: Callable[..., Cutter], last: str, attempts: list[int]
) -> None:
    """It has a number of its own, and counts no more against ``retries`` than one that was never made."""
    cutter = cuts()
    first = await cutter.run(tries)
    assert [attempt for _, attempt in first.ran] == [1, 2]
    kinds: list[str] = [entry.kind for entry in first.recording.entries]
    resumed = await cutter.resume(tries, await cutter.cut(first.recording, kinds.index(last) + 1))
    assert resumed.result.output == "down"
    assert resumed.ran == [(StepId("hopeless#1"), attempt) for attempt in attempts]


@pytest.mark.parametrize(("name", "path"), NAMED)
def test_the_table_names_tests_that_there_are(name: str, path: str) -> None:
    """Each row's tests are functions of the file that it links to."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert name in functions


def test_each_row_of_the_table_names_a_test() -> None:
    """A promise that nobody checks has no place in it."""
    rows = [
        line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "---" not in line
    ]
    bare = [row for row in rows if "](../tests/" not in row and not row.rstrip(" |").endswith("tested by")]
    assert rows
    assert bare == []
