"""Make ``.venv`` hold what this checkout needs; what is there already stays.

    python3 scripts/setup.py [dev]

Needs nothing but Python 3.11-3.13. May be stopped at any time and run again, also by two processes at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


def main(dev: bool) -> int:
    """Set up what is missing; returns the exit status."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        return fail(
            f"agentrt runs on Python 3.11 to 3.13, this is {sys.version.split()[0]}; use: make PYTHON=python3.12 ..."
        )
    if ready(dev):
        return 0
    VENV.mkdir(exist_ok=True)
    with (VENV / ".setup.lock").open("w") as lock:  # uv has a .lock of its own there
        if not taken(lock):
            say("another process is setting up this checkout; waiting for it ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if ready(dev):
            return 0
        if stale():
            clear()
        return install(dev)


def taken(lock: object) -> bool:
    """Whether the lock is ours now, without waiting."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # type: ignore[arg-type]
    except BlockingIOError:
        return False
    return True


def marker(dev: bool) -> Path:
    """What says that an environment is complete, and for what."""
    return VENV / (".ready-dev" if dev else ".ready")


def ready(dev: bool) -> bool:
    """Whether what is wanted was installed for this ``pyproject.toml`` and this Python; who develops has it all."""
    enough = [marker(True)] if dev else [marker(False), marker(True)]
    return not stale() and any(one.exists() and one.read_text() == fingerprint() for one in enough)


def stale() -> bool:
    """Whether the environment there is of another Python, or of one that is gone; ``venv`` would leave it so."""
    config = VENV / "pyvenv.cfg"
    if not config.exists():
        return False
    own = "version = {}.{}.".format(*sys.version_info[:2])
    return not (VENV / "bin" / "python").exists() or own not in config.read_text()


def clear() -> None:
    """Empty the environment, but for the lock that we hold."""
    for each in VENV.iterdir():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each.name != ".setup.lock":
            each.unlink()


def fingerprint() -> str:
    """Changes with the requirements, the Python version and the place of the checkout."""
    wanted = (ROOT / "pyproject.toml").read_bytes() + f"{sys.version_info[:2]} {ROOT}".encode()
    return hashlib.sha256(wanted).hexdigest()


def install(dev: bool) -> int:
    """Build the environment, then write its marker."""
    uv = [str(PYTHON), "-m", "uv", "pip", "install", "--compile-bytecode", "--python", str(PYTHON)]
    uv += ["--editable", str(ROOT)]
    steps = [
        ("an environment in .venv", [sys.executable, "-m", "venv", str(VENV)]),
        ("the installer", [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv>=0.8"]),
        ("agentrt and what it needs", [*uv, "--group", str(ROOT / "pyproject.toml:dev")] if dev else uv),
    ]
    for number, (what, command) in enumerate(steps, 1):
        say(f"[{number}/{len(steps)}] {what}")
        done = subprocess.run(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode:
            print(done.stdout, file=sys.stderr)
            return fail(f"setting up {what} failed, see above; {way_out(done.stdout)}")
    marker(dev).write_text(fingerprint())
    return 0


def way_out(output: str) -> str:
    """What to do about a failed step."""
    if "ensurepip" in output:
        return "this Python cannot make environments: install its venv package (Debian: apt install python3-venv)"
    if "No space left" in output:
        return "make room on the disk of this checkout, then run the same command again"
    return "check the network, then run the same command again: it goes on where it stopped"


def say(text: str) -> None:
    """One line of progress."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def fail(text: str) -> int:
    """One line of error."""
    say(f"error: {text}")
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main("dev" in sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(fail("stopped; the same command goes on from here") + 129)
