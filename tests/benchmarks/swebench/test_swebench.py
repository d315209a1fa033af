"""The whole benchmark on a tiny instance: real git, a real environment, the sandbox, and the official grader."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentrt.errors import SandboxError
from agentrt.executors.sandbox import Sandbox
from agentrt.testing import Asked, Reply, ScriptedServer, call, refuse, say
from tests.benchmarks.swebench.tiny import ID, Tiny, tiny

REPO = Path(__file__).parents[3]
ODD = "it's 100%41"
"""A name that is read as another one where it is not quoted."""
SED = "sed -i 's/len(items)\\]/len(items) - 1]/' counting/__init__.py"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny benchmark."""
    return tiny(tmp_path_factory.mktemp("tiny") / ODD)


@pytest.fixture(autouse=True)
async def _contained(tmp_path: Path) -> None:
    """A machine without a sound sandbox runs no untrusted tests."""
    try:
        async with Sandbox(tmp_path):
            pass
    except SandboxError as error:
        pytest.skip(f"no sandbox here: {error}")


def command(made: Tiny, out: Path, *more: str) -> list[str]:
    """The command line."""
    given = ["--dataset", str(made.dataset), "--repos", "tiny/counting", "--repo-dir", str(made.mirrors)]
    return [sys.executable, "-m", "agentrt", "bench", "swebench", *given, "--out", str(out), "--json", *more]


def ran(made: Tiny, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    return subprocess.run(command(made, out, *more), cwd=REPO, capture_output=True, text=True, timeout=110, check=False)


def verdict(out: Path) -> dict[str, Any]:
    """What the official grader said of the one instance."""
    found: dict[str, Any] = json.loads((out / "verdicts.jsonl").read_text())
    return found


def output(out: Path) -> dict[str, Any]:
    """What the program came to."""
    line = json.loads((out / "results.jsonl").read_text())
    assert line["status"] == "done", line["error"]
    found: dict[str, Any] = line["output"]
    return found


def test_the_reference_patch_resolves(made: Tiny, tmp_path: Path) -> None:
    """The official grader says so, and the command's status too; tests that were killed have left nothing to others."""
    left = tmp_path / "gold" / "places" / "testing" / ID
    left.mkdir(parents=True)
    (left / "made").write_text("")
    ended = ran(made, tmp_path / "gold", "--gold")
    assert ended.returncode == 0, ended.stderr
    assert verdict(tmp_path / "gold") == {"entry": ID, "category": "tiny/counting", "score": 1.0, "why": "resolved"}
    assert not left.exists()


def test_the_empty_patch_does_not(made: Tiny, tmp_path: Path) -> None:
    """The tests run, and those that should fail do."""
    ended = ran(made, tmp_path / "empty", "--empty")
    assert ended.returncode == 0, ended.stderr
    assert verdict(tmp_path / "empty")["score"] == 0.0
    assert (
        "FAIL_TO_PASS 0 of 1 (not tests/test_counting.py::test_last); PASS_TO_PASS 1 of 1"
        in (verdict(tmp_path / "empty")["why"])
    )


def test_a_reference_that_does_not_resolve_is_told(made: Tiny, tmp_path: Path) -> None:
    """The self-check ends with status 1, names the instance, and says that its patch does not apply."""
    dataset = tmp_path / "bad.jsonl"
    dataset.write_text(json.dumps(made.row | {"patch": made.row["patch"].replace("len", "length")}) + "\n")
    ended = ran(Tiny(made.mirrors, dataset, made.row), tmp_path / "bad", "--gold")
    assert ended.returncode == 1
    assert f"{ID}: expected resolved" in ended.stderr
    assert "does not apply" in ended.stderr


def scripted(*replies: Reply) -> Callable[[Asked], Reply]:
    """A model that says these in turn, by how often it has spoken in the conversation, and the last one for ever."""

    def answer(asked: Asked) -> Reply:
        said = sum(message["role"] == "assistant" for message in asked.messages)
        return replies[min(said, len(replies) - 1)]

    return answer


SOLVING = scripted(
    call("search", pattern="def last"),
    say('I look at it.\n```json\n{"name": "read", "arguments": {"path": "counting/__init__.py"}}\n```'),
    call("edit", path="counting/__init__.py", old="items[0]]", new="x"),
    call("edit", path="src/counting.py", old="", new="x"),
    call("edit", path="counting/__init__.py", old="items[len(items)]", new="items[-1]"),
    say("Done, I think."),
    say('<tool_call>\n{"name": "bash", "arguments": {"command": "python -m pytest -q 2>&1 | tail -1"}}\n</tool_call>'),
    call("bash", command="echo x > tests/test_mine.py; curl -s -m 1 http://127.0.0.1:1; echo $?"),
    call("submit"),
    say("DONE"),
)


def test_an_agent_solves_it(made: Tiny, tmp_path: Path) -> None:
    """Calls in three notations, a mistake, and a reply without a call; tests of its own are no part of the patch."""
    with ScriptedServer.in_thread(SOLVING) as server:
        ended = ran(made, tmp_path / ODD, "--engine", server.url)
        shown = [message["content"] for message in server.requests[-1].messages if message["role"] == "tool"]
        said = [message["content"] for message in server.requests[-1].messages if message["role"] == "user"]
    assert ended.returncode == 0, ended.stderr
    assert verdict(tmp_path / ODD)["score"] == 1.0
    found = output(tmp_path / ODD)
    assert found["submitted"]
    assert "items[-1]" in found["patch"]
    assert "test_mine" not in found["patch"]
    assert [one["tool"] for one in found["calls"]] == ["search", "read", *["edit"] * 3, "bash", "bash", "submit"]
    assert all(one["peak_memory"] > 0 for one in found["calls"] if one["tool"] == "bash")
    assert "does not stand in counting/__init__.py" in shown[2]
    assert "there is no folder for src/counting.py" in shown[3]
    assert "1 passed" in shown[5]
    assert len(said) == 2
    assert "no tool" in said[1]
    line = json.loads((tmp_path / ODD / "predictions.jsonl").read_text())
    assert line == {"instance_id": ID, "model_name_or_path": "scripted", "model_patch": found["patch"]}


def test_a_bad_model_comes_to_the_end(made: Tiny, tmp_path: Path) -> None:
    """One that talks, and calls what is not there with what does not fit, uses up its turns and hands in nothing."""
    bad = (say("Hello."), call("delete", everything=True), call("read", path=1), call("bash", command="exit 3"))
    turn = iter(range(1_000))
    with ScriptedServer.in_thread(lambda _: bad[next(turn) % len(bad)]) as server:
        ended = ran(made, tmp_path / "bad", "--engine", server.url, "--turns", "5", "--together", "3")
        assert ended.returncode == 0, ended.stderr
        assert 5 <= len(server.requests) <= 15
    assert output(tmp_path / "bad")["patch"] == ""
    assert verdict(tmp_path / "bad")["score"] == 0.0
    assert verdict(tmp_path / "bad")["why"].startswith("no patch; ")


def test_a_full_window_begins_a_new_conversation(made: Tiny, tmp_path: Path) -> None:
    """It begins with the same messages, and is told of the changes so far and of the last calls."""

    def model(asked: Asked) -> Reply:
        if "You have worked on this before" in str(asked.messages[1]["content"]):
            return say("DONE") if "submitted" in asked.last else call("submit")
        return call("bash", command=f"{SED}; seq 1000")

    with ScriptedServer.in_thread(model, context=1_500) as server:
        ended = ran(made, tmp_path / "full", "--engine", server.url, "--context", "1500")
        first, last = server.requests[0].messages, server.requests[-1].messages
    assert ended.returncode == 0, ended.stderr
    assert verdict(tmp_path / "full")["score"] == 1.0
    assert last[0] == first[0]
    assert last[1]["content"].startswith(first[1]["content"])
    assert "len(items) - 1]" in last[1]["content"]


def test_killed_in_the_middle_of_a_command_it_goes_on(made: Tiny, tmp_path: Path) -> None:
    """The command that was broken off is run again from the tree as it was before it: its effects are there once."""
    stuck = "echo x >> notes.txt; test -e .git/again || { touch .git/again; sleep 600; }"
    model = scripted(call("bash", command=SED), call("bash", command=stuck), call("submit"), say("DONE"))
    out = tmp_path / "killed"
    with ScriptedServer.in_thread(model) as server:
        words = command(made, out, "--engine", server.url)
        with subprocess.Popen(words, cwd=REPO, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            appears(out / "places" / "working" / ID / "tree" / ".git" / "again")
            os.kill(process.pid, signal.SIGKILL)
        asked = len(server.requests)
        assert ran(made, out, "--engine", server.url).returncode == 0
        assert len(server.requests) - asked == 2
    assert verdict(out)["score"] == 1.0
    assert output(out)["patch"].count("+x\n") == 1
    assert len(output(out)["calls"]) == 3


def appears(file: Path, within: float = 60.0) -> None:
    """Wait for a file."""
    until = time.monotonic() + within
    while not file.exists():
        assert time.monotonic() < until, f"{file} did not come"
        threading.Event().wait(0.02)


def test_an_entry_that_fails_hands_in_what_stands_there(made: Tiny, tmp_path: Path) -> None:
    """What was changed until then is graded, as if it had been submitted; running out of time is no other case."""
    model = scripted(call("bash", command=SED), refuse(400, "I have had enough."))
    with ScriptedServer.in_thread(model) as server:
        ended = ran(made, tmp_path / "failed", "--engine", server.url)
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "failed" / "results.jsonl").read_text())["status"] == "failed"
    assert verdict(tmp_path / "failed")["score"] == 1.0
    assert "len(items) - 1" in (tmp_path / "failed" / "predictions.jsonl").read_text()


def test_a_ruined_tree_hands_in_what_was_changed(made: Tiny, tmp_path: Path) -> None:
    """A link in the place of the tests, a repository without a commit, folders too deep to be named, what nobody may
    read, megabytes of what is no text: the change among them is handed in all the same, and nothing is left over."""
    deep = "import os\nfor _ in range(1500):\n    os.mkdir('d'); os.chdir('d')"
    ruin = (
        f'rm -rf tests; ln -s /etc tests; git init -q inner; touch inner/x; python -c "{deep}"; '
        "mkdir shut; touch shut/x; chmod 0 shut pyproject.toml; "
        "echo '*.py working-tree-encoding=UTF-16' > .gitattributes; head -c 14000000 /dev/urandom > large.bin; "
        "printf '# caf\\351\\n' >> counting/__init__.py; sed -i '1i # coding: latin-1' counting/__init__.py"
    )
    model = scripted(call("bash", command=SED), call("bash", command=ruin), call("submit"), say("DONE"))
    out = tmp_path / "ruined"
    with ScriptedServer.in_thread(model) as server:
        ended = ran(made, out, "--engine", server.url)
    assert ended.returncode == 0, ended.stderr
    assert verdict(out)["why"] == "resolved"
    assert "GIT binary patch" in output(out)["patch"]
    assert "large.bin" not in output(out)["patch"]
    assert not (out / "places" / "working" / ID).exists()


def test_a_tree_that_git_cannot_read_stops_nothing(made: Tiny, tmp_path: Path) -> None:
    """An entry that failed, and whose changes are longer than a patch may be, hands in nothing, and that is said."""
    model = scripted(
        call("bash", command="head -c 14000000 /dev/urandom > counting/__init__.py"), refuse(400, "Enough.")
    )
    with ScriptedServer.in_thread(model) as server:
        ended = ran(made, tmp_path / "large", "--engine", server.url)
    assert ended.returncode == 0, ended.stderr
    assert f"{ID}: what stands in its work tree cannot be handed in: " in ended.stderr
    assert verdict(tmp_path / "large")["why"].startswith("no patch; ")


def test_a_check_of_nothing_is_none(made: Tiny, tmp_path: Path) -> None:
    """Without an instance, or with two of one name, nothing has been shown."""
    ended = ran(made, tmp_path / "none", "--gold", "--repos", "nobody/nothing")
    assert ended.returncode == 2
    assert "has no instance of nobody/nothing" in ended.stderr
    twice = tmp_path / "twice.jsonl"
    twice.write_text(made.dataset.read_text() * 2)
    ended = ran(Tiny(made.mirrors, twice, made.row), tmp_path / "two", "--gold")
    assert ended.returncode == 2
    assert f"more than one instance {ID!r}" in ended.stderr


def test_mini_swe_agent_solves_it(made: Tiny, tmp_path: Path) -> None:
    """Somebody else's loop and messages, our model turns and our sandbox, the same grading."""
    replies = ["ls", f"{SED}", "git diff > patch.txt", "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT && cat patch.txt"]
    said = [say("What?"), *(say(f"So:\n\n```mswea_bash_command\n{line}\n```") for line in replies)]

    def model(asked: Asked) -> Reply:  # replies without a command are not kept in its context
        return said[sum(message["role"] == "user" for message in asked.messages) - 1]

    with ScriptedServer.in_thread(model) as server:
        ended = ran(made, tmp_path / "mini", "--agent", "mini", "--engine", server.url)
    assert ended.returncode == 0, ended.stderr
    found = output(tmp_path / "mini")
    assert (found["ended"], found["submitted"], len(found["calls"])) == ("Submitted", True, 4)
    assert verdict(tmp_path / "mini")["score"] == 1.0


@pytest.mark.skipif(
    "AGENTRT_SWEBENCH_DATA" not in os.environ, reason="AGENTRT_SWEBENCH_DATA names no folder of datasets"
)
@pytest.mark.skipif(
    "AGENTRT_SWEBENCH_REPOS" not in os.environ, reason="AGENTRT_SWEBENCH_REPOS names no folder of mirrors"
)
@pytest.mark.parametrize("check", ["--gold", "--empty"])
def test_real_instances(tmp_path: Path, check: str) -> None:
    """Three quick instances of SWE-bench Verified, one of each repository: the reference resolves, nothing does not."""
    ids = "pallets__flask-5014,pytest-dev__pytest-10051,sympy__sympy-12419"
    words = [sys.executable, "-m", "agentrt", "bench", "swebench", check, "--ids", ids, "--out", str(tmp_path / "real")]
    ended = subprocess.run(words, cwd=REPO, capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stderr
    lines = (tmp_path / "real" / "verdicts.jsonl").read_text().splitlines()
    assert [json.loads(line)["score"] for line in lines] == [float(check == "--gold")] * 3
