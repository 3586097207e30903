"""Layers around any ASGI application, their order, and two adapters between WSGI and ASGI.

How it works. A layer takes an application and is one. Towards the server it is the application; towards the
application it is the server, and hands it a `scope`, a `receive` and a `send` of its own or the server's.

    scope   ───▶ [ layer ] ───▶ application      a new dict where something is added: the server keeps its own
    receive ───▶ [ layer ] ───▶                  the server's own: the body is the application's to read
    send    ◀─── [ layer ] ◀───                  one message in, at least one out, before `send` returns

Whatever a layer isn't about passes as it came: lifespan, WebSockets, and messages of extensions that are not
invented yet. Nothing about one request is kept on a layer, for many requests are in it at the same time.

An adapter has a harder task: on one side nobody may wait, on the other everybody does. So somebody waits in a
thread, and every step of the one side waits for its step on the other. Nothing is put in store between them,
so nothing can pile up there.

    loop: send ◀─────── run_coroutine_threadsafe(…).result() ◀─────── thread: for chunk in app(environ, …)
    loop: app(scope, …) ──▶ a queue of questions, each with a future ──▶ thread: the server's, in next()
"""

from __future__ import annotations

import asyncio
import contextvars
import hmac
import io
import math
import queue
import re
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias, TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tasks_wsgi import application as tasks
from translations import Input, LoopThread, environ_of, scope_of, status_line

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Layer: TypeAlias = Callable[[Application], Application]
Headers: TypeAlias = list[tuple[bytes, bytes]]
Value = TypeVar("Value")

TOKENS = {"lovelace-1843": "Ada"}
PIECE = 64 * 1024  # bytes of a request's body in one http.request


class ClientLeft(OSError):
    """The client is gone (ASGI, "Disconnected Client": what `send` raises since spec_version 2.4)."""


def headers_of(message: Mapping[str, Any]) -> Headers:
    """A list of one's own: the application's may be any iterable, and it may use it again."""
    return [(bytes(name), bytes(value)) for name, value in message.get("headers", ())]


def values_of(headers: Headers, name: bytes) -> list[bytes]:
    """Every value of a field. RFC 9110 §5.1: names compare without case."""
    return [value for key, value in headers if key.lower() == name]


def without(headers: Headers, *names: bytes) -> Headers:
    return [(key, value) for key, value in headers if key.lower() not in names]


# --- task 1: timing and request id --------------------------------------------------------------------


def timing(app: Application, clock: Callable[[], float] = time.perf_counter) -> Application:
    """Say in Server-Timing how many milliseconds `app` took until it started its response.

    `clock` gives seconds. Of other scopes than "http" nothing is changed.
    """

    async def timed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        began = clock()

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                took = b"app;dur=%.3f" % ((clock() - began) * 1000)
                # A new message: this one is the application's.
                message = {**message, "headers": [*headers_of(message), (b"server-timing", took)]}
            await send(message)

        # `receive` is the server's own: the body is for the application.
        return await app(scope, receive, stamped)

    return timed


# What a client may call its request. Anything else could forge a line of a log.
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# The messages that carry the fields of an answer: of HTTP, of a WebSocket, and of one that is refused with
# the extension "WebSocket Denial Response".
STARTS = frozenset(["http.response.start", "websocket.accept", "websocket.http.response.start"])


def request_id(app: Application) -> Application:
    """Give every request one name: the client's x-request-id where it is usable, else a new one.

    The application finds it in the scope's headers, once; the client in the answer, once.
    """

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await app(scope, receive, send)
        # Two fields are one with a comma (RFC 9110 §5.3), which no id has; none is empty.
        given = b",".join(values_of(headers_of(scope), b"x-request-id"))
        own = (b"x-request-id", given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex.encode())

        async def named(message: Message) -> None:
            if message["type"] in STARTS:
                message = {**message, "headers": [*without(headers_of(message), b"x-request-id"), own]}
            await send(message)

        # ASGI, "Middleware": copy the scope before you change it, or the change leaks to the outside.
        headers = [*without(headers_of(scope), b"x-request-id"), own]
        return await app({**scope, "headers": headers}, receive, named)

    return identified


# --- task 2: bearer tokens ----------------------------------------------------------------------------

# RFC 6750 §2.1: "Bearer" 1*SP b64token; RFC 9110 §11.1: the scheme's name has no case.
BEARER = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")


def bearer(app: Application, tokens: Mapping[str, str], realm: str = "tasks") -> Application:
    """Let in who shows one of `tokens`, {"7f3a…": "Ada"}; the application finds "Ada" in scope["user"].

    Everybody else gets a 401 with a challenge (RFC 6750 §3), or no WebSocket (task 4).
    """

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # The server's own conversation: there is no client, so nobody to ask.
            return await app(scope, receive, send)
        shown = values_of(headers_of(scope), b"authorization")
        user = owner(shown, tokens)
        if user is not None:
            return await app({**scope, "user": user}, receive, send)
        if scope["type"] == "websocket":
            return await refuse_websocket(receive, send)
        return await challenge(send, realm, bool(shown))

    return guarded


def owner(shown: list[bytes], tokens: Mapping[str, str]) -> str | None:
    """Whose token the values of Authorization show; None when it is nobody's."""
    # Two credentials in one request: which of them would count is anybody's guess, so neither does.
    match = BEARER.fullmatch(shown[0].strip()) if len(shown) == 1 else None
    if match is None:
        return None
    found = None
    # Looking a token up in the dictionary would compare with ==. compare_digest takes as long for an early
    # difference as for a late one; and the loop does not end early either.
    for token, user in tokens.items():
        if hmac.compare_digest(match[1], token.encode()):
            found = user
    return found


async def challenge(send: Send, realm: str, shown: bool) -> None:
    """RFC 9110 §15.5.2: a 401 says how to ask. RFC 6750 §3.1: no error code to who has shown nothing."""
    asked = f'Bearer realm="{realm}"' + (', error="invalid_token"' if shown else "")
    body = b"Who are you?\n"
    headers = [
        (b"www-authenticate", asked.encode()),
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    # The server drops it for HEAD.
    await send({"type": "http.response.body", "body": body})


# --- task 3: gzip -------------------------------------------------------------------------------------

# RFC 9110 §12.4.2: 0, 0.5, 1.000. Anything else is no weight, and asks for nothing.
WEIGHT = re.compile(rb"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
NO_CONTENT = frozenset([204, 205, 304])
# Compressed already, in their own way.
PACKED = (b"image/", b"audio/", b"video/", b"font/", b"application/zip", b"application/gzip")
GZIP = 16 + zlib.MAX_WBITS  # zlib's word for gzip's framing


def gzip(app: Application, minimum: int = 500, level: int = 6) -> Application:
    """Compress what is worth it, for clients that take it; `minimum` is bytes of a whole body, `level` 1–9.

    Each body message leaves, complete, before the application's `send` returns: a client sees of a stream
    what it would have seen without this layer.
    """

    async def packing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        wanted = takes_gzip(values_of(headers_of(scope), b"accept-encoding"))
        return await app(scope, receive, Packer(send, minimum, level, wanted, scope["method"] == "HEAD"))

    return packing


def takes_gzip(accepted: list[bytes]) -> bool:
    """Whether the values of Accept-Encoding ask for gzip: its weight, else that of * (RFC 9110 §12.5.3)."""
    weights: dict[bytes, float] = {}
    for member in b",".join(accepted).lower().split(b","):
        coding, _, parameter = member.partition(b";")
        name, _, value = parameter.replace(b" ", b"").replace(b"\t", b"").partition(b"=")
        weight = value if name == b"q" else b"1" if not parameter.strip() else b"0"
        weights[coding.strip()] = float(weight) if WEIGHT.fullmatch(weight) else 0.0
    gzip_weight = weights.get(b"gzip", weights.get(b"x-gzip", weights.get(b"*", 0.0)))
    return gzip_weight > 0 and gzip_weight >= weights.get(b"identity", 0.0)


class Packer:
    """The `send` of one response. Keeps its start until the first piece: only then is it known what goes."""

    def __init__(self, send: Send, minimum: int, level: int, wanted: bool, head: bool) -> None:
        self._send, self._minimum, self._level = send, minimum, level
        self._wanted, self._head = wanted, head
        self._start: Message | None = None
        self._compressor: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            # ASGI, "Response Start": a server doesn't send it either before the first body message.
            self._start = message
            return
        is_body = message["type"] == "http.response.body"
        if self._start is not None:
            start, self._start = self._start, None
            # A file by http.response.pathsend, or what comes next year: nothing that is ours to pack.
            await self._send(self._decided(start, message) if is_body else start)
        if is_body and self._compressor is not None:
            message = {**message, "body": self._packed(message)}
        await self._send(message)

    def _decided(self, start: Message, first: Message) -> Message:
        """The start as it goes out; from here on there is a compressor, or there is none."""
        headers = headers_of(start)
        if start["status"] in NO_CONTENT or is_packed(start["status"], headers):
            return start
        if not self._head and not first.get("more_body") and len(first.get("body", b"")) < self._minimum:
            return start
        # RFC 9110 §12.5.5: also to a client that gets it plain. A cache must know that others don't.
        headers = varied(headers)
        if self._wanted:
            # RFC 9110 §8.6: it was the length of other bytes. The server frames what it doesn't know.
            headers = without(headers, b"content-length")
        if self._wanted and not self._head:
            self._compressor = zlib.compressobj(self._level, zlib.DEFLATED, GZIP)
            headers = [weakened(pair) for pair in headers] + [(b"content-encoding", b"gzip")]
        return {**start, "headers": headers}

    def _packed(self, message: Message) -> bytes:
        """One piece as bytes that can be unpacked when they arrive, without waiting for the next ones."""
        flush = zlib.Z_SYNC_FLUSH if message.get("more_body") else zlib.Z_FINISH
        packed: bytes = self._compressor.compress(message.get("body", b"")) + self._compressor.flush(flush)
        return packed


def is_packed(status: int, headers: Headers) -> bool:
    """Whether the bytes are as small as they get, or are a part of something that a client puts together."""
    kinds = values_of(headers, b"content-type")
    packed = bool(kinds) and kinds[0].lower().startswith(PACKED) and b"svg" not in kinds[0].lower()
    # RFC 9110 §14.4: a range counts bytes of the whole; packed, it would be a part of nothing.
    return packed or status == 206 or bool(values_of(headers, b"content-encoding"))


def varied(headers: Headers) -> Headers:
    named = b",".join(values_of(headers, b"vary")).lower().replace(b" ", b"").split(b",")
    if b"*" in named or b"accept-encoding" in named:
        return headers
    return [*headers, (b"vary", b"Accept-Encoding")]


def weakened(pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """RFC 9110 §8.8.1: a strong ETag promises the same bytes, and these are others."""
    name, value = pair
    strong = name.lower() == b"etag" and not value.startswith(b"W/")
    return (name, b"W/" + value) if strong else pair


# --- task 4: what is not HTTP -------------------------------------------------------------------------


async def refuse_websocket(receive: Receive, send: Send) -> None:
    """Say no before the handshake is answered: the client gets a 403 (ASGI, "Close - send event")."""
    await receive()  # websocket.connect
    await send({"type": "websocket.close", "code": 1008})


# --- task 5: the stack --------------------------------------------------------------------------------


def stack(app: Application, layers: Iterable[Layer]) -> Application:
    """Put layers around an application, the first one outermost: stack(app, [a, b]) is a(b(app))."""
    for layer in reversed(list(layers)):
        app = layer(app)
    return app


# --- task 5: a WSGI application on an ASGI server -----------------------------------------------------


def asgi_from_wsgi(app: WSGIApplication, threads: int = 8) -> Application:
    """Serve a WSGI application from an event loop: `threads` requests at once, the others wait their turn."""
    # A pool of its own. In the loop's own one, an application that needs it to go on could wait for itself.
    pool = ThreadPoolExecutor(threads, thread_name_prefix="wsgi")

    async def adapted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await no_lifespan(receive, send)
        if scope["type"] == "websocket":
            return await refuse_websocket(receive, send)
        crossing = Crossing(receive, send)
        run = partial(contextvars.copy_context().run, crossing.run, app, scope)
        try:
            # The loop goes on while a thread does the waiting. What the application raises comes out here.
            await asyncio.get_running_loop().run_in_executor(pool, run)
        finally:
            crossing.end()

    return adapted


async def no_lifespan(receive: Receive, send: Send) -> None:
    """A WSGI application has nothing to do at startup or shutdown: say so, both times."""
    for what in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{what}.complete"})


class Crossing:
    """One request in a thread, its server on the loop. What is `async` runs there, the rest in the thread.

    At most one `receive` is under way, and at most one piece of the request's body is kept. When
    http.disconnect comes, the application hears of it at its next step.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        self._receive, self._send = receive, send
        self._next: asyncio.Future[Message] | None = None
        self._start: Message | None = None
        self._kept = b""
        self._begun = self._body_ended = self._left = False

    def run(self, app: WSGIApplication, scope: Scope) -> None:
        environ = environ_of(scope, io.BufferedReader(Input(self.read), PIECE))
        chunks: Iterable[bytes] = ()
        try:
            chunks = app(environ, self._start_response)
            for chunk in chunks:
                # PEP 3333, "Buffering and Streaming": each one is sent before the next is asked for.
                self._write(chunk)
            self._finish()
        except ClientLeft:
            pass  # nobody is left to hear of it
        finally:
            # PEP 3333, "Specification Details": in every ending.
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None and self._begun:
            try:
                # PEP 3333, "Error Handling": too late for another status.
                raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it holds this frame, which would hold it
        if exc_info is None and self._start is not None:
            raise RuntimeError("start_response was called twice, without exc_info")
        self._start = {
            "type": "http.response.start",
            "status": int(status[:3]),
            "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        }
        return self._write

    def _write(self, data: bytes) -> None:
        if self._left:
            raise ClientLeft("the client left")
        # PEP 3333, "The start_response() Callable": the header waits for the first byte.
        if data:
            self._on_loop(self._deliver({"type": "http.response.body", "body": data, "more_body": True}))

    def _finish(self) -> None:
        self._on_loop(self._deliver({"type": "http.response.body", "body": b"", "more_body": False}))

    def _on_loop(self, step: Coroutine[Any, Any, Value]) -> Value:
        # Back-pressure: the thread waits here until the server has taken it.
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()

    async def _deliver(self, message: Message) -> None:
        if self._start is None:
            raise RuntimeError("the application sent a body before it called start_response")
        if not self._begun:
            self._begun = True
            await self._send(self._start)
        try:
            await self._send(message)
        except OSError as error:
            raise ClientLeft("the client left") from error
        # From the first chunk on: earlier, a `receive` would make the server ask for a body (100 Continue).
        # And not while a piece is kept that nobody has read: that much is the bound.
        if not self._kept or self._body_ended:
            self._listen()

    def read(self) -> bytes:
        """The next piece of the request's body, b"" at its end. Raises ClientLeft when no end comes."""
        return self._on_loop(self._take())

    async def _take(self) -> bytes:
        while not self._kept and not self._body_ended:
            if self._left:
                raise ClientLeft("the client left in the middle of its body")
            await asyncio.wait([self._listen()])
        data, self._kept = self._kept, b""
        return data

    def _listen(self) -> asyncio.Future[Message]:
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
            self._next.add_done_callback(self._heard)
        return self._next

    def _heard(self, heard: asyncio.Future[Message]) -> None:
        if heard.cancelled():
            return
        event: Message = {"type": "http.disconnect"} if heard.exception() else heard.result()
        if event["type"] == "http.disconnect":
            self._left = True
            return
        self._kept, self._body_ended = event.get("body", b""), not event.get("more_body", False)
        # After the last piece only http.disconnect can come: that one needs no room.
        self._next = None

    def end(self) -> None:
        """On the loop, when all is over, or the call was cancelled while the thread still works."""
        self._left = True
        if self._next is not None:
            self._next.cancel()


# --- task 5: an ASGI application on a WSGI server -----------------------------------------------------


def wsgi_from_asgi(app: Application) -> WSGIApplication:
    """Serve an ASGI application from threads: its calls run on one event loop, in a thread of its own."""
    loop = LoopThread()

    def adapted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return Conversation(environ, loop.get()).chunks(app, start_response)

    return adapted


class Conversation:
    """One request: the application asks from the loop, the server's thread answers while it makes chunks.

    A question is a message that it sends, or None when it wants one, with a future for the answer.
    """

    def __init__(self, environ: WSGIEnvironment, loop: asyncio.AbstractEventLoop) -> None:
        self._environ, self._loop = environ, loop
        self._questions: queue.SimpleQueue[tuple[Message | None, asyncio.Future[Any] | None]] = (
            queue.SimpleQueue()
        )
        self._open: dict[asyncio.Future[Any], bool] = {}  # on the loop: whether it waits for an event
        self._over = False
        length = environ.get("CONTENT_LENGTH")
        # PEP 3333 lets a body without a length end nowhere; wsgi.input_terminated says that this one ends.
        terminated = environ.get("wsgi.input_terminated")
        self._unread: float = int(length) if length else math.inf if terminated else 0
        self._body_ended = False

    # on the loop

    async def _run(self, app: Application) -> None:
        try:
            await app(scope_of(self._environ), self._receive, self._send)
        finally:
            self._questions.put((None, None))

    async def _receive(self) -> Message:
        if self._over:
            return {"type": "http.disconnect"}
        event: Message = await self._ask(None)
        return event

    async def _send(self, message: Message) -> None:
        if self._over:
            raise ClientLeft("the response is over, or the client left")
        await self._ask(message)

    async def _ask(self, message: Message | None) -> Any:
        answer = self._loop.create_future()
        self._open[answer] = message is None
        self._questions.put((message, answer))
        try:
            return await answer
        finally:
            del self._open[answer]

    def _release(self) -> None:
        """Whoever still waits hears that it is over."""
        waiting = [pair for pair in self._open.items() if not pair[0].done()]
        for answer, wants_event in waiting:
            if wants_event:
                answer.set_result({"type": "http.disconnect"})
            else:
                answer.set_exception(ClientLeft("the client left"))

    # in the server's thread

    def chunks(self, app: Application, start_response: StartResponse) -> Iterator[bytes]:
        """The response's body; the application runs no further than the server takes of it."""
        running = asyncio.run_coroutine_threadsafe(self._run(app), self._loop)
        try:
            while True:
                message, answer = self._questions.get()
                if answer is None:
                    running.result()  # raises what the application raised
                    raise RuntimeError("the application returned before its response was complete")
                if message is None:
                    self._answer_receive(answer)
                elif message["type"] == "http.response.start":
                    start_response(status_line(message["status"]), text_headers(message))
                    self._reply(answer)
                elif message["type"] != "http.response.body":
                    self._reply(answer)  # an extension that was not offered
                elif message.get("more_body", False):
                    # Back-pressure: the application's `send` returns when the server asks for more.
                    yield message.get("body", b"")
                    self._reply(answer)
                else:
                    self._reply(answer)
                    yield message.get("body", b"")
                    return
        finally:
            # The end, or `close` because the client left.
            self._over = True
            self._loop.call_soon_threadsafe(self._release)

    def _answer_receive(self, answer: asyncio.Future[Any]) -> None:
        # After the body there is one event left, http.disconnect, and `_release` will bring it.
        if not self._body_ended:
            self._reply(answer, self._next_event())

    def _next_event(self) -> Message:
        size = int(min(PIECE, self._unread))
        data = self._environ["wsgi.input"].read(size) if size else b""
        self._unread -= len(data)
        if not data and self._unread not in (0, math.inf):
            return {"type": "http.disconnect"}  # the client left in the middle
        self._body_ended = not data or self._unread == 0
        return {"type": "http.request", "body": data, "more_body": not self._body_ended}

    def _reply(self, answer: asyncio.Future[Any], value: Any = None) -> None:
        self._loop.call_soon_threadsafe(settle, answer, value)


def settle(answer: asyncio.Future[Any], value: Any) -> None:
    if not answer.done():
        answer.set_result(value)


def text_headers(message: Message) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers_of(message)]


# From the outside in. The id first: every answer has one, a 401 too. gzip outside of what makes bytes. The
# door last: nothing behind it runs for a stranger.
application = stack(
    asgi_from_wsgi(tasks),
    [request_id, timing, gzip, partial(bearer, tokens=TOKENS)],
)
