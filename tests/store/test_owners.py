"""Who is alive is told by the machine where it can be, and by signs of life where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from agentrt.store import owners
from agentrt.store.owners import BEAT_S, DEAD_S, alive, myself
from agentrt.store.rows import OwnerRow

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks processes up where Linux shows them")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, which waits."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def owner_of(process: subprocess.Popen[bytes], **changed: object) -> OwnerRow:
    """A process as it would enter itself."""
    return myself()._replace(pid=process.pid, born=owners._born(process.pid) or 0.0, **changed)  # type: ignore[arg-type]


def test_each_time_it_is_asked_a_process_is_somebody_new() -> None:
    """Two journals of one process are two owners, each alive while it is open."""
    first, second = myself(), myself()
    assert first.id != second.id
    assert (first.pid, first.host) == (os.getpid(), second.host)
    owners.enter(first)
    assert [alive(one, time.time()) for one in (first, second)] == [True, False]
    owners.leave(first)
    assert not alive(first, time.time())


@LINUX
def test_a_process_of_this_machine_is_looked_up(child: subprocess.Popen[bytes]) -> None:
    """It lives as long as it does, however old its last sign of life; killed, it is dead before anybody buries it."""
    owner = owner_of(child, beat=0.0)
    assert alive(owner, time.time())
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has asked how
    assert not alive(owner, owner.beat)
    child.wait()
    assert not alive(owner, owner.beat)


@LINUX
def test_a_number_that_was_given_again_is_another_process(child: subprocess.Popen[bytes]) -> None:
    """A process that started at another time is not the one that had this number before."""
    owner = owner_of(child)
    assert not alive(owner._replace(born=owner.born - 1), time.time())


def test_a_number_that_no_process_can_have_is_dead() -> None:
    """Numbers beyond what the system gives are nobody's."""
    for pid in (2**22 + 1, 2**31 - 1, 2**63):
        assert not alive(myself()._replace(pid=pid), 0.0)


def test_a_process_elsewhere_is_believed_while_it_gives_signs_of_life() -> None:
    """Of another machine, another boot of this one, or another container only the last sign of life is known."""
    name, boot, space = myself().host.split("/")
    for host in (f"other/{boot}/{space}", f"{name}/other/{space}", f"{name}/{boot}/other"):
        owner = myself()._replace(host=host, beat=1_000.0)
        assert alive(owner, 1_000.0 + DEAD_S - 0.1)
        assert not alive(owner, 1_000.0 + DEAD_S)


def test_some_signs_of_life_may_be_missed() -> None:
    """A process is not taken for dead over one late sign of life, or two."""
    assert DEAD_S > 3 * BEAT_S
