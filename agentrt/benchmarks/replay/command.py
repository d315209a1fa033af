"""``agentrt bench replay``."""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.harness.options import Bench
    from agentrt.benchmarks.replay.executor import ReplayExecutor
    from agentrt.benchmarks.replay.sessions import Session

DESCRIPTION: Final = (
    "Replay recorded agent sessions on an SGLang engine: prompts of the recorded lengths that share what they shared, "
    "replies of fixed length, gaps as recorded. With several names for --kv, they take turns on engines of their own."
)
EPILOG: Final = """\
recordings, by what is in them, gzipped or not:
  Claude Code sessions   callanjfox/kv-cache-tester, traces/*.json put together as JSON lines
  SWE-rebench runs       AgentCgroup's recordings, JSON lines with llm_calls
  Mooncake               kvcache-ai/Mooncake, conversation_trace.jsonl
  Azure                  Azure/AzurePublicDataset, AzureLLMInferenceTrace_*.csv
  Dynamo's agent traces  dynamo.agent.trace.v1; `agentrt export RUN --format dynamo` writes it of every run
  our own runs           a journal, or the folder of a benchmark

examples:
  agentrt bench replay --trace claude.jsonl.gz --sessions 8 --turns 20 --speed 10
  agentrt bench replay --trace claude.jsonl.gz --kv agentrt,lru --closed 6 --pressure 2 --rounds 3
  agentrt bench replay --trace mooncake.jsonl.gz --sessions 200 --open --speed 4 --engine http://127.0.0.1:30000
"""
_SPARE: Final = 0.95
"""Share of the engine's pool that one context may take."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    from agentrt.benchmarks.harness import options as shared
    from agentrt.benchmarks.replay import contest, entries

    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    entries.add_arguments(parser)
    contest.add_arguments(parser)
    shared.add_arguments(parser, name="replay")


def run(options: argparse.Namespace) -> int:
    """Replay, and print the report; the exit code is 0, or 1 when a session did not come to its end.

    Raises ``ConfigError`` for options and recordings that cannot be used.
    """
    from agentrt.benchmarks.harness.contest import is_contest
    from agentrt.benchmarks.replay import contest
    from agentrt.benchmarks.replay.entries import checked, chosen_sessions
    from agentrt.benchmarks.replay.readers import read

    checked(options)
    recording = read(Path(options.trace))
    sessions = chosen_sessions(recording, options)
    if options.open is not None:
        options.at_once = len(sessions)
    if is_contest(options.kv):
        return contest.hold(options, recording.kind, sessions)
    return asyncio.run(_replay(options, recording.kind, sessions))


async def _replay(options: argparse.Namespace, kind: str, sessions: list[Session]) -> int:
    """One policy on one engine, into one folder."""
    from agentrt.benchmarks.harness.options import opened
    from agentrt.benchmarks.harness.report import conclude
    from agentrt.benchmarks.replay.entries import own_options, wanted
    from agentrt.benchmarks.replay.program import replay

    async with opened(options, "replay", own_options(kind, options)) as bench:
        executor = _executor(bench)
        what = wanted(kind, sessions, options, options.window or await _window(bench, executor))
        outcomes = await replace(bench, models={"default": executor}).run(what.entries(), replay)
        bench.folder.tell(what.figures(outcomes))
        conclude(bench.folder, as_json=options.json)
    return int(any(one.status != "done" for one in outcomes))


def _executor(bench: Bench) -> ReplayExecutor:
    """What sends token numbers to the engine that was found. Raises ``ConfigError`` for one that takes none."""
    from agentrt.benchmarks.replay.executor import ReplayExecutor
    from agentrt.engine import find
    from agentrt.executors.failures import KEY_VARIABLE

    engine = bench.told["environment"]["engine"]
    if engine["kind"] != "sglang":
        raise ConfigError(
            f"the server at {engine['url']} is no SGLang engine: it takes no prompts as token numbers, so what was "
            f"shared could not be shared again; name an SGLang engine, or none for one of ours"
        )
    ours = find(engine["url"])
    key = ours.api_key if ours else os.environ.get(KEY_VARIABLE)
    return ReplayExecutor(engine["url"], model=engine["model"], api_key=key)


async def _window(bench: Bench, executor: ReplayExecutor) -> int:
    """The longest context that the engine takes, which must fit its pool, too; 0 where it does not tell."""
    engine = bench.told["environment"]["engine"]
    pool = int((engine.get("max_total_num_tokens") or 0) * _SPARE)
    known = [one for one in (await executor.window(), engine.get("context_length") or 0, pool) if one]
    return min(known, default=0)
