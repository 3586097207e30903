"""Of whatever ended a check: which verdict it is, whose fault, and how it reads."""

from __future__ import annotations

import errno
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from workshop.errors import InfraError
from workshop.judge import http_wire
from workshop.judge.agent_replies import Misbehaved
from workshop.judge.checks import Failed
from workshop.judge.http_client import Trail
from workshop.judge.probe_client import ProbeTrouble, import_trouble
from workshop.judge.probe_transcript import MissingAttribute
from workshop.judge.stack import SANDBOX, Stack
from workshop.judge.start_failure import ConfigurationTrouble, StartTrouble, exit_text, start_text
from workshop.judge.tracebacks import first_traceback, is_of_import, last_traceback, waiting_frames
from workshop.judge.verdict import Finding, Verdict
from workshop.judge.wait_until_idle import POLL, Rest
from workshop.labs import Lab, Service
from workshop.run.nginx_config import is_own

if TYPE_CHECKING:
    from workshop.judge.plugin import LabRun

OUTPUT_PATIENCE = 0.3  # seconds in which a traceback may still come, after an answer
STACKS_SHOWN = 4  # tasks and threads
SERVER_FAULT = 500  # the least status that says so (RFC 9110 §15.6)
BROKEN_PATIENCE = 1.5  # the same after a 5xx, or no answer: then one is likely
ENDING_PATIENCE = 0.5  # in which a process may still end, whose connection nginx has lost
STATUS_LINE = re.compile(rb"^HTTP/\d\.\d (\d{3})", re.MULTILINE)
URL_PATH = re.compile(r"https?://[^/\s]+(/[^'\s]*)")
SERVER_ERROR = re.compile(r"\[(ERROR|CRITICAL)\]|^(ERROR|CRITICAL):")


def application_of(service: Service) -> str:
    """The module with the application that a service serves, where that is the learner's; else ""."""
    module = re.search(r"\b(\w+):\w+\b", service.command)
    return module[1] if module and service.learner == "application" else ""


# What nginx logs of a service's answer, and what is wrong then.
REASON = re.compile(r"^\S+ \S+ \[\w+\] \d+#\d+: (\*\d+ )?")
NGINX_REASONS = {
    "upstream sent duplicate header": "your service: its answer has a field twice that may be there once",
    "upstream sent invalid header": "your service: a field line of its answer is malformed",
    "upstream sent no valid": "your service: its answer does not begin with a status line",
    "upstream sent too big header": "your service: the head of its answer is too long",
    "upstream sent more data": "your service: its body is longer than its Content-Length",
    "upstream prematurely closed": "your service: it closed the connection without a whole answer",
    "Connection refused": "your service: nobody listens on its port",
    "Connection reset": "your service: it reset the connection",
    "upstream timed out": "your service: it took the request and did not answer in time",
}


def shows(sent: str, curl: str) -> bool:
    """Whether a curl command asks for what a report shows as sent."""
    path = URL_PATH.search(curl)
    return path is not None and path[1] in sent


def is_hole(trace: list[str]) -> bool:
    """Whether a traceback ends in a hole of the starter's."""
    return any(line.startswith("NotImplementedError") for line in trace)


def last_lines(output: str) -> list[str]:
    """What a program said last: where there is no traceback, it may say why it ended."""
    said = [line for line in output.splitlines() if line.strip() and not line[0].isspace()]
    return [line[:200] for line in said[-3:]]


NOT_A_BYTE = re.compile(r"^TypeError: .* is not a byte$")  # gunicorn's word for an item of a body
UNPACKED = "values to unpack (expected 2"  # what a server says of headers that are no pairs
PASSED_ON = re.compile(r"\b(start_response|send)\(")
NEVER_AWAITED = re.compile(r"(\w+\.py):(\d+): RuntimeWarning: coroutine '([^']+)' was never awaited")


def forgotten(said: str, trace: list[str], lab: Lab | None) -> str:
    """A clause about a forgotten `await`, a `breakpoint()` left in, or an odd shape; "" for none of them."""
    if missed := NEVER_AWAITED.search(said):
        file, line, name = missed.groups()
        return f"; Python says: {file}:{line}: coroutine {name!r} was never awaited. An `await` is missing"
    if any("BdbQuit" in line for line in trace) or "bdb.BdbQuit" in said or "(Pdb)" in said:
        number = lab.number if lab is not None else "N"
        return f"; a breakpoint() is left in, and nobody is at its prompt: `make debug-{number}` stops there"
    if trace and "'coroutine' object" in trace[-1]:
        return "; an `await` is missing: the call of an `async def` gives a coroutine, and no result yet"
    if trace and NOT_A_BYTE.search(trace[-1]):
        return "; the body has no list around it: the loop over text or bytes gives one character at a time"
    if len(trace) > 1 and UNPACKED in trace[-1] and any(PASSED_ON.search(line) for line in trace[:-1]):
        return "; headers are a list of pairs: the loop over a dict gives its names alone"
    return ""


def misbehaved(error: Misbehaved) -> Finding:
    """What somebody reads whose code broke the sandbox that it ran in."""
    return Finding(
        got=error.got,
        expected="a sandbox that still works",
        where="your program: it has ended or confused what ran it",
    )


SCARCE = {*http_wire.SCARCE, errno.ENOSPC, errno.EDQUOT, errno.EAGAIN}


def is_of_this_machine(error: BaseException) -> bool:
    """Whether something was raised because of the machine that judges, and not over an answer.

    A MemoryError is over an answer: the grader bounds what the reading of answers may take.
    """
    match error:
        case InfraError():
            return True
        case OSError(errno=number):
            return number in SCARCE
    return not isinstance(error, Exception)


def unreadable(error: BaseException) -> Finding:
    """What somebody reads whose answer no check can make anything of."""
    return Finding(
        got=f"an answer of a kind that the check can't read ({type(error).__name__}: {str(error)[:200]})",
        expected="an answer of the kind that the lab asks for: the lab's own solution gave one",
        where="your program: what it answered, or returned",
    )


class Judge:
    """Says, of whatever ended a check, which verdict it is and how it reads."""

    def __init__(self, run: LabRun, trail: Trail) -> None:
        self.run, self.trail = run, trail
        self._last_words: dict[str, dict[str, Any]] = {}

    @property
    def stack(self) -> Stack:
        """The stack that the check has asked."""
        return self.trail.stack or self.run.stack

    def of(self, error: BaseException) -> tuple[Verdict, Finding]:
        """The verdict and the finding, with words for what is often forgotten."""
        verdict, finding = self._of(error)
        if verdict not in (Verdict.SKIPPED, Verdict.INFRA_ERROR):
            said = "\n".join([self._said(), *finding.trace])
            clause = forgotten(said, finding.trace, self.run.lab) or self._odd_shape(finding.got)
            finding.got = finding.got.removesuffix(": ") + clause if clause else finding.got
        return verdict, finding

    def _odd_shape(self, got: str) -> str:
        """A clause about headers or a body of another kind, where a check looked at something else."""
        clause = self.trail.probe_shape if self.trail.via == "probe" else ""
        return "" if any(word in got for word in ("dict", "list", "of type")) else clause

    def _said(self) -> str:
        """What was printed since the request that is shown began."""
        if self.trail.via == "probe" or not self.trail.via:
            return self.trail.probe_output
        return "".join(map(self._since_shown, self._services_asked()))

    def _of(self, error: BaseException) -> tuple[Verdict, Finding]:
        match error:
            case pytest.skip.Exception():
                return Verdict.SKIPPED, Finding(got=str(error))
            case StartTrouble(reply=reply):
                return self._not_started(reply)
            case ConfigurationTrouble():
                where = f"{self.stack.lab.nginx['file']}: nginx read it, and does not start with it"
                accepted = "a configuration that `nginx -t` accepts"
                return Verdict.NO_START, Finding(got=str(error), expected=accepted, where=where)
            case ProbeTrouble(verdict=verdict, got=got, trace=trace):
                if verdict is not Verdict.NO_START:
                    return verdict, self._finding(got, "a call that returns", trace)
                where = "your file: it is imported before anything is asked of it"
                return verdict, Finding(got=got, expected="a module that imports", where=where, trace=trace)
            case Failed():
                return self._failed(error)
            case http_wire.WireError():
                return self._wire(error)
            case Misbehaved():
                return Verdict.CRASH, misbehaved(error)
            case MissingAttribute(thing=thing, attribute=attribute):
                return Verdict.FAIL, self._finding(repr(thing), f"an object with the attribute {attribute!r}")
        said = f"{type(error).__name__}: {error}".rstrip(".")
        return Verdict.INFRA_ERROR, Finding(
            got=f"a fault of the workshop's own: {said}. Its traceback is in .workshop/infra.log"
        )

    def _finding(self, got: str, expected: str, trace: list[str] | None = None) -> Finding:
        return Finding(
            sent=self.trail.sent_text, got=got, expected=expected, where=self._where(), trace=trace or []
        )

    def _not_started(self, reply: dict[str, Any]) -> tuple[Verdict, Finding]:
        folder = Path(reply["folder"])
        trace = last_traceback(reply["output"], folder)
        if not trace and not reply["flooded"]:
            trace = last_lines(reply["output"])
        verdict = Verdict.FAIL if is_hole(trace) else Verdict.NO_START
        finding = Finding(
            got=start_text(reply),
            expected=f"a service that listens on port {reply['port']} and stays",
            where="your program: nothing was sent to it yet",
            trace=trace,
        )
        return verdict, finding

    def _see_that_nginx_runs(self) -> None:
        """Raises Misbehaved where ours has ended in a sandbox, and InfraError where it has elsewhere.

        In a sandbox they can end it; but so may a machine without memory: then another try tells.
        """
        if self.trail.via != "nginx" or is_own(self.stack.lab):
            return
        code = self.stack.ask("nginx").get("code")
        if code is not None:
            said = f"nginx ended while it was asked ({exit_text(code)})"
            raise Misbehaved(said) if self.stack.mode == SANDBOX else InfraError(f"{said}.")

    def _failed(self, error: Failed) -> tuple[Verdict, Finding]:
        self._see_that_nginx_runs()
        finding = self._finding(error.got, error.expected, self._trace())
        finding.rule, finding.where = error.rule, error.where or finding.where
        if error.sent:
            finding.sent = error.sent
            self.trail.curl = self.trail.curl if shows(error.sent, self.trail.curl) else ""
        waits = error.waits or (self.trail.service if self._is_late(error) else "")
        finding.trace = finding.trace or error.stacks or self.stacks(waits)
        if is_own(self.stack.lab) and self.trail.via == "nginx" and (reason := self._nginx_reason()):
            finding.got += f"; nginx's log says: {reason}"
        response, over_http = self.trail.response, self.trail.via in ("direct", "nginx")
        if response.status >= SERVER_FAULT if response is not None else over_http:
            return self._broken(finding) or (Verdict.FAIL, finding)
        return self._crashed(finding) or (Verdict.FAIL, finding)

    def _wire(self, error: http_wire.WireError) -> tuple[Verdict, Finding]:
        self._see_that_nginx_runs()
        finding = self._finding(error.got, error.expected, self._trace())
        finding.where = self._where("waited for its answer") or finding.where
        broken = self._broken(finding)
        if broken:
            return broken
        if isinstance(error, http_wire.Deadline):
            finding.trace = finding.trace or self.stacks(self.trail.service)
        return (Verdict.TIMEOUT if isinstance(error, http_wire.Deadline) else Verdict.FAIL), finding

    def _broken(self, finding: Finding) -> tuple[Verdict, Finding] | None:
        """NO_START, when the application does not import (gunicorn listens all the same), or CRASH."""
        response = self.trail.response
        nobody_answered = response is None or response.status == 502
        if nobody_answered or not finding.trace:
            problem = self._import_problem()
            if problem is not None:
                return self.of(problem)
        finding.trace = finding.trace or self._server_said()
        return self._crashed(finding)

    def _import_problem(self) -> ProbeTrouble | None:
        """What keeps the application, and so what it imports of the learner's, from being imported."""
        lab = self.stack.lab
        for name in self._services_asked():
            module = application_of(lab.services[name])
            if module:
                reply = self.stack.ask("probe", kind="steps", modules=[module], seconds=1, steps=[])
                if "not_imported" in reply:
                    return import_trouble(reply, Path(reply["folder"]))
        return None

    def _settled(self, name: str) -> dict[str, Any]:
        """What became of a service since the check began, once the last of its output has come."""
        if name in self._last_words:
            return self._last_words[name]
        rest = Rest(self.stack, name)
        deadline = time.monotonic() + (BROKEN_PATIENCE if self._is_broken() else OUTPUT_PATIENCE)
        while True:
            is_over = rest.is_long() or time.monotonic() > deadline
            reply = self.stack.ask("status", service=name, since=self.trail.marks.get(name, 0))
            if is_over or reply["state"] != "running" or "Traceback" in reply["output"]:
                self._last_words[name] = reply
                return reply
            time.sleep(POLL)

    def _is_late(self, error: Failed) -> bool:
        """Whether a check failed because nothing came in time, from the service or from behind nginx."""
        response = self.trail.response
        timed_out = (
            response is not None and response.status == 504 and response.get("X-Written-By") == "nginx"
        )
        return timed_out or isinstance(error.__context__, http_wire.Deadline)

    def _is_broken(self) -> bool:
        """Whether what is shown got no answer, or a 5xx: then a traceback is likely to be the cause."""
        response, connection = self.trail.response, self.trail.connection
        if response is not None:
            return response.status >= SERVER_FAULT
        came = bytes(connection.received) if connection is not None else b""
        return not came or any(int(code) >= SERVER_FAULT for code in STATUS_LINE.findall(came))

    def _services_asked(self) -> list[str]:
        return list(self.trail.marks) or ([self.trail.service] if self.trail.service else [])

    def _trace(self) -> list[str]:
        """The learner's traceback of the request that is shown, from the probe or from a service's output.

        That of an earlier request of the check is given only where it may be the cause: a starter's hole,
        a service that did not answer what is shown (then it is said to be of an earlier one), or WebSockets
        that had not ended.
        """
        if self.trail.via == "probe":
            return self.trail.probe_trace
        earlier = list[str]()
        for name in self._services_asked():
            reply = self._settled(name)
            folder = Path(reply["folder"])
            recent = first_traceback(self._since_shown(name), folder)
            if recent:
                return recent
            earlier = earlier or last_traceback(reply["output"], folder)
        if is_hole(earlier):
            return earlier
        if earlier and self.trail.websockets and not self._is_broken():
            return earlier  # an answer over HTTP says what one of them did, whenever it was asked for
        if earlier and self._is_broken():
            return (
                earlier
                if is_of_import(earlier)
                else ["(perhaps of an earlier request of this check)", *earlier]
            )
        return self._hole()

    def _since_shown(self, name: str) -> str:
        """What a service has written since the request that is shown began."""
        since = self.trail.latest.get(name, self.trail.marks.get(name, 0))
        output: str = self.stack.ask("status", service=name, since=since)["output"]
        return output

    def stacks(self, name: str) -> list[str]:
        """Where a service that does not go on stands: the learner's frames of its tasks and threads."""
        if self.trail.via not in ("direct", "nginx") or name not in self.stack.lab.services:
            return []
        reply = self.stack.ask("status", service=name)
        if reply["state"] != "running" or self.run.other is not None:
            return []
        frames = waiting_frames(self.stack.ask("stacks", service=name)["output"], Path(reply["folder"]))
        return ["(this is where it waits)", *frames[:STACKS_SHOWN]] if frames else []

    def _hole(self) -> list[str]:
        """What a starter's configuration answers where something is to be written: 501, and which task's."""
        response = self.trail.response
        if response is None or response.status != 501:
            return []
        return [line for line in response.text.splitlines() if line.startswith("NotImplementedError")][:1]

    def _server_said(self) -> list[str]:
        """What the server in between logged as errors since the check began."""
        for name in self._services_asked():
            lines = self._settled(name)["output"].splitlines()
            said = [line for line in lines if SERVER_ERROR.search(line)]
            if said:
                return said[-2:]
        return []

    def _crashed(self, finding: Finding) -> tuple[Verdict, Finding] | None:
        """CRASH, when a service that was asked is no longer there."""
        if self.trail.via == "probe":
            return None
        for name in self._services_asked():
            reply = self._status(name)
            if reply["state"] == "exited" and not reply.get("told"):
                flooded = ", after more than 16 MiB of output" if reply["flooded"] else ""
                finding.got += f"; its process ended ({exit_text(reply['code'])}{flooded})"
                finding.trace = finding.trace or ([] if flooded else last_lines(reply["output"]))
                finding.where = "your program: it ended while it was asked"
                return (Verdict.FAIL if is_hole(finding.trace) else Verdict.CRASH), finding
        return None

    def _status(self, name: str) -> dict[str, Any]:
        """A service's status; where nginx answered 502, its process may be ending just now."""
        response = self.trail.response
        deadline = time.monotonic() + (
            ENDING_PATIENCE if response is not None and response.status == 502 else 0.0
        )
        reply = self.stack.ask("status", service=name)
        while reply["state"] == "running" and time.monotonic() < deadline:
            time.sleep(POLL)
            reply = self.stack.ask("status", service=name)
        return reply

    def _where(self, did: str = "") -> str:
        """Which hop broke the contract: we own all of them, so we can tell. `did` is what the others did."""
        came = self.trail.connection is not None and self.trail.connection.received
        did = did or ("passed on what it sent" if came else "waited for its answer")
        trail, lab = self.trail, self.stack.lab
        if trail.via == "probe":
            edited = [f"{module}.py" for module in trail.modules if f"{module}.py" in lab.edit]
            called = edited[-1] if edited else lab.edit[0]
            return f"{called}, called directly: no server and no nginx in between"
        if not trail.via:
            return ""
        if is_own(lab):
            hop = "your nginx.conf, and the instances behind it"
            return hop if trail.via == "nginx" else "an instance, asked directly: no nginx in between"
        response = trail.response
        if response is not None and response.get("X-Written-By") == "nginx":
            return self._nginx_said() or response.text.strip()
        service = lab.services[trail.service] if trail.service else self._shown_at(trail)
        words = service.command.split()
        program = Path(words[1] if words[0] == "python" else words[0]).name
        if service.learner == "application":
            hops = program if trail.via == "direct" else f"{program} and nginx"
            return f"your application: {hops} {did if response is None else 'passed on what it answered'}"
        if trail.via == "direct":
            return "your server: the bytes went straight to it, without nginx"
        return "your server: nginx passed the bytes on unchanged"

    def _nginx_said(self) -> str:
        """Why nginx wrote a page of its own, in the words of its log, and whose fault that is."""
        response, reason = self.trail.response, self._nginx_reason()
        if not reason or response is None:
            return ""
        whose = next((whose for words, whose in NGINX_REASONS.items() if words in reason), "your service")
        return f"{whose}. nginx wrote this {response.status}; its log says: {reason}"

    def _nginx_reason(self) -> str:
        """What nginx's log says of the request that is shown; "" where it says nothing."""
        words = bytes(self.trail.connection.sent if self.trail.connection else b"").split(b"\r\n", 1)
        asked = words[0].decode("latin-1")
        errors = self.stack.ask("nginx", since=self.trail.nginx_mark).get("errors", "")
        mine = [line for line in errors.splitlines() if f'request: "{asked}"' in line]
        return REASON.sub("", mine[-1]).partition(" while ")[0].partition(", client:")[0] if mine else ""

    def _shown_at(self, trail: Trail) -> Service:
        """The service to which nginx passed what was sent last: the longest prefix wins."""
        services = self.stack.lab.services
        words = bytes(trail.connection.sent if trail.connection else b"").split(b" ", 2)
        target = words[1].decode("latin-1") if len(words) > 1 else "/"
        matching = [one for one in services.values() if one.at and target.startswith(one.at)]
        return max(matching, key=lambda one: len(one.at or ""), default=next(iter(services.values())))
