"""Lab 10: an ASGI application, alone, under two servers and behind nginx."""

import csv
import io
import json
import random
import re
import select
import time
from typing import Any
from urllib.parse import quote_plus

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    Deadline,
    NoAnswer,
    Probe,
    Response,
    Transcript,
    Wire,
    body_event,
    check,
    expect,
    fail,
    http_scope,
    name,
    request_bytes,
    that,
    wire_cases,
)

REQUEST = 'ASGI www, "Request - receive event"'
EVENT_STREAM = "WHATWG HTML §9.2.6, interpreting an event stream"
BODY_LIMIT = 64 * 1024
NGINX_WAITS = 2.0  # proxy_read_timeout in lab.toml, in seconds
PATIENCE = 3.0  # until what must happen is said not to have happened, in seconds
JSON = ("Content-Type", "application/json")
FAR_WORDS = ("Zoë", "Łódź", "naïve", "東京", "Ωmega", "δ", "🙂")


# --- what the checks share: calling the application -------------------------------------------------


def far_text(rng: random.Random) -> str:
    """Text of many characters that take more than one byte in UTF-8."""
    return " ".join(rng.choices(FAR_WORDS, k=6)) + f" {rng.randrange(1000)}"


def cut(rng: random.Random, data: bytes, count: int) -> list[bytes]:
    """The data in pieces, one of them empty, cut anywhere, once at least in the middle of a character."""
    within = rng.choice([place for place, byte in enumerate(data) if byte & 0xC0 == 0x80])
    elsewhere = [place for place in range(1, len(data)) if place != within]
    places = sorted([within, *rng.sample(elsewhere, count - 2)])
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    pieces.insert(rng.randrange(1, len(pieces)), b"")
    return pieces


def answer_of(seen: Transcript) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers and body that were sent; fails where the messages are not what the ASGI text asks."""
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "an answer, and no exception")
    sends = [message if isinstance(message, dict) else {} for message in seen.sends]
    types = [message.get("type") for message in sends]
    more = f", then it was {seen.names()[-1]}" if seen.names()[-1] == "still running" else ""
    that(
        types[:1] == ["http.response.start"] and set(types[1:]) == {"http.response.body"},
        got=f"sent {types}{more}",
        expected="sent one http.response.start, then http.response.body",
        rule='ASGI www, "Response Start - send event"',
    )
    that(
        not sends[-1].get("more_body", False),
        got=f"the last http.response.body has more_body {sends[-1].get('more_body')!r}{more}",
        expected="more_body False (or absent) in the last one: else the client waits for more",
        rule='ASGI www, "Response Body - send event"',
    )
    headers = [tuple(pair) for pair in sends[0].get("headers", []) if isinstance(pair, tuple | list)]
    wrong = [pair for pair in headers if not is_header(pair)]
    that(
        not wrong,
        got=f"the header {wrong[:1]!r}",
        expected="(name, value), both bytes, the name in lower case",
        rule='ASGI www, "Response Start - send event"',
    )
    bodies = [message.get("body", b"") for message in sends[1:]]
    that(
        all(isinstance(body, bytes) for body in bodies),
        got=f"a body of {[type(body).__name__ for body in bodies]}",
        expected="a body of bytes",
        rule='ASGI www, "Response Body - send event"',
    )
    status = sends[0].get("status")
    return status if isinstance(status, int) else 0, headers, b"".join(bodies)


def is_header(pair: tuple[Any, ...]) -> bool:
    return len(pair) == 2 and all(isinstance(one, bytes) for one in pair) and pair[0] == pair[0].lower()


def json_of(body: bytes) -> Any:
    try:
        return json.loads(body)
    except NOT_JSON:
        fail(f"the body {body[:200]!r}", "a body that is JSON (RFC 8259)")


def key_of(value: Any, key: str) -> Any:
    """A key of a JSON object; fails when it is no object, or has no such key."""
    that(
        isinstance(value, dict) and key in value,
        got=f"the JSON {value!r}",
        expected=f"a JSON object with the key {key!r}",
    )
    return value[key]


def echo(probe: Probe, text: str, pieces: list[dict[str, Any]]) -> None:
    """Fail unless /echo says back the text that came in these pieces."""
    seen = probe.asgi("app:app", http_scope("POST", "/echo"), receive=pieces)
    status, _, body = answer_of(seen)
    expect("status", status, 200)
    echoed(key_of(json_of(body), "body"), text)


def echoed(got: Any, text: str) -> None:
    if isinstance(got, str) and text.startswith(got.rstrip("\ufffd")):
        why = "more_body True: there is another piece"
    elif isinstance(got, str) and "\ufffd" in got:
        why = "a piece may end in the middle of a character: join the bytes, then decode"
    else:
        why = "every piece, in order"
    expect("body", got, text, why)


# --- what the checks share: asking over the wire ----------------------------------------------------


def json_answer(answer: Response, status: int, why: str = "") -> Any:
    """The JSON of an answer that has this status."""
    expect("status", answer.status, status, why)
    return answer.json()


def write(client: Client, method: str, target: str, value: Any) -> Response:
    return client.request(method, target, [JSON], json.dumps(value).encode())


def create(client: Client, title: str) -> dict[str, Any]:
    """Create a task; its JSON, with an id that is a number."""
    task = json_answer(write(client, "POST", "/tasks", {"title": title}), 201)
    number = key_of(task, "id")
    that(type(number) is int, got=f"id = {number!r}", expected="id = a number")
    return dict(task)


def count(client: Client, word: str) -> int:
    """A number in /stats."""
    number = key_of(json_answer(client.get("/stats"), 200), word)
    that(type(number) is int, got=f"/stats has {word} = {number!r}", expected=f"{word} = a number")
    return int(number)


def becomes(client: Client, word: str, wanted: int, seconds: float = PATIENCE) -> int:
    """What a number in /stats comes to: `wanted`, or what it was when patience ended."""
    end = time.monotonic() + seconds
    while (got := count(client, word)) != wanted and time.monotonic() < end:
        time.sleep(0.02)
    return got


# --- what the checks share: event streams -----------------------------------------------------------


def parsed(block: bytes) -> dict[str, str] | None:
    """One event as a browser reads it, or None when there is no data in it (a comment)."""
    event: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data" and "data" in event:
            event["data"] += f"\n{value}"
        elif field in ("data", "event", "id"):
            event[field] = value
    return event if "data" in event else None


def with_lf(data: bytes) -> bytes:
    """CR, LF and CRLF all end a line."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class Listener:
    """A browser's end of /events, on a connection of its own."""

    def __init__(self, link: Wire, *fields: tuple[str, str]) -> None:
        accept = ("Accept", "text/event-stream")
        link.send(request_bytes("GET", "/events", [accept, *fields, ("Connection", "close")]))
        self.link, self.buffer, self.seen = link, b"", b""
        self.sent = ", ".join(["GET /events HTTP/1.1", *(f"{key}: {value}" for key, value in fields)])
        try:
            self.head, self.pieces = link.stream()
        except Deadline:
            fail(
                f"not even the head of the response, in {PATIENCE:.0f} s",
                "the head, and something after it, at once: the head waits for the first body event; and "
                "nginx keeps back what comes unless the response says x-accel-buffering: no",
                sent=self.sent,
            )
        if self.head.status == 200:
            self.awaited("the first bytes")
        expect("status", self.head.status, 200)
        kind = (self.head.get("Content-Type") or "").partition(";")[0].strip().lower()
        expect("Content-Type", kind, "text/event-stream", "a browser's EventSource refuses others")

    def awaited(self, what: str) -> None:
        """Read a piece more."""
        try:
            piece = next(self.pieces, None)
        except Deadline:
            fail(
                f"{what} did not arrive, the stream stayed open; it said {self.seen[-120:]!r}",
                f"{what}, when it happens: a body event of its own, that nobody keeps back",
                sent=self.sent,
            )
        except NoAnswer:
            piece = None
        if piece is None:
            fail(
                f"the stream ended before {what} arrived; it said {self.seen[-120:]!r}",
                "a stream that goes on: more_body True each time, and something (a comment) in every silence "
                f"that would last longer than nginx's proxy_read_timeout of {NGINX_WAITS:.0f} s",
                sent=self.sent,
            )
        self.seen += piece or b""
        self.buffer = with_lf(self.buffer + (piece or b""))

    def next(self, what: str) -> dict[str, str]:
        """The next event that has data; comments are passed over."""
        while True:
            block, end, rest = self.buffer.partition(b"\n\n")
            if not end:
                self.awaited(what)
                continue
            self.buffer = rest
            event = parsed(block)
            if event is not None:
                return event

    def task(self, kind: str, task: dict[str, Any]) -> dict[str, str]:
        """The next event; fails unless it is of this kind and this task."""
        event = self.next(f"the event {kind!r} of task {task.get('id')}")
        expect("event", event.get("event"), kind, f"task {task.get('id')} was {kind}", sent=self.sent)
        data = json_of(event["data"].encode())
        if isinstance(data, dict) and data.get("id") != task.get("id"):
            fail(
                f"the event of task {data.get('id')}",
                f"the event of task {task.get('id')}: what is new, once, in order",
                sent=self.sent,
            )
        expect("data", data, task, "the task, as JSON", sent=self.sent)
        return event

    def stays(self, seconds: float) -> None:
        """Fail unless the stream is still open after so many seconds in which nothing happens."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.awaited("a sign of life (a comment, `: still here`)")


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule='ASGI www, "HTTP Connection Scope"')
def test_task1_echo_shows_the_scope(probe, rng):
    """/echo answers with what the scope says"""
    answer_of(probe.asgi("app:app", http_scope("GET", "/echo"), receive=[body_event()]))
    method, word = rng.choice(["GET", "POST", "PUT"]), far_text(rng)
    query = f"name={quote_plus(word)}&empty=&name=Ada".encode()
    tags = [(b"x-tag", str(rng.randrange(1000)).encode()) for _ in range(2)]
    headers = [(b"host", b"localhost"), tags[0], (b"accept", b"*/*"), tags[1], (b"x-latin", b"caf\xe9")]
    seen = probe.asgi("app:app", http_scope(method, "/echo", query, headers), receive=[body_event()])
    status, sent, body = answer_of(seen)
    expect("status", status, 200)
    kind = dict(sent).get(b"content-type", b"").partition(b";")[0].strip().lower()
    expect("content-type", kind, b"application/json")
    length = dict(sent).get(b"content-length")
    that(
        length in (None, str(len(body)).encode()),
        got=f"content-length = {length!r} for {len(body)} bytes",
        expected="content-length = the number of bytes, or none at all",
        rule="RFC 9110 §8.6",
    )
    value = json_of(body)
    expect("method", key_of(value, "method"), method)
    expect("path", key_of(value, "path"), "/echo")
    pairs = [["name", word], ["empty", ""], ["name", "Ada"]]
    expect("query", key_of(value, "query"), pairs, "query_string is bytes, and still percent-encoded")
    text = [[one.decode("latin-1") for one in pair] for pair in headers]
    expect("headers", key_of(value, "headers"), text, "bytes as latin-1; order and repeats kept")


@check(task=1, rule=REQUEST)
def test_task1_body_comes_in_pieces(probe, service, rng):
    """A body that comes in pieces is one body"""
    text = far_text(rng)
    pieces = cut(rng, text.encode(), rng.randint(3, 6))
    echo(probe, text, [body_event(text.encode())])
    echo(probe, text, [*(body_event(piece, more=True) for piece in pieces), body_event()])
    echo(probe, text, [*(body_event(piece, more=True) for piece in pieces), {"type": "http.request"}])
    for server in ("uvicorn", "hypercorn"):
        answer = chunked_upload(service(server), [piece for piece in pieces if piece])
        echoed(key_of(json_answer(answer, 200), "body"), text)


def chunked_upload(client: Client, pieces: list[bytes]) -> Response:
    """A body sent in chunks, with a moment between them (RFC 9112 §7.1)."""
    fields = [("Transfer-Encoding", "chunked"), ("Connection", "close")]
    with client.connect() as link:
        link.send(request_bytes("POST", "/echo", fields))
        link.send_pieces([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""]])
        return link.response("POST")


@check(task=1, rule='ASGI, "Applications": a scope type that is not known must raise an exception')
def test_task1_other_scope_types_are_refused(probe, rng):
    """A scope of another type is refused with an exception"""
    echo(probe, "Ada", [body_event(b"Ada")])
    kind = f"telex{rng.randrange(100)}"
    for other in ("lifespan", kind):
        scope = {"type": other, "asgi": {"version": "3.0", "spec_version": "2.0"}}
        seen = probe.asgi("app:app", scope, receive=[{"type": f"{other}.startup"}])
        that(
            seen.raised is not None,
            got=f"for the scope type {other!r} it {seen.names()[-1]}, and sent {seen.sends!r}",
            expected="an exception: it tells the server that the application does not speak this",
        )


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule="RFC 9110 §15.3.2, 201 Created; §9.3.5, DELETE")
def test_task2_task_lives_from_post_to_delete(front, rng):
    """A task is created, read, changed and deleted"""
    title = name(rng)
    other = create(front, name(rng))
    answer = write(front, "POST", "/tasks", {"title": title})
    task = json_answer(answer, 201)
    number = key_of(task, "id")
    expect("task", task, {"id": number, "title": title, "done": False})
    expect("Location", answer.get("Location"), f"/tasks/{number}", "where the new task is")
    that(number != other["id"], got=f"two tasks have the id {number}", expected="an id of its own for each")
    expect("GET", json_answer(front.get(f"/tasks/{number}"), 200), task)
    listed = json_answer(front.get("/tasks"), 200)
    that(
        isinstance(listed, list) and task in listed and other in listed,
        got=f"GET /tasks without {task!r} or {other!r}",
        expected="GET /tasks has every task",
    )
    changed = {**task, "done": True}
    expect("PATCH", json_answer(write(front, "PATCH", f"/tasks/{number}", {"done": True}), 200), changed)
    changed["title"] = name(rng)
    put = write(front, "PUT", f"/tasks/{number}", {"title": changed["title"], "done": True})
    expect("PUT", json_answer(put, 200), changed)
    expect("GET", json_answer(front.get(f"/tasks/{number}"), 200), changed, "as it was changed")
    deleted = front.request("DELETE", f"/tasks/{number}")
    expect("status and body", (deleted.status, deleted.body), (204, b""), "done, and nothing to say")
    expect("status", front.get(f"/tasks/{number}").status, 404, "it was deleted")
    expect("GET", json_answer(front.get(f"/tasks/{other['id']}"), 200), other, "nobody changed this one")


@check(task=2, rule="RFC 9110 §15.5.5, 404; §15.5.6: a 405 must have Allow; §9.3.2, HEAD")
def test_task2_wrong_paths_are_404_wrong_methods_405(front, rng):
    """An unknown path is 404, a wrong method 405 with Allow"""
    number = create(front, name(rng))["id"]
    expect("status", front.get(f"/tasks/{number}").status, 200)
    # int() refuses more than 4300 digits with ValueError.
    long = f"/tasks/{'9' * 4400}"
    for path in (f"/tasks/{number + 10**6}", "/tasks/ada", f"/tasks/{number}/x", f"/nowhere{number}", long):
        answer = front.get(path)
        expect("status", answer.status, 404, f"there is nothing at {path}")
        key_of(answer.json(), "error")
    allowed = {
        "/tasks": {"GET", "HEAD", "POST"},
        f"/tasks/{number}": {"GET", "HEAD", "PUT", "PATCH", "DELETE"},
    }
    for path, wanted in allowed.items():
        method = rng.choice(sorted({"POST", "PUT", "PATCH", "DELETE"} - wanted))
        answer = front.request(method, path)
        expect("status", answer.status, 405, f"{path} is there, {method} is not for it")
        allow = {one.strip() for one in (answer.get("Allow") or "").split(",") if one.strip()}
        that(
            wanted - {"HEAD"} <= allow and method not in allow,
            got=f"Allow = {answer.get('Allow')!r}",
            expected=f"Allow = {', '.join(sorted(wanted))!r}",
        )
        head = front.request("HEAD", path)
        expect("status and body", (head.status, head.body), (200, b""), "HEAD is GET without the body")


@check(task=2, rule="RFC 9110 §15.5.1, 400; §15.5.16, 415")
def test_task2_bad_bodies_are_refused(front, rng):
    """A body that is no task is refused, and changes nothing"""
    before = json_answer(front.get("/tasks"), 200)
    cases = wire_cases(__file__, "bad-*.http")
    rng.shuffle(cases)
    for case in cases:
        answer = front.send(case.data, "POST")
        why = next(iter(case.notes), "")
        expect("status", answer.status, int(case.notes.get("status", "400")), why)
        key_of(answer.json(), "error")
    for body, why in (
        (b"[" * 60_000, "sixty thousand brackets: json raises RecursionError, not ValueError"),
        (b'{"title": "\\ud800"}', "half a surrogate pair: no encoding can send it back"),
        (b'{"title": 1e999}', "a title that is a number, larger than any float"),
        (b'{"title": "Ask Ada", "done": NaN}', "NaN is neither true nor false, nor JSON (RFC 8259 §6)"),
    ):
        answer = front.request("POST", "/tasks", [JSON], body)
        expect("status", answer.status, 400, why)
        key_of(answer.json(), "error")
    after = json_answer(front.get("/tasks"), 200)
    expect("GET /tasks", after, before, "refused bodies leave nothing behind")
    for case in wire_cases(__file__, "good-*.http"):
        task = json_answer(front.send(case.data, "POST"), 201, "this one is good")
        patch = write(front, "PATCH", f"/tasks/{key_of(task, 'id')}", {"done": rng.choice([1, "yes", None])})
        expect("status", patch.status, 400, "done is true or false, in a PATCH too")


@check(task=2, rule="RFC 9110 §15.5.14, 413 Content Too Large")
def test_task2_too_large_body_is_not_read_to_its_end(probe, rng):
    """A body that is too large gets 413 before its end has come"""
    scope = http_scope("POST", "/tasks", headers=[(b"host", b"x"), (b"content-type", b"application/json")])
    most = json.dumps({"title": name(rng)}).encode().ljust(BODY_LIMIT)
    pieces = [body_event(most[: BODY_LIMIT // 2], more=True), body_event(most[BODY_LIMIT // 2 :])]
    status, _, _ = answer_of(probe.asgi("app:app", scope, receive=pieces))
    expect("status", status, 201, f"{BODY_LIMIT} bytes are allowed")
    size = rng.choice([9, 12, 15]) * 1024
    endless = [body_event(b" " * size, more=True) for _ in range(4 * BODY_LIMIT // size)]
    seen = probe.asgi("app:app", scope, receive=endless)
    read = size * len(seen.all("receive"))
    then = "waited for more" if "still running" in seen.names() else "ended"
    that(
        read < BODY_LIMIT + 2 * size,
        got=f"it read {read} bytes, then {then}",
        expected=f"413 as soon as there are more than {BODY_LIMIT} bytes: who sends may never stop",
    )
    expect("status", answer_of(seen)[0], 413)


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule='ASGI www, "Response Body - send event": more_body')
def test_task3_csv_goes_out_row_by_row(service, rng):
    """/tasks.csv goes out row by row"""
    client = service("uvicorn")
    made = [create(client, f'"{name(rng)}", {far_text(rng)}') for _ in range(rng.randint(3, 6))]
    answer = client.get("/tasks.csv")
    expect("status", answer.status, 200)
    kind = (answer.get("Content-Type") or "").partition(";")[0].strip().lower()
    expect("Content-Type", kind, "text/csv")
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    expect("the first row", rows[:1], [["id", "title", "done"]])
    for task in made:
        row = [str(task["id"]), task["title"], "false"]
        that(
            row in rows,
            got=f"no row {row!r}; the last is {rows[-1]!r}",
            expected="a row for each task; quotes within a value are doubled (RFC 4180)",
        )
    chunks = chunks_in(answer.raw)
    that(
        len(chunks) > len(made),
        got=f"{len(chunks)} chunks on the wire for a table of {len(rows)} rows",
        expected="a body event for each row, sent when the row is there: uvicorn makes a chunk of each",
    )


def chunks_in(raw: bytes) -> list[bytes]:
    """The chunks of a chunked response that has been read whole; none when it is not chunked."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    found: list[bytes] = []
    while b"\r\ntransfer-encoding: chunked" in head.lower() and rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        found.append(rest[:size])
        rest = rest[size + 2 :]
    return found


@check(task=3, rule="WHATWG HTML §9.2.5, parsing an event stream")
def test_task3_event_is_lines_and_an_empty_one(probe, rng):
    """A server-sent event survives a browser's parser"""
    number, kind = str(rng.randrange(1000)), rng.choice(["created", "changed", "ping"])
    ends = ["\n", "\r\n", "\r"]
    rng.shuffle(ends)
    for end in ["", *ends]:
        data = f"{far_text(rng)}{end} {name(rng)}{end}last"
        got = probe.call("app:sse_event", data, kind, number)
        that(isinstance(got, bytes), got=f"{got!r}", expected="bytes, in UTF-8")
        events = [parsed(block) for block in with_lf(got).split(b"\n\n")[:-1]]
        wanted = {"event": kind, "id": number, "data": re.sub(r"\r\n?", "\n", data)}
        why = "each line of the data has its own `data: `" if end else "an empty line sends the event off"
        that(
            events == [wanted] and with_lf(got).endswith(b"\n\n"),
            got=f"{got!r}, which a browser reads as {events!r}",
            expected=f"[{wanted!r}]     {why}",
        )
    bare = probe.call("app:sse_event", "Ada")
    that(
        isinstance(bare, bytes) and parsed(with_lf(bare).rstrip(b"\n")) == {"data": "Ada"},
        got=f"{bare!r}",
        expected=r"b'data: Ada\n\n'     no id and no name: none of their lines",
    )
    for arguments in (["x", f"a{rng.choice(ends)}data: forged"], ["x", "a", f"7{rng.choice(ends)}event: b"]):
        error = probe.raises("app:sse_event", *arguments)
        that(
            error is not None and "ValueError" in error["bases"],
            got=f"sse_event{tuple(arguments)!r} " + (f"raised {error['type']}" if error else "returned"),
            expected="ValueError: a line end in a name or an id would forge another line",
        )


@check(task=3, rule=EVENT_STREAM)
def test_task3_events_arrive_as_they_happen(front, rng):
    """Behind nginx each event arrives when it happens, after a silence too"""
    create(front, name(rng))
    with front.connect(seconds=NGINX_WAITS + PATIENCE) as link:
        listener = Listener(link)
        task = create(front, name(rng))
        listener.task("created", task)
        task["done"] = True
        write(front, "PATCH", f"/tasks/{task['id']}", {"done": True})
        listener.task("changed", task)
        front.request("DELETE", f"/tasks/{task['id']}")
        listener.task("deleted", task)
        listener.stays(NGINX_WAITS * 1.25)
        listener.task("created", create(front, name(rng)))


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule='ASGI www, "Disconnect - receive event"')
def test_task4_stream_ends_when_its_client_leaves(front, service, rng):
    """When its client has left, a stream ends, and only that one"""
    for client, way in ((front, "nginx and uvicorn"), (service("hypercorn"), "hypercorn")):
        where = f"your application, behind {way}"
        got = becomes(client, "streams", 0)
        expect("streams", got, 0, "nobody is connected now", where=where)
        links = [client.connect(seconds=2 * PATIENCE) for _ in range(rng.randint(3, 5))]
        listeners = [Listener(link) for link in links]
        alive = becomes(client, "streams", len(links))
        that(
            alive == len(links),
            got=f"/stats says {alive} streams while {len(links)} clients are connected",
            expected=f"{len(links)}: a stream goes on until http.disconnect, and /stats counts those alive",
            where=where,
            sent=f"{len(links)} times GET /events, on as many connections",
        )
        for link in links[1:]:
            rng.choice([link.close, link.reset])()
        left = becomes(client, "streams", 1)
        that(
            left == 1,
            got=f"/stats says {left} streams, {PATIENCE:.0f} s after {len(links) - 1} of {len(links)} left",
            expected="1: await `receive` beside the work, and cancel the work at http.disconnect",
            where=where,
            sent=f"{len(links)} times GET /events, then closed {len(links) - 1} of the connections",
        )
        listeners[0].task("created", create(client, name(rng)))
        links[0].close()
        expect("streams", becomes(client, "streams", 0), 0, "the last one left", where=where)


@check(task=4, rule=REQUEST)
def test_task4_half_an_upload_is_no_task(probe, rng):
    """Half an upload makes no task"""
    scope = http_scope("POST", "/tasks", headers=[(b"host", b"x"), (b"content-type", b"application/json")])
    body = json.dumps({"title": name(rng)}).encode()
    first = body_event(body, more=True)
    whole = probe.asgi("app:app", scope, receive=[first, body_event(b" " * rng.randrange(3))])
    expect("status", answer_of(whole)[0], 201, "all of it came")
    half = probe.asgi("app:app", scope, receive=[first], then="disconnect")
    statuses = [message.get("status") for message in half.sends if isinstance(message, dict)]
    that(
        not any(isinstance(status, int) and status < 400 for status in statuses),
        got=f"sent the status {statuses[:1]}, after a piece with more_body True and http.disconnect",
        expected="no task: the end of the body never came, so nobody knows what it was to be",
    )
    that(
        "still running" not in half.names(),
        got="the application still waits, after http.disconnect",
        expected="an end: nothing comes after http.disconnect",
    )


@check(task=4, rule="WHATWG HTML §9.2.4, the Last-Event-ID header")
def test_task4_client_that_comes_back_misses_nothing(front, rng):
    """A client that comes back gets what it missed, once and in order"""
    with front.connect(seconds=PATIENCE) as link:
        listener = Listener(link)
        events = [listener.task("created", create(front, name(rng))) for _ in range(3)]
    numbers = [event.get("id") for event in events]
    that(
        all(numbers) and len(set(numbers)) == len(numbers),
        got=f"the ids {numbers!r}",
        expected="an id of its own on every event: by it a browser says what it saw last",
    )
    missed = [create(front, name(rng)) for _ in range(rng.randint(2, 4))]
    back = str(numbers[1])
    with front.connect(seconds=PATIENCE) as link:
        listener = Listener(link, ("Last-Event-ID", back))
        third = json_of(events[2]["data"].encode())
        for task in [third, *missed]:
            listener.task("created", task)
        listener.task("created", create(front, name(rng)))


# --- task 5 -----------------------------------------------------------------------------------------


def readable(link: Wire) -> bool:
    return bool(select.select([link.socket], [], [], 0)[0])


def reports_at_once(client: Client, wanted: int) -> tuple[int, list[Response]]:
    """Ask for reports on connections of their own; how many /stats ever saw running, and the answers."""
    links = [client.connect(seconds=2 * PATIENCE) for _ in range(wanted)]
    most = 0
    for link in links:
        link.send(request_bytes("GET", "/report?seconds=0.5", [("Connection", "close")]))
    while most < wanted and not any(readable(link) for link in links):
        most = max(most, count(client, "reports"))
    answers = [link.response() for link in links]
    for link in links:
        link.close()
    return most, answers


@check(task=5, rule="the event loop has one thread: what blocks in it blocks everybody")
def test_task5_reports_hold_nobody_up(service, rng):
    """While reports are written, everybody else is answered"""
    client = service("uvicorn")
    becomes(client, "reports", 0, seconds=5.5)
    wanted = rng.randint(2, 4)
    most = 0
    for _ in range(2):  # a machine that stands still for half a second proves nothing
        seen, answers = reports_at_once(client, wanted)
        most = max(most, seen)
        if most >= wanted:
            break
    sent = f"{wanted} times GET /report?seconds=0.5, on as many connections; meanwhile GET /stats"
    that(
        most > 0,
        got="/stats was not answered before a report was: nobody else had a turn",
        expected="/stats answers while reports run: the call that blocks belongs in a thread",
        sent=sent,
    )
    that(
        most >= wanted,
        got=f"{most} of {wanted} reports at once",
        expected=f"{wanted} at once: each in a thread of its own",
        sent=sent,
    )
    for answer in answers:
        expect("status", answer.status, 200, sent=sent)
        that(
            "tasks" in answer.text,
            got=f"the body {answer.text!r}",
            expected="what slow_reports.render returned",
        )


@check(task=5, rule="RFC 9110 §15.6.4, 503; asyncio.timeout")
def test_task5_report_has_a_time_limit(front, rng):
    """A report that takes too long is a 503 of yours, not nginx's 504"""
    quick = front.get(f"/report?seconds={rng.choice([0.05, 0.1])}")
    expect("status", quick.status, 200)
    that("tasks" in quick.text, got=f"the body {quick.text!r}", expected="what slow_reports.render returned")
    for seconds in ("ada", "nan"):
        odd = front.get(f"/report?seconds={seconds}")
        good = 400 <= odd.status < 500
        that(
            good,
            got=f"status = {odd.status} for seconds={seconds}",
            expected="400: it is no number of seconds",
        )
    late = front.get(f"/report?seconds={rng.choice([3, 3.5])}")
    writer = "nginx" if late.get("X-Written-By") == "nginx" else "your application"
    that(
        late.status in (503, 504) and writer != "nginx",
        got=f"a {late.status} that {writer} wrote",
        expected="503 from your application, when REPORT_LIMIT is over: asyncio.timeout ends the waiting",
    )
    key_of(late.json(), "error")
