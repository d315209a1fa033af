"""What the command line says of itself, and how little it needs for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agentrt import __version__
from agentrt.cli.parser import build_parser
from tests.cli.conftest import Cli, environment

_LIST_MODULES = """
import sys
from agentrt.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print(*{name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names, file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["", "run", "runs", "runs resume", "graph", "engine", "watch", "export"])
def test_help_imports_only_the_standard_library(command: str) -> None:
    """Help needs no package but this one, so it is there at once and even where an installation is broken."""
    done = subprocess.run(
        [sys.executable, "-c", _LIST_MODULES, *command.split(), "--help"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    plain = subprocess.run(
        [sys.executable, "-c", "import sys; print(*{n.partition('.')[0] for n in sys.modules})"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stderr.split()) - set(plain.stdout.split()) == {"agentrt"}
    assert "usage: agentrt" in done.stdout


@pytest.mark.parametrize(
    "command", ["runs list", "runs show last", "runs events last", "export last -o -", "export last -f svg -o -"]
)
def test_what_prints_a_run_needs_no_screen(cli: Cli, tmp_path: Path, command: str) -> None:
    """Commands that only print import nothing of Textual, and nothing that sends traces."""
    (tmp_path / "hi.py").write_text("from agentrt import program\n@program\nasync def hi() -> str:\n    return 'hi'\n")
    assert cli("run", "hi.py").code == 0
    done = subprocess.run(
        [sys.executable, "-c", _LIST_MODULES, *command.split()],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stderr.split())
    assert {"agentrt", "sqlalchemy"} <= loaded, done.stderr
    assert loaded & {"textual", "opentelemetry"} == set()


@pytest.mark.parametrize("command", ["run", "runs", "graph", "engine", "bench", "watch", "export"])
def test_every_command_has_help(cli: Cli, command: str) -> None:
    """Each command explains its options and exits well."""
    ended = cli(command, "--help")
    assert ended.code == 0
    assert ended.out.startswith(f"usage: agentrt {command}")
    assert ended.err == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("runs answer last --resume yes", ["yes"]),
        ("runs answer last approve#1 --json yes", ["approve#1", "yes"]),
        ("runs answer --no-ask last -- -5", ["-5"]),
        ("runs answer last -f city=Oslo", []),
    ],
)
def test_options_may_stand_between_words(line: str, words: list[str]) -> None:
    """Where an option stands makes no difference, and what follows ``--`` is none."""
    options = build_parser().parse_args(line.split())
    assert (options.run, options.words) == ("last", words)


def test_version(cli: Cli) -> None:
    """--version prints the name and the version."""
    assert cli("--version").out == f"agentrt {__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "COMMAND"),
        (["rnu"], "invalid choice: 'rnu'"),
        (["run"], "PROGRAM.py[:NAME]"),
        (["run", "x.py", "--jsno"], "--jsno"),
        (["run", "x.py", "--timeout", "-3"], "expected seconds above 0"),
        (["bench", "speed"], "invalid choice: 'speed'"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(cli: Cli, words: list[str], said: str) -> None:
    """A command line that cannot be read gets one line that names the word and where to look."""
    ended = cli(*words)
    assert ended.code == 2
    assert said in ended.complaint
    assert "--help`" in ended.complaint
    assert ended.err.count("\n") == 1
