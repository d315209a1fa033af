"""The books of admission: which programs and sessions there are, and how many tokens all of them would take."""

from __future__ import annotations

from collections.abc import Hashable

from agentrt.kvcache.admission.claims import NOTHING_FIXED, Fixed, Program, Session


class Roster:
    """Programs and their sessions; ``active`` are those that are admitted or have turns that run.

    ``known`` is what all hold together, faded or not, each shared prompt once: while that fits the pool nobody has to
    wait, and nothing has to be worked out.
    """

    __slots__ = ("_holders", "_numbers", "active", "known", "programs")

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
        self.active: dict[Program, None] = {}
        self.known = 0
        self._holders: dict[Hashable, int] = {}
        self._numbers = 0

    def program(self, id: str, now: float, priority: int = 0) -> Program:  # noqa: A002 - the field's name
        """The program of that id, new if need be."""
        found = self.programs.get(id)
        if found is None:
            self._numbers += 1
            found = self.programs[id] = Program(id, self._numbers, now, priority)
        return found

    def with_(self, program: Program, name: str, need: int, fixed: Fixed) -> int:
        """What all would hold together, at most, if that session had ``need`` tokens."""
        one = program.sessions.get(name)
        return self.known + need - (one.tokens if one is not None and one.fixed == fixed else 0)

    def admit(self, program: Program, now: float) -> None:
        """It may take turns from now on."""
        if program.admitted is None:
            program.admitted = now
            self.active[program] = None

    def hold(self, program: Program) -> None:
        """It may take no turns; those that run go on."""
        program.admitted = None
        if not program.flying:
            self.active.pop(program, None)

    def board(self, program: Program, name: str, need: int, fixed: Fixed, now: float) -> None:
        """A turn of a session goes, and will have filled ``need`` tokens when it ends."""
        one = program.sessions.get(name)
        if one is None:
            one = self._open(program, name, need, fixed, now)
        else:
            self._resize(one, max(need, one.tokens) if one.flying else need)
            if fixed != one.fixed:
                self._refix(one, fixed)
        one.flying += 1
        one.acting = False
        program.flying += 1

    def land(self, program: Program, name: str, size: int | None, now: float) -> None:
        """A turn of a session has ended. ``size`` 0: it never comes back, though its fixed prompt may; ``None``: as
        large as it was said to become."""
        one = program.sessions[name]
        one.flying -= 1
        one.since = now
        program.flying -= 1
        program.turns += 1
        if not program.flying:
            program.quiet = now
            if program.admitted is None:
                del self.active[program]
        if size == 0 or one.over:
            self.end(program, name)
        elif size is not None and not one.flying:
            self._resize(one, size)

    def end(self, program: Program, name: str) -> None:
        """A session is over, as soon as none of its turns runs; its fixed prompt may still serve others."""
        one = program.sessions[name]
        one.over = True
        if not one.flying:
            self.drop(program, name)
            self._rest(program, one.fixed, max(one.since, program.quiet))

    def drop(self, program: Program, name: str) -> None:
        """Strike a session out."""
        one = program.sessions.pop(name)
        self.known -= one.tokens - one.fixed.tokens
        self._release(one.fixed)

    def remove(self, program: Program) -> None:
        """A program is over."""
        for name in list(program.sessions):
            self.drop(program, name)
        del self.programs[program.id]
        self.active.pop(program, None)

    def _open(self, program: Program, name: str, tokens: int, fixed: Fixed, now: float) -> Session:
        one = program.sessions[name] = Session(max(tokens, fixed.tokens), fixed, now)
        self.known += one.tokens - fixed.tokens
        self._hold(fixed)
        return one

    def _rest(self, program: Program, fixed: Fixed, now: float) -> None:
        """A prompt that the program has used stays its own for a while, whoever used it."""
        if not fixed.tokens:
            return
        name = f"fixed:{fixed.key}"
        one = program.sessions.get(name) or self._open(program, name, fixed.tokens, fixed, now)
        one.since = now

    def _resize(self, one: Session, tokens: int) -> None:
        tokens = max(tokens, one.fixed.tokens)
        self.known += tokens - one.tokens
        one.tokens = tokens

    def _refix(self, one: Session, fixed: Fixed) -> None:
        self._release(one.fixed)
        self.known += one.fixed.tokens - fixed.tokens
        one.fixed = fixed
        self._hold(fixed)
        self._resize(one, one.tokens)

    def _hold(self, fixed: Fixed) -> None:
        if fixed is NOTHING_FIXED or not fixed.tokens:
            return
        holders = self._holders.get(fixed, 0)
        self._holders[fixed] = holders + 1
        if not holders:
            self.known += fixed.tokens

    def _release(self, fixed: Fixed) -> None:
        if fixed is NOTHING_FIXED or not fixed.tokens:
            return
        self._holders[fixed] -= 1
        if not self._holders[fixed]:
            del self._holders[fixed]
            self.known -= fixed.tokens
