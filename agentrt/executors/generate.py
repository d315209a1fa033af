"""SGLang's own ``/generate`` as plain data: a request to its JSON body, streamed events to a reply. Pure.

Field names as in SGLang 0.5.23 (``GenerateReqInput``, ``SamplingParams``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from agentrt.executors.base import Emit
from agentrt.executors.chat import joined, stream_error, with_text_calls
from agentrt.types import FinishReason, JsonSchema, ModelReply, ModelRequest, ToolSpec, Usage


def generate_body(request: ModelRequest, tokens: Sequence[int]) -> dict[str, Any]:
    """The JSON body that continues the prompt ``tokens``, streamed."""
    return {"input_ids": list(tokens), "sampling_params": sampling_params(request), "stream": True}


def sampling_params(request: ModelRequest) -> dict[str, Any]:
    """How to draw the reply. Without ``max_tokens`` it may fill the context, as on the chat endpoint."""
    sampling = request.sampling
    drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "sampling_seed": sampling.seed}
    params: dict[str, Any] = {key: value for key, value in drawn.items() if value is not None}
    params["max_new_tokens"] = sampling.max_tokens
    if sampling.stop:
        params["stop"] = list(sampling.stop)
    if (schema := _wanted_schema(request)) is not None:
        params["json_schema"] = json.dumps(schema)
    return params


def _wanted_schema(request: ModelRequest) -> JsonSchema | None:
    if request.tools and request.tool_choice == "required":
        return calls_schema(request.tools)
    return request.schema


def calls_schema(tools: Sequence[ToolSpec]) -> JsonSchema:
    """The schema of a list of calls of these tools, for servers that are told to call by schema alone."""
    shared: dict[str, Any] = {}
    options = []
    for tool in tools:
        parameters = dict(tool.parameters)
        shared |= parameters.pop("$defs", {})  # references point to the top of the whole schema
        properties = {"name": {"const": tool.name}, "arguments": parameters}
        options.append({"type": "object", "properties": properties, "required": ["name", "arguments"]})
    schema: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"anyOf": options}}
    return {**schema, "$defs": shared} if shared else schema


class GenerateAssembler:
    """Folds the events of one streamed ``/generate`` answer into a reply.

    ``incremental`` says that each event holds new text only; else each holds all the text so far.
    """

    def __init__(self, request: ModelRequest, name: str, emit: Emit, *, model: str, incremental: bool) -> None:
        self._request = request
        self._name = name
        self._emit = emit
        self._model = model
        self._incremental = incremental
        self._pieces: list[str] = []
        self._length = 0
        self._finish: FinishReason | None = None
        self._usage = Usage()

    @property
    def finished(self) -> bool:
        """Whether the server has said why the reply ended."""
        return self._finish is not None

    def add(self, event: dict[str, Any]) -> None:
        """Take one event. Raises what ``refusal`` makes of an error sent in the middle of the stream."""
        if error := event.get("error"):
            raise stream_error(self._name, error)
        self._add_text(event.get("text") or "")
        meta = event.get("meta_info") or {}
        self._usage = _usage(meta)
        if finish := meta.get("finish_reason"):
            self._finish = self._read_finish(finish)

    def _add_text(self, text: str) -> None:
        new = text if self._incremental else text[self._length :]
        if new:
            self._pieces.append(new)
            self._length += len(new)
            self._emit(new)

    def _read_finish(self, finish: dict[str, Any]) -> FinishReason:
        match finish.get("type"):
            case "stop":
                return "stop"
            case "length":
                return "length"
            case other:
                said = finish.get("message") or f"generation ended by {other!r}"
                raise stream_error(self._name, {"message": said, "code": finish.get("status_code")})

    def reply(self) -> ModelReply:
        """The whole reply; called when the stream has ended."""
        reply = ModelReply(joined(self._pieces), (), self._finish or "stop", self._usage, self._model)
        return with_text_calls(reply, self._request)


def _usage(meta: dict[str, Any]) -> Usage:
    return Usage(meta.get("prompt_tokens") or 0, meta.get("cached_tokens") or 0, meta.get("completion_tokens") or 0)
