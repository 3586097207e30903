"""Layers around any ASGI application, their order, and adapters between WSGI and ASGI."""

import time

import tasks_wsgi

tasks = tasks_wsgi.application  # WSGI: any other one would do

TOKENS = {"lovelace-1843": "Ada"}

# Every layer: what it is not about passes as it came: lifespan, WebSockets, messages it does not know. Each
# body message goes on before `send` returns. A scope or a message that is changed is a new one.


def timing(app, clock=time.perf_counter):
    """Add how long `app` took until its http.response.start; `clock` gives seconds, the field milliseconds.

    (b"server-timing", b"app;dur=12.5")
    """
    # TODO task 1
    raise NotImplementedError("lab 17 task 1: timing")


def request_id(app):
    """Give each request, HTTP or WebSocket, one name: in the headers of `app`'s scope and of its answer.

    (b"x-request-id", b"7f3a-1")      the client's own, if it is 1 to 64 of A-Z a-z 0-9 . _ -; else a new one
    """
    # TODO task 1
    raise NotImplementedError("lab 17 task 1: request id")


def bearer(app, tokens, realm="tasks"):
    """Let in who shows one of `tokens`, {"7f3a…": "Ada"}; `app` finds "Ada" in scope["user"].

    (b"authorization", b"Bearer 7f3a…")

    Everybody else gets a 401 with (b"www-authenticate", b'Bearer realm="tasks"'); who showed something that
    does not count, with , error="invalid_token" after that. Tokens are compared by hmac.compare_digest.
    """
    # TODO task 2, and for WebSockets task 4
    raise NotImplementedError("lab 17 task 2: bearer")


def gzip(app, minimum=500, level=6):
    """Compress what is worth it for clients whose Accept-Encoding asks for gzip.

    (b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"), (b"etag", b'W/"7"'), no Content-Length

    A body message that comes in goes out complete before `send` returns: zlib.Z_SYNC_FLUSH after each.
    As they were: a whole body under `minimum` bytes, one that has a Content-Encoding or is packed by nature
    (image/png, video/…), 204, 206 and 304. An answer to HEAD has no body to pack; its
    Content-Length may go, for it is the length of other bytes. zlib.compressobj(level, zlib.DEFLATED, 31).
    """
    # TODO task 3
    raise NotImplementedError("lab 17 task 3: gzip")


async def refuse_websocket(receive, send):
    """Say no to a WebSocket before it is accepted: the client gets a 403."""
    # TODO task 4: and use it in `bearer`
    raise NotImplementedError("lab 17 task 4: refuse a WebSocket")


def stack(app, layers):
    """Put layers around `app`, the first one outermost: stack(app, [a, b]) is a(b(app))."""
    # TODO task 5
    raise NotImplementedError("lab 17 task 5: stack")


def asgi_from_wsgi(app, threads=8):
    """An ASGI application that runs a WSGI one, in a pool of `threads`; more requests than that wait.

    A chunk is sent, and taken, before the next is asked for. When the client leaves, the iterable is closed.
    `translations` has the environ (environ_of) and a wsgi.input: io.BufferedReader(Input(read)).
    """
    # TODO task 5
    raise NotImplementedError("lab 17 task 5: WSGI to ASGI")


def wsgi_from_asgi(app):
    """A WSGI application that runs an ASGI one, on an event loop: `translations.LoopThread().get()`.

    `send` returns when the server asks for the next chunk. When the server closes, `receive` gives
    http.disconnect and `send` raises OSError. `translations` has scope_of(environ) and status_line(404).
    """
    # TODO task 5
    raise NotImplementedError("lab 17 task 5: ASGI to WSGI")


async def application(scope, receive, send):
    """`tasks`, by asgi_from_wsgi, behind all four layers: a 401 has an id, too."""
    # TODO task 5: in place of this function, application = stack(asgi_from_wsgi(tasks), […]), with TOKENS.
    raise NotImplementedError("lab 17 task 5: the tasks API in its stack")
