"""Figures in words, for tables and sentences."""

from __future__ import annotations

from agentrt.benchmarks.harness.stats import Interval


def span(seconds: float) -> str:
    """``42 s``, ``7:03``, ``2:15:00``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def took(seconds: float) -> str:
    """The same with three digits: ``0 s``, ``12.3 ms``, ``4.56 s``, ``7:03``."""
    if 0 < seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 99.95 else span(seconds)


def percent(part: float) -> str:
    """``12.3%``; small ones keep a digit that says something."""
    return f"{100 * part:.2f}%" if 0 < part < 0.01 else f"{100 * part:.1f}%"


def percent_between(found: Interval) -> str:
    """``62.0% (54.1-69.3)``."""
    return f"{100 * found.value:.1f}% ({100 * found.low:.1f}-{100 * found.high:.1f})"


def took_between(found: Interval) -> str:
    """``4.56 s (4.1 s-5.02 s)``; of one value alone nothing is known but itself."""
    if found.low == found.high:
        return took(found.value)
    return f"{took(found.value)} ({took(found.low)}-{took(found.high)})"


def chance(p: float) -> str:
    """``p = 0.03``, ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def counted(number: int, noun: str) -> str:
    """``1 entry``, ``1,200 entries``."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def harmless(text: object) -> str:
    """The text on one line, without what would steer a terminal or turn the direction of what follows."""
    return "".join(
        one if one.isprintable() else " " if one.isspace() else "\N{REPLACEMENT CHARACTER}" for one in str(text)
    )
