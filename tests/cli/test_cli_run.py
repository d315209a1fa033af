"""``agentrt run``: what goes where, and with which exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentrt.testing.script import say
from agentrt.testing.server import ScriptedServer
from tests.cli.conftest import Cli


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A model server that always says the same."""
    with ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as up:
        yield up


def test_output_is_all_there_is_on_standard_output(cli: Cli, report: Path, server: ScriptedServer) -> None:
    """The program's output goes to standard output, its steps, summary and own prints to standard error."""
    ended = cli("run", "report.py", "--input", "topic=otters", "--engine", server.url)
    assert ended.code == 0, ended.err
    assert ended.out == "Otters swim. | Otters swim.\n"
    for said in ("report(topic='otters')", "search#1 started", "writer#2 done in", "printed by a tool", "done in"):
        assert said in ended.err


def test_summary_tells_steps_time_and_tokens(cli: Cli, report: Path, server: ScriptedServer) -> None:
    """The last lines give steps, time, critical path, and tokens with the cached ones and their share."""
    ended = cli("run", "report.py", "--input", "topic=otters", "--engine", server.url)
    head, tokens = ended.err.splitlines()[-2:]
    assert head.startswith("done in ")
    assert "3 steps" in head
    assert "critical path" in head
    prompt = sum(len(asked.prompt) for asked in server.requests)
    assert f"{prompt} prompt (" in tokens
    assert "cached, " in tokens
    assert "4 generated" in tokens


def test_json_is_one_object_and_nothing_else(cli: Cli, report: Path, server: ScriptedServer) -> None:
    """--json prints one object with every field that scripts rely on; no other word is printed."""
    ended = cli("run", "report.py:report", "--input", "topic=otters", "--engine", server.url, "--json")
    assert ended.code == 0
    assert ended.err == "printed by a tool\n"
    run = json.loads(ended.out)
    wanted = {"run_id", "status", "output", "error", "seconds", "critical_path_seconds", "steps", "tokens", "graph"}
    assert wanted <= set(run)
    assert (run["status"], run["output"], run["error"]) == ("done", "Otters swim. | Otters swim.", None)
    assert 0 < run["critical_path_seconds"] <= run["seconds"]
    assert run["tokens"]["completion"] == 4
    of_step = {"id", "name", "kind", "status", "started", "ended", "prompt_tokens", "cached_tokens"}
    assert all(of_step | {"completion_tokens"} <= set(step) for step in run["steps"])
    assert [step["id"] for step in run["steps"]] == ["search#1", "writer#1", "writer#2"]
    assert run["graph"]["edges"] == [["search#1", "writer#1"], ["search#1", "writer#2"]]


def test_json_of_a_failed_run_tells_the_step_and_its_story(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """A run that fails still prints its object: the error's type, message, step and story."""
    write("bad.py", _PROGRAMS)
    ended = cli("run", "bad.py:raises", "--json")
    assert ended.code == 1
    error = json.loads(ended.out)["error"]
    assert (error["type"], error["step"]) == ("ValueError", "boom#1")
    assert "no such thing" in error["message"]
    assert "failed at" in error["story"][0]
    assert ended.complaint == error["message"]


_PROGRAMS = """
    import asyncio, math, os
    from agentrt import program, tool

    @tool
    async def boom() -> int:
        raise ValueError("no such thing")

    @program
    async def raises() -> int:
        return await boom()

    @program
    async def talks() -> dict[str, object]:
        print("from the program")
        os.system("echo from a child")
        return {"pi": math.pi, "inf": math.inf, "odd": "\\ud800", "what": asyncio.Event}

    @program
    async def nothing() -> None:
        pass

    @program
    async def forever() -> None:
        await asyncio.Event().wait()

    @program
    async def background() -> str:
        async def fails():
            raise KeyError("unseen")
        task = asyncio.create_task(fails())
        await asyncio.wait([task])
        del task
        return "done"

    @program
    async def unicode() -> str:
        return "Otter 🦦"
"""


def test_prints_of_the_program_and_its_children_stay_out_of_the_json(
    cli: Cli, write: Callable[[str, str], Path]
) -> None:
    """Whatever is printed while a run goes on, even by a child process, standard output holds the object alone."""
    write("bad.py", _PROGRAMS)
    ended = cli("run", "bad.py:talks", "--json")
    output = json.loads(ended.out)["output"]
    assert output["inf"] is None
    assert output["odd"] == "\ud800"
    assert "Event" in output["what"]
    assert sorted(ended.err.splitlines()) == ["from a child", "from the program"]


def test_output_that_is_no_text_is_json(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """A value that is no text is printed as indented JSON, whatever it holds."""
    write("bad.py", _PROGRAMS)
    ended = cli("run", "bad.py:talks")
    assert json.loads(ended.out)["inf"] is None
    assert ended.out.startswith("{\n  ")


def test_no_output_prints_nothing(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """A program that returns None prints nothing."""
    write("bad.py", _PROGRAMS)
    ended = cli("run", "bad.py:nothing")
    assert (ended.code, ended.out) == (0, "")


def test_output_survives_a_terminal_that_knows_only_ascii(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """Characters that standard output cannot take are written as escapes."""
    write("bad.py", _PROGRAMS)
    assert cli("run", "bad.py:unicode", env={"PYTHONIOENCODING": "ascii"}).out == "Otter \\U0001f9a6\n"
    told = cli("run", "bad.py:unicode", "--json", env={"PYTHONIOENCODING": "ascii"})
    assert json.loads(told.out)["output"] == "Otter 🦦"


def test_timeout_cancels_the_run(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """--timeout cancels a run that goes on longer: exit code 130, and the line says why."""
    write("bad.py", _PROGRAMS)
    ended = cli("run", "bad.py:forever", "--timeout", "0.05")
    assert ended.code == 130
    assert "longer than --timeout 0.05" in ended.complaint


def test_an_error_nobody_awaited_is_one_line(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """An error in a task that the program forgot is told in one line, and the run goes on."""
    write("bad.py", _PROGRAMS)
    ended = cli("run", "bad.py:background")
    assert (ended.code, ended.out) == (0, "done\n")
    assert "KeyError('unseen')" in ended.complaint


def test_engine_and_key_come_from_the_environment(cli: Cli, report: Path) -> None:
    """AGENTRT_ENGINE and AGENTRT_API_KEY stand in for the option and the key."""
    with ScriptedServer.in_thread(api_key="sesame") as server:
        words = ("run", "report.py", "--input", "topic=otters")
        good = cli(*words, env={"AGENTRT_ENGINE": server.url, "AGENTRT_API_KEY": "sesame"})
        bad = cli(*words, env={"AGENTRT_ENGINE": server.url})
    assert good.code == 0
    assert bad.code == 1
    assert "AGENTRT_API_KEY" in bad.complaint


def test_debug_shows_the_traceback(cli: Cli, write: Callable[[str, str], Path]) -> None:
    """--debug, before or after the command, and AGENTRT_DEBUG=1 show where an error came from."""
    write("bad.py", _PROGRAMS)
    for words, env in ((["--debug", "run"], {}), (["run", "--debug"], {}), (["run"], {"AGENTRT_DEBUG": "1"})):
        ended = cli(*words, "bad.py:raises", env=env)
        assert ended.code == 1
        assert 'raise ValueError("no such thing")' in ended.err
