"""What the adapters of httpx and of httpx2 share. Neither has a lifespan or WebSockets."""

import asyncio
from contextlib import contextmanager

from shared_client import Caught, Client, Response, decoded, encoded


def over(httpx):
    """make_environ, make_scope, WSGIClient and ASGIClient over a module that is httpx, or its successor."""

    def wsgi(app):
        return httpx.Client(transport=httpx.WSGITransport(app), base_url="http://localhost")

    def asgi(app):
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")

    def make_environ(method="GET", target="/", headers=(), body=b""):
        caught = Caught()
        wsgi(caught.wsgi).request(method, target, headers=encoded(headers), content=body)
        return caught.seen

    def make_scope(method="GET", target="/", headers=(), body=b""):
        caught = Caught()
        asyncio.run(asgi(caught.asgi).request(method, target, headers=encoded(headers), content=body))
        return caught.seen

    class WSGIClient(Client):
        def __init__(self, app):
            self.client = wsgi(app)

        def call(self, method, target, headers, body):
            answer = self.client.request(method, target, headers=encoded(headers), content=body)
            return Response(answer.status_code, decoded(answer.headers.raw), answer.content)

    class ASGIClient(ClientOnALoop):
        def __init__(self, app):
            self.client = asgi(app)

    return make_environ, make_scope, WSGIClient, ASGIClient


class ClientOnALoop(Client):
    """Its client is asynchronous: the loop runs while one of its methods waits."""

    def __enter__(self):
        self.loop = asyncio.Runner()
        self.loop.run(self.client.__aenter__())
        return self

    def __exit__(self, *error):
        self.loop.run(self.client.__aexit__(*error))
        self.loop.close()

    def call(self, method, target, headers, body):
        asked = self.client.request(method, target, headers=encoded(headers), content=body)
        answer = self.loop.run(asked)
        return Response(answer.status_code, decoded(answer.headers.raw), answer.content)

    @contextmanager
    def stream(self, method, target, headers=(), body=b""):
        asked = self.client.stream(method, target, headers=encoded(headers), content=body)
        answer = self.loop.run(asked.__aenter__())
        try:
            yield Stream(self.loop, answer)
        finally:
            self.loop.run(asked.__aexit__(None, None, None))


class Stream:
    def __init__(self, loop, answer):
        self.loop, self.chunks = loop, answer.aiter_raw()
        self.status, self.headers = answer.status_code, decoded(answer.headers.raw)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.loop.run(anext(self.chunks))
        except StopAsyncIteration:
            raise StopIteration from None
