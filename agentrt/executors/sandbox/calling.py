"""One call, seen from the caller: start its supervisor, feed and drain its streams, hear how it went."""

from __future__ import annotations

import asyncio
import marshal
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agentrt.errors import SandboxError
from agentrt.executors.sandbox.base import Limits
from agentrt.executors.sandbox.capture import Capture

if TYPE_CHECKING:
    from agentrt.executors.sandbox.inside.supervisor import Report, Spec

_INSIDE = Path(__file__).parent / "inside"
_BOOT = """
import sys
name = "agentrt.executors.sandbox.inside"
for at, letter in enumerate(name + "."):
    if letter == ".":
        module = type(sys)(name[:at])
        module.__path__ = [sys.argv[1]]
        sys.modules[name[:at]] = module
from agentrt.executors.sandbox.inside.supervisor import main
main(int(sys.argv[2]))
"""
"""Imports the supervisor without the packages around it: each call pays for what is imported."""

_LAST_WORDS = 5.0  # seconds that a stream may stay open after everything in the box has ended


async def called(spec: Spec, limits: Limits, stdin: bytes = b"") -> tuple[Report, Capture, Capture]:
    """Run what ``spec`` says to its end; what was told of it, its output and its errors.

    Raises ``SandboxError`` when the box could not be made. Cancelling ends everything in it first.
    """
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours:
        with theirs:
            supervisor = await _supervisor(theirs.fileno(), piped=bool(stdin))
        try:
            return await _served(supervisor, ours, spec, limits, stdin)
        finally:
            ours.close()  # the order to end whatever is left
            await _to_its_end(supervisor)


async def _supervisor(control: int, *, piped: bool) -> asyncio.subprocess.Process:
    environment = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _BOOT, str(_INSIDE), str(control)),
        stdin=asyncio.subprocess.PIPE if piped else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=(control,),
        env=environment,
        cwd="/",
        start_new_session=True,
    )


async def _served(
    supervisor: asyncio.subprocess.Process, control: socket.socket, spec: Spec, limits: Limits, stdin: bytes
) -> tuple[Report, Capture, Capture]:
    out, err = Capture(limits.kept), Capture(limits.kept)
    words = marshal.dumps(dict(spec))

    def too_much() -> None:
        with suppress(OSError):
            control.send(b"o")

    async with asyncio.TaskGroup() as tasks:
        streams = [
            tasks.create_task(_drained(stream, capture, limits.output, too_much))
            for stream, capture in ((supervisor.stdout, out), (supervisor.stderr, err))
        ]
        if supervisor.stdin is not None:
            streams.append(tasks.create_task(_fed(supervisor.stdin, stdin)))
        with suppress(ConnectionError):  # then it ended, and says so below
            await asyncio.get_running_loop().sock_sendall(control, len(words).to_bytes(4, "little") + words)
        report = await _report(control)
        await asyncio.wait(streams, timeout=_LAST_WORDS)
        for stream in streams:
            stream.cancel()
    if report is None:
        raise SandboxError(f"the supervisor of a sandboxed command was ended by something else; {_hint(err)}")
    if "error" in report:
        raise SandboxError(f"the sandbox could not be made: {report['error']}; {_hint(err)}")
    return report, out, err


def _hint(err: Capture) -> str:
    said = err.text.strip()
    return f"it said: {said[-500:]}" if said else "it said nothing"


async def _report(control: socket.socket) -> Report | None:
    parts: list[bytes] = []
    with suppress(ConnectionError):
        while part := await asyncio.get_running_loop().sock_recv(control, 65536):
            parts.append(part)
    return marshal.loads(b"".join(parts)) if parts else None  # noqa: S302  # from the supervisor, never from the box


async def _drained(
    stream: asyncio.StreamReader | None, capture: Capture, most: int, too_much: Callable[[], None]
) -> None:
    """Read everything, so that the writer is never held up; say once when it is ``too_much``."""
    while stream is not None and (chunk := await stream.read(1 << 16)):
        if capture.total <= most < capture.total + len(chunk):
            too_much()
        capture.feed(chunk)


async def _fed(stream: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(ConnectionError):  # it need not read what it is given
        stream.write(data)
        await stream.drain()
    stream.close()
    with suppress(ConnectionError):
        await stream.wait_closed()


async def _to_its_end(supervisor: asyncio.subprocess.Process) -> None:
    """Wait for a supervisor that has been told to end; being cancelled meanwhile does not leave it alone."""
    waiting = asyncio.ensure_future(supervisor.wait())
    cancelled: asyncio.CancelledError | None = None
    while not waiting.done():
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
