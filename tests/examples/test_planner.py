"""The planner example: tasks start while the plan is still being written."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentrt import Runtime
from agentrt.engine import Engine
from agentrt.events import Event, GraphEdited, StepEnded, StepStarted
from agentrt.executors import OpenAIExecutor
from agentrt.testing import Asked, Reply, ScriptedServer, say, say_json

from .test_examples import run

FILE = Path(__file__).parent.parent.parent / "examples" / "planner.py"
PLAN = ["1. search(otter)", "2. search(seal)", "3. compare($1, $2)"]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("planner_example", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "planner_example", module)
    spec.loader.exec_module(module)
    return module


class Watch:
    """What happened, and a gate for each line that opens when the task of the line before has ended."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.gates = {f"search#{number}": asyncio.Event() for number in (1, 2)}

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, StepEnded) and event.step in self.gates:
            self.gates[event.step].set()

    def index(self, kind: type[Any], step: str) -> int:
        """When something happened to a step."""
        return next(at for at, one in enumerate(self.events) if isinstance(one, kind) and one.step == step)


async def test_each_task_starts_while_the_rest_is_written(example: ModuleType) -> None:
    """The planner goes on writing only when the task of its last line has ended; the answer has all of them."""
    watch = Watch()
    first, second, third = (json.dumps(line) for line in PLAN)

    def script(asked: Asked) -> Reply:
        if asked.messages[0]["content"].startswith("You write plans"):
            return say(
                f'{{"lines": [{first}, ', watch.gates["search#1"], second, watch.gates["search#2"], f", {third}]}}"
            )
        return say(asked.last)

    async with ScriptedServer(script) as server, Runtime(OpenAIExecutor(server.url), observers=[watch]) as runtime:
        result = await runtime.run(example.answer, "Which is heavier?")
    assert result.output.startswith("Notes:")
    assert "45 kilograms" in result.output
    assert "130 kilograms" in result.output
    assert watch.index(StepEnded, "search#2") < watch.index(StepEnded, "planner#1")
    assert watch.index(StepStarted, "writer#1") > watch.index(StepEnded, "planner#1")
    assert [event.version for event in watch.events if isinstance(event, GraphEdited)] == [1, 2, 3]
    assert {("search#1", "compare#1"), ("search#2", "compare#1"), ("compare#1", "writer#1")} <= set(result.edges)


async def test_a_plan_out_of_order_is_carried_out(example: ModuleType) -> None:
    """A line waits for the lines that it names; one that names what never comes is left out."""
    plan = ["3. compare($1, $2)", "2. search(seal)", "1. search(otter)"]
    bad = ["1. compare($1, $2)", "2. search(seal)", "2. search(otter)"]
    replies = iter([plan, bad])

    def script(asked: Asked) -> Reply:
        planning = asked.messages[0]["content"].startswith("You write plans")
        return say_json({"lines": next(replies)}) if planning else say(asked.last)

    async with ScriptedServer(script) as server, Runtime(OpenAIExecutor(server.url), kv="none") as runtime:
        good = await runtime.run(example.answer, "Which?")
        poor = await runtime.run(example.answer, "Which?")
    assert [record.name for record in good.steps] == ["planner", "writer", "search", "search", "compare"]
    assert "45 kilograms" in good.output
    assert [record.name for record in poor.steps] == ["planner", "writer", "search"]
    assert poor.status == "done"


@pytest.mark.engine
def test_the_planner_plans_on_the_real_engine(engine: Engine) -> None:
    """The small model writes a plan of three tasks; the first starts before the plan is complete."""
    result = run(engine, "planner", "question=Which is heavier, the otter or the beaver?")
    steps = {step["id"]: step for step in result["steps"]}
    tasks = [step for name, step in steps.items() if name.partition("#")[0] in ("search", "compare")]
    assert tasks
    assert min(step["started"] for step in tasks) < steps["planner#1"]["ended"]
    into_writer = {before for before, after in result["graph"]["edges"] if after == "writer#1"}
    assert {step["id"] for step in tasks} | {"planner#1"} == into_writer
    assert result["output"]
