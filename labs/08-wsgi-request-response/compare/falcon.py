"""Falcon's Request, and its Response as its App sends it. A file of a form is copied from the part's stream.

It closes no files of a form. Its ranges are those of a static route, which opens a file of a folder when it
is asked for one: what the lab calls `file` and `precondition` is left out.
"""

import contextlib
import tempfile
from datetime import UTC, datetime

import falcon
from falcon.media import MultipartFormHandler
from shared_wrappers import HTTPError, Upload, application

__all__ = ["HTTPError", "Request", "Response", "application", "json_response", "redirect"]

REDIRECTS = {
    301: falcon.HTTPMovedPermanently,
    302: falcon.HTTPFound,
    303: falcon.HTTPSeeOther,
    307: falcon.HTTPTemporaryRedirect,
    308: falcon.HTTPPermanentRedirect,
}


@contextlib.contextmanager
def translated():
    try:
        yield
    except falcon.HTTPError as error:
        raise HTTPError(error.status_code, error.title) from error


class Headers:
    def __init__(self, made):
        self.made = made

    def get(self, name, default=None):
        return self.made.get_header(name, default=default)


class Request:
    def __init__(self, environ, max_body=None, max_memory=500_000, max_parts=1000):
        handler = MultipartFormHandler()
        handler.parse_options.max_body_part_count = max_parts
        handler.parse_options.max_body_part_buffer_size = max_memory
        options = falcon.RequestOptions()
        options.media_handlers["multipart/form-data"] = handler
        self.made = one = falcon.Request(environ, options)
        self.method, self.path, self.headers, self.url = one.method, one.path, Headers(one), one.uri
        self.query, self.cookies = {name: one.get_param_as_list(name) for name in one.params}, one.cookies
        self.parsed = None

    @property
    def body(self):
        return self.made.bounded_stream.read()

    def json(self):
        with translated():
            return self.made.get_media()

    def parts(self):
        if self.parsed is None:
            with translated():
                media = self.made.get_media()
                self.parsed = of_media(media) if isinstance(media, dict) else of_parts(media)
        return self.parsed

    @property
    def form(self):
        return self.parts()[0]

    @property
    def files(self):
        return self.parts()[1]


def of_media(media):
    return {name: value if isinstance(value, list) else [value] for name, value in media.items()}, {}


def of_parts(media):
    form, files = {}, {}
    for part in media if not isinstance(media, str) else []:
        if part.filename is None:
            form.setdefault(part.name, []).append(part.get_text())
            continue
        file = tempfile.TemporaryFile()  # noqa: SIM115
        part.stream.pipe(file)
        file.seek(0)
        files.setdefault(part.name, []).append(Upload(part.filename, part.content_type, file))
    return form, files


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
        self.made = made = falcon.Response()
        made.status = status
        text = content_type.startswith("text/")
        made.content_type = f"{content_type}; charset={charset}" if text else content_type
        if isinstance(body, str):
            made.text = body
        elif isinstance(body, bytes):
            made.data = body
        else:
            made.stream = body
        for name, value in map(tuple, headers):
            if name.lower() == "content-type":
                made.content_type = value
            else:
                made.append_header(name, value)
        if etag is not None:
            made.etag = etag
        if modified is not None:
            made.last_modified = datetime.fromtimestamp(modified, UTC)

    def set_cookie(self, name, value="", httponly=False, samesite=None, **attributes):
        words = {"path": "/", "secure": False, **attributes}
        self.made.set_cookie(name, value, http_only=httponly, same_site=samesite, **words)

    def delete_cookie(self, name, path="/", domain=None):
        self.made.unset_cookie(name, domain, path)

    def __call__(self, environ, start_response):
        return served(lambda request, response: None, self.made)(environ, start_response)


def served(responder, made):
    """An App in which every path has this responder, and its response is `made`."""
    app = falcon.App(response_type=lambda options: made)
    app.add_sink(responder)
    return app


def json_response(value, status=200, headers=()):
    response = Response(status=status, headers=headers, content_type=falcon.MEDIA_JSON)
    response.made.data, response.made.media = None, value
    return response


def redirect(location, status=303):
    def responder(request, response):
        raise REDIRECTS[status](location)

    return served(responder, falcon.Response())
