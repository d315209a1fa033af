"""mini-swe-agent on the same engine, in the same sandbox, graded the same: somebody else's agent to compare with.

It runs in an environment of its own and asks us for each reply and each command, which are steps of the run like any
other: measured, recorded, and not done again when the run goes on. Its replies belong to no session, so the engine is
told nothing of its contexts.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agentrt.benchmarks.harness.graders import Environment, grader
from agentrt.benchmarks.swebench.instances import Instance
from agentrt.benchmarks.swebench.local import Local
from agentrt.benchmarks.swebench.solver import Effort, work_tree
from agentrt.benchmarks.swebench.workbench import WORKING, Workbench
from agentrt.errors import AgentrtError, PromptTooLong, Unreachable
from agentrt.runtime import MODEL_LANE, Handle, StepSpec, call, owner
from agentrt.sdk.steps import Program, program
from agentrt.types import Message, ModelRequest, Sampling

REQUIREMENTS: Final = (
    "mini-swe-agent==2.4.6", "annotated-types==0.8.0", "jinja2==3.1.6", "markdown-it-py==4.3.0", "markupsafe==3.0.4",
    "mdurl==0.1.2", "platformdirs==4.14.5", "pydantic==2.14.3", "pydantic-core==2.50.4", "pygments==2.21.0",
    "python-dotenv==1.2.4", "pyyaml==6.0.3", "rich==15.0.0", "typing-extensions==4.16.0", "typing-inspection==0.4.5",
)  # fmt: skip
"""The agent, and what of its requirements its loop imports."""

WORKER: Final = Path(__file__).parent / "inside" / "mini.py"
_LONGEST_LINE: Final = 1 << 28


def mini() -> Environment:
    """The agent's environment, made if it is not there. Raises ``SetupError`` with the way out."""
    return grader("mini-swe-agent", REQUIREMENTS)


def mini_solver(
    instances: Mapping[str, Instance], local: Local, effort: Effort, environment: Environment, log: Path
) -> Program[..., Any]:
    """The program that lets mini-swe-agent work on an instance: the same output as ``solver``'s."""
    prepared = work_tree(instances, local)

    @program(name="mini")
    async def solve(entry: dict[str, Any]) -> dict[str, Any]:
        instance = instances[entry["instance"]]
        tree = await prepared(instance.id)
        given = {"task": instance.problem, "tree": tree, "turns": effort.turns}
        place = local.where(instance, WORKING)
        async with (
            Workbench(place, most=effort.shown, within=effort.command_s) as bench,
            _started(environment, given, log) as child,
        ):
            ended = await _served(child, bench, effort)
            state = await bench.look()
        submitted = ended["end"] == "Submitted"
        patch = ended["patch"] if submitted and ended["patch"].strip() else state["patch"]
        return {"patch": patch, "submitted": submitted, "ended": ended["end"], "calls": state["calls"]}

    return solve


@dataclass(frozen=True, slots=True)
class Replied:
    """One reply, or why there is none."""

    text: str = ""
    finish: str = ""
    error: str = ""


class _Child:
    """The agent's process, which asks."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def asks(self) -> dict[str, Any]:
        """Its next question. Raises ``Unreachable`` when it ended without one."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise Unreachable(f"mini-swe-agent's process ended; what it said is in {self._log}")
        told: dict[str, Any] = json.loads(line)
        return told

    def tell(self, answer: Mapping[str, Any]) -> None:
        """Answer it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(answer).encode() + b"\n")


@asynccontextmanager
async def _started(environment: Environment, given: Mapping[str, Any], log: Path) -> AsyncIterator[_Child]:
    variables = {"PATH": os.environ.get("PATH", ""), "HOME": str(environment.folder), "MSWEA_SILENT_STARTUP": "1"}
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            str(environment.python), str(WORKER), stdin=PIPE, stdout=PIPE, stderr=errors, env=variables,
            start_new_session=True, limit=_LONGEST_LINE,
        )  # fmt: skip
    try:
        child = _Child(process, log)
        child.tell(given)
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _served(child: _Child, bench: Workbench, effort: Effort) -> dict[str, Any]:
    """Answer until it ends; what it ends with."""
    while True:
        asked = await child.asks()
        if "ask" in asked:
            said = tuple(Message(one["role"], one["content"]) for one in asked["ask"])
            replied = await _reply(effort, said)
            child.tell({"error": replied.error} if replied.error else {"text": replied.text, "finish": replied.finish})
        elif "run" in asked:
            child.tell(await bench.execute(asked["run"]))
        else:
            return asked


def _reply(effort: Effort, said: tuple[Message, ...]) -> Handle[Replied]:
    """A model turn: a step of its own, in no session."""
    spec = StepSpec("mini.turn", "llm", _take_turn, MODEL_LANE + "default", retries=2, retry_on=_passing)
    return call(spec, (effort, said), {}, depth=0)


def _passing(error: BaseException) -> bool:
    return isinstance(error, AgentrtError) and not isinstance(error, PromptTooLong)


async def _take_turn(effort: Effort, said: tuple[Message, ...]) -> Replied:
    handle = owner.get()
    sampling = Sampling(effort.tokens, effort.temperature, None, effort.seed)
    request = ModelRequest(said, "mini", handle.run.id, handle.id, sampling=sampling, tenant=handle.run.runtime.tenant)
    try:
        reply = await handle.run.runtime.ask("default", request, handle)
    except PromptTooLong as error:
        return Replied(error=str(error))
    handle.spend(reply.usage)
    return Replied(reply.text, reply.finish)
