"""Say what a run found, as text or as one object."""

from __future__ import annotations

from agentrt.benchmarks.engine.measure import MANY, TARGETS, Result, Target

CONTENDERS = ("agentrt", "stock", "transformers")
MEASURES = {
    "cold_s": "cold prompt, s",
    "warm_s": "warm prompt, s",
    "one": "decode 1 sequence, tok/s",
    "many": f"decode {MANY} sequences, tok/s",
}


def as_dict(result: Result) -> dict[str, object]:
    """The run as one JSON object: medians, ratios with their targets, and every round."""
    measures = sorted({measure for each in result.rounds for measure in each})
    return {
        "environment": result.environment,
        "sizes": {"cached": result.sizes.cached, "tokens": result.sizes.tokens, "rounds": result.sizes.rounds},
        "medians": {measure: result.median(measure) for measure in measures},
        "ratios": [ratio_of(result, target) for target in TARGETS],
        "met": result.met,
        "rounds": result.rounds,
    }


def ratio_of(result: Result, target: Target) -> dict[str, object]:
    """One ratio and its target."""
    ratio = result.ratio(target.over, target.under)
    bound = {"at_most" if target.at_most else "at_least": target.bound}
    return {"name": target.name, "ratio": ratio, **bound, "met": target.met(ratio)}


def as_text(result: Result) -> str:
    """A table of medians, the ratios with their targets, and the environment."""
    lines = ["".join(f"{title:>16}" for title in ("", *CONTENDERS)).replace(" " * 16, " " * 30, 1)]
    for measure, title in MEASURES.items():
        values = [result.median(f"{contender}.{measure}") for contender in CONTENDERS]
        lines.append(f"{title:<30}" + "".join(f"{'-' if value is None else f'{value:.3g}':>16}" for value in values))
    lines.append("")
    for target in TARGETS:
        ratio = result.ratio(target.over, target.under)
        sign, verdict = "<=" if target.at_most else ">=", "met" if target.met(ratio) else "MISSED"
        lines.append(f"{target.name:<40}{ratio:8.3f}   target {sign} {target.bound:g}   {verdict}")
    described = ", ".join(f"{name} {value}" for name, value in result.environment.items())
    sizes = result.sizes
    lines += ["", f"{sizes.rounds} rounds in turns, medians; {sizes.cached} cached tokens, {sizes.tokens} decoded"]
    return "\n".join([*lines, described])
