"""Falcon: its App and the router in it. A route is a resource with a responder for each method."""

import falcon
from shared_router import ARGS, Mount, Route, rewritten

__all__ = ["Mount", "Route", "Router"]


class Resource:
    def __init__(self, route):
        def found(request, response, **values):
            request.env["found"].append((route.app, values))

        for verb in route.methods:
            setattr(self, f"on_{verb.lower()}", found)


class Router:
    """Falcon mounts no application, and builds no URL."""

    def __init__(self, routes):
        self.app = falcon.App()
        for one in routes:
            if isinstance(one, Route):
                self.app.add_route(rewritten(one.pattern, "{name}", "{name:kind}"), Resource(one))

    def __call__(self, environ, start_response):
        found, head = [], []
        body = self.app({**environ, "found": found}, lambda *words: head.append(words))
        for app, values in found:
            return app({**environ, ARGS: ((), values)}, start_response)
        start_response(*head[0])
        return body
