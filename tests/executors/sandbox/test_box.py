"""A box as its user meets it: commands, files, what it is given, how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from agentrt.errors import ConfigError, SandboxError, UsageError
from agentrt.executors.sandbox import SOUND, Limits, Sandbox, Way, interpreter_folders, why_not
from agentrt.executors.sandbox.inside.processes import children
from agentrt.executors.sandbox.probing import group_parent
from tests.executors.sandbox.conftest import SMALL, processes_with, until


async def test_the_best_way_that_works_is_taken(work: Path) -> None:
    """Where neither works, nothing else of these tests would run unnoticed."""
    reasons = {way: await why_not(way) for way in SOUND}
    if all(reasons.values()):
        pytest.skip(f"this machine can contain nothing: {reasons}")
    async with Sandbox(work) as box:
        assert box.way == next(way for way in SOUND if not reasons[way])


async def test_a_program_with_arguments_and_shell_text(box: Sandbox, work: Path) -> None:
    """Both run in the work folder, and tell status, output and errors apart."""
    told = await box.run(["printf", "%s|", "a b", "$HOME", "*"])
    assert (told.ok, told.out, told.err) == (True, "a b|$HOME|*|", "")
    told = await box.run('pwd; echo "no" >&2; exit 3')
    assert (told.code, told.out, told.err, told.ok) == (3, f"{work}\n", "no\n", False)


async def test_what_is_not_there_is_told_as_by_a_shell(box: Sandbox) -> None:
    """127 for a program that is not there, 126 for one that cannot be executed, 128 + n for a signal."""
    assert (await box.run(["no-such-program"])).code == 127
    assert (await box.run("touch plain; ./plain")).code == 126
    assert (await box.run("kill -SEGV $$")).code == 128 + signal.SIGSEGV


async def test_standard_input_is_given_or_empty(box: Sandbox) -> None:
    """What is given is read to its end; who does not read it is not waited for; without it there is nothing."""
    data = os.urandom(300_000)
    assert (await box.run("sha256sum", stdin=data)).out.startswith(subprocess.run(
        ["sha256sum"], input=data, capture_output=True, check=True).stdout.decode()[:64])  # fmt: skip
    assert (await box.run("true", stdin=data)).ok
    assert (await box.run("cat")).out == ""


async def test_files_stay_between_commands_also_in_tmp(box: Sandbox, work: Path) -> None:
    """The work folder is the real one; ``/tmp`` is the box's own, and kept until the box is left."""
    await box.run("echo one > a.txt; echo two > /tmp/b.txt; echo three > ~/c.txt")
    assert (work / "a.txt").read_text() == "one\n"
    assert (await box.run("cat a.txt /tmp/b.txt ~/c.txt")).out == "one\ntwo\nthree\n"
    assert not Path("/tmp/b.txt").exists()


async def test_the_environment_is_what_is_given(way: Way, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours, the usual, and what was named; what was named wins."""
    monkeypatch.setenv("OURS", "x")
    async with Sandbox(work, ways=(way,), env={"NAMED": "y", "LANG": "C"}) as box:
        told = dict(line.split("=", 1) for line in (await box.run(["/usr/bin/env"])).out.splitlines())
    assert told.pop("PWD", str(work)) == str(work)
    assert told.keys() - {"OLDPWD", "SHLVL", "_"} == {"PATH", "HOME", "TMPDIR", "LANG", "TERM", "USER", "NAMED"}
    assert (told["NAMED"], told["LANG"], told["HOME"]) == ("y", "C", "/tmp")


async def test_folders_for_reading_and_for_writing(way: Way, tmp_path: Path) -> None:
    """What is given is there under its own path, and for what it was given."""
    for name in ("work", "read", "write"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "here").write_text(name)
    async with Sandbox(
        tmp_path / "work", ways=(way,), readonly=[tmp_path / "read"], writable=[tmp_path / "write"]
    ) as box:
        assert (await box.run(f"cat {tmp_path}/*/here")).out == "readworkwrite"
        assert (await box.run(f"touch {tmp_path}/write/new")).ok
        refused = await box.run(f"touch {tmp_path}/read/new")
        assert "Read-only file system" in refused.err
        assert "Read-only file system" in (await box.run(f"touch {tmp_path}/new")).err
    assert (tmp_path / "write" / "new").exists()


async def test_a_way_between_in_tmp_cannot_be_bent(way: Way) -> None:
    """What lies between ``/tmp`` and the work folder is the same in the next call, whatever this one does to it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as top:
        work = Path(top, "between", "work")
        work.mkdir(parents=True)
        async with Sandbox(work, ways=(way,)) as box:
            bent = await box.run(f"cd /tmp; mv {top} /tmp/away; rm -rf {top}; ln -s /usr {top}; echo tried")
            assert "tried" in bent.out
            assert (await box.run("pwd; echo x > there")).out == f"{work}\n"
        assert (work / "there").exists()


async def test_an_interpreter_of_ours_runs(way: Way, work: Path) -> None:
    """A virtual environment and the Python it was made of are two folders to give."""
    async with Sandbox(work, ways=(way,), readonly=interpreter_folders(sys.executable)) as box:
        told = await box.run([sys.executable, "-c", "import json, sys; print(sys.prefix)"])
    assert told.out == f"{sys.prefix}\n", told.err


async def test_network_when_it_is_allowed(way: Way, work: Path) -> None:
    """With ``network`` a box reaches this machine."""
    served = await asyncio.start_server(lambda _, writer: (writer.write(b"hello"), writer.close())[0], "127.0.0.1", 0)
    port = served.sockets[0].getsockname()[1]
    code = f"import socket; print(socket.create_connection(('127.0.0.1', {port}), 5).recv(9).decode())"
    async with Sandbox(work, ways=(way,), network=True, readonly=interpreter_folders(sys.executable)) as box:
        told = await box.run([sys.executable, "-I", "-c", code])
    served.close()
    assert told.out == "hello\n", told.err


async def test_commands_of_one_box_may_run_at_once(box: Sandbox) -> None:
    """Each has processes of its own and sees the same files."""
    told = await asyncio.gather(*(box.run(f"echo {n} > f{n}; ps ax | wc -l; sleep 0.2; cat f{n}") for n in range(4)))
    assert [end.out.split()[-1] for end in told] == ["0", "1", "2", "3"]
    assert all(int(end.out.split()[0]) < 8 for end in told)


async def test_what_it_took_is_told(box: Sandbox) -> None:
    """Seconds, CPU and memory are those of the command."""
    told = await box.run(
        [sys.executable, "-I", "-c", "x = b'x' * (90 << 20); import time; time.sleep(0.2); sum(range(3_000_000))"]
    )
    assert told.ok, told
    assert 90 << 20 <= told.peak_memory < 160 << 20
    assert told.seconds > 0.2
    assert 0.02 < told.cpu_s < 10


async def test_a_call_that_is_cancelled_leaves_nothing(box: Sandbox) -> None:
    """Cancelling waits until everything in the box has ended."""
    call = asyncio.create_task(box.run("echo up > up; setsid sleep 777.25 & sleep 777.25", timeout=60))
    await until(lambda: processes_with("777.25"))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert processes_with("777.25") == []


async def test_our_own_death_leaves_nothing(way: Way, work: Path, tmp_path: Path) -> None:
    """When this process is killed, its boxes end and their control groups go; folders go at the next start."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import asyncio
        from agentrt.executors.sandbox import Sandbox
        async def main():
            async with Sandbox({str(work)!r}, ways=({way!r},)) as box:
                print(box._folder, flush=True)
                await box.run("setsid sleep 888.25 & trap '' TERM; sleep 888.25", timeout=100)
        asyncio.run(main())
    """)
    )
    ours = subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True)
    assert ours.stdout is not None
    folder = Path(ours.stdout.readline().strip())
    await until(lambda: len(processes_with("sleep\0888.25")) == 2)
    ours.kill()
    ours.wait()
    ours.stdout.close()
    await until(lambda: not processes_with("888.25"))
    groups = Path(group_parent() or "/nowhere")
    await until(lambda: not list(groups.glob(f"agentrt-box-{ours.pid}-*")))
    assert folder.exists()
    async with Sandbox(work, ways=(way,)):
        assert not folder.exists()


async def test_a_killed_supervisor_takes_its_box_along(way: Way, work: Path) -> None:
    """Should the supervisor be ended by something else, the call says so and nothing is left."""
    async with Sandbox(work, ways=(way,)) as box:
        call = asyncio.create_task(box.run("setsid sleep 999.25 & sleep 999.25", timeout=60))
        await until(lambda: len(processes_with("sleep\000999.25")) == 2)
        for keeper in set(children(os.getpid())) & set(processes_with("agentrt.executors.sandbox.inside")):
            for supervisor in children(keeper):
                os.kill(supervisor, signal.SIGKILL)
        with pytest.raises(SandboxError, match="ended by something else"):
            await call
        await until(lambda: not processes_with("999.25"))
        assert (await box.run("echo on")).out == "on\n"


async def test_a_killed_keeper_is_started_anew(box: Sandbox) -> None:
    """The process that forks supervisors may go at any time: calls that run are not disturbed, the next ones work."""
    call = asyncio.create_task(box.run("echo up; sleep 555.25 & wait; echo over", timeout=60))
    await until(lambda: processes_with("sleep\000555.25"))
    for keeper in set(children(os.getpid())) & set(processes_with("agentrt.executors.sandbox.inside")):
        os.kill(keeper, signal.SIGKILL)
    assert (await box.run("echo on")).out == "on\n"
    for sleeper in processes_with("sleep\000555.25"):
        os.kill(sleeper, signal.SIGKILL)
    assert (await call).out == "up\nover\n"


async def test_nothing_of_ours_is_open_in_a_box(box: Sandbox) -> None:
    """A command has its three streams and no other descriptor: not the socket that its supervisor is told by."""
    assert (await box.run("ls /proc/self/fd")).out.split() == ["0", "1", "2", "3"]  # the last is the folder it reads
    assert (await box.run("readlink /proc/self/fd/0", stdin=b"x")).out.startswith("pipe:")


async def test_the_plain_way_is_used_only_when_it_is_named(work: Path) -> None:
    """It limits and measures; what it started ends with it, and nothing of our environment is handed on."""
    async with Sandbox(work, limits=SMALL, ways=("plain",)) as box:
        assert box.way == "plain"
        assert (await box.run("echo hello; cat", stdin=b"there")).out == "hello\nthere"
        assert (await box.run("setsid sleep 666.25 & sleep 666.25", timeout=0.4)).killed_by == "time"
        assert (await box.run("setsid sleep 666.25 & (sleep 666.25 &) ; echo left")).out == "left\n"
        assert processes_with("666.25") == []
        assert (await box.run("yes")).killed_by == "output"
        assert (await box.run("head -c 100000000 /dev/zero > big; sleep 50")).killed_by == "disk"
        hog = [sys.executable, "-I", "-c", "x = []\nwhile True: x.append(b'x' * (1 << 20))"]
        assert (await box.run(hog)).killed_by == "memory"
        assert (await box.run("for n in $(seq 100); do sleep 666.25 & done; wait")).killed_by == "processes"
        assert processes_with("666.25") == []


async def test_no_way_that_works_is_an_error_that_says_why(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing falls back to running uncontained."""
    monkeypatch.setattr("agentrt.executors.sandbox.probing._found", {})
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxError, match=r"bwrap: there is no bwrap on PATH.*install bubblewrap"):
        async with Sandbox(work, ways=("bwrap",)):
            pass


async def test_wrong_uses_are_refused(work: Path, tmp_path: Path) -> None:
    """Before anything runs, with what is wrong and what to do."""
    box = Sandbox(work)
    with pytest.raises(ConfigError, match="async with"):
        await box.run("true")
    for path in (Path.home(), Path("/"), Path("/usr"), Path("/tmp")):
        with pytest.raises(ConfigError, match="would show"):
            Sandbox(path)
    with pytest.raises(ConfigError, match="is not there"):
        Sandbox(tmp_path / "nothing")
    (work / "inner").mkdir()
    with pytest.raises(ConfigError, match="lies in"):
        Sandbox(work, readonly=[work / "inner"])
    with pytest.raises(ConfigError, match="memory=0"):
        Limits(memory=0)


async def test_commands_no_kernel_can_run_are_refused(box: Sandbox) -> None:
    """An empty command, and a zero byte in one."""
    with pytest.raises(UsageError, match="no command"):
        await box.run([])
    with pytest.raises(UsageError, match="zero byte"):
        await box.run("echo a\0b")
