"""Block numbers of growing prompts, read from their text: what a prompt repeats is compared, not read.

A recording of some hundred sessions names tens of millions of blocks, nearly all of them in the prompt before already.
"""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from agentrt.benchmarks.replay.sessions import Runs, runs_of, size, taken

_LIST: Final = re.compile(r'"hash_ids"\s*:\s*\[([^\]]*)\]')


class Known(NamedTuple):
    """A prompt's block numbers as they were written, and as runs."""

    text: str
    runs: Runs


NOTHING: Final = Known("", ())


def set_apart(line: str) -> tuple[str, list[str]]:
    """A line of JSON with a number in the place of each list of blocks, and the texts of these lists by that number."""
    texts: list[str] = []

    def number(found: re.Match[str]) -> str:
        texts.append(found[1])
        return f'"hash_ids":{len(texts) - 1}'

    return _LIST.sub(number, line), texts


def common(before: Known, text: str) -> tuple[int, int]:
    """How many blocks two prompts begin with in common, and how many characters of the text these are."""
    old = before.text
    if old and text.startswith(old) and text[len(old) : len(old) + 1] in ("", ","):
        return size(before.runs), len(old)
    same = _same(old, text)
    if not (old[same : same + 1] in ("", ",") and text[same : same + 1] in ("", ",")):
        same = max(0, old.rfind(",", 0, same))  # it ends within a number
    return (old.count(",", 0, same) + 1, same) if same else (0, 0)


def read(before: Known, text: str) -> Known:
    """The blocks of a prompt; only those that ``before`` does not begin with are read."""
    blocks, characters = common(before, text)
    rest = text[characters:].lstrip(", ")
    return Known(text, runs_of(json.loads(f"[{rest}]"), taken(before.runs, blocks)))


def _same(old: str, text: str) -> int:
    """How many characters two texts begin with in common, found by halves."""
    low, high = 0, min(len(old), len(text))
    while low < high:
        middle = (low + high + 1) // 2
        if old.startswith(text[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low
