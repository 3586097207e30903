"""The oracle of lab 8: werkzeug's request and response, Django's preconditions, behind the lab's names."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any
from wsgiref.util import request_uri

import django.conf
from django.http import HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from task_store import Tasks, checked, csv_row
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date
from werkzeug.utils import redirect as werkzeug_redirect
from werkzeug.wrappers import Request as WerkzeugRequest
from werkzeug.wrappers import Response as WerkzeugResponse
from werkzeug.wsgi import FileWrapper

if not django.conf.settings.configured:
    django.conf.settings.configure()


TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class HTTPError(Exception):
    def __init__(self, status: int, why: str, headers: Any = ()) -> None:
        super().__init__(why)
        self.status, self.headers = status, headers


class Upload:
    def __init__(self, storage: Any) -> None:
        self.filename, self.file = storage.filename, storage.stream
        self.content_type = storage.content_type


def translated(function: Any) -> Any:
    """werkzeug's HTTP exceptions as the lab's."""
    try:
        return function()
    except HTTPException as error:
        raise HTTPError(error.code or 500, error.description or "") from error
    except ValueError as error:
        raise HTTPError(400, str(error)) from error


class Request:
    def __init__(
        self, environ: Any, max_body: int = 1 << 24, max_memory: int = 500_000, max_parts: int = 1000
    ) -> None:
        self.environ = environ
        self._request = WerkzeugRequest(environ)
        self._request.max_content_length = max_body
        self._request.max_form_memory_size = max_memory
        self._request.max_form_parts = max_parts
        self.method, self.path = self._request.method, self._request.path
        self.headers = self._request.headers
        self.query = dict(self._request.args.lists())
        self.cookies = self._request.cookies.to_dict()
        self.url = request_uri(environ)

    def _checked(self) -> None:
        """What werkzeug forgives: a Content-Length that is no number, a multipart that says no boundary."""
        if not re.fullmatch("[0-9]*", self.environ.get("CONTENT_LENGTH") or ""):
            raise HTTPError(400, "Content-Length is no number")
        if (self._request.content_length or 0) > (self._request.max_content_length or 0):
            raise HTTPError(413, "too long")
        urlencoded = self._request.mimetype == "application/x-www-form-urlencoded"
        if urlencoded and (self._request.content_length or 0) > (self._request.max_form_memory_size or 0):
            raise HTTPError(413, "too much for memory")
        multipart = self._request.mimetype == "multipart/form-data"
        if multipart and not self._request.mimetype_params.get("boundary"):
            raise HTTPError(400, "no boundary")

    @property
    def body(self) -> bytes:
        self._checked()
        return bytes(translated(self._request.get_data))

    def json(self) -> Any:
        return translated(self._request.get_json)

    def _form(self, name: str) -> Any:
        self._checked()
        # werkzeug is silent about a broken form, unless its parser is told not to be.
        parser = self._request.make_form_data_parser()
        parser.silent = False
        self._request.make_form_data_parser = lambda: parser  # type: ignore[method-assign]
        found = translated(lambda: getattr(self._request, name))
        self._counted(self._request.form)
        return found

    def _counted(self, form: Any) -> None:
        """werkzeug counts each field alone, and no urlencoded ones; the lab's limits are for all together."""
        values = [value for _, value in form.items(multi=True)]
        if len(values) > (self._request.max_form_parts or 0):
            raise HTTPError(413, "too many fields")
        if sum(len(value.encode()) for value in values) > (self._request.max_form_memory_size or 0):
            raise HTTPError(413, "too much for memory")

    @property
    def form(self) -> Any:
        return dict(self._form("form").lists())

    @property
    def files(self) -> Any:
        return {name: [Upload(one) for one in many] for name, many in self._form("files").lists()}

    def close(self) -> None:
        self._request.close()


class Response:
    def __init__(
        self,
        body: Any = b"",
        status: int = 200,
        headers: Any = (),
        content_type: str = "text/plain",
        charset: str = "utf-8",
        etag: str | None = None,
        modified: float | None = None,
    ) -> None:
        if content_type.startswith("text/"):
            content_type += f"; charset={charset}"
        # werkzeug looks at values only; it leaves names to the server.
        if any(not TOKEN.fullmatch(name) for name, _ in map(tuple, headers)):
            raise ValueError("no name for a header")
        # werkzeug prefers the argument.
        said = (value for name, value in map(tuple, headers) if name.lower() == "content-type")
        content_type = next(said, content_type)
        body = body.encode(charset) if isinstance(body, str) else body
        self.whole = isinstance(body, bytes)
        self.size = len(body) if isinstance(body, bytes) else None
        self.response = WerkzeugResponse(
            body, status, [tuple(pair) for pair in headers], content_type=content_type
        )
        if status == 204:
            del self.response.headers["Content-Type"]
        self.etag, self.modified = etag, modified
        if etag is not None:
            self.response.headers["ETag"] = etag
        if modified is not None:
            self.response.headers["Last-Modified"] = http_date(modified)

    def set_cookie(self, name: str, value: str = "", **attributes: Any) -> None:
        if not TOKEN.fullmatch(name):
            raise ValueError("no name for a cookie")
        self.response.set_cookie(name, value, **attributes)

    def delete_cookie(self, name: str, **attributes: Any) -> None:
        self.response.delete_cookie(name, **attributes)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        if self.response.status_code == 200 and request.method in ("GET", "HEAD"):
            instead = precondition(request, self.etag, self.modified)
            if instead:
                self.response.close()
                self.response.set_data(b"")
                self.response.status_code = instead
                return self.response(environ, start_response)
            if request.method == "GET" and self.size is not None:
                try:
                    self.response.make_conditional(
                        without(environ, self.size, self.modified), True, self.size
                    )
                except HTTPException as error:
                    self.response.close()
                    return error.get_response(environ)(environ, start_response)
        return self.response(environ, start_response)


def without(environ: Any, size: int, modified: float | None) -> Any:
    """An environ without the preconditions: they were asked already.

    werkzeug answers 416 when the last 99 of 10 bytes are asked for; RFC 9110 §14.1.2 says: all of them.
    """
    suffix = re.fullmatch("bytes=-([0-9]+)", environ.get("HTTP_RANGE", ""))
    if suffix and (len(suffix[1]) > 18 or int(suffix[1]) > size):
        environ = environ | {"HTTP_RANGE": "bytes=0-"}
    # It answers 416 to an unknown unit as well (§14.2: ignore it), and takes a weak tag in If-Range
    # (§13.1.5: compare strongly), or a date after Last-Modified (§13.1.5: exactly that date).
    condition = environ.get("HTTP_IF_RANGE", '"')
    other_date = '"' not in condition and (modified is None or condition != http_date(modified))
    if (
        condition.startswith("W/")
        or other_date
        or not environ.get("HTTP_RANGE", "bytes=").startswith("bytes=")
    ):
        environ = {key: value for key, value in environ.items() if key != "HTTP_RANGE"}
    asked = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE")
    return {key: value for key, value in environ.items() if key not in asked}


def without_commas(field: Any) -> Any:
    """Django splits a list of tags at every comma; RFC 9110 §8.8.3 lets one stand in a tag."""
    return re.sub('"[^"]*"', lambda tag: tag[0].replace(",", "!"), field) if isinstance(field, str) else field


def precondition(request: Request, etag: str | None, modified: float | None) -> int:
    asked = HttpRequest()
    asked.method = request.method
    asked.META = {key: without_commas(value) for key, value in request.environ.items()}
    etag = etag and without_commas(etag)
    at = None if modified is None else int(modified)
    answer = get_conditional_response(asked, etag, at, HttpResponse())
    return answer.status_code if answer is not None and answer.status_code != 200 else 0


def json_response(value: Any, status: int = 200, headers: Any = ()) -> Response:
    return Response(json.dumps(value).encode(), status, headers, "application/json")


def redirect(location: str, status: int = 303) -> Response:
    found = werkzeug_redirect(location, status)
    return Response(b"", status, [("Location", found.headers["Location"])])


def file(path: Any, content_type: str | None = None) -> Response:
    try:
        stat = Path(path).stat()
        opened = Path(path).open("rb")  # noqa: SIM115
    except OSError as error:
        raise HTTPError(404, "there is no such file") from error
    response = Response(
        opened, content_type=content_type or "image/png", etag=f'"{stat.st_mtime_ns}"', modified=stat.st_mtime
    )
    response.size = stat.st_size
    response.response.content_length = stat.st_size
    response.response.direct_passthrough = True
    response.response.response = FileWrapper(opened)
    return response


def wsgi(handler: Any) -> Any:
    def application(environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        try:
            response = handler(request)
        except HTTPError as error:
            response = json_response({"error": str(error)}, error.status, error.headers)
        response.response.call_on_close(request.close)
        return response(environ, start_response)

    return application


tasks, lock = Tasks(), threading.Lock()


def api(request: Request) -> Response:
    """The tasks API, as one function."""
    number = re.fullmatch("/tasks/([0-9]+)", request.path)
    method = request.method.replace("HEAD", "GET")
    with lock:
        try:
            if request.path == "/tasks" and method == "GET":
                return json_response(tasks.all())
            if request.path == "/tasks" and method == "POST":
                task = tasks.add(checked(request.json(), new=True))
                return json_response(task, 201, [("Location", f"/tasks/{task['id']}")])
            if request.path == "/tasks.csv":
                rows = ["id,title,done\r\n", *map(csv_row, tasks.all())]
                return Response([row.encode() for row in rows], content_type="text/csv")
            if number and method == "GET":
                return json_response(tasks.get(int(number[1])))
            if number and method in ("PATCH", "PUT"):
                return json_response(tasks.change(int(number[1]), checked(request.json())))
            if number and method == "DELETE":
                tasks.delete(int(number[1]))
                return Response(status=204)
        except KeyError as error:
            raise HTTPError(404, f"there is no task {number and number[1]}") from error
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
    if number:
        raise HTTPError(405, "no", [("Allow", "GET, HEAD, PUT, PATCH, DELETE")])
    raise HTTPError(404, f"there is nothing at {request.path}")


application = wsgi(api)
