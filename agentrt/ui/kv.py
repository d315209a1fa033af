"""What is known of the KV cache of a run: the fold of its hints, of what its engines say, and of its turns."""

from __future__ import annotations

from agentrt.events import Event


class KvView:
    """``apply`` takes a run's events in order; everything else only reads."""

    def apply(self, event: Event) -> None:
        """Take in what happened next."""
