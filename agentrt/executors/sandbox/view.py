"""What a box sees of the file system: a list of mounts, the same for every way that has them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from platformdirs import user_cache_path, user_state_path

from agentrt.errors import ConfigError

Mount = tuple[str, str, str]
"""Kind, source (for ``tmp`` its size, for ``link`` what it says) and target."""

TMP = Path("/tmp")  # noqa: S108  # the box's own, never the machine's
VAR_TMP = Path("/var/tmp")  # noqa: S108  # the same as ``TMP``, unless something given lies in it

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store")
SETTINGS = (
    "alternatives", "bash.bashrc", "bindresvport.blacklist", "ca-certificates", "ca-certificates.conf",
    "crypto-policies", "fonts", "gai.conf", "group", "host.conf", "hosts", "inputrc", "java-11-openjdk",
    "java-17-openjdk", "java-21-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "magic",
    "mime.types", "mke2fs.conf", "netconfig", "networks", "nsswitch.conf", "os-release", "passwd", "perl",
    "pki/ca-trust", "pki/tls/cert.pem", "pki/tls/certs", "profile", "profile.d", "protocols", "python3",
    "python3.11", "python3.12", "python3.13", "rpc", "services", "shells", "ssl/cert.pem", "ssl/certs",
    "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip
"""Files and folders of ``/etc`` that programs need and that hold no secret; no others are there."""

RESOLVING = "etc/resolv.conf"  # needed only where there is a network


def mounts(
    work: Path,
    tmp: Path,
    *,
    readonly: Iterable[Path] = (),
    writable: Iterable[Path] = (),
    network: bool = False,
    shared_memory: int = 64 << 20,
    root: Path = Path("/"),
) -> list[Mount]:
    """The box's view: the system read-only, an own ``/tmp`` (``tmp``), the given folders where they are outside."""
    given = sorted({(path, "ro") for path in readonly} | {(path, "rw") for path in (work, *writable)})
    between = sorted({top for path, _ in given if (top := _top_in_tmp(path)) not in (None, path)})
    return [
        *_system(root, network),
        ("proc", "", "/proc"),
        ("dev", "", "/dev"),
        ("tmp", str(shared_memory), "/dev/shm"),  # noqa: S108
        ("rw", str(tmp), str(TMP)),
        *(() if any(VAR_TMP in (path, *path.parents) for path, _ in given) else (("link", "../tmp", str(VAR_TMP)),)),
        ("dir", "", "/run"),
        *(("tmp", str(1 << 20), str(top)) for top in between),
        *((kind, str(path), str(path)) for path, kind in given if not (kind == "ro" and _of_system(path))),
        *(("seal", "", str(top)) for top in between),
        *(("seal", "", target) for target in ("/dev", "/proc", "/")),
    ]


def _system(root: Path, network: bool) -> Iterator[Mount]:
    for name in SYSTEM:
        path = root / name
        if path.is_symlink():
            yield ("link", os.readlink(path), f"/{name}")  # noqa: PTH115  # as it is written, not resolved
        elif path.is_dir():
            yield ("ro", str(path), f"/{name}")
    for name in (*(f"etc/{setting}" for setting in SETTINGS), *((RESOLVING,) if network else ())):
        if (root / name).exists():
            yield ("ro", str((root / name).resolve()), f"/{name}")


def _top_in_tmp(path: Path) -> Path | None:
    """The name in ``/tmp`` that ``path`` lies beneath.

    A box can change its own ``/tmp``, and must not lead us astray when we mount something deep in it the next time:
    so what lies between is a small folder of its own, made anew for each call.
    """
    return TMP / path.relative_to(TMP).parts[0] if TMP in path.parents else None


def _of_system(path: Path) -> bool:
    return any(Path("/", name) in (path, *path.parents) for name in SYSTEM)


def checked(path: Path | str, *, private: Iterable[Path] | None = None) -> Path:
    """``path`` without links, refused with ``ConfigError`` when it is not there or would show what is private."""
    real = Path(path).expanduser().resolve()
    if not real.exists():
        raise ConfigError(f"{path} is not there, so a sandbox cannot use it; make it first")
    for hidden in private_places() if private is None else private:
        if real == hidden or real in hidden.parents:
            raise ConfigError(f"{path} would show {hidden} to what runs in the sandbox; give a folder deeper down")
    if private is None and user_state_path("agentrt") in real.parents:
        raise ConfigError(f"{path} holds agentrt's own state, keys among it; a sandbox may not use it")
    return real


def private_places() -> list[Path]:
    """What no box may be given: the home folder as a whole, keys, agentrt's own state, and the system's own places."""
    home = Path.home()
    own = [Path(chosen)] if (chosen := os.environ.get("AGENTRT_HOME")) else []
    hidden = [home, home / ".ssh", home / ".gnupg", home / ".aws", home / ".config", *own]
    hidden += [user_state_path("agentrt"), user_cache_path("agentrt")]
    return [*(path.resolve() for path in hidden), *(Path("/", name) for name in ("etc", "proc", "dev", "tmp", "usr"))]


def not_nested(writable: Iterable[Path], others: Iterable[Path]) -> None:
    """Refuse with ``ConfigError`` a folder inside a writable one: what runs there could lead its mount elsewhere."""
    others = list(others)
    for outer in writable:
        for inner in others:
            if outer in inner.parents:
                raise ConfigError(f"{inner} lies in {outer}, which the sandbox may write to; give only one of them")
