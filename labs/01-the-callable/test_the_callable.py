"""Lab 1: an application is a callable, and so is every framework's."""

from urllib.parse import quote, quote_plus

from greeting_answers import (
    APPLICATION_SIDE,
    body_is,
    body_of,
    came_back,
    ended_well,
    far_name,
    fields_once,
    header_list,
    knows_or_raises,
    listed,
    messages_of,
    own_length,
    pairs,
    refused,
    text_type,
    triple,
    value_of,
    word,
)

from workshop.judge.checks import (
    NoAnswer,
    body_event,
    check,
    expect,
    fail,
    http_scope,
    made,
    name,
    note,
    ref,
    that,
    wire_cases,
    wsgi_app,
)

START_RESPONSE = 'PEP 3333, "The start_response() Callable"'
ERROR_HANDLING = 'PEP 3333, "Error Handling"'


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
    expect("calls of start_response", len(starts), 1, "one response for each request")
    first = next((event for event in seen.events if event["event"] == "chunk" and event["data"]), None)
    late = first is not None and seen.events.index(first) < seen.events.index(starts[0])
    that(
        not late,
        got=f"the first chunk, {first and first['data']!r}, and start_response only after it",
        expected="start_response first: status and headers are on the wire before any byte of the body",
        rule=APPLICATION_SIDE,
    )
    status = starts[0]["status"]
    shaped = isinstance(status, str) and status[:3].isdigit() and status[3:4] == " "
    that(shaped, f"status = {status!r}", "text, a code and a reason: '200 OK'")
    expect("status", status[:3], "200")
    headers = header_list(starts[0])
    text_type(value_of(headers, "Content-Type"))
    length, size = value_of(headers, "Content-Length"), len(body_of(seen))
    why = f"the body is {size} bytes, and the client reads as many as Content-Length says"
    expect("Content-Length", length, str(size), why, rule="RFC 9110 §8.6")


@check(task=1, rule='PEP 3333, "Specification Overview"')
def test_task1_says_hello(front, service):
    """GET / says Hello, world! through gunicorn and nginx"""
    for client, hops in ((service("wsgi"), "gunicorn"), (front, "gunicorn and nginx")):
        for case in wire_cases(__file__, "hello.http"):
            for turn in (
                "the first time",
                "the second time: the application is called again for each request",
            ):
                try:
                    answer = client.send(case.data)
                except NoAnswer as error:
                    fail(
                        f"{error.got}, {turn}",
                        f"through {hops}, as many bytes as Content-Length says, each time",
                    )
                expect("status", answer.status, 200, turn)
                fields_once(answer, turn)
                that(answer.body, f"an empty body, {turn}", f"{case.notes['body']!r} and a newline")
                body_is(answer.body, case.notes["body"] + "\n", answer.get("Content-Length"))
                text_type(answer.get("Content-Type"))


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule='URL Standard, "application/x-www-form-urlencoded"')
def test_task2_greets_by_name(front, probe, rng):
    """/?name=Ada is greeted by name, in UTF-8"""
    plain, far = name(rng), far_name(rng)
    both, other = f"{plain} & {far}", word(rng)
    ways = [
        (f"/?name={quote(plain)}", plain),
        (f"/?lang={word(rng)}&name={quote_plus(plain)}&{word(rng)}=1", plain),
        (f"/?name={quote(far)}", far),
        (f"/?name={quote(both)}&lang=en", both),
        (f"/?nickname={other}&name={quote(plain)}&surname={other}", plain),
        (f"/?nickname={other}", "world"),
        (f"/?{other}", "world"),
        (f"/?NAME={other}", "world"),
        (f"/?n%61me={quote(plain)}", plain),
        (f"/?name={other}=1", f"{other}=1"),
        (f"/?name={other};x", f"{other};x"),
        ("/", "world"),
    ]
    for target, somebody in ways:
        answer = front.get(target)
        expect("status", answer.status, 200)
        body_is(answer.body, f"Hello, {somebody}!\n", answer.get("Content-Length"))
    for case in wire_cases(__file__, "name-*.http"):
        answer = front.send(case.data)
        expect("status", answer.status, int(case.notes["status"]))
        body_is(answer.body, case.notes["body"] + "\n", answer.get("Content-Length"))
    no_query_string(probe)
    broken = front.get("/?name=%FF").status
    why = "200, or 400: invalid UTF-8 is the client's mistake"
    that(broken in (200, 400), f"status = {broken} for GET /?name=%FF", why, rule="RFC 9110 §15.6")


def no_query_string(probe):
    """A server may leave QUERY_STRING out when there is no query."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "localhost", "SERVER_PORT": "80"}
    environ |= {"wsgi.url_scheme": "http", "wsgi.input": made("io:BytesIO")}
    sent = "application(environ, start_response) with {'REQUEST_METHOD': 'GET', 'PATH_INFO': '/'}"
    sent += " and without QUERY_STRING"
    seen = probe.steps(
        made("builtins:list", made("app:application", environ, note("start_response"))), sent=sent
    )
    error, rule = seen.raised, 'PEP 3333, "environ Variables"'
    got = f"{error and error['type']}: {error and error['message']}"
    that(not error, got, "Hello, world!: QUERY_STRING may be missing from the environ", rule=rule)
    body_is(b"".join(seen.values[-1]), "Hello, world!\n", rule=rule)


@check(task=2, rule="RFC 9110 §8.6")
def test_task2_content_length_counts_bytes(probe, rng):
    """Content-Length counts bytes, not characters"""
    somebody = far_name(rng)
    seen = probe.wsgi("app:application", query=f"name={quote(somebody)}")
    length, size = value_of(seen.headers, "Content-Length"), len(body_of(seen))
    characters = len(seen.body.decode("utf-8", "replace"))
    why = f"the body is {size} bytes"
    if length == str(characters):
        why += f"; {characters} is the number of its characters"
    expect("Content-Length", length, str(size), why)
    body_is(seen.body, f"Hello, {somebody}!\n")


@check(task=2, rule="RFC 9110 §15.5.5")
def test_task2_unknown_paths_are_404(front, probe, rng):
    """An unknown path gets a 404"""
    for target in (f"/{word(rng)}", f"/{word(rng)}?name=Ada", f"//{word(rng)}"):
        expect(f"status of {target}", front.get(target).status, 404, "PATH_INFO is not '/'")
    for case in wire_cases(__file__, "path-*.http"):
        expect("status", front.send(case.data).status, int(case.notes["status"]), "PATH_INFO is not '/'")
    expect("status of /", front.get("/").status, 200)
    own_length(probe.wsgi("app:application", path=f"/{word(rng)}"))


@check(task=2, rule="RFC 9110 §15.5.6")
def test_task2_other_methods_are_405_with_allow(front, probe, rng):
    """Other methods get a 405 with Allow"""
    for case in wire_cases(__file__, "method-*.http"):
        refused(front.send(case.data))
    for method in ("PUT", "PATCH", "DELETE", "POST", "PROPFIND"):
        refused(front.request(method, "/"))
    own_length(probe.wsgi("app:application", "POST", query=f"name={word(rng)}"))
    expect("status of GET /", front.get("/").status, 200)


@check(task=2, rule="RFC 9110 §9.3.2")
def test_task2_head_has_no_body(probe, rng):
    """HEAD has the headers of GET and no body"""
    query = f"name={quote(name(rng))}"
    got = probe.wsgi("app:application", query=query)
    that(body_of(got), "GET with an empty body", "GET with a greeting: HEAD is compared with it")
    head = probe.wsgi("app:application", method="HEAD", query=query)
    body_of(head)
    expect("status", head.status, got.status, "the status that GET would get")
    expect("body", head.body, b"", "HEAD asks for the header only; return [] for it")
    length = value_of(head.headers, "Content-Length")
    right = (None, str(len(got.body)))
    that(
        length in right,
        got=f"Content-Length = {length!r}",
        expected=f"Content-Length = {right[1]!r}     as GET would have it, although no body follows",
    )
    lost = probe.wsgi("app:application", method="HEAD", path=f"/{word(rng)}")
    expect("body", body_of(lost), b"", "HEAD gets no body, from a 404 neither")
    expect("status", (lost.status or "")[:3], "404", "the status that GET would get")


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
    expect(
        "body",
        body,
        f"{said}-{asked}".encode(),
        "all chunks joined; an empty chunk is not the end of the body",
    )
    other = probe.steps(made("app:call", ref("unusual_apps:other_names"), "GET", f"/?{asked}"))
    came_back(other)
    expect(
        "body", triple(other.values[-1])[2], asked.encode(), "the query, from an application of two arguments"
    )
    again = probe.steps(*(made("app:call", wsgi_app(chunks=[chunk])) for chunk in (b"one", b"two")))
    came_back(again)
    why = "its own: what a call collects begins empty in each call"
    expect("body of a second call", triple(again.values[-1])[2], b"two", why)


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
    a_second_start(probe, first)
    a_second_write(probe, second)


def a_second_start(probe, data):
    """start_response comes once more, with exc_info: the body failed, and there is another answer."""
    first = [("Content-Type", "text/plain"), ("X-Word", "first")]
    again = probe.steps(made("app:call", wsgi_app(headers=first, chunks=[data, data], exc_info=True)))
    error = again.raised
    wanted = "start_response(status, headers, exc_info=None): the new response replaces the old,"
    wanted += " or exc_info[1] is raised"
    if error:
        that(
            error["type"] == "ValueError",
            f"call raised {error['type']}: {error['message']}",
            wanted,
            rule=ERROR_HANDLING,
        )
        return
    status, headers, _ = triple(again.values[-1])
    that(
        status == "500 Failed",
        f"status = {status!r}, that of the first start_response",
        wanted,
        rule=ERROR_HANDLING,
    )
    old = [value for key, value in pairs(headers) if key == "X-Word"]
    that(not old, f"headers = {headers!r}: those of the first start_response", wanted, rule=ERROR_HANDLING)


def a_second_write(probe, data):
    """What start_response returns is write each time: the second one, for the page of an error, too."""
    seen = probe.steps(made("app:call", ref("unusual_apps:pushes_its_error"), "GET", f"/?{data.decode()}"))
    if (seen.raised or {}).get("type") == "ValueError":
        return  # exc_info[1], raised: legal as well
    came_back(seen)
    why = "what was pushed by the write that the second start_response returned, then a chunk"
    expect("body", triple(seen.values[-1])[2], data + b"!", why)


@check(task=3, rule='PEP 3333, "Specification Details"')
def test_task3_call_always_closes(probe, rng):
    """call closes the body, also after an exception"""
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
    expect("calls of close", names.count("inner closed"), 1, "what is closed is closed once")
    ended = names.index("inner exhausted") if "inner exhausted" in names else 0
    early = names.index("inner closed") < ended
    that(not early, "close was called before the last chunk", "every chunk first, then close()")
    empty = probe.steps(made("app:call", wsgi_app(chunks=[])))
    came_back(empty)
    closed = empty.names().count("inner closed")
    expect("calls of close", closed, 1, "a body without a chunk is closed as well")
    broken = raised_in(probe, "iteration", data)
    for moment in ("call", "close"):
        raised_in(probe, moment, data)
    left = probe.steps(made("app:call", made("unusual_apps:interrupted", note("closed"))))
    for what, ends, event in (
        ("raised", broken, "inner closed"),
        ("was interrupted by Ctrl-C", left, "noted"),
    ):
        that(
            event in ends.names(),
            got=f"close was not called when the body {what}",
            expected="close() also after an exception: try, finally",
        )


def raised_in(probe, moment, data):
    """The application raises at this moment: its exception comes out of `call`, the very same."""
    who = data.decode()
    broken = probe.steps(made("app:call", wsgi_app(chunks=[data, data], raises=moment, name=who)))
    error, said = broken.raised, "the application's own exception: the caller decides what to do with it"
    that(error, f"call returned, although the application raised in {moment}", f"RuntimeError: {said}")
    own = error["type"] == "RuntimeError" and who in error["message"]
    that(own, f"{error['type']}: {error['message']}", f"RuntimeError: {said}")
    return broken


@check(task=3, rule='PEP 3333, "Specification Overview"')
def test_task3_flask_and_django_are_callables(probe, rng):
    """call runs Flask, Django and your own application"""
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


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule='ASGI, "Response Start" and "Response Body"')
def test_task4_asgi_sends_start_then_body(probe, rng):
    """asgi sends start, then body, and refuses other scopes"""
    somebody = far_name(rng)
    scope = http_scope(query=f"name={quote(somebody)}".encode())
    seen = probe.asgi("app:asgi", scope, receive=[body_event()])
    start, bodies = messages_of(seen)
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
        "a last message without more_body: it ends the response",
    )
    for kind in (f"a{word(rng)}", f"z{word(rng)}"):
        other = probe.asgi("app:asgi", {**http_scope(), "type": kind})
        that(
            other.raised,
            got=f"a scope of type {kind!r} got a response as if it were http",
            expected="an exception: it tells the server that the application doesn't support this type",
            rule='ASGI, "Applications"',
        )
    for kind, event in (("lifespan", "lifespan.startup"), ("websocket", "websocket.connect")):
        knows_or_raises(probe, kind, event)


@check(task=4, rule='ASGI, "HTTP Connection Scope"')
def test_task4_asgi_gives_the_same_answers(front, rng):
    """/asgi/ (uvicorn) gives the same responses as / (gunicorn)"""
    somebody = far_name(rng)
    answer = front.get(f"/asgi/?name={quote(somebody)}")
    expect("status", answer.status, 200)
    body_is(answer.body, f"Hello, {somebody}!\n", answer.get("Content-Length"))
    text_type(answer.get("Content-Type"))
    head = front.request("HEAD", f"/asgi/?name={quote_plus(somebody)}")
    expect("status of HEAD", head.status, 200)
    length = head.get("Content-Length")
    why = "as GET would have it, although no body follows"
    expect(
        "Content-Length of HEAD",
        length or str(len(answer.body)),
        str(len(answer.body)),
        why,
        rule="RFC 9110 §9.3.2",
    )
    plain = front.get("/asgi/")
    body_is(plain.body, "Hello, world!\n", plain.get("Content-Length"))
    expect("status of an unknown path", front.get(f"/asgi/{word(rng)}").status, 404)
    for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND"):
        refused(front.request(method, "/asgi/"))
