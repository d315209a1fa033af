"""Counting tokens without a model: a word is a token, and earlier prompts make a radix cache of words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

_Node: TypeAlias = dict[str, "_Node"]


class PrefixCache:
    """Remembers every word sequence it was shown, without end; finds how much of a new one begins like them."""

    def __init__(self) -> None:
        self._root: _Node = {}

    def match(self, words: Sequence[str]) -> int:
        """How many words at the start were seen before, in this order.

        At most all but one: like a real engine, which computes the last token of a prompt to have something
        to go on from.
        """
        node: _Node | None = self._root
        for count, word in enumerate(words[:-1]):
            node = node.get(word) if node is not None else None
            if node is None:
                return count
        return max(0, len(words) - 1)

    def add(self, words: Sequence[str]) -> None:
        """Show it a sequence."""
        node = self._root
        for word in words:
            node = node.setdefault(word, {})

    def clear(self) -> None:
        """Forget everything."""
        self._root = {}


class Vocabulary:
    """Numbers for words and back, for the endpoints that speak in token numbers."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words: list[str] = []

    def encode(self, words: Sequence[str]) -> list[int]:
        """A number for each word; new words get the next ones."""
        for word in words:
            if word not in self._numbers:
                self._numbers[word] = len(self._words)
                self._words.append(word)
        return [self._numbers[word] for word in words]

    def decode(self, numbers: Sequence[int]) -> tuple[str, ...]:
        """The words; a number that was never given out is a word of its own."""
        known = len(self._words)
        return tuple(self._words[n] if 0 <= n < known else f"#{n}" for n in numbers)


def render(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The words a chat template would make of a conversation: tools first, a mark for each role, a mark to begin."""
    words = [word for tool in tools for word in str(tool).split()]
    for message in messages:
        words.append(f"<{message.get('role')}>")
        words += str(message.get("content") or "").split()
        words += [word for made in message.get("tool_calls") or () for word in str(made).split()]
    return (*words, "<assistant>")
