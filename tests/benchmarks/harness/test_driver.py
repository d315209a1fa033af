"""Entries in, outcomes out: each once, many at once, whatever befalls them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentrt.benchmarks.harness.driver import LATE, Settings, run_entries, run_id
from agentrt.benchmarks.harness.entries import Entry, Outcome
from agentrt.benchmarks.harness.folder import RESULTS, Folder
from agentrt.benchmarks.harness.serving import served
from agentrt.errors import ConfigError, Refused, Unreachable
from agentrt.executors import connect
from agentrt.store import Journal, archive
from agentrt.testing import Asked, Reply, ScriptedServer, break_off, refuse, say
from tests.benchmarks.harness.toy import AT_ONCE, answer, entries, replies

QUICK = Settings(at_once=AT_ONCE, timeout=60)


class Heard:
    """A watcher that keeps what it was told."""

    def __init__(self) -> None:
        self.expected: tuple[int, int] = (0, 0)
        self.begins: list[str] = []
        self.ends: list[str] = []

    def expects(self, entries: Sequence[Entry], finished: Mapping[str, Outcome]) -> None:
        """See ``Watcher``."""
        self.expected = (len(entries), len(finished))

    def begun(self, entry: Entry) -> None:
        """See ``Watcher``."""
        self.begins.append(entry.id)

    def ended(self, outcome: Outcome) -> None:
        """See ``Watcher``."""
        self.ends.append(outcome.entry)


async def go(
    place: Path, wanted: Sequence[Entry], url: str, settings: Settings = QUICK, heard: Heard | None = None
) -> list[Outcome]:
    """Run the toy into the folder of that path."""
    place.mkdir(exist_ok=True)
    return await run_entries(Folder(place), wanted, answer, connect(url), settings, heard or Heard())


def told(outcomes: Sequence[Outcome]) -> list[tuple[str, str, str, object, str | None]]:
    """All that does not depend on time."""
    return [(one.entry, one.category, one.status, one.output, one.error) for one in outcomes]


def noted(ledger: Path) -> Counter[str]:
    """How often each step of each question was run."""
    return Counter(ledger.read_text().splitlines())


async def test_all_entries_finish_in_their_order(tmp_path: Path) -> None:
    """Outcomes come in the order of the entries, each is on disk once, and the watcher heard of each."""
    ledger, heard = tmp_path / "ledger", Heard()
    async with ScriptedServer(replies) as server:
        found = await go(tmp_path / "a", entries(7, ledger), server.url, heard=heard)
    assert [one.entry for one in found] == [f"toy-{number}" for number in range(7)]
    assert found[2].output == "[question 2 turn 0][question 2 turn 1]"
    assert {one.status for one in found} == {"done"}
    assert len((tmp_path / "a" / RESULTS).read_text().splitlines()) == 7
    assert Folder(tmp_path / "a").outcomes() == {one.entry: one for one in found}
    assert heard.expected == (7, 0)
    assert sorted(heard.begins) == sorted(heard.ends) == sorted(one.entry for one in found)


async def test_measures_are_of_the_run(tmp_path: Path) -> None:
    """Steps, turns, tools and tokens are counted as the program did them."""
    async with ScriptedServer(replies) as server:
        [found] = await go(tmp_path / "a", entries(1, tmp_path / "ledger"), server.url)
    took = found.measures
    assert (took.turns, took.tools, len(took.first)) == (2, 2, 2)
    assert took.prompt > took.cached > 0
    assert took.completion == 8  # two replies of four words
    assert 0 < took.model_s < took.seconds


async def test_so_many_run_at_once(tmp_path: Path) -> None:
    """As many as ``at_once`` are under way together, and no more."""
    gate = asyncio.Event()

    async def held(asked: Asked) -> Reply:
        await gate.wait()
        return replies(asked)

    async with ScriptedServer(held) as server:
        going = asyncio.create_task(go(tmp_path / "a", entries(8, tmp_path / "ledger"), server.url))
        await server.until(lambda one: one.in_flight == AT_ONCE)
        gate.set()
        await going
        assert server.peak == AT_ONCE


async def test_failures_are_outcomes(tmp_path: Path) -> None:
    """An entry that raises, and one that hangs, are told as such; the others are done."""
    wanted = entries(4, tmp_path / "ledger", {1: "raise", 2: "hang"})
    async with ScriptedServer(replies) as server:
        found = await go(tmp_path / "a", wanted, server.url, replace(QUICK, timeout=1.0))
    assert [one.status for one in found] == ["done", "failed", "cancelled", "done"]
    assert "ValueError" in str(found[1].error)
    assert "the toy broke" in str(found[1].error)
    assert f"{LATE} 1 s" in str(found[2].error)
    assert found[2].measures.seconds >= 1.0


async def test_a_finished_folder_runs_nothing(tmp_path: Path) -> None:
    """Going on with all finished asks nobody and gives the same, failures too."""
    wanted = entries(3, tmp_path / "ledger", {1: "raise"})
    async with ScriptedServer(replies) as server:
        first = await go(tmp_path / "a", wanted, server.url)
        asked = len(server.requests)
        heard = Heard()
        again = await go(tmp_path / "a", wanted, server.url, heard=heard)
        assert len(server.requests) == asked
    assert again == first
    assert (heard.expected, heard.begins) == ((3, 3), [])


@pytest.mark.parametrize("trouble", [None, "raise", "hang"])
async def test_an_ended_run_without_its_line_is_not_run_again(tmp_path: Path, trouble: str | None) -> None:
    """Killed between the end of a run and its line, an entry takes its outcome from the journal."""
    wanted = entries(1, tmp_path / "ledger", {} if trouble is None else {0: trouble})
    settings = replace(QUICK, timeout=1.0)
    async with ScriptedServer(replies) as server:
        first = await go(tmp_path / "a", wanted, server.url, settings)
        (tmp_path / "a" / RESULTS).unlink()
        again = await go(tmp_path / "a", wanted, server.url, settings)
    assert told(again) == told(first)
    assert set(noted(tmp_path / "ledger").values()) == {1}


async def test_a_torn_line_is_no_line(tmp_path: Path) -> None:
    """Half a line is cut off, its entry taken from the journal, and the file whole again."""
    wanted = entries(3, tmp_path / "ledger")
    file = tmp_path / "a" / RESULTS
    async with ScriptedServer(replies) as server:
        first = await go(tmp_path / "a", wanted, server.url)
        file.write_bytes(file.read_bytes()[:-25])
        assert len(Folder(tmp_path / "a").outcomes()) == 2
        again = await go(tmp_path / "a", wanted, server.url)
    assert told(again) == told(first)
    assert len(file.read_text().splitlines()) == 3
    assert set(noted(tmp_path / "ledger").values()) == {1}


async def test_a_cancelled_benchmark_finishes_nothing_and_goes_on(tmp_path: Path) -> None:
    """What ran when it was cancelled has no line; going on repeats no step that was finished."""
    wanted, gate = entries(6, tmp_path / "ledger"), asyncio.Event()

    async def held(asked: Asked) -> Reply:
        if asked.last.endswith("turn 1"):
            await gate.wait()
        return replies(asked)

    async with ScriptedServer(held) as server:
        going = asyncio.create_task(go(tmp_path / "a", wanted, server.url))
        await server.until(lambda one: sum(asked.last.endswith("turn 1") for asked in one.requests) == AT_ONCE)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert Folder(tmp_path / "a").outcomes() == {}
        async with Journal(tmp_path / "a" / "runs.db") as journal, journal.connect() as connection:
            assert {row.status for row in await archive.list_runs(connection)} == {"cancelled"}
        gate.set()
        found = await go(tmp_path / "a", wanted, server.url)
    assert {one.status for one in found} == {"done"}
    assert set(noted(tmp_path / "ledger").values()) == {1}


async def test_an_engine_that_is_gone_stops_the_benchmark(tmp_path: Path) -> None:
    """Entries do not fail because the engine does: it stops, and the next time it goes on."""
    wanted = entries(4, tmp_path / "ledger")
    async with ScriptedServer(replies) as server, served(server.url, None) as here:
        settings = replace(QUICK, at_once=1, teller=here.teller)
        await run_entries(Folder(tmp_path / "a"), wanted[:1], answer, here.models, settings, Heard())
        await server.stop()
        with pytest.raises(Unreachable, match="does not answer any more"):
            await run_entries(Folder(tmp_path / "a"), wanted, answer, here.models, settings, Heard())
    assert [*Folder(tmp_path / "a").outcomes()] == ["toy-0"]
    async with ScriptedServer(replies) as server:
        found = await go(tmp_path / "a", wanted, server.url)
    assert {one.status for one in found} == {"done"}
    assert set(noted(tmp_path / "ledger").values()) == {1}


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_an_engine_that_refuses_everything_stops_the_benchmark(tmp_path: Path, status: int) -> None:
    """A wrong key, a model's name that it has not, a fault of its own: no entry is wrong for it, and all goes on."""
    wanted, well = entries(3, tmp_path / "ledger"), asyncio.Event()

    def answers(asked: Asked) -> Reply:
        return replies(asked) if well.is_set() else refuse(status, "nothing for nobody")

    async with ScriptedServer(answers) as server, served(server.url, None) as here:
        settings = replace(QUICK, teller=here.teller)
        with pytest.raises(Unreachable, match=r"does not answer any more: .*nothing for nobody"):
            await run_entries(Folder(tmp_path / "a"), wanted, answer, here.models, settings, Heard())
        assert Folder(tmp_path / "a").outcomes() == {}
        well.set()
        found = await run_entries(Folder(tmp_path / "a"), wanted, answer, here.models, settings, Heard())
    assert {one.status for one in found} == {"done"}
    assert set(noted(tmp_path / "ledger").values()) == {1}


async def test_an_engine_that_has_enough_stops_the_benchmark(tmp_path: Path) -> None:
    """Too many requests are no entry's fault, though one more would be answered."""
    wanted, scarce = entries(3, tmp_path / "ledger"), asyncio.Event()

    def answers(asked: Asked) -> Reply:
        return replies(asked) if scarce.is_set() or "question 1" not in asked.last else refuse(429, "slow down")

    async with ScriptedServer(answers) as server, served(server.url, None) as here:
        settings = replace(QUICK, teller=here.teller)
        with pytest.raises(Refused, match=r"slow down.*smaller --at-once"):
            await run_entries(Folder(tmp_path / "a"), wanted, answer, here.models, settings, Heard())
        scarce.set()
        found = await run_entries(Folder(tmp_path / "a"), wanted, answer, here.models, settings, Heard())
    assert {one.status for one in found} == {"done"}


async def test_a_request_that_the_engine_does_not_bear_is_its_entrys_failure(tmp_path: Path) -> None:
    """Where the engine answers otherwise, an entry whose request breaks off, or is refused, has failed."""

    def breaks(asked: Asked) -> Reply:
        refused = refuse(400, "no") if "question 2" in asked.last else replies(asked)
        return break_off() if "question 1" in asked.last else refused

    async with ScriptedServer(breaks) as server, served(server.url, None) as here:
        settings = replace(QUICK, teller=here.teller)
        found = await run_entries(
            Folder(tmp_path / "a"), entries(3, tmp_path / "ledger"), answer, here.models, settings, Heard()
        )
    assert [one.status for one in found] == ["done", "failed", "failed"]


async def test_entries_begin_when_they_arrive(tmp_path: Path) -> None:
    """What arrives later begins later, counted from the first that is left."""
    early, late = entries(2, tmp_path / "ledger")
    heard = Heard()
    async with ScriptedServer(replies) as server:
        wanted = [replace(late, arrives=100.3), replace(early, arrives=100.0)]
        await go(tmp_path / "a", wanted, server.url, heard=heard)
    assert heard.begins == ["toy-0", "toy-1"]


async def test_two_entries_of_one_id_are_refused(tmp_path: Path) -> None:
    """Ids name runs, so each entry needs its own."""
    async with ScriptedServer() as server:
        with pytest.raises(ConfigError, match="'toy-0'"):
            await go(tmp_path / "a", entries(1, tmp_path / "l") * 2, server.url)


async def test_nothing_to_run_is_no_failure(tmp_path: Path) -> None:
    """No entries, no outcomes, and no journal."""
    assert await go(tmp_path / "a", [], "http://127.0.0.1:9") == []
    assert not (tmp_path / "a" / "runs.db").exists()


async def test_a_reply_differs_when_the_question_does(tmp_path: Path) -> None:
    """The toy can fail: another answer of the model is another outcome."""
    async with ScriptedServer(lambda asked: say("other")) as server:
        [found] = await go(tmp_path / "a", entries(1, tmp_path / "ledger"), server.url)
    assert found.output == "otherother"


@settings(deadline=None)
@given(st.lists(st.text(max_size=80), unique=True, max_size=30))
def test_runs_of_different_entries_have_different_names(ids: list[str]) -> None:
    """Whatever the field calls its entries, their runs' names are short, plain and their own."""
    names = [run_id(Entry(one, "any")) for one in ids]
    assert len(set(names)) == len(ids)
    assert all(len(name) <= 60 and name[0].isalnum() and name != "last" for name in names)
    assert all(one.isalnum() or one in "_.-" for name in names for one in name)
