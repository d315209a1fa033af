"""``agentrt runs edit``: the graph of a run is changed from outside its process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.journalled import begin, ended

Write = Callable[[str, str], Path]

SUM = """
    import asyncio
    from pathlib import Path
    from agentrt import program, step

    @step
    async def gate() -> int:
        while Path("wait").exists():
            await asyncio.sleep(0.02)
        return 1

    @step
    async def add(one: int, two: int) -> int:
        return one + two

    @program
    async def total() -> int:
        return await add(gate(), 1)
"""
MORE = {"changes": [{"do": "replace", "step": "add#1", "args": [{"$step": "gate#1"}, 41]}]}


@pytest.fixture
def document(here: Path, write: Write) -> Callable[[dict[str, Any]], str]:
    """Writes an edit into a file; the program is there, and waits at its gate."""
    write("sum.py", SUM)
    (here / "wait").touch()

    def put(edit: dict[str, Any]) -> str:
        return write("plan.json", json.dumps(edit)).name

    return put


def wait_for(do: Cli, words: str) -> None:
    """Look at what the newest run has written down until that is among it."""
    while words not in do("runs", "events", "last").out:
        pass


def test_a_run_is_edited_in_its_process(do: Cli, here: Path, document: Callable[[dict[str, Any]], str]) -> None:
    """The process that has the run makes the edit, or refuses it with every reason; the command tells which."""
    process = begin(here, "run", "sum.py")
    wait_for(do, "add#1 called")
    refused = do("runs", "edit", "last", document({"changes": [{"do": "drop", "step": "gate#1"}]}))
    assert refused.code == 2
    assert "step 'gate#1' has started" in refused.complaint
    nowhere = {"changes": [{"do": "insert", "step": "gate"}], "parent": "nobody#1"}
    assert "there is no running step 'nobody#1'" in do("runs", "edit", "last", document(nowhere)).complaint
    edited = do("runs", "edit", "last", document(MORE), "--json")
    assert (edited.code, json.loads(edited.out)["outcome"]) == (0, "applied")
    (here / "wait").unlink()
    assert ended(process)[:2] == (0, "42\n")
    assert "is done, there is nothing to edit" in do("runs", "edit", "last", document(MORE)).complaint


def test_an_edit_waits_for_who_goes_on_with_the_run(
    do: Cli, here: Path, document: Callable[[dict[str, Any]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that no process has, it is made when the run is resumed; it may come from standard input."""
    process = begin(here, "run", "sum.py")
    wait_for(do, "add#1 called")
    process.kill()
    ended(process)
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(MORE)))
    kept = do("runs", "edit", "last", "-")
    assert kept.code == 0
    assert "kept: it is made when the run goes on\nto go on: agentrt runs resume" in kept.err
    resumed = begin(here, "runs", "resume", "last")
    wait_for(do, "edited from outside")
    (here / "wait").unlink()
    assert ended(resumed)[:2] == (0, "42\n")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "the edit cannot be read: it: Invalid JSON"), ('{"changes": [{"do": "burn"}]}', "the edit cannot be read")],
)
def test_what_is_no_edit_is_refused(do: Cli, here: Path, write: Write, text: str, complaint: str) -> None:
    """A document that says nothing of the kind is told apart before anything is left for the run."""
    write("sum.py", SUM)
    do("run", "sum.py")
    write("plan.json", text)
    refused = do("runs", "edit", "last", "plan.json")
    assert refused.code == 2
    assert refused.complaint.startswith(complaint)
    assert do("runs", "edit", "last", "no.json").complaint.startswith("the edit 'no.json' cannot be read: ")
