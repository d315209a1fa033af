"""Stored values for people and scripts: plain JSON without the tags that only reading them back would need. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agentrt.store.codec import KIND


def readable(plain: Any) -> Any:
    """A stored value without its tags: tuples and sets are lists, objects are what they hold, errors their text."""
    if isinstance(plain, list):
        return [readable(item) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if KIND not in plain:
        return {key: readable(item) for key, item in plain.items()}
    return _untagged(plain)


def _untagged(plain: Mapping[str, Any]) -> Any:
    value = plain.get("v")
    match plain[KIND]:
        case "dict" | "ordered":
            return {_key(key): readable(item) for key, item in value or ()}
        case "model":
            held = readable(value)
            return {**held.get("__dict__", {}), **(held.get("__pydantic_extra__") or {})}
        case "error":
            name = plain["c"].rpartition(":")[2]
            return f"{name}: {plain['text']}" if plain["text"] else name
        case "opaque":
            return f"<{value}>"
    return readable(value)


def _key(plain: Any) -> str:
    return plain if isinstance(plain, str) else readable_text(plain)


def readable_text(plain: Any) -> str:
    """A stored value as JSON text without its tags."""
    return json.dumps(readable(plain), ensure_ascii=False)
