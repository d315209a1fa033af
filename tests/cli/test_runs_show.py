"""``agentrt runs list | show | events | export``: what is told of runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrt.testing.script import say
from agentrt.testing.server import ScriptedServer
from tests.cli.conftest import Cli, environment
from tests.cli.journalled import HALF, PROGRAMS, TALK

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def programs(here: Path, write: Write) -> Path:
    """The programs, in the folder of the test."""
    write("talk.py", TALK)
    return write("report.py", PROGRAMS)


def test_a_journal_that_is_not_there_yet_is_no_error(do: Cli, here: Path) -> None:
    """Before the first run the list is empty, and nothing is made by looking."""
    listed, told = do("runs", "list"), do("runs", "list", "--json")
    assert (listed.code, listed.out, json.loads(told.out)) == (0, "", [])
    assert "agentrt run PROGRAM.py" in listed.err
    assert not (here / "runs.db").exists()


def test_list_shows_the_newest_first(do: Cli, here: Path) -> None:
    """A line a run: id, status, when it began, how long it took, steps, program; all within 80 columns."""
    (here / "fail").touch()
    do("run", "report.py", "-i", "topic=otters")
    (here / "fail").unlink()
    do("run", "report.py", "-i", "topic=stoats", "-i", "words=7")
    head, first, second = do("runs", "list").out.splitlines()
    assert head.split() == ["RUN", "STATUS", "BEGAN", "TIME", "STEPS", "PROGRAM"]
    assert [line.split()[1] for line in (first, second)] == ["done", "failed"]
    assert [line.split()[-2:] for line in (first, second)] == [["10", "report"], ["5", "report"]]
    assert max(map(len, (head, first, second))) <= 80


def test_list_can_be_narrowed(do: Cli, here: Path) -> None:
    """--status takes those of one status, --limit the newest ones, and says that there are more."""
    for number in range(3):
        do("run", "report.py", "-i", f"topic={number}")
    assert len(do("runs", "list", "--limit", "2").out.splitlines()) == 3
    assert "there are more" in do("runs", "list", "--limit", "2").err
    assert len(json.loads(do("runs", "list", "--status", "done", "--json").out)) == 3
    assert do("runs", "list", "--status", "failed").out == "No such run\n"


def test_list_as_json(do: Cli, here: Path) -> None:
    """Each run is an object with what a script needs to find it again."""
    do("run", "report.py", "-i", "topic=otters")
    (run,) = json.loads(do("runs", "list", "--json").out)
    assert run["target"] == f"{here / 'report.py'}:report"
    assert {key: run[key] for key in ("program", "status", "error", "origin", "owner", "steps")} == {
        "program": "report",
        "status": "done",
        "error": None,
        "origin": None,
        "owner": None,
        "steps": 5,
    }
    assert run["seconds"] > 0


def test_show_tells_the_run_and_its_steps(do: Cli, here: Path) -> None:
    """A header, then the steps as a tree, each below the one that called it; all within 80 columns."""
    do("run", "report.py", "-i", "topic=otters")
    shown = do("runs", "show", "last").out
    assert "status    done\n" in shown
    assert "input     topic = otters\n" in shown
    assert 'output    {"said": "otters 0otters 0otters 0 otters 1' in shown
    steps = [line.split()[:2] for line in shown.partition("STEP")[2].splitlines()[1:]]
    assert steps == [[name, "done"] for name in ("note#1", "note#2", "outer#1", "inner#1", "gate#1")]
    assert "\n  inner#1 " in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_show_tells_why_a_run_failed(do: Cli, here: Path) -> None:
    """The error, the failed step's story, and below the step what it raised; nothing steers the terminal."""
    (here / "fail").touch()
    do("run", "report.py", "-i", "topic=otters")
    shown = do("runs", "show", "last").out
    assert "error     step 'gate#1' failed: ValueError: the gate is shut" in shown
    assert "story     gate#1 (python," in shown
    assert "\n    ValueError: the gate is shut" in shown.partition("STEP")[2]
    assert "\x1b" not in shown
    told = json.loads(do("runs", "show", "last", "--json").out)["error"]
    assert (told["type"], told["step"]) == ("ValueError", "gate#1")
    assert "failed at" in told["story"][0]


def test_a_failed_step_has_its_times(do: Cli, here: Path) -> None:
    """What a failed step of plain Python took is shown, as of one that is done."""
    (here / "fail").touch()
    do("run", "report.py", "-i", "topic=otters")
    steps = {step["id"]: step for step in json.loads(do("runs", "show", "last", "--json").out)["steps"]}
    assert 0 <= steps["gate#1"]["started"] <= steps["gate#1"]["ended"]


def test_half_a_character_is_an_escape_in_json(write: Write) -> None:
    """Texts that UTF-8 has no bytes for come out of every command that prints JSON as what JSON has for them."""
    write("half.py", HALF)
    for words in ("run half.py --json", "runs show last --json", "runs events last --json", "runs export last"):
        command = [sys.executable, "-m", "agentrt", *words.split()]
        done = subprocess.run(command, capture_output=True, check=False, env=environment({"PYTHONUTF8": "1"}))
        told = [json.loads(line) for line in ([done.stdout] if "show" in words else done.stdout.splitlines())]
        assert (done.returncode, "otters \\ud83e" in json.dumps(told)) == (0, True), words


def test_show_as_json_has_the_fields_of_a_run(do: Cli, here: Path) -> None:
    """What ``agentrt run --json`` told when the run ended, ``runs show --json`` tells later under the same names."""
    then = json.loads(do("run", "report.py", "-i", "topic=otters", "--json").out)
    now = json.loads(do("runs", "show", "last", "--json").out)
    same = ("run_id", "program", "status", "output", "error", "journal", "tokens", "graph")
    assert {key: now[key] for key in same} == {key: then[key] for key in same}
    assert now["journal"] == str(here / "runs.db")
    assert now["inputs"] == {"topic": "otters"}
    told = ("id", "name", "kind", "status", "parent", "prompt_tokens", "error")
    assert sorted(_picked(now["steps"], told)) == sorted(_picked(then["steps"], told))


def _picked(steps: list[dict[str, Any]], keys: tuple[str, ...]) -> list[list[str]]:
    return [[str(step[key]) for key in keys] for step in steps]


def test_tokens_are_shown_where_a_model_was_asked(do: Cli, here: Path) -> None:
    """Model turns show their tokens, the header all of them; without a model there are no such columns."""
    with ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as server:
        do("run", "talk.py", "-i", "topic=otters", "--engine", server.url)
    shown = do("runs", "show", "last").out
    assert "PROMPT CACHED    NEW" in shown
    assert "tokens" in shown
    assert max(map(len, shown.splitlines())) <= 80
    do("run", "report.py", "-i", "topic=otters")
    assert "PROMPT" not in do("runs", "show", "last").out


def test_events_are_lines_in_words(do: Cli, here: Path) -> None:
    """Every entry is a line that a person reads, within 80 columns."""
    (here / "fail").touch()
    do("run", "report.py", "-i", "topic=otters")
    lines = do("runs", "events", "last").out.splitlines()
    for said in (
        's  note#1 called as tool step ("otters 0")',
        "s  note#1 begun",
        's  note#1 done: "otters 0otters 0otters 0"',
        "s  gate#1 failed: ValueError: the gate is shut",
        "s  run failed: step 'gate#1' failed",
    ):
        assert [line for line in lines if said in line], said
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)


def test_events_as_json_have_large_texts_in_their_places(do: Cli, here: Path) -> None:
    """With --json each line is an object; what the journal keeps apart, as it is long, stands where it belongs."""
    do("run", "report.py", "-i", f"topic={'long ' * 100}")
    entries = [json.loads(line) for line in do("runs", "events", "last", "--json").out.splitlines()]
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    (first,) = [entry for entry in entries if (entry["step"], entry["kind"]) == ("note#1", "called")]
    assert first["data"]["args"] == [[f"{'long ' * 100} 0"], {}]
    (gate,) = [entry for entry in entries if (entry["step"], entry["kind"]) == ("gate#1", "ended")]
    assert gate["data"]["value"].count("LONG") == 100


def test_what_a_model_was_sent_is_told_as_it_grew(do: Cli, here: Path) -> None:
    """The messages of a second turn stand in the export as those that were added since the first."""
    with ScriptedServer.in_thread(lambda asked: say("Otters swim.")) as server:
        do("run", "talk.py", "-i", "topic=otters", "--engine", server.url)
    entries = [json.loads(line) for line in do("runs", "export", "last").out.splitlines()[1:]]
    first, second = [entry["data"]["messages"] for entry in entries if entry["kind"] == "sent"]
    assert [message["content"] for message in first["more"]] == ["You write one line.", "otters"]
    assert second["on"] == first["id"]
    assert [message["content"] for message in second["more"]] == ["Otters swim.", "Go on."]
    assert "sent 4 messages to" in do("runs", "events", "last").out


def test_export_in_both_formats(do: Cli, here: Path) -> None:
    """One object a line, the run itself first; or all of it as one object."""
    do("run", "report.py", "-i", "topic=otters")
    lines = [json.loads(line) for line in do("runs", "export", "last").out.splitlines()]
    whole = json.loads(do("runs", "export", "last", "--format", "json").out)
    assert whole == {"run": lines[0]["run"], "entries": lines[1:]}
    assert whole["run"]["inputs"] == [[], {"topic": "otters"}]
    assert whole["entries"][-1]["kind"] == "over"
    assert do("runs", "export", "last", "--json").out == do("runs", "export", "last", "--format", "json").out


def test_a_run_is_named_by_the_beginning_of_its_id(do: Cli, here: Path) -> None:
    """Enough of an id to tell it apart names it; what does not is told with those there are."""
    for number in range(2):
        do("run", "report.py", "-i", f"topic={number}")
    first, second = (run["run_id"] for run in json.loads(do("runs", "list", "--json").out))
    common = next(second[:end] for end in range(len(second), -1, -1) if first.startswith(second[:end]))
    assert second in do("runs", "show", second[: len(common) + 1]).out
    ambiguous = do("runs", "show", common)
    assert ambiguous.code == 1
    assert first in ambiguous.complaint
    assert second in ambiguous.complaint
    unknown = do("runs", "events", "nonsense")
    assert unknown.code == 1
    assert "no run 'nonsense'" in unknown.complaint
    assert "agentrt runs list" in unknown.complaint


def test_a_journal_that_is_not_there(do: Cli, here: Path) -> None:
    """A journal that was named wrongly is told, and not made; runs that are not kept cannot be shown."""
    ended = do("runs", "list", "--journal", "absent.db")
    assert ended.code == 1
    assert "there is no journal 'absent.db'" in ended.complaint
    assert not (here / "absent.db").exists()
    off = do("runs", "show", "last", "--journal", "off")
    assert off.code == 1


def test_runs_that_are_not_kept(do: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """With AGENTRT_JOURNAL=off nothing is written down, and looking for it says so."""
    monkeypatch.setenv("AGENTRT_JOURNAL", "off")
    told = json.loads(do("run", "report.py", "-i", "topic=otters", "--json").out)
    assert (told["status"], told["journal"]) == ("done", None)
    ended = do("runs", "show", "last")
    assert ended.code == 2
    assert "AGENTRT_JOURNAL=off" in ended.complaint


def test_a_run_without_a_journal_imports_no_database(here: Path) -> None:
    """Who writes nothing down does not wait for what would be needed to."""
    listing = (
        "import sys\nfrom agentrt.cli import main\ncode = main(sys.argv[1:])\n"
        "print('sqlalchemy' in sys.modules, file=sys.stderr)\nsys.exit(code)"
    )
    words = ("run", "report.py", "-i", "topic=otters", "--json")
    for option, imported in (("--no-journal", "False"), ("--kv=none", "True")):
        done = subprocess.run(
            [sys.executable, "-c", listing, *words, option], cwd=here, capture_output=True, text=True, check=True
        )
        assert done.stderr.splitlines()[-1] == imported, option


def test_a_journal_of_a_newer_version(do: Cli, here: Path) -> None:
    """One line names both versions and the ways out; nothing is run."""
    import sqlite3

    do("run", "report.py", "-i", "topic=otters")
    with sqlite3.connect(here / "runs.db") as connection:
        connection.execute("UPDATE agentrt_schema SET version = 99")
    connection.close()
    for words in (["runs", "list"], ["run", "report.py", "-i", "topic=otters"]):
        ended = do(*words)
        assert ended.code == 1
        assert "has version 99" in ended.complaint
        assert "newer agentrt" in ended.complaint
    assert "--no-journal" in ended.complaint
    assert (here / "notes").read_text().count("\n") == 2


def test_a_journal_that_cannot_be_opened(do: Cli, here: Path) -> None:
    """A run whose journal cannot be opened does not begin; the line says how it would without."""
    (here / "folder").mkdir()
    words = ("run", "report.py", "-i", "topic=otters")
    ended = do(*words, "--journal", "folder")
    assert ended.code == 1
    assert "folder" in ended.complaint
    assert "--no-journal" in ended.complaint
    assert not (here / "notes").exists()
    assert do(*words, "--no-journal").code == 0
    assert not (here / "runs.db").exists()
