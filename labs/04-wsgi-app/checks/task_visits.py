"""Tasks over HTTP and in the learner's process: what is asked, and what came of it."""

from __future__ import annotations

import json
import random
import string
from typing import Any

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    NoAnswer,
    Probe,
    Response,
    Transcript,
    expect,
    fail,
    made,
    method,
    named,
    ref,
    request_bytes,
    that,
)

APP = "app:application"


LIMIT = 64 * 1024


EXPORTS = 4


JSON = ("Content-Type", "application/json")


FAR_NAMES = ("Zoë", "Łukasz", "Aşkın", "Νίκη", "Юлия", "明", "José")


Task = dict[str, Any]


def title(rng: random.Random) -> str:
    """A title that nobody can guess, in characters of more than one byte."""
    return f"Ask {rng.choice(FAR_NAMES)} {rng.randrange(10**6)}"


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=8))


def post(client: Client, value: object, *fields: tuple[str, str]) -> Response:
    """POST /tasks with a value as JSON, or with bytes as they are."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return client.request("POST", "/tasks", fields or [JSON], data)


def created(client: Client, value: object, why: str = "") -> Task:
    """A task made with POST, as it was answered. Fails unless the answer is a 201 with a task."""
    answer = post(client, value)
    expect("status of POST /tasks", answer.status, 201, why)
    return task_in(answer.json())


def task_in(value: object, what: str = "the response") -> Task:
    """A task out of JSON. Fails unless it has the three fields."""
    shaped = isinstance(value, dict) and type(value.get("id")) is int and {"title", "done"} <= set(value)
    that(shaped, f"{what} is {value!r}", '{"id": 1, "title": "Ask Ada", "done": false}')
    assert isinstance(value, dict)
    return {key: value[key] for key in ("id", "title", "done")}


def is_json(fields: list[tuple[str, str]], rule: str = "RFC 9110 §8.3") -> None:
    kind = value_of(fields, "Content-Type")
    said = (kind or "").partition(";")[0].strip().lower()
    that(
        said == "application/json", f"Content-Type = {kind!r}", "Content-Type = 'application/json'", rule=rule
    )


def value_of(fields: list[tuple[str, str]], field: str) -> str | None:
    """A field's value; names compare without case (RFC 9110 §5.1)."""
    return next((value for key, value in fields if key.lower() == field.lower()), None)


def error_in(status: int, fields: list[tuple[str, str]], body: bytes, what: str) -> None:
    """Fail unless an error's body is {"error": "…"}."""
    is_json(fields)
    try:
        value = json.loads(body)
    except NOT_JSON:
        value = None
    said = value.get("error") if isinstance(value, dict) else None
    that(
        isinstance(said, str) and said,
        got=f"the body of a {status} for {what} is {body[:200]!r}",
        expected='{"error": "what the client can do about it"}',
    )


def after_unread_body(front: Client) -> None:
    """Spend the connection on which a large body was left unread, whatever comes back.

    gunicorn drains 64 KiB of what an application leaves, then closes, after it has promised to keep the
    connection. The next request on it may be a 502 of nginx's, which says nothing about the application.
    """
    front.get("/tasks")


def connection_is_kept(client: Client, data: bytes) -> None:
    """Fail when a refused body breaks a connection that the server has promised to keep.

    More than once, if need be: a server may also close a connection because nothing came for some time.
    """
    for _ in range(5):
        wrong = refused_and_asked_again(client, data)
        if not wrong:
            return
    fail(
        got=f"after the 413 on a connection: {wrong}",
        expected="the next response on it: read the body that you refuse, up to nginx's 128 KiB; gunicorn "
        "drains 64 KiB, then closes a connection that it promised to keep, and nginx sends somebody a 502",
        sent=f"POST /tasks with a body of {len(data)} bytes, then GET /tasks on this connection; no nginx",
        rule="RFC 9112 §9.3",
    )


def refused_and_asked_again(client: Client, data: bytes) -> str:
    """What went wrong on this connection; "" when nothing did."""
    with client.connect() as link:
        try:
            link.send(request_bytes("POST", "/tasks", [JSON], data))
            refused = link.response("POST")
            expect(f"status of a body of {len(data)} bytes, without nginx", refused.status, 413)
            if "close" in (refused.get("Connection") or "").lower():
                return ""  # it was said in the response, so nobody sends another request
            link.send(request_bytes("GET", "/tasks"))
            expect("status of GET /tasks on the same connection", link.response().status, 200)
        except NoAnswer:
            return "it ended, and GET /tasks had no response"
    return ""


def unlike_nginx(answer: Response) -> None:
    """Fail when nginx wrote an answer that is the application's to write."""
    that(
        answer.get("X-Written-By") != "nginx",
        got=f"{answer.line}, written by nginx",
        expected="a response of your application: nginx passes on 128 KiB",
    )


def odd_spellings(here: str) -> list[tuple[str, str]]:
    """Targets that are not `here` (/tasks/1), though they look like it to Python; and why."""
    number = here.rpartition("/")[2]
    return [
        (f"/tasks/%20{number}", "int(' 1') is 1, and this is another path"),
        (f"/tasks/+{number}", "int('+1') is 1, and this is another path"),
        (f"/tasks/-{number}", "no task has such an id"),
        (f"{here}%0A", "PATH_INFO ends in a line end: `$` in a pattern matches before it"),
        (f"{here}_0", "int('1_0') is 10, and this is another path"),
        ("/tasks/%B2", "PATH_INFO ends in '²': '²'.isdigit() is true, and int('²') raises ValueError"),
        (f"{here}%3Fx", "PATH_INFO ends in '?x', which belongs to the path: the query is in QUERY_STRING"),
    ]


def goes_on_after_404(probe: Probe, nobody: str) -> None:
    """Fail when a lock is not given back by who finds no task: the next request would wait for it."""
    for verb, body in (("GET", b""), ("PATCH", b'{"done": true}'), ("DELETE", b"")):
        sent = f"{verb} {nobody}, where there is no task; then GET /tasks, in another thread"
        asked = made("call_in_steps:visit_in_thread", ref(APP), verb, nobody, body)
        after = made("call_in_steps:visit_in_thread", ref(APP), "GET", "/tasks")
        missing, listed = talk(probe, sent, asked, after, seconds=5.0).values
        that(missing, f"no response to {verb} {nobody}: it waits", "status = 404", sent=sent)
        status_is(missing, 404, f"{verb} {nobody}", sent=sent)
        waits = f"no response to GET /tasks after the 404: it waits for a lock that {verb} has kept"
        freed = "a response: `with lock:` gives a lock back in each case, also where there is no task"
        that(listed, waits, freed, rule='PEP 3333, "Thread Support"', sent=sent)


def talk(
    probe: Probe, sent: str, *steps: Any, right: str = "a response", seconds: float = 3.0, **more: Any
) -> Transcript:
    """Do these steps; an exception of the application's fails the check. `sent` says what they are."""
    seen = probe.steps(*steps, seconds=seconds, sent=sent, **more)
    error = seen.raised
    if error is not None:
        why = f"{right}, and no exception"
        if error["type"] == "HTTPError":
            why += ": it is caught in application, and raised before start_response is called"
        fail(f"{error['type']}: {error['message']}"[:300], why, sent=sent)
    return seen


def add(text: str, done: bool = False) -> dict[str, Any]:
    return method(ref("app:tasks"), "add", text, *([done] if done else []))


def visit(method_: str, target: Any, body: bytes = b"") -> dict[str, Any]:
    """A whole visit: the application called, read to its end, and closed."""
    return made("call_in_steps:visit", ref(APP), method_, target, body)


def open_visit(method_: str = "GET", target: str = "/tasks.csv") -> dict[str, Any]:
    return made("call_in_steps:open_visit", ref(APP), method_, target)


def path_of(step: str) -> dict[str, Any]:
    """/tasks/… of the task that an earlier step made."""
    return method("/tasks/{}", "format", method(named(step), "__getitem__", "id"))


def fields_of(answer: Task) -> list[tuple[str, str]]:
    return [(pair[0], pair[1]) for pair in answer["headers"]]


def json_of(answer: Task, what: str) -> Any:
    """A visit's body as JSON. Fails unless it is some."""
    try:
        return json.loads(answer["body"])
    except NOT_JSON:
        fail(f"the body of {what} is {answer['body'][:200]!r}", "JSON")


def status_is(answer: Task, code: int, what: str, why: str = "", **more: str) -> None:
    expect(f"status of {what}", answer["status"][:3], str(code), why, **more)


def answered(seen: Transcript, code: int, why: str, *others: int, rule: str = "") -> None:
    """Fail unless a transcript has an answer of this status, or of one of the others."""
    error, right = seen.raised, [str(one) for one in (code, *others)]
    wanted = f"status = {' or '.join(right)}     {why}"
    if error is not None:
        fail(f"{error['type']}: {error['message']}"[:300], wanted, rule=rule)
    got = f"status = {seen.status!r}" if seen.status else "no status: start_response was not called"
    that((seen.status or "")[:3] in right, got, wanted, rule=rule)


def taken(seen: Transcript, most: int, why: str) -> None:
    took = sum(event["returned"] for event in seen.all("read"))
    that(took <= most, f"{took} bytes were read into memory", why)


def reads_at_most(seen: Transcript, most: int, where: str) -> None:
    """Fail when more was read of wsgi.input: what follows a body is the next request."""
    took = sum(event["returned"] for event in seen.all("read"))
    that(
        took <= most,
        got=f"{took} bytes read from wsgi.input",
        expected=f"at most {most}, {where}: the next request may follow",
    )
