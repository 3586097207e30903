r"""Three small applications. Their tests are green, their pages look right: fix them.

Their mistakes are visible at the boundary only: put an X-ray around each of them.
"""

import itertools


def export(opened, released):
    r"""The tasks as CSV, row by row, from a database cursor.

    `opened()` takes a connection out of the pool, `released()` puts it back: exactly once for each.
    GET /  ->  b"id,title\n", b"1,Ask Ada\n", b"2,Ask Grace\n"
    """

    def rows():
        opened()
        try:
            for number, title in enumerate(("Ask Ada", "Ask Grace"), 1):
                yield f"{number},{title}\n".encode()
        finally:
            released()

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/csv; charset=utf-8")])
        return itertools.chain([b"id,title\n"], rows())

    return application


def quotient(environ, start_response):
    r"""GET /?42 gets b"6.0\n": 252 divided by the query. For anything else: a 500 of our own."""
    text = [("Content-Type", "text/plain; charset=utf-8")]
    start_response("200 OK", text)
    try:
        body = f"{252 / int(environ.get('QUERY_STRING') or '0')}\n".encode()
    except (ValueError, ZeroDivisionError):
        start_response("500 Internal Server Error", text)
        body = b"Ask for a number that is not 0.\n"
    return [body]


async def upload(scope, receive, send):
    r"""POST gets the number of bytes of the request's body: b"11\n"."""
    if scope["type"] != "http":
        raise ValueError(f"no {scope['type']!r} here")
    message = await receive()
    body = f"{len(message.get('body', b''))}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
