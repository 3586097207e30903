"""Lab 7 over a real implementation: werkzeug's routing, and its dispatcher for what is mounted.

What is said to it that it would do otherwise: `//` in a path is not made one slash; a uuid is narrower than
any text (in werkzeug both weigh 100, and the first in the list wins); an int has the digits 0 to 9, not those
of every script; OPTIONS is answered here, as Flask does on top of werkzeug; and a SCRIPT_NAME that is not
ASCII is encoded when a URL is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import IntegerConverter, Map, MapAdapter, Rule, UUIDConverter
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response


class Route(NamedTuple):
    pattern: str
    app: WSGIApplication
    methods: Sequence[str] = ("GET",)
    name: str = ""


class Mount(NamedTuple):
    prefix: str
    app: WSGIApplication


class NarrowUUID(UUIDConverter):
    weight = 50


class AsciiInteger(IntegerConverter):
    regex = "[0-9]+"


class Endpoint:
    """What a rule leads to: an object of its own, so that a name, or None, is never taken for another's."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app


class Router:
    def __init__(self, routes: Iterable[Route | Mount]) -> None:
        self.map = Map(
            merge_slashes=False,
            converters={"uuid": NarrowUUID, "int": AsciiInteger, "str": Map.default_converters["string"]},
        )
        self.names: dict[str, Endpoint] = {}
        mounts: dict[str, WSGIApplication] = {}
        for route in routes:
            if isinstance(route, Mount):
                mounts[route.prefix.encode("utf-8").decode("latin-1")] = route.app
            else:
                endpoint = Endpoint(route.app)
                self.map.add(Rule(route.pattern, endpoint=endpoint, methods=route.methods))
                if route.name:
                    self.names[route.name] = endpoint
        self.whole = DispatcherMiddleware(self.own, mounts)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self.whole(environ, start_response)

    def own(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        adapter = self.map.bind_to_environ(environ)
        try:
            endpoint, values = adapter.match()
        except MethodNotAllowed as error:
            if environ["REQUEST_METHOD"] == "OPTIONS":
                return options(adapter)(environ, start_response)
            return error(environ, start_response)
        except HTTPException as error:
            return error(environ, start_response)
        environ["wsgiorg.routing_args"] = ((), dict(values))
        app: WSGIApplication = endpoint.app
        return app(environ, start_response)

    def url_for(self, environ: WSGIEnvironment, name: str, /, **values: Any) -> str:
        # werkzeug leaves a slash in any value as it is; RFC 3986 §2.2: in one segment it must be encoded.
        rule = next(self.map.iter_rules(self.names[name]))
        if any("/" in str(values[key]) and rule._converters[key].part_isolating for key in rule.arguments):
            raise ValueError("a slash in one segment")
        return iri_to_uri(self.map.bind_to_environ(environ).build(self.names[name], values))


def options(adapter: MapAdapter) -> Response:
    return Response(headers=[("Allow", ", ".join(adapter.allowed_methods()))])
