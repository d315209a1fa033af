"""What is said: to SGLang, to the terminal, and by the commands."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentrt.cli import main
from agentrt.engine import EngineInfo, EngineSpec, Model, Silent, extra_args, home, progress_for, records
from agentrt.engine.progress import Abandoned, Cancellable, Lines, Live
from agentrt.engine.server import ended
from agentrt.engine.spec import engine_environment, server_args
from agentrt.errors import ConfigError

MODEL = Model("tiny", "/models/tiny", {"tool_call_parser": "hermes"})


def test_options_after_the_dashes_become_sglang_s_fields() -> None:
    """Values that read as JSON are taken as such, flags are true, the last word wins."""
    found = extra_args(
        ["--log-level", "debug", "--stream-interval=4", "--enable-metrics", "--mem-fraction-static", "0.5"]
    )
    assert found == {"log_level": "debug", "stream_interval": 4, "enable_metrics": True, "mem_fraction_static": 0.5}


@pytest.mark.parametrize("words", [["debug"], ["--log-level", "a", "b"], ["--host", "0.0.0.0"], ["--api-key=x"]])
def test_options_that_make_no_sense_or_open_the_engine_are_refused(words: list[str]) -> None:
    """A stray word has no option, and the engine stays on this machine under its own key."""
    with pytest.raises(ConfigError, match="after --"):
        extra_args(words)


def test_what_the_caller_gives_wins_except_for_what_protects_the_engine() -> None:
    """Extra fields override ours and the model's; address and key cannot be overridden."""
    spec = EngineSpec(max_total_tokens=1000, extra={"attention_backend": "torch_native", "host": "0.0.0.0"})
    args = server_args(spec, "cpu", MODEL, 3, "secret")
    assert args["attention_backend"] == "torch_native"
    assert args["max_total_tokens"] == 1000
    assert (args["model_path"], args["served_model_name"], args["tool_call_parser"]) == (
        "/models/tiny",
        "tiny",
        "hermes",
    )
    assert (args["host"], args["port"], args["api_key"]) == ("127.0.0.1", 3, "secret")


def test_engines_use_the_hinted_tree_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines evict by hint; who sets SGLang's own variable gets the tree they name."""
    name = "SGLANG_UNIFIED_RADIX_TREE_CORE_BACKEND"
    model = Model("a/b", "a/b")
    monkeypatch.delenv(name, raising=False)
    assert engine_environment("cpu", model, Path("/plugin"))[name] == "agentrt"
    monkeypatch.setenv(name, "rust")
    assert engine_environment("cpu", model, Path("/plugin"))[name] == "rust"


def test_on_a_gpu_sglang_is_left_as_it_is() -> None:
    """No CPU platform, no CPU flags; the second tier and the sizes as asked for."""
    args = server_args(EngineSpec(context_length=9, host_tier_ratio=2.0), "cuda", MODEL, 3, "secret")
    assert args["enable_hierarchical_cache"] is True
    assert args["context_length"] == 9
    assert "attention_backend" not in args
    assert "max_total_tokens" not in args
    variables = engine_environment("cuda", Model("a/b", "a/b", online=True), Path("/plugin"))
    assert "SGLANG_PLATFORM" not in variables
    assert variables.get("HF_HUB_OFFLINE") != "1"


def test_lines_tell_steps_their_time_and_signs_of_life() -> None:
    """Short steps take one line, long ones say now and then where they are."""
    now = [0.0]
    out = io.StringIO()
    lines = Lines(out, clock=lambda: now[0])
    lines.step("One")
    lines.step("Two")
    lines.amount(1_000_000, 98_000_000, "bytes")
    now[0] = 16.0
    lines.tick()
    now[0] = 20.0
    lines.close()
    assert out.getvalue().splitlines() == ["One ...", "Two ...", "  16 s 1 of 98 MB", "  done in 20 s"]


def test_a_failed_step_is_not_told_as_done() -> None:
    """After a failure the error speaks, not the display."""
    now = [0.0]
    out = io.StringIO()
    lines = Lines(out, clock=lambda: now[0])
    lines.step("One")
    now[0] = 5.0
    lines.close(failed=True)
    assert "done" not in out.getvalue()


def test_the_live_display_takes_everything_that_lines_take(capsys: pytest.CaptureFixture[str]) -> None:
    """The display on terminals shows the steps it was told."""
    live = Live()
    live.step("Installing")
    live.note("some [text] with brackets")
    live.amount(1, 2, "files")
    live.tick()
    live.step("Starting")
    live.close()
    shown = capsys.readouterr().err
    assert "Installing" in shown
    assert "Starting" in shown


def test_silence_is_for_those_who_asked_and_lines_for_pipes() -> None:
    """Neither a pipe nor ``--json`` gets a spinner."""
    assert isinstance(progress_for(silent=True), Silent)
    assert isinstance(progress_for(io.StringIO()), Lines)


def test_a_cancel_comes_in_through_the_next_tick() -> None:
    """Work that is waiting learns that nobody wants it any more."""
    abandoned = threading.Event()
    progress = Cancellable(Silent(), abandoned)
    progress.step("One")
    progress.tick()
    abandoned.set()
    with pytest.raises(Abandoned):
        progress.tick()


def test_importing_the_engine_s_life_needs_the_standard_library_alone() -> None:
    """The command line and the SDK pay nothing for it before it is used."""
    program = (
        "import sys, agentrt.engine, agentrt.cli.engine\n"
        "heavy = {'httpx', 'rich', 'uv', 'platformdirs', 'pydantic', 'torch', 'sglang', 'networkx'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == "[]", done.stderr


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own, where nothing runs."""
    monkeypatch.setenv("AGENTRT_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("empty_home")
def test_commands_say_that_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """``status`` fails and names the command to start one, ``down`` has nothing to do, ``logs`` has none."""
    assert main(["engine", "status"]) == 1
    assert "agentrt engine up" in capsys.readouterr().out
    assert main(["engine", "status", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == []
    assert main(["engine", "down"]) == 0
    assert main(["engine", "logs"]) == 1
    assert re.search("agentrt engine up", capsys.readouterr().err)


@pytest.mark.parametrize(("lines", "shown"), [("0", ""), ("1", "three\n"), ("2", "two\nthree\n")])
def test_as_many_lines_of_a_log_as_were_asked_for(
    lines: str, shown: str, empty_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The end of the log is shown, none of it for 0; less than that is refused."""
    log = empty_home / "engine.log"
    log.write_text("one\ntwo\nthree\n")
    info = EngineInfo("http://127.0.0.1:1", 1, "key", "tiny", "cpu", pid=0, pid_started=0, log=str(log), started=0.0)
    records.save(info, home())
    assert main(["engine", "logs", "-n", lines]) == 0
    assert capsys.readouterr().out == shown
    assert main(["engine", "logs", "-n", lines, "http://127.0.0.1:1/v1/"]) == 0
    assert capsys.readouterr().out == shown
    assert main(["engine", "logs", "-n", "-1"]) == 2
    assert "expected 0 lines or more" in capsys.readouterr().err


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize(
    ("words", "named"),
    [(["--model", "nonsense"], "nonsense"), (["--port", "70000"], "70000"), (["--", "stray"], "stray")],
)
def test_a_wrong_word_is_one_line_and_status_2(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The value is named, nothing is installed."""
    assert main(["engine", "up", "--device", "cpu", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert named in line


def test_an_engine_that_ended_itself_is_not_called_killed(tmp_path: Path) -> None:
    """SGLang kills itself when a process of it failed; the story says that, not that memory ran out."""
    log = tmp_path / "engine.log"
    log.write_text("ValueError: broken weights\nReceived sigquit from a child process.\n")
    assert "because a process of it failed" in ended(-9, log)
    log.write_text("Loading weights\n")
    assert "memory ran out" in ended(-9, log)
