"""Where the commands of agents and tests run: a sandbox for each place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agentrt.benchmarks.swebench.git import ENVIRONMENT
from agentrt.benchmarks.swebench.place import Place
from agentrt.executors.sandbox import MIB, Limits, Sandbox

_VARIABLES: Final = {
    **ENVIRONMENT,
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",  # the folder may belong to another user than the one inside
    "GIT_CONFIG_VALUE_0": "*",
    "GIT_PAGER": "cat",
    "PAGER": "cat",
    "PIP_NO_INDEX": "1",
}

COMMANDS: Final = Limits(memory=2048 * MIB, processes=256)
"""What one tool call of an agent may use."""

TESTS: Final = Limits(memory=4096 * MIB, processes=512, output=256 * MIB, kept=64 * MIB)
"""What the tests of a candidate may use; what they write is graded, so all of it is kept."""

OURS: Final = Limits(output=16 * MIB, kept=16 * MIB, disk=4 * COMMANDS.disk, files=4 * COMMANDS.files)
"""For what we run there ourselves: a patch is kept whole, or is too long. What agents write counts here as well."""


def boxed(place: Place, limits: Limits, *, writable: Sequence[Path] = ()) -> Sandbox:
    """A sandbox that works in a place's tree with the place's environment, without the network."""
    path = f"{place.venv / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    return Sandbox(
        place.tree, limits=limits, writable=writable, readonly=place.readable, env={**_VARIABLES, "PATH": path}
    )
