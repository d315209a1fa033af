"""POST over one kept connection, for many small messages to a server nearby: a twentieth of what a full client costs.

Hints are sent after every few steps of a program, and a general HTTP client takes a millisecond of CPU for each. What
is sent twice does no harm there, so a connection that the server has closed meanwhile is opened again and the message
repeated.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from agentrt.executors.failures import broken, refusal

LARGEST_ANSWER: Final = 2**20
"""Bytes; a longer answer is no answer to a hint."""


class PlainPost:
    """Posts JSON to an ``http://`` server, one message after the other. Messages must be safe to repeat.

    ``timeout`` bounds each answer, in seconds; ``opened`` counts the connections so far. Raises ``Unreachable`` and
    ``Refused`` as ``HttpServer`` does.
    """

    def __init__(self, url: str, *, name: str, api_key: str | None, timeout: float) -> None:
        parts = urlsplit(url)
        self._url = url
        self._name = name
        self._timeout = timeout
        self._host = parts.hostname or ""
        self._port = parts.port or 80
        self._base = parts.path.rstrip("/")
        key = f"Authorization: Bearer {api_key}\r\n" if api_key else ""
        self._fields = f"Host: {parts.netloc}\r\nContent-Type: application/json\r\n{key}"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()
        self.opened = 0

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """Send ``body``; returns once the server has taken it."""
        payload = json.dumps(body, separators=(",", ":")).encode()
        head = f"POST {self._base}{path} HTTP/1.1\r\n{self._fields}Content-Length: {len(payload)}\r\n\r\n"
        async with self._turn:
            status, answer = await self._exchange(head.encode("latin-1") + payload)
        if status >= 400:
            raise refusal(self._name, status, answer)

    async def close(self) -> None:
        """Give the connection back; twice is fine."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()

    async def _exchange(self, message: bytes) -> tuple[int, bytes]:
        kept = self._streams is not None
        try:
            async with asyncio.timeout(self._timeout):
                return await self._once(message)
        # TimeoutError is an OSError; IndexError comes from a status line without a status
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            self._drop()
            if kept and not isinstance(error, TimeoutError):
                return await self._exchange(message)
            raise broken(self._name, self._url, f"a hint was not taken: {error!r}") from error
        except asyncio.CancelledError:
            self._drop()  # half an answer may be left in it
            raise

    def _drop(self) -> None:
        """Leave the connection without waiting for what a server that hangs has not read."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()

    async def _once(self, message: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
            self.opened += 1
        reader, writer = self._streams
        writer.write(message)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in head[1:])}
        length = int(fields.get("content-length", "-1"))
        if not 0 <= length <= LARGEST_ANSWER:
            raise ValueError(f"content-length {fields.get('content-length')!r}")
        answer = await reader.readexactly(length)
        if fields.get("connection", "").lower() == "close":
            await self.close()
        return int(head[0].split(" ", 2)[1]), answer
