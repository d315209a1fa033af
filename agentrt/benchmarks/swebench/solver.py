"""The agent program: explore, change, test, submit.

The context is never rewritten, so that its beginning stays in the engine's KV cache: outputs are cut to size when they
are made, and when the window or the turns of a conversation are used up, a new conversation begins with the same first
messages, the changes so far and a line for each of the last calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from agentrt.benchmarks.swebench.instances import Instance
from agentrt.benchmarks.swebench.local import Local
from agentrt.benchmarks.swebench.texts import shortened
from agentrt.benchmarks.swebench.workbench import WORKING, Workbench
from agentrt.errors import PromptTooLong, TurnLimit
from agentrt.sdk.agents import Agent, Session
from agentrt.sdk.steps import Program, program
from agentrt.sdk.tools import Tool, tool
from agentrt.sdk.turns import ToolUse

SYSTEM: Final = """\
You repair a bug in a Python repository. The repository is the current folder; you have no network and nobody to ask.

Work like this:
1. Find the code that the issue is about: search, read.
2. Reproduce the bug with a short script: bash.
3. Change the source so that the issue is solved: edit or edit_lines. Do not change tests.
4. Run your script again, and the tests near the change.
5. Call submit.

Call one tool in each reply and wait for its result."""

NUDGE: Final = "You called no tool. Call one: go on with the work, or call submit if the issue is solved."

_NUDGES: Final = 2
_CHARACTERS: Final = 3
"""Characters a token has at least in code and English, roughly; it only matters that outputs fit."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much an agent may do.

    ``turns`` model turns in all, ``together`` of them in one conversation, each reply of at most ``reply`` tokens;
    commands of ``command_s`` seconds. ``window`` is the model's context in tokens. With ``tool_use`` as ``"first"`` the
    model must call a tool in the first turn, and after each reminder.
    """

    turns: int = 40
    together: int = 20
    reply: int = 1_024
    window: int = 32_768
    command_s: float = 120.0
    seed: int = 0
    temperature: float = 0.0
    tool_use: ToolUse = "auto"

    @property
    def shown(self) -> int:
        """Characters that are shown of one output: a tenth of the window."""
        return max(600, min(10_000, self.window * _CHARACTERS // 10))

    @property
    def tokens(self) -> int:
        """Tokens of one reply: never more than an eighth of the window."""
        return max(64, min(self.reply, self.window // 8))

    def told(self, issue: str) -> str:
        """As much of an issue as fits: a quarter of the window."""
        return shortened(issue, self.window * _CHARACTERS // 4)


def solver(instances: Mapping[str, Instance], local: Local, effort: Effort) -> Program[..., Any]:
    """The program that works on an instance: ``{"patch": ..., "submitted": ..., "calls": [...]}``."""

    prepared = work_tree(instances, local)

    @program(name="solve")
    async def solve(entry: dict[str, Any]) -> dict[str, Any]:
        instance = instances[entry["instance"]]
        await prepared(instance.id)
        place = local.where(instance, WORKING)
        async with Workbench(place, most=effort.shown, within=effort.command_s) as bench:
            return await _conversations(bench, effort, _task(effort.told(instance.problem)))

    return solve


def work_tree(instances: Mapping[str, Instance], local: Local) -> Tool[[str], str]:
    """The step that makes the work tree of an instance, or finds it: its folder."""

    @tool(idempotent=True)
    async def work_tree(name: str) -> str:
        """Make the work tree of an instance, or find it."""
        place = await local.place(instances[name], WORKING)
        return str(place.tree)

    return work_tree


async def _conversations(bench: Workbench, effort: Effort, task: str) -> dict[str, Any]:
    """Talk until it is submitted or the turns are used up; what ``look`` says then."""
    left, more, state = effort.turns, "", _NOTHING
    while True:
        state, taken = await _conversation(bench, effort, min(effort.together, left), task + more, state)
        left -= taken
        if state["submitted"] or left <= 0:
            return state
        more = _handover(state, effort.shown)


_NOTHING: Final[dict[str, Any]] = {"submitted": False, "patch": "", "calls": []}


async def _conversation(
    bench: Workbench, effort: Effort, turns: int, said: str, before: Mapping[str, Any]
) -> tuple[dict[str, Any], int]:
    """One conversation, with reminders where the model stops too early; the state then, and the turns it took.

    How many a conversation took whose window is full is only known by its calls: it counts as half of them at least.
    """
    async with _agent(bench, effort, turns).session() as chat:
        for attempt in range(_NUDGES + 1):
            end = await _asked(chat, said if attempt == 0 else NUDGE)
            state = await bench.look()
            taken = sum(message.role == "assistant" for message in chat.said)
            if end or state["submitted"] or taken >= turns:
                break
    calls = len(state["calls"]) - len(before["calls"])
    return state, {"": max(1, taken), "turns": turns, "window": max(1 + calls, turns // 2)}[end]


async def _asked(chat: Session[str], said: str) -> Literal["", "turns", "window"]:
    """Ask; what is used up of the conversation, if anything."""
    try:
        await chat(said)
    except TurnLimit:
        return "turns"
    except PromptTooLong:
        return "window"
    return ""


def _agent(bench: Workbench, effort: Effort, turns: int) -> Agent[str]:
    return Agent(
        "solver",
        system=SYSTEM,
        tools=bench.tools,
        max_turns=turns,
        parallel_tools=False,
        tool_use=effort.tool_use,
        max_tokens=effort.tokens,
        temperature=effort.temperature,
        seed=effort.seed,
    )


def _task(issue: str) -> str:
    return f"Solve this issue:\n\n<issue>\n{issue}\n</issue>"


def _handover(state: Mapping[str, Any], most: int) -> str:
    """What a new conversation is told of those before."""
    calls: Sequence[Mapping[str, Any]] = state["calls"][-12:]
    lines = "\n".join(f"- {one['tool']} {one['what']} (exit status {one['code']})" for one in calls) or "- none"
    changes = shortened(state["patch"], most) or "none"
    return (
        f"\n\nYou have worked on this before, in {len(state['calls'])} calls, the last of them:\n{lines}\n"
        f"Your changes so far:\n{changes}\nGo on from there."
    )
