"""Bottle: its application, which has its router in it, and its `mount`.

It has no uuid: that filter is made of the pattern that the lab gives, with `add_filter`. It compiles all
routes of a method again for each that is added, so five hundred take seconds: they wait until one is asked.
"""

from functools import cached_property
from uuid import UUID

from bottle import Bottle, request
from shared_router import ARGS, Mount, Route, rewritten

__all__ = ["Mount", "Route", "Router"]

HEX = "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"


def callback_of(app):
    def found(**values):
        request.environ["found"].append((app, values))

    return found


class Router:
    def __init__(self, routes):
        self.routes = list(routes)

    @cached_property
    def bottle(self):
        made = Bottle()
        made.router.add_filter("uuid", lambda _: (HEX, UUID, str))
        for one in self.routes:
            if isinstance(one, Mount):
                made.mount(one.prefix, one.app)
            else:
                rule = rewritten(one.pattern, "<name>", "<name:kind>")
                made.route(rule, list(one.methods), callback_of(one.app), name=one.name or None)
        return made

    def __call__(self, environ, start_response):
        found, head = [], []
        body = self.bottle({**environ, "found": found}, lambda *words: head.append(words))
        for app, values in found:
            return app({**environ, ARGS: ((), values)}, start_response)
        start_response(*head[0])
        return body

    def url_for(self, environ, name, /, **values):
        request.bind(environ)
        return self.bottle.get_url(name, **values)
