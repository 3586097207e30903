"""Applications that stand in no file: what a client says of them, it knows from calling them.

They are scripts (workshop/run/scripted_apps.py): each step is told when it is due, and what is received is
noted by whoever tells it. Who has read apps_to_test knows what that one answers, and could say it himself.
"""

from __future__ import annotations

from typing import Any

from client_steps import ASGI, ask_seen, asked, entered, left, opened, pairs, session, text_of

from workshop.judge.checks import asgi_app, expect, made, name, named, that

LIFESPAN = 'ASGI lifespan, "Scope", "Lifespan State" and "Startup Failed"'
DISCONNECT = 'ASGI www, "Disconnect - receive event"'
ONE_MESSAGE = "this lab, task 3: an application that sends without end waits for its reader"
PIECES = 400
AHEAD = 100  # messages: far more than a client needs to keep


def start(*fields: tuple[bytes, bytes], status: int = 200) -> list[Any]:
    headers = [list(pair) for pair in fields]
    return ["send", {"type": "http.response.start", "status": status, "headers": headers}]


def piece(data: bytes, more: bool = False) -> list[Any]:
    return ["send", {"type": "http.response.body", "body": data, "more_body": more}]


def with_apps(**apps: Any) -> tuple[Any, Any]:
    """A client of these applications, one for each kind of scope, inside of its with block."""
    return entered(ASGI, made("apps_by_kind:by_kind", **apps))


def received(events: list[dict[str, Any]], who: str) -> list[Any]:
    """The types of what an application has received by these events."""
    found = [one["message"] for one in events if one["event"] == "inner received" and one["name"] == who]
    return [one.get("type") if isinstance(one, dict) else one for one in found]


def by_step(seen: Any, step: str, steps: tuple[Any, ...]) -> list[dict[str, Any]]:
    """What had happened when a step returned."""
    number = [one[0] if isinstance(one, tuple) else "" for one in steps].index(step)
    ends = [at for at, event in enumerate(seen.events) if event["event"] == "value"]
    found: list[dict[str, Any]] = seen.events[: ends[number]]
    return found


def has_ended(events: list[dict[str, Any]], who: str) -> bool:
    return any(one["event"] == "inner ended" and one["name"] == who for one in events)


def hides_nothing(ended: Any, whose: str) -> None:
    """Fail when `__exit__` returned True: Python then drops what the block raised."""
    that(
        ended is not True,
        f"{whose}.__exit__ returned True",
        "None, or False: True would hide a failed assertion of the block, and the test would be green",
        rule="this lab, rule 8",
    )


def request_and_lifespan(probe: Any, rng: Any) -> None:
    """A lifespan around a request, whose answer is in no file."""
    data, word, code = name(rng).encode(), name(rng).encode(), rng.choice([201, 404, 503])
    life = [["receive"], ["send", {"type": "lifespan.startup.complete"}]]
    life += [["receive"], ["send", {"type": "lifespan.shutdown.complete"}]]
    http = [["receive until", "http.request"], start((b"x-word", word), status=code), piece(data)]
    steps = (
        *with_apps(lifespan=asgi_app(*life, name="lifespan"), http=asgi_app(*http, name="http")),
        ("r", asked("request", "PUT", "/", body=word)),
        ("end", left()),
    )
    sent = f"an application that lives through a lifespan, and answers {code}, x-word: {word!r}, {data!r}"
    seen, values = ask_seen(probe, *steps, sent=sent)
    hides_nothing(values["end"], "ASGIClient")
    response = values["r"]
    got = [response.status, dict(pairs(response.headers, "headers")).get("x-word"), text_of(response.body)]
    expect("status, x-word and body", got, [code, word.decode(), data.decode()], "the application's own")
    bodies = [one["message"] for one in seen.all("inner received") if one["name"] == "http"]
    body = b"".join(one.get("body", b"") for one in bodies if isinstance(one, dict))
    expect("the body that the application received", body, word, "bytes are sent as they are")
    order = [one["name"] for one in seen.all("inner called")]
    expect("the calls of the application", order, ["lifespan", "http"], "", rule=LIFESPAN)
    for step, wanted in (("r", ["lifespan.startup"]), ("end", ["lifespan.startup", "lifespan.shutdown"])):
        got = received(by_step(seen, step, steps), "lifespan")
        what = "after the block" if step == "end" else "inside the block"
        expect(f"what the lifespan received, {what}", got, wanted, "", rule=LIFESPAN)
    that(
        has_ended(by_step(seen, "end", steps), "lifespan"),
        "after the block the lifespan's call goes on",
        "its end: shutdown is waited for",
        rule=LIFESPAN,
    )


def stream_that_is_left(probe: Any, rng: Any) -> None:
    """A stream whose first piece is in no file, and that waits for its client's leaving."""
    data = name(rng).encode()
    http = asgi_app(start(), piece(data, True), ["receive until", "http.disconnect"], name="http")
    steps = (
        *with_apps(http=http),
        *opened("stream", asked("stream", "GET", "/")),
        ("chunk", made("builtins:next", named("in stream"))),
        ("left", left("stream")),
        left(),
    )
    sent = f"with client.stream('GET', '/') as s: next(s)\n(it sends {data!r}, and awaits http.disconnect)"
    seen, values = ask_seen(probe, *steps, sent=sent)
    expect("next(s)", values["chunk"], data, "the chunk that was sent, while the response goes on")
    hides_nothing(values["left"], "the stream")
    early = "http.disconnect" in received(by_step(seen, "chunk", steps), "http")
    that(not early, "http.disconnect inside the block", "the test has not left yet", rule=DISCONNECT)
    events = by_step(seen, "left", steps)
    told = "http.disconnect" in received(events, "http") and has_ended(events, "http")
    got = f"after the block it had received {received(events, 'http')}, and "
    got += "had ended" if has_ended(events, "http") else "goes on"
    that(told, got, "http.disconnect, and its end: nothing goes on behind the next test", rule=DISCONNECT)


def stream_without_end(probe: Any, rng: Any) -> None:
    """A stream that sends and sends: it is not ahead of its reader, and ends when that leaves."""
    count = rng.randrange(3, 7)
    pieces = [b"%d " % rng.randrange(10**6) for _ in range(PIECES)]
    http = asgi_app(start(), *[piece(one, True) for one in pieces], name="http", sends=True)
    steps = (
        *with_apps(http=http),
        *opened("stream", asked("stream", "GET", "/")),
        *[(f"chunk {number}", made("builtins:next", named("in stream"))) for number in range(count)],
        ("left", left("stream")),
        left(),
    )
    sent = f"with client.stream('GET', '/') as s: next(s), {count} times\n({PIECES} chunks, without a pause)"
    seen, values = ask_seen(probe, *steps, sent=sent)
    chunks = [values[f"chunk {number}"] for number in range(count)]
    whole = all(isinstance(one, bytes) and one for one in chunks)
    wanted = b"".join(pieces)
    got = f"the chunks {chunks!r}"
    that(whole and wanted.startswith(b"".join(chunks)), got, f"those of {wanted[:60]!r} …, in order")
    before = by_step(seen, f"chunk {count - 1}", steps)
    sends = sum(one["event"] == "inner sent" for one in before)
    that(
        sends < count + AHEAD,
        f"the application had sent {sends} messages when the test had read {count} chunks",
        "about as many as were read: `send` waits until there is room for its message",
        rule=ONE_MESSAGE,
    )
    over = has_ended(by_step(seen, "left", steps), "http")
    that(over, "after the block the application goes on", "its end: it was left", rule=DISCONNECT)


def session_that_is_left(probe: Any, rng: Any) -> None:
    """A conversation that is in no file, which the browser's end leaves."""
    said, heard = name(rng), name(rng)
    talk = [["receive"], ["send", {"type": "websocket.accept"}], ["receive"]]
    talk += [["send", {"type": "websocket.send", "text": heard}]]
    talk += [["send", {"type": "websocket.send", "bytes": heard.encode()}]]
    websocket = asgi_app(*talk, ["receive until", "websocket.disconnect"], name="websocket")
    steps = (
        *with_apps(websocket=websocket),
        *session("/"),
        asked("send", said, of="in session"),
        ("text", asked("receive", of="in session")),
        ("bytes", asked("receive", of="in session")),
        ("left", left("session")),
        left(),
    )
    sent = (
        f"with client.websocket('/') as s: s.send({said!r}), s.receive() twice\n(it answers {heard!r}, twice)"
    )
    seen, values = ask_seen(probe, *steps, sent=sent)
    expect("what came back", [values["text"], values["bytes"]], [heard, heard.encode()], "text, then bytes")
    hides_nothing(values["left"], "the session")
    events = by_step(seen, "left", steps)
    wanted = ["websocket.connect", "websocket.receive", "websocket.disconnect"]
    rule = 'ASGI www, "WebSocket": connect, accept, receive, send, disconnect'
    expect("what the application received", received(events, "websocket"), wanted, "", rule=rule)
    texts = [one["message"].get("text") for one in seen.all("inner received") if one["name"] == "websocket"]
    expect("the text that it received", texts[1], said, "text is a str", rule=rule)
    got = "after the block the application goes on"
    that(has_ended(events, "websocket"), got, "its end: to leave the block is to leave", rule=rule)
