"""``agentrt export``: where a run goes, in which format, and what is said of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from agentrt.testing.script import say
from agentrt.testing.server import ScriptedServer
from tests.cli.conftest import Cli, environment
from tests.cli.journalled import PROGRAMS, TALK, begin, ended, until

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def programs(here: Path, write: Write) -> Path:
    """The programs, in the folder of the test."""
    write("talk.py", TALK)
    return write("report.py", PROGRAMS)


@pytest.fixture
def run(do: Cli) -> str:
    """The id of a run that has ended."""
    told: str = json.loads(do("run", "report.py", "-i", "topic=otters", "--json").out)["run_id"]
    return told


def test_a_page_is_written_into_this_folder(do: Cli, here: Path, run: str) -> None:
    """Without options a run is a page named like it, and one line says where it is."""
    done = do("export", "last")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith(f"wrote {run}.html (")
    page = (here / f"{run}.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert 'data-id="outer#1/inner#1"' in page
    assert "OTTERS" in page
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("format_", "ending"),
    [("html", "html"), ("svg", "svg"), ("perfetto", "trace.json"), ("jsonl", "jsonl"), ("json", "json")],
)
def test_every_format_has_its_ending(do: Cli, here: Path, run: str, format_: str, ending: str) -> None:
    """The file is named for its format, and an ending that is given names the format."""
    assert do("export", run, "--format", format_).code == 0
    assert do("export", run, "-o", f"named.{ending}").code == 0
    named, made = (here / f"named.{ending}").read_text(), (here / f"{run}.{ending}").read_text()
    assert named[:200] == made[:200]
    if ending == "svg":
        ET.fromstring(made)
    elif ending != "html":
        assert json.loads(made.splitlines()[0] if ending == "jsonl" else made)


def test_a_file_that_is_there_stays(do: Cli, here: Path, run: str) -> None:
    """Nothing is overwritten but with --force, which the line says."""
    (here / "mine.html").write_text("mine")
    refused = do("export", run, "-o", "mine.html")
    assert refused.code == 2
    assert "'mine.html' is there already; overwrite it with --force" in refused.complaint
    assert (here / "mine.html").read_text() == "mine"
    assert do("export", run, "-o", "mine.html", "--force").code == 0
    assert (here / "mine.html").read_text().startswith("<!DOCTYPE html>")


def test_a_file_that_cannot_be_written(do: Cli, here: Path, run: str) -> None:
    """The line names the file and the way out; no half of a file stays behind."""
    refused = do("export", run, "-o", "absent/run.html")
    assert refused.code == 2
    assert "'absent/run.html' cannot be written" in refused.complaint
    assert not (here / "absent").exists()


def test_a_pipe_stays_a_pipe(do: Cli, here: Path, run: str) -> None:
    """What is no file is written to, never replaced by one, with `--force` either; a device would be lost."""
    os.mkfifo(here / "pipe")
    reader = os.open(here / "pipe", os.O_RDONLY | os.O_NONBLOCK)  # the picture fits into the pipe
    try:
        done = do("export", run, "-f", "svg", "-o", "pipe", "--force")
        assert (done.code, done.err) == (0, "wrote pipe\n")
        assert (here / "pipe").is_fifo()
        assert os.read(reader, 1 << 16).startswith(b"<svg")
    finally:
        os.close(reader)


def test_a_link_stays_a_link(do: Cli, here: Path, run: str) -> None:
    """The file that it leads to is what is overwritten."""
    (here / "page.html").write_text("old")
    (here / "link.html").symlink_to("page.html")
    assert do("export", run, "-o", "link.html").code != 0
    assert do("export", run, "-o", "link.html", "--force").code == 0
    assert (here / "link.html").is_symlink()
    assert (here / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_standard_output_has_nothing_else(do: Cli, run: str) -> None:
    """With -o - the run goes to standard output, and what is said of it does not."""
    done = do("export", run, "--format", "perfetto", "-o", "-")
    assert done.err == ""
    assert json.loads(done.out)["otherData"]["run"] == run


def test_standard_output_is_utf_8(here: Path, run: str) -> None:
    """A page says that it is UTF-8, and is, whatever the terminal has."""
    command = [sys.executable, "-m", "agentrt", "export", run, "-o", "-"]
    env = environment({"PYTHONIOENCODING": "latin-1"})
    done = subprocess.run(command, cwd=here, capture_output=True, check=True, env=env)
    assert "✓ done" in done.stdout.decode()


def test_runs_export_has_the_same_formats(do: Cli, here: Path, run: str) -> None:
    """``agentrt runs export`` prints a recording, and knows the other formats and files."""
    lines = do("runs", "export", run).out
    assert json.loads(lines.splitlines()[0])["run"]["id"] == run
    assert do("export", run, "--format", "jsonl", "-o", "-").out == lines
    assert do("runs", "export", run, "--format", "svg").out.startswith("<svg ")
    assert do("runs", "export", run, "-o", "run.html").code == 0
    assert (here / "run.html").exists()


def test_a_recording_is_a_run(do: Cli, here: Path, run: str) -> None:
    """A recording is exported as the run itself is: the same bytes as a recording, and a page named like the file."""
    do("export", run, "-o", "kept.jsonl")
    (here / "runs.db").unlink()
    assert do("export", "kept.jsonl", "-o", "again.jsonl").code == 0
    assert (here / "again.jsonl").read_bytes() == (here / "kept.jsonl").read_bytes()
    assert do("export", "./kept.jsonl").err.startswith("wrote kept.html")
    assert "OTTERS" in (here / "kept.html").read_text()


def test_a_damaged_recording(do: Cli, here: Path, run: str) -> None:
    """One line says where it is damaged; nothing is written."""
    do("export", run, "-o", "kept.jsonl")
    lines = (here / "kept.jsonl").read_text().splitlines(keepends=True)
    (here / "kept.jsonl").write_text("".join(lines[:-1]))
    refused = do("export", "kept.jsonl")
    assert refused.code == 1
    assert f"kept.jsonl, line {len(lines) - 1}: expected 1 more entries" in refused.complaint
    assert not (here / "kept.html").exists()


def test_a_run_that_is_not_there(do: Cli, run: str) -> None:
    """The line is the one of every other command."""
    assert "no run 'nonsense'" in do("export", "nonsense").complaint
    assert "cannot be read" in do("export", "absent.jsonl").complaint


def test_a_run_that_goes_on(do: Cli, here: Path) -> None:
    """A live run is shown as it stands, which is said here and in the page; the run does not notice."""
    (here / "wait").touch()
    process = begin(here, "run", "report.py", "-i", "topic=otters")
    until(process, "gate#1 started")
    done = do("export", "last", "-o", "live.html")
    assert "is still running: this is how it stands now" in done.err
    assert "Still running: this is how it stood after" in (here / "live.html").read_text()
    (here / "wait").unlink()
    assert ended(process)[0] == 0


def test_what_models_were_sent_and_said_is_in_the_page(do: Cli, here: Path) -> None:
    """A turn's story has its prompt, message by message, and its answer; the cached part is marked."""
    with ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as server:
        do("run", "talk.py", "-i", "topic=otters", "--engine", server.url)
    do("export", "last", "-o", "talk.html")
    page = (here / "talk.html").read_text()
    assert "You write one line." in page
    assert "<b>assistant</b>" in page
    assert "<mark>" in page
    assert 'id="kv"' in page


def test_a_failed_run_tells_its_story(do: Cli, here: Path) -> None:
    """The error stands in the head with its story, and nothing of it steers a terminal."""
    (here / "fail").touch()
    do("run", "report.py", "-i", "topic=otters")
    do("export", "last", "-o", "failed.html")
    page = (here / "failed.html").read_text()
    head = page.partition("<main>")[0]
    assert "✗ failed" in head
    assert "the gate is shut ␛[31m" in head
    assert "failed at" in head
