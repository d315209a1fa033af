"""Prompts of a wanted length, drawn from a seed: what they say does not matter, that no two begin alike does."""

from __future__ import annotations

import random
from typing import Final

_WORDS: Final = (
    "time people year way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work government number night point home water room mother "
    "area money story fact month lot right study book eye job word business issue side kind head house service friend "
    "father power hour game line end member law car city community name president team minute idea body information "
    "back parent face others level office door health person art war history party result change morning reason "
    "research girl guy moment air teacher force education"
)

WORDS: Final = tuple(_WORDS.split())
"""Common words, each one token in the vocabularies of Llama, GPT-2 and SmolLM2 when a space stands before it."""

MESSAGE_TOKENS: Final = 5
"""What a chat template adds to each message: about this many tokens for the role and the end."""


def text(draw: random.Random, tokens: int) -> str:
    """Random words of about ``tokens`` tokens, at least one."""
    return " ".join(draw.choices(WORDS, k=max(1, tokens)))
