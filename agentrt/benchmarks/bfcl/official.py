"""The official package as this one sees it: an environment, and processes in it that answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Self

from agentrt.benchmarks.harness.graders import Environment, Grader, grader
from agentrt.engine.progress import Progress
from agentrt.types import Message, Role, ToolSpec

VERSION: Final = "2026.3.23"
REQUIREMENTS: Final = (
    f"bfcl-eval=={VERSION}",
    "filelock==3.20.0",
    "mpmath==1.3.0",
    "overrides==7.7.0",
    "python-dotenv==1.2.1",
    "tenacity==9.1.2",
    "tqdm==4.67.1",
    "tree-sitter==0.21.3",
    "tree-sitter-java==0.21.0",
    "tree-sitter-javascript==0.21.4",
)
"""What the checkers and the functions import, in the versions that the package asks for where it asks for one."""

PYTHON: Final = ">=3.10,<3.13"
"""tree-sitter 0.21 has packages for these."""

CATEGORIES: Final = (
    "simple_python",
    "simple_java",
    "simple_javascript",
    "multiple",
    "parallel",
    "parallel_multiple",
    "irrelevance",
    "live_simple",
    "live_multiple",
    "live_parallel",
    "live_parallel_multiple",
    "live_irrelevance",
    "live_relevance",
    "multi_turn_base",
    "multi_turn_miss_func",
    "multi_turn_miss_param",
    "multi_turn_long_context",
)
"""Those that need nothing but a model: of the rest, web search needs a key and the network, memory a vector store."""

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "all": CATEGORIES,
    "single_turn": CATEGORIES[:13],
    "non_live": CATEGORIES[:7],
    "live": CATEGORIES[7:13],
    "multi_turn": CATEGORIES[13:],
}

Kind = Literal["fc", "prompting"]
"""Whether tools are told in the request, or functions in the prompt."""

_WORKER: Final = Path(__file__).parent / "inside" / "worker.py"
_READING_S: Final = 300.0
_CALL_S: Final = 60.0


def environment(progress: Progress | None = None) -> Environment:
    """The environment of the official package, made if it is not there. Raises ``SetupError``."""
    return grader("bfcl", REQUIREMENTS, python=PYTHON, progress=progress)


def group_of(category: str) -> str:
    """The folder of its result files: ``non_live``, ``live`` or ``multi_turn``."""
    return next(name for name in ("non_live", "live", "multi_turn") if category in GROUPS[name])


@dataclass(frozen=True, slots=True)
class Asked:
    """One turn of an entry: what is said, and the tools that may be called from here on beside those before."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """An entry as a model is asked it. ``scenario`` is what executing its calls needs, ``None`` where none are."""

    id: str
    category: str
    turns: tuple[Asked, ...]
    scenario: Mapping[str, Any] | None


class Official:
    """A process of the official package. It keeps no state that a question would not bring along."""

    def __init__(self, process: Grader, kind: Kind) -> None:
        self._process = process
        self.kind: Kind = kind

    @classmethod
    def started(cls, environment: Environment, kind: Kind, log: Path) -> Self:
        """A process, for an ``async with``. ``log`` is the file that has what it prints."""
        root = environment.folder / "root"  # the package makes folders there
        return cls(Grader(environment, _WORKER, log=log, variables={"BFCL_PROJECT_ROOT": str(root)}), kind)

    async def tasks(self, categories: Sequence[str]) -> list[Task]:
        """The entries of these categories, in their order."""
        told = await self._process.ask("entries", within=_READING_S, categories=list(categories), kind=self.kind)
        tools = [ToolSpec(one["name"], one["description"], one["parameters"]) for one in told["tools"]]
        return [_task(entry, tools) for entry in told["entries"]]

    async def truths(self, categories: Sequence[str]) -> dict[str, dict[str, Any]]:
        """By entry its ground truth, as the package has it, and the ``functions`` as documented."""
        found: dict[str, dict[str, Any]] = await self._process.ask(
            "truths", within=_READING_S, categories=list(categories)
        )
        return found

    async def decode(self, result: Any) -> list[str]:
        """The calls of one reply as the official handlers execute them, ``cd(folder='temp')``; none for none."""
        calls: list[str] = await self._process.ask("decode", within=_CALL_S, result=result, kind=self.kind)
        return calls

    async def execute(self, scenario: Mapping[str, Any], before: Sequence[str], call: str) -> str:
        """The result of a call after all the calls before it, by the official functions.

        Raises ``StepTimeout`` for a call that does not end.
        """
        result: str = await self._process.ask(
            "execute", within=_CALL_S, scenario=dict(scenario), before=list(before), call=call
        )
        return result

    async def judge(self, category: str, results: list[dict[str, Any]], within: float) -> list[dict[str, Any]]:
        """The lines of the official score file about those results that are wrong.

        Raises ``ExecutorError`` when the checker fails, or takes more than ``within`` seconds.
        """
        wrong: list[dict[str, Any]] = await self._process.ask(
            "judge", within=2 * within, alone=within, category=category, results=results, kind=self.kind
        )
        return wrong

    async def about(self) -> dict[str, Any]:
        """The package's ``version``, its ``collections`` of categories, and the ``steps`` that one turn may take."""
        found: dict[str, Any] = await self._process.ask("about", within=_READING_S)
        return found

    async def __aenter__(self) -> Self:
        await self._process.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._process.__aexit__(*exc)


def _task(entry: Mapping[str, Any], tools: Sequence[ToolSpec]) -> Task:
    turns = tuple(
        Asked(
            tuple(Message(_role(one["role"]), one["content"]) for one in turn["messages"]),
            tuple(tools[number] for number in turn["tools"]),
        )
        for turn in entry["turns"]
    )
    return Task(entry["id"], entry["category"], turns, entry["scenario"])


def _role(name: str) -> Role:
    roles: tuple[Role, ...] = ("system", "user", "assistant", "tool")
    return next(role for role in roles if role == name)
