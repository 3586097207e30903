"""Starlette's Request and Response, under a bridge that is to them what an ASGI server is.

The bridge takes one message when one chunk is wanted. A file that the checks have deleted is found by the
number of an open one. Preconditions are left out: Starlette's StaticFiles has them, its responses have none.
"""

import asyncio
import os
import re
from email.utils import formatdate
from http import HTTPStatus

import anyio._backends._asyncio  # noqa: F401 - a server's loop has loaded it before a request comes
from shared_wrappers import HTTPError, Upload, application
from starlette import responses
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request as StarletteRequest

__all__ = ["HTTPError", "Request", "Response", "application", "file", "json_response", "redirect"]

PIECE = 1 << 16


def text(of_environ):
    return of_environ.encode("latin-1").decode("utf-8", "replace")  # as uvicorn decodes a path


def scope_of(environ):
    named = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_")}
    named |= {key: environ[key] for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)}
    root = text(environ.get("SCRIPT_NAME", ""))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "app": application,  # with it, Starlette raises HTTPException for a broken form
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "path": root + text(environ.get("PATH_INFO", "")),
        "root_path": root,
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": [
            (key.lower().replace("_", "-").encode(), value.encode("latin-1")) for key, value in named.items()
        ],
    }


class Request:
    def __init__(self, environ, max_body=1 << 24, max_memory=500_000, max_parts=1000):
        self.environ, self.scope, self.max_body = environ, scope_of(environ), max_body
        self.limits = {"max_files": max_parts, "max_fields": max_parts, "max_part_size": max_memory}
        length = environ.get("CONTENT_LENGTH") or "0"
        self.left = int(length) if re.fullmatch("[0-9]+", length) else 0
        self.limited = self.receive
        self.made = one = StarletteRequest(self.scope, lambda: self.limited())
        self.method, self.path, self.headers = one.method, self.scope["path"], one.headers
        self.query = {name: one.query_params.getlist(name) for name in one.query_params}
        self.url, self.cookies = str(one.url), one.cookies

    async def receive(self):
        piece = self.environ["wsgi.input"].read(min(self.left, PIECE)) if self.left else b""
        if self.left and not piece:
            return {"type": "http.disconnect"}
        self.left -= len(piece)
        return {"type": "http.request", "body": piece, "more_body": self.left > 0}

    def asked(self, question):
        """The answer of a coroutine that reads the request, under the middleware that limits its body."""
        found = []

        async def app(scope, receive, send):
            self.limited = receive
            found.append(await question())

        async def send(message):
            if message["type"] == "http.response.start":
                raise HTTPError(message["status"], "the body is too long")

        try:
            asyncio.run(RequestBodyLimitMiddleware(app, self.max_body)(self.scope, self.receive, send))
        except HTTPException as error:
            raise HTTPError(error.status_code, error.detail) from error
        return found[0]

    @property
    def body(self):
        return self.asked(self.made.body)

    def json(self):
        return self.asked(self.made.json)

    def parts(self, wanted):
        async def question():
            return await self.made.form(**self.limits)

        found = {}
        for name, value in self.asked(question).multi_items():
            if wanted(value):
                found.setdefault(name, []).append(value)
        return found

    @property
    def form(self):
        return self.parts(lambda value: isinstance(value, str))

    @property
    def files(self):
        found = self.parts(lambda value: hasattr(value, "file"))
        return {
            name: [Upload(one.filename, one.content_type, one.file) for one in many]
            for name, many in found.items()
        }

    def close(self):
        asyncio.run(self.made.close())


class Bridge:
    """The messages of a response, one when it is asked for."""

    def __init__(self, app, scope):
        self.loop = asyncio.new_event_loop()
        self.wanted = asyncio.Semaphore(0)
        self.sent, self.began = asyncio.Queue(), False
        self.task = self.loop.create_task(app(scope, self.receive, self.send))

    async def receive(self):
        await asyncio.Event().wait()

    async def send(self, message):
        await self.sent.put(message)
        await self.wanted.acquire()

    async def one(self):
        if self.began:
            self.wanted.release()
        self.began = True
        taken = asyncio.ensure_future(self.sent.get())
        await asyncio.wait({taken, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if not taken.done():
            await asyncio.sleep(0)
        if taken.done():
            return taken.result()
        taken.cancel()
        return self.task.result()

    def next(self):
        return self.loop.run_until_complete(self.one())

    def __iter__(self):
        while message := self.next():
            yield message["body"]

    def close(self):
        self.task.cancel()
        self.loop.run_until_complete(asyncio.wait({self.task}))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class Body:
    def __init__(self, bridge, close):
        self.iterator, self.bridge, self.after = iter(bridge), bridge, close

    def __iter__(self):
        return self.iterator

    def close(self):
        self.iterator.close()
        self.bridge.close()
        self.after()


class Response:
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
        pairs = [tuple(pair) for pair in headers]
        own = any(name.lower() == "content-type" for name, _ in pairs)
        kind = responses.Response if isinstance(body, str | bytes) else responses.StreamingResponse
        made = type("Made", (kind,), {"charset": charset})
        self.made = made(body, status, media_type=None if own else content_type)
        self.after = lambda: None
        for name, value in pairs:
            self.made.headers.append(name, value)
        if etag is not None:
            self.made.headers["ETag"] = etag
        if modified is not None:
            self.made.headers["Last-Modified"] = formatdate(modified, usegmt=True)

    def set_cookie(self, name, value="", **attributes):
        self.made.set_cookie(name, value, **attributes)

    def delete_cookie(self, name, path="/", domain=None):
        self.made.delete_cookie(name, path, domain)

    def __call__(self, environ, start_response):
        bridge = Bridge(self.made, scope_of(environ))
        head = bridge.next()
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]]
        start_response(f"{head['status']} {HTTPStatus(head['status']).phrase}", pairs)
        return Body(bridge, self.after)


def of(made):
    response = Response()
    response.made = made
    return response


def json_response(value, status=200, headers=()):
    return of(responses.JSONResponse(value, status, dict(map(tuple, headers))))


def redirect(location, status=303):
    return of(responses.RedirectResponse(location, status))


def file(path, content_type=None):
    made = of(responses.FileResponse(path, media_type=content_type))
    number = os.open(path, os.O_RDONLY)
    made.made.path, made.after = f"/proc/self/fd/{number}", lambda: os.close(number)
    return made
