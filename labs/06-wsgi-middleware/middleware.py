"""Five layers that go around any WSGI application. A layer is a function: application in, application out."""

import time

import tasks_wsgi

tasks = tasks_wsgi.application  # the tasks API: any other WSGI application would do
USERS = {"Ada": "lovelace"}
ORIGINS = ["https://tasks.example"]

# Every layer passes chunks on one by one, leaves the request's body unread, passes on `close`, `write`
# and `exc_info`, and keeps nothing about one request where another one can see it.


def timing(app, clock=time.perf_counter):
    """Add how long `app` took until it called start_response; `clock` gives seconds, the field milliseconds.

    Server-Timing: app;dur=12.5       as many decimals as you like
    """
    # TODO task 1
    raise NotImplementedError("lab 6 task 1: timing")


def request_id(app):
    """Give each request one name, in environ["HTTP_X_REQUEST_ID"] for `app` and in one response field.

    X-Request-ID: 7f3a-1      the client's own, if it is 1 to 64 of A-Z a-z 0-9 . _ -; else a new one
    """
    # TODO task 1
    raise NotImplementedError("lab 6 task 1: request id")


def basic_auth(app, users, realm="tasks"):
    """Call `app` for a user of `users`, {"Ada": "lovelace"}, with the right password; REMOTE_USER is "Ada".

    Authorization: Basic QWRhOmxvdmVsYWNl      base64 of the UTF-8 bytes of Ada:lovelace

    A wrong name or password, or a malformed header, gets 401, with
    WWW-Authenticate: Basic realm="tasks", charset="UTF-8"
    Compare passwords with hmac.compare_digest, also when there is no such user.
    """
    # TODO task 2
    raise NotImplementedError("lab 6 task 2: basic authentication")


def cors(
    app,
    origins,
    methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    headers=("Authorization", "Content-Type"),
    max_age=600,
):
    """Tell browsers that pages of these origins may read the responses.

    Origin: https://tasks.example  ->  Access-Control-Allow-Origin: https://tasks.example
    another Origin, or none        ->  the response of `app`, without that header
    each response of `app`         ->  Vary: Origin, and what `app` itself has in Vary

    An Access-Control-Allow-Origin of `app`'s own is removed or replaced in each response: `origins` decides.
    A preflight (OPTIONS with Origin and Access-Control-Request-Method) never reaches `app`. It gets a
    204, for these origins with Access-Control-Allow-Origin, -Methods, -Headers and Access-Control-Max-Age.
    """
    # TODO task 3
    raise NotImplementedError("lab 6 task 3: CORS")


def access_log(app, log=None):
    """Call `log` with one line for each request, after its last byte, also after an exception.

    127.0.0.1 7f3a-1 "GET /tasks?done=1" 200 51                 client, X-Request-ID or -, status, bytes
    127.0.0.1 - "GET /tasks.csv" 200 14 RuntimeError            `app` raised it after 14 bytes
    127.0.0.1 - "GET /tasks" - 0 RuntimeError                   `app` raised it before start_response

    An exception that the close of `app`'s body raised is in the line, too. If the call of `app` itself
    raised, there is no body for the server to close: the line is written then.
    The path: SCRIPT_NAME + PATH_INFO; "?" and the query follow, if there is one. Spaces, ", \\ and all but
    printable ASCII are percent-encoded in the path, in the query, and in X-Request-ID (others may be, too):
    the bytes that the client sent, so an é in UTF-8 is %C3%A9 (environ has each byte as one character).
    Without `log`, the line goes to wsgi.errors.
    """
    # TODO task 4
    raise NotImplementedError("lab 6 task 4: the log")


def stack(app, layers):
    """Put layers around `app`, the first one outermost: stack(app, [a, b]) is a(b(app)).

    A layer here is called with `app` alone: functools.partial(basic_auth, users=USERS) is one.
    """
    # TODO task 5
    raise NotImplementedError("lab 6 task 5: stack")


def application(environ, start_response):
    """The tasks API behind all five. A preflight passes without a password; a page may read a 401."""
    # TODO task 5: instead of this function, application = stack(tasks, [...]), with USERS and ORIGINS.
    raise NotImplementedError("lab 6 task 5: the tasks API in its stack")
