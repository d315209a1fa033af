"""What a policy is."""

from __future__ import annotations

from typing import Protocol

from agentrt.kvcache.contexts import Advice, Context, World


class Policy(Protocol):
    """From what is known of a context to what the engine should do with it.

    The same context in the same world always gives the same advice: a policy keeps nothing of the contexts it was
    asked about, since all that changes is in ``Context``, ``World`` and its estimators. It is asked often, so it takes
    microseconds.
    """

    @property
    def name(self) -> str:
        """What users call it by."""

    def advise(self, context: Context, world: World) -> Advice | None:
        """The advice for a context, or ``None`` to say nothing and withdraw what was said."""
