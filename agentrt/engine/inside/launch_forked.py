"""Start the engine's processes as forks of one that has imported everything; run with the engine's own Python.

SGLang spawns its scheduler and detokenizer as fresh interpreters, because CUDA does not survive a fork; each imports
for ten seconds what the first one already has. Without CUDA a fork is sound as long as nothing has computed yet, and
SGLang chooses how to start processes just before it starts them. The order on standard input is the launcher's own.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys

_choose = multiprocessing.set_start_method


def _fork_instead(method: str | None, force: bool = False) -> None:
    """Stand in for ``set_start_method``: import what the children will need, then have them forked."""
    import sglang.srt.managers.detokenizer_manager
    import sglang.srt.managers.scheduler
    import sglang.srt.models.registry  # noqa: F401  (every model's module: the scheduler looks through them all)

    gc.freeze()  # the children share these objects as long as no collection touches them
    gc.enable()
    _choose("fork", force=force)


def main() -> int:
    """Run the launcher with forks in place of spawns."""
    from agentrt.kvcache.sglang import launch

    gc.disable()  # imports make no garbage worth looking for, and looking takes seconds
    vars(multiprocessing)["set_start_method"] = _fork_instead
    return launch.main()


if __name__ == "__main__":
    sys.exit(main())
