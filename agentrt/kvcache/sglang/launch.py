"""Start stock SGLang's HTTP server from one JSON object on standard input: ``python -m agentrt.kvcache.sglang.launch``.

    {"server_args": {"model_path": "...", "api_key": "...", ...}, "die_with_parent": true}

Arguments arrive on standard input so that the API key is in no command line and no environment, where other
users of the machine could read it. ``server_args`` holds fields of SGLang's ``ServerArgs`` by name.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from dataclasses import dataclass
from typing import Any

SPIN_COUNT = "1000"
"""Turns an OpenMP thread spins at a barrier before it sleeps; the engine's processes inherit it.

PyTorch's OpenMP spins for milliseconds by default: fastest on an idle machine, but as soon as anything else wants
one of the cores, threads wait for each other's whole time slices. Never spinning costs a wake-up per operation.
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What the parent asked for."""

    server_args: dict[str, Any]
    die_with_parent: bool


def main() -> int:
    """Read the order, tie our life to the parent's if asked, and serve until stopped; return the exit status."""
    parent = os.getppid()
    try:
        order = read_order(sys.stdin.read())
    except ValueError as error:
        print(f"agentrt engine: {error}", file=sys.stderr)
        return 2
    own_group()
    if order.die_with_parent:
        die_with(parent)
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    serve(order.server_args)
    return 0


def read_order(text: str) -> Order:
    """Parse the one JSON object, refusing with ``ValueError`` what SGLang could not use; values are not repeated."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"standard input is no JSON object: {error}") from None
    if not isinstance(given, dict) or not isinstance(given.get("server_args"), dict):
        raise ValueError('standard input must be {"server_args": {...}, "die_with_parent": true or false}')
    unknown = given.keys() - {"server_args", "die_with_parent"}
    if unknown:
        raise ValueError(f"unknown keys on standard input: {', '.join(sorted(unknown))}")
    return Order(given["server_args"], bool(given.get("die_with_parent", False)))


def own_group() -> None:
    """Become the leader of a process group, so that one signal ends us and every process SGLang starts."""
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, end_group)


def end_group(*_: object) -> None:
    """Kill our process group, ourselves included.

    SGLang's processes ask to die with us, but only once they have finished importing: a signal to us alone would
    leave those that are still at it.
    """
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_with(parent: int) -> None:
    """End the group when process ``parent`` ends, however it ends.

    A thread waits on the parent's pidfd. ``PR_SET_PDEATHSIG`` would fire when the parent's *thread* that started
    us ends, which a thread pool does at any time.
    """
    watched = os.pidfd_open(parent)
    threading.Thread(target=_end_after, args=(watched,), name="parent-watch", daemon=True).start()
    if os.getppid() != parent:  # it ended before we could look
        end_group()


def _end_after(pidfd: int) -> None:
    select.select([pidfd], [], [])
    end_group()


def serve(server_args: dict[str, Any]) -> None:
    """Run SGLang's own server in this process until it ends."""
    from sglang.launch_server import run_server
    from sglang.srt.plugins import load_plugins
    from sglang.srt.server_args import ServerArgs
    from sglang.srt.utils import kill_process_tree

    load_plugins()
    try:
        run_server(ServerArgs(**server_args))
    finally:
        kill_process_tree(os.getpid(), include_parent=False)


if __name__ == "__main__":
    sys.exit(main())
