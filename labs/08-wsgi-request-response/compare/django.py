"""Django's WSGIRequest and HttpResponse, behind its CommonMiddleware and ConditionalGetMiddleware.

Its limits are settings, so they are set before a form is read. It has no JSON of a request and no ranges.
"""

import contextlib
from pathlib import Path

import django
from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.handlers.wsgi import WSGIRequest
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.http.multipartparser import MultiPartParserError
from django.middleware.common import CommonMiddleware
from django.middleware.http import ConditionalGetMiddleware
from django.utils.cache import get_conditional_response
from django.utils.http import http_date
from django.views.static import serve
from shared_wrappers import HTTPError, Upload, application

__all__ = [
    "HTTPError",
    "Request",
    "Response",
    "application",
    "file",
    "json_response",
    "precondition",
    "redirect",
]

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], SECRET_KEY="it signs nothing here")
    django.setup()


@contextlib.contextmanager
def translated():
    """What Django's handler answers with 400."""
    try:
        yield
    except (SuspiciousOperation, BadRequest, MultiPartParserError) as error:
        raise HTTPError(400, str(error)) from error


class Request:
    def __init__(self, environ, max_body=1 << 24, max_memory=500_000, max_parts=1000):
        self.made = one = WSGIRequest(environ)
        self.limits = max_body, max_memory, max_parts
        self.method, self.path, self.headers = one.method, one.path_info, one.headers
        self.url = one.build_absolute_uri()
        self.query, self.cookies = dict(one.GET.lists()), one.COOKIES

    @property
    def body(self):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = self.limits[0]
        with translated():
            return self.made.body

    def parsed(self):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = self.limits[1]
        settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = settings.DATA_UPLOAD_MAX_NUMBER_FILES = self.limits[2]
        with translated():
            return self.made.POST, self.made.FILES

    @property
    def form(self):
        return dict(self.parsed()[0].lists())

    @property
    def files(self):
        found = self.parsed()[1].lists()
        return {name: [Upload(one.name, one.content_type, one.file) for one in many] for name, many in found}

    def close(self):
        self.made.close()


class Response:
    def __init__(
        self,
        body=b"",
        status=200,
        headers=(),
        content_type="text/plain",
        charset="utf-8",
        etag=None,
        modified=None,
    ):
        kind = StreamingHttpResponse if not isinstance(body, str | bytes) else HttpResponse
        said = f"{content_type}; charset={charset}" if content_type.startswith("text/") else content_type
        self.made = kind(body, content_type=said, status=status)
        for name, value in map(tuple, headers):
            self.made.headers[name] = value
        if etag is not None:
            self.made.headers["ETag"] = etag
        if modified is not None:
            self.made.headers["Last-Modified"] = http_date(modified)

    def set_cookie(self, name, value="", **attributes):
        self.made.set_cookie(name, value, **attributes)

    def delete_cookie(self, name, path="/", domain=None):
        self.made.delete_cookie(name, path, domain)

    def __call__(self, environ, start_response):
        kept, self.made = [self.made], None  # as in Django, nothing else keeps what a middleware replaces
        inner = ConditionalGetMiddleware(lambda request: kept.pop())
        sent = CommonMiddleware(inner)(WSGIRequest(environ))
        cookies = [("Set-Cookie", one.output(header="").strip()) for one in sent.cookies.values()]
        start_response(f"{sent.status_code} {sent.reason_phrase}", [*sent.items(), *cookies])
        return sent


def of(made):
    response = Response()
    response.made = made
    return response


def precondition(request, etag, modified):
    answer = get_conditional_response(request.made, etag, modified, HttpResponse())
    return 0 if answer.status_code == 200 else answer.status_code


def json_response(value, status=200, headers=()):
    return of(JsonResponse(value, safe=False, status=status, headers=dict(map(tuple, headers))))


def redirect(location, status=303):
    return of(HttpResponseRedirect(location, status=status))


def file(path, content_type=None):
    try:
        return of(serve(HttpRequest(), Path(path).name, Path(path).parent))
    except Http404 as error:
        raise HTTPError(404, str(error)) from error
