"""A process that waits for calls and forks a supervisor for each: Python is started once, not once for each call."""

from __future__ import annotations

import os
import signal
import socket

from agentrt.executors.sandbox.inside.supervisor import main as supervise


def main(listening: int) -> None:
    """Serve calls, each a message with four descriptors, until the caller's end is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # supervisors are buried by the kernel
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # what was open in the caller, and not closed for its children
    with socket.socket(fileno=listening) as calls:
        while True:
            _, descriptors, _, _ = socket.recv_fds(calls, 1, 4)
            if not descriptors:
                return
            if os.fork() == 0:
                _become_supervisor(calls, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)


def _become_supervisor(calls: socket.socket, descriptors: list[int]) -> None:
    """Take the call's streams for one's own, serve it, and end."""
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        calls.close()
        control, *streams = descriptors
        os.set_inheritable(control, False)  # it must never reach a box
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        supervise(control)
    finally:
        os._exit(0)
