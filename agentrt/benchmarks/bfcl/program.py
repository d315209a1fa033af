"""The agent that BFCL's entries are given to: the loop of the official handlers, as an agentrt program.

An entry whose calls are only compared is one model turn. One whose calls are executed is a conversation: in each of
the user's turns the model is asked until it calls nothing more, or too often; its calls run one after the other, each a
tool step, in a process of the official package that belongs to the entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agentrt.benchmarks.bfcl.calls import split
from agentrt.benchmarks.bfcl.official import Asked, Kind, Official, Task
from agentrt.benchmarks.bfcl.talk import Said, Talk
from agentrt.runtime import StepSpec
from agentrt.sdk import program
from agentrt.sdk.steps import Program
from agentrt.store.codec import digest, show
from agentrt.types import Message, ModelReply, Sampling

NAME: Final = "bfcl"
_UNNAMED: Final = "call"


@dataclass(frozen=True, slots=True)
class Settings:
    """How entries are worked on. ``steps`` is how often one turn of the user's may lead to calls."""

    kind: Kind
    sampling: Sampling
    steps: int


class Before:
    """The calls before one call, which its process must have made; opaque, so that nobody searches it for handles."""

    __slots__ = ("calls",)

    def __init__(self, calls: tuple[str, ...]) -> None:
        self.calls = calls

    def __journal__(self) -> str:
        return f"after {len(self.calls)} calls {digest(show(self.calls))}"


@dataclass(slots=True)
class Turn:
    """What the official result files have of one turn of the user's: of each reply what it was, its tokens in and out,
    and the seconds that it took."""

    result: list[Any] = field(default_factory=list)
    prompt: list[int] = field(default_factory=list)
    completion: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, result: Any, said: Said) -> None:
        """One more reply."""
        self.result.append(result)
        self.prompt.append(said.reply.usage.prompt)
        self.completion.append(said.reply.usage.completion)
        self.seconds.append(said.seconds)


def entry_program(
    tasks: Mapping[str, Task], hands: Callable[[], Official], settings: Settings
) -> Program[[Mapping[str, Any]], dict[str, Any]]:
    """The program for entries ``{"entry": ID}``; ``hands`` makes the process in which one entry's calls run."""

    @program(name=NAME)
    async def bfcl(data: Mapping[str, Any]) -> dict[str, Any]:
        task = tasks[data["entry"]]
        with Talk(NAME, task.turns[0].messages, task.turns[0].tools, settings.sampling) as talk:
            if task.scenario is None:
                return await _single(talk, task, settings)
            async with hands() as official:
                return await _Conversation(talk, task.scenario, official, settings).held(task.turns)

    return bfcl


async def _single(talk: Talk, task: Task, settings: Settings) -> dict[str, Any]:
    """One reply, which is the result."""
    (asked,) = task.turns
    talk.hear(*asked.messages)
    talk.offer(*asked.tools)
    said = await talk.ask()
    turn = Turn()
    turn.add(_result(said.reply, settings.kind), said)
    return _line(turn.result[0], turn.prompt[0], turn.completion[0], turn.seconds[0])


class _Conversation:
    """A conversation whose calls are executed."""

    def __init__(self, talk: Talk, scenario: Mapping[str, Any], official: Official, settings: Settings) -> None:
        self._talk = talk
        self._scenario = scenario
        self._official = official
        self._settings = settings
        self._made: tuple[str, ...] = ()

    async def held(self, asked: tuple[Asked, ...]) -> dict[str, Any]:
        """Its result: the replies of each turn; of fewer turns when the model did not stop calling."""
        turns: list[Turn] = []
        for one in asked:
            self._talk.hear(*one.messages)
            self._talk.offer(*one.tools)
            turns.append(Turn())
            if not await self._answered(turns[-1]):
                break
        return _line(
            [one.result for one in turns],
            [one.prompt for one in turns],
            [one.completion for one in turns],
            [one.seconds for one in turns],
        )

    async def _answered(self, turn: Turn) -> bool:
        """Whether the model came to an end of calling."""
        for _ in range(self._settings.steps + 1):
            said = await self._talk.ask()
            result = _result(said.reply, self._settings.kind)
            turn.add(result, said)
            calls = await self._official.decode(result)
            ids = self._take_in(said.reply, executed=bool(calls))
            if not calls:
                return True
            results = [await self._execute(one) for one in calls]
            self._talk.hear(*self._told(calls, results, ids))
        return False

    def _take_in(self, reply: ModelReply, *, executed: bool) -> list[str]:
        """The reply becomes part of the context; the ids of its calls. Calls that cannot be executed stay words."""
        if self._settings.kind == "prompting":
            self._talk.hear(Message("assistant", reply.text))
            return []
        text, calls = split(reply, f"call_{len(self._talk.said)}")
        if executed:
            self._talk.hear(Message("assistant", text, calls))
            return [one.id for one in calls]
        spelt = "\n".join(f"{one.name} {one.arguments}" for one in reply.tool_calls)
        self._talk.hear(Message("assistant", reply.text or spelt))
        return []

    def _told(self, calls: list[str], results: list[str], ids: list[str]) -> list[Message]:
        """The results as the model is told of them."""
        if self._settings.kind == "fc":
            return [Message("tool", result, tool_call_id=one) for result, one in zip(results, ids, strict=True)]
        told = [{"role": "tool", "name": one, "content": result} for one, result in zip(calls, results, strict=True)]
        return [Message("user", repr(told))]  # the official handlers' words

    async def _execute(self, made: str) -> str:
        """Make a call: a tool step. One that was broken off may run again, in a process that starts from the first."""
        name = made.partition("(")[0].strip()
        spec = StepSpec(name if name.isidentifier() else _UNNAMED, "tool", self._body, lane="tool", idempotent=True)
        result: str = await self._talk.step(spec, made, Before(self._made))
        self._made = (*self._made, made)
        return result

    async def _body(self, made: str, before: Before) -> str:
        return await self._official.execute(self._scenario, before.calls, made)


def _result(reply: ModelReply, kind: Kind) -> Any:
    """A reply as the official handlers write it down: its calls with their arguments as text, or its words."""
    if kind == "prompting":
        return reply.text
    text, calls = split(reply)
    return [{one.name: one.arguments} for one in calls] if calls else text


def _line(result: Any, prompt: Any, completion: Any, seconds: Any) -> dict[str, Any]:
    return {"result": result, "input_token_count": prompt, "output_token_count": completion, "latency": seconds}
