"""Stands between a journal and its PostgreSQL server, and breaks what passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

Meddler: TypeAlias = Callable[[bytes], bool]
"""Whether a piece may pass; the connection ends before it if not."""

COMMITTED = b"COMMIT\x00"
"""In what a server answers to a commit."""


class Between:
    """Listens on a socket in ``folder`` as the server does in ``there``. ``answers`` and ``asks`` are shown all."""

    def __init__(self, folder: Path, there: Path) -> None:
        self.folder = folder
        self.asks: Meddler = bool
        self.answers: Meddler = bool
        self.silent = False
        self._there = str(there / _SOCKET)
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, database: str) -> str:
        """A database of the server, by this way."""
        return f"postgresql://postgres@/{database}?host={self.folder}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one client says."""
        try:
            back, forth = await asyncio.open_unix_connection(self._there)
        except OSError:
            writer.close()
            return
        ways = (
            asyncio.create_task(self._pass(reader, forth, lambda piece: self.asks(piece))),
            asyncio.create_task(self._pass(back, writer, lambda piece: self.answers(piece))),
        )
        self._tasks.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for one in (writer, forth):
            one.transport.abort()
        await asyncio.wait(ways)
        self._tasks.difference_update(ways)

    async def close(self) -> None:
        """End every connection."""
        for one in self._tasks:
            one.cancel()
        while self._tasks:
            await asyncio.sleep(0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, passes: Meddler) -> None:
        try:
            while piece := await reader.read(1 << 16):
                if self.silent:
                    continue
                if not passes(piece):
                    return
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            return


@asynccontextmanager
async def between(folder: Path, there: Path) -> AsyncIterator[Between]:
    """A way to the server that listens in ``there``, by a socket in ``folder``."""
    one = Between(folder, there)
    server = await asyncio.start_unix_server(one.serve, folder / _SOCKET)
    try:
        yield one
    finally:
        server.close()
        await one.close()
        await server.wait_closed()


def once(sign: bytes) -> Meddler:
    """Lets everything pass but the first piece with this in it."""
    seen = []

    def passes(piece: bytes) -> bool:
        if sign in piece and not seen:
            seen.append(piece)
            return False
        return True

    return passes


_SOCKET = ".s.PGSQL.5432"
