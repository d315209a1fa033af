"""Texts as vectors.

``static``    a vector for each word of a text, averaged: 16 µs a question, in a package of 16 MB
``onnx``      MiniLM with 8-bit weights: milliseconds a question, and it knows more
``endpoint``  any server that speaks OpenAI's ``/v1/embeddings``
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.semcache.base import Embedder

__all__ = ["NAMES", "embedder"]

NAMES: Final = ("static", "minilm")
"""Those that run here; a URL is one that runs elsewhere."""


def embedder(name: str, *, api_key: str | None = None) -> Embedder:
    """``static``, ``minilm``, or a server: ``http://HOST:PORT/v1?model=NAME``, with its ``api_key``.

    Raises ``ConfigError`` for any other name, and where what it needs is not installed.
    """
    if name.startswith(("http://", "https://")):
        return _endpoint(name, api_key)
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"there is no embedder {name!r}; expected {', '.join(NAMES)} or an http(s) URL{hint}")
    return _static() if name == "static" else _minilm()


def _endpoint(url: str, api_key: str | None) -> Embedder:
    from agentrt.semcache.embed.endpoint import Endpoint

    if find_spec("numpy") is None:
        raise ConfigError("an embedder on a server needs an extra: pip install 'agentrt[semcache]'")
    return Endpoint.from_url(url, api_key=api_key)


def _static() -> Embedder:
    try:
        from agentrt.semcache.embed.static import Static
    except ImportError as error:
        raise ConfigError("the embedder 'static' needs an extra: pip install 'agentrt[semcache]'") from error
    return Static()


def _minilm() -> Embedder:
    try:
        from agentrt.semcache.embed.onnx import Onnx
    except ImportError as error:
        raise ConfigError("the embedder 'minilm' needs an extra: pip install 'agentrt[minilm]'") from error
    return Onnx()
