"""Lab 1: an application is a callable, and so is every framework's."""

import random
import string
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from workshop.judge.checks import (
    NoAnswer,
    Response,
    Thing,
    Transcript,
    body_event,
    check,
    expect,
    fail,
    http_scope,
    made,
    name,
    ref,
    that,
    wire_cases,
    wsgi_app,
)

APPLICATION_SIDE = 'PEP 3333, "The Application/Framework Side"'
START_RESPONSE = 'PEP 3333, "The start_response() Callable"'
FAR_NAMES = ("Zoë", "Łukasz", "Aşkın", "Νίκη", "Юлия", "明", "José")


# --- what the checks share --------------------------------------------------------------------------


def far_name(rng: random.Random) -> str:
    """A name with characters that take more than one byte in UTF-8."""
    return f"{rng.choice(FAR_NAMES)} {rng.randrange(100, 999)}"


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=8))


def ended_well(seen: Transcript) -> None:
    """Fail with the exception when the application raised one."""
    error = seen.raised
    if error is not None:
        while_ = {"call": "when it was called", "iteration": "while its body was iterated over"}
        when = while_.get(error["during"], f"in {error['during']}")
        fail(f"{error['type']} {when}", "an answer, and no exception")


def pairs(headers: Iterable[object]) -> list[tuple[str, str]]:
    """Those of the headers that are pairs of text."""
    as_tuples = [tuple(pair) for pair in headers if isinstance(pair, tuple | list)]
    return [(pair[0], pair[1]) for pair in as_tuples if len(pair) == 2 and all(type(x) is str for x in pair)]


def value_of(headers: Iterable[object], field: str) -> str | None:
    """A field's value; names compare without case (RFC 9110 §5.1)."""
    return next((value for key, value in pairs(headers) if key.lower() == field.lower()), None)


def is_utf8_text(content_type: str | None) -> bool:
    """Whether it says text/plain in UTF-8, however it is spelled (RFC 9110 §8.3.1)."""
    media, _, parameters = (content_type or "").lower().partition(";")
    return media.strip() == "text/plain" and parameters.replace('"', "").strip() == "charset=utf-8"


def text_type(got: str | None) -> None:
    that(
        is_utf8_text(got),
        got=f"Content-Type = {got!r}",
        expected="Content-Type = 'text/plain; charset=utf-8'     it tells the browser how to read the bytes",
        rule="RFC 9110 §8.3",
    )


def body_is(got: bytes, expected: str, length: str | None = None) -> None:
    """Fail unless the body is that text in UTF-8; say which mistake it looks like."""
    wanted = expected.encode()
    why = ""
    if got == expected.encode().decode("latin-1").encode():
        why = "the query's bytes were decoded as latin-1: each became a character of its own. They are UTF-8"
    elif got == expected.encode("latin-1", "replace"):
        why = "the text was encoded as latin-1, and Content-Type says utf-8"
    elif b"%" in got:
        why = "the query arrives as it was sent: percent-encoded. Decoding it is the application's part"
    elif got and wanted.startswith(got) and length == str(len(got)):
        why = f"Content-Length said {length}, so the server sent {length} bytes and cut the rest off"
    elif b"+" in got:
        why = "in a query, + is a space (URL Standard, application/x-www-form-urlencoded)"
    expect("body", got, wanted, why)


def allows(value: str | None) -> set[str]:
    return {part.strip() for part in (value or "").split(",") if part.strip()}


def refused(answer: Response) -> None:
    """Fail unless it is a 405 that says what would have been right."""
    expect("status", answer.status, 405, "/ is there, and this method is not")
    allow, rule = answer.get("Allow"), "RFC 9110 §15.5.6"
    why = "a 405 says what would have been right"
    that({"GET", "HEAD"} <= allows(allow), f"Allow = {allow!r}", f"Allow = 'GET, HEAD'     {why}", rule=rule)
    more = allows(allow) & {"POST", "PUT", "PATCH", "DELETE"}
    that(not more, f"Allow = {allow!r}", "Allow = 'GET, HEAD'     the others were refused", rule=rule)


def triple(value: object) -> tuple[str, list[object], bytes]:
    """What `call` returned, as (status, headers, body); a named tuple or a dataclass will do."""
    items = list(value.attributes.values()) if isinstance(value, Thing) else value
    if not isinstance(items, tuple | list) or len(items) != 3:
        fail(f"call returned {value!r}", 'three values: ("200 OK", [("Content-Type", "text/plain")], b"…")')
    status, headers, body = items
    what = f"call returned {value!r}"
    that(isinstance(status, str), what, 'the status as start_response got it: "200 OK"')
    that(isinstance(headers, list | tuple), what, "the headers as start_response got them: a list of pairs")
    that(isinstance(body, bytes), what, "the body as one bytes object: the chunks joined")
    return status, list(headers), body


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule=APPLICATION_SIDE)
def test_task1_returns_an_iterable_of_bytes(probe):
    """application returns an iterable of bytes"""
    seen = probe.wsgi("app:application")
    returned = (seen.first("returned") or {}).get("type")
    listed = '[b"Hello, world!\\n"]: a server loops over what you return and sends each item'
    if returned in ("bytes", "bytearray"):
        numbers = ", ".join(str(event["data"]) for event in seen.all("chunk")[:3])
        fail(
            f"bytes and no list around them: looping over bytes gives numbers, one a byte: {numbers}, …",
            listed,
        )
    if returned == "str":
        fail("text: looping over it gives one character at a time, and none of them is bytes", listed)
    if returned == "NoneType":
        fail("None: is the `return` missing?", listed)
    ended_well(seen)
    for event in seen.all("chunk"):
        kind = event["type"]
        why = 'bytes: only bytes cross a socket. Encode the text: "…".encode("utf-8")'
        that(kind == "bytes", f"a chunk of type {kind}: {event['data']!r}", why)
    body_is(seen.body, "Hello, world!\n")


@check(task=1, rule=START_RESPONSE)
def test_task1_starts_the_response_before_the_body(probe):
    """start_response comes first, with type and exact length"""
    seen = probe.wsgi("app:application")
    ended_well(seen)
    starts = seen.all("start_response")
    expect("calls of start_response", len(starts), 1, "one answer a request")
    first = next((event for event in seen.events if event["event"] == "chunk" and event["data"]), None)
    late = first is not None and seen.events.index(first) < seen.events.index(starts[0])
    that(
        not late,
        got=f"the first chunk, {first and first['data']!r}, and start_response only after it",
        expected="start_response first: status and headers are on the wire before any byte of the body",
        rule=APPLICATION_SIDE,
    )
    status, headers = starts[0]["status"], starts[0]["headers"]
    shaped = isinstance(status, str) and status[:3].isdigit() and status[3:4] == " "
    that(shaped, f"status = {status!r}", "text, a code and a reason: '200 OK'")
    expect("status", status[:3], "200")
    that(
        starts[0]["of"] == "list" and len(pairs(headers)) == len(headers),
        got=f"headers = {headers!r}, a {starts[0]['of']}",
        expected="a list of tuples of two texts: [('Content-Type', 'text/plain; charset=utf-8'), …]",
    )
    text_type(value_of(headers, "Content-Type"))
    that(
        all(event["type"] == "bytes" for event in seen.all("chunk")),
        got="a body that is not made of bytes: its length can't be told",
        expected="chunks of bytes: begin with the check of the iterable",
        rule=APPLICATION_SIDE,
    )
    length, size = value_of(headers, "Content-Length"), len(seen.body)
    why = f"the body is {size} bytes, and the client reads as many as it is told"
    expect("Content-Length", length, str(size), why, rule="RFC 9110 §8.6")


@check(task=1, rule='PEP 3333, "Specification Overview"')
def test_task1_says_hello(front):
    """GET / says Hello, world! through gunicorn and nginx"""
    for case in wire_cases(__file__, "hello.http"):
        for turn in ("the first time", "the second time: the application is called again for each request"):
            try:
                answer = front.send(case.data)
            except NoAnswer as error:
                fail(f"{error.got}, {turn}", "as many bytes as Content-Length says, each time")
            expect("status", answer.status, 200, turn)
            length = answer.get("Content-Length")
            that(answer.body, f"an empty body, {turn}", f"{case.notes['body']!r} and a newline")
            body_is(answer.body, case.notes["body"] + "\n", length)
            text_type(answer.get("Content-Type"))


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule='URL Standard, "application/x-www-form-urlencoded"')
def test_task2_greets_by_name(front, rng):
    """/?name=Ada is greeted by name, in UTF-8"""
    plain, far = name(rng), far_name(rng)
    ways = [
        (f"/?name={quote(plain)}", plain),
        (f"/?lang={word(rng)}&name={quote_plus(plain)}&{word(rng)}=1", plain),
        (f"/?name={quote(far)}", far),
    ]
    for target, somebody in ways:
        answer = front.get(target)
        expect("status", answer.status, 200)
        body_is(answer.body, f"Hello, {somebody}!\n", answer.get("Content-Length"))
    for case in wire_cases(__file__, "name-*.http"):
        answer = front.send(case.data)
        expect("status", answer.status, int(case.notes["status"]))
        body_is(answer.body, case.notes["body"] + "\n", answer.get("Content-Length"))
    answer = front.get("/")
    body_is(answer.body, "Hello, world!\n", answer.get("Content-Length"))


@check(task=2, rule="RFC 9110 §8.6")
def test_task2_content_length_counts_bytes(probe, rng):
    """Content-Length counts bytes, not characters"""
    somebody = far_name(rng)
    seen = probe.wsgi("app:application", query=f"name={quote(somebody)}")
    ended_well(seen)
    length, size = value_of(seen.headers, "Content-Length"), len(seen.body)
    characters = len(seen.body.decode("utf-8", "replace"))
    why = f"the body is {size} bytes"
    if length == str(characters):
        why += f"; {characters} is the number of its characters"
    expect("Content-Length", length, str(size), why)
    body_is(seen.body, f"Hello, {somebody}!\n")


@check(task=2, rule="RFC 9110 §15.5.5")
def test_task2_unknown_paths_are_404(front, rng):
    """A path that nothing is at answers 404"""
    for target in (f"/{word(rng)}", f"/{word(rng)}?name=Ada"):
        expect(f"status of {target}", front.get(target).status, 404, "PATH_INFO is not '/'")
    for case in wire_cases(__file__, "path-*.http"):
        expect("status", front.send(case.data).status, int(case.notes["status"]), "PATH_INFO is not '/'")
    expect("status of /", front.get("/").status, 200)


@check(task=2, rule="RFC 9110 §15.5.6")
def test_task2_other_methods_are_405_with_allow(front, rng):
    """Other methods are answered with 405 and Allow"""
    for case in wire_cases(__file__, "method-*.http"):
        refused(front.send(case.data))
    for method in rng.sample(["PUT", "PATCH", "DELETE", "POST"], 2):
        refused(front.request(method, "/"))
    expect("status of GET /", front.get("/").status, 200)


@check(task=2, rule="RFC 9110 §9.3.2")
def test_task2_head_has_no_body(probe, rng):
    """HEAD has the header of GET and no body"""
    query = f"name={quote(name(rng))}"
    got = probe.wsgi("app:application", query=query)
    ended_well(got)
    that(got.body, "GET with an empty body", "GET with a greeting: HEAD is compared with it")
    head = probe.wsgi("app:application", method="HEAD", query=query)
    ended_well(head)
    expect("status", head.status, got.status, "HEAD answers what GET would")
    expect("body", head.body, b"", "HEAD asks for the header only; return [] for it")
    length = value_of(head.headers, "Content-Length")
    right = (None, str(len(got.body)))
    that(
        length in right,
        got=f"Content-Length = {length!r}",
        expected=f"Content-Length = {right[1]!r}     as GET would have it, although no body follows",
    )


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule='PEP 3333, "The Server/Gateway Side"')
def test_task3_call_brings_back_the_answer(probe, rng):
    """call brings back status, headers and body"""
    said, asked, data = word(rng), word(rng), word(rng).encode()
    code = rng.choice(["200 OK", "201 Created", "409 Conflict"])
    inner = wsgi_app(
        status=code,
        headers=[("Content-Type", "text/plain"), ("X-Word", said), ("X-Word", "again")],
        chunks=[said.encode(), b"", b"-", asked.encode()],
        read=-1,
    )
    seen = probe.steps(made("app:call", inner, "PUT", f"/caf%C3%A9?q={asked}", data))
    came_back(seen)
    environ = (seen.first("inner called") or {}).get("environ", {})
    expect("REQUEST_METHOD", environ.get("REQUEST_METHOD"), "PUT")
    expect("PATH_INFO", environ.get("PATH_INFO"), "/caf\xc3\xa9", "environ_for decodes it for you")
    expect("QUERY_STRING", environ.get("QUERY_STRING"), f"q={asked}")
    expect("wsgi.input", (seen.first("inner read") or {}).get("data"), data, "the body that call was given")
    status, headers, body = triple(seen.values[-1])
    expect("status", status, code)
    words = [value for key, value in pairs(headers) if key == "X-Word"]
    expect("values of X-Word", words, [said, "again"], "every field, in order, repeats kept")
    expect("body", body, f"{said}-{asked}".encode(), "all chunks joined; an empty one ends nothing")


@check(task=3, rule=APPLICATION_SIDE)
def test_task3_call_waits_for_a_late_start(probe, rng):
    """call takes a generator that starts at its first chunk"""
    code, data = rng.choice(["200 OK", "404 Not Found"]), word(rng).encode()
    seen = probe.steps(made("app:call", wsgi_app(status=code, chunks=[data, b"!"], late_start=True)))
    why = "a generator has run no line before the loop: read the status after it"
    came_back(seen, why)
    status, headers, body = triple(seen.values[-1])
    expect("status", status, code, why)
    expect("Content-Type", value_of(headers, "Content-Type"), "text/plain", why)
    expect("body", body, data + b"!")


@check(task=3, rule=START_RESPONSE)
def test_task3_call_gives_out_write(probe, rng):
    """start_response returns write, for applications that push"""
    first, second, last = (word(rng).encode() for _ in range(3))
    seen = probe.steps(made("app:call", wsgi_app(write=[first, second], chunks=[last])))
    came_back(seen)
    _, _, body = triple(seen.values[-1])
    expect("body", body, first + second + last, "two calls of write, then one chunk")


@check(task=3, rule='PEP 3333, "Specification Details"')
def test_task3_call_always_closes(probe, rng):
    """call closes what was returned, in every ending"""
    data = word(rng).encode()
    seen = probe.steps(made("app:call", wsgi_app(chunks=[data, data])))
    came_back(seen)
    expect("body", triple(seen.values[-1])[2], data * 2)
    names = seen.names()
    that(
        "inner closed" in names,
        "close was not called",
        "close() after the last chunk: it frees what the body holds",
    )
    early = (
        names.index("inner closed") < names.index("inner exhausted") if "inner exhausted" in names else True
    )
    that(not early, "close before the body was at its end", "every chunk first, then close()")
    broken = probe.steps(made("app:call", wsgi_app(chunks=[data, data], raises="iteration")))
    error = broken.raised or {}
    said = "the application's own exception: the caller decides what to do with it"
    that(error, "call returned, although the application raised", said)
    expect("exception", error.get("type"), "RuntimeError", said)
    that(
        "inner closed" in broken.names(),
        got="close was not called when the body raised",
        expected="close() in every ending: try, finally",
    )


@check(task=3, rule='PEP 3333, "Specification Overview"')
def test_task3_flask_and_django_are_callables(probe, rng):
    """Flask, Django and your own application answer to call"""
    somebody, data = far_name(rng), word(rng).encode()
    greeting, query = f"Hello, {somebody}!\n".encode(), quote(somebody)
    for framework in ("greeting_flask", "greeting_django"):
        app = ref(f"{framework}:application")
        asked = [
            (("GET", f"/?name={query}"), "200 OK", greeting),
            (("POST", "/upper", data), "200 OK", data.upper()),
            (("GET", f"/letters?name={query}"), "200 OK", somebody.encode()),
        ]
        for request, code, expected in asked:
            seen = probe.steps(made("app:call", app, *request))
            came_back(seen)
            status, _, body = triple(seen.values[-1])
            expect(f"{framework}: status", status, code)
            expect(f"{framework}: body", body, expected)
        missing = probe.steps(made("app:call", app, "GET", f"/{word(rng)}"))
        came_back(missing)
        expect(f"{framework}: status", triple(missing.values[-1])[0][:3], "404")
    mine = probe.steps(made("app:call", ref("app:application"), "GET", f"/?name={query}"))
    came_back(mine)
    expect("your application: body", triple(mine.values[-1])[2], greeting)


def came_back(seen: Transcript, why: str = "") -> None:
    """Fail when `call` itself raised; `why` says what to expect instead."""
    error = seen.raised
    if error is None:
        return
    why = f"a call that returns     {why}".rstrip()
    if "'NoneType' object is not callable" in error["message"]:
        why = "start_response that returns write: a function that takes bytes"
    elif "has no attribute 'close'" in error["message"]:
        why = "close only where there is one: a list has none"
    fail(f"call raised {error['type']}: {error['message']}", why)


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule='ASGI, "HTTP Connection Scope"')
def test_task4_asgi_gives_the_same_answers(front, rng):
    """/asgi/ answers through uvicorn what / does by gunicorn"""
    somebody = far_name(rng)
    answer = front.get(f"/asgi/?name={quote(somebody)}")
    expect("status", answer.status, 200)
    body_is(answer.body, f"Hello, {somebody}!\n", answer.get("Content-Length"))
    text_type(answer.get("Content-Type"))
    head = front.request("HEAD", f"/asgi/?name={quote_plus(somebody)}")
    expect("status of HEAD", head.status, 200)
    plain = front.get("/asgi/")
    body_is(plain.body, "Hello, world!\n", plain.get("Content-Length"))
    expect("status of an unknown path", front.get(f"/asgi/{word(rng)}").status, 404)
    refused(front.request(rng.choice(["PUT", "DELETE"]), "/asgi/"))


@check(task=4, rule='ASGI, "Response Start" and "Response Body"')
def test_task4_asgi_sends_start_then_body(probe, rng):
    """asgi sends start, then body, and refuses other scopes"""
    somebody = far_name(rng)
    scope = http_scope(query=f"name={quote(somebody)}".encode())
    seen = probe.asgi("app:asgi", scope, receive=[body_event()])
    ended_well(seen)
    types = [message.get("type") if isinstance(message, dict) else message for message in seen.sends]
    that(
        types[:1] == ["http.response.start"] and set(types[1:]) == {"http.response.body"},
        got=f"the messages sent were {types!r}",
        expected="['http.response.start', 'http.response.body']",
    )
    start, *bodies = seen.sends
    expect("status", start.get("status"), 200, "a number here, not a line of text")
    listed(start.get("headers"))
    for message in bodies:
        data = message.get("body", b"")
        that(isinstance(data, bytes), f"body = {data!r}", "bytes: encode the text")
    body_is(b"".join(message.get("body", b"") for message in bodies), f"Hello, {somebody}!\n")
    more = bodies[-1].get("more_body", False)
    that(
        not more,
        "more_body = True on the last message",
        "a last message without more_body: else it never ends",
    )
    kind = word(rng)
    other = probe.asgi("app:asgi", {"type": kind, "asgi": {"version": "3.0"}})
    that(
        other.raised,
        got=f"a scope of type {kind!r} was answered as if it were http",
        expected="an exception: how else would a server learn what you don't speak?",
        rule='ASGI, "Applications"',
    )


def listed(headers: object) -> None:
    """Fail unless the headers are pairs of bytes with names in lower case."""
    that(headers, f"headers = {headers!r}", "[(b'content-type', b'text/plain; charset=utf-8'), …]")
    for pair in headers if isinstance(headers, list | tuple) else []:
        two = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(x, bytes) for x in pair)
        that(two, f"a header {pair!r}", "a pair of bytes: (b'content-type', b'text/plain; charset=utf-8')")
        expect("header name", pair[0], pair[0].lower(), "ASGI has names in lower case")
