"""Layers around any ASGI application, their order, and adapters between WSGI and ASGI."""

import time

import tasks_wsgi

tasks = tasks_wsgi.application  # WSGI: any other one would do

TOKENS = {"lovelace-1843": "Ada"}

# Every layer passes unchanged what it is not concerned with: lifespan, WebSockets, unknown messages. It
# passes each body message on before `send` returns. To change a scope or a message, it makes a copy.


def timing(app, clock=time.perf_counter):
    """Add how long `app` took until its http.response.start; `clock` returns seconds, the header says ms.

    (b"server-timing", b"app;dur=12.5")
    """
    # TODO task 1
    raise NotImplementedError("lab 17 task 1: timing")


def request_id(app):
    """Give each request, HTTP or WebSocket, one id: in the headers of `app`'s scope and of its response.

    (b"x-request-id", b"7f3a-1")      the client's own, if it is 1 to 64 of A-Z a-z 0-9 . _ -; else a new one
    """
    # TODO task 1
    raise NotImplementedError("lab 17 task 1: request id")


def bearer(app, tokens, realm="tasks"):
    """Call `app` for a request with one of `tokens`, {"7f3a…": "Ada"}, and with "Ada" in scope["user"].

    (b"authorization", b"Bearer 7f3a…")

    Other requests get a 401 with (b"www-authenticate", b'Bearer realm="tasks"'), and with
    , error="invalid_token" after that if they had a wrong token. Compare tokens with hmac.compare_digest.
    """
    # TODO task 2, and for WebSockets task 4
    raise NotImplementedError("lab 17 task 2: bearer")


def gzip(app, minimum=500, level=6):
    """Compress bodies of `minimum` bytes or more for clients whose Accept-Encoding allows gzip.

    (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"), (b"etag", b'W/"7"'), no Content-Length

    All of a body message is sent on, compressed, before `send` returns: zlib.Z_SYNC_FLUSH after each.
    Unchanged: a whole body under `minimum` bytes, one with a Content-Encoding or of a compressed type
    (image/png, video/…), 204, 206 and 304. A response to HEAD has no body to compress; its
    Content-Length, that of the uncompressed body, may be dropped. zlib.compressobj(level, zlib.DEFLATED, 31).
    """
    # TODO task 3
    raise NotImplementedError("lab 17 task 3: gzip")


async def refuse_websocket(receive, send):
    """Refuse a WebSocket before it is accepted: the client gets a 403."""
    # TODO task 4: and use it in `bearer`
    raise NotImplementedError("lab 17 task 4: refuse a WebSocket")


def stack(app, layers):
    """Put layers around `app`, the first one outermost: stack(app, [a, b]) is a(b(app))."""
    # TODO task 5
    raise NotImplementedError("lab 17 task 5: stack")


def asgi_from_wsgi(app, threads=8):
    """An ASGI application that runs a WSGI one in a pool of `threads`; further requests wait for a thread.

    `send` returns for each chunk before the next is asked for. When the client leaves, close the iterable.
    `translations` has the environ (environ_of) and a wsgi.input: io.BufferedReader(Input(read)).
    """
    # TODO task 5
    raise NotImplementedError("lab 17 task 5: WSGI to ASGI")


def wsgi_from_asgi(app):
    """A WSGI application that runs an ASGI one, on an event loop: `translations.LoopThread().get()`.

    `send` returns when the server asks for the next chunk. When the server calls close, `receive`
    returns http.disconnect and `send` raises OSError. `translations` has scope_of(environ), status_line(404).
    """
    # TODO task 5
    raise NotImplementedError("lab 17 task 5: ASGI to WSGI")


async def application(scope, receive, send):
    """`tasks`, through asgi_from_wsgi, behind all four layers: a 401 has an id, too."""
    # TODO task 5: in place of this function, application = stack(asgi_from_wsgi(tasks), […]), with TOKENS.
    raise NotImplementedError("lab 17 task 5: the tasks API in its stack")
