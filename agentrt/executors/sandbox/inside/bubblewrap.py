"""The way of bubblewrap: an own program that makes the namespaces, from Debian's and everybody's packages."""

from __future__ import annotations

import os
import resource

from agentrt.executors.sandbox.inside import seccomp
from agentrt.executors.sandbox.inside.starting import (
    UNIFORM,
    NotStarted,
    bound,
    first_to_go,
    limit,
    process_bound,
    read_all,
    started,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrt.executors.sandbox.inside.supervisor import Call, Mount, Spec, Started

_FLAGS = {"ro": "--ro-bind", "rw": "--bind", "link": "--symlink"}
_PLACES = {"dir": "--dir", "proc": "--proc", "dev": "--dev", "seal": "--remount-ro"}


def start(call: Call, spec: Spec) -> Started:
    """Start ``bwrap``, and let it go on to the command when its first process is bounded."""
    said, say = os.pipe()
    held, go = os.pipe()
    rules, write_rules = os.pipe()
    os.write(write_rules, seccomp.program(os.uname().machine, counted=call.counted))
    os.close(write_rules)
    argv = [spec["bwrap"], *options(spec, say, held, rules), "--", *UNIFORM, *spec["argv"]]

    def prepare() -> None:
        first_to_go()
        limit(spec["limits"], counted=call.counted, processes=False)

    top = started(argv, spec["env"], prepare, keep=(say, held, rules))
    for descriptor in (say, held, rules):
        os.close(descriptor)
    init = first_process(said)
    if call.group is not None:
        call.group.add(init)
    bound(init, resource.RLIMIT_NPROC, process_bound(spec["limits"]))  # inside its user namespace: the box alone counts
    os.write(go, b"1")
    os.close(go)
    return {"top": top, "init": init, "status": said}


def came_up(status: int) -> bool:
    """Whether the command was reached: what ``bwrap`` said at its end."""
    return b'"exit-code"' in read_all(status)


def first_process(said: int) -> int:
    """The process id of the box's init, as ``bwrap`` tells it in its first line of JSON."""
    words = b""
    while b"\n" not in words:
        part = os.read(said, 4096)
        if not part:
            raise NotStarted(0, "bwrap ended before it made the box")
        words += part
    _, _, number = words.partition(b'"child-pid":')
    return int(number.split(b",")[0].strip(b" }\n"))


def options(spec: Spec, say: int, held: int, rules: int) -> Iterator[str]:
    """The options of ``bwrap``; the numbers are descriptors that it inherits."""
    yield from ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
    yield from () if spec["network"] else ("--unshare-net",)
    yield from ("--hostname", "box", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    for mount in spec["mounts"]:
        yield from placed(mount)
    yield from ("--chdir", spec["cwd"], "--json-status-fd", str(say), "--block-fd", str(held))
    if seccomp.program(os.uname().machine, counted=True):
        yield from ("--seccomp", str(rules))
    else:
        yield "--disable-userns"


def placed(mount: Mount) -> tuple[str, ...]:
    """One mount as options."""
    kind, source, target = mount
    if kind == "tmp":
        return ("--size", source, "--tmpfs", target)
    if kind in _PLACES:
        return (_PLACES[kind], target)
    return (_FLAGS[kind], source, target)
