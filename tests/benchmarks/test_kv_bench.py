"""The KV benchmark: its programs are as large as asked, its numbers are those of what was seen, and all take turns."""

from __future__ import annotations

import asyncio
import gzip
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from agentrt.benchmarks.kv.contest import Row, Score, hold
from agentrt.benchmarks.kv.contestants import CONTESTANTS, REFERENCE, Contestant, Engine, named
from agentrt.benchmarks.kv.engines import Served, Setting, batches, kinds_of, read_metrics
from agentrt.benchmarks.kv.faults import Delayed, Dropped, Random
from agentrt.benchmarks.kv.model import make
from agentrt.benchmarks.kv.plan import Cell, Plan, crossed, standard
from agentrt.benchmarks.kv.plots import bars, lines
from agentrt.benchmarks.kv.probe import Turn, accesses
from agentrt.benchmarks.kv.report import as_json, as_markdown, as_text
from agentrt.benchmarks.kv.runs import Sample, at, once
from agentrt.benchmarks.kv.thunderagent import PerProgram
from agentrt.benchmarks.kv.verdicts import verdicts
from agentrt.benchmarks.kv.workloads import AgentFlow, Beat, Branches, Size, ToolLoops, Workload, recorded_runs
from agentrt.cli import main
from agentrt.engine.model import Model
from agentrt.engine.spec import server_args
from agentrt.executors.hinting import HintChannel
from agentrt.graph.compile import read_template
from agentrt.kvcache.hints import Capability, Hint, Subject
from agentrt.kvcache.simulator.replay import belady, observed
from agentrt.testing import ScriptedServer
from agentrt.types import Message, ModelRequest, ToolSpec, Usage

RUN = [Beat(100 * (turn + 2), "Bash", "pytest", 2.0) for turn in range(25)]
LOOPS, FLOW, BRANCHES = ToolLoops([RUN]), AgentFlow(), Branches()
SIZE = Size(4000, 4, reply=4, time_scale=0.0)
TAKES = Capability(protocol=1, version="test", pool=1 << 20, budget=0.9)


@dataclass
class Here:
    """A scripted server in the place of an engine."""

    url: str
    api_key: str = "key"
    model: str = "scripted"

    def exit_story(self) -> str | None:
        return None


class Emptied(Served):
    """A scripted server is emptied by itself; it remembers how often."""

    flushes = 0
    warmed = 0

    def __init__(self, server: ScriptedServer, client: httpx.Client) -> None:
        super().__init__(Here(server.url), client)
        self.server = server

    def flush(self) -> None:
        self.flushes += 1
        self.server.forget()

    def warm(self) -> None:
        self.warmed += 1


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server that takes hints, echoes, and caches without end."""
    with ScriptedServer.in_thread(takes=TAKES) as running:
        yield running


@pytest.fixture
def engine(server: ScriptedServer) -> Iterator[Emptied]:
    with httpx.Client(base_url=server.url, trust_env=False) as client:
        yield Emptied(server, client)


def run_on(engine: Emptied, workload: Workload, size: Size, contestant: str = REFERENCE) -> Sample:
    [chosen] = [one for one in CONTESTANTS if one.name == contestant]
    return asyncio.run(once(chosen, engine, 1 << 20, workload, size))


# -- workloads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workload", [LOOPS, FLOW, BRANCHES], ids=lambda one: one.name)
def test_a_workload_is_the_same_for_everybody(engine: Emptied, server: ScriptedServer, workload: Workload) -> None:
    """Two runs of one size ask for the same prompts; another seed asks for others."""

    def prompts(size: Size) -> set[tuple[str, ...]]:
        server.requests.clear()
        run_on(engine, workload, size)
        return {one.prompt for one in server.requests}

    first = prompts(SIZE)
    assert prompts(SIZE) == first
    assert not prompts(replace(SIZE, seed=2)) & first


@pytest.mark.parametrize("workload", [LOOPS, BRANCHES], ids=lambda one: one.name)
def test_contexts_together_are_the_working_set(engine: Emptied, server: ScriptedServer, workload: Workload) -> None:
    """The largest contexts of all programs add up to what was asked for, and none is above what the plan counts on."""
    run_on(engine, workload, SIZE)
    largest: dict[str, int] = {}
    for one in server.requests:
        program = one.body["session_id"].partition("/")[0]
        largest[program] = max(largest.get(program, 0), len(one.prompt) + SIZE.reply)
    assert len(largest) == SIZE.programs
    branched = 0.7 if workload is BRANCHES else 0.9  # branches lie beside each other, the session holds one at a time
    assert branched * SIZE.working_set <= sum(largest.values()) <= 1.05 * SIZE.working_set
    assert max(largest.values()) <= workload.largest(SIZE) * 1.05


def test_ten_agents_share_their_prompts_between_workflows(engine: Emptied, server: ScriptedServer) -> None:
    """All workflows use the same ten fixed prompts, which together are the working set."""
    run_on(engine, FLOW, SIZE)
    fixed = {one.messages[0]["content"] for one in server.requests}
    assert len(fixed) == 10
    assert sum(len(one.split()) for one in fixed) == pytest.approx(SIZE.working_set, rel=0.05)
    assert len(server.requests) == SIZE.programs * 30


def test_a_tool_takes_its_recorded_time(engine: Emptied) -> None:
    """Turns wait for tools as long as the recording says, stretched by the time scale."""
    run = [replace(beat, seconds=1.0) for beat in RUN]
    quick, slow = (run_on(engine, ToolLoops([run]), replace(SIZE, time_scale=scale)) for scale in (0.0, 0.02))
    assert min(slow.jobs) >= 9 * 0.02
    assert min(slow.jobs) - min(quick.jobs) < 1.0


def test_a_recording_gives_turns_and_tools(tmp_path: Path) -> None:
    """A recorded run becomes turns with growing prompts and the tools that ran between them."""
    calls = [
        {"t_first": turn * 10.0, "t_last": turn * 10.0 + 1, "input_tokens": 10, "cache_read": 1000 * turn,
         "cache_creation": 500, "output_tokens": 3, "text_chars": 80, "model": "m", "sidechain": False,
         "tool_calls": [{"name": "Bash", "t_start": turn * 10.0 + 1, "t_end": turn * 10.0 + 3, "dur": 2.0,
                         "cmd": "pytest -q", "input_chars": 10, "result_chars": 100, "is_error": False, "id": "x"}]}
        for turn in range(8)
    ]  # fmt: skip
    path = tmp_path / "runs.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps({"set": "s", "task": "t", "attempt": "1", "llm_calls": calls}).encode()))
    [run] = recorded_runs(path, seed=1)
    assert [beat.context for beat in run] == sorted(beat.context for beat in run)
    assert (run[0].tool, run[0].command) == ("Bash", "pytest")
    assert len(recorded_runs(None, seed=1)) > 16


@pytest.mark.parametrize(
    ("name", "program"), [("flow", "agent_flow"), ("loops", "tool_loop"), ("branches", "read_and_ask")]
)
def test_programs_can_be_read_ahead(name: str, program: str) -> None:
    """The measured programs are plain files whose steps agentrt reads from the source, as it does for anybody's."""
    import agentrt.benchmarks.kv.programs as programs

    path = Path(programs.__file__).with_name(f"{name}.py")
    template = read_template(path.read_text(), str(path), program)
    kinds = [node.kind for node in template.nodes]
    assert kinds.count("llm") >= (10 if name == "flow" else 2)
    assert ("tool" in kinds) == (name != "flow")


# -- what is seen of a run -----------------------------------------------------------------------------------


def test_a_run_is_summed_up(engine: Emptied) -> None:
    """With an endless cache nothing is regenerated, every turn is counted, and times are in order."""
    found = run_on(engine, LOOPS, SIZE)
    assert (found.regenerated, found.oracle) == (0, 0)
    assert len(found.first) == SIZE.programs * 10
    assert 0.5 * found.prompt < found.cached < found.prompt
    assert found.p50 <= found.p95 <= max(found.jobs)
    assert found.jobs == found.whole
    assert found.steps == SIZE.programs * 19  # ten turns and nine tools each


def test_the_warm_round_does_not_count(engine: Emptied) -> None:
    """Of ten agents' rounds the first, in which every prompt is new, is not in the completion time."""
    found = run_on(engine, FLOW, replace(SIZE, programs=1))
    assert 0 < found.jobs[0] < found.whole[0]


def test_ours_tells_hints_and_stock_does_not(engine: Emptied, server: ScriptedServer) -> None:
    """Hints come from contestants with a policy alone; a fault in the channel shows in what arrives."""
    run_on(engine, LOOPS, SIZE, "none")
    assert not server.hints
    run_on(engine, LOOPS, SIZE, "hints")
    assert any(hint.ended for hint in server.hints)
    server.hints.clear()
    run_on(engine, LOOPS, SIZE, "dropped")
    assert not server.hints


def test_earlier_programs_get_the_larger_priority(engine: Emptied, server: ScriptedServer) -> None:
    """The stock priority policy is given what a client without a graph could say: the order of arrival."""
    run_on(engine, LOOPS, SIZE, "priority")
    by_program = {one.body["session_id"].partition("/")[0]: one.body["priority"] for one in server.requests}
    assert len(set(by_program.values())) == SIZE.programs


def turn(number: int, *said: str, cached: int, prompt: int) -> Turn:
    messages = tuple(Message("system" if n == 0 else "user", one) for n, one in enumerate(said))
    request = ModelRequest(messages, run="r", session=said[1])
    return Turn(request, Usage(prompt, cached, 4), number, number, number + 0.2, number + 0.5)


def test_prefixes_are_told_from_messages() -> None:
    """What two prompts share is known from their messages: the system's tokens, and all of an earlier prompt."""
    fixed = {Message("system", "s"): 100}
    turns = [
        turn(0, "s", "a", cached=0, prompt=150),
        turn(1, "s", "b", cached=100, prompt=140),
        turn(2, "s", "a", "reply", "more", cached=150, prompt=180),
        turn(3, "s", "b", "reply", "more", cached=100, prompt=200),
    ]
    sequence = accesses(turns, fixed)
    assert [[one.tokens for one in each.path] for each in sequence] == [
        [100, 50],
        [100, 40],
        [100, 50, 30],
        [100, 40, 60],
    ]
    assert sequence[0].path[0] == sequence[3].path[0]
    assert observed(sequence).regenerated == 40
    assert belady(sequence, 10_000).regenerated == 0


async def test_thunderagent_is_told_the_program() -> None:
    """Turns behind the proxy carry their program's name, each program over connections of its own."""
    async with ScriptedServer() as server:
        executor = PerProgram(server.url, "scripted", {"ignore_eos": True})
        for run in ("one", "other", "one"):
            await executor.execute(ModelRequest((Message("user", "hi"),), run=run))
        await executor.close()
    assert [one.body["program_id"] for one in server.requests] == ["one", "other", "one"]
    assert all(one.body["ignore_eos"] for one in server.requests)


class Heard:
    """A channel that keeps what it is told."""

    def __init__(self) -> None:
        self.hints: list[Hint] = []

    async def capability(self) -> Capability:
        return TAKES

    async def send(self, hints: Sequence[Hint]) -> None:
        self.hints += hints

    async def prefix(self, fixed: tuple[Message, ...], tools: tuple[ToolSpec, ...]) -> tuple[int, ...]:
        return (1, 2)


HINT = Hint(subject=Subject("session", "s"), generation=7, steps=1)


async def test_faults_leave_subjects_and_order_alone() -> None:
    """Hints are lost, or say something else of the same subject; the engine's capability stays what it is."""
    lost, drawn = Heard(), Heard()
    channel: HintChannel = Dropped(lost, 1)
    await channel.send([HINT])
    assert await channel.capability() == TAKES
    assert lost.hints == []
    await Random(drawn, 1).send([HINT] * 20)
    assert {(one.subject, one.generation) for one in drawn.hints} == {(HINT.subject, 7)}
    assert len({one.steps for one in drawn.hints}) > 3


async def test_what_is_late_at_the_end_is_lost() -> None:
    """A delayed hint has not come when the run is over, and does not come afterwards."""
    heard = Heard()
    late = Delayed(heard, 1)
    await late.send([HINT])
    await late.close()
    assert heard.hints == []


def test_nearest_rank() -> None:
    """Of 16 programs the 95th percentile is the slowest, of 100 the 95th."""
    assert at(range(1, 17), 0.95) == 16
    assert at(range(1, 101), 0.95) == 95


# -- contests ------------------------------------------------------------------------------------------------

FIRST, SECOND, OURS = named("slru,agentrt")


def test_all_take_turns(server: ScriptedServer, engine: Emptied) -> None:
    """Every round runs each contestant once on an emptied cache, beginning with another one."""
    started: list[list[str]] = []
    heard: list[str] = []

    @contextmanager
    def start(kinds: Sequence[Engine], pool: int, host: float) -> Iterator[dict[str, Served]]:
        started.append([kind.core for kind in kinds])
        yield {kind.key: engine for kind in kinds}

    small = replace(SIZE, working_set=1200, programs=2)
    plan = Plan((Cell(LOOPS, small, 0.5, (FIRST, SECOND, OURS)),), rounds=2, together=2)
    [row] = hold(plan, start, heard.append)
    assert started == [["rust", "rust"], ["rust", "agentrt"]], "two engines at once, the reference in both batches"
    assert [len(score.samples) for score in row.scores] == [2, 2, 2]
    assert engine.flushes == 8  # in each batch two rounds of two
    assert engine.warmed == 4
    assert row.ratio(row.scores[2], over=row.scores[2]) == 1.0


def test_one_failure_leaves_the_others_in(server: ScriptedServer, engine: Emptied) -> None:
    """A contestant that gives no result is named with its reason, and the others go on."""

    class Broken(Emptied):
        def flush(self) -> None:
            if self.flushes == 1:
                from agentrt.errors import StartError

                raise StartError("it would not be emptied", log_tail="")
            super().flush()

    @contextmanager
    def start(kinds: Sequence[Engine], pool: int, host: float) -> Iterator[dict[str, Served]]:
        yield {kinds[0].key: engine, kinds[1].key: Broken(server, engine._client)}

    small = replace(SIZE, working_set=1200, programs=2)
    [row] = hold(Plan((Cell(LOOPS, small, 0.5, (FIRST, OURS)),), rounds=3), start, lambda _: None)
    assert [len(score.samples) for score in row.scores] == [3, 1]
    assert "no result" not in as_text([row], 3, "cpu")
    assert row.scores[1].problem == "it would not be emptied"


def test_batches_share_engines() -> None:
    """Contestants that differ in the client alone share an engine; the reference is in every batch."""
    everybody = named("slru,agentrt,hints,dropped,tlru")
    groups = batches(everybody, 3)
    assert all(group[0].name == REFERENCE for group in groups)
    assert all(len(kinds_of(group)) <= 3 for group in groups)
    assert {one.name for group in groups for one in group} == {one.name for one in everybody}
    assert len(kinds_of(named("agentrt,hints,dropped,random"))) == 2


def sample(mean: float, others: float = 0.0, regenerated: int = 100, oracle: int = 80) -> Sample:
    return Sample((mean, mean), (mean, mean), (mean / 10,), 1000, 500, regenerated, oracle, 1e-4, 4, others=others)


def scored(contestant: Contestant, *means: float) -> Score:
    return Score(contestant, [sample(one) for one in means], [sample(10.0)] * len(means))


def row_of(workload: Workload, size: Size, pressure: float, *scores: Score) -> Row:
    cell = Cell(workload, size, pressure, tuple(one.contestant for one in scores))
    return Row(cell, list(scores))


MANY = replace(SIZE, programs=16, working_set=8000)


def test_ratios_are_to_the_best_stock_policy_of_the_round() -> None:
    """The best stock policy is chosen by its median; ratios are taken within rounds."""
    row = row_of(LOOPS, MANY, 2, scored(FIRST, 10, 10, 10), scored(SECOND, 8, 9, 8), scored(OURS, 4, 9, 6))
    assert row.best is row.scores[1]
    assert row.ratio(row.scores[2]) == pytest.approx(0.75)
    assert row.ratio(row.scores[2], over=row.reference) == pytest.approx(0.6)


def test_promises_are_held_against_what_was_measured() -> None:
    """Each promise speaks of its own cells and says met or MISSED."""
    slow = row_of(LOOPS, MANY, 2, scored(FIRST, 10), scored(OURS, 7.5))
    good = row_of(LOOPS, MANY, 4, scored(FIRST, 10), scored(OURS, 5))
    found = {(one.promise, one.cell): one.met for one in verdicts([slow, good])}
    assert found["many programs: mean completion", "loops 16 x2"] is False
    assert found["many programs: mean completion", "loops 16 x4"] is True
    assert found["regenerated tokens over Bélády's", "loops 16 x2"] is False  # 100 over 80
    assert found["µs CPU a step for hints", "loops 16 x2"] is True  # 100 µs for 4 steps


def test_no_tokens_to_regenerate_is_no_promise_kept() -> None:
    """Where Bélády's order regenerates nothing the ratio has no meaning, and the report says so."""
    score = Score(OURS, [sample(5, regenerated=3, oracle=0)], [sample(10)])
    row = row_of(LOOPS, MANY, 2, scored(FIRST, 10), score)
    [found] = [one for one in verdicts([row]) if "Bélády" in one.promise]
    assert found.met is None
    assert "no meaning here" in as_text([row], 1, "cpu")


def test_reports_say_the_same() -> None:
    """Text, Markdown and JSON name every contestant and ratio; a failed one stands with its reason."""
    failed = Score(SECOND, problem="it broke")
    row = row_of(LOOPS, MANY, 2, scored(FIRST, 10, 12), failed, scored(OURS, 5, 6))
    text, markdown, plain = as_text([row], 2, "cpu"), as_markdown([row], 2, "cpu"), as_json([row], 2, "cpu")
    assert "no result: it broke" in text
    assert "| agentrt | 5.50 |" in markdown
    ours = plain["cells"][0]["contestants"][2]
    assert ours["mean_over_best_stock"] == 0.5
    assert [one["mean"] for one in ours["rounds"]] == [5, 6]
    assert json.dumps(plain)


def test_pictures_are_svg() -> None:
    """Bars stand for every contestant with a result; lines are drawn where several pressures were run."""
    rows = [
        row_of(LOOPS, MANY, pressure, scored(FIRST, 10), scored(OURS, 10 / pressure), Score(SECOND, problem="<broken>"))
        for pressure in (0.5, 2, 4)
    ]
    picture = ET.fromstring(bars(rows))
    assert len(picture.findall(".//{*}rect")) == 1 + 6
    assert ET.fromstring(lines(rows)).tag.endswith("svg")
    assert lines(rows[:1]) == ""


# -- plans and options ---------------------------------------------------------------------------------------


def test_the_standard_plan_fits() -> None:
    """Every row of the table has a pool that its largest context fits into, and the reference first."""
    rows = standard({"loops": LOOPS, "flow": FLOW, "branches": BRANCHES}, Size(8000, 16))
    assert all(cell.fits for cell in rows)
    assert {cell.contestants[0].name for cell in rows} == {REFERENCE, "hicache"}
    assert sum(cell.host > 0 for cell in rows) == 2


def test_what_cannot_fit_is_left_out() -> None:
    """One program whose context is the working set has no place in half of it."""
    found = crossed([LOOPS], SIZE, [1, 16], [0.5, 2, 4], named("agentrt"))
    assert [cell.name for cell in found] == ["loops 1 fits", "loops 16 fits", "loops 16 x2", "loops 16 x4"]
    hosts = crossed([LOOPS], SIZE, [16], [2], named("host"))
    assert [[one.name for one in cell.contestants] for cell in hosts if cell.host] == [["hicache", "host"]] * 2


def test_stock_engines_are_given_their_policy() -> None:
    """A contestant's policy and host tier reach the server's arguments; the tail-optimised one is scaled."""
    setting = Setting("cpu", "m", 8192, 8000, {})
    [tlru] = [one for one in CONTESTANTS if one.name == "tlru"]
    args = server_args(setting.spec(tlru.engine, 4000, 0), "cpu", Model("m", "m"), 1, "k")
    assert args["radix_eviction_policy"] == "tlru"
    assert args["radix_eviction_policy_config"] == {"threshold": 125, "next_prompt_estimate": 50}
    assert "enable_hierarchical_cache" not in args
    [hicache] = [one for one in CONTESTANTS if one.name == "hicache"]
    assert setting.spec(hicache.engine, 4000, 1.5).host_tier_ratio == 1.5


def test_metrics_are_summed_over_processes() -> None:
    """Samples of the same name and of our own labels are added up; buckets are left out."""
    text = (
        '# HELP x\nsglang:evicted_tokens_total{rank="0"} 3.0\nsglang:evicted_tokens_total{rank="1"} 4.0\n'
        'agentrt_kv_hints_total{outcome="accepted",rank="0"} 5\nsglang:cache_x_bucket{le="1"} 9\nother 1\n'
    )
    assert read_metrics(text) == {"sglang:evicted_tokens_total": 7.0, 'agentrt_kv_hints_total{outcome="accepted"}': 5.0}


def test_a_model_of_a_shape_is_made_of_a_tokenizer(tmp_path: Path) -> None:
    """The folder for random weights has the wanted sizes and the tokenizer it was given."""
    source = tmp_path / "small"
    source.mkdir()
    (source / "config.json").write_text('{"hidden_size": 8, "vocab_size": 100, "architectures": ["LlamaForCausalLM"]}')
    (source / "tokenizer.json").write_text("{}")
    folder = make("8b", source, tmp_path)
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    assert (config["hidden_size"], config["num_hidden_layers"], config["vocab_size"]) == (4096, 32, 100)
    assert (folder / "tokenizer.json").exists()


def test_a_forecast_knows_when_policies_tie(capsys: pytest.CaptureFixture[str]) -> None:
    """Where everything fits no policy differs; under pressure none regenerates less than Bélády's order."""
    assert main(["bench", "kv", "--simulate", "--programs", "8", "--pressure", "none,2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {one["over_lru"] for one in found if one["pressure"] < 1} == {1.0}
    pressed = [one for one in found if one["pressure"] > 1]
    assert all(one["oracle"] <= one["regenerated"] for one in pressed)
    assert {one["policy"] for one in pressed} >= {"lru", "agentrt", "kvflow", "truth"}
    assert len({one["over_lru"] for one in pressed}) > 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--contestants", "lru,best"], "no contestant is called 'best'"),
        (["--workloads", "loop"], "no workload is called 'loop'"),
        (["--pressure", "heavy"], "--pressure 'heavy': expected none or a number"),
        (["--programs", "0"], "--programs '0': expected numbers of programs"),
        (["--programs", "1", "--pressure", "4", "--workloads", "loops"], "in no pool is there room for a context"),
        (["--rounds", "0"], "--rounds 0: expected 1 or more"),
        (["--trace", "nowhere.jsonl"], "cannot read the trace nowhere.jsonl"),
        (["--contestants", "thunderagent"], "needs --thunderagent DIR"),
        (["--thunderagent", "nowhere"], "no ThunderAgent/__main__.py there"),
    ],
)
def test_options_that_cannot_be_used(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line and exit code 2, before any engine is started."""
    assert main(["bench", "kv", "--live", *options]) == 2
    assert said in capsys.readouterr().err
