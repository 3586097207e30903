r"""Look through the boundary between a server and any application, and change nothing.

`record` is a function that takes the call's number (1, 2, … in the order of the calls), a word, and details:

    record(1, "called", "GET", "", "/tasks/42")      method, SCRIPT_NAME, PATH_INFO
    record(1, "start_response", "200 OK", [("Content-Type", "text/plain")], None)
    record(1, "returned", "list")                    the type's name
    record(1, "chunk", b"Hello, Ada!\n")
    record(1, "exhausted")
    record(1, "close")
"""


def wsgi_xray(app, record):
    r"""Return a WSGI application that does what `app` does, and records what crosses the boundary, in order.

    "called"          before app is called
    "start_response"  when app calls it: status, headers, the name of exc_info's type ("ValueError") or None
    "write"           when app calls what start_response returned: the bytes
    "returned"        when app has returned, before the first chunk is requested
    "chunk"           when app's body returned one; "exhausted" when it has no more
    "close"           when the server calls close, and app's body has a close
    "raised"          an exception of app's: its type's name, and "call", "iteration" or "close"

    Each is recorded before it is passed on. Every value, every exception and the moment of each call stay as
    they were: a body of 10 GB, or without an end, goes through one chunk at a time.
    """
    # TODO task 1: a start_response of yours, and an object around the body. It has a len if the body has one.
    raise NotImplementedError("lab 3 task 1: record what crosses the WSGI boundary")


def asgi_xray(app, record):
    r"""The same for ASGI, for every type of scope.

    record(1, "called", "http", "/tasks/42")         scope["type"], and scope["path"] or ""
    record(1, "receive", {"type": "http.request", "body": b"", "more_body": False})
    record(1, "send", {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"…")]})
    record(1, "returned")                            or: record(1, "raised", "ValueError")

    Record a message after `receive` returned it, and before `send` sends it. A cancelled call is recorded as
    "raised", "CancelledError".
    """
    # TODO task 2: a receive and a send of yours.
    raise NotImplementedError("lab 3 task 2: record what crosses the ASGI boundary")
