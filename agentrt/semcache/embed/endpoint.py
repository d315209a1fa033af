"""An embedder on a server that speaks OpenAI's ``/v1/embeddings``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from agentrt.errors import ConfigError, Refused, Unreachable
from agentrt.semcache.embed.packaged import normalised

if TYPE_CHECKING:
    import httpx
    import numpy as np
    from numpy.typing import NDArray

    from agentrt.semcache.base import Vectors

KEY_VARIABLE: Final = "AGENTRT_EMBEDDER_API_KEY"
"""The environment variable that holds the key of the embedder's server, which may be another's than the model's."""

_BATCH: Final = 128
_TIMEOUT: Final = 10.0
_LARGEST: Final = 1e15
"""Numbers whose squares are still 32-bit floats; vectors have none near it."""
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Endpoint:
    """Vectors by ``model`` from the server at ``url``, with or without a trailing ``/v1``.

    ``timeout`` is the longest silence in seconds. ``size`` is asked for where it is not given. The key is taken from
    AGENTRT_EMBEDDER_API_KEY where none is given, and is in no ``repr`` and no message. May be used by several threads.
    """

    def __init__(
        self, url: str, model: str, *, api_key: str | None = None, timeout: float = _TIMEOUT, size: int | None = None
    ) -> None:
        self.url = _base_url(url)
        self.model = model
        self._timeout = timeout
        self._size = size
        self._key = api_key or os.environ.get(KEY_VARIABLE)
        self._client: httpx.Client | None = None

    @classmethod
    def from_url(cls, url: str, *, api_key: str | None = None) -> Endpoint:
        """The embedder of ``http://HOST:PORT/v1?model=NAME``; ``&size=NUMBER`` saves asking for it."""
        base = _base_url(url)
        settings = dict(parse_qsl(urlsplit(url).query))
        model, size = settings.pop("model", ""), settings.pop("size", None)
        if not model or settings or not (size is None or (size.isascii() and size.isdigit() and int(size))):
            raise ConfigError(
                f"the embedder's URL {base!r} has to end in ?model=NAME or ?model=NAME&size=NUMBER, and in nothing "
                f"else; its key belongs into {KEY_VARIABLE}"
            )
        return cls(base, model, api_key=api_key, size=int(size) if size else None)

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {self.model!r})"

    @property
    def name(self) -> str:
        """See ``Embedder``. Not the server's address: the same model may move."""
        return f"openai/{self.model}"

    @property
    def size(self) -> int:
        """See ``Embedder``."""
        if self._size is None:
            self._size = len(self._asked(["size"])[0])
        return self._size

    @property
    def quick(self) -> bool:
        """See ``Embedder``."""
        return False

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See ``Embedder``. Raises ``Unreachable``, or ``Refused`` where the server says no."""
        import numpy as np

        rows = np.zeros((len(texts), self.size), np.float32)
        places = [place for place, text in enumerate(texts) if text.strip()]  # servers refuse empty texts
        for first in range(0, len(places), _BATCH):
            batch = places[first : first + _BATCH]
            found = self._asked([texts[place] for place in batch])
            if found.shape[1] != self.size:
                raise self._wrong(f"vectors of {found.shape[1]} numbers", f"{self.size} as before")
            rows[batch] = found
        return normalised(rows)

    def close(self) -> None:
        """Give back the connections; twice is fine."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _asked(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import numpy as np

        whole = [text.encode("utf-8", "replace").decode() for text in texts]  # JSON has no halves of characters
        rows = self._rows(self._posted({"model": self.model, "input": whole, "encoding_format": "float"}), len(texts))
        try:
            found = np.array(rows, np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise self._wrong("vectors that are not numbers, or not equally many", "numbers") from error
        if found.ndim != 2 or not found.shape[1] or not (np.abs(found) < _LARGEST).all():
            raise self._wrong("vectors without numbers, or with some that are not finite", "finite numbers")
        return found.astype(np.float32)

    def _rows(self, answer: Any, count: int) -> list[Any]:
        """The vectors in the order of their texts, which the server says by ``index``."""
        data = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(data, list) or not all(isinstance(one, Mapping) for one in data):
            raise self._wrong("JSON without a list 'data' of objects", "that list")
        if len(data) != count:
            raise self._wrong(f"{len(data)} vectors", f"{count}, one for each text")
        places = [one.get("index", place) for place, one in enumerate(data)]
        if any(type(place) is not int for place in places) or sorted(places) != list(range(count)):
            raise self._wrong("vectors whose 'index' is not that of a text, or comes twice", f"0 to {count - 1}")
        rows = dict(zip(places, data, strict=True))
        return [rows[place].get("embedding") for place in range(count)]

    def _posted(self, body: dict[str, Any]) -> Any:
        import httpx

        try:
            response = self._connected().post("/v1/embeddings", json=body)
        except httpx.TimeoutException as error:
            raise Unreachable(f"{self._said} did not answer within {self._timeout:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{self._said} cannot be reached: {str(error) or type(error).__name__}") from error
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            return response.json()
        except ValueError as error:
            raise self._wrong("something that is not JSON", "vectors") from error

    def _connected(self) -> httpx.Client:
        if self._client is None:
            import httpx

            self._client = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=self._timeout,
                trust_env=urlsplit(self.url).hostname not in _LOOPBACK,  # a proxy for the world leads not back here
            )
        return self._client

    @property
    def _said(self) -> str:
        return f"the embedder {self.model!r} at {self.url}"

    def _refusal(self, response: httpx.Response) -> Refused:
        advice = f"; give its key in {KEY_VARIABLE}" if response.status_code in {401, 403} else ""
        words = " ".join(response.text.split())
        if self._key:
            words = words.replace(self._key, "***")  # some servers repeat what they were sent
        return Refused(
            f"{self._said} answered {response.status_code}: {words[:300]}{advice}", status=response.status_code
        )

    def _wrong(self, given: str, expected: str) -> Unreachable:
        return Unreachable(f"{self._said} answered with {given}; expected {expected}")


def _base_url(url: str) -> str:
    """The address alone: what stands behind it, or before an ``@``, may be secret and is in no message."""
    try:
        parts = urlsplit(url.strip())
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good:
        raise ConfigError("the embedder's URL is no address of a server; write http://HOST:PORT or https://HOST")
    if parts.username is not None:
        raise ConfigError(
            f"the URL of the embedder at {parts.hostname!r} holds a name or password; leave it out, and put the "
            f"server's key into {KEY_VARIABLE} or api_key="
        )
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")).rstrip("/").removesuffix("/v1")
