"""Starting, watching and ending the engine's process, with a fake engine in a real process."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from agentrt.engine import Engine, EngineSpec, Home, health, process, records, start
from agentrt.errors import ConfigError, StartError
from tests.engine.fakes import fake_parts, home_in


@pytest.fixture
def where(tmp_path: Path) -> Home:
    """An empty home."""
    return home_in(tmp_path)


def started(where: Home, behaviour: str = "well", start_s: float = 30.0, **spec: object) -> Engine:
    """Start the fake engine."""
    full = EngineSpec(device="cpu", extra={"behaviour": behaviour}, **spec)
    return start(full, where=where, parts=fake_parts(start_s))


def test_a_started_engine_has_generated_a_token_and_is_on_record(where: Home) -> None:
    """What ``start`` returns answers, and other processes can find it."""
    engine = started(where)
    try:
        assert health.probe(engine.url, engine.api_key, engine.model) is None
        assert records.running(where) == [engine.info]
        assert records.find(engine.url + "/v1", where) == engine.info
        assert engine.exit_story() is None
    finally:
        engine.stop()


def test_stopping_leaves_no_process_and_no_record(where: Home) -> None:
    """The children end too; stopping twice does nothing."""
    engine = started(where)
    assert len(process.session_members(engine.info.pid)) == 2
    engine.stop()
    engine.stop()
    assert process.session_members(engine.info.pid) == []
    assert records.recorded(where) == []


def test_one_that_ignores_the_request_to_end_is_killed(where: Home) -> None:
    """After the grace nobody is asked any more."""
    engine = started(where, "stubborn")
    engine.stop(grace_s=0.2)
    assert process.session_members(engine.info.pid) == []


def test_the_key_is_in_private_files_only(where: Home) -> None:
    """The state file may be read by its owner alone; command line and environment hold no key."""
    engine = started(where)
    try:
        path = where.engines / f"{engine.info.port}.json"
        assert json.loads(path.read_text())["api_key"] == engine.api_key
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(engine.info.log).stat().st_mode) == 0o600
        for pid in process.session_members(engine.info.pid):
            for name in ("cmdline", "environ"):
                assert engine.api_key.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
        assert engine.api_key not in repr(engine)
    finally:
        engine.stop()


def test_a_crash_is_reported_with_the_end_of_the_log(where: Home) -> None:
    """The error carries the status and the engine's last words, and nothing is left behind."""
    with pytest.raises(StartError, match="status 3") as caught:
        started(where, "crash")
    assert "the last words" in str(caught.value)
    assert "the last words" in caught.value.log_tail
    assert records.recorded(where) == []


def test_a_kill_is_reported_as_a_likely_lack_of_memory(where: Home) -> None:
    """SIGKILL from outside is what a full memory looks like."""
    with pytest.raises(StartError, match=r"memory ran out.*max-total-tokens"):
        started(where, "killed")


@pytest.mark.parametrize(("behaviour", "why"), [("mute", "without generating a token"), ("deaf", "does not listen")])
def test_listening_is_not_enough_to_be_well(where: Home, behaviour: str, why: str) -> None:
    """An engine that generates nothing in time is ended, and the error says what was missing."""
    with pytest.raises(StartError, match=why) as caught:
        started(where, behaviour, start_s=1.0)
    log = re.search(r"its log (\S+):", str(caught.value))
    assert log is not None
    assert Path(log[1]).exists()
    assert records.recorded(where) == []


def test_a_taken_port_is_named_with_its_holder(where: Home) -> None:
    """The error says which port, who holds it, and what to do; nothing is installed before."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} .*process {os.getpid()} .*another --port"):
            started(where, port=port)
    with pytest.raises(ConfigError, match="out of range"):
        started(where, port=70000)


def test_an_unknown_model_or_device_is_refused_before_anything_is_installed(where: Home, tmp_path: Path) -> None:
    """Both errors name the value and what would do."""
    with pytest.raises(ConfigError, match=r"'nonsense' is neither.*smollm2-135m"):
        started(where, model="nonsense")
    with pytest.raises(ConfigError, match=r"folder without config\.json"):
        started(where, model=str(tmp_path))
    with pytest.raises(ConfigError, match=r"'tpu'.*auto, cpu or cuda"):
        start(EngineSpec(device="tpu"), where=where, parts=fake_parts())
    assert not where.cache.exists()


def test_the_users_own_modules_stay_out_of_the_engine(where: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """``PYTHONPATH`` of the engine holds our plugin folder and nothing else, and it may cache its bytecode."""
    monkeypatch.setenv("PYTHONPATH", "/users/own")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONUTF8", "0")
    engine = started(where)
    try:
        variables = Path(f"/proc/{engine.info.pid}/environ").read_bytes().decode().split("\0")
    finally:
        engine.stop()
    (path,) = (each.partition("=")[2] for each in variables if each.startswith("PYTHONPATH="))
    assert Path(path).parent == where.plugins
    assert "SGLANG_PLATFORM=agentrt_cpu" in variables
    assert "PYTHONDONTWRITEBYTECODE=1" not in variables
    assert "HF_HUB_OFFLINE=1" in variables
    assert "PYTHONUTF8=1" in variables


def test_a_pid_used_again_by_another_process_is_not_taken_for_the_engine(where: Home) -> None:
    """A record is alive only while the very process it speaks of runs."""
    engine = started(where)
    try:
        own = process.stat(os.getpid())
        assert own is not None
        assert process.running(os.getpid(), own.started)
        assert not process.running(os.getpid(), own.started + 1)
        assert not process.running(engine.info.pid, engine.info.pid_started + 1)
    finally:
        engine.stop()


def test_what_engines_leave_behind_is_tidied_up(where: Home) -> None:
    """An attached engine whose owner was killed is forgotten at the next start; old logs go, newer ones stay."""
    engine = started(where)
    gone = replace(engine.info, port=1, pid_started=engine.info.pid_started + 1)
    records.save(gone, where)
    for number in range(30):
        log = where.logs / f"engine-{number}-0.log"
        log.touch()
        os.utime(log, (number, number))
    engine.stop()
    started(where).stop()
    left = {path.name for path in where.logs.iterdir()}
    assert records.recorded(where) == []
    assert "engine-29-0.log" in left
    assert "engine-0-0.log" not in left
    assert Path(engine.info.log).name in left


def test_an_engine_that_cannot_be_put_on_record_is_ended(where: Home) -> None:
    """Without a record nobody would find it to end it: the process that was started is gone when the error is out."""
    where.state.mkdir()
    where.engines.write_text("a file where a folder is needed")
    parts = replace(fake_parts(), launcher=lambda device: ("-c", "import time; time.sleep(60)"))
    before = children()
    with pytest.raises(FileExistsError):
        start(EngineSpec(device="cpu"), where=where, parts=parts)
    assert children() <= before


def children() -> set[str]:
    """The pids of this process's children."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def test_a_log_that_another_process_deletes_is_no_trouble(where: Home) -> None:
    """Two processes may tidy at the same time."""
    where.logs.mkdir(parents=True)
    (where.logs / "engine-1-0.log").symlink_to(where.logs / "gone")
    records.tidy(where)
