"""Texts of programs and models inside a page: whatever they hold, they stay texts. Pure."""

from __future__ import annotations

import re
from html import escape
from typing import Final

from agentrt.ui.words import cut

_ODD: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
"""Control characters, marks that turn the direction of what follows, halves of characters, and what XML forbids."""


def shown(text: str) -> str:
    """The text with what cannot be seen made visible: ``␛`` for an escape, ``⟨U+202E⟩`` for a mark."""
    return _ODD.sub(_sign, text)


def html(text: object) -> str:
    """The text for a place between tags, or inside the quotes of an attribute."""
    return escape(shown(str(text)))


def line(text: object, most: int = 300) -> str:
    """The same on one line of at most so many characters: names are as long as a program makes them."""
    return escape(shown(cut(" ".join(str(text).split()), most, "…")))


def _sign(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
