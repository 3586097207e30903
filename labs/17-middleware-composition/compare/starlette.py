"""Starlette: its BaseHTTPMiddleware, AuthenticationMiddleware, GZipMiddleware and WSGIMiddleware.

The two layers that it lacks are functions for its BaseHTTPMiddleware, as its users write them. Who has which
token is for its users, too: a backend.
"""

import re
import time
import uuid
import warnings
from functools import partial

from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.websockets import WebSocketClose
from tasks_wsgi import application as tasks

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it is deprecated, for a2wsgi
    from starlette.middleware.wsgi import WSGIMiddleware


def timing(app, clock=time.perf_counter):
    async def timed(request, call_next):
        began = clock()
        response = await call_next(request)
        response.headers.append("server-timing", f"app;dur={(clock() - began) * 1000:.3f}")
        return response

    return BaseHTTPMiddleware(app, timed)


def request_id(app):
    async def identified(request, call_next):
        given = request.headers.get("x-request-id", "")
        own = given if re.fullmatch("[A-Za-z0-9._-]{1,64}", given) else uuid.uuid4().hex
        MutableHeaders(scope=request.scope)["x-request-id"] = own
        response = await call_next(request)
        response.headers["x-request-id"] = own
        return response

    return BaseHTTPMiddleware(app, identified)


class Backend(AuthenticationBackend):
    def __init__(self, tokens):
        self.tokens = tokens

    async def authenticate(self, conn):
        scheme, _, token = conn.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or token not in self.tokens:
            raise AuthenticationError("no token of ours")
        return AuthCredentials(["authenticated"]), self.tokens[token]


def bearer(app, tokens, realm="tasks"):
    challenge = PlainTextResponse("Who?\n", 401, {"WWW-Authenticate": f'Bearer realm="{realm}"'})
    return AuthenticationMiddleware(app, Backend(tokens), lambda conn, error: challenge)


def gzip(app, minimum=500, level=6):
    return GZipMiddleware(app, minimum_size=minimum, compresslevel=level)


async def refuse_websocket(receive, send):
    await WebSocketClose()({"type": "websocket"}, receive, send)


def stack(app, layers):
    return Starlette(routes=[Mount("/", app)], middleware=[Middleware(layer) for layer in layers])


def asgi_from_wsgi(app, threads=8):
    return WSGIMiddleware(app)  # its threads are anyio's


application = stack(
    asgi_from_wsgi(tasks),
    [request_id, timing, gzip, partial(bearer, tokens={"lovelace-1843": "Ada"})],
)
