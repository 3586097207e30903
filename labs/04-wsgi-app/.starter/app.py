r"""The tasks API as one WSGI callable, without a framework.

GET    /tasks        200  every task, in a list: [{"id": 1, "title": "Ask Ada", "done": false}]
POST   /tasks        201  the new task, from {"title": "Ask Ada"} and perhaps "done"; Location: /tasks/1
GET    /tasks/1      200  the task
PATCH  /tasks/1      200  the task, changed by {"done": true}, {"title": "..."} or both; PUT does the same
DELETE /tasks/1      204
GET    /tasks.csv    200  b'id,title,done\r\n1,"Ask Ada",false\r\n'; 503 while EXPORTS others are under way

HEAD wherever there is GET. Every error is {"error": "a sentence for the client"}.
"""

import json

BODY_LIMIT = 64 * 1024  # bytes; one more is 413
TITLE_LIMIT = 200  # characters
EXPORTS = 4  # downloads of /tasks.csv at one time; one more is 503


class HTTPError(Exception):
    """Given: raise it from anywhere below `application`; it becomes the response.

    raise HTTPError("503 Service Unavailable", "try again", ("Retry-After", "1"))
    """

    def __init__(self, status, message, *headers):
        super().__init__(message)
        self.status, self.message, self.headers = status, message, list(headers)


def in_json(status, value, *headers):
    r"""Given: in_json("200 OK", []) -> ("200 OK", [("Content-Type", "application/json"), ...], [b"[]\n"])"""
    body = json.dumps(value).encode() + b"\n"
    described = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return status, [*described, *headers], [body]


def application(environ, start_response):
    r"""Handle one request; many threads call this at once. Returns an iterable of bytes: [b"[]\n"]."""
    # TODO task 1: choose by PATH_INFO and REQUEST_METHOD, return what `tasks` below has. HEAD: no body.
    # TODO tasks 2, 3: an HTTPError, wherever it was raised, becomes a response in JSON. 404; 405 with Allow.
    raise NotImplementedError("lab 4 task 1: routes by hand, JSON out")


def read_task(environ):
    r"""Return what a request's body says about a task: b'{"title": "Ask Ada"}' -> {"title": "Ask Ada"}

    title is text of 1 to TITLE_LIMIT characters, not all of them white space; done is true or false; one of
    the two is enough here. Reads no more than CONTENT_LENGTH (text; may be "" or absent) says; keeps no more
    than BODY_LIMIT, and throws away what is over it, up to 128 KiB. Raises HTTPError 415 (not
    application/json), 413 (too large), 400 (any other invalid body, or a length such as "-1").
    """
    # TODO task 2
    raise NotImplementedError("lab 4 task 2: read the body")


def export():
    r"""The lines of /tasks.csv, one at a time: b"id,title,done\r\n", then b'1,"Ask Ada",false\r\n', ...

    Occupies one of EXPORTS places until it is closed; HTTPError 503 with Retry-After when all are occupied.
    """
    # TODO task 4: close() releases the place, also before the first line: a generator alone can't (rule 6).
    raise NotImplementedError("lab 4 task 4: stream the tasks")


class Tasks:
    """Given: tasks in memory. Right for one thread. The checks put tasks in with `tasks.add`."""

    # TODO task 5: right for many. No id is ever given twice, no change is lost, whatever other threads do.
    def __init__(self):
        self.rows = {}

    def all(self):
        return [self.rows[number] for number in self.rows]

    def get(self, number):
        """The task {"id": 1, "title": "Ask Ada", "done": False}, or None when there is none."""
        return self.rows.get(number)

    def add(self, title, done=False):
        number = max(self.rows, default=0) + 1
        self.rows[number] = {"id": number, "title": title, "done": done}
        return self.rows[number]

    def change(self, number, changes):
        """The task with these changes, or None when there is none."""
        task = self.get(number)
        if task is not None:
            task = self.rows[number] = {**task, **changes}
        return task

    def delete(self, number):
        """Delete the task; return whether there was one."""
        found = number in self.rows
        if found:
            del self.rows[number]
        return found


tasks = Tasks()
