"""The plain way: a session and limits of its own, and nothing that keeps a program from files, network or others."""

from __future__ import annotations

import os

from agentrt.executors.sandbox.inside import kernel, seccomp
from agentrt.executors.sandbox.inside.starting import UNIFORM, first_to_go, limit, started

TYPE_CHECKING = False
if TYPE_CHECKING:
    from agentrt.executors.sandbox.inside.supervisor import Call, Spec, Started


def start(call: Call, spec: Spec) -> Started:
    """Start the command as a descendant of this process, which has made itself the parent of all orphans."""

    def prepare() -> None:
        os.setsid()
        if call.group is not None:
            call.group.add(os.getpid())
        kernel.die_with_parent()
        first_to_go()
        os.chdir(spec["cwd"])
        limit(spec["limits"], counted=call.counted, processes=False)
        kernel.no_new_privileges()
        if program := seccomp.program(os.uname().machine, counted=call.counted):
            kernel.filter_calls(program)

    top = started([*UNIFORM, *spec["argv"]], spec["env"], prepare)
    return {"top": top, "init": 0}
