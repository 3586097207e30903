"""Lab 19: an nginx.conf and a deploy.toml, judged by what two instances and their visitors see."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    Response,
    WebSocket,
    Wire,
    as_object,
    check,
    expect,
    fail,
    name,
    request_bytes,
    that,
)
from workshop.judge.stack import Stack

Service = Callable[[str], Client]
Fields = Iterable[tuple[str, str]]
Known = dict[str, Any]
INSTANCES = ("one", "two")
JSON = [("Content-Type", "application/json")]
TURNS, POSTS, ROOMS = 16, 8, 16
KEPT = 6  # connections of nginx, for requests that come one after the other
PATIENCE = 5.0  # seconds until what must come is said not to have come
AT_ONCE = 8  # event streams of one client
GIVEN_UP = 8.0  # seconds: an answer takes 5 at most, and this machine may be busy
SILENCE = 3.2
BACK, DRAINED = 12.0, 8.0
KILL, TERM = 9, 15
AS_IT_HAPPENS = "each event as soon as an instance has sent it"
UPSTREAM = "nginx, ngx_http_upstream_module"
PROXY = "nginx, ngx_http_proxy_module"
ABSOLUTE = "RFC 9112 §3.2.2"


# --- what the checks share --------------------------------------------------------------------------


def whoami(front: Client, fields: Fields = ()) -> Known:
    """Who answers, and what it knows."""
    said = site_json(front.get("/whoami", fields))
    missing = {"instance", "peer", "client", "scheme", "host", "headers"} - said.keys()
    that(not missing, f"/whoami without {', '.join(sorted(missing))}", "the site's own /whoami, unchanged")
    return said


def site_json(answer: Response, status: int = 200) -> Any:
    """The JSON of an answer that an instance gave."""
    expect_status(answer, status)
    that(
        answer.get("X-Instance"),
        f"{answer.line} without X-Instance: nginx wrote it itself",
        "an instance's answer",
    )
    value = answer.json()
    that(isinstance(value, dict | list), f"{value!r}", "the site's JSON")
    return value


def expect_status(answer: Response, status: int) -> None:
    short = answer.text.strip().replace("\r\n", " ")[:120]
    that(answer.status == status, f"{answer.line}: {short!r}", f"status {status}")


def room_name(rng: random.Random) -> str:
    return f"{rng.choice(['tea', 'coffee', 'late'])}-{rng.randrange(10**6)}"


def new_task(rng: random.Random) -> bytes:
    return json.dumps({"title": f"Call {name(rng)}"}).encode()


def token(rng: random.Random) -> str:
    return f"t{rng.randrange(10**9)}"


class Events:
    """A stream of server-sent events (HTML, "Server-sent events"), which has begun when its status is 200."""

    def __init__(self, client: Client, fields: Fields = ()) -> None:
        self.wire = client.connect(target="/events")
        self.wire.send(request_bytes("GET", "/events", fields))
        self._text = ""
        before, self.wire.deadline = self.wire.deadline, time.monotonic() + PATIENCE
        try:
            self.answer, self._pieces = self.wire.stream()
        except Deadline:
            self.wire.close()
            fail(f"no head of an answer to GET /events within {PATIENCE:g} s", AS_IT_HAPPENS)
        self.wire.deadline = before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.close()

    def next(self, what: str, seconds: float = PATIENCE) -> dict[str, Any]:
        """The data of the next event, which must be called `what`, and come in time."""
        before, self.wire.deadline = self.wire.deadline, time.monotonic() + seconds
        event = self._event(what, seconds)
        self.wire.deadline = before
        lines = dict(line.partition(": ")[::2] for line in event.splitlines())
        expect("the event", lines.get("event"), what)
        return as_object(lines.get("data", ""), f"the event {event[:200]!r}")

    def _event(self, what: str, seconds: float) -> str:
        while "\n\n" not in self._text:
            piece = b""
            try:
                with contextlib.suppress(NoAnswer):
                    piece = next(self._pieces, b"")
            except Deadline:
                fail(f"no event {what!r} within {seconds:g} s", AS_IT_HAPPENS)
            that(piece, f"an event stream that ended before the event {what!r}", "a stream that goes on")
            self._text += piece.decode()
        event, _, self._text = self._text.partition("\n\n")
        return event


@contextlib.contextmanager
def events(client: Client, fields: Fields = (), patience: float = PATIENCE) -> Iterator[tuple[Events, Known]]:
    """A stream, and what its hello says. A 429 may be the fault of one that ended a moment ago: once more."""
    end = time.monotonic() + patience
    while (stream := Events(client, fields)).answer.status == 429 and time.monotonic() < end:
        stream.wire.close()
        time.sleep(0.05)
    with stream:
        kind = stream.answer.get("Content-Type")
        that(
            stream.answer.status == 200,
            f"{stream.answer.line} for GET /events",
            "status 200, and an event stream",
        )
        that(kind == "text/event-stream", f"Content-Type: {kind}", "an instance's event stream")
        yield stream, stream.next("hello")


@contextlib.contextmanager
def member(front: Client, room: str, who: str, fields: Fields = ()) -> Iterator[tuple[WebSocket, Known]]:
    """Somebody in a room, and what the welcome says."""
    with front.websocket(f"/rooms/{room}?name={who}", fields=fields, who=who) as opened:
        if opened.refused is not None:
            expect_status(opened.refused, 101)
        yield opened, heard(opened, who)


def heard(socket: WebSocket, who: str) -> dict[str, Any]:
    """The next thing that somebody hears, as JSON."""
    try:
        message = socket.receive(PATIENCE)
    except Deadline:
        fail(f"{who} heard nothing for {PATIENCE:g} s", "what is said in a room, heard by everybody in it")
    that(isinstance(message, str), f"{who} got {message}", "a message")
    return as_object(str(message), f"{who} heard {message!s:.200}")


def last(known: Known, field: str) -> str:
    """The last value of a field that reached the instance: the one that the nearest hop wrote."""
    values = [value for key, value in known["headers"] if key == field]
    return ", ".join(values).rpartition(",")[2].strip()


def every(known: Known, field: str) -> str:
    return ", ".join(value for key, value in known["headers"] if key == field)


def taken_by(service: Service, token: str) -> str:
    """The instance that has a request in its hands, by the note that it made."""
    end = time.monotonic() + PATIENCE
    while True:
        noted = site_json(service("one").get(f"/attempts?token={token}"))
        if noted:
            return str(noted[0])
        that(time.monotonic() < end, "no instance was asked", "a request that reaches an instance")
        time.sleep(0.02)


def other_than(instance: str) -> str:
    return next(one for one in INSTANCES if one != instance)


# --- task 1: two instances, one store ---------------------------------------------------------------


@check(task=1, rule=f'{UPSTREAM}, "upstream", "server"')
def test_task1_both_instances_answer(front: Client) -> None:
    """Both instances answer, at one address"""
    seen = {whoami(front)["instance"] for _ in range(TURNS)}
    expect(f"the instances that answered {TURNS} requests", sorted(seen), list(INSTANCES))


@check(task=1, rule=f'{UPSTREAM}, "keepalive": HTTP/1.1, and a Connection field that is empty')
def test_task1_connections_to_instances_are_kept(front: Client) -> None:
    """nginx keeps its connections to the instances"""
    peers = {whoami(front)["peer"] for _ in range(TURNS)}
    that(
        len(peers) <= KEPT,
        f"{len(peers)} connections from nginx to the instances, for {TURNS} requests one after the other",
        f"at most {KEPT}: a connection is used again",
    )


@check(task=1, rule="RFC 9110 §15.3.2: 201 says that the resource was created, not in which process")
def test_task1_task_is_known_to_both(service: Service, rng: random.Random) -> None:
    """What one instance has created, the other one knows"""
    for here, there in (INSTANCES, INSTANCES[::-1]):
        made = site_json(service(here).request("POST", "/tasks", JSON, new_task(rng)), 201)
        found = service(there).get(f"/tasks/{made['id']}")
        that(
            found.status == 200,
            f"{found.line} from instance {there}, for the task that {here} has created",
            "the same task: both have one store",
        )
        expect(f"the task, as {there} has it", site_json(found), made)


# --- task 2: who asks -------------------------------------------------------------------------------


def spoofing(rng: random.Random) -> tuple[str, list[Fields]]:
    """An address that is nobody's (RFC 5737), and requests that claim to come from there."""
    lie = f"203.0.113.{rng.randrange(1, 255)}"
    two = [("X-Forwarded-For", lie), ("X-Forwarded-For", lie)]
    more = [("X-Real-IP", lie), ("Forwarded", f"for={lie};proto=https")]
    return lie, [[("X-Forwarded-For", lie)], [("x-forwarded-for", f"10.0.0.1, {lie}"), *more], two]


def must_know(known: Known, client: str, lie: str, where: str) -> None:
    """That an instance knows the client's real address, and believes nothing that the client said of it."""
    got = last(known, "x-forwarded-for")
    that(
        got,
        f"no X-Forwarded-For at the instance, {where}",
        f"X-Forwarded-For ending in {client}: nginx's own word",
    )
    that(
        got == client,
        f"X-Forwarded-For: {every(known, 'x-forwarded-for')}, {where}, when the client had sent {lie}",
        f"{client} at its end: nginx's own word, which the instance trusts",
    )
    for field in ("x-real-ip", "forwarded"):
        said = every(known, field)
        that(lie not in said, f"{field}: {said}, {where}", f"nothing that the client made up in {field}")


@check(task=2, rule=f'{PROXY}, "proxy_set_header"; RFC 7239 §8.1: a client can send any of these fields')
def test_task2_client_cannot_be_spoofed(front: Client, rng: random.Random) -> None:
    """A client's address can't be spoofed"""
    client = whoami(front)["client"]
    lie, requests = spoofing(rng)
    for fields in requests:
        must_know(whoami(front, fields), client, lie, "for GET /whoami")


@check(task=2, rule=f'{PROXY}, "proxy_set_header"; RFC 9110 §7.2: Host is the one that the client asked')
def test_task2_scheme_and_host_are_what_this_hop_saw(front: Client, rng: random.Random) -> None:
    """Scheme and host are those of the request that nginx got"""
    asked, lie = f"tasks{rng.randrange(10**4)}.example", f"evil{rng.randrange(10**4)}.example"
    lies = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", lie)]
    for fields in ([("Host", asked)], [("Host", asked), *lies]):
        known = whoami(front, fields)
        expect("Host at the instance", known["host"].lower().partition(":")[0], asked, "the client's Host")
        expect(
            "X-Forwarded-Proto at the instance",
            every(known, "x-forwarded-proto"),
            "http",
            "as nginx was asked",
        )
        host = every(known, "x-forwarded-host")
        that(
            lie not in host,
            f"X-Forwarded-Host: {host}",
            f"{asked}, or no such field: the client made that up",
        )
    unusual_requests(front, asked, lie)


def unusual_requests(front: Client, asked: str, lie: str) -> None:
    """A target with a host in it, and an HTTP/1.0 client without Host."""
    absolute = f"GET http://{asked}:8080/whoami HTTP/1.1\r\nHost: {lie}\r\nConnection: close\r\n\r\n"
    known = site_json(front.send(absolute.encode()))
    why = "the target's host: it replaces what Host says"
    expect("Host at the instance", str(known["host"]).lower().partition(":")[0], asked, why, rule=ABSOLUTE)
    host = every(known, "x-forwarded-host")
    that(lie not in host, f"X-Forwarded-Host: {host}", f"{asked}, or no such field", rule=ABSOLUTE)
    old = front.send(b"GET /whoami HTTP/1.0\r\n\r\n")
    got = f"{old.line} for GET /whoami HTTP/1.0, which has no Host"
    that(old.status == 200, got, "200: an HTTP/1.0 client need not send one, nginx must (RFC 9112 §3.2)")


@check(task=2, rule=f'{PROXY}, "proxy_set_header": inherited only where a level has none of its own')
def test_task2_streams_know_their_client_too(front: Client, rng: random.Random) -> None:
    """Streams and rooms know their client, too"""
    client = whoami(front)["client"]
    lie, requests = spoofing(rng)
    fields = [*rng.choice(requests), ("X-Forwarded-Proto", "https")]
    with events(front, fields) as (_, hello), member(front, room_name(rng), "Ada", fields) as (_, welcome):
        for known, where in ((hello, "for GET /events"), (welcome, "for a WebSocket in /rooms/")):
            must_know(known, client, lie, where)
            expect(
                f"X-Forwarded-Proto, {where}", every(known, "x-forwarded-proto"), "http", "as nginx was asked"
            )


# --- task 3: files, events, rooms -------------------------------------------------------------------

WAYS_OUT = (
    "/static../learner/nginx.conf",
    "/static/../learner/nginx.conf",
    "/static/..%2flearner/nginx.conf",
)


@check(task=3, rule='nginx, ngx_http_core_module, "alias"; RFC 9110 §13.1.2: If-None-Match')
def test_task3_files_come_from_nginx_and_only_from_their_folder(front: Client) -> None:
    """Files come from nginx, and only from their folder"""
    for path in sorted((Path(__file__).parent / "static").iterdir()):
        answer = front.get(f"/static/{path.name}")
        expect_status(answer, 200)
        expect(f"the body of {path.name}", answer.body, path.read_bytes())
        that(
            answer.get("X-Instance") is None,
            "X-Instance: an instance was asked",
            "a file that nginx reads itself",
        )
        fresh = front.get(f"/static/{path.name}", [("If-None-Match", answer.get("ETag") or "*")])
        expect_status(fresh, 304)
    expect_status(front.get("/static/nothing.css"), 404)
    for target in WAYS_OUT:
        answer = front.get(target)
        that(
            answer.status != 200 and b"proxy_pass" not in answer.body,
            f"{answer.line} for {target}: {answer.text[:60]!r}",
            "nothing from outside the folder of files",
        )


@check(task=3, rule=f'{PROXY}, "proxy_buffering"; HTML, "Server-sent events"')
def test_task3_events_arrive_as_they_happen(front: Client, rng: random.Random) -> None:
    """Events arrive as they happen, whichever instance took the task"""
    with events(front) as (stream, _):
        for _ in range(4):
            made = site_json(front.request("POST", "/tasks", JSON, new_task(rng)), 201)
            expect("the task in the event", stream.next("task"), made)


@check(task=3, rule=f'{UPSTREAM}, "hash"; RFC 9110 §7.8: Upgrade is a field for one hop')
def test_task3_members_of_a_room_meet(front: Client, rng: random.Random) -> None:
    """Members of a room meet, and rooms are shared out"""
    room = room_name(rng)
    names = [
        f"{who}-{rng.randrange(1000)}" for who in ("Ada", "Grace", "Edsger", "Barbara", "Dennis", "Radia") * 2
    ]
    with contextlib.ExitStack() as all_members:
        members = [all_members.enter_context(member(front, room, who)) for who in names]
        there = sorted({welcome["instance"] for _, welcome in members})
        that(
            len(there) == 1,
            f"members of {room} at instances {' and '.join(there)}",
            "one room, at one instance",
        )
        said = f"tea {rng.randrange(10**6)}"
        members[0][0].send(said)
        for who, (socket, _) in zip(names, members, strict=True):
            expect(f"what {who} hears", heard(socket, who), {"type": "said", "name": names[0], "text": said})
    hosts = set()
    for _ in range(ROOMS):
        with member(front, room_name(rng), "Ada") as (_, welcome):
            hosts.add(welcome["instance"])
    expect(
        f"the instances that have {ROOMS} rooms", sorted(hosts), list(INSTANCES), "the rooms are shared out"
    )


# --- task 4: limits and time-outs -------------------------------------------------------------------


@check(task=4, rule='RFC 9110 §15.5.14; nginx, ngx_http_core_module, "client_max_body_size"')
def test_task4_large_body_is_refused_twice(front: Client, service: Service, rng: random.Random) -> None:
    """A body over 64 KiB is refused by nginx, and by an instance"""
    small, large = (
        new_task(rng).ljust(size) for size in (rng.randrange(50_000, 65_000), rng.randrange(66_000, 90_000))
    )
    site_json(front.request("POST", "/tasks", JSON, small), 201)
    refused = front.request("POST", "/tasks", JSON, large)
    expect_status(refused, 413)
    that(
        refused.get("X-Instance") is None,
        "a 413 of an instance's",
        "nginx's own: no instance is bothered with it",
    )
    for instance in INSTANCES:
        site_json(service(instance).request("POST", "/tasks", JSON, small), 201)
        site_json(service(instance).request("POST", "/tasks", JSON, large), 413)


@check(task=4, rule="nginx, ngx_http_limit_conn_module; RFC 6585 §4: 429")
def test_task4_one_client_holds_eight_streams(front: Client) -> None:
    """One client holds eight event streams, and no ninth"""
    with contextlib.ExitStack() as streams:
        held = [streams.enter_context(events(front))[0] for _ in range(AT_ONCE)]
        with Events(front) as ninth:
            that(
                ninth.answer.status == 429,
                f"{ninth.answer.line} for the ninth event stream of one client",
                "status 429: eight are enough",
            )
        whoami(front)
        held[0].wire.close()
        streams.enter_context(events(front))


@check(task=4, rule=f'{PROXY}, "proxy_read_timeout"; {UPSTREAM}, "max_fails"; RFC 9110 §15.6.5')
def test_task4_slow_answer_is_given_up_and_streams_are_not(front: Client, rng: random.Random) -> None:
    """A slow answer is given up, silent streams are not, and nobody else suffers"""
    with events(front) as (stream, _), member(front, room_name(rng), "Ada") as (ada, _):
        began = time.monotonic()
        with contextlib.ExitStack() as all_of_them:
            slow = [all_of_them.enter_context(front.connect()) for _ in range(4)]
            for wire in slow:
                wire.send(request_bytes("GET", "/slow?seconds=30"))
            for wire in slow:
                given_up(wire, began)
        for _ in range(TURNS):
            answer = front.get("/whoami")
            that(
                answer.status == 200,
                f"{answer.line} for GET /whoami, after four answers that took too long",
                "status 200: an instance that was slow once is not gone",
            )
        time.sleep(max(0.0, began + SILENCE - time.monotonic()))
        made = site_json(front.request("POST", "/tasks", JSON, new_task(rng)), 201)
        expect(f"the event after {SILENCE:g} s of silence", stream.next("task"), made)
        ada.send("still here")
        expect(f"what Ada hears after {SILENCE:g} s of silence", heard(ada, "Ada").get("text"), "still here")


def given_up(wire: Wire, began: float) -> None:
    """That an answer came that is nginx's own, 504, in time."""
    wire.deadline = began + GIVEN_UP
    try:
        answer = wire.response()
    except Deadline:
        fail(f"no answer within {GIVEN_UP:g} s, from an instance that takes 30 s", "504, within 5 s")
    expect_status(answer, 504)


# --- task 5: an instance ends -----------------------------------------------------------------------


@check(task=5, rule=f'RFC 9110 §9.2.2; {UPSTREAM}, "proxy_next_upstream"')
def test_task5_killed_instance_loses_no_idempotent_request(
    front: Client, service: Service, stack: Stack, rng: random.Random
) -> None:
    """An instance is killed: its GET is answered by the other one, and so is everybody"""
    whoami(front)
    mine = token(rng)
    with front.connect() as wire:
        wire.send(request_bytes("GET", f"/slow?seconds=20&token={mine}"))
        victim = taken_by(service, mine)
        stack.ask("signal", service=victim, number=KILL)
        answer = wire.response()
    sent = f"GET /slow?token={mine}, and SIGKILL to instance {victim}, which has it"
    that(
        answer.status == 200,
        f"{answer.line}",
        "200 from the other instance: asking again does no harm",
        sent=sent,
    )
    expect("the instance that answers", site_json(answer)["instance"], other_than(victim), sent=sent)
    front.wakes = False
    for _ in range(TURNS):
        answer = front.get("/whoami")
        that(
            answer.status == 200,
            f"{answer.line}, with instance {victim} gone",
            "status 200 from the one that is there",
        )
    front.wakes = True
    end = time.monotonic() + BACK
    while whoami(front)["instance"] != victim:
        that(
            time.monotonic() < end,
            f"nothing from instance {victim}, {BACK:g} s after it is back",
            "both answer again",
        )


@check(task=5, rule=f'RFC 9110 §9.2.2: POST is not idempotent; {UPSTREAM}, "non_idempotent"')
def test_task5_create_is_never_sent_twice(
    front: Client, service: Service, stack: Stack, rng: random.Random
) -> None:
    """A POST that an instance had in its hands is not sent to the other; one that it never got, is"""
    whoami(front)
    mine = token(rng)
    with front.connect() as wire:
        wire.send(request_bytes("POST", f"/slow?seconds=20&token={mine}", [("Content-Length", "0")]))
        victim = taken_by(service, mine)
        stack.ask("signal", service=victim, number=KILL)
        answer = wire.response()
    sent = f"POST /slow?token={mine}, and SIGKILL to instance {victim}, which has it"
    there = service(other_than(victim))
    asked = site_json(there.get(f"/attempts?token={mine}"))
    expect("the instances that were asked", asked, [victim], "nobody knows what was done already", sent=sent)
    that(
        answer.status in (502, 504),
        f"{answer.line}",
        "502: the client has to know that nobody knows",
        sent=sent,
    )
    front.wakes = False
    for _ in range(POSTS):
        answer = front.request("POST", "/tasks", JSON, new_task(rng))
        that(
            answer.status == 201,
            f"{answer.line} for POST /tasks, with instance {victim} gone",
            "status 201: a refused connection got nothing of the request",
        )


@check(task=5, rule='deploy.toml, "drain_seconds"; uvicorn, "timeout_graceful_shutdown"')
def test_task5_drain_lets_answers_finish_and_ends_streams(
    front: Client, service: Service, stack: Stack, rng: random.Random
) -> None:
    """SIGTERM: an answer is finished, a stream is not waited for"""
    whoami(front)
    mine = token(rng)
    with front.connect() as wire:
        wire.send(request_bytes("GET", f"/slow?seconds=1.2&token={mine}"))
        told = taken_by(service, mine)
        with events(service(told)):
            stack.ask("signal", service=told, number=TERM)
            answer = wire.response()
            sent = f"GET /slow?seconds=1.2, and SIGTERM to instance {told}, which has it"
            that(
                answer.status == 200, f"{answer.line}", "status 200: it finishes what it has begun", sent=sent
            )
            said = site_json(answer)
            asked = site_json(service(other_than(told)).get(f"/attempts?token={mine}"))
            expect("the instances that were asked", asked, [told], "it finishes what it has begun", sent=sent)
            expect("the instance that answers", said["instance"], told, sent=sent)
            end = time.monotonic() + DRAINED
            while stack.ask("status", service=told)["state"] == "running":
                late = f"instance {told} still runs {DRAINED:g} s after SIGTERM: an event stream is open"
                that(
                    time.monotonic() < end,
                    late,
                    "an end within 5 s: streams have none of their own",
                    sent=sent,
                )
                time.sleep(0.05)
