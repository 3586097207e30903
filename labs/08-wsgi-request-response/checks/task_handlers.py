"""The tasks API called by hand: its lock, a file of no tasks; and what becomes of a handler's exceptions."""

from __future__ import annotations

from typing import Any

from wrapper_calls import environ, values, with_body

from workshop.judge.checks import expect, made, that

THREADS = 'PEP 3333, "Thread Support"'


def handlers_by_hand(probe: Any) -> None:
    """Fail when a handler uses the store without the lock, needs a task, or when its own error is a 4xx."""
    lock_is_held(probe)
    names_without_tasks(probe)
    errors_are_the_servers(probe)


def lock_is_held(probe: Any) -> None:
    """Fail when the store is used without the lock."""
    task = with_body(b'{"title": "Ask Ada"}', "application/json", path="/tasks")
    change = _changing("/tasks/1")
    asked = [task, environ(path="/tasks"), environ(path="/tasks/1"), change, environ("DELETE", "/tasks/1")]
    seen = probe.steps(made("form_handlers:calls_without_lock", asked), sent="POST, GET, GET, PATCH, DELETE")
    (bare,) = values(seen, 1)
    got = f"without the lock: tasks.{', tasks.'.join(bare)}"
    that(not bare, got, "`with lock:` around each call of `tasks`", rule=THREADS)


def lock_is_given_back(probe: Any) -> None:
    """Fail when the lock is still held after a request that was refused."""
    nobody = "/tasks/999"
    asked = [environ(path=nobody), _changing(nobody), environ("DELETE", nobody), environ(path="/nowhere")]
    asked.append(with_body(b'{"title": ""}', "application/json", path="/tasks"))
    for one in asked:
        sent = f"{one['REQUEST_METHOD']} {one['PATH_INFO']}"
        (got,) = values(probe.steps(made("form_handlers:lock_after", one), sent=sent), 1)
        right = "a free lock: `with lock:` gives it back also where an exception is raised"
        that(
            not got["held"],
            f"{got['status']}, and `lock` is still held: the next request waits for ever",
            right,
            rule=THREADS,
            sent=sent,
        )


def _changing(path: str) -> dict[str, Any]:
    return with_body(b'{"done": true}', "application/json", path=path) | {"REQUEST_METHOD": "PATCH"}


def names_without_tasks(probe: Any) -> None:
    """Fail unless /tasks.csv is its line of names while there is no task."""
    sent = "GET /tasks.csv, before any task was created"
    call = made("form_handlers:tasks_answer", environ(path="/tasks.csv"))
    (got,) = values(probe.steps(call, sent=sent), 1)
    expect("status", str(got["status"])[:3], "200", "an empty list is a list, too", sent=sent)
    why = "the line of names, and no row: there is no task"
    expect("body", got["body"].strip(), b"id,title,done", why, rule="the lesson, task 5", sent=sent)


def errors_are_the_servers(probe: Any) -> None:
    """Fail when a handler's own mistake is said to be the client's."""
    sent = "wsgi(handler), and the handler raises KeyError"
    seen = probe.steps(made("form_handlers:broken_handler", environ()), sent=sent)
    if seen.raised is not None:
        return
    (got,) = values(seen, 1)
    right = "the exception, for the server to log, or a 5xx: only HTTPError says that the client is at fault"
    that(
        str(got["status"]).startswith("5"),
        f"status = {got['status']!r}",
        right,
        rule="RFC 9110 §15.6",
        sent=sent,
    )
