"""Patches that were not made by an agent: the reference, or nothing. They show that the grading can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrt.sdk.steps import Program, program


def handed_in(patches: Mapping[str, str]) -> Program[..., Any]:
    """The program that hands in the patch of each instance."""

    @program(name="handed_in")
    async def hand_in(entry: dict[str, Any]) -> dict[str, str]:
        return {"patch": patches[entry["instance"]]}

    return hand_in
