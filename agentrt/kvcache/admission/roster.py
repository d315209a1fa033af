"""The books of admission: which programs and sessions there are, and how many tokens all of them would take."""

from __future__ import annotations

from collections.abc import Hashable

from agentrt.kvcache.admission.claims import NOTHING_FIXED, Fixed, Program, Session


class Roster:
    """Programs and their sessions. ``known`` is what all of them hold together, faded or not, each shared prompt once:
    while that fits the pool nobody has to wait, and nothing has to be worked out."""

    __slots__ = ("_holders", "_numbers", "known", "programs")

    def __init__(self) -> None:
        self.programs: dict[str, Program] = {}
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
        if size == 0 or one.over:
            if not one.flying:
                self.drop(program, name)
            self._rest(program, one.fixed, now)
        elif size is not None and not one.flying:
            self._resize(one, size)

    def end(self, program: Program, name: str) -> None:
        """A session is over, as soon as none of its turns runs."""
        program.sessions[name].over = True
        if not program.sessions[name].flying:
            self.drop(program, name)

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
