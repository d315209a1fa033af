"""Agents: a role with a fixed prompt, asked by calling it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Generic, Self, TypeVar, Unpack, cast, overload

from agentrt.errors import ConfigError, GraphError, ProgramError
from agentrt.runtime import MODEL_LANE, Handle, Run, StepSpec, call, outside_a_run, owner, passing
from agentrt.sdk.output import Output
from agentrt.sdk.steps import Options, changed
from agentrt.sdk.tools import Tool
from agentrt.sdk.turns import Context, Settings, ToolUse, grown, loop, opening, prompt_of, single, turn_body
from agentrt.types import CacheControl, Message, Sampling, SessionId

T = TypeVar("T")


class AgentOptions(Options, total=False):
    """What an agent can be given, beside the options of every step.

    ``system``: its fixed prompt; the same over calls, so that the engine computes it once. ``tools``: what the model
    may call. ``tool_use``: when it must (``"auto"``). ``model``: the name of the runtime's executor that answers
    (``"default"``). ``parallel_tools``: whether one reply may call several tools (yes). ``max_turns``: model turns of
    one call, with tools (8). ``output_retries``: how often an answer that does not fit ``output`` is asked for again
    (2). ``max_tokens``, ``temperature``, ``top_p``, ``seed``, ``stop``: how each reply is drawn; what is not given is
    the server's choice. ``cache``: what its turns want of answers that are there already, where the runtime's model has
    such a cache in front.

    With tools, ``timeout`` holds for the whole call and the other step options for each model turn.
    """

    system: str
    tools: Sequence[Tool[..., Any]]
    tool_use: ToolUse
    parallel_tools: bool
    model: str
    max_turns: int
    output_retries: int
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    seed: int | None
    stop: Sequence[str]
    cache: CacheControl


class Agent(Generic[T]):
    """A role with a fixed prompt. Calling it asks the model and gives a handle of the answer.

    ``output`` is the type of the answer: text, or anything pydantic understands, which the model is made to write as
    JSON. With ``tools`` a call is a loop: the tools that the model asks for run side by side, each a step of its own,
    and the model is asked again until it answers.
    """

    @overload
    def __init__(self: Agent[str], name: str, **options: Unpack[AgentOptions]) -> None: ...
    @overload
    def __init__(self, name: str, *, output: type[T], **options: Unpack[AgentOptions]) -> None: ...
    def __init__(self, name: str, *, output: Any = str, **options: Unpack[AgentOptions]) -> None:
        """Raises ``ConfigError`` for an option unknown or out of bounds, ``GraphError`` for two tools of one name."""
        self._options = options
        self._after = tuple(options.get("after", ()))
        self._output = Output(output)
        self.settings = _settings(name, self._output, options)
        self.spec = _spec(self.settings, options)

    def __call__(self, *parts: object) -> Handle[T]:
        """Ask, with the parts joined into one prompt: text as it is, other values as JSON; handles are waited for."""
        session = new_session(self.settings)
        turn = self._ask(Context(opening(self.settings), session), parts)
        turn.add_done_callback(lambda _: end_session(turn.run, session))  # what it said is not said again
        return turn

    def __repr__(self) -> str:
        return f"<agent {self.name}>"

    @property
    def name(self) -> str:
        """The agent's name; ids of its calls are ``name#1``, ``name#2``, ..."""
        return self.settings.name

    def session(self) -> Session[T]:
        """A context that grows over turns; each call of it sees all that was said before.

        Raises ``ProgramError`` outside a program.
        """
        return Session(self, opening(self.settings))

    def with_(self, **options: Unpack[AgentOptions]) -> Agent[T]:
        """The same agent with other options laid over; this one stays as it is."""
        merged = cast("AgentOptions", {**self._options, "after": self._after, **options})
        return Agent(self.name, output=self._output.kind, **merged)

    def _ask(self, context: Context, parts: tuple[object, ...], after: tuple[Handle[Any], ...] = ()) -> Handle[T]:
        turn = cast("Handle[T]", call(self.spec, (context, parts), {}, (*self._after, *after), depth=3))
        turn.node.session = context.session
        return turn


class Session(Generic[T]):
    """One growing context of one agent in one run. Turns run in the order in which they were called.

    ``id`` is what the engine knows it by. A turn called before the last one has ended waits for it, and is skipped when
    that fails; one called after a failure goes on from what was said before. The engine keeps the context at hand until
    ``close``, the end of an ``async with``, or nobody holds the session any more.
    """

    def __init__(self, agent: Agent[T], said: tuple[Message, ...], after: Handle[Any] | None = None) -> None:
        self.agent = agent
        self.id = new_session(agent.settings, f"{agent.name}.session()")
        self._context = Context(said, self.id)
        self._last = after
        self._end = weakref.finalize(self, end_soon, owner.get().run, self.id)
        self._end.atexit = False

    def __call__(self, *parts: object) -> Handle[T]:
        """Take the next turn. Raises ``ProgramError`` when the session is closed."""
        if not self._end.alive:
            raise ProgramError(f"session {self.id!r} is closed; take its turns before that, or open a new one")
        last = self._last
        waits = (last,) if last is not None and last.status not in ("failed", "skipped", "cancelled") else ()
        self._last = turn = self.agent._ask(self._context, parts, waits)
        turn.add_done_callback(self._held)
        return turn

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say that no further turn comes, so that the engine may forget the context; a turn under way still ends."""
        self._end()

    def _held(self, _: object) -> None:
        """Called when a turn is done: until then its handle holds the session, which is not closed as forgotten."""

    @property
    def said(self) -> tuple[Message, ...]:
        """Everything in the context, the fixed prompt first; turns that have not finished are not in it."""
        return self._context.said

    async def fork(self) -> Session[T]:
        """A second session that goes on from here, once all turns so far are done; raises what the last one raises."""
        if self._last is not None:
            await self._last
        return Session(self.agent, self._context.said)


def new_session(settings: Settings, what: str | None = None) -> SessionId:
    """The id of a new context in the running program, which is told of it. Raises ``ProgramError`` outside one."""
    caller = owner.get(None)
    if caller is None:
        raise outside_a_run(what or f"{settings.name}()")
    run = caller.run
    session = SessionId(f"{run.id}/{settings.name}~{next(run.sessions)}")
    if run.contexts is not None:
        run.contexts.opened(session, prompt_of(settings))
    return session


def end_session(run: Run[Any], session: SessionId) -> None:
    """No further turn of the context comes."""
    if run.runtime.desk is not None:
        run.runtime.desk.ended(run.id, session)


def end_soon(run: Run[Any], session: SessionId) -> None:
    """End a session as soon as the run's loop is at rest; to be called from any thread, in the middle of anything.

    Objects are dropped there: in whichever thread held the last reference, or in whatever the loop was about when the
    garbage collector came by.
    """
    with suppress(RuntimeError):  # the loop is closed: there is nobody to tell
        run.loop.call_soon_threadsafe(end_session, run, session)


def _settings(name: str, output: Output, options: AgentOptions) -> Settings:
    unknown = set(options) - AgentOptions.__annotations__.keys() - Options.__annotations__.keys()
    if unknown:
        raise ConfigError(
            f"agent {name!r}: no option {', '.join(sorted(unknown))}; see agentrt.AgentOptions for those there are"
        )
    turns, retries, use = (
        options.get("max_turns", 8),
        options.get("output_retries", 2),
        options.get("tool_use", "auto"),
    )
    if turns < 1 or retries < 0:
        raise ConfigError(f"agent {name!r}: max_turns={turns}, output_retries={retries}: expected at least 1 and 0")
    if use not in ("auto", "first", "once"):
        raise ConfigError(f"agent {name!r}: tool_use={use!r}: expected 'auto', 'first' or 'once'")
    return Settings(
        name=name,
        system=options.get("system", ""),
        tools=_by_name(name, options.get("tools", ())),
        tool_use=use,
        parallel_tools=options.get("parallel_tools", True),
        model=options.get("model", "default"),
        max_turns=turns,
        output_retries=retries,
        sampling=_sampling(name, options),
        output=output,
        cache=options.get("cache", CacheControl()),
    )


def _sampling(name: str, options: AgentOptions) -> Sampling:
    limit, heat = options.get("max_tokens"), options.get("temperature")
    if limit is not None and limit < 1:
        raise ConfigError(f"agent {name!r}: max_tokens={limit}: expected 1 or more, or None for the server's limit")
    if heat is not None and heat < 0:
        raise ConfigError(f"agent {name!r}: temperature={heat}: expected 0 (always the likeliest) or more")
    return Sampling(limit, heat, options.get("top_p"), options.get("seed"), tuple(options.get("stop", ())))


def _by_name(agent: str, tools: Sequence[Tool[..., Any]]) -> dict[str, Tool[..., Any]]:
    known: dict[str, Tool[..., Any]] = {}
    for one in tools:
        if not isinstance(one, Tool):
            raise GraphError(f"agent {agent!r}: {one!r} is no tool; decorate the function with @tool")
        if one.name in known:
            raise GraphError(f"agent {agent!r}: two tools are called {one.name!r}; rename one with @tool(name=...)")
        known[one.name] = one
    return known


def _spec(settings: Settings, options: AgentOptions) -> StepSpec:
    own = {key: value for key, value in options.items() if key in Options.__annotations__}
    lane = MODEL_LANE + settings.model
    if not settings.tools:
        return changed(
            StepSpec(
                settings.name, "llm", single(settings), lane, retries=2, retry_on=passing, value_of=grown, given=_given
            ),
            cast("Options", own),
        )
    timeout = own.pop("timeout", None)
    turn = StepSpec(f"{settings.name}.turn", "llm", turn_body(settings), lane, retries=2, retry_on=passing)
    whole = StepSpec(settings.name, "agent", loop(settings, changed(turn, cast("Options", own))), value_of=grown)
    return replace(whole, timeout=cast("float | None", timeout), given=_given)


def _given(had: tuple[Any, ...], *parts: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """An edit gives an agent another prompt: the context stays."""
    return (had[0], parts), {}
