from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agentrt.cli import graph
from agentrt.errors import ConfigError, ProgramError
from tests.graph.reading import REPORT


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.py"
    path.write_text(REPORT)
    return path


def command(*words: object) -> int:
    parser = argparse.ArgumentParser()
    graph.add_parser(parser.add_subparsers())
    options = parser.parse_args(["graph", *map(str, words)])
    code: int = options.handler(options)
    return code


def test_prints_the_graph(report: Path, capsys: pytest.CaptureFixture[str]):
    """The command prints the graph as text and ends with 0."""
    assert command(report) == 0
    assert capsys.readouterr().out.startswith(f"report  {report}:11\n├─ ● search")


def test_named_program_as_json(report: Path, capsys: pytest.CaptureFixture[str]):
    """A program is chosen by name, a format by its option."""
    assert command(f"{report}:report", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["program"] == "report"


def test_writes_a_file(report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With an output file nothing is printed."""
    assert command(report, "-f", "svg", "-o", tmp_path / "g.svg") == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "g.svg").read_text(encoding="utf-8").startswith("<svg ")


def test_module_name(report: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A module below the current folder goes by its dotted name too."""
    monkeypatch.chdir(report.parent.parent)
    assert command(f"{report.parent.name}.report") == 0
    assert "search" in capsys.readouterr().out


def test_missing_file(tmp_path: Path):
    """A file that is not there is named."""
    with pytest.raises(ProgramError, match=r"there is no file '.*nope\.py'"):
        command(tmp_path / "nope.py")


def test_folder(tmp_path: Path):
    """A folder is no program."""
    with pytest.raises(ProgramError, match="is a folder"):
        command(tmp_path)


def test_not_text(tmp_path: Path):
    """A file that is no text is one line of error."""
    path = tmp_path / "x.py"
    path.write_bytes(b"\xff\xfe\x00x")
    with pytest.raises(ProgramError, match="cannot be read as Python"):
        command(path)


def test_cannot_write(report: Path, tmp_path: Path):
    """An output that cannot be written is named."""
    with pytest.raises(ConfigError, match=r"cannot write .* choose another --output"):
        command(report, "-o", tmp_path / "no" / "g.svg")


def test_odd_encodings(report: Path):
    """On a terminal that knows no box characters the graph is still shown."""
    code = (
        "import argparse, sys\nfrom agentrt.cli import graph\np = argparse.ArgumentParser()\n"
        "graph.add_parser(p.add_subparsers())\no = p.parse_args(['graph', sys.argv[1]])\nsys.exit(o.handler(o))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(report)],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"search" in done.stdout


def test_nothing_heavy_is_imported(report: Path):
    """Showing a graph as text needs the standard library only."""
    code = (
        "import sys\nfrom agentrt.graph.compile import read_template\n"
        "from agentrt.graph.render import render_template\n"
        "render_template(read_template(open(sys.argv[1]).read(), 'r.py'))\n"
        "heavy = {'networkx', 'pydantic', 'rich', 'httpx', 'torch', 'sglang', 'asyncio'} & set(sys.modules)\n"
        "print(*heavy)\nsys.exit(bool(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(report)],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
