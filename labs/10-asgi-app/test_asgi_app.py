"""Lab 10: an ASGI application, alone, under two servers and behind nginx."""

import csv
import io
import json
import re
from typing import Any
from urllib.parse import quote_plus

from asgi_answer import answer_of, echoed, json_of, key_of, media_type, nothing_is_left_over
from ended_streams import streams_end, what_is_left_and_raised
from event_stream_client import EVENT_STREAM, NGINX_WAITS, Listener, parsed, with_lf
from slow_readers import slow_reader_holds_nobody_up
from tasks_client import (
    JSON,
    PATIENCE,
    becomes,
    chunked_upload,
    chunks_in,
    create,
    error_answer,
    json_answer,
    located,
    overtaken_by_delete,
    overtaken_by_patch,
    reports_at_once,
    tasks_there,
    write,
    written,
)
from unicode_text import cut, event_data, far_text

from workshop.judge.checks import (
    Probe,
    body_event,
    check,
    expect,
    http_scope,
    name,
    that,
    wire_cases,
)
from workshop.judge.concurrent_checks import SideBySide
from workshop.judge.started_services import Services, front, probe

REQUEST = 'ASGI www, "Request - receive event"'
DISCONNECT = 'ASGI www, "Disconnect - receive event"'
BODY_LIMIT = 64 * 1024

# Two checks wait for seconds that the lab gives: one for silence, so nobody else may create tasks there.
together = SideBySide(front=front, service=Services, probe=probe)


def echo(probe: Probe, text: str, pieces: list[dict[str, Any]]) -> None:
    """Fail unless /echo says back the text that came in these pieces."""
    seen = probe.asgi("app:app", http_scope("POST", "/echo"), receive=pieces)
    status, _, body = answer_of(seen)
    expect("status", status, 200)
    echoed(key_of(json_of(body), "body"), text)


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule='ASGI www, "HTTP Connection Scope"')
@together.on("")
def test_task1_echo_shows_the_scope(probe, rng):
    """/echo returns what the scope says"""
    answer_of(probe.asgi("app:app", http_scope("GET", "/echo"), receive=[body_event()]))
    word = far_text(rng)
    query = f"name={quote_plus(word)}&empty=&name=Ada".encode()
    tags = [(b"x-tag", str(rng.randrange(1000)).encode()) for _ in range(2)]
    headers = [(b"host", b"localhost"), tags[0], (b"accept", b"*/*"), tags[1], (b"x-latin", b"caf\xe9")]
    for method in ("GET", "POST", "PUT"):
        scope = http_scope(method, "/echo", query, headers, raw_path=b"/%65cho")
        status, sent, body = answer_of(probe.asgi("app:app", scope, receive=[body_event()]))
        expect("status", status, 200, "scope['path'] is the decoded path: it is what names a page")
        expect("content-type", media_type(dict(sent).get(b"content-type")), "application/json")
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
    nothing_is_left_over(probe, [b"name=Ada", query, b""])


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


@check(task=1, rule='ASGI, "Applications": a scope type that is not known must raise an exception')
def test_task1_other_scope_types_are_refused(probe, rng):
    """A scope of another type raises an exception"""
    echo(probe, "Ada", [body_event(b"Ada")])
    for other in ("lifespan", "websocket", f"telex{rng.randrange(100)}", "fax"):
        more = {} if other in ("lifespan", "websocket") else http_scope("GET", "/echo")
        scope = {**more, "type": other, "asgi": {"version": "3.0", "spec_version": "2.0"}, "path": "/echo"}
        seen = probe.asgi("app:app", scope, receive=[{"type": f"{other}.startup"}])
        that(
            seen.raised is not None,
            got=f"for the scope type {other!r} it {seen.names()[-1]}, and sent {seen.sends!r}",
            expected="an exception: it tells the server that the application does not speak this",
        )


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule="RFC 9110 §15.3.2, 201 Created; §9.3.5, DELETE")
def test_task2_task_lives_from_post_to_delete(front, service, rng):
    """A task is created, read, changed and deleted"""
    title = name(rng)
    other = create(front, name(rng))
    answer = write(front, "POST", "/tasks", {"title": title})
    task = json_answer(answer, 201)
    number = key_of(task, "id")
    expect("task", task, {"id": number, "title": title, "done": False})
    that(
        located(answer) == f"/tasks/{number}",
        got=f"Location = {answer.get('Location')!r}",
        expected=f"Location = '/tasks/{number}', or the whole URL     where the new task is",
        rule="RFC 9110 §10.2.2, Location",
    )
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
    changed["done"] = False
    undone = json_answer(write(front, "PATCH", f"/tasks/{number}", {"done": False}), 200)
    expect("PATCH of done to false", undone, changed, "false is a value: the field is named")
    done = json_answer(write(front, "POST", "/tasks", {"title": title, "done": True}), 201)
    expect("done of the new task", key_of(done, "done"), True, "a new task may have it (task_store.checked)")
    overtaken_by_delete(service("uvicorn"), name(rng))
    overtaken_by_patch(service("uvicorn"), name(rng), name(rng))
    deleted = service("uvicorn").request("DELETE", f"/tasks/{number}")  # nginx would mend the head
    expect("status and body", (deleted.status, deleted.body), (204, b""), "done, and nothing to say")
    expect("Content-Length", deleted.get("Content-Length"), None, "a 204 has none (RFC 9110 §8.6)")
    for method in ("GET", "PATCH", "DELETE"):
        body = b'{"done": true}' if method == "PATCH" else b""
        answer = front.request(method, f"/tasks/{number}", [JSON], body)
        error_answer(answer, 404, f"{method}, when it was deleted")
    expect("GET", json_answer(front.get(f"/tasks/{other['id']}"), 200), other, "the other task is unchanged")


@check(task=2, rule="RFC 9110 §15.5.5, 404; §15.5.6: a 405 must have Allow; §9.3.2, HEAD")
def test_task2_wrong_paths_are_404_wrong_methods_405(front, rng):
    """An unknown path is 404, a wrong method 405 with Allow"""
    number = create(front, name(rng))["id"]
    expect("status", front.get(f"/tasks/{number}").status, 200)
    # %C2%B2 is ², a digit to str.isdigit and none to int, which refuses 4,400 digits as well.
    numbers = (str(number + 10**6), "ada", f"{number}/x", f"-{number}", "%C2%B2", "9" * 4400)
    for path in (*(f"/tasks/{one}" for one in numbers), f"/nowhere{number}"):
        shown = path if len(path) < 60 else f"{path[:20]}… ({len(path)} characters)"
        error_answer(front.get(path), 404, f"there is nothing at {shown}")
    allowed = {
        "/tasks": {"GET", "HEAD", "POST"},
        f"/tasks/{number}": {"GET", "HEAD", "PUT", "PATCH", "DELETE"},
        "/stats": {"GET", "HEAD"},
        "/tasks.csv": {"GET", "HEAD"},
        "/events": {"GET", "HEAD"},
        "/report": {"GET", "HEAD"},
    }
    for path, wanted in allowed.items():
        for method in sorted({"POST", "PUT", "PATCH", "DELETE"} - wanted):
            answer = front.request(method, path)
            error_answer(answer, 405, f"{path} is there, {method} is not for it")
            allow = {one.strip() for one in (answer.get("Allow") or "").split(",") if one.strip()}
            right = wanted - {"HEAD"} <= allow and method not in allow
            that(right, f"Allow = {answer.get('Allow')!r}", f"Allow = {', '.join(sorted(wanted))!r}")
    for path in ("/tasks", f"/tasks/{number}", "/stats"):  # what the others answer belongs to later tasks
        head = front.request("HEAD", path)
        expect("status and body", (head.status, head.body), (200, b""), "HEAD is GET without the body")
        location, why = head.get("Location"), "that of a POST is in the POST's own response alone"
        expect("Location", location, None, why, rule="RFC 9110 §10.2.2")


@check(task=2, rule="RFC 9110 §15.5.1, 400; §15.5.16, 415")
def test_task2_bad_bodies_are_refused(front, rng):
    """A body that is not a task is refused, and changes nothing"""
    before = json_answer(front.get("/tasks"), 200)
    cases = wire_cases(__file__, "bad-*.http")
    rng.shuffle(cases)
    for case in cases:
        answer = front.send(case.data, "POST")
        error_answer(answer, int(case.notes.get("status", "400")), next(iter(case.notes), ""))
    for body, why in (
        (b"[" * 60_000, "60,000 brackets: up to Python 3.13 json raises RecursionError, not ValueError"),
        (b'{"title": "\\ud800"}', "half a surrogate pair: no encoding can send it back"),
        (b'{"title": 1e999}', "a title that is a number, larger than any float"),
        (b'{"title": "Ask Ada", "done": NaN}', "NaN is neither true nor false, nor JSON (RFC 8259 §6)"),
    ):
        error_answer(front.request("POST", "/tasks", [JSON], body), 400, why)
    after = json_answer(front.get("/tasks"), 200)
    expect("GET /tasks", after, before, "refused bodies leave nothing behind")
    odd = front.request("POST", "/echo", [], b"\xff").status
    why = "status = 200, or 400: bytes that are not UTF-8 are not an error of the server's"
    that(odd < 500, f"status = {odd} for POST /echo with the body b'\\xff'", why, rule="README, rule 8")
    for case in wire_cases(__file__, "good-*.http"):
        task = json_answer(front.send(case.data, "POST"), 201, f"this one is good: {next(iter(case.notes))}")
        for wrong in (1, "yes", None):
            patch = write(front, "PATCH", f"/tasks/{key_of(task, 'id')}", {"done": wrong})
            error_answer(patch, 400, "done is true or false, in a PATCH too")


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
    seen = probe.asgi("app:app", scope, receive=endless, settle=0.3)
    read = size * len(seen.all("receive"))
    then = "waited for more" if "still running" in seen.names() else "ended"
    that(
        read < BODY_LIMIT + 2 * size,
        got=f"it read {read} bytes, then {then}",
        expected=f"413 as soon as there are more than {BODY_LIMIT} bytes: who sends may never stop",
    )
    status, _, body = answer_of(seen)
    expect("status", status, 413)
    key_of(json_of(body), "error")
    for target in ("/tasks", "/echo"):
        scope = http_scope("POST", target, headers=scope["headers"])
        whole = probe.asgi("app:app", scope, receive=[body_event(most + b" ")])
        why = f"{BODY_LIMIT + 1} bytes in one piece are too many, for {target}, too"
        expect("status", answer_of(whole)[0], 413, why)


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule='ASGI www, "Response Body - send event": more_body')
def test_task3_csv_goes_out_row_by_row(service, rng):
    """/tasks.csv goes out row by row"""
    client = service("uvicorn")
    made_now = [create(client, f'"{name(rng)}", {far_text(rng)}') for _ in range(rng.randint(3, 6))]
    write(client, "PATCH", f"/tasks/{made_now[-1]['id']}", {"done": True})
    answer = client.get("/tasks.csv")
    expect("status", answer.status, 200)
    expect("Content-Type", media_type(answer.get("Content-Type")), "text/csv")
    head = answer.body[: len(b"id,title,done\r\n")]
    expect("the first line", head, b"id,title,done\r\n", "CRLF ends a line of CSV", rule="RFC 4180 §2")
    rows = list(csv.reader(io.StringIO(answer.text, newline="")))
    expect("the first row", rows[:1], [["id", "title", "done"]])
    for task in made_now:
        row = [str(task["id"]), task["title"], "true" if task is made_now[-1] else "false"]
        that(
            row in rows,
            got=f"no row {row!r}; the last is {rows[-1]!r}",
            expected="a row for each task; quotes within a value are doubled (RFC 4180)",
            rule="RFC 4180 §2",
        )
    chunks = chunks_in(answer.raw)
    that(
        len(chunks) > len(made_now),
        got=f"{len(chunks)} chunks on the wire for a table of {len(rows)} rows",
        expected="a body event for each row, sent when the row is there: uvicorn makes a chunk of each",
    )


@check(task=3, rule="WHATWG HTML §9.2.5, parsing an event stream")
def test_task3_event_is_lines_and_an_empty_one(probe, rng):
    """A server-sent event survives a browser's parser"""
    number, kind = str(rng.randrange(1000)), rng.choice(["created", "changed", "ping"])
    ends = ["\n", "\r\n", "\r"]
    rng.shuffle(ends)
    for data, why in event_data(rng, ends):
        got = probe.call("app:sse_event", data, kind, number)
        that(isinstance(got, bytes), got=f"{got!r}", expected="bytes, in UTF-8")
        events = [parsed(block) for block in with_lf(got).split(b"\n\n")[:-1]]
        wanted = {"event": kind, "id": number, "data": re.sub(r"\r\n?", "\n", data)}
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
    for end in ends:
        for arguments in (["x", f"a{end}data: forged"], ["x", "a", f"7{end}event: b"], ["x", "a", f"7{end}"]):
            error = probe.raises("app:sse_event", *arguments)
            that(
                error is not None and "ValueError" in error["bases"],
                got=f"sse_event{tuple(arguments)!r} " + (f"raised {error['type']}" if error else "returned"),
                expected="ValueError: a line end in a name or an id would forge another line",
            )


@check(task=3, rule=EVENT_STREAM)
@together.on("waits", apart="front")
def test_task3_events_arrive_as_they_happen(front, probe, rng):
    """Behind nginx each event arrives when it happens, after a silence too"""
    create(front, name(rng))
    with Listener(front, seconds=2 * NGINX_WAITS + PATIENCE) as listener:
        task = create(front, name(rng))
        listener.task("created", task)
        for method in ("PATCH", "PUT"):
            task |= {"title": f"{name(rng)} {method}", "done": True}
            write(front, method, f"/tasks/{task['id']}", {"title": task["title"], "done": True})
            listener.task("changed", task)
        front.request("DELETE", f"/tasks/{task['id']}")
        listener.task("deleted", task)
        listener.signs_of_life(2)
        listener.task("created", create(front, name(rng)))
    slow_reader_holds_nobody_up(probe, rng)


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule=DISCONNECT)
@together.on("")
def test_task4_stream_ends_when_its_client_leaves(front, service, probe, rng):
    """When its client has left, a stream ends, and only that one"""
    for client, way in ((front, "nginx and uvicorn"), (service("hypercorn"), "hypercorn")):
        streams_end(client, f"your application, behind {way}", rng)
    what_is_left_and_raised(probe, rng)


@check(task=4, rule=REQUEST)
@together.on("")
def test_task4_half_an_upload_is_no_task(probe, rng):
    """Half an upload creates no task"""
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
        expected="no task: the end of the body never came, so the task is unknown",
    )
    that(
        "still running" not in half.names(),
        got="the application still waits, after http.disconnect",
        expected="an end: nothing comes after http.disconnect",
    )


@check(task=4, rule="WHATWG HTML §9.2.4, the Last-Event-ID header")
@together.on("")
def test_task4_client_that_comes_back_misses_nothing(front, rng):
    """A client that comes back gets what it missed, once and in order"""
    with Listener(front) as listener:
        events = [listener.until(create(front, name(rng))) for _ in range(3)]
    numbers = [event.get("id") for event in events]
    that(
        all(numbers) and len(set(numbers)) == len(numbers),
        got=f"the ids {numbers!r}",
        expected="an id of its own on every event: by it a browser says what it saw last",
        sent=listener.sent,
    )
    missed = [create(front, name(rng)) for _ in range(rng.randint(2, 4))]
    with Listener(front, ("Last-Event-ID", str(numbers[1]))) as listener:
        third = json_of(events[2]["data"].encode())
        for task in [third, *missed]:
            listener.task("created", task)
        listener.task("created", create(front, name(rng)))
    for strange in ("Ada", "999999", "9" * 5000):  # 999999: from before a restart, which begins at 1 again
        with Listener(front, ("Last-Event-ID", strange)) as listener:
            listener.until(create(front, name(rng)))


# --- task 5 -----------------------------------------------------------------------------------------


@check(task=5, rule="the event loop has one thread: what blocks in it blocks every request")
@together.on("")
def test_task5_reports_hold_nobody_up(service, rng):
    """While reports run, other requests get their responses"""
    client = service("uvicorn")
    becomes(client, "reports", 0, seconds=5.5)
    wanted = rng.randint(2, 4)
    most = 0
    for seconds in (0.3, 0.6):  # a machine that stands still for so long proves nothing
        seen, answers = reports_at_once(client, wanted, seconds)
        most = max(most, seen)
        if most >= wanted:
            break
    sent = f"{wanted} times GET /report?seconds={seconds}, on as many connections; meanwhile GET /stats"
    for answer in answers:
        if answer.status not in (200, 503, 504):
            expect("status of GET /report", answer.status, 200, "a report", sent=sent)
    that(
        most > 0,
        got="/stats was not answered before a report was: no other request had a turn",
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
        written(answer)


@check(task=5, rule="RFC 9110 §15.6.4, 503; asyncio.timeout")
@together.on("limit", apart="front")
def test_task5_report_has_a_time_limit(front, rng):
    """A report that takes too long is a 503 of yours, not nginx's 504"""
    for done in (True, False):
        write(front, "POST", "/tasks", {"title": name(rng), "done": done})
    tasks = tasks_there(front)
    for query in (f"?seconds={rng.choice([0.05, 0.1])}", "?seconds=0", ""):
        written(front.get(f"/report{query}"), tasks)
    for seconds in ("ada", "nan", "-1"):
        status = front.get(f"/report?seconds={seconds}").status
        that(
            status == 400,
            got=f"status = {status} for seconds={seconds}",
            expected="status = 400: not a number of seconds, so the mistake is the client's",
            rule="RFC 9110 §15.5.1, 400; §15.6, 5xx: the server is at fault",
        )
    late = front.get(f"/report?seconds={rng.choice([2.5, 3])}")
    writer = "nginx" if late.get("X-Written-By") == "nginx" else "your application"
    that(
        late.status == 503 and writer != "nginx",
        got=f"a {late.status} that {writer} wrote",
        expected="503 from your application, when REPORT_LIMIT is over: asyncio.timeout ends the waiting",
    )
    key_of(late.json(), "error")
    again = late.get("Retry-After")
    that(
        (again or "").strip().isdigit() or (again or "").endswith("GMT"),
        got=f"503 with Retry-After = {again!r}",
        expected="Retry-After: 1, or another number of seconds: the client may come back",
        rule="this lab's task 5; RFC 9110 §10.2.3, Retry-After",
    )
