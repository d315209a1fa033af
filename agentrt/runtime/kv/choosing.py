"""What the arguments of a runtime say of KV caches, checked before they could cost hints, or a run, much later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from agentrt.errors import ConfigError
from agentrt.kvcache.hints import MAX_TEXT
from agentrt.kvcache.policies import Policy, policy
from agentrt.runtime.kv.desk import Desk


def desk_of(
    kv: str | Policy,
    admission: bool | None,
    tenant: str,
    estimates: Path | Literal["own"] | None,
    clock: Callable[[], float],
) -> Desk | None:
    """The desk of a runtime with these arguments, ``None`` where engines are told nothing. Raises ``ConfigError``."""
    chosen = policy(kv) if isinstance(kv, str) else kv
    _check(chosen, admission, tenant, estimates)
    if chosen.name == "none" and not admission:
        return None
    if estimates == "own":
        from agentrt.engine.paths import home

        estimates = home().estimates
    return Desk(chosen, admission=admission is not False, tenant=tenant, estimates=estimates, clock=clock)


def _check(chosen: object, admission: object, tenant: object, estimates: object) -> None:
    if isinstance(chosen, type) or not callable(getattr(chosen, "advise", None)) or not hasattr(chosen, "name"):
        raise ConfigError(f"kv={chosen!r}: expected the name of a policy, or an object with a name and advise()")
    if not isinstance(admission, bool | None):
        raise ConfigError(f"admission={admission!r}: expected True, False or None")
    if estimates not in ("own", None) and not isinstance(estimates, Path):
        raise ConfigError(f"estimates={estimates!r}: expected a pathlib.Path, 'own' or None")
    if not isinstance(tenant, str) or len(tenant) > MAX_TEXT or not _writable(tenant):
        raise ConfigError(f"tenant: expected a text of at most {MAX_TEXT} characters, all of them writable as UTF-8")


def _writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character, as in undecodable environment variables
        return False
    return True
