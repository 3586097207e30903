r"""The tasks API as one ASGI application. `make lab-10` serves it with uvicorn, behind nginx.

GET, POST, PUT /echo                  200   what the application was called with, as JSON
GET /tasks        POST /tasks         200   201, Location      {"id": 42, "title": "Call Ada", "done": false}
GET /tasks/42     PUT, PATCH, DELETE  200   204
GET /tasks.csv                        200   a row at a time
GET /events                           200   server-sent events: every change, as it happens
GET /report?seconds=0.2               200   from a library that blocks; 503 after REPORT_LIMIT
GET /stats                            200   {"streams": 3, "reports": 1, "most_reports": 2}
"""

import slow_reports
import task_store

BODY_LIMIT = 64 * 1024  # bytes
HEARTBEAT = 0.5  # seconds of silence on an event stream
REPORT_LIMIT = 1.0  # seconds

TASKS = task_store.Tasks()  # given, as task_store.checked and csv_row are: services/apps/task_store.py


class HTTPError(Exception):
    """Given: raise it anywhere; `app` sends its status, {"error": message} and its headers."""

    def __init__(self, status, message, headers=()):
        super().__init__(status, message)
        self.status, self.message, self.headers = status, message, headers


async def app(scope, receive, send):
    r"""One call for one request. Raises an exception for a scope whose type is not "http".

    scope    {"type": "http", "method": "POST", "path": "/echo", "query_string": b"name=Ada",
             "headers": [(b"host", b"localhost"), ...], ...}
    receive  await it: {"type": "http.request", "body": b"he", "more_body": True}, then the next piece;
             or {"type": "http.disconnect"}
    send     await it: {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"...")]}
             then {"type": "http.response.body", "body": b"...", "more_body": False}
    """
    # TODO task 1: /echo returns {"method": "POST", "path": "/echo", "query": [["name", "Ada"]],
    #   "headers": [["host", "localhost"], ...], "body": "hello"}; all text, in the order of the scope.
    # TODO task 2: the tasks API. Errors are {"error": "..."}: 400, 404, 405 with Allow, 413, 415.
    # TODO task 3: /tasks.csv, /events. Task 5: /report. `stats` below is given.
    raise NotImplementedError("lab 10 task 1: answer /echo")


async def read_body(receive, limit=BODY_LIMIT):
    """The whole body as bytes, from all its events. Raises HTTPError 413 once it is longer than `limit`."""
    # TODO task 1: every piece. TODO task 2: the limit. TODO task 4: a client that leaves in the middle.
    raise NotImplementedError("lab 10 task 1: read a body in pieces")


def sse_event(data, name="", number=""):
    r"""One server-sent event as bytes. Raises ValueError for a line end in a name or number.

    sse_event("a\nb", "created", "7") == b"id: 7\nevent: created\ndata: a\ndata: b\n\n"
    """
    # TODO task 3: one field on each line; an empty line ends the event.
    raise NotImplementedError("lab 10 task 3: write a server-sent event")


async def until_gone(receive, work):
    """Run the coroutine `work` until it finishes, or the client leaves: then cancel it, and await its end.

    Raises what `work` raises.
    """
    # TODO task 4: await two things at once. When this returns or raises, neither of them runs any more.
    raise NotImplementedError("lab 10 task 4: stop when the client leaves")


async def report(scope, receive, send):
    """Respond with slow_reports.render(tasks, seconds), text. It blocks; other requests must not wait for it.

    `seconds` comes from the query, 0.2 without it. 400 for anything but a number from 0; nan is not one.
    """
    # TODO task 5: call it in a thread. After REPORT_LIMIT seconds, send 503 with Retry-After.
    raise NotImplementedError("lab 10 task 5: call what blocks")


def stats(streams):
    """Given: the JSON of /stats. `streams` is your count of open event streams."""
    return {"streams": streams, "reports": slow_reports.running, "most_reports": slow_reports.most}
