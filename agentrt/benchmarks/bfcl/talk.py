"""A growing context that a program keeps by itself: messages of any role, and tools that may become more."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final, Self

from agentrt.runtime import MODEL_LANE, Handle, Prompt, StepSpec, call, owner, passing
from agentrt.sdk.agents import end_session
from agentrt.store.codec import digest, show
from agentrt.types import Message, ModelReply, ModelRequest, Sampling, SessionId, ToolSpec

MODEL: Final = "default"
"""The runtime's executor that answers."""


class Ask:
    """The input of one model turn; opaque, so that nobody searches it for handles."""

    __slots__ = ("agent", "messages", "sampling", "session", "tools")

    def __init__(
        self,
        agent: str,
        messages: tuple[Message, ...],
        tools: tuple[ToolSpec, ...],
        session: SessionId,
        sampling: Sampling,
    ) -> None:
        self.agent = agent
        self.messages = messages
        self.tools = tools
        self.session = session
        self.sampling = sampling

    def __journal__(self) -> str:
        return f"{len(self.messages)} messages {digest(show(self.messages))}, {len(self.tools)} tools"


@dataclass(frozen=True, slots=True)
class Said:
    """A reply, and how many seconds it took."""

    reply: ModelReply
    seconds: float


class Talk:
    """One context of the running program, which the engine is told of until the ``with`` block ends.

    ``opening`` and ``tools`` are what it will start with; nothing is said before ``hear``, no tool offered before
    ``offer``.
    """

    def __init__(
        self, agent: str, opening: tuple[Message, ...], tools: tuple[ToolSpec, ...], sampling: Sampling
    ) -> None:
        self._agent = agent
        self._sampling = sampling
        self._run = owner.get().run
        self.said: tuple[Message, ...] = ()
        self.tools: tuple[ToolSpec, ...] = ()
        self.session = SessionId(f"{self._run.id}/{agent}~{next(self._run.sessions)}")
        if self._run.contexts is not None:
            fixed = tuple(one for one in opening[:1] if one.role == "system")
            self._run.contexts.opened(self.session, Prompt(agent, MODEL, fixed, tools))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        end_session(self._run, self.session)

    def hear(self, *messages: Message) -> None:
        """The context grows by these."""
        self.said = (*self.said, *messages)

    def offer(self, *tools: ToolSpec) -> None:
        """These can be called from here on too."""
        self.tools = (*self.tools, *tools)

    async def ask(self) -> Said:
        """The model's next reply, which is not taken into the context: a step."""
        said: Said = await self.step(_TURN, Ask(self._agent, self.said, self.tools, self.session, self._sampling))
        return said

    def step(self, spec: StepSpec, *given: Any) -> Handle[Any]:
        """A step that belongs to the context."""
        handle = call(spec, given, {}, depth=0)
        handle.node.session = self.session
        return handle


async def _turn(ask: Ask) -> Said:
    handle = owner.get()
    request = ModelRequest(
        messages=ask.messages,
        agent=ask.agent,
        run=handle.run.id,
        step=handle.id,
        session=ask.session,
        tools=ask.tools,
        sampling=ask.sampling,
        priority=handle.spec.priority,
        tenant=handle.run.runtime.tenant,
    )
    began = time.perf_counter()
    reply = await handle.run.runtime.ask(MODEL, request, handle)
    handle.spend(reply.usage)
    return Said(reply, time.perf_counter() - began)


_TURN: Final = StepSpec("turn", "llm", _turn, MODEL_LANE + MODEL, retries=2, retry_on=passing)
