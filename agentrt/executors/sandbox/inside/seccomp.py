"""Calls of the kernel that a box may not make, as a seccomp filter: bytes for the kernel, made without it.

Namespaces leave three doors that this one closes: sockets that no network namespace holds back (vsock reaches the
host of a virtual machine), the large and often broken parts of the kernel that no tool needs (io_uring, bpf,
keyrings, mounting, new namespaces), and typing into a terminal (TIOCSTI). And what stays behind is no door for others:
no file becomes setuid, which outside would run as the user that the box ran as.
"""

from __future__ import annotations

import errno
import struct

_X86, _ARM = "x86_64", "aarch64"
_ARCHITECTURES = {_X86: 0xC000003E, _ARM: 0xC00000B7}
_X32 = 0x40000000  # the numbers of x86-64's second ABI begin here

_NUMBERS: dict[str, dict[str, int]] = {
    _X86: {
        "open": 2, "ioctl": 16, "shmget": 29, "socket": 41, "clone": 56, "creat": 85, "chmod": 90, "fchmod": 91,
        "syslog": 103, "mknod": 133, "pivot_root": 155, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165,
        "umount2": 166, "swapon": 167, "swapoff": 168, "reboot": 169, "iopl": 172, "ioperm": 173, "init_module": 175,
        "delete_module": 176, "quotactl": 179, "clock_settime": 227, "kexec_load": 246, "add_key": 248,
        "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298, "openat": 257, "mknodat": 259,
        "fchmodat": 268, "open_by_handle_at": 304, "setns": 308, "finit_module": 313, "memfd_create": 319,
        "kexec_file_load": 320, "bpf": 321, "userfaultfd": 323,
    },
    _ARM: {
        "ioctl": 29, "mknodat": 33, "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "fchmod": 52,
        "fchmodat": 53, "openat": 56, "quotactl": 60, "acct": 89, "unshare": 97, "kexec_load": 104, "init_module": 105,
        "delete_module": 106, "clock_settime": 112, "syslog": 116, "reboot": 142, "settimeofday": 170, "shmget": 194,
        "socket": 198, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220, "swapon": 224, "swapoff": 225,
        "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268, "finit_module": 273, "memfd_create": 279,
        "bpf": 280, "userfaultfd": 282, "kexec_file_load": 294,
    },
}  # fmt: skip
_EVERYWHERE = {
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "clone3": 435, "openat2": 437, "mount_setattr": 442,
    "memfd_secret": 447, "fchmodat2": 452, "open_tree_attr": 467,
}  # fmt: skip
_MODES = {
    "open": (2, 1), "creat": (1, None), "chmod": (1, None), "fchmod": (1, None), "mknod": (1, None), "openat": (3, 2),
    "mknodat": (2, None), "fchmodat": (2, None), "fchmodat2": (2, None),
}  # fmt: skip
"""Which argument is a file's mode, and which are the flags that say whether it counts."""
_AS_IF_UNKNOWN = frozenset({"clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register"})
"""For these, programs fall back to others, whose arguments can be looked at."""
_UNCOUNTED = frozenset({"memfd_create", "memfd_secret", "shmget"})  # memory that belongs to no process

_FAMILIES = (1, 2, 10, 16)  # unix, IPv4, IPv6, netlink
_NAMESPACES = 0x7E020080  # every CLONE_NEW flag
_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_CREATING = 0x400040  # O_CREAT, O_TMPFILE
_SETUID = 0o4000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where the kernel lays down the call
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
    looked_into = {"socket": _socket(), "clone": _clone(), "ioctl": _ioctl()}
    looked_into |= {name: _mode(*where) for name, where in _MODES.items()}
    for name, number in numbers.items():
        if name not in _UNCOUNTED or not counted:
            body = looked_into.get(name, [_refuse(_error(name))])
            lines += [(_EQUAL, 0, len(body), number), *body]
    lines += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _error(name: str) -> int:
    return errno.ENOSYS if name in _AS_IF_UNKNOWN | _UNCOUNTED else errno.EPERM


def _refuse(number: int) -> tuple[int, int, int, int]:
    return (_RETURN, 0, 0, _ERROR | number)


def _argument(number: int) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * number)


def _mode(mode: int, flags: int | None) -> list[tuple[int, int, int, int]]:
    tests = [_argument(mode), (_ANY_BIT, 0, 1, _SETUID), _refuse(errno.EPERM)]
    creating = [] if flags is None else [_argument(flags), (_ANY_BIT, 0, len(tests), _CREATING)]
    return [*creating, *tests, (_RETURN, 0, 0, _ALLOW)]


def _socket() -> list[tuple[int, int, int, int]]:
    tests = [(_EQUAL, len(_FAMILIES) - at, 0, family) for at, family in enumerate(_FAMILIES)]
    return [_argument(0), *tests, _refuse(errno.EAFNOSUPPORT), (_RETURN, 0, 0, _ALLOW)]


def _clone() -> list[tuple[int, int, int, int]]:
    return [_argument(0), (_ANY_BIT, 0, 1, _NAMESPACES), _refuse(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]


def _ioctl() -> list[tuple[int, int, int, int]]:
    tests = [line for number in _TERMINAL for line in ((_EQUAL, 0, 1, number), _refuse(errno.EPERM))]
    return [_argument(1), *tests, (_RETURN, 0, 0, _ALLOW)]
