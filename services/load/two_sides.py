"""What the locustfiles import: two sides, visited in turn, in one run.

Every visitor goes to `yours` and to the `reference` (this lab's solution), one after the other, in a random
order, again and again. A slow moment of the machine then falls on both, and the ratio of their means says
something about the code, which neither mean does alone.

    from two_sides import Site, Visitor, fact

    class Reader(Visitor):
        def visit(self, site: Site) -> None:
            site.get("/tasks", body=b"[]")

`visit` is called for one side at a time. What it notes (`site.saw`) is there at the end, for facts:

    @fact("no id was given twice")
    def no_id_twice(side):
        twice = [id for id, times in side.saw["id"].items() if times > 1]
        return f"given twice: {twice[:5]}" if twice else ""

Several ways to the same side can be driven against each other, too:

    ways = {"alone": "/", "fifty at once": "/"}         # a name, and where nginx shows it
    at_most("fifty at once", 2.0, "alone")              # on your side, mean over mean

Whoever answers is not trusted: an answer has so many bytes and so much time at most, nothing is
decompressed, and this process has so much memory. Requests look like those of the checks (no User-Agent, the
same Host), and what they ask for is drawn anew each time: look at what comes back, nobody could know it.

With several locust processes (WORKERS=n) notes and times are sent to locust's master, which alone writes the
result, as JSON, to the file that FAIR_RESULT names. `workshop/load/runner.py` reads it and gives the verdict.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import gevent
from bounded_answers import Answer, TooMuch
from geventhttpclient.client import HTTPClient
from geventhttpclient.response import HTTPProtocolViolationError
from locust import FastHttpUser, between, events, task
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner
from locust_measurements import FRONTS, REFERENCE, SHOWN, YOURS, Measurements

CREWS = {YOURS: "learner", REFERENCE: "reference"}
SECONDS = float(os.environ.get("FAIR_SECONDS", "6"))
PATIENCE = min(10.0, max(2.0, SECONDS / 2))
FACT_SECONDS = 30.0  # until it is found out whether a fact holds
SAW = 500  # characters of what is noted
PAGE_CAP = 16 << 20  # bytes that `Side.fetch` reads
MEMORY = 3 << 30  # bytes of addresses, most of which are never used

HTTPClient.DEFAULT_HEADERS.clear()
if sys.platform == "linux":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


# --- what was measured --------------------------------------------------------------------------------


ledger = Measurements()
_over = False
_visits: Counter[str] = Counter()


# --- visiting -----------------------------------------------------------------------------------------


class Site:
    """One way to one side, as one visitor uses it."""

    def __init__(self, visitor: Visitor, side: str, way: str, prefix: str) -> None:
        self.visitor, self.side, self.way = visitor, side, way
        self.url = FRONTS[side] + prefix.rstrip("/")
        self.name = f"{side}, {way}" if way else side

    def get(self, path: str = "/", **more: Any) -> Any:
        """GET; see `request`."""
        return self.request("GET", path, **more)

    def post(self, path: str = "/", **more: Any) -> Any:
        """POST; see `request`."""
        return self.request("POST", path, **more)

    def request(
        self, method: str, path: str = "/", *, status: int = 200, body: bytes | None = None, **more: Any
    ) -> Any:
        """One request, timed. Returns locust's FastResponse: `.headers`, `.content`, `.json()` …

        Another status, another body (when one is given), no whole answer within PATIENCE or one of more than
        ANSWER_CAP bytes is a fault.
        `more` is for locust: `json=`, `data=`, `headers=`, `name=`, `allow_redirects=`.
        """
        more.setdefault("name", f"{self.name} {path.partition('?')[0]}")
        more["headers"] = {"Accept-Encoding": "identity", "Host": "localhost", **(more.get("headers") or {})}
        with (
            gevent.Timeout(PATIENCE, TimeoutError(f"no whole answer within {PATIENCE:g} s")),
            self.visitor.client.request(
                method, self.url + path, catch_response=True, context=self.context, **more
            ) as answer,
        ):
            answer.encoding = "utf-8"  # guessing takes a second of work for half a megabyte
            fault, example = _fault(answer, status, body)
            if fault:
                self._fault(fault, example)
                answer.failure(fault)
            else:
                answer.success()
        return answer

    def expect(self, holds: object, otherwise: str) -> bool:
        """Note the fault `otherwise` unless something holds."""
        if not holds:
            self._fault(otherwise)
        return bool(holds)

    def saw(self, word: str, value: object) -> None:
        """Note a value (as text) under a word: an id, a pid. Facts find it in `side.saw[word]`, a Counter."""
        ledger.saw[self.side][word][str(value)[:SAW]] += 1

    def together(self, times: int, do: Callable[[], Any]) -> list[Any]:
        """Do something so many times at once, each on its own connection; their results."""
        doing = [gevent.spawn(do) for _ in range(times)]
        gevent.joinall(doing, raise_error=True)
        return [one.value for one in doing]

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Time something that is no single HTTP request (a burst, a WebSocket message) as one request."""
        began, wrong = time.perf_counter(), None
        try:
            yield
        except Exception as error:
            wrong = error
            self._fault(f"{what}: {type(error).__name__}: {error}")
        events.request.fire(
            request_type="DO",
            name=f"{self.name} {what}",
            response_time=(time.perf_counter() - began) * 1000,
            response_length=0,
            exception=wrong,
            context=self.context,
        )

    def _fault(self, kind: str, example: str = "") -> None:
        ledger.fault(self.side, f"{self.way}: {kind}" if self.way else kind, example)

    @property
    def context(self) -> dict[str, str]:
        """What marks a request of locust's as this site's; for a user that fires `events.request` itself."""
        return {"side": self.side, "way": self.way}

    @property
    def address(self) -> tuple[str, int]:
        """nginx's host and port, for a raw socket."""
        parts = urlsplit(self.url)
        return parts.hostname or "127.0.0.1", parts.port or 80


def _fault(answer: Any, status: int, body: bytes | None) -> tuple[str, str]:
    """What is wrong with an answer, and an example of it; nothing when it is as expected."""
    if answer.status_code == 0:
        return _no_answer(answer.error), ""
    if answer.status_code != status:
        writer = ": nginx wrote it, not your service" if answer.headers.get("x-written-by") else ""
        return f"status {answer.status_code} instead of {status}{writer}", ""
    if body is not None and answer.content != body:
        return "a wrong body", f"{_short(answer.content)} instead of {_short(body)}"
    return "", ""


def _no_answer(error: BaseException | None) -> str:
    error = getattr(error, "original", None) or error
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE:g} s"
    if isinstance(error, HTTPProtocolViolationError):
        return "an answer that is not HTTP"
    if isinstance(error, TooMuch):
        return str(error)
    return f"no whole answer: {type(error).__name__}: {error}"[:SHOWN]


def _short(data: bytes | None) -> str:
    text = repr(bytes(data or b""))
    return text if len(text) <= 50 else f"{text[:40]}… ({len(data or b'')} bytes)"


class Visitor(FastHttpUser):
    """A user that visits every way of both sides in each turn, in an order drawn anew each time."""

    abstract = True
    host = FRONTS[YOURS]
    connection_timeout = 5.0
    network_timeout = PATIENCE
    max_redirects = 0
    concurrency = 200  # connections of one visitor: more than `together` is asked for
    wait_time = between(0.01, 0.03)

    ways: ClassVar[dict[str, str]] = {"": "/"}

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.client.client.response_type = Answer

    def visit(self, site: Site) -> None:
        """What is done to one side. The same for both."""
        raise NotImplementedError("a locustfile's Visitor has a method `visit`")

    def on_start(self) -> None:
        self.sites = [Site(self, side, way, prefix) for way, prefix in self.ways.items() for side in FRONTS]

    @task
    def turn(self) -> None:
        """One visit to each site; a turn that has begun is ended."""
        if _over:
            return
        for site in random.sample(self.sites, len(self.sites)):
            self._visit(site)

    def _visit(self, site: Site) -> None:
        _visits[site.side] += 1
        try:
            self.visit(site)
        except StopUser:
            raise
        except Exception as error:
            site.expect(False, f"the visit could not go on: {type(error).__name__}: {error}")
        finally:
            _visits[site.side] -= 1


# --- what a lab adds ----------------------------------------------------------------------------------


class Side:
    """One side at the end of a run, or in the middle of it: what was seen there, and its services."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.crew = CREWS[name]
        self.saw = ledger.saw[name]

    def requests(self, way: str | None = None) -> int:
        """How many requests were completed here."""
        return sum(
            one.requests - one.failed
            for (side, its_way), one in ledger.series.items()
            if side == self.name and way in (None, its_way)
        )

    def fetch(self, path: str, way: str = "/") -> tuple[int, bytes]:
        """GET outside the measurement: status and body. Status 0 when there was no whole answer."""
        parts = urlsplit(FRONTS[self.name] + way.rstrip("/") + path)
        link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
        try:
            with gevent.Timeout(PATIENCE, TimeoutError("no whole answer")):
                link.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
                answer = link.getresponse()
                body = answer.read(PAGE_CAP + 1)
            return (answer.status, body) if len(body) <= PAGE_CAP else (0, b"")
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            link.close()

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        """One request to the agent, about this side's services: `signal`, `pids`, `status`, `start`."""
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(str(Path(os.environ["FAIR_RUN"]) / "agent.sock"))
            link.sendall(json.dumps({"do": do, "crew": self.crew, **fields}).encode() + b"\n")
            with link.makefile("rb") as answers:
                reply: dict[str, Any] = json.loads(answers.readline())
        return reply

    def signal(self, service: str, number: int, pid: int | None = None) -> None:
        """Send a signal to a service's first process, or to one of its children."""
        self.ask("signal", service=service, number=int(number), pid=pid)

    def pids(self, service: str) -> list[int]:
        """A service's first process, then those below it."""
        return list(self.ask("pids", service=service).get("pids", []))

    def connections(self, service: str) -> int | None:
        """How many connections were opened to a service so far, at least; None where nobody can tell."""
        found = self.ask("connections", service=service).get("peers")
        return None if found is None else len(found)


Fact = Callable[[Side], str]
_facts: dict[str, Fact] = {}
_moments: list[tuple[float, str, Callable[[Side], None]]] = []
_limits: list[dict[str, Any]] = []


def fact(title: str) -> Callable[[Fact], Fact]:
    """Something that must hold at the end. The function returns "" then, and else what was seen instead."""

    def keep(function: Fact) -> Fact:
        _facts[title] = function
        return function

    return keep


def moment(when: float, title: str) -> Callable[[Callable[[Side], None]], Callable[[Side], None]]:
    """Something done to each side in the middle of the run, `when` (0 to 1) of it is over."""

    def keep(function: Callable[[Side], None]) -> Callable[[Side], None]:
        _moments.append((when, title, function))
        return function

    return keep


def at_most(way: str, ratio: float, other: str) -> None:
    """On your side, the mean of one way is at most `ratio` times the mean of another."""
    _limits.append({"way": way, "ratio": ratio, "other": other})


# --- the run ------------------------------------------------------------------------------------------


def _on_request(
    response_time: float, exception: BaseException | None, context: dict[str, str] | None, **_: Any
) -> None:
    if context and "side" in context:
        ledger.series[context["side"], context["way"]].add(response_time, exception is not None)


def _start_clock(environment: Any) -> None:
    """From when every user is there; a bounded run (one that writes a result) ends SECONDS later."""
    for when, title, function in _moments:
        gevent.spawn_later(when * SECONDS, _do, title, function)
    if "FAIR_RESULT" in os.environ:
        gevent.spawn_later(SECONDS, _end, environment.runner)


def _end(runner: Any) -> None:
    """Let every visit end, also those of the workers; then leave."""
    workers = runner.worker_count if isinstance(runner, MasterRunner) else 0
    if workers:
        runner.send_message("drain")
    _drain()
    deadline = time.monotonic() + 2 * PATIENCE + 5
    while _ledgers_here < workers and time.monotonic() < deadline:
        gevent.sleep(0.05)
    if _ledgers_here < workers:  # then there is no result, and workshop/load/locust_runs.py says so
        os.environ.pop("FAIR_RESULT")
        print(f"{workers - _ledgers_here} of {workers} locust workers did not report")
    runner.quit()


def _drain() -> None:
    """Begin no turn any more, and wait for those that go on. (locust's own stop may cut one short.)

    A visit that does not end either is a fault of whom it visits.
    """
    global _over
    _over = True
    deadline = time.monotonic() + 2 * PATIENCE
    while any(_visits.values()) and time.monotonic() < deadline:
        gevent.sleep(0.05)
    for side, visits in _visits.items():
        for _ in range(visits):
            ledger.fault(side, f"no whole answer: a visit did not end within {2 * PATIENCE:g} s")


def _do(title: str, function: Callable[[Side], None]) -> None:
    for name in FRONTS:
        try:
            function(Side(name))
        except Exception as error:
            ledger.fault(name, f"{title}: {type(error).__name__}: {error}")


_ledgers_here = 0


def _on_drain(environment: Any, **_: Any) -> None:
    """In a worker: its last word is what it has noted."""
    _drain()
    environment.runner.send_message("ledger", {"json": json.dumps(ledger.plain())})


def _on_ledger(msg: Any, **_: Any) -> None:
    global _ledgers_here
    ledger.merge(json.loads(msg.data["json"]))
    _ledgers_here += 1


def _on_quitting(environment: Any, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner) or "FAIR_RESULT" not in os.environ:
        return
    facts = [
        {"title": title, "side": name, "instead": _checked(function, Side(name))}
        for title, function in _facts.items()
        for name in FRONTS
    ]
    ways = list(dict.fromkeys(way for user in environment.user_classes for way in user.ways))
    faults = {
        side: {_with_example(side, kind): times for kind, times in kinds.most_common(50)}
        for side, kinds in ledger.faults.items()
    }
    result = {**ledger.plain(), "faults": faults, "ways": ways, "facts": facts, "limits": _limits}
    del result["saw"], result["examples"]
    Path(os.environ["FAIR_RESULT"]).write_text(json.dumps(result), encoding="utf-8")


def _with_example(side: str, kind: str) -> str:
    example = ledger.examples[side].get(kind)
    return f"{kind}, such as {example}" if example else kind


def _checked(function: Fact, side: Side) -> str:
    try:
        with gevent.Timeout(FACT_SECONDS):
            return str(function(side) or "")
    except (Exception, gevent.Timeout) as error:
        return f"this could not be told: {type(error).__name__}: {error}"


def _on_init(environment: Any, **_: Any) -> None:
    environment.events.request.add_listener(_on_request)
    if not isinstance(environment.runner, WorkerRunner):
        environment.events.spawning_complete.add_listener(lambda **_: _start_clock(environment))
    environment.events.quitting.add_listener(_on_quitting)
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message("drain", _on_drain, concurrent=True)
    if isinstance(environment.runner, MasterRunner):
        environment.runner.register_message("ledger", _on_ledger)


events.init.add_listener(_on_init)
