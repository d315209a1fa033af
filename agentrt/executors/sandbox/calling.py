"""One call, seen from the caller: start its supervisor, feed and drain its streams, hear how it went."""

from __future__ import annotations

import asyncio
import marshal
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from agentrt.errors import SandboxError
from agentrt.executors.sandbox.base import Limits
from agentrt.executors.sandbox.capture import Capture
from agentrt.executors.sandbox.keeping import keeper

if TYPE_CHECKING:
    from agentrt.executors.sandbox.inside.supervisor import Report, Spec

_ATTEMPTS = 3  # a keeper that is just being ended may take a call with it before anything was begun
_LAST_WORDS = 5.0  # seconds that a stream may stay open after everything in the box has ended


async def called(spec: Spec, limits: Limits, stdin: bytes = b"") -> tuple[Report, Capture, Capture]:
    """Run what ``spec`` says to its end; what was told of it, its output and its errors.

    Raises ``SandboxError`` when the box could not be made. Cancelling ends everything in it first.
    """
    for _ in range(_ATTEMPTS):
        with suppress(_NotBegunError):
            return await _called(spec, limits, stdin)
    raise SandboxError("the process that keeps sandboxes was ended by something else, again and again")


class _NotBegunError(Exception):
    """No supervisor has taken the call, so it may be made again."""


async def _called(spec: Spec, limits: Limits, stdin: bytes) -> tuple[Report, Capture, Capture]:
    control, streams = _supervised(piped=bool(stdin))
    with control:
        told = asyncio.create_task(_report(control))
        try:
            return await _served(control, told, streams, spec, limits, stdin)
        finally:
            with suppress(OSError):
                control.shutdown(socket.SHUT_WR)  # the order to end whatever is left
            try:
                await _to_its_end(told)
            finally:
                for stream in streams:
                    if stream is not None:
                        stream.close()


def _supervised(*, piped: bool) -> tuple[socket.socket, list[BinaryIO | None]]:
    """A supervisor's control socket, and our ends of the box's streams; the first is ``None`` without ``piped``."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reading, feeding = os.pipe() if piped else (os.open(os.devnull, os.O_RDONLY), None)
    (out, their_out), (err, their_err) = os.pipe(), os.pipe()
    handed = (theirs.detach(), reading, their_out, their_err)
    keeper.supervise(handed[0], handed[1:])
    for descriptor in handed:
        os.close(descriptor)
    return ours, [
        None if feeding is None else os.fdopen(feeding, "wb", 0),
        os.fdopen(out, "rb", 0),
        os.fdopen(err, "rb", 0),
    ]


async def _served(
    control: socket.socket,
    told: asyncio.Task[Report | None],
    streams: list[BinaryIO | None],
    spec: Spec,
    limits: Limits,
    stdin: bytes,
) -> tuple[Report, Capture, Capture]:
    feeding, *draining = streams
    captures = (Capture(limits.kept), Capture(limits.kept))
    words = marshal.dumps(dict(spec))

    def too_much() -> None:
        with suppress(OSError):
            control.send(b"o")

    async with asyncio.TaskGroup() as tasks:
        moving = [
            tasks.create_task(_drained(stream, capture, limits.output, too_much))
            for stream, capture in zip(draining, captures, strict=True)
        ]
        moving.append(tasks.create_task(_fed(feeding, stdin)))
        with suppress(ConnectionError):  # then it ended, and says so below
            await asyncio.get_running_loop().sock_sendall(control, len(words).to_bytes(4, "little") + words)
        await asyncio.wait([told])
        await asyncio.wait(moving, timeout=_LAST_WORDS)
        for one in moving:
            one.cancel()
    report = told.result()
    out, err = captures
    if report is None:
        raise SandboxError(f"the supervisor of a sandboxed command was ended by something else; {_hint(err)}")
    if "error" in report:
        raise SandboxError(f"the sandbox could not be made: {report['error']}; {_hint(err)}")
    return report, out, err


def _hint(err: Capture) -> str:
    said = err.text.strip()
    return f"it said: {said[-500:]}" if said else "it said nothing"


async def _report(control: socket.socket) -> Report | None:
    """What the supervisor tells: one byte when it begins, the report at the end; ``None`` when it ended without."""
    parts: list[bytes] = []
    with suppress(ConnectionError):
        while part := await asyncio.get_running_loop().sock_recv(control, 65536):
            parts.append(part)
    words = b"".join(parts)
    if not words:
        raise _NotBegunError
    return marshal.loads(words[1:]) if words[1:] else None  # noqa: S302  # from the supervisor, never from the box


async def _drained(stream: BinaryIO | None, capture: Capture, most: int, too_much: Callable[[], None]) -> None:
    """Read everything, so that the writer is never held up; say once when it is ``too_much``."""
    assert stream is not None
    reader = asyncio.StreamReader()
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stream)
    try:
        while chunk := await reader.read(1 << 16):
            if capture.total <= most < capture.total + len(chunk):
                too_much()
            capture.feed(chunk)
    finally:
        pipe.close()


async def _fed(stream: BinaryIO | None, data: bytes) -> None:
    """Write everything, as fast as it is read; it need not be."""
    if stream is None:
        return
    os.set_blocking(stream.fileno(), False)
    left = memoryview(data)
    with stream, suppress(BrokenPipeError):
        while left:
            try:
                left = left[os.write(stream.fileno(), left) :]
            except BlockingIOError:
                await _writable(stream.fileno())


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(descriptor)


async def _to_its_end(told: asyncio.Task[Report | None]) -> None:
    """Wait for a supervisor that has been told to end; being cancelled meanwhile does not leave it alone."""
    cancelled: asyncio.CancelledError | None = None
    while not told.done():
        try:
            await asyncio.wait([told])
        except asyncio.CancelledError as error:
            cancelled = error
    told.exception()  # looked at here, for a call that nobody waits for any more
    if cancelled is not None:
        raise cancelled
