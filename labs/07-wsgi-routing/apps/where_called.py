"""Answers with where it was called: what a router made of a request, as JSON."""

import json
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def here(route: str) -> WSGIApplication:
    """A WSGI application that says which route led to it, with which parameters, and what its environ has."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _, values = environ.get("wsgiorg.routing_args", ((), {}))
        said = {
            "route": route,
            "values": values,
            **{
                key: environ.get(key, "")
                for key in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
            },
        }
        body = json.dumps(said, default=str).encode() + b"\n"
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return application
