"""What happens when an agent is asked: one model turn, or a loop of turns and tool calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from agentrt.errors import OutputError, ToolError, TurnLimit
from agentrt.runtime import Handle, Prompt, StepSpec, brief, call, owner
from agentrt.sdk.output import Output
from agentrt.sdk.text import prompt, to_text
from agentrt.sdk.tools import Tool
from agentrt.store.codec import digest, show
from agentrt.types import CacheControl, Message, ModelReply, ModelRequest, Sampling, SessionId, ToolCall, ToolChoice

ToolUse = Literal["auto", "first", "once"]
"""``auto``: the model calls tools as it likes; ``first``: it must in its first turn; ``once``: only in its first."""

_CHOICES: Final[Mapping[ToolUse, tuple[ToolChoice, ToolChoice]]] = {
    "auto": ("auto", "auto"),
    "first": ("required", "auto"),
    "once": ("required", "none"),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """An agent's definition, apart from how its steps are run."""

    name: str
    system: str
    tools: Mapping[str, Tool[..., Any]]
    tool_use: ToolUse
    parallel_tools: bool
    model: str
    max_turns: int
    output_retries: int
    sampling: Sampling
    output: Output
    cache: CacheControl


class Context:
    """What was said so far between one agent and its callers. Only finished turns are in it."""

    __slots__ = ("said", "session")

    def __init__(self, said: tuple[Message, ...], session: SessionId) -> None:
        self.said = said
        self.session = session

    def __journal__(self) -> str:
        return _gist(self.said)


class Turn:
    """The input of one model turn; opaque, so that nobody searches it for handles."""

    __slots__ = ("choice", "messages", "session")

    def __init__(self, messages: tuple[Message, ...], session: SessionId, choice: ToolChoice) -> None:
        self.messages = messages
        self.session = session
        self.choice = choice

    def __journal__(self) -> str:
        return _gist(self.messages)


@dataclass(frozen=True, slots=True)
class Said:
    """What one call of an agent came to: what was said in it, all that a journal has to keep, and its value."""

    more: tuple[Message, ...]
    value: Any


def grown(said: Said, context: Context, *_: object) -> Any:
    """The value of an agent's call: the context grows by it."""
    context.said = (*context.said, *said.more)
    return said.value


@dataclass(frozen=True, slots=True)
class Answer:
    """The output of one model turn: what was said, and its value unless it asks for tools."""

    said: tuple[Message, ...]
    calls: tuple[ToolCall, ...]
    value: Any


def _gist(said: tuple[Message, ...]) -> str:
    """What a context is known by in a journal, which has the messages themselves where they were said."""
    return f"{len(said)} messages {digest(show(said))}"


def opening(settings: Settings) -> tuple[Message, ...]:
    """The fixed prompt."""
    return (Message("system", settings.system),) if settings.system else ()


def prompt_of(settings: Settings) -> Prompt:
    """What every conversation of the agent starts with, as the engine is told of it."""
    tools = tuple(one.told for one in settings.tools.values())
    return Prompt(settings.name, settings.model, opening(settings), tools)


def single(settings: Settings) -> Callable[[Context, tuple[Any, ...]], Awaitable[Any]]:
    """The body of an agent without tools: one turn, and the context grows by it."""

    async def body(context: Context, parts: tuple[Any, ...]) -> Any:
        said = (*context.said, Message("user", prompt(parts)))
        answer = await take_turn(settings, Turn(said, context.session, "none"))
        return Said((said[-1], *answer.said), answer.value)

    return body


def loop(settings: Settings, turn: StepSpec) -> Callable[[Context, tuple[Any, ...]], Awaitable[Any]]:
    """The body of an agent with tools: turns, and the tools they ask for side by side, until there is an answer."""
    first, later = _CHOICES[settings.tool_use]

    async def body(context: Context, parts: tuple[Any, ...]) -> Any:
        said = (*context.said, Message("user", prompt(parts)))
        for number in range(settings.max_turns):
            choice = later if number else first
            asked = call(turn, (Turn(said, context.session, choice),), {}, depth=0)
            asked.node.session = context.session
            answer: Answer = await asked
            said = (*said, *answer.said)
            if not answer.calls:
                return Said(said[len(context.said) :], answer.value)
            said = (*said, *await _use_tools(settings, answer.calls, context.session))
        raise TurnLimit(
            f"agent {settings.name!r} still called tools after {settings.max_turns} turns, last "
            f"{', '.join(one.name for one in answer.calls)}; raise max_turns, or say in its prompt when to stop"
        )

    return body


def turn_body(settings: Settings) -> Callable[[Turn], Awaitable[Answer]]:
    """The body of one turn inside a loop."""

    async def body(turn: Turn) -> Answer:
        return await take_turn(settings, turn)

    return body


async def take_turn(settings: Settings, turn: Turn) -> Answer:
    """Ask the model, again if need be, until the reply asks for tools or fits the output type."""
    said: tuple[Message, ...] = ()
    problem = ""
    reply = ModelReply("")
    for attempt in range(settings.output_retries + 1):
        reply = await _ask(settings, turn, said, strict=attempt > 0)
        if reply.tool_calls:
            return Answer((Message("assistant", reply.text, reply.tool_calls),), reply.tool_calls, None)
        try:
            value = settings.output.parse(reply.text)
        except ValueError as error:
            problem = str(error)
            said = (Message("assistant", reply.text), Message("user", _correction(problem)))
        else:
            return Answer((Message("assistant", reply.text),), (), value)
    raise OutputError(_misfit(settings, reply, problem), reply=reply.text)


async def _ask(settings: Settings, turn: Turn, more: tuple[Message, ...], *, strict: bool) -> ModelReply:
    handle = owner.get()
    choice: ToolChoice = "none" if strict else turn.choice
    request = ModelRequest(
        messages=(*turn.messages, *more),
        agent=settings.name,
        run=handle.run.id,
        step=handle.id,
        session=turn.session,
        tools=tuple(one.told for one in settings.tools.values()),
        tool_choice=choice,
        parallel_tools=settings.parallel_tools,
        # A grammar for the answer would keep the model from calling tools, so it waits until they are out of the way.
        schema=settings.output.schema if choice == "none" else None,
        sampling=settings.sampling,
        priority=handle.spec.priority,
        tenant=handle.run.runtime.tenant,
        cache=settings.cache,
    )
    reply = await handle.run.runtime.ask(settings.model, request, handle)
    handle.spend(reply.usage)
    return reply


async def _use_tools(settings: Settings, calls: tuple[ToolCall, ...], session: SessionId) -> list[Message]:
    """Start all the calls, then wait for each; what goes wrong is told to the model, which may do better."""
    started = [_start(settings, one, session) for one in calls]
    return [
        Message("tool", await _outcome(one), tool_call_id=asked.id) for asked, one in zip(calls, started, strict=True)
    ]


def _start(settings: Settings, asked: ToolCall, session: SessionId) -> Handle[Any] | ToolError:
    known = settings.tools.get(asked.name)
    if known is None:
        return ToolError(f"there is no tool {asked.name!r}; there are: {', '.join(settings.tools)}")
    try:
        started = known.call_json(asked.arguments)
    except ToolError as error:
        return error
    started.node.session = session
    return started


async def _outcome(started: Handle[Any] | ToolError) -> str:
    if isinstance(started, ToolError):
        return f"error: {started}"
    try:
        return to_text(await started)
    except Exception as error:  # noqa: BLE001 - a tool may raise anything; the model is told
        return f"error: {brief(error)}"


def _correction(problem: str) -> str:
    return f"That does not fit the expected JSON: {problem}. Reply again, with the JSON only."


def _misfit(settings: Settings, reply: ModelReply, problem: str) -> str:
    cut = (
        f" It was cut off after {reply.usage.completion} tokens; raise max_tokens." if reply.finish == "length" else ""
    )
    kind = getattr(settings.output.kind, "__name__", repr(settings.output.kind))
    asked = settings.output_retries + 1
    return (
        f"agent {settings.name!r}: the reply is no {kind} after {asked} attempts: {problem}.{cut} "
        f"Its last reply: {reply.text!r}"
    )
