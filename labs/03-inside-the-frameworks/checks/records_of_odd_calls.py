"""Lab 3's checks of records where a call is not the usual one: a body that is a list, two calls at once."""

from bare_and_traced import answer_event, start_event
from recorded_events import (
    BOUNDARIES,
    DETAILS,
    asgi_traced,
    ended_well,
    line,
    plain,
    recorded,
    records,
    wsgi_traced,
)

from workshop.judge.checks import asgi_app, body_event, expect, made, note, that

TEXT = ("Content-Type", "text/plain")
THREADS = 'PEP 3333, "Thread Support"'


def a_list_is_not_closed(probe, chunks):
    """A list is a body, too: iter() of it begins anew each time, and it has no close."""
    seen = probe.wsgi(wsgi_traced(made("iterable_bodies:in_a_list", *chunks)), take=len(chunks) + 1)
    ended_well(seen)
    why = "iter() of a list begins anew: call it once, and next() of what it gave for each chunk"
    expect("chunks of a body that is a list", seen.chunks, chunks, why, rule=BOUNDARIES)
    started = [(1, "called", "GET", "", "/"), (1, "start_response", "200 OK", [TEXT], None)]
    given = [(1, "chunk", chunk) for chunk in chunks]
    records(seen, *started, (1, "returned", "list"), *given, (1, "exhausted"))


def the_body_is_closed(probe, chunks):
    """An object with a close is closed itself, and not the iterator that iter() made of it."""
    for take in (None, 1):
        app = made("iterable_bodies:in_an_object", note("closed"), *chunks)
        seen = probe.wsgi(wsgi_traced(app), take=take)
        ended_well(seen)
        times = [event["name"] for event in seen.all("noted")].count("closed")
        why = "close() of the body that was returned: the iterator that iter() makes of it is another object"
        expect("calls of the body's close", times, 1, why, rule=DETAILS)


def the_body_is_read_when_asked(probe):
    """`iter` of the body comes with the first chunk: if it raises then, the server has a body to close."""
    seen = probe.wsgi(wsgi_traced(made("iterable_bodies:in_no_way", note("closed"))))
    times = [event["name"] for event in seen.all("noted")].count("closed")
    that(
        times == 1,
        got=f"a body whose iter() raises: its close was called {times} times",
        expected="once: call iter() when the server asks for the first chunk. In the call itself the "
        "exception comes before the server has a body that it can close",
        rule=DETAILS,
    )


def calls_that_overlap(probe, paths):
    """Two requests at the same time: each has its own number, from its first event to its last."""
    answers = [start_event(), answer_event(b"x")]
    app = asgi_traced(asgi_app(["receive"], *(["send", message] for message in answers)))
    sent = f"GET {paths[0]} and GET {paths[1]} at the same time, to one asgi_xray"
    seen = probe.steps(made("asgi_calls:at_the_same_time", app, *paths), sent=sent)
    ended_well(seen)
    for number, path in enumerate(paths, 1):
        body = body_event(path.encode())
        sends = [(number, "send", message) for message in answers]
        wanted = [(number, "called", "http", path), (number, "receive", body), *sends, (number, "returned")]
        got = [event for event in recorded(seen) if event[:1] == (number,)]
        for right, is_ in zip(wanted, [*got, *[()] * len(wanted)], strict=False):
            what = f"call {number}, for {path}: "
            that(plain(is_) == plain(right), what + line(is_), what + line(right), rule=THREADS)
        that(len(got) == len(wanted), f"{len(got)} events of call {number}", f"{len(wanted)}", rule=THREADS)


def left_half_way(seen):
    """Fail when upload waits for the rest, or takes the half for the whole."""
    that(
        "still running" not in seen.names(),
        got="a client that left half way, and upload is still waiting for the rest",
        expected="upload returns: http.disconnect means that no more pieces come",
        rule='ASGI www, "Disconnect - receive event"',
    )
    starts = [message for message in seen.sends if isinstance(message, dict) and "status" in message]
    that(
        all(message["status"] != 200 for message in starts),
        got="a client that left half way, and upload sent a 200 with the size of that half",
        expected="no 200: after http.disconnect no more pieces come, and the body was never complete",
        rule='ASGI www, "Disconnect - receive event"',
    )
