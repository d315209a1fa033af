"""``agentrt bench kv``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agentrt.errors import ConfigError

if TYPE_CHECKING:
    from agentrt.benchmarks.kv.contest import Row
    from agentrt.benchmarks.kv.contestants import Contestant
    from agentrt.benchmarks.kv.engines import Setting
    from agentrt.benchmarks.kv.plan import Cell, Plan
    from agentrt.benchmarks.kv.workloads import Workload

DESCRIPTION = (
    "What hints and admission are worth: agent programs on real engines, stock SGLang and ours in turns. Without any "
    "choice it runs the rows of docs/results/kv-live.md, which takes about 40 minutes on two quiet cores."
)
TRACE_HELP = (
    "shape tool loops by this recording, JSON lines, gzipped or not: AgentCgroup's agent runs on SWE-rebench tasks or "
    "kv-cache-tester's Claude Code sessions, both public (default: made-up runs with their statistics)"
)
STILL_HELP = "repeat a run, twice at most, in which other processes took more of the machine than this (0.2)"
WORKING_SET: Final = {"cpu": 6_400, "cuda": 480_000}
CONTEXT: Final = {"cpu": 8_192, "cuda": 131_072}
PRESSURES: Final = {"none": 0.5}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's options."""
    parser.description = DESCRIPTION
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--live", action="store_true", help="run programs on real engines")
    how.add_argument(
        "--soak",
        type=float,
        nargs="?",
        const=600.0,
        metavar="SECONDS",
        help="random hints, aborts and cancels at full load on one engine of ours (600)",
    )
    how.add_argument("--simulate", action="store_true", help="every policy in simulated time: a forecast in seconds")
    parser.add_argument("--quick", action="store_true", help="two small rows, two engines, one round")
    parser.add_argument("--contestants", metavar="all|NAME,NAME", help="who takes part beside lru")
    parser.add_argument("--workloads", metavar="NAME,NAME", help="loops, flow, branches")
    parser.add_argument("--pressure", metavar="none,2,4", help="working set over pool")
    parser.add_argument("--programs", metavar="1,4,16", help="programs at once")
    parser.add_argument("--rounds", type=int, default=3, help="rounds to take medians of (3)")
    parser.add_argument("--working-set", type=int, metavar="TOKENS", help="contexts together (6400; cuda: 480000)")
    parser.add_argument("--reply", type=int, default=4, help="tokens of each reply (4)")
    parser.add_argument("--time-scale", type=float, default=0.25, help="stretch of the tools' times (0.25)")
    parser.add_argument("--seed", type=int, default=1, help="of prompts and drawn runs (1)")
    parser.add_argument("--trace", type=Path, metavar="FILE", help=TRACE_HELP)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where the engines run (cpu)")
    parser.add_argument("--model", help="model to serve (cpu: the default one; cuda: random weights of an 8B Llama)")
    parser.add_argument("--load-format", default=None, help="dummy serves random weights of the model's shape")
    parser.add_argument("--still", type=float, default=0.2, metavar="SHARE", help=STILL_HELP)
    parser.add_argument("--together", type=int, default=0, metavar="N", help="engines at once (as memory allows)")
    parser.add_argument("--thunderagent", type=Path, metavar="DIR", help="a checkout of ThunderAgent: one column more")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write kv.json, kv.md and the plots there")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def run(args: argparse.Namespace) -> int:
    """Run it and print what was found; 0, or 1 when a contestant of ours gave no result or the soak found a fault.

    Raises ``ConfigError`` for options that cannot be used.
    """
    _check(args)
    note = partial(print, file=sys.stderr, flush=True)
    if args.soak is not None:
        from agentrt.benchmarks.kv.soak import soak_command

        return soak_command(args.soak, args.seed, as_json=args.json, note=note)
    return _simulated(args) if args.simulate else _live(args, note)


def _simulated(args: argparse.Namespace) -> int:
    from agentrt.benchmarks.kv.simulate import as_json, as_text, simulated

    pressures = [_pressure(one) for one in (args.pressure or "none,2,4").split(",")]
    programs = [_count(one) for one in (args.programs or "16").split(",")]
    tokens = args.working_set or WORKING_SET[args.device]
    found = list(simulated(args.trace, programs, pressures, tokens, args.seed))
    print(as_json(found) if args.json else as_text(found))
    return 0


def _live(args: argparse.Namespace, note: Callable[[str], None]) -> int:
    from agentrt.benchmarks.kv.contest import hold
    from agentrt.benchmarks.kv.engines import served
    from agentrt.benchmarks.kv.report import as_json, as_text

    plan, setting = _plan(args), _setting(args)
    rows: list[Row] = []
    for row in hold(plan, lambda kinds, pool, host: served(kinds, setting, pool, host, note), note):
        rows.append(row)
        if args.out:
            _write(args.out, rows, plan)
    found = as_json(rows, plan.rounds, plan.device)
    print(json.dumps(found, indent=2) if args.json else as_text(rows, plan.rounds, plan.device))
    return int(any(score.problem and not score.contestant.stock for row in rows for score in row.scores))


def _write(folder: Path, rows: list[Row], plan: Plan) -> None:
    """Write what is known so far: a long benchmark that is stopped leaves its finished rows."""
    from agentrt.benchmarks.kv.plots import bars, lines
    from agentrt.benchmarks.kv.report import as_json, as_markdown

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kv.json").write_text(json.dumps(as_json(rows, plan.rounds, plan.device), indent=1) + "\n")
    (folder / "kv.md").write_text(as_markdown(rows, plan.rounds, plan.device))
    for name, picture in (("kv-bars.svg", bars(rows)), ("kv-lines.svg", lines(rows))):
        if picture:
            (folder / name).write_text(picture)


# -- options -------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> None:
    for option in ("rounds", "reply", "working_set"):
        value = getattr(args, option)
        if value is not None and value < 1:
            raise ConfigError(f"--{option.replace('_', '-')} {value}: expected 1 or more")
    if args.time_scale < 0:
        raise ConfigError(f"--time-scale {args.time_scale:g}: expected 0 or more")
    if args.soak is not None and args.soak <= 0:
        raise ConfigError(f"--soak {args.soak:g}: expected more than 0 seconds")


def _plan(args: argparse.Namespace) -> Plan:
    from agentrt.benchmarks.kv.plan import Plan

    rounds, still = (1, 1.0) if args.quick else (args.rounds, args.still)
    return Plan(tuple(_cells(args)), rounds, args.device, args.together, still=still)


def _cells(args: argparse.Namespace) -> list[Cell]:
    from agentrt.benchmarks.kv.plan import crossed, quick, standard
    from agentrt.benchmarks.kv.workloads import Size

    known = _workloads(args)
    base = Size(args.working_set or WORKING_SET[args.device], 16, args.reply, args.time_scale, args.seed)
    if args.quick:
        return quick(known, base)
    if not (args.contestants or args.workloads or args.pressure or args.programs):
        return standard(known, base, thunderagent=args.thunderagent is not None)
    workloads = _chosen(known, args.workloads or "loops,flow,branches")
    pressures = [_pressure(one) for one in (args.pressure or "none,2,4").split(",")]
    programs = [_count(one) for one in (args.programs or "1,4,16").split(",")]
    return crossed(workloads, base, programs, pressures, _contestants(args))


def _contestants(args: argparse.Namespace) -> tuple[Contestant, ...]:
    from agentrt.benchmarks.kv.contestants import THUNDERAGENT, named

    found = named(args.contestants or "lru,slru,tlru,none,agentrt")
    if not args.thunderagent and any(one.name == THUNDERAGENT for one in found):
        raise ConfigError(f"--contestants {THUNDERAGENT} needs --thunderagent DIR, a checkout of it")
    return found


def _workloads(args: argparse.Namespace) -> dict[str, Workload]:
    from agentrt.benchmarks.kv.workloads import AgentFlow, Branches, ToolLoops, recorded_runs

    made: list[Workload] = [ToolLoops(recorded_runs(args.trace, args.seed)), AgentFlow(), Branches()]
    return {one.name: one for one in made}


def _chosen(known: dict[str, Workload], names: str) -> list[Workload]:
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in known]:
        raise ConfigError(f"no workload is called {', '.join(map(repr, unknown))}; there are: {', '.join(known)}")
    return [known[name] for name in wanted]


def _pressure(text: str) -> float:
    try:
        value = PRESSURES.get(text.strip()) or float(text)
    except ValueError:
        value = 0.0
    if value <= 0:
        raise ConfigError(f"--pressure {text!r}: expected none or a number, as in none,2,4")
    return value


def _count(text: str) -> int:
    if not text.strip().isdecimal() or not int(text):
        raise ConfigError(f"--programs {text!r}: expected numbers of programs, as in 1,4,16")
    return int(text)


def _setting(args: argparse.Namespace) -> Setting:
    from agentrt.benchmarks.kv.engines import Setting
    from agentrt.benchmarks.kv.model import model_of
    from agentrt.benchmarks.kv.thunderagent import check
    from agentrt.engine import DEFAULT_MODEL

    dummy = args.load_format == "dummy" or (args.device == "cuda" and args.model is None)
    model = args.model or (model_of("8b", args.device) if dummy else DEFAULT_MODEL)
    extra = {"load_format": "dummy"} if dummy else {}
    scale = args.working_set or WORKING_SET[args.device]
    checkout = check(args.thunderagent) if args.thunderagent else None
    return Setting(args.device, model, CONTEXT[args.device], scale, extra, checkout, args.time_scale)
