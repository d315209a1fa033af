"""What a box must not reach: files, processes, the network and the settings of the machine around it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentrt.errors import UsageError
from agentrt.executors.sandbox import Finished, Sandbox

Python = Callable[..., Awaitable[Finished]]


async def test_deleting_everything_deletes_the_work_alone(box: Sandbox, work: Path, secret: Path) -> None:
    """``rm -rf /`` reaches the work folder and nothing else."""
    system = len(list(Path("/usr/bin").iterdir()))
    done = await box.run("(rm -rf ./* /root /home /usr/bin /etc; rm -rf --no-preserve-root /) 2>/dev/null", timeout=1)
    assert done.killed_by in ("", "time")
    assert secret.read_text() == "the key"
    assert len(list(Path("/usr/bin").iterdir())) == system
    assert list(work.iterdir()) == []


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
