"""What is shown of one entry: as JSON with its large texts in their places, and in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from agentrt.store.readable import readable, readable_text
from agentrt.store.rows import Entry

_BODY: Final = "body"
"""How a name ends under which an entry has the hash of a text, in place of the text."""

_TEXTS: Final = ("tools", "schema")
"""Names of what a model was sent that always stand for a hash."""


def hashes_of(entry: Entry) -> list[str]:
    """The hashes of the large texts that ``entry_json`` puts into the entry."""
    data = json.loads(entry.data) if entry.data else {}
    if not isinstance(data, dict):
        return []
    kept = (*_TEXTS, "messages") if entry.kind == "sent" else ()
    return [value for key, value in data.items() if (key.endswith(_BODY) or key in kept) and value is not None]


def entry_json(entry: Entry, body: Callable[[str], str]) -> dict[str, Any]:
    """One entry with its large texts in their places, as stored: with the tags that reading back needs.

    What a model was sent has its messages as ``{id, on, more}``: those that ``more`` came to since the list ``on``.
    """
    data = json.loads(entry.data) if entry.data else {}
    if isinstance(data, dict):
        data = {_named(key): _whole(entry, key, value, body) for key, value in data.items()}
    return {**entry._asdict(), "data": data}


def _named(key: str) -> str:
    return (key.removesuffix(_BODY) or "value") if key.endswith(_BODY) else key


def _whole(entry: Entry, key: str, value: Any, body: Callable[[str], str]) -> Any:
    if key.endswith(_BODY) or (entry.kind == "sent" and key in _TEXTS):
        return json.loads(body(value))
    if entry.kind == "sent" and key == "messages" and value is not None:
        return {"id": value, **json.loads(body(value))}
    return value


def in_words(entry: Entry, body: Callable[[str], str]) -> str:
    """One entry as a line that people read."""
    data = entry_json(entry, body)["data"]
    said = _WORDS.get(entry.kind)
    what = str(entry.kind) if said is None else said(data)
    return f"{entry.step} {what}" if entry.step else what


def _called(data: Mapping[str, Any]) -> str:
    args, kwargs = data.get("args", ((), {}))
    kind = data.get("kind", "python")
    after = f", takes {', '.join(data['in'])}" if data.get("in") else ""
    if kind == "llm":  # its arguments are the conversation, which the next line tells
        return f"called as llm step{after}"
    if kind == "agent":  # its context, by which it is compared, comes first
        parts = readable(args[1]) if len(args) > 1 else []
        args = parts if isinstance(parts, list) else [parts]
    given = [readable_text(value) for value in args] + [
        f"{name}={readable_text(value)}" for name, value in kwargs.items()
    ]
    return f"called as {kind} step ({', '.join(given)}){after}"


def _sent(data: Mapping[str, Any]) -> str:
    count = data.get("count", 0)
    messages = data.get("messages") or {}
    last = messages["more"][-1]["content"] if messages.get("more") else ""
    return f"sent {count} message{'' if count == 1 else 's'} to {data['model']}: {last}"


def _ended(data: Mapping[str, Any]) -> str:
    status = str(data["status"])
    if "error" in data:
        return f"{status}: {data['error']}"
    if "because" in data:
        return f"{status} because of {data['because']}"
    if "unstorable" in data:
        return f"{status}: {data['unstorable']}, which cannot be kept"
    return f"{status}: {_result(data['value'])}" if data.get("value") is not None else status


def _result(value: Any) -> str:
    """A result; of a model turn, which holds what was said, what it wishes to call or the value it came to."""
    plain = readable(value)
    told = next((name for name in ("more", "said") if isinstance(plain, dict) and name in plain), None)
    if told is None or "value" not in plain or not isinstance(plain[told], list):
        return readable_text(value)
    last = [one for one in plain[told][-1:] if isinstance(one, dict)]
    wishes = [call for message in last for call in message.get("tool_calls", ())]
    if wishes:
        return "calls " + ", ".join(f"{one['name']} {one['arguments']}" for one in wishes)
    return plain["value"] if isinstance(plain["value"], str) else json.dumps(plain["value"], ensure_ascii=False)


def _begun(data: Mapping[str, Any]) -> str:
    return "begun" if "attempt" not in data else f"begun, attempt {data['attempt']}"


def _resumed(data: Mapping[str, Any]) -> str:
    return f"resumed {datetime.fromtimestamp(data['wall'], UTC).isoformat(timespec='seconds')}"


def _answered(data: Mapping[str, Any]) -> str:
    by = f" by {data['by']}" if data.get("by") else ""
    return f"answered{by}, but: {data['problem']}" if data.get("problem") else f"answered{by}"


def _edited(data: Mapping[str, Any]) -> str:
    if "refused" in data:
        return f"an edit of the graph was refused: {'; '.join(data['refused'])}"
    told = ", ".join(f"{change} {step}" for change, step, _ in data["changes"]) or "nothing"
    return f"{'edited from outside' if 'document' in data else 'edited'}: {told}"


_WORDS: Final[dict[str, Callable[[Any], str]]] = {
    "called": _called,
    "begun": _begun,
    "sent": _sent,
    "asked": lambda data: f"asks: {data['question']['text']}",
    "answered": _answered,
    "text": lambda data: f"says: {data}",
    "retried": lambda data: f"failed, again in {data['delay']:.3g} s: {data['error']}",
    "ended": _ended,
    "edited": _edited,
    "resumed": _resumed,
    "over": lambda data: f"run {_ended(data)}",
}
