"""``agentrt engine up|status|logs|down``: the embedded engine from the command line."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from agentrt.engine import EngineInfo, EngineSpec, Status

Handler = Callable[[argparse.Namespace], int]
FOLLOW_S = 0.2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``engine`` and its four commands; each sets ``handler``, which takes the arguments and gives the exit status.

    A handler raises ``AgentrtError`` for what deserves one line and status 1 (or 2 for a
    ``UsageError``), and lets ``KeyboardInterrupt`` through for status 130.
    """
    engine = subparsers.add_parser("engine", help="the embedded inference engine: up, status, logs, down")
    commands = engine.add_subparsers(dest="engine_command", metavar="COMMAND", required=True)
    _add_up(commands)
    status = commands.add_parser("status", help="show the running engines and whether they generate")
    status.add_argument("--json", action="store_true", help="print one JSON list")
    status.set_defaults(handler=show_status)
    logs = commands.add_parser("logs", help="show the end of an engine's log")
    logs.add_argument("-n", "--lines", type=_count, default=50, metavar="N", help="how many lines (50)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as the engine writes, until Ctrl-C")
    logs.add_argument("url", nargs="?", help="which engine; the newest without it")
    logs.set_defaults(handler=show_logs)
    down = commands.add_parser("down", help="end the engines that were brought up")
    down.add_argument("url", nargs="?", help="which engine; all that were brought up without it")
    down.set_defaults(handler=take_down)


def _count(text: str) -> int:
    """A number of lines, for argparse."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 0 lines or more")
    return value


def _add_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    up = commands.add_parser(
        "up",
        help="install what is missing and start an engine that stays",
        epilog="Options of SGLang's own launcher may follow after --, as in: agentrt engine up -- --log-level debug",
    )
    up.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="where it computes (auto)")
    up.add_argument("--model", metavar="NAME|PATH", help="a known name, a model folder, or owner/name (smollm2-135m)")
    up.add_argument("--port", type=int, default=0, metavar="N", help="where it listens; a free port without it")
    up.add_argument("--max-total-tokens", type=int, metavar="N", help="size of the KV cache in tokens")
    up.add_argument("--context-length", type=int, metavar="N", help="longest prompt and reply together, in tokens")
    up.add_argument("--hicache-ratio", type=float, metavar="X", help="add a second KV tier X times the first")
    up.add_argument("extra", nargs="*", metavar="-- OPTION", help="more options for SGLang")
    up.set_defaults(handler=bring_up)


def bring_up(args: argparse.Namespace) -> int:
    """Bring an engine up, or say that it already is."""
    from agentrt.engine import DEFAULT_MODEL, EngineSpec, extra_args

    spec = EngineSpec(
        model=args.model or DEFAULT_MODEL,
        device=args.device,
        port=args.port,
        max_total_tokens=args.max_total_tokens,
        context_length=args.context_length,
        host_tier_ratio=args.hicache_ratio,
        extra=extra_args(args.extra),
    )
    info, fresh = _brought_up(spec)
    print(f"The engine is {'up' if fresh else 'already up'} at {info.url} ({info.model} on {info.device})")
    return 0


def _brought_up(spec: EngineSpec) -> tuple[EngineInfo, bool]:
    """Bring it up under a display. Of an error's lines all but the first are shown first: the end of some log."""
    from agentrt.engine import progress_for, up
    from agentrt.errors import EngineError

    progress = progress_for()
    failed = True
    try:
        answer = up(spec, progress=progress)
        failed = False
        return answer
    except EngineError as error:
        progress.close(failed=True)
        first, _, log = str(error).partition("\n")
        if log:
            print(log, file=sys.stderr)
        raise type(error)(first.removesuffix(":")) from error
    finally:
        progress.close(failed=failed)


def show_status(args: argparse.Namespace) -> int:
    """Show what runs; status 1 when nothing does, or when an engine does not generate."""
    from agentrt.engine import recorded, statuses

    found = statuses()
    if args.json:
        print(json.dumps([each.as_dict() for each in found], indent=2))
    else:
        for each in found:
            print(describe(each))
        for info in recorded():
            if not info.alive and not info.attached:
                print(f"{info.url} ended by itself; its log: agentrt engine logs {info.url}")
        if not found:
            print("No engine is up; start one with: agentrt engine up")
    return 0 if found and all(each.trouble is None for each in found) else 1


def describe(status: Status) -> str:
    """Say in a few lines how an engine is doing."""
    info = status.info
    state = "well" if status.trouble is None else f"in trouble: {status.trouble}"
    return (
        f"{info.url}  {state}\n"
        f"  model {info.model} on {info.device}, process {info.pid}{' (of a run)' if info.attached else ''}, "
        f"up {_duration(status.uptime_s)}, {status.memory_bytes / 1e9:.1f} GB\n"
        f"  log {info.log}"
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def show_logs(args: argparse.Namespace) -> int:
    """Print the end of a log, and with ``--follow`` what comes, until the engine ends or Ctrl-C."""
    info = _logged(args.url)
    with Path(info.log).open(errors="replace") as log:
        sys.stdout.writelines(deque(log, maxlen=args.lines))
        if args.follow:
            _follow(log, info)
    return 0


def _logged(url: str | None) -> EngineInfo:
    from agentrt.engine import recorded
    from agentrt.errors import NotRunning

    known = [each for each in recorded() if each.at(url)]
    if not known:
        raise NotRunning(f"there is no engine{f' at {url}' if url else ''} whose log could be shown; "
                         f"start one with: agentrt engine up")  # fmt: skip
    return known[0]


def _follow(log: TextIO, info: EngineInfo) -> None:
    alive = True
    while alive:
        alive = info.alive  # looked at before reading: what it wrote last is still shown
        while line := log.readline():
            sys.stdout.write(line)
        sys.stdout.flush()
        time.sleep(FOLLOW_S)


def take_down(args: argparse.Namespace) -> int:
    """End engines; nothing to end is fine."""
    from agentrt.engine import down

    ended = down(args.url)
    for info in ended:
        print(f"The engine at {info.url} is down")
    if not ended:
        print("No engine is up")
    return 0
