"""The chat-completions protocol as plain data: a request to its JSON body, streamed chunks to a reply.

Pure: nothing here sends or waits. Field names are those of OpenAI's chat API, which SGLang and others share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentrt.errors import AgentrtError
from agentrt.executors.base import Emit
from agentrt.executors.failures import refusal
from agentrt.executors.tool_calls import find_tool_calls
from agentrt.types import FinishReason, Message, ModelReply, ModelRequest, ToolCall, ToolSpec, Usage

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}


def chat_body(request: ModelRequest, model: str) -> dict[str, Any]:
    """The JSON body that asks for this turn, streamed, with token counts at the end."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [chat_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.tools:
        body["tools"] = [chat_tool(tool) for tool in request.tools]
        body["tool_choice"] = request.tool_choice
        if not request.parallel_tools:
            body["parallel_tool_calls"] = False
    if request.schema is not None:
        schema = {"name": schema_name(request.schema.get("title")), "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    sampling = request.sampling
    for key in ("max_tokens", "temperature", "top_p", "seed"):
        if (value := getattr(sampling, key)) is not None:
            body[key] = value
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    return body


def chat_message(message: Message) -> dict[str, Any]:
    """One message in the wire's shape."""
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def chat_tool(tool: ToolSpec) -> dict[str, Any]:
    """One tool in the wire's shape."""
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


def schema_name(title: object) -> str:
    """A name that servers accept (letters, digits, ``_`` and ``-``, at most 64) for a schema of this title."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in str(title or "reply"))
    return kept[:64]


def call_prefix(request: ModelRequest) -> str:
    """Starts the ids of calls whose server gave none: different for every turn of a growing context."""
    return f"call_{len(request.messages)}"


class _PartialCall:
    """A tool call while its pieces arrive."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def add(self, delta: dict[str, Any]) -> None:
        function = delta.get("function") or {}
        self.id = self.id or delta.get("id") or ""
        self.name = self.name or function.get("name") or ""
        self.arguments.append(function.get("arguments") or "")


class ChatAssembler:
    """Folds the chunks of one streamed answer into a reply."""

    def __init__(self, request: ModelRequest, name: str, emit: Emit) -> None:
        self._request = request
        self._name = name
        self._emit = emit
        self._pieces: list[str] = []
        self._calls: dict[int, _PartialCall] = {}
        self._finish: str | None = None
        self._usage = Usage()
        self._model = ""

    @property
    def finished(self) -> bool:
        """Whether the server has said why the reply ended."""
        return self._finish is not None

    def add(self, chunk: dict[str, Any]) -> None:
        """Take one chunk. Raises what ``refusal`` makes of an error sent in the middle of the stream."""
        if error := chunk.get("error"):
            raise stream_error(self._name, error)
        self._model = chunk.get("model") or self._model
        if usage := chunk.get("usage"):
            self._usage = read_usage(usage)
        for choice in chunk.get("choices") or ():
            self._add_choice(choice)

    def _add_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or choice.get("message") or {}
        if text := delta.get("content"):
            self._pieces.append(text)
            self._emit(text)
        for call in delta.get("tool_calls") or ():
            if not self._calls:
                self._emit("")  # the reply has begun, and may have no text
            self._call_for(call).add(call)
        self._finish = choice.get("finish_reason") or self._finish

    def _call_for(self, delta: dict[str, Any]) -> _PartialCall:
        """The call a piece belongs to. Without an index, a piece with a name starts the next call."""
        index = delta.get("index")
        if index is None:
            named = bool((delta.get("function") or {}).get("name"))
            index = len(self._calls) if named or not self._calls else max(self._calls)
        return self._calls.setdefault(index, _PartialCall())

    def reply(self) -> ModelReply:
        """The whole reply; called when the stream has ended."""
        text = joined(self._pieces)
        if self._finish not in _FINISHES:
            raise stream_error(self._name, {"message": f"generation ended by {self._finish!r}", "code": 500})
        calls = self._read_calls()
        finish = _FINISHES[self._finish]
        if calls and finish == "stop":
            finish = "tool_calls"
        reply = ModelReply(text, calls, finish, self._usage, self._model)
        return reply if calls else with_text_calls(reply, self._request)

    def _read_calls(self) -> tuple[ToolCall, ...]:
        prefix = call_prefix(self._request)
        return tuple(
            ToolCall(call.id or f"{prefix}_{index}", call.name, joined(call.arguments))
            for index, call in sorted(self._calls.items())
        )


def joined(pieces: Sequence[str]) -> str:
    """The pieces of a reply in one: halves of a character that came one by one are one, and a half alone is none, which
    no request could send back."""
    return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def with_text_calls(reply: ModelReply, request: ModelRequest) -> ModelReply:
    """The reply with the calls its text spells out, when tools were offered; else the reply as it is.

    A reply that ran out of tokens still ends by ``length``: there may have been more calls.
    """
    if not request.tools or request.tool_choice == "none":
        return reply
    names = {tool.name for tool in request.tools}
    bare, cut = request.schema is None, reply.finish == "length"
    text, calls = find_tool_calls(reply.text, names, prefix=call_prefix(request), bare=bare, cut=cut)
    if not calls:
        return reply
    return ModelReply(text, calls, reply.finish if cut else "tool_calls", reply.usage, reply.model)


def read_usage(usage: dict[str, Any]) -> Usage:
    """Token counts in OpenAI's shape. Counts a server leaves out are 0."""
    details = usage.get("prompt_tokens_details") or {}
    cached = details.get("cached_tokens") or 0
    return Usage(usage.get("prompt_tokens") or 0, cached, usage.get("completion_tokens") or 0)


def stream_error(name: str, error: Any) -> AgentrtError:
    """The error for a failure told inside a stream that had begun with status 200."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    said = error.get("message") if isinstance(error, dict) else None
    return refusal(name, status, said or str(error))
