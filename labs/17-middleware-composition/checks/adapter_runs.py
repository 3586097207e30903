"""How the checks run the two adapters: harnesses, crowds, clients that leave."""

import json
import random
import threading
import time
from typing import Any

from asgi_messages import (
    LIFESPAN,
    START,
    Answer,
    ended_well,
    inner_values,
    messages,
    piece,
    scope_with,
    socket_scope,
    start,
    word,
)
from gzip_answers import unpacked

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    Deadline,
    NoAnswer,
    Probe,
    Response,
    asgi_app,
    body_event,
    expect,
    fail,
    made,
    object_of,
    ref,
    that,
    wsgi_app,
)

PIECES = 2048  # of apps/adapted_apps.py
AHEAD = 100  # chunks: far more than any queue an adapter needs, far fewer than PIECES
PATIENCE = 4.0  # seconds


def adapted(inner: Any, **more: Any) -> Any:
    return made("middleware:asgi_from_wsgi", inner, **more)


def broken_wsgi_applications(probe: Probe, rng: random.Random) -> None:
    """Around applications that raise: the exception reaches the server, and what they held is let go of."""
    who = word(rng)
    for when in ("call", "iteration"):
        inner = wsgi_app(raises=when, name=who, chunks=[b"a", b"b"])
        seen = probe.asgi(adapted(inner), scope_with(), receive=[body_event()])
        error = seen.raised or {}
        that(
            who in error.get("message", ""),
            got=f"{error.get('type', 'no exception')}, where the application raised in {when}",
            expected="the application's own exception, out of the call: the server has to log it",
            rule='PEP 3333, "Error Handling"',
        )
        ends = [one for one in messages(seen, "http.response.body") if not one.get("more_body")]
        expect(
            f"last body messages, when the application raised in {when}", ends, [], "the body is incomplete"
        )
        that(
            when == "call" or "inner closed" in seen.names(),
            got="the iterable was not closed, when it raised",
            expected="close(), however the request ends",
            rule='PEP 3333, "Specification Details"',
        )
    inner = wsgi_app(name=who, chunks=[b"a", b"b"], exc_info=True)
    seen = probe.asgi(adapted(inner), scope_with(), receive=[body_event()])
    that(
        seen.raised is not None and len(messages(seen, "http.response.start")) == 1,
        got="a second start_response with exc_info after the first chunk was taken for a new start"
        if seen.raised is None
        else "two http.response.start",
        expected="the exception of exc_info: the headers are already sent",
        rule='PEP 3333, "The start_response() Callable"',
    )
    error = seen.raised or {}
    that(
        f"{who} failed" in error.get("message", ""),
        got=f"{error.get('type')}: {error.get('message')}, where exc_info held another exception",
        expected="the exception of exc_info, raised again: raise exc_info[1].with_traceback(exc_info[2])",
        rule='PEP 3333, "The start_response() Callable"',
    )


def hard_wsgi_applications(probe: Probe) -> None:
    """One that starts again before its first chunk, and one whose client leaves in the middle of its body."""
    other_scopes_end(probe)
    app = adapted(ref("adapter_calls:second_thoughts"))
    seen = probe.asgi(app, scope_with(), receive=[body_event()])
    rule = 'PEP 3333, "The start_response() Callable": it must not transmit the headers, but store them'
    why = "the second start_response has exc_info, and no byte was sent: an empty chunk sends no header"
    ended_well(seen, why, rule=rule)
    got = Answer(seen)
    expect("status", got.status, 503, why, rule=rule)
    expect("body", got.body, b"later, please")
    seen = harness(probe, "adapter_calls:left_in_body", ref("middleware:asgi_from_wsgi"))
    that(
        seen["over"],
        got=f"the call did not return; wsgi.input.read() gave {seen['read']}",
        expected="the call returns: nothing comes after http.disconnect, and a blocked read() holds a thread",
        rule='ASGI www, "Disconnect - receive event"',
        sent="POST / with Content-Length: 8; the client sends b'half', and leaves",
    )


def asgi_applications_that_wait(probe: Probe) -> None:
    """One that awaits the client's leaving, and one that awaits a slow body, beside a quick one."""
    seen = probe.steps(
        made("adapter_calls:left_while_receiving", ref("middleware:wsgi_from_asgi")), seconds=7.0
    )
    ended_well(seen)
    heard = seen.values[-1] if seen.values else None
    that(
        heard in (["http.disconnect"] * 2 + ["OSError"], ["CancelledError"]),
        got=f"what the application heard, when the server had closed: {heard!r}",
        expected="http.disconnect from each `receive`, then OSError from `send`: the server has closed, so "
        "no other event will come, and nobody takes a message",
        rule='ASGI www, "Disconnect - receive event"',
        sent="an application that sends one chunk and awaits receive(), twice, and sends another chunk; the "
        "server takes the first one, and calls close",
    )
    bodies_are_read(probe)
    found = harness(probe, "adapter_calls:slow_body", ref("middleware:wsgi_from_asgi"))
    that(
        found.get("meanwhile"),
        got="a second request was not answered while the first one's wsgi.input.read() waited for its client",
        expected="read() in the server's thread: on the loop it blocks every other request",
        rule='ASGI, "Overview": the loop must not block',
        sent="POST / whose body is slow, and GET / at the same time",
    )
    expect("both answered in the end", found.get("both"), True)


def bodies_are_read(probe: Probe) -> None:
    """Of wsgi.input a request's own bytes are read, and no more: the next ones may be another request's."""
    for length, size in ((None, 0), ("", 0), ("1", 1), ("131073", 2 * 65536 + 1)):
        seen = harness(probe, "adapter_calls:body_of", ref("middleware:wsgi_from_asgi"), length, size)
        field = "no CONTENT_LENGTH" if length is None else f"CONTENT_LENGTH {length!r}"
        sent = f"POST / with {field}, and behind its body the next request on the same wsgi.input"
        rule = 'PEP 3333, "Input and Error Streams"'
        why = "a read for more waits for bytes that nobody sends, or takes those of the next request"
        expect("bytes read of wsgi.input", seen.get("read"), size, why, sent=sent, rule=rule)
        expect(
            "bytes of the body, in http.request events", seen.get("got"), size, field, sent=sent, rule=rule
        )


def other_scopes_end(probe: Probe) -> None:
    """A WSGI application has neither a lifespan nor WebSockets: the adapter says so, or raises."""
    life = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    complete = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    no_socket = {"type": "websocket.connect"}
    for scope, events, wanted in (
        (LIFESPAN, life, complete),
        (socket_scope(), [no_socket], ["websocket.close"]),
    ):
        seen = probe.asgi(adapted(wsgi_app(chunks=[b"a"])), scope, receive=events)
        types = [one.get("type") for one in seen.sends if isinstance(one, dict)]
        that(
            types == wanted or (seen.raised is not None and not types),
            got=f"messages {types}, and {'an' if seen.raised else 'no'} exception",
            expected=f"{wanted}, or an exception: WSGI has no {scope['type']}",
            rule='ASGI, "Connection Scope"',
            sent=f"a scope of the type {scope['type']}",
        )


def harness(probe: Probe, function: str, *args: Any) -> dict[str, Any]:
    """What a harness of apps/adapted_apps.py saw; it has patience of its own."""
    seen = probe.steps(made(function, *args), seconds=7.0)
    ended_well(seen)
    return seen.values[-1] if seen.values and isinstance(seen.values[-1], dict) else {}


def all_at_once(client: Client, targets: list[str]) -> list[Response | str]:
    """The answers to as many requests on connections of their own; a word where there was none."""
    answers: list[Response | str] = ["no answer in time"] * len(targets)

    def ask(number: int) -> None:
        try:
            with client.connect(seconds=PATIENCE, target=targets[number]) as link:
                link.send(f"GET {targets[number]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answers[number] = link.response()
        except (NoAnswer, Deadline) as error:
            answers[number] = str(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(targets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def three_meet(client: Client, place: str) -> None:
    """Three requests, of which each waits in the application for the others."""
    for answer in all_at_once(client, [f"/do/meet?of=3&place={place}"] * 3):
        that(
            isinstance(answer, Response) and answer.status == 200,
            got=f"{answer.status if isinstance(answer, Response) else answer}: the three did not meet",
            expected="three requests at the same time, each in a thread of the pool (threads=3)",
            sent="three times GET /do/meet?of=3, which waits for the others",
        )


def slow_reader_leaves(client: Client, rng: random.Random) -> None:
    """Under a real server: three clients, as many as there are threads, begin a long answer and leave."""
    names = [word(rng) for _ in range(3)]
    for one in names:
        with client.connect(receive_buffer=4096, seconds=PATIENCE, target=f"/flood?say={one}") as link:
            link.send(f"GET /flood?say={one} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            link.read()
    end = time.monotonic() + PATIENCE
    for one in names:
        state: dict[str, Any] = {}
        while not state.get("closed") and time.monotonic() < end:
            answer = client.get(f"/made?say={one}")
            expect("status", answer.status, 200, "the threads of clients that left are free again")
            state = answer.json()
            time.sleep(0.02)
        that(
            state.get("closed"),
            got=f"the iterable is still open, {PATIENCE:.0f} s after its client has left",
            expected="close() when the client has left: its thread is free for other requests",
            sent="three times GET /flood, each left after its first bytes",
        )


# A request's environ, as far as checks ask for it.
ENVIRON = {
    "REQUEST_METHOD": "POST",
    "PATH_INFO": "/caf\xc3\xa9",
    "QUERY_STRING": "a=%20",
    "HTTP_X_OWN": "7",
    "CONTENT_TYPE": "text/x",
}


def wsgi_application_is_served(probe: Probe, inner: Any, data: list[bytes], body: bytes) -> None:
    """Fail unless a scripted application gets this request, in pieces, and its answer comes out whole."""
    parts = [body_event(one, more=True) for one in data]
    parts.append({"type": "http.request"})  # ASGI: `body` is empty, `more_body` False, unless it says so
    scope = scope_with(
        (b"x-own", b"7"), (b"content-type", b"text/x"), method="POST", path="/caf\xe9", query=b"a=%20"
    )
    scope["headers"].append([b"content-length", str(sum(map(len, data))).encode()])
    seen = probe.asgi(adapted(inner), {**scope, "raw_path": b"/caf%C3%A9"}, receive=parts)
    got = Answer(seen)
    expect("status", got.status, 201, "a number, without the reason phrase")
    own = [pair for pair in got.headers if pair[0] in (b"x-own", b"set-cookie")]
    wanted = [(b"x-own", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    expect("headers", own, wanted, "bytes, names in lower case, repeats kept")
    raw = [pair[0] for pair in seen.sends[0]["headers"]]
    expect("names in lower case", raw, [one.lower() for one in raw], rule=START)
    expect("body", got.body, body, "what the application gave to write comes first")
    read = (seen.first("inner read") or {}).get("data")
    expect("what the application read of wsgi.input", read, b"".join(data), "every piece, until the end")
    environ = (seen.first("inner called") or {}).get("environ", {})
    expect("the environ", environ, ENVIRON, "translations:environ_of makes it")
    that(
        "inner closed" in seen.names(),
        got="the iterable was not closed after its last chunk",
        expected="close(), however the request ends",
        rule='PEP 3333, "Specification Details"',
    )


STRINGS = 'PEP 3333, "Unicode Issues"'
LATIN_1 = "a string of WSGI stands for bytes, one character for each: latin-1, whatever they mean"


def latin_1_comes_out_of_wsgi(probe: Probe) -> None:
    """Bytes over 127 in a field of the request, and in one of the answer, through asgi_from_wsgi."""
    inner = wsgi_app(headers=[["X-Own", "caf\xe9"]], chunks=[b"ok"], environ=["HTTP_X_OWN"])
    seen = probe.asgi(adapted(inner), scope_with((b"x-own", b"\xe9t\xe9")), receive=[body_event()])
    ended_well(seen, LATIN_1, rule=STRINGS)
    known = (seen.first("inner called") or {}).get("environ", {})
    expect("HTTP_X_OWN in the environ", known.get("HTTP_X_OWN"), "\xe9t\xe9", LATIN_1, rule=STRINGS)
    expect("x-own in the answer", Answer(seen).all(b"x-own"), [b"caf\xe9"], LATIN_1, rule=STRINGS)


def latin_1_goes_into_wsgi(probe: Probe) -> None:
    """The same, through wsgi_from_asgi."""
    inner = asgi_app(start((b"x-own", b"caf\xe9")), piece(b"ok"), scope=["headers"])
    app = made("middleware:wsgi_from_asgi", inner)
    seen = probe.wsgi(app, headers=[("X-Own", "\xe9t\xe9")])
    ended_well(seen, LATIN_1, rule=STRINGS)
    expect("x-own in the scope", inner_values(seen, b"x-own"), [b"\xe9t\xe9"], LATIN_1, rule=STRINGS)
    own = [value for field, value in seen.headers if str(field).lower() == "x-own"]
    expect("X-Own for start_response", own, ["caf\xe9"], LATIN_1, rule=STRINGS)


def stalled_client_holds_one_chunk(probe: Probe, taken: int) -> None:
    """A client that stops, and then leaves: in a harness, where it can be counted."""
    seen = harness(probe, "adapter_calls:stalled", ref("middleware:asgi_from_wsgi"), taken)
    sent = f"GET /flood; the client takes {taken} pieces, then none for a while, and leaves"
    that(
        taken <= seen["stalled_at"] + 1 and seen["stalled_at"] < taken + AHEAD,
        got=f"{seen['stalled_at']} chunks of {PIECES} were made while the client took {taken}",
        expected="a chunk is made when the one before it was taken: the thread waits for `send`",
        rule='PEP 3333, "Buffering and Streaming"',
        sent=sent,
    )
    that(
        seen["over"] and seen["closed"],
        got=f"the iterable was {'' if seen['closed'] else 'not '}closed, and the call "
        + ("ended" if seen["over"] else "did not end")
        + f" after the client had left ({seen['made']} chunks made)",
        expected="close() on the iterable, when receive says http.disconnect: until then it holds a thread",
        rule='PEP 3333, "Specification Details"',
        sent=sent,
    )
    that(
        seen["made"] < PIECES,
        got=f"all {PIECES} chunks were made, for a client that left after {taken}",
        expected="close() soon after http.disconnect: keep a `receive` running while the response is sent",
        rule='this lab, rule 8: `close`, however the request ends; ASGI www, "Disconnect - receive event"',
        sent=sent,
    )


def crowd_waits_its_turn(client: Client, count: int) -> None:
    """More requests at once than there are threads: all are answered, three at a time."""
    naps = all_at_once(client, ["/do/nap?seconds=0.2"] * count)
    lost = [answer for answer in naps if not isinstance(answer, Response) or answer.status != 200]
    sent = f"{count} times GET /do/nap at once, to a pool of three threads"
    that(
        not lost,
        got=f"{len(lost)} of {count} requests were not answered: {lost[0] if lost else ''}",
        expected="responses to all of them: a request without a free thread waits for one",
        sent=sent,
    )
    inside = [object_of(answer).get("at_once") for answer in naps if isinstance(answer, Response)]
    that(
        all(type(one) is int for one in inside),
        f"at_once = {inside!r}",
        "numbers, as the application sent them",
    )
    most = max(inside)
    that(
        most <= 3,
        got=f"{most} requests were inside at once",
        expected="at most three: the pool has three threads",
        sent=sent,
    )


def threads_are_answered(probe: Probe, count: int) -> None:
    """Several of the server's threads ask at the same time."""
    crowd = harness(probe, "adapter_calls:crowd", ref("middleware:wsgi_from_asgi"), count)
    expect(
        "answered, and inside at once",
        crowd,
        {"answered": count, "at_once": count},
        f"{count} threads ask at once",
    )


def server_leaves_half_way(probe: Probe, taken: int) -> None:
    """The server takes some chunks of many, and calls close."""
    left = harness(probe, "adapter_calls:left_half_way", ref("middleware:wsgi_from_asgi"), taken)
    sent_text = f"an application of {PIECES} body messages; the server takes {taken} chunks, and calls close"
    that(
        left["sent"] < taken + AHEAD,
        got=f"{left['sent']} messages were sent while the server took {taken} chunks",
        expected="`send` returns when the server asks for the next chunk: otherwise chunks pile up in memory",
        rule='PEP 3333, "Buffering and Streaming"',
        sent=sent_text,
    )
    told = (
        "nothing: it sent all the rest, which no client got"
        if left["told"] == ["nothing"]
        else str(left["told"])
    )
    that(
        left["ended"] and left["told"] in (["OSError"], ["CancelledError"]),
        got=f"what `send` raised, after the server's close: {told}"
        if left["ended"]
        else "the application waits in `send`, after the server's close",
        expected="OSError from `send`, so that the application returns",
        rule='ASGI www, "Disconnected Client - send exception"',
        sent=sent_text,
    )


ADA = [("Authorization", "Bearer lovelace-1843")]
JSON = ("Content-Type", "application/json")


def tasks_are_packed(front: Client, title: str) -> None:
    """The tasks API in its stack: what is posted there comes back, packed."""
    for _ in range(6):
        created = front.request("POST", "/tasks", [*ADA, JSON], json.dumps({"title": title}).encode())
        expect(
            "status", created.status, 201, "the tasks API, which is WSGI, reads its body through your adapter"
        )
    answer = front.get("/tasks", [*ADA, ("Accept-Encoding", "gzip")])
    expect("Content-Encoding", answer.get("Content-Encoding"), "gzip", "gzip is in the stack, too")
    try:
        titles = [task["title"] for task in json.loads(unpacked(answer.body))]
    except (*NOT_JSON, TypeError, KeyError):
        fail(f"the body {unpacked(answer.body)[:80]!r}", "tasks as JSON")
    that(titles[-6:] == [title] * 6, f"titles {titles[-6:]!r}", "the six that were sent")


def tasks_are_kept(client: Client, title: str) -> None:
    """A task that is added is in the table."""
    created = client.request("POST", "/tasks", [JSON], json.dumps({"title": title}).encode())
    expect("status", created.status, 201, "lab 10's tasks API, which is ASGI, under gunicorn")
    expect("title", object_of(created).get("title"), title)
    rows = client.get("/tasks.csv")
    that(title in rows.text, f"/tasks.csv = {rows.text!r}", f"a line with {title!r}")
