"""Hostile tools: each is contained, told for what it did, and the box serves the next command (see ``box``)."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentrt.errors import UsageError
from agentrt.executors.sandbox import Finished, Sandbox, Way, interpreter_folders
from tests.executors.sandbox.conftest import SMALL, processes_with

Python = Callable[..., Awaitable[Finished]]


async def test_a_fork_bomb_is_ended_for_its_processes(box: Sandbox) -> None:
    """A fork bomb is told from other ends, and no process of it is left."""
    done = await box.run("bomb() { bomb | bomb & bomb; }; bomb # a-fork-bomb", timeout=30)
    assert done.killed_by == "processes"
    assert processes_with("a-fork-bomb") == []


async def test_many_threads_count_as_processes(python: Python) -> None:
    """Threads are bounded like processes."""
    done = await python("""
        import threading, time
        for _ in range(1000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        time.sleep(60)
    """)
    assert done.killed_by == "processes" or "can't start new thread" in done.err


async def test_a_huge_file_stops_at_the_limit(box: Sandbox, work: Path) -> None:
    """10 GB are not written; the writer is ended."""
    done = await box.run("exec dd if=/dev/zero of=big bs=1M count=10000", timeout=60)
    assert done.killed_by == "disk"
    assert (work / "big").stat().st_size <= SMALL.disk + 4096
    (work / "big").unlink()


async def test_many_files_together_stop_at_the_limit(box: Sandbox, work: Path) -> None:
    """The folder's growth counts, not only the largest file; a full box can still be cleaned up from inside."""
    done = await box.run(
        "for n in $(seq 1000); do dd if=/dev/zero of=part$n bs=1M count=8 status=none; done", timeout=60
    )
    assert done.killed_by == "disk"
    assert sum(file.stat().st_size for file in work.iterdir()) < 8 * SMALL.disk
    again = await box.run("ls | wc -l && rm -f part* && ls", timeout=60)
    assert (again.killed_by, again.out.split()[1:]) == ("", ["kept.txt"])


async def test_filling_tmp_stops_at_the_limit(box: Sandbox) -> None:
    """The box's own ``/tmp`` counts like its work folder."""
    done = await box.run("for n in 1 2 3 4 5 6; do head -c 20000000 /dev/zero > /tmp/$n; done; rm /tmp/*", timeout=60)
    assert done.killed_by == "disk"
    await box.run("rm -f /tmp/*")


async def test_files_without_a_name_count(python: Python) -> None:
    """What is deleted and held open is found."""
    done = await python("""
        import os, time
        held = []
        for n in range(20):
            held.append(open(f"gone{n}", "wb")); os.unlink(f"gone{n}")
            held[-1].write(bytes(8 << 20)); held[-1].flush()
        time.sleep(60)
    """)
    assert done.killed_by == "disk"


async def test_a_hundred_thousand_files_stop_at_the_limit(python: Python, box: Sandbox) -> None:
    """Files are bounded in number too."""
    done = await python("""
        for n in range(100_000):
            open(f"file{n}", "w").close()
    """, timeout=60)  # fmt: skip
    assert done.killed_by == "disk"
    await box.run("find . -name 'file*' -delete", timeout=60)


async def test_a_closed_folder_hides_nothing(box: Sandbox, python: Python) -> None:
    """A folder that nobody may read is counted by what the file system lost."""
    done = await python("""
        import os, time
        os.mkdir("closed"); os.chdir("closed"); os.chmod(".", 0o300)
        for n in range(20):
            open(f"part{n}", "wb").write(bytes(8 << 20))
        time.sleep(60)
    """)
    assert done.killed_by == "disk"
    await box.run("chmod 700 closed; rm -rf closed")


async def test_a_memory_hog_is_ended_for_its_memory(python: Python) -> None:
    """Memory that grows past the limit ends the box."""
    done = await python("""
        held = []
        while True:
            held.append(b"x" * (1 << 20))
    """)
    assert done.killed_by == "memory"
    assert done.peak_memory >= SMALL.memory


async def test_memory_of_many_processes_counts_together(python: Python) -> None:
    """A limit is the box's, not each process's."""
    done = await python("""
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                held = b"x" * (60 << 20); time.sleep(60)
        time.sleep(60)
    """)
    assert done.killed_by == "memory"


async def test_memory_that_belongs_to_no_process_is_refused_or_counted(python: Python) -> None:
    """What the watch could not see is either counted by the kernel or not to be had."""
    done = await python("""
        import os
        held = []
        for _ in range(100):
            held.append(os.memfd_create("x")); os.write(held[-1], bytes(8 << 20))
        print("had it")
    """)
    assert done.killed_by == "memory" or "not implemented" in done.err


async def test_shared_memory_is_bounded(box: Sandbox) -> None:
    """``/dev/shm`` is small."""
    done = await box.run("head -c 1000000000 /dev/zero > /dev/shm/x", timeout=30)
    assert done.code != 0 or done.killed_by


@pytest.mark.parametrize("text", ["yes", "head -c 100000000 /dev/zero; sleep 60", "yes >&2"])
async def test_endless_output_is_ended(box: Sandbox, text: str) -> None:
    """Output without end, with or without lines, on either stream: its beginning and end are kept, the rest is not."""
    done = await box.run(text, timeout=60)
    assert (done.killed_by, done.truncated) == ("output", True)
    assert len(done.out) + len(done.err) < 2 * SMALL.kept + 100


async def test_long_output_keeps_its_beginning_and_its_end(box: Sandbox) -> None:
    """A writer of much, but not too much, ends by itself."""
    done = await box.run("seq 1 200000", timeout=60)
    assert (done.code, done.killed_by, done.truncated) == (0, "", True)
    assert done.out.startswith("1\n2\n3\n")
    assert done.out.endswith("199999\n200000\n")
    assert "bytes left out" in done.out


async def test_binary_output_is_told(box: Sandbox) -> None:
    """Bytes that are no text do no harm."""
    done = await box.run("head -c 2000 /dev/urandom; printf '\\000\\377\\033[2J'", timeout=30)
    assert (done.code, done.killed_by) == (0, "")


async def test_deleting_everything_deletes_the_work_alone(box: Sandbox, work: Path, secret: Path) -> None:
    """``rm -rf /`` reaches the work folder and nothing else."""
    system = len(list(Path("/usr/bin").iterdir()))
    done = await box.run("(rm -rf ./* /root /home /usr/bin /etc; rm -rf --no-preserve-root /) 2>/dev/null", timeout=3)
    assert done.killed_by in ("", "time")
    assert secret.read_text() == "the key"
    assert len(list(Path("/usr/bin").iterdir())) == system
    assert list(work.iterdir()) == []


async def test_sleeping_forever_ends_when_the_time_is_up(box: Sandbox) -> None:
    """The time limit holds; a program that ends when it is asked to is not killed."""
    done = await box.run("exec sleep 1000", timeout=0.5)
    assert (done.killed_by, done.code) == ("time", 128 + signal.SIGTERM)
    assert 0.4 < done.seconds < 5


async def test_ignoring_the_request_to_end_does_not_help(box: Sandbox) -> None:
    """Who does not listen to SIGTERM is killed."""
    done = await box.run("trap '' TERM; while :; do sleep 0.1; done", timeout=0.5)
    assert (done.killed_by, done.code) == ("time", 128 + signal.SIGKILL)


@pytest.mark.parametrize("start", ["setsid sleep 1234.5 &", "(setsid sh -c 'sleep 1234.5 & sleep 1234.5' &) &"])
async def test_daemons_end_with_the_command(box: Sandbox, start: str) -> None:
    """What forks twice, or leaves its session, does not outlive the call."""
    done = await box.run(f"{start} sleep 0.1; echo left", timeout=30)
    assert (done.code, done.out) == (0, "left\n")
    assert processes_with("1234.5") == []


async def test_daemons_end_when_the_time_is_up(box: Sandbox) -> None:
    """The same for a call that is ended."""
    done = await box.run("setsid sh -c 'trap \"\" TERM; sleep 4321.5' & sleep 4321.5", timeout=0.5)
    assert done.killed_by == "time"
    assert processes_with("4321.5") == []


async def test_no_network_is_reached(python: Python) -> None:
    """Neither this machine nor another nor a name server nor the host of a virtual machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    done = await python(f"""
        import socket
        def attempt(what, do):
            try: do(); print("REACHED", what)
            except OSError as error: print("no", what, error.errno)
        attempt("here", lambda: socket.create_connection(("127.0.0.1", {port}), 2))
        attempt("far", lambda: socket.create_connection(("1.1.1.1", 53), 2))
        attempt("names", lambda: socket.getaddrinfo("example.org", 80))
        attempt("raw", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        attempt("host", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))
    """)
    listener.close()
    assert "REACHED" not in done.out
    assert [line.split()[1] for line in done.out.splitlines()] == ["here", "far", "names", "raw", "host"]


async def test_a_box_reaches_itself(python: Python) -> None:
    """Servers in tests of what is worked on do work."""
    done = await python("""
        import socket
        here = socket.create_server(("127.0.0.1", 0))
        socket.create_connection(here.getsockname(), 2); print("reached")
    """)
    assert done.out == "reached\n"


async def test_sockets_of_the_host_are_not_reached(python: Python, tmp_path: Path) -> None:
    """Neither those with a path nor the abstract ones."""
    named, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    path, name = str(tmp_path / "s"), f"\0agentrt-{os.getpid()}"
    named.bind(path)
    abstract.bind(name)
    named.listen()
    abstract.listen()
    done = await python(f"""
        import socket
        for address in ({path!r}, {name!r}, "/run/docker.sock", "/run/dbus/system_bus_socket"):
            try: socket.socket(socket.AF_UNIX).connect(address); print("REACHED", address)
            except OSError as error: print("refused")
    """)
    named.close()
    abstract.close()
    assert done.out.split() == ["refused"] * 4


async def test_links_and_dots_lead_nowhere_for_us(box: Sandbox, secret: Path, tmp_path: Path) -> None:
    """A link or a path that leads out is not followed by what reads and writes for the agent."""
    await box.run(f"ln -s {secret} link; ln -s .. up; ln -s {tmp_path} folder; mkfifo pipe; mkdir in", timeout=30)
    for path in ("link", "up/secret.txt", "../secret.txt", "in/../../secret.txt", str(secret), "folder/secret.txt"):
        with pytest.raises(UsageError, match="leads out of the work folder"):
            await box.read(path)
        with pytest.raises(UsageError, match="leads out of the work folder"):
            await box.write(path, b"mine")
    with pytest.raises(UsageError, match="no plain file"):
        await box.read("pipe")
    with pytest.raises(UsageError, match="leads out"):
        await box.list("..")
    assert secret.read_text() == "the key"


async def test_what_is_outside_is_not_read(box: Sandbox, secret: Path) -> None:
    """Our files, the home folder and the keys of the system are not there."""
    for path in (secret, Path.home() / ".ssh", Path("/etc/shadow"), Path("/var/log"), Path("/sys")):
        done = await box.run(["cat", str(path)], timeout=30)
        assert done.code != 0, path
        assert "No such file" in done.err


async def test_our_environment_is_not_read(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of our environment is handed on, nor found in any process that the box can see."""
    monkeypatch.setenv("A_KEY_OF_OURS", "swordfish")
    done = await box.run(f"env; cat /proc/*/environ /proc/{os.getpid()}/environ | tr '\\0' '\\n'", timeout=30)
    assert "swordfish" not in done.out
    assert f"/proc/{os.getpid()}/environ: No such file" in done.err


async def test_killing_everybody_reaches_nobody(box: Sandbox) -> None:
    """``kill -9 -1`` ends the box's processes at most."""
    canary = subprocess.Popen(["sleep", "60"])
    done = await box.run("sleep 50 & kill -9 -1; kill -9 1; echo alive", timeout=30)
    assert done.killed_by == ""
    assert canary.poll() is None
    canary.kill()
    canary.wait()


async def test_nobody_outside_can_be_traced(python: Python) -> None:
    """Attaching to processes of the machine by their numbers finds none of them."""
    done = await python(f"""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        for pid in ({os.getpid()}, {os.getppid()}):
            print(libc.ptrace(16, pid, 0, 0), ctypes.get_errno())
    """)
    assert done.out == "-1 3\n-1 3\n"  # no such process


async def test_the_system_cannot_be_changed(box: Sandbox) -> None:
    """Mounting, devices, namespaces, settings of the kernel and files of the system are out of reach."""
    attempts = [
        "mount -t tmpfs none /tmp",
        "mknod disk b 8 0 && cat disk",
        "unshare -Ur true",
        "unshare -m true",
        "chroot . true",
        "umount /usr",
        "mount -o remount,rw /usr",
        "echo x > /proc/sys/kernel/core_pattern",
        "echo b > /proc/sysrq-trigger",
        "touch /usr/bin/x",
        "touch /etc/x",
        "touch /x",
        "touch /dev/x",
        "hostname other",
        "dmesg",
    ]
    tried = "\n".join(f"({attempt}) >&2 && echo {attempt!r}" for attempt in attempts)
    done = await box.run(tried + "\necho tried", timeout=60)
    assert done.out == "tried\n"


async def test_setuid_programs_gain_nothing(box: Sandbox, work: Path) -> None:
    """A setuid copy of a shell runs as who runs it, and no privilege is to be had."""
    (work / "sh").write_bytes(Path("/bin/sh").read_bytes())
    (work / "sh").chmod(0o4755)
    done = await box.run("./sh -p -c 'grep -E \"NoNewPrivs|CapEff|CapBnd\" /proc/self/status'")
    assert done.out.split() == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


async def test_no_setuid_program_is_left_behind(python: Python, work: Path) -> None:
    """Outside the box it would run as the user that the box ran as, whoever starts it."""
    done = await python("""
        import os
        def attempt(do):
            try: do()
            except OSError as error: print(error.errno, end=" ")
        os.umask(0)
        attempt(lambda: os.chmod("kept.txt", 0o4755))
        attempt(lambda: os.open("made", os.O_CREAT | os.O_WRONLY, 0o4755))
        attempt(lambda: os.mknod("made", 0o4755))
        attempt(lambda: os.fchmod(os.open("kept.txt", os.O_RDONLY), 0o4755))
        os.chmod("kept.txt", 0o755)
    """)
    assert done.out.split() == ["1"] * 4, done.err
    assert [oct(file.stat().st_mode & 0o7777) for file in work.iterdir()] == ["0o755"]


@pytest.mark.parametrize("size", [200_000, 5_000_000])
async def test_a_huge_command_is_told(box: Sandbox, size: int) -> None:
    """What the kernel does not take is the command's fault, as a shell tells it."""
    done = await box.run(["echo", "x" * size], timeout=30)
    assert (done.code, done.killed_by) == (126, "")
    assert "argument list is too long" in done.err


async def test_zombies_are_bounded(python: Python) -> None:
    """Who makes children and never buries them fills the box and nothing else."""
    done = await python("""
        import os
        while True:
            if os.fork() == 0: os._exit(0)
    """)
    assert done.killed_by == "processes" or "BlockingIOError" in done.err


async def test_orphans_are_buried(box: Sandbox) -> None:
    """Orphans that end do not pile up: more of them than the limit may come and go."""
    done = await box.run("for n in $(seq 100); do (true &) ; done; echo done", timeout=60)
    assert (done.killed_by, done.out) == ("", "done\n")


async def test_no_terminal_is_there_to_be_typed_into(python: Python) -> None:
    """There is no controlling terminal, and typing into one is refused even on a terminal of its own."""
    done = await python("""
        import errno, fcntl, os, termios
        try: os.open("/dev/tty", os.O_RDWR); print("HAS A TERMINAL")
        except OSError: print("none")
        ours, theirs = os.openpty()
        try: fcntl.ioctl(theirs, termios.TIOCSTI, b"x"); print("TYPED")
        except OSError as error: print(errno.errorcode[error.errno])
        print(os.read(0, 10))
    """)
    assert done.out == "none\nEPERM\nb''\n"


async def test_a_cpu_spin_ends_and_is_measured(box: Sandbox) -> None:
    """CPU time is told, that of processes left behind too."""
    done = await box.run("(while :; do :; done) & while :; do :; done", timeout=1.0)
    assert done.killed_by == "time"
    assert done.cpu_s > 0.1
    idle = await box.run("sleep 0.3", timeout=30)
    assert idle.cpu_s < 0.1 < 0.25 < idle.seconds


async def test_closed_streams_and_stopped_processes_do_not_hold_us(box: Sandbox) -> None:
    """A program that closes its streams, or stops itself, ends when the time is up."""
    done = await box.run("exec >&- 2>&- <&-; kill -STOP $$; sleep 100", timeout=0.5)
    assert done.killed_by == "time"


async def test_a_deep_tree_is_removed(way: Way, work: Path) -> None:
    """Folders nested deeper than a path can say are counted and gone with the box."""
    code = "import os; os.chdir('/tmp')\nfor _ in range(100): os.mkdir('d' * 90); os.chdir('d' * 90)\nos.chmod('..', 0)"
    async with Sandbox(work, limits=SMALL, ways=(way,), readonly=interpreter_folders(sys.executable)) as box:
        done = await box.run([sys.executable, "-I", "-c", code], timeout=60)
        assert (done.code, done.killed_by) == (0, ""), done
        assert (await box.run("echo on")).out == "on\n"
        folder = box._folder
        assert folder is not None
    assert not folder.exists()


async def test_other_boxes_go_on(way: Way, tmp_path: Path) -> None:
    """Eight boxes at once, hostile ones among them: each is told for its own, the harmless ones end well."""
    texts = {
        "bomb() { bomb | bomb & bomb; }; bomb": "processes",
        "yes": "output",
        "sleep 100": "time",
        "head -c 100000000 /dev/zero > big; sleep 50": "disk",
        "echo a; sleep 1; echo b": "",
    }

    async def one(number: int, text: str) -> Finished:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with Sandbox(folder, limits=SMALL, ways=(way,)) as box:
            return await box.run(text, timeout=20 if text != "sleep 100" else 2)

    done = await asyncio.gather(*(one(number, text) for number, text in enumerate(texts)))
    assert {text: end.killed_by for text, end in zip(texts, done, strict=True)} == texts
    assert done[-1].out == "a\nb\n"
