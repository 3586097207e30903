"""Django: its URL resolver, a View for each route, and the redirect of its CommonMiddleware."""

from functools import partialmethod

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest, get_script_name
from django.http import HttpResponseNotFound
from django.middleware.common import CommonMiddleware
from django.urls import Resolver404, path, resolve, reverse, set_script_prefix
from django.views import View
from shared_router import ARGS, Mount, Route

__all__ = ["Mount", "Route", "Router"]

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="it signs nothing here")


class Found:
    """What a view returns: the application that it stands for, and the values."""

    def __init__(self, app, values):
        self.app, self.values = app, values


def view_of(route):
    def found(self, request, **values):
        return Found(route.app, values)

    methods = {verb.lower(): partialmethod(found) for verb in route.methods}
    return type("RouteView", (View,), methods).as_view()


class Router:
    """It is its own URLconf, and has no place for a Mount: Django includes URLconfs, not applications."""

    def __init__(self, routes):
        self.urlpatterns = [
            path(one.pattern.removeprefix("/"), view_of(one), name=one.name or None)
            for one in routes
            if isinstance(one, Route)
        ]
        self.common = CommonMiddleware(lambda request: None)

    def __call__(self, environ, start_response):
        set_script_prefix(get_script_name(environ))
        request = WSGIRequest(environ)
        request.urlconf = self
        try:
            view, _, values = resolve(request.path_info, self)
            response = view(request, **values)
        except Resolver404:
            response = self.common.process_response(request, HttpResponseNotFound())
        if isinstance(response, Found):
            return response.app({**environ, ARGS: ((), response.values)}, start_response)
        status = f"{response.status_code} {response.reason_phrase}"
        start_response(status, list(response.items()))
        return response

    def url_for(self, environ, name, /, **values):
        set_script_prefix(get_script_name(environ))
        return reverse(name, self, kwargs=values)
