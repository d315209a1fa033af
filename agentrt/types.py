"""The words every part shares: identifiers, states, and what travels to and from an executor.

Everything here is frozen data and needs only the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NewType, TypeAlias

RunId = NewType("RunId", str)
"""One execution of one program."""

StepId = NewType("StepId", str)
"""One node of a run's step graph: the path of enclosing steps, each ``name#count``: ``research#1/search#2``."""

SessionId = NewType("SessionId", str)
"""One growing context of one agent in one run; SGLang's ``session_id``."""

StepKind: TypeAlias = Literal["llm", "tool", "python", "question", "agent", "program", "join"]
"""What a node does: one model turn, one tool call, one plain Python step, one question to a person; an agent loop or a
sub-program, which hold steps of their own; or a join, which only gathers edges and takes no time."""

StepStatus: TypeAlias = Literal["pending", "ready", "running", "done", "failed", "skipped", "cancelled"]
"""pending: inputs missing; ready: waiting for a free place; skipped: never started, because an input failed."""

FINISHED: Final[frozenset[StepStatus]] = frozenset({"done", "failed", "skipped", "cancelled"})
"""What a step's status never changes from again."""

RunStatus: TypeAlias = Literal["running", "waiting", "done", "failed", "cancelled"]
"""waiting: put aside until a person answers; it goes on when it is resumed."""

JsonSchema: TypeAlias = Mapping[str, Any]
"""A JSON schema as parsed JSON."""

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ToolChoice: TypeAlias = Literal["auto", "required", "none"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one or more model turns: ``prompt`` includes the ``cached`` ones."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt + other.prompt, self.cached + other.cached, self.completion + other.completion)

    def __sub__(self, other: Usage) -> Usage:
        return Usage(self.prompt - other.prompt, self.cached - other.cached, self.completion - other.completion)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool. ``arguments`` is the JSON text as the model wrote it, valid or not."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a context. ``tool_call_id`` names the call that a message of role ``tool`` answers."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """What a model is told of a tool."""

    name: str
    description: str
    parameters: JsonSchema


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn; ``None`` leaves the choice to the server. ``max_tokens`` bounds the reply."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


Scope: TypeAlias = Literal["user", "tenant", "global"]
"""Who may be given an answer that was made for somebody: the same user, the same tenant, everybody."""


@dataclass(frozen=True, slots=True)
class CacheControl:
    """What a request says of answers that are there already; it never changes what a model says.

    ``category`` names the rules, empty has them found. ``read=False`` asks the model in any case; ``write=False`` keeps
    nothing. ``max_age`` is in seconds. ``state=True`` allows it for a turn with tools or history. ``user`` is who asks,
    for answers that are nobody else's business. ``tags`` are what the answer can be thrown out by.
    """

    category: str = ""
    read: bool = True
    write: bool = True
    max_age: float | None = None
    state: bool = False
    user: str = field(default="", repr=False)
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FromCache:
    """Where a reply came from that no model was asked for.

    ``cosine`` is 1 for an equal request. ``bound`` is the share of wrong hits that is promised with ``confidence``;
    ``relaxed`` says why more was allowed than usual. ``age`` is in seconds, ``question`` what was asked then.
    """

    answer: int
    category: str
    exact: bool
    cosine: float
    score: float
    bound: float
    confidence: float
    age: float
    question: str
    relaxed: str = ""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One model turn.

    ``parallel_tools`` allows several tool calls in one reply. ``schema`` asks for a reply that is JSON of that schema.
    ``session`` names the growing context this turn belongs to. ``priority``: larger is sooner. ``agent``, ``run`` and
    ``step`` say who asks; they never change the reply. ``tenant`` keeps cached prefixes of different owners apart: who
    does not know it can neither use nor probe what was cached under it.
    """

    messages: tuple[Message, ...]
    agent: str = ""
    run: str = ""
    step: str = ""
    session: str | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tools: bool = True
    schema: JsonSchema | None = None
    sampling: Sampling = Sampling()
    priority: int = 0
    tenant: str = field(default="", repr=False)
    cache: CacheControl = CacheControl()


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What the model said. ``model`` is the server's name of the model that said it; ``source`` is where it came from
    when it was said before."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: FinishReason = "stop"
    usage: Usage = Usage()
    model: str = ""
    source: FromCache | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a program's source, for messages: ``report.py:12``."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"
