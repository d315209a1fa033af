"""Calls of the kernel that a box may not make, as a seccomp filter: bytes for the kernel, made without it.

Namespaces leave three doors that this one closes: sockets that no network namespace holds back (vsock reaches the
host of a virtual machine), the large and often broken parts of the kernel that no tool needs (io_uring, bpf,
keyrings, mounting, new namespaces), and typing into a terminal (TIOCSTI).
"""

from __future__ import annotations

import errno
import struct

_X86, _ARM = "x86_64", "aarch64"
_ARCHITECTURES = {_X86: 0xC000003E, _ARM: 0xC00000B7}
_X32 = 0x40000000  # the numbers of x86-64's second ABI begin here

_NUMBERS: dict[str, dict[str, int]] = {
    _X86: {
        "ioctl": 16, "shmget": 29, "socket": 41, "clone": 56, "syslog": 103, "pivot_root": 155, "chroot": 161,
        "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169,
        "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176, "quotactl": 179, "clock_settime": 227,
        "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
        "open_by_handle_at": 304, "setns": 308, "finit_module": 313, "memfd_create": 319, "kexec_file_load": 320,
        "bpf": 321, "userfaultfd": 323,
    },
    _ARM: {
        "ioctl": 29, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "quotactl": 60, "acct": 89,
        "unshare": 97, "kexec_load": 104, "init_module": 105, "delete_module": 106, "clock_settime": 112,
        "syslog": 116, "reboot": 142, "settimeofday": 170, "shmget": 194, "socket": 198, "add_key": 217,
        "request_key": 218, "keyctl": 219, "clone": 220, "swapon": 224, "swapoff": 225, "perf_event_open": 241,
        "open_by_handle_at": 265, "setns": 268, "finit_module": 273, "memfd_create": 279, "bpf": 280,
        "userfaultfd": 282, "kexec_file_load": 294,
    },
}  # fmt: skip
_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "mount_setattr": 442,
    "memfd_secret": 447, "open_tree_attr": 467,
}  # fmt: skip
_LOOKED_INTO = frozenset({"ioctl", "socket", "clone"})
_AS_IF_UNKNOWN = frozenset({"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"})  # programs fall back
_UNCOUNTED = frozenset({"memfd_create", "memfd_secret", "shmget"})  # memory that belongs to no process

_FAMILIES = (1, 2, 10, 16)  # unix, IPv4, IPv6, netlink
_NAMESPACES = 0x7E020080  # every CLONE_NEW flag
_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # where the kernel lays down the call and its arguments
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


def program(machine: str, *, counted: bool) -> bytes:
    """The filter for ``machine`` (as ``uname -m`` says it); nothing for one whose numbers are not known here.

    Where memory is not ``counted`` by a control group, memory that belongs to no process is refused.
    """
    if machine not in _ARCHITECTURES:
        return b""
    numbers = _NUMBERS[machine] | _EVERYWHERE
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _ARCHITECTURES[machine]), _refuse(errno.ENOSYS)]
    lines += [(_LOAD, 0, 0, _NUMBER)]
    if machine == _X86:
        lines += [(_AT_LEAST, 0, 1, _X32), _refuse(errno.ENOSYS)]
    for name, number in numbers.items():
        if name not in _LOOKED_INTO and not (counted and name in _UNCOUNTED):
            lines += [(_EQUAL, 0, 1, number), _refuse(_error(name))]
    for name, body in (("socket", _socket()), ("clone", _clone()), ("ioctl", _ioctl())):
        lines += [(_EQUAL, 0, len(body), numbers[name]), *body]
    lines += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _error(name: str) -> int:
    return errno.ENOSYS if name in _AS_IF_UNKNOWN | _UNCOUNTED else errno.EPERM


def _refuse(number: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _ERROR | number)


def _socket() -> list[tuple[int, int, int, int]]:
    tests = [(_EQUAL, len(_FAMILIES) - at, 0, family) for at, family in enumerate(_FAMILIES)]
    return [(_LOAD, 0, 0, _FIRST), *tests, _refuse(errno.EAFNOSUPPORT), (_RETURN, 0, 0, _ALLOW)]


def _clone() -> list[tuple[int, int, int, int]]:
    return [(_LOAD, 0, 0, _FIRST), (_ANY_BIT, 0, 1, _NAMESPACES), _refuse(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]


def _ioctl() -> list[tuple[int, int, int, int]]:
    tests = [line for number in _TERMINAL for line in ((_EQUAL, 0, 1, number), _refuse(errno.EPERM))]
    return [(_LOAD, 0, 0, _SECOND), *tests, (_RETURN, 0, 0, _ALLOW)]
