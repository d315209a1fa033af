"""The real engine: installed, started, and asked."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from agentrt.cli import main
from agentrt.engine import Engine, EngineSpec, embedded, health, process, start
from agentrt.errors import StartError

pytestmark = pytest.mark.engine


def ask(engine: Engine, **body: object) -> dict:
    """Send one chat request and return the reply."""
    with httpx.Client(base_url=engine.url, timeout=120, trust_env=False) as client:
        reply = client.post(
            "/v1/chat/completions",
            headers={"Authorization": f"Bearer {engine.api_key}"},
            json={"model": engine.model, "temperature": 0, **body},
        )
        assert reply.status_code == 200, reply.text
        return reply.json()


def test_it_answers_a_question(engine: Engine) -> None:
    """The default model knows the capital of France."""
    reply = ask(engine, max_tokens=24, messages=[{"role": "user", "content": "What is the capital of France?"}])
    assert "Paris" in reply["choices"][0]["message"]["content"]


def test_it_reports_cached_tokens(engine: Engine) -> None:
    """The second time a prompt is sent, its tokens come from the cache."""
    messages = [{"role": "user", "content": "Name the days of the week. " * 20}]
    first = ask(engine, max_tokens=1, messages=messages)
    second = ask(engine, max_tokens=1, messages=messages)
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] >= first["usage"]["prompt_tokens"] - 1


def test_it_decodes_by_schema(engine: Engine) -> None:
    """A JSON schema binds even a model too small to follow one."""
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 20}, "size": {"enum": ["small", "big"]}},
        "required": ["city", "size"],
        "additionalProperties": False,
    }
    reply = ask(
        engine,
        max_tokens=100,
        messages=[{"role": "user", "content": "Describe Paris."}],
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    found = json.loads(reply["choices"][0]["message"]["content"])
    assert found.keys() == {"city", "size"}


def test_it_calls_a_required_tool_and_reads_its_result(engine: Engine) -> None:
    """A required tool call comes back as one, and the turn that answers it is understood."""
    tool = {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string", "maxLength": 20}},
                "required": ["city"],
            },
        },
    }
    messages = [{"role": "user", "content": "How is the weather in Rome?"}]
    reply = ask(engine, max_tokens=100, messages=messages, tools=[tool], tool_choice="required")
    message = reply["choices"][0]["message"]
    call = message["tool_calls"][0]
    assert call["function"]["name"] == "weather"
    assert "city" in json.loads(call["function"]["arguments"])
    messages += [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]
    after = ask(engine, max_tokens=4, messages=messages, tools=[tool], tool_choice="auto")
    assert after["usage"]["completion_tokens"] >= 1
    assert after["usage"]["prompt_tokens"] > reply["usage"]["prompt_tokens"] + 10, "the call and its result are read"


def test_it_refuses_who_has_no_key(engine: Engine) -> None:
    """Another user of this machine gets nothing without the key."""
    with httpx.Client(base_url=engine.url, timeout=30, trust_env=False) as client:
        assert client.get("/v1/models").status_code == 401


def test_its_key_is_in_no_place_others_can_read(engine: Engine) -> None:
    """The key is in no command line and no environment of its processes, and not in its log."""
    key = engine.api_key.encode()
    members = process.session_members(engine.info.pid)
    assert len(members) >= 2, "the launcher and its children"
    for pid in members:
        assert key not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert key not in Path(f"/proc/{pid}/environ").read_bytes()
    log = Path(engine.info.log)
    assert key not in log.read_bytes()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_it_listens_on_this_machine_only(engine: Engine) -> None:
    """Nothing but loopback reaches it."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    hosts = {row[1].split(":")[0] for row in rows if int(row[1].split(":")[1], 16) == engine.info.port}
    assert "0100007F" in hosts
    assert "00000000" not in hosts


def test_it_ends_with_the_process_that_started_it() -> None:
    """Even when its owner is killed, a moment later no process of the engine is left."""
    program = (
        "import time; from agentrt.engine import EngineSpec, start\n"
        "engine = start(EngineSpec(device='cpu', max_total_tokens=2048))\n"
        "print(engine.info.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        session = int(owner.stdout.readline())
        watched = [os.pidfd_open(pid) for pid in process.session_members(session)]
        assert len(watched) >= 2
        owner.kill()
    try:
        for each in watched:
            assert ended_within(each, 20.0)
    finally:
        for each in watched:
            os.close(each)
    assert process.session_members(session) == []


def ended_within(pidfd: int, seconds: float) -> bool:
    """Wait for a process to end."""
    import select

    return bool(select.select([pidfd], [], [], seconds)[0])


async def test_an_attached_engine_that_dies_tells_its_story() -> None:
    """After its processes are killed, the handle says so, with the end of the log."""
    async with embedded(spec=EngineSpec(max_total_tokens=2048), device="cpu") as engine:
        assert engine.exit_story() is None
        os.kill(engine.info.pid, signal.SIGKILL)
        watched = os.pidfd_open(engine.info.pid)
        assert await asyncio.to_thread(ended_within, watched, 20.0)
        os.close(watched)
        story = engine.exit_story()
        assert story is not None
        assert "killed" in story
        assert engine.info.log in story
        assert health.probe(engine.url, engine.api_key, engine.model, timeout_s=5) is not None
    assert process.session_members(engine.info.pid) == []


async def test_it_ends_soon_when_a_process_of_it_is_killed() -> None:
    """The engine does not live on without a part of it: whoever waits for an answer learns that there is none."""
    async with embedded(spec=EngineSpec(max_total_tokens=4096)) as engine:
        watched = os.pidfd_open(engine.info.pid)
        os.kill(max(process.session_members(engine.info.pid)), signal.SIGKILL)
        assert await asyncio.to_thread(ended_within, watched, 20.0)
        os.close(watched)
        assert engine.exit_story() is not None


def test_a_setting_it_cannot_use_is_told_from_its_log() -> None:
    """When SGLang refuses an argument, the error carries SGLang's own words."""
    with pytest.raises(StartError, match="no_such_setting") as caught:
        start(EngineSpec(device="cpu", extra={"no_such_setting": 1}))
    assert "no_such_setting" in caught.value.log_tail


def test_an_interrupted_installation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """Ctrl-C in the middle gives status 130; the next run does the rest, and what it built can serve."""
    env = {**os.environ, "AGENTRT_HOME": str(tmp_path)}
    first = run_python("import sys; from agentrt.cli import main; sys.exit(main(['engine', 'up']))", env)
    assert first.stderr is not None
    for line in first.stderr:
        if "Installing SGLang" in line:
            first.send_signal(signal.SIGINT)
            break
    _, rest = first.communicate(timeout=60)
    assert first.returncode == 130, rest
    program = (
        "from agentrt.engine import environment, progress_for\n"
        "print(environment('cpu', progress=progress_for()).python)"
    )
    second = run_python(program, env)
    python, said = second.communicate(timeout=600)
    assert second.returncode == 0, said
    assert "Installing PyTorch" not in said
    assert "Installing SGLang" in said
    check = [python.strip(), "-c", "import torch, sglang, torchvision; print(torch.__version__, sglang.__version__)"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    shutil.rmtree(tmp_path)  # gigabytes
    assert done.stdout.split()[1] == "0.5.23", done.stderr


def run_python(program: str, env: dict[str, str]) -> subprocess.Popen[str]:
    """Run a program of ours in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", program], env=env, cwd=Path(__file__).parents[2], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_the_command_shows_the_end_of_the_log_and_then_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SGLang's own words come line by line, what it means comes last."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # the cache stays the shared one
    assert main(["engine", "up", "--device", "cpu", "--", "--no-such-setting"]) == 1
    *log, last = capsys.readouterr().err.splitlines()
    assert "no_such_setting" in log[-1]
    assert last.startswith("agentrt: the engine ended by itself with status 1; the end of its log")


def test_a_second_tier_keeps_what_the_first_had_no_room_for() -> None:
    """With ``--hicache-ratio`` evicted prefixes come back from main memory, and the engine's metrics can be read."""
    spec = EngineSpec(device="cpu", max_total_tokens=2000, host_tier_ratio=4.0, extra={"enable_metrics": True})
    engine = start(spec)
    try:
        prompts = [[{"role": "user", "content": f"{number} " + "and a river runs by " * 120}] for number in range(5)]
        for messages in prompts:
            ask(engine, max_tokens=1, messages=messages)
        again = ask(engine, max_tokens=1, messages=prompts[0])["usage"]
        assert again["prompt_tokens_details"]["cached_tokens"] > 0.9 * again["prompt_tokens"]
        headers = {"Authorization": f"Bearer {engine.api_key}"}
        metrics = httpx.get(
            f"{engine.url}/metrics", headers=headers, timeout=30, follow_redirects=True, trust_env=False
        )
        assert "sglang" in metrics.text
    finally:
        engine.stop()
