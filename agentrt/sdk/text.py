"""Values as models read them, and what models write as values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json


def to_text(value: Any) -> str:
    """A value as a part of a prompt: text as it is, a list of texts a line each, all else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return to_json(value, fallback=str).decode()


def prompt(parts: Iterable[Any]) -> str:
    """The parts of a prompt, in order, an empty line between them."""
    return "\n\n".join(text for part in parts if (text := to_text(part)))


def problems(error: ValidationError) -> str:
    """What does not fit, in one line: ``title: Field required; count: Input should be a valid integer``."""
    rows = (f"{'.'.join(str(key) for key in row['loc']) or 'value'}: {row['msg']}" for row in error.errors())
    return "; ".join(rows)
