"""The benchmark as a command."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentrt.benchmarks.bfcl.official import CATEGORIES
from agentrt.benchmarks.bfcl.truth import UNACCEPTED
from agentrt.testing import Asked, Reply, ScriptedServer, calls, refuse, say
from agentrt.testing.samples import sample

pytestmark = [pytest.mark.usefixtures("official_environment"), pytest.mark.timeout(300)]

ENTRIES = ("simple_python_0", "simple_java_0", "multi_turn_base_0", "multi_turn_miss_func_0", "multi_turn_base_56")

SOME = ("simple_python", "simple_java", "parallel", "irrelevance", "live_relevance", "multi_turn_miss_func")
"""A category of each way in which ground truth is made a reply, and spoilt."""


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "agentrt", "bench", "bfcl", *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip


async def bench(*arguments: str) -> tuple[int, str]:
    process = await started(*arguments)
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def asking(server: ScriptedServer, out: Path, ids: Sequence[str] = ENTRIES) -> list[str]:
    wanted = {one.rpartition("_")[0] for one in ids}
    return [
        *("--engine", server.url, "--out", str(out)),
        *("--categories", ",".join(sorted(wanted)), "--ids", ",".join(ids)),
    ]


def lines(folder: Path, kind: str) -> dict[str, Any]:
    files = sorted(folder.glob(f"{kind}/*/*/*.json"))
    return {file.name: [json.loads(line) for line in file.read_text().splitlines()] for file in files}


def without_times(found: Mapping[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {
        name: [{key: value for key, value in line.items() if key != "latency"} for line in some]
        for name, some in found.items()
    }


def fickle(asked: Asked) -> Reply:
    """Says, of the same messages, always the same: one or two calls of some tool, none, or one that is not there."""
    number = int(hashlib.sha256(json.dumps(asked.messages, sort_keys=True).encode()).hexdigest(), 16)
    if not asked.tools or number % 4 == 0:
        return say("That is all.")
    if number % 4 == 1:
        return calls(("no_such_function", {"a": number % 7}))
    some = [asked.tools[(number >> shift) % len(asked.tools)]["function"] for shift in (8, 16)]
    return calls(*((one["name"], sample(one["parameters"])) for one in some[: number % 4 - 1]))


class Whole(NamedTuple):
    """A run that nobody disturbed: its folder, what it printed, what it asked."""

    folder: Path
    said: str
    requests: list[Asked]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """All entries, once for all tests."""
    place = tmp_path_factory.mktemp("whole") / "out"
    with ScriptedServer.in_thread(fickle, model="my/model") as server:
        code, said = asyncio.run(bench(*asking(server, place)))
        assert code == 0, said
        return Whole(place, said, [*server.requests])


def test_an_endpoint_is_scored(whole: Whole) -> None:
    """Every entry has its verdict; result and score files are where the official command looks; requests have tools."""
    assert "of 5 entries" in whole.said
    found = lines(whole.folder, "result")
    assert {line["id"] for some in found.values() for line in some} == set(ENTRIES)
    assert (whole.folder / "result/my_model/multi_turn/BFCL_v4_multi_turn_base_result.json").exists()
    scores = lines(whole.folder, "score")
    assert sum(some[0]["total_count"] for some in scores.values()) == 5
    assert all(asked.body["temperature"] == 0 for asked in whole.requests)
    assert {asked.tools[0]["function"]["name"] for asked in whole.requests if len(asked.tools) == 1} == {
        "calculate_triangle_area", "GeometryPresentation_createPresentation",
    }  # fmt: skip


async def test_a_call_that_never_ends_turns_is_stopped(tmp_path: Path) -> None:
    """A model that goes on calling is asked 21 times in a turn, as the official handlers do, and the entry is wrong."""
    async with ScriptedServer(lambda asked: calls(("pwd", {}))) as server:
        code, said = await bench(*asking(server, tmp_path / "out", ["multi_turn_base_0"]))
    assert code == 0, said
    assert len(server.requests) == 21
    ((_, wrong),) = lines(tmp_path / "out", "score").values()
    assert wrong["error"]["error_type"] == "multi_turn:force_terminated"


async def test_calls_that_cannot_be_read_stay_words(tmp_path: Path) -> None:
    """Arguments that are no JSON end the turn; later requests have them as words, which every server takes."""
    async with ScriptedServer(lambda asked: calls(("pwd", '{"a'))) as server:
        code, said = await bench(*asking(server, tmp_path / "out", ["multi_turn_base_0"]))
    assert code == 0, said
    assert len(server.requests) == 4
    answers = [one for one in server.requests[-1].messages if one["role"] == "assistant"]
    assert answers == [{"role": "assistant", "content": 'pwd {"a'}] * 3
    ((line,),) = lines(tmp_path / "out", "result").values()
    assert line["result"] == [[[{"pwd": '{"a'}]]] * 4


async def test_killed_and_gone_on_with_it_comes_to_the_same(whole: Whole, tmp_path: Path) -> None:
    """Killed twice in the middle, the result and score files are those of an undisturbed run, but for the times; what
    the model had answered is not asked again."""
    at_once = 2
    async with ScriptedServer(fickle, model="my/model") as other:
        for seen in (4, 11):
            process = await started(*asking(other, tmp_path / "torn"), "--at-once", str(at_once))
            await other.until(lambda server, seen=seen: len(server.requests) >= seen)
            process.kill()
            await process.communicate()
        code, said = await bench(*asking(other, tmp_path / "torn"), "--at-once", str(at_once))
        assert code == 0, said
    assert without_times(lines(tmp_path / "torn", "result")) == without_times(lines(whole.folder, "result"))
    assert lines(tmp_path / "torn", "score") == lines(whole.folder, "score")
    assert len(other.requests) <= len(whole.requests) + 2 * at_once


async def test_a_failed_run_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    """A server that refuses one entry's prompt costs that entry only; half a character in a reply costs none."""

    def picky(asked: Asked) -> Reply:
        return refuse(400, "no triangles") if "triangle" in asked.last else say("half of a smile: \ud83d")

    async with ScriptedServer(picky) as server:
        code, said = await bench(*asking(server, tmp_path / "out", ENTRIES[:2]))
    assert code == 0, said
    assert "1 done, 1 failed" in said or "1 failed, 1 done" in said
    (line,) = lines(tmp_path / "out", "result")["BFCL_v4_simple_python_result.json"]
    assert line["result"].startswith("Error during inference: Refused:")
    (_, wrong) = lines(tmp_path / "out", "score")["BFCL_v4_simple_python_score.json"]
    assert wrong["error_type"] == "agentrt:run_failed"


@pytest.mark.parametrize(
    ("categories", "options"),
    [(CATEGORIES, ()), (SOME, ("--prompting",)), (SOME, ("--drop",))],
    ids=["truth", "prompting", "drop"],
)
async def test_the_benchmark_checks_itself(
    categories: tuple[str, ...], options: tuple[str, ...], tmp_path: Path
) -> None:
    """The ground truth of an entry of every category is right, and wrong as soon as one thing of it is."""
    wanted = ("--categories", ",".join(categories), "--limit", str(len(categories)), "--out", str(tmp_path / "out"))
    code, said = await bench("--oracle", *options, *wanted)
    assert code == 0, said
    assert f"{len(categories)} done" in said
    accuracy = {some[0]["accuracy"] for some in lines(tmp_path / "out", "score").values()}
    assert accuracy == ({0.0} if "--drop" in options else {1.0})


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("kind", ["fc", "prompting"])
async def test_the_benchmark_checks_all_of_itself(kind: str, drop: bool, tmp_path: Path) -> None:
    """All entries of all categories: right but for those that are known, wrong without exception."""
    options = [*(["--prompting"] if kind == "prompting" else []), *(["--drop"] if drop else [])]
    code, said = await bench("--oracle", *options, "--out", str(tmp_path))
    assert code == 0, said
    wrong = {one["id"] for some in lines(tmp_path, "score").values() for one in some[1:]}
    assert wrong == UNACCEPTED[kind] if not drop else len(wrong) == 4441


async def test_options_that_make_no_sense_are_refused() -> None:
    """A category that is not there is told with those that are."""
    code, said = await bench("--categories", "simple_python,memory_kv")
    assert code != 0
    assert "memory_kv: no category; there are simple_python" in said
    code, said = await bench("--drop")
    assert code != 0
    assert "give --oracle with it" in said
