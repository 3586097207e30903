"""How the checks visit the site: by requests, as readers of events, as members of a room."""

import contextlib
import json
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any, Self

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    Response,
    WebSocket,
    as_object,
    expect,
    fail,
    name,
    request_bytes,
    that,
)

Fields = Iterable[tuple[str, str]]
Known = dict[str, Any]
JSON = [("Content-Type", "application/json")]
PATIENCE = 5.0  # seconds until what must come is said not to have come
AS_IT_HAPPENS = "each event as soon as an instance has sent it"


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
        "a response from an instance",
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
            fail(f"no status line and headers for GET /events within {PATIENCE:g} s", AS_IT_HAPPENS)
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
            ended = f"an event stream that ended before the event {what!r}"
            that(piece, ended, "a stream that goes on, also after a long silence")
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


def room_of_each(front: Client, rng: random.Random, most: int) -> dict[str, str]:
    """A room by the instance that has it, among so many rooms; none where rooms are still to be written."""
    found: dict[str, str] = {}
    for room in (room_name(rng) for _ in range(most)):
        with front.websocket(f"/rooms/{room}?name=Ada", who="Ada") as opened:
            if opened.refused is not None:
                return {}
            found.setdefault(heard(opened, "Ada").get("instance", ""), room)
        if len(found) > 1:
            break
    return found


def room_moves(front: Client, room: str, where: str) -> None:
    """That somebody can enter a room whose instance is gone: the other one has it then."""
    asked = f"GET /rooms/{room}?name=Grace (Upgrade: websocket)"
    with front.websocket(f"/rooms/{room}?name=Grace", who="Grace") as grace:
        that(
            grace.refused is None,
            f"{grace.refused.line if grace.refused else ''} for a room of the instance that is gone",
            "101 from the other instance: a connection that is refused got nothing of the request, so nginx "
            "may ask the next one (proxy_next_upstream) in /rooms/, too",
            sent=asked,
            where=where,
        )
        heard(grace, "Grace", sent=asked)


def heard(socket: WebSocket, who: str, expected: str = "a message", **more: str) -> dict[str, Any]:
    """The next thing that somebody hears, as JSON; `more` is for the report, as of `that`."""
    try:
        message = socket.receive(PATIENCE)
    except Deadline:
        fail(f"{who} heard nothing for {PATIENCE:g} s", "every member hears what is said in the room", **more)
    that(isinstance(message, str), f"{who} got {message}", expected, **more)
    return as_object(str(message), f"{who} heard {message!s:.200}")
