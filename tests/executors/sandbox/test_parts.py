"""The parts that need no box: what is kept of a stream, what is seen, what the kernel's filter says, control groups."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrt.errors import ConfigError
from agentrt.executors.sandbox import Limits
from agentrt.executors.sandbox.capture import Capture
from agentrt.executors.sandbox.inside.cgroups import Group
from agentrt.executors.sandbox.inside.disk import Disk, Walk, free
from agentrt.executors.sandbox.inside.seccomp import program
from agentrt.executors.sandbox.leftovers import box_folder, sweep
from agentrt.executors.sandbox.owners import alive, owner
from agentrt.executors.sandbox.probing import numbers
from agentrt.executors.sandbox.view import checked, mounts, not_nested


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(1, 100))
def test_a_stream_keeps_its_beginning_and_its_end(chunks: list[bytes], kept: int) -> None:
    """Whatever the pieces it comes in; everything, when it is no longer than what is kept."""
    capture, whole = Capture(kept), b"".join(chunks)
    for chunk in chunks:
        capture.feed(chunk)
    assert capture.total == len(whole)
    assert capture.left_out == max(0, len(whole) - kept)
    if not capture.left_out:
        assert capture.text == whole.decode(errors="replace")
    else:
        tail = whole[len(whole) - kept // 2 :]
        assert capture.text.startswith(whole[: kept - kept // 2].decode(errors="replace"))
        assert capture.text.endswith("...]\n" + tail.decode(errors="replace"))
    assert sum(map(len, capture._tail)) <= kept + 50


def test_a_box_sees_no_more_than_it_should(tmp_path: Path) -> None:
    """The system read-only, an own ``/tmp`` below what is given, everything closed at the end."""
    for folder in ("usr", "etc/ssl/certs", "etc/ssl/private", "root", "home", "var", "sys", "run"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("etc/passwd", "etc/shadow", "etc/resolv.conf", "etc/environment"):
        (tmp_path / file).touch()
    (tmp_path / "bin").symlink_to("usr/bin")
    seen = mounts(
        Path("/tmp/a/b/work"), Path("/elsewhere/tmp"), readonly=[Path("/usr/x"), Path("/srv/x")], root=tmp_path
    )
    targets = {target: kind for kind, _, target in seen if kind != "seal"}
    assert targets == {
        "/usr": "ro",
        "/bin": "link",
        "/etc/ssl/certs": "ro",
        "/etc/passwd": "ro",
        "/proc": "proc",
        "/dev": "dev",
        "/dev/shm": "tmp",
        "/tmp": "rw",
        "/var/tmp": "link",
        "/run": "dir",
        "/tmp/a": "tmp",
        "/srv/x": "ro",
        "/tmp/a/b/work": "rw",
    }
    assert [target for kind, _, target in seen if kind == "seal"] == ["/tmp/a", "/dev", "/proc", "/"]
    order = [target for _, _, target in seen]
    assert order.index("/tmp") < order.index("/tmp/a") < order.index("/tmp/a/b/work")
    assert "/etc/resolv.conf" in {
        target for _, _, target in mounts(Path("/w"), Path("/t"), network=True, root=tmp_path)
    }


def test_private_places_are_not_given(tmp_path: Path) -> None:
    """Neither they nor what holds them; what lies in them may be, when it is named."""
    private = tmp_path / "home"
    (private / "project").mkdir(parents=True)
    (tmp_path / "link").symlink_to(private)
    for path in (private, tmp_path, tmp_path / "link"):
        with pytest.raises(ConfigError, match="would show"):
            checked(path, private=[private])
    assert checked(private / "project", private=[private]) == private / "project"


def test_a_folder_within_a_writable_one_is_refused() -> None:
    """Its mount could be led elsewhere by what runs in the box."""
    not_nested([Path("/a")], [Path("/a"), Path("/b"), Path("/ab")])
    with pytest.raises(ConfigError, match="/a/b lies in /a"):
        not_nested([Path("/a")], [Path("/a/b")])


def judged(code: bytes, architecture: int, number: int, *arguments: int) -> int:
    """What a filter says of a call: 0 to let it pass, or the error. Follows the kernel's rules for these programs."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *(*arguments, 0, 0, 0, 0, 0, 0)[:6])
    lines = list(struct.iter_unpack("=HBBI", code))
    value = at = 0
    while True:
        kind, if_true, if_false, operand = lines[at]
        at += 1
        if kind == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        elif kind == 0x06:
            return 0 if operand == 0x7FFF0000 else operand & 0xFFFF
        else:
            true = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[kind]
            at += if_true if true else if_false


X86, ARM, X86_32 = 0xC000003E, 0xC00000B7, 0x40000003


@pytest.mark.parametrize(
    ("machine", "architecture", "socket", "clone", "ioctl", "mount", "read", "memfd"),
    [("x86_64", X86, 41, 56, 16, 165, 0, 319), ("aarch64", ARM, 198, 220, 29, 40, 63, 279)],
)
def test_the_filter_refuses_what_it_should(
    machine: str, architecture: int, socket: int, clone: int, ioctl: int, mount: int, read: int, memfd: int
) -> None:
    """And lets pass what programs need."""
    code = program(machine, counted=False)

    def judge(number: int, *arguments: int) -> int:
        return judged(code, architecture, number, *arguments)

    assert judge(read) == 0
    assert [judge(socket, family) for family in (1, 2, 10, 16)] == [0, 0, 0, 0]
    assert {judge(socket, family) for family in (17, 38, 40, 44)} == {errno.EAFNOSUPPORT}
    assert judge(clone, 17) == judge(clone, 0x3D0F00) == 0  # fork and a thread
    assert {judge(clone, flag) for flag in (0x10000000, 0x20000, 0x40000000)} == {errno.EPERM}
    assert judge(435) == errno.ENOSYS  # clone3: its flags cannot be looked at
    assert (judge(ioctl, 0, 0x5401), judge(ioctl, 0, 0x5412), judge(ioctl, 0, 0x541C)) == (0, errno.EPERM, errno.EPERM)
    assert judge(mount) == errno.EPERM
    assert judge(425) == errno.ENOSYS  # io_uring
    assert judge(memfd) == errno.ENOSYS
    assert judged(program(machine, counted=True), architecture, memfd) == 0
    assert judged(code, X86_32, read) == errno.ENOSYS  # another machine's numbers


@pytest.mark.parametrize(
    ("machine", "architecture", "fchmod", "fchmodat", "openat"),
    [("x86_64", X86, 91, 268, 257), ("aarch64", ARM, 52, 53, 56)],
)
def test_the_filter_refuses_setuid_modes(
    machine: str, architecture: int, fchmod: int, fchmodat: int, openat: int
) -> None:
    """A mode counts for opening where a file is made; elsewhere that register holds anything."""
    code = program(machine, counted=True)
    assert judged(code, architecture, fchmod, 3, 0o2755) == judged(code, architecture, fchmodat, 3, 0, 0o755) == 0
    assert judged(code, architecture, fchmod, 3, 0o4755) == judged(code, architecture, fchmodat, 3, 0, 0o4711) == 1
    assert judged(code, architecture, openat, 3, 0, 0o1, 0o4777) == 0
    assert judged(code, architecture, openat, 3, 0, 0o101, 0o4777) == judged(code, architecture, 452, 3, 0, 0o4000) == 1
    assert judged(code, architecture, openat, 3, 0, 0o20200002, 0o4777) == 1
    assert judged(code, architecture, 437) == errno.ENOSYS  # openat2: its mode cannot be looked at


def test_the_filter_knows_the_second_numbers_of_x86() -> None:
    """Calls by the x32 numbers are refused, where the same call could hide."""
    assert judged(program("x86_64", counted=True), X86, 0x40000000 + 165) == errno.ENOSYS


def test_an_unknown_machine_has_no_filter() -> None:
    """Numbers of another machine would be worse than none."""
    assert program("riscv64", counted=True) == b""


class Hierarchy:
    """A folder that answers like a control group's parent: files appear in a new group."""

    def __init__(self, folder: Path, files: dict[str, str]) -> None:
        self.folder, self.files = folder, files

    def group(self, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> Group:
        make = os.mkdir

        def with_files(path: str) -> None:
            make(path)
            for name, text in self.files.items():
                (Path(path) / name).write_text(text)

        with monkeypatch.context() as patched:
            patched.setattr(os, "mkdir", with_files)
            return Group(str(self.folder / "group"), numbers(limits, 1.0))


FULL = {
    "memory.max": "max",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "memory.peak": "5000",
    "memory.events": "low 0\nhigh 0\nmax 3\noom 0\noom_kill 0\n",
    "pids.max": "max",
    "pids.events": "max 0\n",
    "cpu.max": "max 100000",
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\nsystem_usec 2\n",
    "cgroup.procs": "",
    "cgroup.kill": "",
}


def test_a_control_group_is_bounded_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits are written as the kernel takes them, and what it counts is told."""
    group = Hierarchy(tmp_path, FULL).group(monkeypatch, Limits(memory=1000, processes=7, cpus=1.5))
    there = tmp_path / "group"
    written = {name: (there / name).read_text() for name in FULL}
    assert group.counted
    assert (written["memory.max"], written["memory.swap.max"], written["memory.oom.group"]) == ("1000", "0", "1")
    assert (written["pids.max"], written["cpu.max"]) == ("7", "150000 100000")
    assert (group.peak, group.cpu_s, group.over) == (5000, 1.5, "")
    (there / "pids.events").write_text("max 4\n")
    assert group.over == "processes"
    (there / "memory.events").write_text("oom_kill 1\n")
    assert group.over == "memory"
    group.add(42)
    group.kill()
    assert ((there / "cgroup.procs").read_text(), (there / "cgroup.kill").read_text()) == ("42", "1")


def test_a_control_group_without_controllers_still_counts_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It bounds nothing, and says so."""
    bare = {name: FULL[name] for name in ("cpu.stat", "cgroup.procs", "cgroup.kill")}
    group = Hierarchy(tmp_path, bare).group(monkeypatch, Limits())
    assert (group.counted, group.over, group.peak, group.cpu_s) == (False, "", 0, 1.5)


def test_growth_is_told_from_what_was_there(tmp_path: Path) -> None:
    """A walk counts blocks, each file once; growth alone is held against the limit."""
    (tmp_path / "before").write_bytes(bytes(1 << 20))
    os.link(tmp_path / "before", tmp_path / "again")
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 40)
    folders = [str(tmp_path)]
    walk = Walk(folders).finish()
    assert (walk.files, 1 << 20 <= walk.bytes < 2 << 20, walk.complete) == (2, True, True)
    base = (walk.bytes, walk.files)
    state = {"base": base, "used": (0, 0), "free": free(folders), "free_at_first": free(folders)}
    disk = Disk(state, folders, (4 << 20, 100))
    assert not disk.settle(surely=True)
    (tmp_path / "after").write_bytes(bytes(5 << 20))
    assert disk.settle(surely=True)
    full = Disk(disk.state, folders, (4 << 20, 100))
    assert not full.settle(surely=True)  # it was full before: cleaning up is allowed
    (tmp_path / "more").write_bytes(bytes(2 << 20))
    assert full.settle(surely=True)


def test_leftovers_of_the_dead_are_swept(tmp_path: Path) -> None:
    """Those of this process stay, those of one that is gone go, and nothing else is touched."""
    mine = box_folder(tmp_path)
    dead = tmp_path / f"agentrt-box-{os.getpid()}-1-left"  # this number, but another start
    other = tmp_path / "agentrt-box-notes"
    for folder in (dead, other):
        (folder / "tmp").mkdir(parents=True)
    sweep(tmp_path)
    assert (mine.exists(), dead.exists(), other.exists()) == (True, False, True)
    assert alive(f"{owner()}-x")
    assert not alive("999999999-1-x")
