"""Lab 4: the tasks API, from PATH_INFO to a stream, under sixteen threads.

What is asked, and what came of it, is in checks/task_visits.py; requests that meet are in met_requests.py
(apps/every_interleaving.py stops one before each of its steps in turn; meanwhile another runs).
"""

import json
from urllib.parse import urlsplit

from csv_exports import again, made_line_by_line, names_without_tasks, rows_of, twice
from met_requests import (
    ATOMIC,
    THREADS,
    as_json,
    at_once,
    changes_at_once,
    length_is_its_own,
    meetings,
    no_torn_read,
    nobody_waits_for_a_body,
    places_are_counted,
    state,
    stays_deleted,
    streaming,
)
from task_visits import (
    APP,
    EXPORTS,
    JSON,
    LIMIT,
    add,
    after_unread_body,
    answered,
    connection_is_kept,
    created,
    error_in,
    fields_of,
    goes_on_after_404,
    is_json,
    json_of,
    odd_spellings,
    open_visit,
    path_of,
    post,
    reads_at_most,
    status_is,
    taken,
    talk,
    task_in,
    title,
    unlike_nginx,
    value_of,
    visit,
    word,
)

from workshop.judge.checks import check, expect, method, name, named, that, wire_cases

CLOSE = 'PEP 3333, "Specification Details"'


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule="RFC 9110 §8.3 and §8.6")
def test_task1_tasks_come_out_as_json(probe, front, rng):
    """GET /tasks and GET /tasks/1 return JSON"""
    for case in wire_cases(__file__, "get-*.http"):
        answer = front.send(case.data)
        expect("status", answer.status, int(case.notes["status"]))
        is_json(answer.fields)
        that(isinstance(answer.json(), list), f"the body is {answer.text[:200]!r}", "a list of tasks: []")
    first, second = title(rng), title(rng)
    sent = f"tasks.add({first!r}); tasks.add({second!r}, True); GET /tasks; GET each one"
    steps = [("a", add(first)), ("b", add(second, True)), visit("GET", "/tasks")]
    seen = talk(probe, sent, *steps, visit("GET", path_of("a")), visit("GET", path_of("b")))
    one, two, listed, *singles = seen.values
    status_is(listed, 200, "GET /tasks", sent=sent)
    found = json_of(listed, "GET /tasks")
    that(isinstance(found, list) and len(found) == 2, f"GET /tasks = {found!r}", "two tasks", sent=sent)
    expect("GET /tasks", [task_in(each) for each in found], [task_in(one), task_in(two)], sent=sent)
    expect("titles", [each["title"] for each in found], [first, second], sent=sent)
    expect("done", [each["done"] for each in found], [False, True], "as they were added", sent=sent)
    for answer, task in zip(singles, (one, two), strict=True):
        status_is(answer, 200, f"GET /tasks/{task['id']}", sent=sent)
        is_json(fields_of(answer))
        expect(f"GET /tasks/{task['id']}", task_in(json_of(answer, "GET")), task_in(task), sent=sent)
        length = value_of(fields_of(answer), "Content-Length")
        size = str(len(answer["body"]))
        that(
            length in (None, size),
            f"Content-Length = {length!r}",
            f"{size!r}, the bytes of the body",
            sent=sent,
        )


@check(task=1, rule="RFC 9110 §9.3.2 and §15.3.5")
def test_task1_head_and_delete_have_no_body(probe, rng):
    """HEAD has the headers of GET and no body; DELETE gets 204"""
    text = title(rng)
    sent = f"tasks.add({text!r}); GET, HEAD and DELETE of it; GET /tasks"
    path = path_of("a")
    steps = [visit("GET", path), visit("HEAD", path), visit("DELETE", path), visit("GET", "/tasks")]
    seen = talk(probe, sent, ("a", add(text)), *steps)
    _, got, head, deleted, listed = seen.values
    expect("status of HEAD", head["status"], got["status"], "the status that GET would get", sent=sent)
    expect("body of HEAD", head["body"], b"", "headers only: return [] for it", sent=sent)
    for field in ("Content-Type", "Content-Length"):
        mine, its = value_of(fields_of(head), field), value_of(fields_of(got), field)
        why = f"{its!r}, as in the response to GET"
        that(mine in (None, its), f"{field} of HEAD = {mine!r}", why, sent=sent)
    status_is(deleted, 204, "DELETE", "deleted, and no body", sent=sent)
    expect("body of a 204", deleted["body"], b"", "204 means No Content", sent=sent)
    length = value_of(fields_of(deleted), "Content-Length")
    that(
        length is None,
        got=f"Content-Length = {length!r} in a 204",
        expected="no Content-Length: a 204 must not have one",
        rule="RFC 9110 §8.6",
        sent=sent,
    )
    expect("GET /tasks after DELETE", json_of(listed, "GET /tasks"), [], sent=sent)


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule="RFC 9110 §15.3.2 and §9.3.3")
def test_task2_tasks_are_created_and_changed(front, rng):
    """POST creates, PATCH and PUT change, GET shows it"""
    text, other = f"  {title(rng)} ", f"{title(rng)}\t"
    answer = post(front, {"title": text})
    expect("status of POST /tasks", answer.status, 201, "something was created")
    task = task_in(answer.json())
    why = "the title as it was sent, spaces too; done is false unless said"
    expect("the new task", task, {"id": task["id"], "title": text, "done": False}, why)
    place = answer.get("Location")
    path = urlsplit(place or "").path
    why = "where the new task is"
    that(
        path == f"/tasks/{task['id']}", f"Location = {place!r}", f"Location = '/tasks/{task['id']}'     {why}"
    )
    expect(f"GET {path}", task_in(front.get(path).json()), task)
    done = created(front, json.dumps({"title": other, "done": True}, indent=1).encode())  # on several lines
    expect("the new task", done, {"id": done["id"], "title": other, "done": True})
    listed = [task_in(each) for each in front.get("/tasks").json()]
    that(task in listed and done in listed, "GET /tasks without a task that was created", "every task")
    for verb, changes in (("PATCH", {"done": True}), ("PUT", {"title": other}), ("PATCH", {"done": False})):
        answer = front.request(verb, path, [JSON], json.dumps(changes).encode())
        task |= changes
        expect(f"status of {verb} {path}", answer.status, 200)
        expect(
            f"the response to {verb}",
            task_in(answer.json()),
            task,
            "the fields that were not named stay as they were",
        )
    answer = front.request("PATCH", path, [JSON], json.dumps({"id": done["id"], "done": True}).encode())
    now = task_in(front.get(path).json(), f"GET {path}")
    expect(f"the id at {path}", now["id"], task["id"], 'only title and done can be changed, not "id"')
    listed = [task_in(each) for each in front.get("/tasks").json()]
    before = [each for each in listed if each["id"] == task["id"]]
    that(now in listed and done in listed, f"GET /tasks has {before!r}", f"{now!r}     as it was changed")


@check(task=2, rule='PEP 3333, "Input and Error Streams"')
def test_task2_the_body_ends_where_content_length_says(probe, front, service, rng):
    """The body is read as far as CONTENT_LENGTH says"""
    data = json.dumps({"title": name(rng)}).encode()
    after = b"GET /tasks HTTP/1.1\r\n\r\n"
    ask = {"app": APP, "method": "POST", "path": "/tasks", "CONTENT_TYPE": "application/json"}
    seen = probe.wsgi(body=data + after, CONTENT_LENGTH=str(len(data)), **ask)
    answered(seen, 201, f"CONTENT_LENGTH is {len(data)}: what follows is the next request's")
    reads_at_most(seen, len(data), "as CONTENT_LENGTH says")
    for length in ({}, {"CONTENT_LENGTH": ""}):
        said = "empty" if length else "absent"
        why = f"CONTENT_LENGTH is {said}: there is no body, so no task"
        unsaid = probe.wsgi(body=data if length else b"", **ask, **length)
        answered(unsaid, 400, why, 411, rule="RFC 9110 §15.5.1, §15.5.12")
        reads_at_most(unsaid, 0, f"where CONTENT_LENGTH is {said}")
    for length in ("-1", "five"):
        seen = probe.wsgi(body=data, CONTENT_LENGTH=length, **ask)
        answered(seen, 400, f"CONTENT_LENGTH is {length!r}: no length of a body", 411, rule="RFC 9110 §8.6")
    cut = probe.wsgi(body=data, CONTENT_LENGTH=str(len(data) + 20), **ask)
    answered(cut, 400, "the client left in the middle of its body: half a body is not a shorter body")
    chunked = [("Transfer-Encoding", "chunked"), JSON]
    wire = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (4, data[:4], len(data) - 4, data[4:])
    through = front.request("POST", "/tasks", chunked, wire)
    expect("status of a chunked POST through nginx", through.status, 201, "nginx counted: you get a length")
    direct = service("tasks").request("POST", "/tasks", chunked, wire)
    that(
        direct.status in (201, 400, 411),
        got=f"status = {direct.status} for a chunked body without nginx: no CONTENT_LENGTH",
        expected="201 (gunicorn sets wsgi.input_terminated: read to the end), or 411 Length Required",
        rule="RFC 9110 §15.5.12",
    )


@check(task=2, rule="RFC 9110 §15.5.14")
def test_task2_too_large_is_413_from_you_and_from_nginx(probe, front, service, rng):
    """Too large is 413: yours above 64 KiB, nginx's above 128"""
    data = json.dumps({"title": name(rng)}).encode()
    whole = post(front, data.ljust(LIMIT))
    expect(
        "status of a body of 65536 bytes", whole.status, 201, "64 KiB are allowed; spaces at its end are JSON"
    )
    over = post(front, data.ljust(LIMIT + 1))
    expect("status of a body of 65537 bytes", over.status, 413, "one byte over your BODY_LIMIT")
    unlike_nginx(over)
    after_unread_body(front)
    far_over = post(front, data.ljust(200 * 1024))
    expect("status of a body of 200 KiB", far_over.status, 413)
    expect("X-Written-By", far_over.get("X-Written-By"), "nginx", "its client_max_body_size is 128k")
    connection_is_kept(service("tasks"), data.ljust(2 * LIMIT))
    ask = {"app": APP, "method": "POST", "path": "/tasks", "CONTENT_TYPE": "application/json"}
    claimed = probe.wsgi(body=data.ljust(4 * LIMIT), CONTENT_LENGTH=str(10**9), **ask)
    answered(claimed, 413, "CONTENT_LENGTH is a gigabyte")
    taken(claimed, 2 * LIMIT, "a number is enough to refuse it: keep the gigabyte out of memory")
    endless = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    for large in (data.rjust(16 * LIMIT), data.ljust(16 * LIMIT)):  # and a task at its beginning
        unsaid = probe.wsgi(body=large, CONTENT_LENGTH="", **endless, **ask)
        why = "or 411 Length Required, or 400: a chunked body of 1 MiB, without CONTENT_LENGTH"
        answered(unsaid, 413, why, 411, 400, rule="RFC 9110 §15.5.14, §15.5.12")
        taken(unsaid, 4 * LIMIT, "without a length a client can send for ever: stop reading at the limit")


@check(task=2, rule="RFC 9110 §15.5.16")
def test_task2_other_types_are_415(front, rng):
    """Another type than application/json gets 415"""
    data = json.dumps({"title": name(rng)}).encode()
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/json ; a=b"):
        answer = post(front, data, ("Content-Type", kind))
        why = "types compare without case, and parameters may follow"
        expect(f"status with Content-Type: {kind}", answer.status, 201, why, rule="RFC 9110 §8.3.1")
    for case in wire_cases(__file__, "type-*.http"):
        expect("status", front.send(case.data, "POST").status, int(case.notes["status"]), case.notes["why"])
    kind = f"application/{word(rng)}"
    others = (kind, "text/plain", "application/json-seq", "text/x-json")  # the last two have json in them
    for fields in ([("Content-Type", one)] for one in others):
        expect(f"status with {fields}", post(front, data, *fields).status, 415, "say what you can read")


@check(task=2, rule="RFC 9110 §15.5.1")
def test_task2_what_is_no_task_is_400(front, rng):
    """A body that isn't a valid task gets 400, not 500"""
    text = title(rng)
    allowed = "TITLE_LIMIT characters of any script are allowed: 200 times é, 400 bytes"
    longest = created(front, {"title": "é" * 200}, allowed)
    length = len(str(longest["title"]))
    expect("characters of the longest title", length, 200, "200 characters, however many bytes")
    face = created(front, b'{"title": "\\ud83d\\ude00"}')
    expect("title", face["title"], "\U0001f600", "JSON writes it as two escapes: a surrogate pair")
    for data, why in [
        (b"", "no body"),
        (text.encode(), "not JSON"),
        (b'{"title": "Ask Ada"', "cut off"),
        (b'{"title": "\xe9"}', "invalid UTF-8"),
        (b"[" * 60_000, "60,000 brackets: up to Python 3.13 json raises RecursionError, not ValueError"),
        (b'{"title": "\\ud800"}', "half a surrogate pair: no UTF-8 (RFC 3629 §3), and so no CSV"),
        (b'{"title": "Ask \\udc00"}', "half a surrogate pair, the second one"),
        (b'{"title": "Ask \\udfff"}', "half a surrogate pair, the last of all"),
        (b'{"title": 1e999}', "a title that is a number, larger than any float"),
        (b'{"title": "Ask Ada", "done": NaN}', "NaN is neither true nor false, nor JSON (RFC 8259 §6)"),
        ([{"title": text}], "a list"),
        (text, "text"),
        (None, "null"),
        ({}, "an object without title"),
        ({"done": True}, "a new task needs a title"),
        ({"title": rng.randrange(100)}, "a title that is a number"),
        ({"title": None}, "a title that is null"),
        ({"title": ""}, "a title of nothing"),
        ({"title": " \t\n"}, "a title of white space: a space, a tab, a line end"),
        ({"title": "x" * 201}, "201 characters"),
        ({"title": "x" * 200 + " " * 50}, "250 characters: a title's spaces count, too"),
        ({"title": text, "done": "false"}, "done as text"),
        ({"title": text, "done": 1}, "done as a number"),
        ({"title": text, "done": None}, "done as null"),
    ]:
        status, right = post(front, data).status, (400,) if data else (400, 411)
        expected = f"status = {' or '.join(map(str, right))}     {why}"
        that(status in right, f"status = {status}", expected)
    path = f"/tasks/{longest['id']}"
    for changes in ({}, {"title": ""}, {"done": "no"}, [text]):
        answer = front.request("PATCH", path, [JSON], json.dumps(changes).encode())
        expect(f"status of PATCH with {changes!r}", answer.status, 400)
    expect(f"GET {path}", task_in(front.get(path).json()), longest, "a refused request changes nothing")


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule="RFC 9110 §15.5.5")
def test_task3_unknown_paths_are_404(probe, front, rng):
    """An unknown path gets 404, and odd spellings of an id too"""
    task = created(front, {"title": title(rng)})
    here = f"/tasks/{task['id']}"
    nobody = f"/tasks/{rng.randrange(10**9, 10**10)}"
    goes_on_after_404(probe, nobody)
    for target in ("/", f"/{word(rng)}", f"/tasks/{word(rng)}", "/tasks/0", f"{here}/{word(rng)}", nobody):
        expect(f"status of GET {target}", front.get(target).status, 404)
    for target, why in odd_spellings(here):
        expect(f"status of GET {target}", front.get(target).status, 404, why)
    body = json.dumps({"done": True}).encode()
    expect(f"status of DELETE {nobody}", front.request("DELETE", nobody).status, 404)
    expect(f"status of PATCH {nobody}", front.request("PATCH", nobody, [JSON], body).status, 404)
    digits = "9" * 5000
    sent = "GET /tasks/99999…, 5000 digits"
    (answer,) = talk(probe, sent, visit("GET", f"/tasks/{digits}"), right="status = 404").values
    status_is(answer, 404, sent, "int() refuses more than 4300 digits with ValueError", sent=sent)
    expect("status of DELETE", front.request("DELETE", here).status, 204)
    expect("status of a second DELETE", front.request("DELETE", here).status, 404, "it is gone")
    expect("status of GET", front.get(here).status, 404, "it was deleted")


@check(task=3, rule="RFC 9110 §15.5.6")
def test_task3_other_methods_are_405_with_allow(front, rng):
    """A method that a path does not have is 405 with Allow"""
    here = f"/tasks/{created(front, {'title': title(rng)})['id']}"
    known = {
        "/tasks": {"GET", "HEAD", "POST"},
        here: {"GET", "HEAD", "PUT", "PATCH", "DELETE"},
        "/tasks.csv": {"GET", "HEAD"},
    }
    odd = rng.choice(["BREW", "PROPFIND", "MKCOL"])
    refused = {"/tasks": ("DELETE", "PATCH", odd), here: ("POST", odd), "/tasks.csv": ("POST", "DELETE")}
    for target, methods in refused.items():
        for verb in methods:
            body = b'{"title": "Ask Ada"}' if verb in ("POST", "PATCH") else b""
            answer = front.request(verb, target, [JSON] if body else [], body)
            expect(f"status of {verb} {target}", answer.status, 405, "the path exists, but not this method")
            allow = answer.get("Allow")
            said = {one.strip() for one in (allow or "").split(",")}
            that(
                known[target] <= said and verb not in said,
                got=f"Allow = {allow!r} for {verb} {target}",
                expected=f"Allow = {', '.join(sorted(known[target]))!r}     the methods that the path has",
            )
    expect(f"status of GET {here}", front.get(here).status, 200)


@check(task=3, rule="RFC 9110 §15.5")
def test_task3_every_error_is_json(probe, front, rng):
    """An error is {"error": "…"}, and none with HEAD"""
    data = json.dumps({"title": title(rng)}).encode()
    nowhere = f"/{word(rng)}"
    for what, answer in [
        ("no JSON", post(front, data[:-1])),
        ("an unknown path", front.get(nowhere)),
        ("an unknown task", front.get(f"/tasks/{rng.randrange(10**9, 10**10)}")),
        ("a wrong method", front.request("DELETE", "/tasks")),
        ("a type unknown", post(front, data, ("Content-Type", "text/plain"))),
        ("a body too large", post(front, data.ljust(LIMIT + 1))),
    ]:
        that(400 <= answer.status < 500, f"status {answer.status} for {what}", "a client error: 4xx")
        error_in(answer.status, answer.fields, answer.body, what)
    after_unread_body(front)
    sent = f"HEAD {nowhere}"
    (head,) = talk(probe, sent, visit("HEAD", nowhere)).values
    status_is(head, 404, sent, sent=sent)
    expect(
        f"body of {sent}",
        head["body"],
        b"",
        "HEAD has none, also for an error",
        rule="RFC 9110 §9.3.2",
        sent=sent,
    )


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule='PEP 3333, "Buffering and Streaming"; RFC 4180 §2')
def test_task4_csv_comes_line_by_line(probe, front, rng):
    """/tasks.csv is a CSV file, and made while it is sent"""
    texts = [title(rng), f'say "{word(rng)}", twice', f"a line\r\nand another, {word(rng)}", "=1+1"]
    tasks = [created(front, {"title": text, "done": rng.random() < 0.5}) for text in texts]
    answer = front.get("/tasks.csv")
    expect("status of GET /tasks.csv", answer.status, 200)
    kind = (answer.get("Content-Type") or "").partition(";")[0].strip().lower()
    expect("type of GET /tasks.csv", kind, "text/csv", "RFC 7111")
    head = answer.body.partition(b"\n")[0] + b"\n"
    ends = "a line that ends with CRLF"
    that(head.endswith(b"\r\n"), f"the first line is {head!r}", ends, rule="RFC 4180 §2")
    rows = rows_of(answer.body)
    expect("the first row", rows[:1], [["id", "title", "done"]])
    for task in tasks:
        mine = [row for row in rows if row[:1] == [str(task["id"])]]
        right = [[str(task["id"]), task["title"], "true" if task["done"] else "false"]]
        expect(f"the row of task {task['id']}", mine, right, "in quotes, with its own quotes doubled")
    for turn in range(2, EXPORTS + 3):
        status, why = front.get("/tasks.csv").status, "the one before was over: its place is free"
        expect(f"status of download {turn} in a row", status, 200, why)
    made_line_by_line(probe)
    names_without_tasks(probe)


@check(task=4, rule=CLOSE)
def test_task4_close_gives_the_place_back(probe, rng):
    """close() releases an export's place, however it ends"""
    words = "four times GET /tasks.csv, one chunk of each, none closed; then a fifth"
    held = [(f"v{n}", open_visit()) for n in range(EXPORTS)]
    began = [method(named(f"v{n}"), "take", 1) for n in range(EXPORTS)]
    left = rng.randrange(EXPORTS)
    steps = [*held, *began, visit("GET", "/tasks.csv"), method(named(f"v{left}"), "close")]
    done = talk(probe, words, add(title(rng)), *steps, visit("GET", "/tasks.csv")).values
    *_, fifth, _, sixth = done
    refused = sum(b'"error"' in b"".join(chunks) for chunks in done[1 + EXPORTS : 1 + 2 * EXPORTS])
    that(not refused, f"{EXPORTS - refused} at one time", f"{EXPORTS} exports at one time", sent=words)
    status_is(fifth, 503, "the fifth export at one time", f"EXPORTS is {EXPORTS}", sent=words)
    after = value_of(fields_of(fifth), "Retry-After")
    when = (after or "").strip().isdigit() or (after or "").endswith("GMT")
    why = "Retry-After: 1     a number of seconds, or a date"
    that(when, f"Retry-After = {after!r}", why, rule="RFC 9110 §15.6.4, §10.2.3", sent=words)
    error_in(503, fields_of(fifth), fifth["body"], "the fifth export")
    words += "; one of the four is closed; then a sixth"
    status_is(
        sixth, 200, "an export after one was closed", "its client left, so its place is free", sent=words
    )
    for ending, once in [
        ("read to the end, then closed", lambda v: [method(named(v), "take"), method(named(v), "close")]),
        ("closed after one chunk", lambda v: [method(named(v), "take", 1), method(named(v), "close")]),
        ("closed before the first chunk was requested", lambda v: [method(named(v), "close")]),
    ]:
        again(probe, rng, ending, once)
    again(probe, rng, "requested with HEAD", lambda v: [method(named(v), "answer")], "HEAD")
    twice(probe, rng)


# --- task 5 -----------------------------------------------------------------------------------------


@check(task=5, rule=THREADS)
def test_task5_no_id_is_given_twice(probe, service, rng):
    """No id is given twice, whatever runs in between"""
    ada, grace = title(rng), title(rng)
    one, two = (as_json({"title": text}) for text in (ada, grace))
    for report, sent in meetings(probe, ("POST", "/tasks", one), ("POST", "/tasks", two)):
        tasks = [task_in(json_of(report[which], "POST")) for which in ("first", "second")]
        ids = [task["id"] for task in tasks]
        that(
            ids[0] != ids[1],
            got=f"both were created with the id {ids[0]}: one of them is lost",
            expected="two ids: reading the last one and storing the next belong together, under one lock",
            rule=ATOMIC,
            sent=sent,
        )
        expect("titles", [task["title"] for task in tasks], [ada, grace], "each its own", sent=sent)
    sent = "POST /tasks; DELETE of it; POST /tasks"
    steps = [("a", add(ada)), visit("DELETE", path_of("a")), ("b", add(grace))]
    old, _, new = talk(probe, sent, *steps).values
    that(
        task_in(old)["id"] != task_in(new)["id"],
        f"the id {new['id']} again",
        "a new id     the id of a deleted task stays unused",
        rule="README, rule 8",
        sent=sent,
    )
    at_once(service("tasks"), rng)


@check(task=5, rule=THREADS)
def test_task5_no_change_is_lost(probe, service, rng):
    """No change is lost, and what is deleted stays deleted"""
    text = title(rng)
    here = "/tasks/{id}"
    done = ("PATCH", here, b'{"done": true}')
    rename = ("PATCH", here, as_json({"title": text}))
    for first, second in ((done, rename), (rename, done)):
        for report, sent in meetings(probe, first, second, then=here):
            now = state(report["then"][0])
            right = {"id": report["id"], "title": text, "done": True}
            expect("the task afterwards", now, right, "both responses were 200", rule=ATOMIC, sent=sent)
    stays_deleted(probe, done)
    changes_at_once(service("tasks"), rng)


@check(task=5, rule=THREADS)
def test_task5_readers_and_writers_meet(probe, rng):
    """Readers and writers don't disturb each other"""
    make = ("POST", "/tasks", as_json({"title": title(rng)}))
    for report, sent in meetings(probe, ("GET", "/tasks", b""), make):
        status_is(report["first"], 200, "GET /tasks", sent=sent)
        length_is_its_own(report["first"], sent)
        found = json_of(report["first"], "GET /tasks")
        ids = [task.get("id") for task in found if isinstance(task, dict)] if isinstance(found, list) else []
        that(report["id"] in ids, f"{found!r}", "the task from before", sent=sent)
    for report, sent in meetings(probe, ("GET", "/tasks/{id}", b""), ("DELETE", "/tasks/{id}", b"")):
        code = report["first"]["status"][:3]
        that(code in ("200", "404"), f"status = {code}", "200 or 404: it was there, or it was not", sent=sent)
    no_torn_read(probe, title(rng))
    nobody_waits_for_a_body(probe, title(rng))
    streaming(probe, rng)
    places_are_counted(probe)
