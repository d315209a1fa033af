"""The overhead benchmark: fair rounds, honest entrants, and what it says about them. No figure is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from agentrt.benchmarks.overhead import contest, sheet, table
from agentrt.benchmarks.overhead.contest import FLOORS, OURS, PEERS, Contender, ContenderFailed, Plan, Score, hold
from agentrt.benchmarks.overhead.contract import SHAPES, Entrant, Job, Skew, noop
from agentrt.benchmarks.overhead.worker import Figure, Order, Report, measure
from agentrt.cli import main
from agentrt.errors import ConfigError

SMALL = Skew(chains=2, length=2, fast=0.001, slow=0.002)


def report(cpu: float, steps: int = 1000) -> Report:
    """A report whose shapes all cost that many seconds."""
    return Report({shape: Figure(steps, cpu, 0.3, 0.24) for shape in SHAPES}, 0.1, 40.0)


@pytest.mark.parametrize("contender", [*FLOORS, OURS, *PEERS], ids=lambda one: one.name)
def test_every_entrant_runs_every_step_of_its_shapes(contender: Contender) -> None:
    """In a process of its own each entrant that is installed runs all shapes that it has, step for step."""
    if contender.version is None:
        pytest.skip(f"{contender.package} is not installed")
    [score] = hold(Plan((contender,), steps=20, rounds=1, skew=SMALL), lambda _: None)
    assert score.problem == ""
    assert set(SHAPES) - {"dense"} <= set(score.reports[0].figures)
    assert all(figure.cpu > 0 for figure in score.reports[0].figures.values())


class Lazy(Entrant):
    """Leaves a step out."""

    def chain(self, steps: int) -> Job:
        async def job() -> None:
            for _ in range(steps - 1):
                await noop()

        return job


async def test_an_entrant_that_leaves_steps_out_is_found_out() -> None:
    """A run of fewer steps than ordered is an error, not a good figure."""
    with pytest.raises(RuntimeError, match="99 steps ran, expected 100"):
        await measure(Lazy(), Order("lazy", ("chain",), 100, SMALL))


async def test_shapes_without_meaning_are_left_out() -> None:
    """A shape that the entrant does not build is no figure and no error."""

    class Honest(Entrant):
        def chain(self, steps: int) -> Job:
            async def job() -> None:
                for _ in range(steps):
                    await noop()

            return job

    figures = await measure(Honest(), Order("honest", SHAPES, 10, SMALL))
    assert list(figures) == ["chain"]


def test_rounds_are_interleaved() -> None:
    """Every round runs each contender once, so that a busy moment hits all alike."""
    seen: list[str] = []

    def note(order: Order) -> Report:
        seen.append(order.entrant)
        return report(0.01)

    scores = hold(Plan((FLOORS[0], OURS), rounds=3), lambda _: None, note)
    assert seen == ["floor", "ours"] * 3
    assert [len(score.reports) for score in scores] == [3, 3]


def test_one_that_fails_is_left_out_and_named() -> None:
    """A contender whose process fails is not run again; the others go on, and the table says why."""

    def measure(order: Order) -> Report:
        if order.entrant == "floor":
            raise ContenderFailed("ImportError: no")
        return report(0.01)

    plan = Plan((FLOORS[0], OURS), rounds=2)
    scores = hold(plan, lambda _: None, measure)
    assert [len(score.reports) for score in scores] == [0, 2]
    assert "asyncio alone: failed: ImportError: no" in table.remarks(plan, scores)
    assert [row[0] for row in table.rows(plan, scores)] == ["agentrt"]


def test_one_that_is_not_installed_is_named_with_the_way_out() -> None:
    """A peer that is missing is listed with what to install, and never started."""
    missing = Contender("ghost", "ghost", "agentrt-no-such-package")
    plan = Plan((OURS, missing), rounds=1)
    scores = hold(plan, lambda _: None, lambda _: report(0.01))
    assert scores[1].reports == []
    [line] = [line for line in table.remarks(plan, scores) if line.startswith("ghost")]
    assert line == (
        "ghost: not installed (pip install agentrt-no-such-package, or all peers: pip install 'agentrt[peers]')"
    )


def test_a_process_that_dies_is_told_by_its_last_words() -> None:
    """The error of an entrant's process is the last line it wrote."""
    with pytest.raises(ContenderFailed, match=r"No module named .*entrants\.nobody"):
        contest.in_fresh_process(Order("nobody", ("chain",), 10, SMALL))


def test_slow_peers_run_fewer_steps_and_the_table_says_so() -> None:
    """``most_steps`` bounds an order, and its row is marked."""
    slow = replace(OURS, name="slow", most_steps=100)
    plan = Plan((OURS, slow))
    assert plan.order(slow).steps == 100
    scores = [Score(OURS, "1", [report(0.01)]), Score(slow, "2", [report(0.01, 100)])]
    assert [row[0] for row in table.rows(plan, scores)] == ["agentrt", "slow (n=100)"]


def pair(ours: list[float], theirs: list[float]) -> list[Score]:
    """Scores of agentrt and one peer, a round each."""
    return [
        Score(OURS, "1", [report(cpu) for cpu in ours]),
        Score(PEERS[0], "2", [report(cpu) for cpu in theirs]),
    ]


def test_ratios_are_medians_over_rounds() -> None:
    """A ratio compares the same round, so that a slow round cancels out."""
    ours, theirs = pair([0.01, 0.02, 0.01], [0.03, 0.06, 0.9])
    assert theirs.ratio(ours, "chain") == pytest.approx(3.0)
    assert theirs.cpu_per_step("chain") == pytest.approx(60.0)
    assert ours.cpu_per_step("wide") == pytest.approx(10.0)
    assert ours.stretch(Skew(chains=1, length=1, fast=0.2, slow=0.1)) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (0.012, 0.024, "chain: 12.0 µs CPU a step, target 20: met; all 1 peers are slower, the nearest is burr (2x)"),
        (0.030, 0.024, "chain: 30.0 µs CPU a step, target 20: MISSED; FASTER: burr"),
    ],
)
def test_verdicts_say_met_or_missed(ours: float, theirs: float, expected: str) -> None:
    """The verdict names the target, and the peer that is nearest or ahead."""
    assert table.remarks(Plan((OURS, PEERS[0])), pair([ours], [theirs]))[0] == expected


def test_floors_are_no_peers() -> None:
    """asyncio alone is faster, and that is no verdict on anybody."""
    scores = [Score(FLOORS[0], "", [report(0.004)]), Score(OURS, "1", [report(0.01)])]
    assert table.remarks(Plan((FLOORS[0], OURS)), scores)[0].endswith("target 20: met; no peer took part")


def test_markdown_has_a_row_for_each_and_the_environment() -> None:
    """The Markdown stands alone: table, verdicts, machine."""
    plan = Plan((OURS, PEERS[0]))
    lines = sheet.markdown(table.sheet(plan, pair([0.01], [0.05]))).splitlines()
    assert lines[0] == (
        "| CPU µs a step (times agentrt) | version | chain | wide | layered | dense | "
        "skewed, best time / critical path | peak MiB |"
    )
    assert lines[2] == "| agentrt | 1 | 10.0 | 10.0 | 10.0 | 10.0 | 1.200 | 40 |"
    assert lines[3] == "| burr | 2 | 50.0 (5x) | 50.0 (5x) | 50.0 (5x) | 50.0 (5x) | 1.200 | 40 |"
    assert "python 3." in lines[-1]


def test_json_can_be_read_back() -> None:
    """``--json`` holds every figure, the plan and the machine."""
    plan = Plan((OURS, PEERS[0]), rounds=1)
    data = json.loads(json.dumps(table.as_json(plan, pair([0.01], [0.05]))))
    assert data["steps"] == 1000
    assert data["critical_path_seconds"] == pytest.approx(0.2)
    assert set(data["environment"]) == {"python", "system", "cpu", "cores"}
    burr = data["contenders"][1]
    assert burr["shapes"]["chain"] == {
        "cpu_us_per_step": pytest.approx(50.0),
        "wall_us_per_step": pytest.approx(300.0),
        "cpu_ratio_to_agentrt": pytest.approx(5.0),
    }


def test_peers_are_chosen_by_name() -> None:
    """``all``, ``none`` and lists work, floors and agentrt always take part, unknown names are refused by name."""
    always = [*(floor.name for floor in FLOORS), "agentrt"]
    assert [one.name for one in contest.chosen("none")] == always
    assert [one.name for one in contest.chosen("burr, dask")] == [*always, "burr", "dask"]
    assert len(contest.chosen("all")) == len(always) + len(PEERS)
    with pytest.raises(ConfigError, match="no peer is called 'nobody'; there are: burr, "):
        contest.chosen("nobody")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--steps", "15"], "agentrt: --steps 15: expected a multiple of 10"),
        (["--rounds", "0"], "agentrt: --rounds 0: expected 1 or more"),
        (["--shapes", "round"], "agentrt: no shape is called 'round'; there are: chain, wide"),
        (["--peers", "x,y"], "agentrt: no peer is called 'x', 'y'; there are:"),
    ],
)
def test_bad_options_get_one_line(options: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option that cannot be used ends with status 2 and one line that names it."""
    assert main(["bench", "overhead", *options]) == 2
    said = capsys.readouterr().err
    assert said.startswith(expected)
    assert said.count("\n") == 1


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A small contest from the command line to its JSON."""
    small = ["--steps", "20", "--rounds", "1", "--peers", "none", "--shapes", "chain,wide"]
    assert main(["bench", "overhead", *small, "--json"]) == 0
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in data["contenders"]] == ["asyncio alone", "own networkx loop", "agentrt"]
    assert set(data["contenders"][2]["shapes"]) == {"chain", "wide"}


def test_help_needs_nothing_heavy() -> None:
    """Importing the command, as ``--help`` does, imports neither rich nor networkx nor any peer."""
    code = (
        "import sys; import agentrt.benchmarks.overhead as it; "
        "print(sorted({'rich', 'networkx', 'pydantic', 'httpx', 'burr', 'langgraph'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_skewed_graph_hides_its_slow_step() -> None:
    """The slow step is shorter than the chains beside it, so only a barrier makes it count."""
    skew = Skew()
    assert skew.steps == 101
    assert skew.critical_path == pytest.approx(0.2)
    with_barriers = skew.slow + (skew.length - 1) * skew.fast
    assert with_barriers / skew.critical_path == pytest.approx(1.4)
