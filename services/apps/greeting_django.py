"""The greeting, written with Django, in one file. `application` is a WSGI callable: serve it, or call it."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.http import require_POST, require_safe

TEXT = "text/plain; charset=utf-8"

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="it signs nothing here",
    )


@require_safe
def greet(request: HttpRequest) -> HttpResponse:
    """GET /?name=Ada answers Hello, Ada!"""
    return HttpResponse(f"Hello, {request.GET.get('name', 'world')}!\n", content_type=TEXT)


@require_POST
def upper(request: HttpRequest) -> HttpResponse:
    """The request's body in upper case."""
    return HttpResponse(request.body.upper(), content_type=TEXT)


@require_safe
def letters(request: HttpRequest) -> StreamingHttpResponse:
    """The letters of `name`, each a chunk of its own, made when it is asked for."""
    name = request.GET.get("name", "world")
    return StreamingHttpResponse((letter.encode() for letter in name), content_type=TEXT)


urlpatterns = [path("", greet), path("upper", upper), path("letters", letters)]
application = get_wsgi_application()
