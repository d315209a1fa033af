"""Calls of the Linux kernel that Python has no names for."""

from __future__ import annotations

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

NEWNS, NEWCGROUP, NEWUTS = 0x00020000, 0x02000000, 0x04000000
NEWIPC, NEWUSER, NEWPID, NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4

_MOUNT_SETATTR = 442  # the same number on every machine
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_AT_FDCWD, _AT_RECURSIVE, _MNT_DETACH = -100, 0x8000, 2
_PDEATHSIG, _DUMPABLE, _SECCOMP, _CAPBSET_DROP, _SUBREAPER, _NO_NEW_PRIVS = 1, 4, 22, 24, 36, 38
_CAPABILITY_VERSION_3 = 0x20080522


def die_with_parent() -> None:
    """Be killed when the parent ends."""
    _prctl(_PDEATHSIG, 9)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _prctl(_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Give up gaining anything by setuid programs, for good."""
    _prctl(_NO_NEW_PRIVS, 1)


def not_dumpable() -> None:
    """Let nobody without privileges trace this process, or read what ``/proc`` has of it."""
    _prctl(_DUMPABLE, 0)


def drop_capabilities(*, bounding: bool) -> None:
    """Give up every capability, with ``bounding`` also for whatever is executed later."""
    for capability in range(64) if bounding else ():
        try:
            _prctl(_CAPBSET_DROP, capability)
        except OSError:
            break  # past the last one that this kernel knows
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _done(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def filter_calls(program: bytes) -> None:
    """Install a seccomp filter, instructions as the kernel takes them; ``no_new_privileges`` comes first."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    _prctl(_SECCOMP, 2, ctypes.byref(Program(len(program) // 8, program)))


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` name for new ones."""
    _done(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount ``source`` on ``target``."""
    words = [os.fsencode(word) if word else None for word in (source, target, kind)]
    done = _libc.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None)
    _done(done, f"mounting {source or kind} on {target}")


def restrict_mount(target: str, attributes: int, *, deep: bool) -> None:
    """Add ``attributes`` to the mount at ``target``, with ``deep`` to all beneath it (Linux 5.12)."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if deep else 0
    done = _libc.syscall(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, wanted, ctypes.c_size_t(32))
    _done(done, f"mount_setattr {target}")


def enter_root(folder: str) -> None:
    """Make ``folder``, a mount, the root of all, and let go of the old one."""
    os.chdir(folder)
    _done(_libc.syscall(_PIVOT_ROOT[os.uname().machine], b".", b"."), "pivot_root")
    _done(_libc.umount2(b".", _MNT_DETACH), "umount2")
    os.chdir("/")


def set_hostname(name: str) -> None:
    """Name this machine, in a UTS namespace of one's own."""
    _done(_libc.sethostname(name.encode(), len(name)), "sethostname")


def datagram_socket() -> int:
    """A socket to ask the network devices with."""
    return _done(_libc.socket(2, 2 | os.O_CLOEXEC, 0), "socket")


def _prctl(option: int, *arguments: object) -> None:
    words = [ctypes.c_ulong(word) if isinstance(word, int) else word for word in (*arguments, 0, 0, 0)][:4]
    _done(_libc.prctl(option, *words), f"prctl {option}")


def _done(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
