"""What a step is, apart from any one call of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from agentrt.errors import ConfigError, ExecutorError, Refused
from agentrt.types import StepKind

Body: TypeAlias = Callable[..., Awaitable[Any]]
Siblings: TypeAlias = Literal["cancel", "finish"]

_MOST_DOUBLINGS = 64  # beyond this a float overflows some day, and no wait ends in anybody's life
_RETRYABLE_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})


def passing(error: BaseException) -> bool:
    """Whether an error of the world may be gone at the next attempt: no connection, time-outs, 429, 5xx."""
    if isinstance(error, Refused):
        return error.status in _RETRYABLE_STATUS
    return isinstance(error, ExecutorError)


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step's definition: what runs, and how.

    ``lane`` names whose places it takes; ``retries`` are attempts after the first, for errors that ``retry_on``
    accepts, the ``n``-th after ``backoff * 2**(n-1)`` seconds; ``timeout`` is in seconds for each attempt; larger
    ``priority`` is sooner; ``siblings`` says what becomes of a failed program's other steps. ``value_of`` makes the
    step's value of what its body returned and its arguments; it is called also when the body was not run, because a
    journal has what it returned. ``idempotent`` says whether it may run again after a crash: ``False`` if only when
    that is asked for, ``None`` if nothing was said. ``given`` makes the body's arguments, of those that it has, for a
    call with others instead; without it they are the call's.
    """

    name: str
    kind: StepKind
    body: Body
    lane: str = ""
    retries: int = 0
    backoff: float = 0.5
    retry_on: Callable[[BaseException], bool] | tuple[type[BaseException], ...] = (Exception,)
    timeout: float | None = None
    priority: int = 0
    siblings: Siblings = "cancel"
    value_of: Callable[..., Any] | None = None
    idempotent: bool | None = None
    given: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = None

    def __post_init__(self) -> None:
        if not self.name.isprintable() or not self.name or "/" in self.name or "#" in self.name:
            raise ConfigError(f"step name {self.name!r}: expected a name of printable characters, without '/' and '#'")
        if self.retries < 0 or self.backoff < 0:
            raise ConfigError(f"step {self.name!r}: retries={self.retries}, backoff={self.backoff}: expected 0 or more")
        if self.timeout is not None and self.timeout <= 0:
            raise ConfigError(
                f"step {self.name!r}: timeout={self.timeout}: expected seconds above 0, or None for no limit"
            )
        if self.siblings not in ("cancel", "finish"):
            raise ConfigError(f"step {self.name!r}: siblings={self.siblings!r}: expected 'cancel' or 'finish'")
        if not isinstance(self.idempotent, bool | None):
            raise ConfigError(f"step {self.name!r}: idempotent={self.idempotent!r}: expected True, False or None")

    @property
    def has_effects(self) -> bool:
        """Whether it must be known that its body may have run: of a tool, and of what must not run twice."""
        return self.kind == "tool" or (self.idempotent is False and self.kind in ("python", "llm"))

    def may_retry(self, error: BaseException, attempt: int) -> bool:
        """Whether another attempt follows when the ``attempt``-th, 1 first, ended with this error."""
        if attempt > self.retries:
            return False
        if isinstance(self.retry_on, tuple):
            return isinstance(error, self.retry_on)
        return self.retry_on(error)

    def delay(self, attempt: int) -> float:
        """Seconds to wait after the ``attempt``-th attempt failed."""
        return float(self.backoff * 2 ** min(attempt - 1, _MOST_DOUBLINGS))
