"""Start a program with limits of its own, and learn whether it started."""

from __future__ import annotations

import os
import resource
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

UNIFORM = ("/bin/sh", "-c", 'exec "$0" "$@"')
"""Put before a command, so that what is not there ends with 127 and a shell's words, whoever starts it."""


class NotStarted(Exception):
    """The program could not be started: ``number`` is the kernel's reason."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(what)
        self.number = number


def started(
    argv: Sequence[str],
    env: Mapping[str, str],
    prepare: Callable[[], None],
    *,
    keep: tuple[int, ...] = (),
) -> int:
    """Fork, do ``prepare`` and execute ``argv`` with the streams of this process; its process id.

    ``keep`` are descriptors that it inherits. Raises ``NotStarted`` when ``prepare`` or executing fails.
    """
    said, say = os.pipe()
    child = os.fork()
    if child == 0:
        executed(argv, env, prepare, say, keep)
    os.close(say)
    words = read_all(said)
    os.close(said)
    if words:
        os.waitpid(child, 0)
        raise refusal(words)
    return child


def executed(
    argv: Sequence[str], env: Mapping[str, str], prepare: Callable[[], None], say: int, keep: tuple[int, ...] = ()
) -> None:
    """Become ``argv``; where that fails, write the reason to ``say`` and end."""
    try:
        prepare()
        for descriptor in keep:
            os.set_inheritable(descriptor, True)
        usual_signals()
        os.execve(argv[0], list(argv), dict(env))  # noqa: S606
    except OSError as error:
        os.write(say, f"{error.errno or 0} {error}".encode())
    except BaseException as error:  # noqa: BLE001  # a forked child must never run on in its parent's code
        os.write(say, f"0 {type(error).__name__}: {error}".encode())
    os._exit(126)


def refusal(words: bytes) -> NotStarted:
    """What ``executed`` wrote, as an error."""
    number, _, text = words.decode(errors="replace").partition(" ")
    return NotStarted(int(number), text)


def read_all(descriptor: int) -> bytes:
    """Everything until the last writer closes."""
    parts = []
    while part := os.read(descriptor, 4096):
        parts.append(part)
    return b"".join(parts)


def usual_signals() -> None:
    """Undo what Python does to signals, which a program would inherit: SIGXFSZ ends who writes too much."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)


def limit(limits: Mapping[str, int], *, counted: bool, processes: bool) -> None:
    """Set the limits of this process and all it starts; memory only where no control group has it ``counted``.

    A process that asks for far more memory at once is told no; one that grows past the limit is found by the watch:
    this bound lies a quarter above it. ``processes`` counts all of this user in this user namespace.
    """
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: limits["disk"] + 4096,
        resource.RLIMIT_NOFILE: limits["open_files"],
        resource.RLIMIT_CPU: limits["cpu_s"],
    }
    if not counted:
        bounds[resource.RLIMIT_DATA] = limits["memory"] + limits["memory"] // 4
    if processes:
        bounds[resource.RLIMIT_NPROC] = process_bound(limits)
    for kind, value in bounds.items():
        bound(0, kind, value)


def first_to_go() -> None:
    """When the machine runs out of memory, this process and all it starts go before anything else."""
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def process_bound(limits: Mapping[str, int]) -> int:
    """How many processes the kernel lets be; the watch ends a box before."""
    return limits["processes"] + limits["processes"] // 4 + 8


def bound(pid: int, kind: int, value: int) -> None:
    """Lower a limit of process ``pid`` (0: this one) to ``value``; a lower one stays."""
    _, hard = resource.prlimit(pid, kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.prlimit(pid, kind, (value, value))
