r"""One greeting, two calling conventions: WSGI and ASGI.

GET /                  200   Hello, world!\n
GET /?name=Ada         200   Hello, Ada!\n
GET /nowhere           404
POST /                 405   Allow: GET, HEAD
HEAD /                 200   the headers of GET /, no body
"""

import io
import sys
from urllib.parse import unquote_to_bytes


def application(environ, start_response):
    r"""Answer one request. Called once per request, for as long as the process lives.

    environ         a dict: environ["REQUEST_METHOD"] == "GET", environ["PATH_INFO"] == "/",
                    environ["QUERY_STRING"] == "name=Ada" (not decoded; may be missing or empty)
    start_response  call it once, first: start_response("200 OK", [("Content-Type", "text/plain; ...")])
    returns         an iterable of bytes: [b"Hello, world!\n"]
    """
    # TODO task 1: status, Content-Type "text/plain; charset=utf-8", the exact Content-Length, the body.
    # TODO task 2: name, 404, 405, HEAD.
    raise NotImplementedError("lab 1 task 1: respond with Hello, world!")


def call(app, method="GET", path="/", body=b""):
    r"""Be the server: call any WSGI callable once, and return its whole response.

    call(application, "GET", "/?name=Ada")
        -> ("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ...], b"Hello, Ada!\n")

    It joins the bytes that the application passed to `write` and the chunks that it returned, in order.
    It calls `close` on the returned object, if that has one, also after an exception. It lets the
    application's exceptions through.
    """
    # TODO task 3: environ_for(method, path, body) below gives the environ. Yours: start_response, the call,
    # the loop, close.
    raise NotImplementedError("lab 1 task 3: call a WSGI callable by hand")


async def asgi(scope, receive, send):
    r"""Answer one request through ASGI. For a scope whose type is not "http", raise an exception.

    scope    {"type": "http", "method": "GET", "path": "/", "query_string": b"name=Ada", ...}
    send     await it twice: {"type": "http.response.start", "status": 200,
             "headers": [(b"content-type", b"text/plain; charset=utf-8"), ...]}
             and {"type": "http.response.body", "body": b"Hello, Ada!\n"}
    """
    # TODO task 4: the same responses as those of `application`.
    raise NotImplementedError("lab 1 task 4: the same greeting as ASGI")


def environ_for(method, target, body):
    """Given: the smallest environ that Flask and Django accept. Lab 5 makes it from bytes on a socket."""
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
