"""werkzeug's Request and Response, its make_conditional and its send_file. Flask's own JSON is left out."""

import contextlib
from datetime import UTC, datetime

from shared_wrappers import HTTPError, Upload, application
from werkzeug import utils, wrappers
from werkzeug.exceptions import HTTPException

__all__ = ["HTTPError", "Request", "Response", "application", "file", "precondition", "redirect"]


@contextlib.contextmanager
def translated():
    """werkzeug's HTTP exceptions as the lab's."""
    try:
        yield
    except HTTPException as error:
        raise HTTPError(error.code, error.description) from error


class Request:
    def __init__(self, environ, max_body=1 << 24, max_memory=500_000, max_parts=1000):
        self.made = one = wrappers.Request(environ)
        one.max_content_length, one.max_form_memory_size, one.max_form_parts = max_body, max_memory, max_parts
        self.method, self.path, self.url, self.headers = one.method, one.path, one.url, one.headers
        self.query, self.cookies = one.args.to_dict(flat=False), one.cookies.to_dict()

    @property
    def body(self):
        with translated():
            return self.made.get_data()

    def json(self):
        with translated():
            return self.made.get_json()

    @property
    def form(self):
        with translated():
            return self.made.form.to_dict(flat=False)

    @property
    def files(self):
        with translated():
            found = self.made.files.lists()
        return {
            name: [Upload(one.filename, one.content_type, one.stream) for one in many] for name, many in found
        }

    def close(self):
        self.made.close()


def with_validators(made, etag, modified):
    if etag is not None:
        made.headers["ETag"] = etag
    if modified is not None:
        made.last_modified = datetime.fromtimestamp(modified, UTC)
    return made


class Response:
    """Text is UTF-8 always: werkzeug has no other charset."""

    def __init__(
        self, body=b"", status=200, headers=(), content_type=None, charset="utf-8", etag=None, modified=None
    ):
        pairs = [tuple(pair) for pair in headers]
        made = wrappers.Response(body, status, pairs, mimetype=content_type)
        self.made = with_validators(made, etag, modified)
        self.size = len(self.made.data) if isinstance(body, str | bytes) else None

    def set_cookie(self, name, value="", **attributes):
        self.made.set_cookie(name, value, **attributes)

    def delete_cookie(self, name, path="/", domain=None):
        self.made.delete_cookie(name, path, domain)

    def __call__(self, environ, start_response):
        made = self.made
        try:
            if made.status_code == 200 and self.size is not None:
                made.make_conditional(environ, True, self.size)
        except HTTPException as error:
            made.close()  # as send_file does
            made = error
        return made(environ, start_response)


def precondition(request, etag, modified):
    made = with_validators(wrappers.Response(), etag, modified).make_conditional(request.made.environ)
    return 0 if made.status_code == 200 else made.status_code


def redirect(location, status=303):
    return utils.redirect(location, status)


def file(path, content_type=None):
    response = Response()
    try:
        response.made = utils.send_file(path, {"REQUEST_METHOD": "GET"}, content_type, conditional=False)
    except OSError as error:
        raise HTTPError(404, "there is no such file") from error
    response.size = response.made.content_length
    return response
