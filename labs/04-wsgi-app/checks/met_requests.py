"""Two requests at the same time: every way in which the second comes in the middle of the first."""

from __future__ import annotations

import json
import random
from typing import Any

from csv_exports import rows_of
from task_visits import (
    APP,
    EXPORTS,
    Task,
    add,
    created,
    fields_of,
    json_of,
    open_visit,
    path_of,
    status_is,
    talk,
    task_in,
    title,
    value_of,
)

from workshop.judge.checks import Client, Probe, Response, expect, fail, made, method, named, ref, that

THREADS = 'PEP 3333, "Thread Support"'


ATOMIC = "Python FAQ, “What kinds of global value mutation are thread-safe?”"


def meetings(
    probe: Probe,
    first: tuple[str, str, bytes],
    second: tuple[str, str, bytes],
    then: str = "",
    app: Any = None,
) -> Any:
    """Every way of the second request coming in the middle of the first, one after the other.

    Yields each report with the words that tell it. Fails when one raised or both wait for ever.
    """
    after = [["GET", then]] if then else []
    before = ["POST", "/tasks", b'{"title": "Ask Ada"}']
    clean = ["DELETE", "/tasks/{id}"]
    asked = [app or ref(APP), "app", list(first), list(second), before, after, clean]
    words = f"{shown(first)} and {shown(second)} at the same time"
    seen = talk(probe, words, made("every_interleaving:explore", *asked), seconds=9.0)
    reports = seen.values[-1]
    that(reports, "no step of the application's own", "code in app.py", sent=words)
    traced = "the application set a trace function, or took one away: nobody can stop it between two steps"
    for report in reports:
        that(not report.get("untraced"), traced, "no sys.settrace, and no f_trace, in app.py", sent=words)
        number = str(report["id"])
        sent = f"{shown(first)}, stopped before {report['stopped']}\nthen {shown(second)}, to its end"
        sent = f"{sent}\nthen the first goes on".replace("{id}", number)
        if not report["stopped"]:
            sent = f"{shown(first)}, alone".replace("{id}", number)
        if report.get("after"):
            ended = [report[which].get("status", "an exception") for which in ("first", "second")]
            place = f"it waits at {report['waits'][0]}"
            fail(
                f"the two ended ({', '.join(ended)}); {report['after'][-1]} has no end: {place}",
                "a lock that is free again, also after a 404: `with lock:` gives it back in each case",
                sent="\nthen ".join([sent, *report["after"]]),
            )
        if report["waits"]:
            places = " and ".join(report["waits"])
            fail(
                f"no end: they wait at {places}",
                "a lock that is free again, also when something is raised",
                sent=sent,
            )
        for answer in (report["first"], report["second"]):
            if "raised" in answer:
                fail(f"{answer['raised']} at {answer['at']}", "a response to each", sent=sent)
        yield report, sent


def length_is_its_own(answer: Task, sent: str) -> None:
    """Fail when Content-Length is that of another response's body."""
    length, size = value_of(fields_of(answer), "Content-Length"), str(len(answer["body"]))
    that(
        length in (None, size),
        f"Content-Length = {length!r}, and a body of {size} bytes",
        f"{size!r}, the bytes of this body: a response's headers belong to one call",
        rule="RFC 9110 §8.6",
        sent=sent,
    )


def as_json(value: object) -> bytes:
    """JSON that a person can read in a report, far names too."""
    return json.dumps(value, ensure_ascii=False).encode()


def shown(request: tuple[str, str, bytes]) -> str:
    return f"{request[0]} {request[1]} {request[2].decode()}".strip()


def state(answer: Task) -> Any:
    """What is at the end: the task, or None when it is gone."""
    return task_in(json_of(answer, "GET")) if answer["status"].startswith("200") else None


def stays_deleted(probe: Probe, change: tuple[str, str, bytes]) -> None:
    """Fail when a change, or a second DELETE, does not see that the task was deleted meanwhile."""
    here = "/tasks/{id}"
    delete = ("DELETE", here, b"")
    for report, sent in meetings(probe, change, delete, then=here):
        status_is(report["second"], 204, "DELETE", sent=sent)
        changed = report["first"]
        code = changed["status"][:3]
        why = "200 or 404: it was changed before it was deleted, or it was gone"
        that(code in ("200", "404"), f"status of {change[0]} = {code}", why, sent=sent)
        body = changed["body"][:200]
        right = "the changed task with a 200, or 404: `tasks.change` returns None for a task that is gone"
        that(code == "404" or _is_task(changed), f"{code} with the body {body!r}", right, sent=sent)
        why = "the response to DELETE was 204: a change must not bring the task back"
        expect("the task afterwards", state(report["then"][0]), None, why, sent=sent)
    for report, sent in meetings(probe, delete, delete, then=here):
        codes = sorted(report[which]["status"][:3] for which in ("first", "second"))
        expect("statuses of the two", codes, ["204", "404"], "one of them found it", sent=sent)


def _is_task(answer: Task) -> bool:
    return isinstance(json_of(answer, "the response"), dict)


def at_once(client: Client, rng: random.Random, count: int = 24) -> None:
    """Fail unless requests that arrive together at gunicorn's threads get ids of their own."""
    titles = [title(rng) for _ in range(count)]
    answers = together(client, [posting(text) for text in titles])
    tasks = [task_in(answer.json()) for answer in answers if answer.status == 201]
    sent = f"POST /tasks, {count} at the same time"
    expect("responses with 201", len(tasks), count, sent=sent)
    expect("ids", len({task["id"] for task in tasks}), count, "one for each", sent=sent)
    expect("titles", [task["title"] for task in tasks], titles, "to each its own", sent=sent)


def changes_at_once(client: Client, rng: random.Random, count: int = 6) -> None:
    """Fail unless changes of one task that arrive together are both there afterwards."""
    tasks = [created(client, {"title": title(rng)}) for _ in range(count)]
    titles = [title(rng) for _ in tasks]
    requests = []
    for task, text in zip(tasks, titles, strict=True):
        requests += [changing(task, {"done": True}), changing(task, {"title": text})]
    expect("statuses of the changes", {one.status for one in together(client, requests)}, {200})
    sent = f"PATCH of done and PATCH of title, at the same time, of {count} tasks; GET each one"
    for task, text in zip(tasks, titles, strict=True):
        now = task_in(client.get(f"/tasks/{task['id']}").json(), "GET")
        right = {"id": task["id"], "title": text, "done": True}
        expect("the task afterwards", now, right, "both responses were 200", rule=ATOMIC, sent=sent)


def together(client: Client, requests: list[bytes]) -> list[Response]:
    """The answers to requests whose last bytes arrive together, each on a connection of its own."""
    wires = [client.connect() for _ in requests]
    answers = []
    try:
        for wire, data in zip(wires, requests, strict=True):
            wire.send(data[:-1])
        for wire, data in zip(wires, requests, strict=True):
            wire.send(data[-1:])
        for wire in wires:
            answers.append(wire.response("POST"))
            wire.close()  # gunicorn waits up to two seconds for this end, before it takes the next connection
    finally:
        for wire in wires:
            wire.close()
    return answers


def posting(text: str) -> bytes:
    return _asking("POST /tasks", {"title": text})


def changing(task: Task, changes: dict[str, Any]) -> bytes:
    return _asking(f"PATCH /tasks/{task['id']}", changes)


def _asking(what: str, value: dict[str, Any]) -> bytes:
    body = json.dumps(value).encode()
    fields = "Host: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    return f"{what} HTTP/1.1\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body


def streaming(probe: Probe, rng: random.Random) -> None:
    """Fail when an export that is under way stops a writer, or is broken by one."""
    body = json.dumps({"title": title(rng)}).encode()
    sent = "GET /tasks.csv, its first two lines read; POST /tasks and two DELETEs; then the rest"
    some = [("a", add(title(rng))), add(title(rng)), add(title(rng)), ("b", add(title(rng)))]
    begun = [("v", open_visit()), method(named("v"), "take", 2)]
    meanwhile = made("call_in_steps:visit_in_thread", ref(APP), "POST", "/tasks", body)
    gone = [made("call_in_steps:visit_in_thread", ref(APP), "DELETE", path_of(one)) for one in "ab"]
    rest = [method(named("v"), "take"), method(named("v"), "close")]
    seen = talk(probe, sent, *some, *begun, meanwhile, *gone, *rest, seconds=5.0)
    begin, posted, deleted, _, end = seen.values[5:10]
    that(
        posted and deleted,
        got="no response to POST /tasks during an export: it waits for a lock",
        expected="a response: a slow download must not hold a lock between two lines",
        sent=sent,
    )
    status_is(posted, 201, "POST /tasks", sent=sent)
    status_is(deleted, 204, "DELETE", sent=sent)
    rows = rows_of(b"".join([*begin, *end]))
    kept = "the tasks that existed from the beginning to the end"
    that(len(rows) >= 3, f"{len(rows)} lines", kept, sent=sent)


def nobody_waits_for_a_body(probe: Probe, text: str) -> None:
    """Fail when a lock is held while a client's body is read."""
    sent = "POST /tasks, whose body has not come yet; GET /tasks, in another thread; then the body"
    call = made("call_in_steps:visit_while_a_body_comes", ref(APP), as_json({"title": text}))
    *_, got = talk(probe, sent, call, seconds=5.0).values
    waited = "no response to GET /tasks while a client was still sending its body: it waits for a lock"
    that(got["meanwhile"], waited, "a response: hold no lock while you read a client's body", sent=sent)
    status_is(got["meanwhile"], 200, "GET /tasks", sent=sent)
    status_is(got["first"], 201, "POST /tasks", sent=sent)


def no_torn_read(probe: Probe, text: str) -> None:
    """Fail when a reader sees half of a change."""
    here = "/tasks/{id}"
    change, read = ("PATCH", here, as_json({"title": text, "done": True})), ("GET", here, b"")
    for first, second, reader in ((change, read, "second"), (read, change, "first")):
        for report, sent in meetings(probe, first, second):
            status_is(report[reader], 200, "GET", sent=sent)
            now = task_in(json_of(report[reader], "GET"))
            whole = (now["title"], now["done"]) in (("Ask Ada", False), (text, True))
            right = "the task before the change, or after it: title and done change together"
            that(whole, f"GET = {now!r}", right, rule=ATOMIC, sent=sent)


def places_are_counted(probe: Probe) -> None:
    """Fail when two downloads that begin or end at the same time are counted wrong."""
    get = ("GET", "/tasks.csv", b"")
    for before in (EXPORTS - 1, EXPORTS - 2):
        app = made("held_downloads:Downloads", ref(APP), before, EXPORTS)
        for report, sent in meetings(probe, get, get, then="/places", app=app):
            words = f"{before} downloads of /tasks.csv are under way\nthen {sent}"
            found = json_of(report["then"][0], "/places")
            for what, got in (
                ("too many", f"{EXPORTS + 1} downloads at one time"),
                ("lost", f"afterwards, with every download closed, fewer than {EXPORTS} at one time"),
                ("made up", f"afterwards, with every download closed, {EXPORTS + 1} at one time"),
            ):
                right = (
                    f"{EXPORTS} places: reading their count and changing it belong together, under one lock"
                )
                that(not found[what], got, right, rule=ATOMIC, sent=words)
