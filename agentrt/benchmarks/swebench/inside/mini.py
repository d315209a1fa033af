"""Runs mini-swe-agent: its own loop, its own messages; the model and the shell are asked of who started us.

One JSON line on standard input says what to do (``task``, ``tree``, ``turns``). Each line on what was standard output
asks for a reply to ``{"ask": [messages]}`` or the output of ``{"run": command}``, answered by a line on standard input;
the last one is ``{"end": status, "patch": text}``.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped, unused-ignore]
from minisweagent import package_dir  # type: ignore[import-not-found, unused-ignore]
from minisweagent.agents.default import DefaultAgent  # type: ignore[import-not-found, unused-ignore]
from minisweagent.environments.local import LocalEnvironment  # type: ignore[import-not-found, unused-ignore]
from minisweagent.models.utils.actions_text import (  # type: ignore[import-not-found, unused-ignore]
    format_observation_messages,
    parse_regex_actions,
)
from pydantic import BaseModel

CONFIG = "config/benchmarks/swebench_backticks.yaml"
FOLDER = "/testbed"
ACTION = r"```mswea_bash_command\s*\n(.*?)\n```"
PR_SET_PDEATHSIG = 1


class Line:
    """Questions out, answers in."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # what is printed is no question

    def ask(self, question: dict[str, Any]) -> Any:
        """The answer; this process ends when there is nobody left to give one."""
        self.tell(question)
        return self.take()

    def tell(self, said: dict[str, Any]) -> None:
        """Without an answer."""
        print(json.dumps(said), file=self._out, flush=True)

    def take(self) -> Any:
        """The next line."""
        line = sys.stdin.readline()
        if not line:
            sys.exit(1)
        return json.loads(line)


class Settings(BaseModel):
    """What the agent's templates may look up of the model."""

    observation_template: str
    format_error_template: str


class AskedModel:
    """A model behind the line; what it said is read by the agent's own parser."""

    def __init__(self, line: Line, settings: Settings) -> None:
        self.config = settings
        self._line = line

    def query(self, messages: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        """The next reply, with the command that it asks for."""
        plain = [{"role": one["role"], "content": one["content"]} for one in messages]
        told = self._line.ask({"ask": plain})
        if "error" in told:
            raise RuntimeError(told["error"])
        actions = parse_regex_actions(
            told["text"],
            action_regex=ACTION,
            format_error_template=self.config.format_error_template,
            template_kwargs={"finish_reason": told["finish"]},
        )
        return {"role": "assistant", "content": told["text"], "extra": {"actions": actions, "cost": 0.0}}

    def format_message(self, **message: Any) -> dict[str, Any]:
        """As it is."""
        return message

    def format_observation_messages(
        self, message: dict[str, Any], outputs: list[dict[str, Any]], template_vars: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """By the agent's own template."""
        template = self.config.observation_template
        found: list[dict[str, Any]] = format_observation_messages(
            outputs, observation_template=template, template_vars=template_vars
        )
        return found

    def get_template_vars(self, **_: Any) -> dict[str, Any]:
        """None of ours."""
        return {}

    def serialize(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}


class AskedEnvironment(LocalEnvironment):  # type: ignore[misc, unused-ignore]
    """A shell behind the line; the agent's own look at whether it has submitted."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def execute(self, action: dict[str, Any], cwd: str = "", *, timeout: int | None = None) -> dict[str, Any]:
        """Run a command."""
        output: dict[str, Any] = self._line.ask({"run": action.get("command", "")})
        self._check_finished(output)
        return output


def main() -> None:
    """One run."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    line = Line()
    given = line.take()
    text = (Path(package_dir) / CONFIG).read_text(encoding="utf-8").replace(FOLDER, given["tree"])
    told = yaml.safe_load(text)
    model = AskedModel(line, Settings(**{name: told["model"][name] for name in Settings.model_fields}))
    limits = {"step_limit": given["turns"], "cost_limit": 0}
    agent = DefaultAgent(model, AskedEnvironment(line), **{**told["agent"], **limits})
    try:
        ended = agent.run(given["task"])
    except Exception as error:  # noqa: BLE001 - however it ends, it is told
        ended = {"exit_status": f"{type(error).__name__}: {error}"}
    line.tell({"end": ended.get("exit_status", ""), "patch": ended.get("submission", "")})


if __name__ == "__main__":
    main()
