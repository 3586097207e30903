"""Request and response objects, and the tasks API over them. What is inside is yours to shape."""

import re
import threading
from dataclasses import dataclass
from typing import IO

from task_store import Tasks, checked, csv_row  # noqa: F401 - for task 5


class HTTPError(Exception):
    """Given. The response is an error: raise HTTPError(413, "a body has at most …")."""

    def __init__(self, status, why, headers=()):
        super().__init__(why)
        self.status, self.headers = status, headers


@dataclass
class Upload:
    """Given. A file of a form; `file` is open for reading, at its start."""

    filename: str
    content_type: str
    file: IO[bytes]


class Request:
    r"""A request of an environ. Limits: bytes of a body, of a form's fields together, number of parts.

    GET /tasks?tag=a&tag=b with Cookie: sid=42; theme="dark \"one\""
    headers.get("x-id")  None, or text in any case of the name; also `in`, and headers.getlist(name)
    query                {"tag": ["a", "b"]};  cookies  {"sid": "42", "theme": 'dark "one"'};  method, path
    url                  "http://localhost/tasks?tag=a&tag=b", ASCII
    """

    def __init__(self, environ, max_body=16 * 1024 * 1024, max_memory=500_000, max_parts=1000):
        self.environ = environ
        # TODO task 1: method, path, headers, query, cookies, url
        raise NotImplementedError("lab 8 task 1: read the header")

    @property
    def body(self):
        """All bytes of the body, read once and kept. HTTPError 400 when cut short, 413 over max_body."""
        raise NotImplementedError("lab 8 task 2: read the body")

    def json(self):
        """The body as JSON. HTTPError 415 for another Content-Type, 400 for invalid JSON."""
        raise NotImplementedError("lab 8 task 2: parse JSON")

    @property
    def form(self):
        """Fields, {"title": ["Call Ada"]}, urlencoded or multipart, with their spaces and line breaks.

        HTTPError 400, or 413 over a limit. For a body that isn't a form: {}, or HTTPError 415.
        """
        raise NotImplementedError("lab 8 task 2: parse a form")

    @property
    def files(self):
        """Uploads of a multipart form, {"photo": [Upload("ada.png", "image/png", file)]}."""
        raise NotImplementedError("lab 8 task 2: parse a form")

    def close(self):
        """Close the uploads. Raises nothing when there are none."""
        raise NotImplementedError("lab 8 task 2: close the uploads")


class Response:
    """A WSGI application with one response. body: text, bytes, or an iterable of bytes, sent as it comes.

    Response("Hello", 200, [("X-Id", "1")], etag='"v1"', modified=784111777)  modified: seconds since 1970
    Raises ValueError for what a header can't contain. A Content-Type in headers replaces content_type.
    A streaming response is called once. It closes its stream, whatever the status is.
    """

    def __init__(
        self,
        body=b"",
        status=200,
        headers=(),
        content_type="text/plain",
        charset="utf-8",
        etag=None,
        modified=None,
    ):
        raise NotImplementedError("lab 8 task 3: keep status, headers and body")

    def set_cookie(
        self, name, value="", max_age=None, path="/", domain=None, secure=False, httponly=False, samesite=None
    ):
        """set_cookie("sid", "42", httponly=True) -> sid=42; Path=/; HttpOnly. Raises ValueError."""
        raise NotImplementedError("lab 8 task 3: add a cookie")

    def delete_cookie(self, name, path="/", domain=None):
        raise NotImplementedError("lab 8 task 3: delete a cookie")

    def __call__(self, environ, start_response):
        """Respond: no body for HEAD, 204 and 304. TODO task 4: preconditions and Range, if status is 200."""
        raise NotImplementedError("lab 8 task 3: respond")


def precondition(request, etag, modified):
    """Return 0 to continue, or 304, or 412: RFC 9110 §13.2.2. etag and modified as in Response, or None."""
    raise NotImplementedError("lab 8 task 4: preconditions")


def json_response(value, status=200, headers=()):
    """json_response({"id": 1}, 201) -> a Response with application/json."""
    raise NotImplementedError("lab 8 task 4: JSON")


def redirect(location, status=303):
    """redirect("/tasks/Zoë") -> a Response with Location: /tasks/Zo%C3%AB. Raises ValueError."""
    raise NotImplementedError("lab 8 task 4: redirect")


def file(path, content_type=None):
    """A file's bytes, read in pieces; ETag, Last-Modified, ranges. HTTPError 404 when there is none."""
    raise NotImplementedError("lab 8 task 4: send a file")


def wsgi(handler):
    """A WSGI application from handler(request) -> Response. HTTPError(status, why) -> {"error": why}.

    It closes the request when the response is closed: a handler may stream an upload.
    """

    def application(environ, start_response):
        raise NotImplementedError("lab 8 task 5: call the handler")

    return application


def dispatch(request, routes):
    """Given. Call the handler of the pattern that is the whole path, with the request and what it caught."""
    for pattern, handlers in routes.items():
        if found := re.fullmatch(pattern, request.path):
            method = "GET" if request.method == "HEAD" else request.method
            if method in handlers:
                return handlers[method](request, *found.groups())
            allow = ", ".join({*handlers, "HEAD"} if "GET" in handlers else handlers)
            raise HTTPError(405, f"not {request.method}", [("Allow", allow)])
    raise HTTPError(404, f"there is nothing at {request.path}")


tasks, lock = Tasks(), threading.Lock()  # Tasks has no lock of its own: hold this one
ROUTES = {}  # TODO task 5: {"/tasks": {"GET": list_tasks, "POST": create_task}, r"/tasks/([1-9][0-9]*)": …}
application = wsgi(lambda request: dispatch(request, ROUTES))
