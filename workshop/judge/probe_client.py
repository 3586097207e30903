"""How a check calls the learner's code: by the probe, in the learner's process; what comes back is data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from workshop.judge.agent_replies import Misbehaved
from workshop.judge.http_client import Clock, Trail
from workshop.judge.probe_requests import (
    describe,
    http_scope,
    made,
    modules_in,
    outgoing,
    ref,
)
from workshop.judge.probe_transcript import Transcript, decoded
from workshop.judge.script_text import beside
from workshop.judge.shown_bytes import show_bytes
from workshop.judge.stack import SANDBOX, Stack
from workshop.judge.start_failure import exit_text
from workshop.judge.tracebacks import own
from workshop.judge.verdict import Verdict
from workshop.paths import APPS

CALL_SECONDS = 3.0
EVENTS_SHOWN = 8
LONG = 160
# Called with a call's events, each with its moment `at`, and the seconds that the call had.
Observer = Callable[[list[dict[str, Any]], float], None]
observers: list[Observer] = []


class ProbeTrouble(Exception):
    """The probe's call did not end as a call should. `verdict` and `got` say how."""

    def __init__(self, verdict: Verdict, got: str, trace: list[str]) -> None:
        super().__init__(got)
        self.verdict, self.got, self.trace = verdict, got, trace
        self.hung = False  # at import


class Probe:
    """Calls the learner's code in the learner's process, and brings back transcripts."""

    def __init__(self, stack: Stack, trail: Trail, clock: Clock) -> None:
        self._stack, self._trail, self._clock = stack, trail, clock

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call "module:function"; its result as plain data. An exception of the learner's fails the check."""
        return returned(self.steps(made(function, *args, **kwargs)))

    def raises(self, function: str, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Call "module:function"; the description of what it raised, or None when it returned."""
        return self.steps(made(function, *args, **kwargs)).raised

    def steps(
        self, *steps: Any, seconds: float = CALL_SECONDS, sent: str = "", memory: bool = False
    ) -> Transcript:
        """Evaluate steps in turn. A step is a value, or a pair (name, value) to refer to later.

        `sent` is what the report says of them, where the calls themselves would say less. With `memory` the
        transcript knows how much of it they took.
        """
        listed = [
            {"as": step[0], "do": step[1]} if isinstance(step, tuple) else {"do": step} for step in steps
        ]
        self._trail.sent = sent or self._with_given(
            "\n".join(describe(step["do"]) for step in listed), listed
        )
        sent_steps = outgoing(listed)
        return self._ask("steps", {"steps": sent_steps, "memory": memory}, sent_steps, seconds)

    def wsgi(
        self,
        app: Any,
        method: str = "GET",
        path: str = "/",
        query: str = "",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        take: int | None = None,
        seconds: float = CALL_SECONDS,
        **environ: Any,
    ) -> Transcript:
        """Call a WSGI application: "module:attribute", or a value made of `made`, `wsgi_app` and others.

        `path` is PATH_INFO as PEP 3333 wants it (decoded, latin-1); `take` leaves after so many chunks.
        """
        values: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
        for name, value in headers:
            key = name.upper().replace("-", "_")
            values[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        if body:
            values.setdefault("CONTENT_LENGTH", str(len(body)))
        request = {"app": _app(app), "environ": {**values, **environ}, "body": body, "take": take}
        shown = {key: value for key, value in {**values, **environ}.items() if value != "" or key in environ}
        shown = {key: _short(value) for key, value in shown.items()}
        called = describe(_app(app))
        self._trail.sent = f"{called}(environ, start_response) with {shown!r}"
        if len(called) > LONG:  # a report cuts the end: what was asked comes first
            self._trail.sent = f"(environ, start_response) with {shown!r}\nto {called}"
        if body:
            self._trail.sent += f" and wsgi.input {show_bytes(body)}"
        self._trail.sent = self._with_given(self._trail.sent, app)
        asked = outgoing(request)
        return self._ask("wsgi", {"request": asked}, asked, seconds)

    def asgi(
        self,
        app: Any,
        scope: dict[str, Any],
        receive: Iterable[dict[str, Any]] = (),
        then: str = "wait",
        settle: float = 1.0,
        seconds: float = CALL_SECONDS + 2,
    ) -> Transcript:
        """Call an ASGI application with a scope and play it events: see workshop/run/probe_asgi_calls.py."""
        events = list(receive)
        request = {"app": _app(app), "scope": scope, "receive": events, "then": then, "settle": settle}
        usual = http_scope()
        asked = {key: value for key, value in scope.items() if key == "type" or value != usual.get(key)}
        played = ", ".join(_played(event) for event in events[:EVENTS_SHOWN])
        played += f", and {len(events) - EVENTS_SHOWN} more" if len(events) > EVENTS_SHOWN else ""
        self._trail.sent = f"{describe(_app(app))}(scope, receive, send) with the scope {asked!r}"
        self._trail.sent += f"; receive: {played}" if played else ""
        self._trail.sent = self._with_given(self._trail.sent, app)
        asked = outgoing(request)
        return self._ask("asgi", {"request": asked}, asked, seconds)

    def _with_given(self, sent: str, value: Any) -> str:
        """What was called, and on lines of their own what is not the learner's in it."""
        return "\n".join([sent, *beside(value, (self._stack.lab.apps, APPS))])

    def _ask(self, kind: str, request: dict[str, Any], value: Any, seconds: float) -> Transcript:
        self._trail.via, self._trail.connection, self._trail.curl = "probe", None, ""
        self._trail.response = None
        self._trail.modules = modules_in(value)
        self._trail.probe_trace, self._trail.probe_output, self._trail.probe_shape = [], "", ""
        if observers:
            request = {**request, "record": True}
        reply = self._stack.ask(
            "probe", kind=kind, modules=self._trail.modules, seconds=self._clock.left(seconds), **request
        )
        for observer in observers:
            observer(reply.get("events", []), seconds)
        folder, self._trail.probe_output = Path(reply["folder"]), reply.get("output", "")
        if "not_imported" in reply:
            raise import_trouble(reply, folder)
        transcript = Transcript(self._events(reply["events"]), folder, reply.get("output", ""))
        problem = call_trouble(reply, folder)
        if problem is not None:
            raise problem
        self._trail.probe_trace = transcript.trace
        self._trail.probe_shape = transcript.odd_shape
        return transcript

    def _events(self, events: list[Any]) -> list[dict[str, Any]]:
        """A transcript's events; what a stranger's hold that is no value is the stranger's doing."""
        try:
            found: list[dict[str, Any]] = decoded(events)
        except (ValueError, TypeError, RecursionError) as error:
            if self._stack.mode != SANDBOX:
                raise
            raise Misbehaved("a transcript with a value that is none") from error
        return found


def returned(transcript: Transcript) -> Any:
    """The last step's result. An exception of the learner's fails the check."""
    if transcript.raised:
        raise ProbeTrouble(Verdict.FAIL, f"it raised {transcript.trace[-1]}", transcript.trace[:-1])
    return transcript.values[-1]


def _app(app: Any) -> Any:
    return ref(app) if isinstance(app, str) else app


def _short(value: Any) -> Any:
    """A value of an environ, cut in the middle when it is long."""
    if not isinstance(value, str | bytes) or len(value) <= LONG:
        return value
    dots: Any = "…" if isinstance(value, str) else b"..."
    return value[: LONG // 2] + dots + value[-LONG // 4 :]


def _played(event: dict[str, Any]) -> str:
    """A receive event for the report: http.request b"he" (more)."""
    body = event.get("body") or event.get("bytes") or event.get("text") or b""
    shown = repr(body) if len(body) <= 60 else f"({len(body)} bytes)"
    return " ".join(
        [str(event.get("type")), *([shown] if body else []), *(["(more)"] if event.get("more_body") else [])]
    )


def import_trouble(reply: dict[str, Any], folder: Path) -> ProbeTrouble:
    """A module that does not import: an exception, an exit, or no end."""
    outcome, module = reply["not_imported"], reply["module"]
    error = outcome.get("import")
    if error is not None:
        said = f"{error['type']}: {error['message']}".rstrip(": ")
        got = f"{module}.py called sys.exit at import" if error["type"] == "SystemExit" else ""
        got = got or f"{module}.py does not import: {said}"
        return ProbeTrouble(Verdict.NO_START, got, own(error["trace"], folder))
    if outcome.get("hung"):
        trouble = ProbeTrouble(Verdict.NO_START, f"importing {module}.py did not end: it was ended", [])
        trouble.hung = True
        return trouble
    code = outcome.get("died")
    return ProbeTrouble(Verdict.NO_START, f"importing {module}.py ended the process ({exit_text(code)})", [])


def call_trouble(reply: dict[str, Any], folder: Path) -> ProbeTrouble | None:
    """A call that did not come back: out of time, or its process ended."""
    if "timeout" in reply:
        frames = own(reply["timeout"], folder)
        return ProbeTrouble(Verdict.TIMEOUT, "the call did not end; this is where it was then:", frames)
    if reply.get("shouted"):
        return ProbeTrouble(Verdict.CRASH, "the call printed more than 16 MiB and was ended", [])
    if "flooded" in reply:
        frames = own(reply["flooded"], folder)
        return ProbeTrouble(
            Verdict.FAIL, "output without end: more than 4 MiB from one call, then cut", frames
        )
    if "too_much" in reply:
        return ProbeTrouble(Verdict.FAIL, f"a result of {reply['too_much'] >> 20} MiB", [])
    if reply.get("hung"):
        return ProbeTrouble(Verdict.TIMEOUT, "the call did not end, and could not be interrupted", [])
    if "died" in reply:
        return ProbeTrouble(Verdict.CRASH, f"the call ended the process ({exit_text(reply['died'])})", [])
    return None
