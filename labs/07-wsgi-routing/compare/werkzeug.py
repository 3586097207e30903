"""werkzeug: its Map and MapAdapter, and its DispatcherMiddleware for what is mounted."""

from shared_router import ARGS, Mount, Route
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import Map, Rule, UnicodeConverter

__all__ = ["Mount", "Route", "Router"]


class Router:
    def __init__(self, routes):
        rules = [
            Rule(one.pattern, endpoint=(number, one.app), methods=one.methods)
            for number, one in enumerate(routes)
            if isinstance(one, Route)
        ]
        self.map = Map(rules, converters={"str": UnicodeConverter})
        self.names = {
            one.name: (number, one.app)
            for number, one in enumerate(routes)
            if isinstance(one, Route) and one.name
        }
        mounts = {one.prefix: one.app for one in routes if isinstance(one, Mount)}
        self.whole = DispatcherMiddleware(self.own, mounts)

    def __call__(self, environ, start_response):
        return self.whole(environ, start_response)

    def own(self, environ, start_response):
        try:
            (_, app), values = self.map.bind_to_environ(environ).match()
        except HTTPException as error:
            return error(environ, start_response)
        return app({**environ, ARGS: ((), values)}, start_response)

    def url_for(self, environ, name, /, **values):
        return self.map.bind_to_environ(environ).build(self.names[name], values)
