"""Nearest vectors by cosine.

``flat``   looks at all of them: exact, and quicker than a graph where there are few
``hnsw``   a graph of neighbours (usearch), for many
``grown``  begins as the first and becomes the second: what a shelf is given
``files``  one file for an index, whole or not at all
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.semcache.index.grown import Grown

__all__ = ["load", "new"]

_GRAPH = "usearch"
_EXTRA = "the semantic cache needs an extra: pip install 'agentrt[semcache]'"


def new(embedder: str, size: int) -> Grown:
    """An empty index for vectors of ``size`` numbers by the embedder of that name.

    Raises ``ConfigError`` where what it needs is not installed, be it only when it has grown.
    """
    if find_spec(_GRAPH) is None:
        raise ConfigError(_EXTRA)
    try:
        from agentrt.semcache.index.grown import Grown
    except ImportError as error:
        raise ConfigError(_EXTRA) from error
    return Grown(embedder, size)


def load(path: Path, embedder: str, size: int) -> Grown:
    """The index that ``save`` wrote into a file.

    Raises ``ConfigError`` where it is missing, damaged, no index, or for other vectors: it has to be built anew then.
    """
    index = new(embedder, size)
    index.load(path)
    return index
