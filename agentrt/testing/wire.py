"""The little of HTTP/1.1 that a scripted server needs: requests in, bodies and event streams out, keep-alive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; header names are in lower case, ``path`` is without its ``query``."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    query: str = ""


class Link:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._early = b""  # a byte of the next request, read while watching for the client to leave
        self._streaming = False
        self.started = False

    async def next(self) -> HttpRequest | None:
        """The next request, or ``None`` when the client has closed."""
        self.started = self._streaming = False
        try:
            head = self._early + await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            return None
        self._early = b""
        line, *fields = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (f.partition(":") for f in fields if f)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        path, _, query = target.partition("?")
        return HttpRequest(method, path, headers, body, query)

    async def client_left(self) -> None:
        """Returns when the client has closed the connection; never, when it sends more instead."""
        with suppress(ConnectionError):
            self._early += await self._reader.read(1)
            if self._early:
                await asyncio.Event().wait()

    async def send_json(self, value: Any, status: int = 200) -> None:
        """A whole answer."""
        await self.send(json.dumps(value).encode(), status, "application/json")

    async def send(self, body: bytes, status: int = 200, kind: str = "text/plain") -> None:
        """A whole answer of any kind."""
        self.started = True
        length = f"Content-Length: {len(body)}"
        self._writer.write(_head(status, f"Content-Type: {kind}", length) + body)
        await self._writer.drain()

    async def send_event(self, data: str) -> None:
        """One server-sent event; the first begins the stream."""
        await self.begin_stream()
        event = f"data: {data}\n\n".encode()
        self._writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await self._writer.drain()

    async def begin_stream(self) -> None:
        """The head of an event stream, once."""
        if not self._streaming:
            self.started = self._streaming = True
            self._writer.write(_head(200, "Content-Type: text/event-stream", "Transfer-Encoding: chunked"))
            await self._writer.drain()

    async def end_stream(self) -> None:
        """The regular end of an event stream."""
        await self.begin_stream()
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def close(self) -> None:
        """Close the connection, whatever was being sent."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def _head(status: int, *fields: str) -> bytes:
    reason = HTTPStatus(status).phrase
    return "\r\n".join((f"HTTP/1.1 {status} {reason}", *fields, "", "")).encode()
