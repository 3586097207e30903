"""The three applications as werkzeug, Django's idiom and Starlette have them."""

from __future__ import annotations

import itertools
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse
from starlette.responses import Response as StarletteResponse
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import ClosingIterator

TEXT = "text/plain; charset=utf-8"


def export(opened: Any, released: Any) -> Any:
    def rows() -> Any:
        opened()
        try:
            for number, title in enumerate(("Ask Ada", "Ask Grace"), 1):
                yield f"{number},{title}\n".encode()
        finally:
            released()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        body = rows()
        start_response("200 OK", [("Content-Type", "text/csv; charset=utf-8")])
        return ClosingIterator(itertools.chain([b"id,title\n"], body), body.close)

    return application


@Request.application
def quotient(request: Request) -> Response:
    try:
        said = 252 / int(request.query_string or b"0")
    except (ValueError, ZeroDivisionError):
        return Response("Ask for a number that is not 0.\n", 500, content_type=TEXT)
    return Response(f"{said}\n", content_type=TEXT)


async def upload(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    response: StarletteResponse
    try:
        response = PlainTextResponse(f"{len(await StarletteRequest(scope, receive).body())}\n")
    except ClientDisconnect:
        return
    await response(scope, receive, send)
