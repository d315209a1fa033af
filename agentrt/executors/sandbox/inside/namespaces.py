"""The way without bubblewrap: the same namespaces and the same view of files, made here.

Three processes: the *outer* one leaves for new namespaces and waits, the *first* (process 1 inside) builds the box,
gives up every capability and buries the dead, and the command. When the first ends, the kernel ends all the rest.
"""

from __future__ import annotations

import fcntl
import os
import signal

from agentrt.executors.sandbox.inside import kernel, seccomp
from agentrt.executors.sandbox.inside.starting import (
    UNIFORM,
    NotStarted,
    executed,
    first_to_go,
    limit,
    read_all,
    refusal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from agentrt.executors.sandbox.inside.supervisor import Call, Spec, Started

_APART = (
    kernel.NEWUSER | kernel.NEWNS | kernel.NEWPID | kernel.NEWIPC | kernel.NEWUTS | kernel.NEWCGROUP
)  # and NEWNET, unless the box may use the network
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx"}
_SET_FLAGS, _UP_AND_RUNNING = 0x8914, 0x41


def start(call: Call, spec: Spec) -> Started:
    """Start the box's processes, and let the first go on when it is counted."""
    said, say = os.pipe()
    held, go = os.pipe()
    top = os.fork()
    if top == 0:
        _ending(lambda: outer(call, spec, say, held, go), say)
    os.close(say)
    os.close(held)
    init = first_process(said)
    if call.group is not None:
        call.group.add(init)
    os.write(go, b"1")
    os.close(go)
    words = read_all(said)
    os.close(said)
    if words:
        raise refusal(words)
    return {"top": top, "init": init}


def first_process(said: int) -> int:
    """The first process, as the outer one tells it."""
    words = os.read(said, 4096)
    if not words:
        raise NotStarted(0, "the box's outer process ended before it said anything")
    if not words.startswith(b"pid "):
        raise refusal(words + read_all(said))
    return int(words[4:])


def outer(call: Call, spec: Spec, say: int, held: int, go: int) -> int:
    """Leave for new namespaces, start the first process in them, and end as it ends."""
    kernel.die_with_parent()
    first_to_go()
    os.close(call.control)
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(_APART | (0 if spec["network"] else kernel.NEWNET))
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{user} {user} 1")
    _write("/proc/self/gid_map", f"{group} {group} 1")
    first = os.fork()
    if first == 0:
        os.close(go)
        _ending(lambda: inner(call, spec, say, held), say)
    os.write(say, f"pid {first}".encode())
    for descriptor in (say, held, go):
        os.close(descriptor)
    return _code(os.waitpid(first, 0)[1])


def inner(call: Call, spec: Spec, say: int, held: int) -> int:
    """Be process 1: build the box, start the command, bury the dead until the command ends."""
    kernel.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 gets no signal from inside that it does not handle
    if not os.read(held, 1):
        return 126  # whoever should have counted this process is gone
    build(spec)
    kernel.drop_capabilities(bounding=True)
    kernel.not_dumpable()
    command = os.fork()
    if command == 0:
        executed([*UNIFORM, *spec["argv"]], spec["env"], lambda: confine(call, spec), say)
    kernel.drop_capabilities(bounding=False)
    os.close(say)
    while True:
        pid, status = os.wait()
        if pid == command:
            return _code(status)


def confine(call: Call, spec: Spec) -> None:
    """What the command's process gives up before it becomes the command."""
    os.setsid()
    os.chdir(spec["cwd"])
    limit(spec["limits"], counted=call.counted, processes=True)
    kernel.drop_capabilities(bounding=False)
    kernel.no_new_privileges()
    if program := seccomp.program(os.uname().machine, counted=call.counted):
        kernel.filter_calls(program)


def build(spec: Spec) -> None:
    """Lay out the box's files under an empty folder, and make that the root."""
    root = spec["root"]
    kernel.mount("", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    kernel.mount("tmpfs", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=4m,mode=755")
    for kind, source, target in spec["mounts"]:
        _PLACED[kind](source, root + target)
    kernel.enter_root(root)
    kernel.set_hostname("box")
    if not spec["network"]:
        _loopback_up()


def _bind(source: str, target: str, attributes: int) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        _touch(target)
    kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)
    kernel.restrict_mount(target, attributes, deep=True)


def _read_only(source: str, target: str) -> None:
    _bind(source, target, kernel.ATTR_RDONLY | kernel.ATTR_NOSUID | kernel.ATTR_NODEV)


def _writable(source: str, target: str) -> None:
    _bind(source, target, kernel.ATTR_NOSUID | kernel.ATTR_NODEV)


def _link(source: str, target: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.symlink(source, target)


def _folder(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)


def _memory(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, f"size={source},mode=755")


def _processes(source: str, target: str) -> None:
    os.makedirs(target, exist_ok=True)
    kernel.mount("proc", target, "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def _devices(source: str, target: str) -> None:
    _memory("64k", target)
    for name in _DEVICES:
        _touch(f"{target}/{name}")
        kernel.mount(f"/dev/{name}", f"{target}/{name}", flags=kernel.MS_BIND)
    for name, to in _LINKS.items():
        os.symlink(to, f"{target}/{name}")
    os.mkdir(f"{target}/pts")
    flags = kernel.MS_NOSUID | kernel.MS_NOEXEC
    kernel.mount("devpts", f"{target}/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=620")
    os.mkdir(f"{target}/shm")


def _seal(source: str, target: str) -> None:
    kernel.restrict_mount(target, kernel.ATTR_RDONLY, deep=False)


_PLACED: Mapping[str, Callable[[str, str], None]] = {
    "ro": _read_only,
    "rw": _writable,
    "link": _link,
    "dir": _folder,
    "tmp": _memory,
    "proc": _processes,
    "dev": _devices,
    "seal": _seal,
}


def _loopback_up() -> None:
    """A network of one's own has one device, and it is down: tests that serve themselves need it up."""
    socket = kernel.datagram_socket()
    request = b"lo".ljust(16, b"\0") + _UP_AND_RUNNING.to_bytes(2, "little") + bytes(22)
    fcntl.ioctl(socket, _SET_FLAGS, request)
    os.close(socket)


def _touch(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _write(path: str, words: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    os.write(descriptor, words.encode())
    os.close(descriptor)


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _ending(body: Callable[[], int], say: int) -> NoReturn:
    """Run ``body`` in a forked process, which never goes on in its parent's code."""
    try:
        os._exit(body())
    except OSError as error:
        os.write(say, f"{error.errno or 0} {error}".encode())
    except BaseException as error:  # noqa: BLE001
        os.write(say, f"0 {type(error).__name__}: {error}".encode())
    os._exit(126)
