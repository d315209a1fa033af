"""What the documentation says is so: its code runs, its names, options and links are there."""

from __future__ import annotations

import argparse
import ast
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import agentrt
from agentrt import AgentOptions, Options, Runtime
from agentrt.cli.bench import BENCHMARKS
from agentrt.cli.parser import build_parser
from agentrt.engine import EngineInfo, Home, process, records
from agentrt.testing import Asked, Reply, ScriptedServer, say, say_json

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MANUAL = "\n".join(page.read_text() for page in PAGES if page.parent.name not in ("design", "results"))


def blocks(page: Path) -> list[str]:
    """The Python code of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


CODE = [pytest.param(code, id=f"{page.name}-{n}") for page in PAGES for n, code in enumerate(blocks(page), 1)]
EXAMPLE = blocks(ROOT / "README.md")[0]


@pytest.mark.parametrize("code", CODE)
def test_code_compiles(code: str) -> None:
    """Every block of Python is Python; what is cut out of a program may await."""
    compile(code, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("code", CODE)
def test_what_code_imports_is_there(code: str) -> None:
    """Every name that a block imports from agentrt is where it says."""
    for found in ast.walk(ast.parse(code)):
        if isinstance(found, ast.ImportFrom) and (found.module or "").startswith("agentrt"):
            module = import_module(str(found.module))
            assert all(hasattr(module, name.name) for name in found.names)


def test_the_readme_s_program_passes_the_type_checker(tmp_path: Path) -> None:
    """The first program that people see has no type error in strict mode."""
    path = tmp_path / "report.py"
    path.write_text(EXAMPLE)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Success" in done.stdout, done.stdout


def answer(asked: Asked) -> Reply:
    """A planner that plans two sections, and writers that write."""
    return say_json({"sections": ["Life", "Food"]}) if asked.schema else say(f"({asked.last})")


def test_the_readme_s_program_runs_as_it_stands(tmp_path: Path) -> None:
    """The first program that people see finds the engine that is up, and prints what the model said."""
    alive = process.stat(os.getpid())
    assert alive is not None
    where = Home(cache=tmp_path / "cache", state=tmp_path / "state")
    with ScriptedServer.in_thread(answer) as server:
        port = int(server.url.rpartition(":")[2])
        log = str(tmp_path / "log")
        records.save(
            EngineInfo(server.url, port, "key", "scripted", "cpu", alive.pid, alive.started, log, started=0.0), where
        )
        done = subprocess.run(
            [sys.executable, "-c", EXAMPLE],
            cwd=ROOT,
            env={**os.environ, "AGENTRT_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        asked = [request.last for request in server.requests]
    assert (done.returncode, done.stderr) == (0, "")
    fact = "Sea otters hold hands while they sleep."
    assert sorted(asked[1:3]) == [f"Food\n\n{fact}", f"Life\n\n{fact}"]
    assert done.stdout == f"((Life\n\n{fact})\n(Food\n\n{fact}))\n"


def options() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every option of every command but ``--help``, as (command, its spellings)."""
    waiting: list[argparse.ArgumentParser] = [build_parser()]
    for name in BENCHMARKS:
        parser = argparse.ArgumentParser(prog=f"agentrt bench {name}")
        import_module(f"agentrt.benchmarks.{name}").add_arguments(parser)
        waiting.append(parser)
    for parser in waiting:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                waiting.extend(action.choices.values())
            elif action.option_strings and action.dest != "help" and action.help is not argparse.SUPPRESS:
                yield parser.prog, tuple(action.option_strings)


@pytest.mark.parametrize(("command", "spellings"), list(options()))
def test_every_option_is_described(command: str, spellings: tuple[str, ...]) -> None:
    """The manual shows each option of the command line, in one of its spellings."""
    shown = [one for one in spellings if re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", MANUAL)]
    assert shown, f"{command} {' '.join(spellings)}"


def commands() -> Iterator[str]:
    """Every complete command line of ours that a page shows, without comments, pipes and what stands for a word."""
    for page in PAGES:
        for line in re.findall(r"^(?: {4}|\$ )(agentrt .*)", page.read_text(), re.MULTILINE):
            command = re.split(r"  +|\s[|>&#]", line)[0]
            if not re.search(r"[A-Z]{4}|\.\.\.|\w\|\w", command):
                yield command


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_commands_can_be_typed(command: str) -> None:
    """Each command line of the manual is one that the parser takes."""
    _, *words = shlex.split(command)
    options = build_parser().parse_args(words)
    if words[0] == "bench":
        parser = argparse.ArgumentParser()
        import_module(f"agentrt.benchmarks.{options.name}").add_arguments(parser)
        parser.parse_args(options.options)


def test_every_variable_is_described() -> None:
    """Whoever looks for environment variables finds all of them in one table."""
    source = "\n".join(path.read_text() for path in (ROOT / "agentrt").rglob("*.py"))
    used = set(re.findall(r"""["'](AGENTRT_[A-Z_]+)["']""", source))
    table = (ROOT / "docs" / "cli.md").read_text().partition("## Environment")[2]
    assert used
    assert used == set(re.findall(r"`(AGENTRT_[A-Z_]+)`", table))


@pytest.mark.parametrize("name", [name for name in agentrt.__all__ if name != "__version__"])
def test_every_public_name_is_described(name: str) -> None:
    """What programs are written with is in the page about programs."""
    assert re.search(rf"\b{name}\b", (ROOT / "docs" / "programs.md").read_text())


@pytest.mark.parametrize("name", sorted({*Options.__annotations__, *AgentOptions.__annotations__}))
def test_every_option_of_steps_and_agents_is_described(name: str) -> None:
    """So is all that a step or an agent can be given."""
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", (ROOT / "docs" / "programs.md").read_text())


def test_every_setting_of_a_runtime_is_described() -> None:
    """So is every argument of ``Runtime``, except what tests put in its place."""
    names = set(inspect.signature(Runtime).parameters) - {"models", "clock", "wall", "new_id"}
    page = (ROOT / "docs" / "programs.md").read_text()
    assert [name for name in names if not re.search(rf"`[^`\n]*\b{name}\b", page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file or a folder of this repository."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target
