"""One call's supervisor: a process beside the box that starts the command, watches it, ends it and tells how it went.

It is told what to do through a socket, and takes the socket's closing for the order to end everything: so nothing
is left behind by a caller that was killed.
"""

from __future__ import annotations

import errno
import marshal
import os
import resource
import select
import signal
import time

from agentrt.executors.sandbox.inside import bubblewrap, kernel, namespaces, plain, processes
from agentrt.executors.sandbox.inside.cgroups import Group
from agentrt.executors.sandbox.inside.disk import Disk
from agentrt.executors.sandbox.inside.starting import NotStarted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NotRequired, TypedDict

    from agentrt.executors.sandbox.inside.disk import Amount

    Mount = tuple[str, str, str]  # kind, source (or size, or what a link says), target

    class Spec(TypedDict):
        """All that a call is told."""

        way: str
        argv: list[str]
        env: dict[str, str]
        cwd: str
        mounts: list[Mount]
        root: str  # an empty folder to lay the box out in
        bwrap: str
        network: bool
        limits: dict[str, int]
        timeout: float
        grace: float
        group: str  # the control group to make; empty where none can be
        folders: list[str]  # what is counted as disk
        disk: dict[str, Amount]

    class Started(TypedDict):
        """A box that runs: our child, the box's process 1 (0 where there is none) and what tells how it came up."""

        top: int
        init: int
        status: NotRequired[int]

    class Report(TypedDict, total=False):
        """How it went; ``error`` alone where the box could not be made."""

        error: str
        said: str
        code: int
        killed_by: str
        seconds: float
        cpu_s: float
        peak: int
        exact: bool
        disk: dict[str, Amount]


_WAYS = {"bwrap": bubblewrap.start, "unshare": namespaces.start, "plain": plain.start}
_FIRST_LOOK, _LATER, _RARELY = 0.004, 0.025, 0.1  # seconds between two looks; rarely where the kernel counts
_STUCK = 10.0  # seconds until a process that cannot be killed is left to the kernel


def main(control: int) -> None:
    """Serve one call over the socket ``control``."""
    kernel.adopt_orphans()
    os.write(control, b"+")  # from here on the call is begun
    spec = _received(control)
    if spec is None:
        return
    try:
        report = Call(control, spec).report()
    except BaseException as error:  # noqa: BLE001  # whatever it is, the caller must hear it
        report = {"error": f"{type(error).__name__}: {error}"}
    try:
        _send(control, report)
    except OSError:
        pass  # nobody is there to hear it


class Call:
    """One command in its box."""

    def __init__(self, control: int, spec: Spec) -> None:
        self.control, self.spec = control, spec
        self.group: Group | None = None
        self.reason = ""
        self.peak = 0
        self._kill_at: float | None = None
        self._status: int | None = None

    @property
    def counted(self) -> bool:
        """Whether the kernel itself holds memory and processes within their limits."""
        return self.group is not None and self.group.counted

    def report(self) -> Report:
        """Run it to its end."""
        if self.spec["group"]:
            self.group = Group(self.spec["group"], self.spec["limits"])
        try:
            return self._run()
        except NotStarted as error:
            self._clear(0)
            if error.number == errno.E2BIG:  # the command's own fault, and told as a shell tells it
                return self._told(126, time.monotonic(), said="the argument list is too long")
            return {"error": str(error)}
        finally:
            self._clear(0)
            if self.group is not None:
                self.group.remove()

    def _run(self) -> Report:
        spec = self.spec
        self.disk = Disk(spec["disk"], spec["folders"], (spec["limits"]["disk"], spec["limits"]["files"]))
        self.box = _WAYS[spec["way"]](self, spec)
        began = time.monotonic()
        _let_go_of_streams()
        with_right_of_way(yes=True)
        self._follow(began)
        self._clear(self.box["top"])
        with_right_of_way(yes=False)
        if "status" in self.box and not self.reason and not bubblewrap.came_up(self.box["status"]):
            return {"error": "bwrap could not make the box"}
        code = os.waitstatus_to_exitcode(self._status or 0)
        return self._told(code if code >= 0 else 128 - code, began)

    def _told(self, code: int, began: float, said: str = "") -> Report:
        seconds = time.monotonic() - began
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        full = self.disk.settle(surely=code == 128 + signal.SIGXFSZ)
        if not self.reason and (full or code == 128 + signal.SIGXFSZ):
            self.reason = "disk"
        group = self.group
        return {
            "said": said,
            "code": code,
            "killed_by": self.reason,
            "seconds": seconds,
            "cpu_s": group.cpu_s if group is not None else usage.ru_utime + usage.ru_stime,
            "peak": (group.peak if group is not None else 0) or max(self.peak, usage.ru_maxrss * 1024),
            "exact": group is not None and group.peak > 0,
            "disk": self.disk.state,
        }

    def _follow(self, began: float) -> None:
        """Look at the box again and again until its command ends."""
        ends = os.pidfd_open(self.box["top"])
        poll = select.poll()
        poll.register(ends, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        deadline, pause = began + self.spec["timeout"], _FIRST_LOOK
        while True:
            until = min(pause, max(0.0, deadline - time.monotonic()) if self._kill_at is None else pause)
            ready = {descriptor for descriptor, _ in poll.poll(until * 1000 + 0.5)}
            if ends in ready:
                return os.close(ends)
            if self.control in ready:
                self._end("output" if os.read(self.control, 16) else "caller")
            self._look(time.monotonic(), deadline)
            pause = min(pause * 1.3, _RARELY if self.counted else _LATER)

    def _look(self, now: float, deadline: float) -> None:
        pids = self._pids()
        if self._kill_at is None and now >= deadline:
            self.reason = "time"
            self._kill_at = now + self.spec["grace"]
            processes.tell(pids, signal.SIGTERM)
        if self._kill_at is not None and now >= self._kill_at:
            self._end("time")
        if found := self._over(pids):
            self._end(found)

    def _over(self, pids: list[int]) -> str:
        """The limit that is passed, or nothing."""
        threads, memory = processes.held(pids)
        self.peak = max(self.peak, memory)
        if self.group is not None and self.group.over:
            return self.group.over
        limits = self.spec["limits"]
        if threads > limits["processes"]:
            return "processes"
        if memory > limits["memory"] and processes.fair(pids) > limits["memory"]:
            return "memory"
        return "disk" if self.disk.over(pids) else ""

    def _pids(self) -> list[int]:
        return processes.descendants(self.box["init"] or os.getpid(), self.spec["limits"]["processes"])

    def _end(self, reason: str) -> None:
        """End everything in the box; the first reason stays."""
        self.reason = self.reason or reason
        self._kill_at = time.monotonic() + 1.0  # and again, should one have been missed
        self._kill()

    def _kill(self) -> None:
        if self.group is not None:
            self.group.kill()
        if self.spec["way"] == "plain":
            processes.end_all(os.getpid())
        else:
            processes.tell(processes.children(os.getpid()), signal.SIGKILL)  # its process 1 takes all others along

    def _clear(self, top: int) -> None:
        """End whatever is left, and bury all: what they used is known only then."""
        deadline = time.monotonic() + _STUCK
        pause = 0.0005
        while time.monotonic() < deadline:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == top and pid:
                self._status = status
            if pid == 0:
                self._kill()
                time.sleep(pause)
                pause = min(pause * 2, 0.02)


def with_right_of_way(*, yes: bool) -> None:
    """Run before everything else, or like everything else: a box must not be able to keep its watch from looking.

    Only root may; for others the kernel bounds how many processes there are to compete with.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO if yes else os.SCHED_OTHER, os.sched_param(1 if yes else 0))
    except OSError:
        pass


def _let_go_of_streams() -> None:
    """Leave the streams to the box alone: they end when it does."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def _received(control: int) -> Spec | None:
    size = int.from_bytes(_exactly(control, 4), "little")
    words = _exactly(control, size)
    return marshal.loads(words) if words else None  # noqa: S302  # from the process that started this one


def _exactly(control: int, size: int) -> bytes:
    words = b""
    while len(words) < size and (part := os.read(control, size - len(words))):
        words += part
    return words


def _send(control: int, report: Report) -> None:
    words = marshal.dumps(dict(report))
    while words:
        words = words[os.write(control, words) :]
