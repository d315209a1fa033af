"""Hostile tools: each is contained, told for what it did, and the box serves the next command (see ``box``)."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from agentrt.executors.sandbox import Finished, Sandbox, Way, interpreter_folders
from tests.executors.sandbox.conftest import SMALL, processes_with

Python = Callable[..., Awaitable[Finished]]


async def test_a_fork_bomb_is_ended_for_its_processes(box: Sandbox) -> None:
    """A fork bomb is told from other ends, and no process of it is left."""
    done = await box.run("bomb() { bomb | bomb & bomb; }; bomb # a-fork-bomb", timeout=30)
    assert done.killed_by == "processes"
    assert processes_with("a-fork-bomb") == []


async def test_many_threads_count_as_processes(python: Python) -> None:
    """Threads are bounded like processes."""
    done = await python("""
        import threading, time
        for _ in range(1000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        time.sleep(60)
    """)
    assert done.killed_by == "processes" or "can't start new thread" in done.err


async def test_a_huge_file_stops_at_the_limit(box: Sandbox, work: Path) -> None:
    """10 GB are not written; the writer is ended."""
    done = await box.run("exec dd if=/dev/zero of=big bs=1M count=10000", timeout=60)
    assert done.killed_by == "disk"
    assert (work / "big").stat().st_size <= SMALL.disk + 4096
    (work / "big").unlink()


async def test_many_files_together_stop_at_the_limit(box: Sandbox, work: Path) -> None:
    """The folder's growth counts, not only the largest file; a full box can still be cleaned up from inside."""
    done = await box.run(
        "for n in $(seq 1000); do dd if=/dev/zero of=part$n bs=1M count=8 status=none; done", timeout=60
    )
    assert done.killed_by == "disk"
    assert sum(file.stat().st_size for file in work.iterdir()) < 8 * SMALL.disk
    again = await box.run("ls | wc -l && rm -f part* && ls", timeout=60)
    assert (again.killed_by, again.out.split()[1:]) == ("", ["kept.txt"])


async def test_filling_tmp_stops_at_the_limit(box: Sandbox) -> None:
    """The box's own ``/tmp`` counts like its work folder."""
    done = await box.run("for n in 1 2 3 4 5 6; do head -c 20000000 /dev/zero > /tmp/$n; done; rm /tmp/*", timeout=60)
    assert done.killed_by == "disk"
    await box.run("rm -f /tmp/*")


async def test_files_without_a_name_count(python: Python) -> None:
    """What is deleted and held open is found."""
    done = await python("""
        import os, time
        held = []
        for n in range(20):
            held.append(open(f"gone{n}", "wb")); os.unlink(f"gone{n}")
            held[-1].write(bytes(8 << 20)); held[-1].flush()
        time.sleep(60)
    """)
    assert done.killed_by == "disk"


async def test_a_hundred_thousand_files_stop_at_the_limit(python: Python, box: Sandbox) -> None:
    """Files are bounded in number too."""
    done = await python("""
        for n in range(100_000):
            open(f"file{n}", "w").close()
    """, timeout=60)  # fmt: skip
    assert done.killed_by == "disk"
    await box.run("find . -name 'file*' -delete", timeout=60)


async def test_a_closed_folder_hides_nothing(box: Sandbox, python: Python) -> None:
    """A folder that nobody may read is counted by what the file system lost."""
    done = await python("""
        import os, time
        os.mkdir("closed"); os.chdir("closed"); os.chmod(".", 0o300)
        for n in range(20):
            open(f"part{n}", "wb").write(bytes(8 << 20))
        time.sleep(60)
    """)
    assert done.killed_by == "disk"
    await box.run("chmod 700 closed; rm -rf closed")


async def test_a_memory_hog_is_ended_for_its_memory(python: Python) -> None:
    """Memory that grows past the limit ends the box."""
    done = await python("""
        held = []
        while True:
            held.append(b"x" * (1 << 20))
    """)
    assert done.killed_by == "memory"
    assert done.peak_memory >= SMALL.memory


async def test_memory_of_many_processes_counts_together(python: Python) -> None:
    """A limit is the box's, not each process's."""
    done = await python("""
        import os, time
        for _ in range(6):
            if os.fork() == 0:
                held = b"x" * (60 << 20); time.sleep(60)
        time.sleep(60)
    """)
    assert done.killed_by == "memory"


async def test_memory_that_belongs_to_no_process_is_refused_or_counted(python: Python) -> None:
    """What the watch could not see is either counted by the kernel or not to be had."""
    done = await python("""
        import os
        held = []
        for _ in range(100):
            held.append(os.memfd_create("x")); os.write(held[-1], bytes(8 << 20))
        print("had it")
    """)
    assert done.killed_by == "memory" or "not implemented" in done.err


async def test_shared_memory_is_bounded(box: Sandbox) -> None:
    """``/dev/shm`` is small."""
    done = await box.run("head -c 1000000000 /dev/zero > /dev/shm/x", timeout=30)
    assert done.code != 0 or done.killed_by


@pytest.mark.parametrize("text", ["yes", "head -c 100000000 /dev/zero; sleep 60", "yes >&2"])
async def test_endless_output_is_ended(box: Sandbox, text: str) -> None:
    """Output without end, with or without lines, on either stream: its beginning and end are kept, the rest is not."""
    done = await box.run(text, timeout=60)
    assert (done.killed_by, done.truncated) == ("output", True)
    assert len(done.out) + len(done.err) < 2 * SMALL.kept + 100


async def test_long_output_keeps_its_beginning_and_its_end(box: Sandbox) -> None:
    """A writer of much, but not too much, ends by itself."""
    done = await box.run("seq 1 200000", timeout=60)
    assert (done.code, done.killed_by, done.truncated) == (0, "", True)
    assert done.out.startswith("1\n2\n3\n")
    assert done.out.endswith("199999\n200000\n")
    assert "bytes left out" in done.out


async def test_binary_output_is_told(box: Sandbox) -> None:
    """Bytes that are no text do no harm."""
    done = await box.run("head -c 2000 /dev/urandom; printf '\\000\\377\\033[2J'", timeout=30)
    assert (done.code, done.killed_by) == (0, "")


async def test_sleeping_forever_ends_when_the_time_is_up(box: Sandbox) -> None:
    """The time limit holds; a program that ends when it is asked to is not killed."""
    done = await box.run("exec sleep 1000", timeout=0.5)
    assert (done.killed_by, done.code) == ("time", 128 + signal.SIGTERM)
    assert 0.4 < done.seconds < 5


async def test_ignoring_the_request_to_end_does_not_help(box: Sandbox) -> None:
    """Who does not listen to SIGTERM is killed."""
    done = await box.run("trap '' TERM; while :; do sleep 0.1; done", timeout=0.5)
    assert (done.killed_by, done.code) == ("time", 128 + signal.SIGKILL)


@pytest.mark.parametrize("start", ["setsid sleep 1234.5 &", "(setsid sh -c 'sleep 1234.5 & sleep 1234.5' &) &"])
async def test_daemons_end_with_the_command(box: Sandbox, start: str) -> None:
    """What forks twice, or leaves its session, does not outlive the call."""
    done = await box.run(f"{start} sleep 0.1; echo left", timeout=30)
    assert (done.code, done.out) == (0, "left\n")
    assert processes_with("1234.5") == []


async def test_daemons_end_when_the_time_is_up(box: Sandbox) -> None:
    """The same for a call that is ended."""
    done = await box.run("setsid sh -c 'trap \"\" TERM; sleep 4321.5' & sleep 4321.5", timeout=0.5)
    assert done.killed_by == "time"
    assert processes_with("4321.5") == []


@pytest.mark.parametrize("size", [200_000, 5_000_000])
async def test_a_huge_command_is_told(box: Sandbox, size: int) -> None:
    """What the kernel does not take is the command's fault, as a shell tells it."""
    done = await box.run(["echo", "x" * size], timeout=30)
    assert (done.code, done.killed_by) == (126, "")
    assert "argument list is too long" in done.err


async def test_zombies_are_bounded(python: Python) -> None:
    """Who makes children and never buries them fills the box and nothing else."""
    done = await python("""
        import os
        while True:
            if os.fork() == 0: os._exit(0)
    """)
    assert done.killed_by == "processes" or "BlockingIOError" in done.err


async def test_orphans_are_buried(box: Sandbox) -> None:
    """Orphans that end do not pile up: more of them than the limit may come and go."""
    done = await box.run("for n in $(seq 100); do (true &) ; done; echo done", timeout=60)
    assert (done.killed_by, done.out) == ("", "done\n")


async def test_a_cpu_spin_ends_and_is_measured(box: Sandbox) -> None:
    """CPU time is told, that of processes left behind too."""
    done = await box.run("(while :; do :; done) & while :; do :; done", timeout=1.0)
    assert done.killed_by == "time"
    assert done.cpu_s > 0.1
    idle = await box.run("sleep 0.3", timeout=30)
    assert idle.cpu_s < 0.1 < 0.25 < idle.seconds


async def test_closed_streams_and_stopped_processes_do_not_hold_us(box: Sandbox) -> None:
    """A program that closes its streams, or stops itself, ends when the time is up."""
    done = await box.run("exec >&- 2>&- <&-; kill -STOP $$; sleep 100", timeout=0.5)
    assert done.killed_by == "time"


async def test_a_deep_tree_is_removed(way: Way, work: Path) -> None:
    """Folders nested deeper than a path can say are counted and gone with the box."""
    code = "import os; os.chdir('/tmp')\nfor _ in range(100): os.mkdir('d' * 90); os.chdir('d' * 90)\nos.chmod('..', 0)"
    async with Sandbox(work, limits=SMALL, ways=(way,), readonly=interpreter_folders(sys.executable)) as box:
        done = await box.run([sys.executable, "-I", "-c", code], timeout=60)
        assert (done.code, done.killed_by) == (0, ""), done
        assert (await box.run("echo on")).out == "on\n"
        folder = box._folder
        assert folder is not None
    assert not folder.exists()


async def test_other_boxes_go_on(way: Way, tmp_path: Path) -> None:
    """Eight boxes at once, hostile ones among them: each is told for its own, the harmless ones end well."""
    texts = {
        "bomb() { bomb | bomb & bomb; }; bomb": "processes",
        "yes": "output",
        "sleep 100": "time",
        "head -c 100000000 /dev/zero > big; sleep 50": "disk",
        "echo a; sleep 1; echo b": "",
    }

    async def one(number: int, text: str) -> Finished:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with Sandbox(folder, limits=SMALL, ways=(way,)) as box:
            return await box.run(text, timeout=20 if text != "sleep 100" else 2)

    done = await asyncio.gather(*(one(number, text) for number, text in enumerate(texts)))
    assert {text: end.killed_by for text, end in zip(texts, done, strict=True)} == texts
    assert done[-1].out == "a\nb\n"
