"""Bad input and a bad world: one clear line that names the thing and the way out, never a traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agentrt.testing.script import Reply, break_off, garbage, refuse, say
from agentrt.testing.server import ScriptedServer
from tests.cli.conftest import Cli

Write = Callable[[str, str], Path]

_MODEL = """
    from pydantic import BaseModel
    from agentrt import Agent, program

    class Paragraph(BaseModel):
        text: str
        words: int

    writer = Agent("writer", retries=0)
    typed = Agent("typed", output=Paragraph, output_retries=2)

    @program
    async def asks() -> str:
        return await writer("Write about otters.")

    @program
    async def asks_typed() -> str:
        return (await typed("Write about otters.")).text
"""
_PLAIN = """
    import asyncio
    from agentrt import program, tool

    @tool(timeout=0.05)
    async def hangs() -> str:
        await asyncio.Event().wait()
        return ""

    @program
    async def waits() -> str:
        return await hangs()

    @program
    async def leaves() -> str:
        raise SystemExit(3)

    @program
    async def full() -> str:
        open("/dev/full", "w").write("x" * 100_000)
        return ""
"""


@pytest.fixture
def model(write: Write) -> Path:
    """Programs that ask a model."""
    return write("model.py", _MODEL)


@pytest.fixture
def plain(write: Write) -> Path:
    """Programs that meet trouble without a model; in a file without agents, so that no engine is started."""
    return write("plain.py", _PLAIN)


def _closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_engine_down(cli: Cli, model: Path) -> None:
    """An engine that is not there: the address, and how to start one."""
    url = f"http://127.0.0.1:{_closed_port()}"
    ended = cli("run", "model.py:asks", "--engine", url)
    assert ended.code == 1
    assert "'writer#1'" in ended.complaint
    assert url in ended.complaint
    assert "agentrt engine up" in ended.complaint


@pytest.mark.parametrize("reply", [break_off("Otters", " swim"), garbage("Otters")], ids=["dies", "garbage"])
def test_engine_dies_while_it_answers(cli: Cli, model: Path, reply: Reply) -> None:
    """An engine that breaks off in the middle of a reply: which step, and what happened."""
    with ScriptedServer.in_thread(lambda asked: reply) as server:
        ended = cli("run", "model.py:asks", "--engine", server.url)
    assert ended.code == 1
    assert "'writer#1'" in ended.complaint
    assert "broke off" in ended.complaint


def test_engine_refuses(cli: Cli, model: Path) -> None:
    """An engine with an error of its own: its status and its words."""
    with ScriptedServer.in_thread(lambda asked: refuse(500, "out of memory")) as server:
        ended = cli("run", "model.py:asks", "--engine", server.url)
    assert ended.code == 1
    assert "500: out of memory" in ended.complaint


def test_reply_that_is_no_json_is_asked_for_again_and_then_shown(cli: Cli, model: Path) -> None:
    """A reply that does not fit its type is retried; then the error shows the reply."""
    with ScriptedServer.in_thread(lambda asked: say("Otters are nice.")) as server:
        ended = cli("run", "model.py:asks_typed", "--engine", server.url)
        assert len(server.requests) == 3
    assert ended.code == 1
    assert "after 3 attempts" in ended.complaint
    assert "Otters are nice." in ended.complaint


def test_prompt_longer_than_the_context(cli: Cli, model: Path) -> None:
    """A prompt that does not fit: both lengths, and what to do."""
    with ScriptedServer.in_thread(context=3) as server:
        ended = cli("run", "model.py:asks", "--engine", server.url)
    assert ended.code == 1
    assert "the model takes 3" in ended.complaint
    assert "shorter" in ended.complaint


def test_tool_that_hangs(cli: Cli, plain: Path) -> None:
    """A tool over its time: the step, the limit, the option to raise."""
    ended = cli("run", "plain.py:waits")
    assert ended.code == 1
    assert "'hangs#1'" in ended.complaint
    assert "0.05 s" in ended.complaint


def test_program_that_leaves(cli: Cli, plain: Path) -> None:
    """sys.exit inside a program is a failed run, not an exit code of the command."""
    ended = cli("run", "plain.py:leaves")
    assert ended.code == 1
    assert "leaves" in ended.complaint


def test_full_disk_inside_a_step(cli: Cli, plain: Path) -> None:
    """A step that meets a full disk fails with the system's words."""
    ended = cli("run", "plain.py:full")
    assert ended.code == 1
    assert "No space left" in ended.complaint


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_full_disk_under_the_output(cli: Cli, write: Write, extra: list[str]) -> None:
    """Output that cannot be written fails the command, with the way out."""
    write("hi.py", "from agentrt import program\n@program\nasync def hi() -> str:\n    return 'hi'\n")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "agentrt", "run", "hi.py", *extra],
            cwd=write("x", "").parent,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("agentrt: no space left on the disk; free some")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--input", "topic"], "expected name=value"),
        ([], "needs --input topic=...; its inputs: topic: str, sections: int = 2"),
        (["--input", "topc=otters"], "no input 'topc' (did you mean 'topic'?); its inputs: topic: str"),
        (["--input", "topic=a", "--input", "sections=many"], "input sections='many' does not fit int"),
        (["--input", "topic=a", "--input", "topic=b"], "given twice"),
        (["--inputs", "absent.json"], "cannot read --inputs 'absent.json'"),
        (["--inputs", "report.py"], "is no JSON"),
        (["--inputs", "-"], "holds a list; expected one JSON object"),
        (["--input", "topic=a", "--engine", "localhost:1"], "'localhost:1' is no address"),
    ],
)
def test_wrong_inputs(cli: Cli, report: Path, words: list[str], said: str) -> None:
    """Inputs that do not fit are told with the program's inputs, before anything runs."""
    ended = cli("run", "report.py", *words, stdin="[1]")
    assert ended.code == 2, ended.err
    assert said in ended.complaint
    assert ended.out == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module\n", "bad.py does not import: ModuleNotFoundError: No module named 'no_such_module'"),
        ("x = 1\nif x\n", "SyntaxError: expected ':' (bad.py:2)"),
        ("\nimport helper\n", "ZeroDivisionError: division by zero (helper.py:3)"),
        ("import json\njson.loads('{')\n", "(bad.py:2)"),
        ("import sys\nsys.exit(4)\n", "bad.py does not import: it ends the process"),
        ("from agentrt import program\n@program\ndef plain(): ...\n", "write `async def plain(...)`"),
        ("x = 1\n", "has no program; put @program"),
        ("\0", "bad.py does not import"),
    ],
)
def test_program_that_does_not_import(cli: Cli, write: Write, text: str, said: str) -> None:
    """A program that cannot be imported: the error and the user's own line."""
    write("bad.py", text)
    write("helper.py", "def f():\n    pass\n1 / 0\n")
    ended = cli("run", "bad.py")
    assert ended.code == 2
    assert said in ended.complaint


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("repot.py", "there is no file 'repot.py'; did you mean report.py?"),
        ("nowhere/report.py", "there is no folder 'nowhere' either"),
        (".", "is a folder; name a file in it: report.py"),
        ("report.py:repotr", "did you mean report.py:report?"),
        ("report.py:search", "'search' is no program"),
        ("no.such.module:x", "there is no file or module 'no.such.module'"),
    ],
)
def test_no_such_program(cli: Cli, report: Path, target: str, said: str) -> None:
    """A program that is not there: its name, and the nearest one that is."""
    ended = cli("run", target)
    assert ended.code == 2
    assert said in ended.complaint


def test_several_programs_are_listed(cli: Cli, model: Path) -> None:
    """Which program is meant has to be said where there are several."""
    ended = cli("run", "model.py")
    assert ended.code == 2
    assert "name one: model.py:asks, model.py:asks_typed" in ended.complaint


def test_usage_errors_print_no_json(cli: Cli, report: Path) -> None:
    """Nothing ran, so --json has nothing to print: one line and exit code 2."""
    ended = cli("run", "report.py", "--json")
    assert (ended.code, ended.out) == (2, "")


def test_reader_that_left_is_no_error(cli: Cli, report: Path, tmp_path: Path) -> None:
    """A closed pipe ends the command without a word."""
    (tmp_path / "big.py").write_text(
        "from agentrt import program\n@program\nasync def big() -> str:\n    return 'x' * 10_000_000\n"
    )
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "agentrt", "run", "big.py", "--json"],
        cwd=tmp_path,
        stdout=written,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(written)
    assert (done.returncode, done.stderr) == (141, "")
