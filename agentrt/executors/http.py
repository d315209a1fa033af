"""One server over HTTP: the connections to it, its event streams, and errors in agentrt's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agentrt.errors import ConfigError
from agentrt.executors.failures import broken, refusal, translated
from agentrt.executors.plain_post import PlainPost

if TYPE_CHECKING:
    import httpx

_MOST_CONNECTIONS = 2000
_OTHER_FILES = 128  # left to the program, its tools and its logs
_KEEP_IDLE = 3.0  # seconds; below the 5 s after which uvicorn, SGLang's server, drops an idle connection
_PATIENCE = 120.0  # seconds that a small message may take: an engine answers between two batches
_CONNECT = 10.0  # seconds to take a connection


class HttpServer:
    """A server at ``url`` (with or without a trailing ``/v1``), spoken to in JSON.

    ``timeout`` is the longest silence, in seconds, before an answer counts as broken. The client is made at
    first use, inside the event loop that uses it. The API key is in no ``repr`` and no message.
    """

    def __init__(self, url: str, *, name: str, api_key: str | None, timeout: float) -> None:
        self.url = base_url(url)
        self.name = name
        self.timeout = timeout
        self._api_key = api_key
        self._client: httpx.AsyncClient | None = None
        self._room = _connection_room()
        self._places = asyncio.Semaphore(self._room)  # httpx's own queue costs CPU by the square of its length

    async def get(
        self, path: str, query: Sequence[tuple[str, str]] = (), headers: Mapping[str, str] | None = None
    ) -> Any:
        """The JSON at ``path``, asked for with these further headers."""
        with translated(self.name, self.url, self.timeout):
            async with self._places:
                response = await self._connected().get(path, params=list(query), headers=headers)
        return self._json(response)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON answer to ``body``."""
        with translated(self.name, self.url, self.timeout):
            async with self._places:
                response = await self._connected().post(path, json=body)
        return self._json(response)

    async def stream(self, path: str, body: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
        """The JSON objects of the event stream that answers ``body``, until ``[DONE]`` or the stream's end.

        A server that answers with one plain JSON object instead of a stream gives that object. Closing the
        iterator before its end closes the connection, which ends the request at the server. To be used with
        ``contextlib.aclosing``.
        """
        with translated(self.name, self.url, self.timeout):
            async with self._places, self._connected().stream("POST", path, json=body) as response:
                if response.status_code >= 400:
                    raise refusal(self.name, response.status_code, await response.aread())
                if "text/event-stream" not in response.headers.get("content-type", ""):
                    yield self._object((await response.aread()).decode("utf-8", "replace"))
                    return
                async with aclosing(_events(response.aiter_lines())) as events:
                    async for data in events:
                        yield self._object(data)

    def plain_post(self) -> PlainPost | None:
        """A cheaper way for small messages to this server; ``None`` where only the full client will do."""
        if urlsplit(self.url).scheme != "http" or not _is_loopback(self.url):
            return None
        return PlainPost(self.url, name=self.name, api_key=self._api_key, timeout=min(self.timeout, _PATIENCE))

    async def close(self) -> None:
        """Give back the connections; twice is fine."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = self._open()
        return self._client

    def _open(self) -> httpx.AsyncClient:
        import httpx

        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        return httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(self.timeout, connect=_CONNECT, pool=None),
            limits=httpx.Limits(
                max_connections=self._room, max_keepalive_connections=self._room, keepalive_expiry=_KEEP_IDLE
            ),
            trust_env=not _is_loopback(self.url),  # a proxy set for the world does not lead to this machine
        )

    def _json(self, response: httpx.Response) -> Any:
        if response.status_code >= 400:
            raise refusal(self.name, response.status_code, response.content)
        try:
            return response.json()
        except ValueError as error:
            raise broken(self.name, self.url, f"{_cut(response.text)} where JSON was expected") from error

    def _object(self, data: str) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except ValueError as error:
            raise broken(self.name, self.url, f"{_cut(data)} where JSON was expected") from error
        if not isinstance(value, dict):
            raise broken(self.name, self.url, f"{_cut(data)} where a JSON object was expected")
        return value


async def _events(lines: AsyncIterator[str]) -> AsyncGenerator[str, None]:
    """The data of each server-sent event: ``data:`` lines up to a blank one; comments and other fields skipped."""
    data: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif line and not line.startswith((":", "event:", "id:", "retry:")):
            data.append(line)  # no event-stream line at all: shown in the message that follows
        elif not line and data:
            if data == ["[DONE]"]:
                return
            yield "\n".join(data)
            data = []
    if data and data != ["[DONE]"]:
        yield "\n".join(data)


def base_url(url: str) -> str:
    """The address without a trailing slash or ``/v1``. Raises ``ConfigError`` for what is no http address."""
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError(f"{url!r} is no address of a server; write http://host:port or https://host")
    if parts.username is not None:  # it would show in every message
        raise ConfigError(
            f"the address of {parts.hostname!r} holds a name or password; leave it out, and put the server's key "
            f"into AGENTRT_API_KEY or api_key="
        )
    return url.strip().rstrip("/").removesuffix("/v1")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _connection_room() -> int:
    """How many connections may be open: what the process may hold in files, less some for everything else."""
    try:
        import resource
    except ImportError:
        return _MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(16, min(_MOST_CONNECTIONS, files - _OTHER_FILES))


def _cut(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "...") if text.strip() else "nothing"
