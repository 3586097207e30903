"""Lab 8 with what the standard library has: email's headers, SimpleCookie, wsgiref, multipart by lines.

A form is read line by line; a Response decides everything in one function and sends from one generator.
"""

import io
import json
import mimetypes
import re
import tempfile
import threading
from email.message import Message
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote
from wsgiref.util import request_uri

from task_store import Tasks, checked, csv_row


class HTTPError(Exception):
    def __init__(self, status, why, headers=()):
        super().__init__(why)
        self.status, self.headers = status, headers


class Upload:
    def __init__(self, filename, content_type, file):
        self.filename, self.content_type, self.file = filename, content_type, file


class Headers(dict):
    """Lists of values by name in lower case."""

    def __contains__(self, name):
        return super().__contains__(name.lower())

    def get(self, name, default=None):
        return super().get(name.lower(), [default])[0]

    def getlist(self, name):
        return super().get(name.lower(), [])


def utf8(text):
    return text.encode("latin-1").decode("utf-8", "replace")


def parameters(field):
    message = Message()
    message["Content-Type"] = field
    return {
        key.lower(): value.replace("%22", '"') for key, value in message.get_params(header="Content-Type")[1:]
    }


class Request:
    def __init__(self, environ, max_body=1 << 24, max_memory=500_000, max_parts=1000):
        self.environ, self.limits = environ, (max_body, max_memory, max_parts)
        self.method, self.path = environ["REQUEST_METHOD"], utf8(environ.get("PATH_INFO", ""))
        self.url = request_uri(environ)
        self.query = parse_qs(utf8(environ.get("QUERY_STRING", "")), keep_blank_values=True)
        names = {key: key[5:] for key in environ if key.startswith("HTTP_")}
        names |= {key: key for key in ("CONTENT_TYPE", "CONTENT_LENGTH") if environ.get(key)}
        self.headers = Headers({to.lower().replace("_", "-"): [environ[key]] for key, to in names.items()})
        self.cookies = {}
        for item in environ.get("HTTP_COOKIE", "").split(";"):
            name, equals, value = item.strip().partition("=")
            if equals:
                if value[:1] == '"':
                    value = SimpleCookie(f"x={value}")["x"].value
                self.cookies.setdefault(name, utf8(value))

    @property
    def body(self):
        return self.read().getvalue()

    def read(self):
        """All of the body, as a file; the first time decides."""
        if "input" not in self.__dict__:
            data = self.environ["wsgi.input"].read(self.length()) if self.length() else b""
            while len(data) < self.length() and (
                more := self.environ["wsgi.input"].read(self.length() - len(data))
            ):
                data += more
            if len(data) < self.length():
                raise HTTPError(400, "the body is too short")
            self.input = io.BytesIO(data)
        return self.input

    def length(self):
        said = self.environ.get("CONTENT_LENGTH") or "0"
        if not said.isdigit():
            raise HTTPError(400, "Content-Length is no number")
        if int(said) > self.limits[0]:
            raise HTTPError(413, "the body is too long")
        return int(said)

    def json(self):
        if (self.headers.get("Content-Type") or "").partition(";")[0].strip().lower() != "application/json":
            raise HTTPError(415, "send JSON")
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise HTTPError(400, "no JSON") from None

    form = property(lambda self: self.parsed()[0])
    files = property(lambda self: self.parsed()[1])

    def parsed(self):
        if "_parsed" not in self.__dict__:
            kind = (self.headers.get("Content-Type") or "").partition(";")[0].lower()
            self._parsed = {}, {}
            if kind == "application/x-www-form-urlencoded":
                if self.length() > self.limits[1]:
                    raise HTTPError(413, "the form is too long")
                try:
                    parsed = parse_qs(self.body.decode(), True, max_num_fields=self.limits[2])
                except ValueError:
                    raise HTTPError(413, "too many fields") from None
                self._parsed = parsed, {}
            elif kind == "multipart/form-data":
                self._parsed = self.multipart()
            elif kind:
                raise HTTPError(415, "send a form")
        return self._parsed

    def multipart(self):
        mark = parameters(self.headers.get("Content-Type")).get("boundary", "")
        if not mark:
            raise HTTPError(400, "no boundary")
        lines = self.lines(self.length())
        end, form, files, count, memory = b"--" + mark.encode(), {}, {}, 0, 0
        whole = next((line for line in lines if line.startswith(end)), b"")
        while not whole.startswith(end + b"--"):
            count += 1
            if count > self.limits[2]:
                raise HTTPError(413, "too many parts")
            head, size = {}, 0
            for line in lines:
                size += len(line)
                if size >= 1 << 16:
                    raise HTTPError(413, "a long header of a part")
                name, _, value = line.decode().partition(":")
                if line == b"\r\n":
                    break
                head[name.lower()] = value.strip()
            about = parameters(head.get("content-disposition", ""))
            if "name" not in about:
                raise HTTPError(400, "a part without a name")
            into = tempfile.TemporaryFile() if "filename" in about else io.BytesIO()  # noqa: SIM115
            held, fresh = b"", True
            for whole in lines:
                if fresh and whole.startswith(end) and held in (b"\r\n", b"", b"\n"):
                    break
                # The line break before a boundary belongs to it: the last two bytes wait.
                data = held + whole
                cut = len(data) - 2 if data.endswith(b"\r\n") else len(data) - data.endswith(b"\r")
                into.write(data[:cut])
                held, fresh = data[cut:], data.endswith(b"\r\n")
                memory += 0 if "filename" in about else len(whole)
                if memory > self.limits[1]:
                    raise HTTPError(413, "too much for memory")
            into.seek(0)
            if "filename" in about:
                files.setdefault(about["name"], []).append(
                    Upload(about["filename"], head.get("content-type", ""), into)
                )
            else:
                form.setdefault(about["name"], []).append(into.read().decode())
        return form, files

    def lines(self, left):
        """Lines of at most 64 KiB, to the body's end, whatever sizes the stream gives them in."""
        source = self.input if "input" in self.__dict__ else self.environ["wsgi.input"]
        line = b""
        while left and (more := source.readline(min(left, 1 << 16))):
            left -= len(more)
            line += more
            if line.endswith(b"\n") or len(line) >= 1 << 16:
                yield line
                line = b""
        if line:
            yield line
        # Who met the last boundary has stopped asking.
        raise HTTPError(400, "the form ends before its last boundary")

    def close(self):
        for uploads in self.__dict__.get("_parsed", ({}, {}))[1].values():
            for upload in uploads:
                upload.file.close()


def fine(text):
    if re.search("[\x00-\x08\x0a-\x1f\x7f]", str(text)):
        raise ValueError(f"{text!r} in a header")
    return str(text)


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
        self.body = body.encode(charset) if isinstance(body, str) else body
        kind = content_type + (f"; charset={charset}" if content_type.startswith("text/") else "")
        self.status, self.etag, self.modified, self.then = status, etag, modified, None
        self.headers = [(fine(name), fine(value)) for name, value in headers]
        if "content-type" not in [name.lower() for name, _ in self.headers]:
            self.headers.insert(0, ("Content-Type", fine(kind)))
        self.headers += [("ETag", fine(etag))] if etag else []
        self.headers += (
            [("Last-Modified", formatdate(int(modified), usegmt=True))] if modified is not None else []
        )

    def set_cookie(self, name, value="", **attributes):
        attributes = {"path": "/"} | attributes
        jar = SimpleCookie()
        try:
            jar[name] = fine(value).encode().decode("latin-1")
        except CookieError as error:
            raise ValueError(str(error)) from None
        for key, given in attributes.items():
            if ";" in fine(given):
                raise ValueError("a semicolon in an attribute")
            jar[name][key.replace("_", "-")] = given or (0 if given == 0 and given is not False else "")
        line = jar[name].OutputString()
        self.headers.append(
            (
                "Set-Cookie",
                line + ("; Max-Age=0" if attributes.get("max_age") == 0 and "Max-Age" not in line else ""),
            )
        )

    def delete_cookie(self, name, path="/", domain=None):
        self.set_cookie(name, path=path, domain=domain or "", expires=-1)  # a second ago

    def decide(self, request):
        """Status, more headers, and the first byte and the one after the last."""
        sized = isinstance(self.body, bytes | Opened)
        size = len(self.body) if sized else None
        whole = self.status, [("Content-Length", str(size))] if sized else [], 0, size
        if self.status != 200 or request.method not in ("GET", "HEAD"):
            return whole
        if (self.etag or self.modified is not None) and (
            no := precondition(request, self.etag, self.modified)
        ):
            return no, [], 0, 0
        found = re.fullmatch("bytes=(?!-$)([0-9]{0,18})-([0-9]{0,18})", request.headers.get("Range", ""))
        condition = request.headers.get("If-Range")
        dates = [value for name, value in self.headers if name == "Last-Modified"]
        if not (sized and found and request.method == "GET" and (condition in (None, self.etag, *dates))):
            return whole
        if found[0] == "bytes=-" or (found[1] and found[2] and int(found[1]) > int(found[2])):
            return whole
        start, stop = (
            (int(found[1]), int(found[2] or size) + 1) if found[1] else (max(0, size - int(found[2])), size)
        )
        stop = min(stop, size)
        if start >= stop:
            return 416, [("Content-Range", f"bytes */{size}")], 0, 0
        about = [("Content-Range", f"bytes {start}-{stop - 1}/{size}"), ("Content-Length", str(stop - start))]
        return 206, about, start, stop

    def __call__(self, environ, start_response):
        status, more, start, stop = self.decide(Request(environ))
        drop = ("content-type", "content-length") if status in (204, 304) else ()
        headers = [pair for pair in [*self.headers, *more] if pair[0].lower() not in drop]
        start_response(f"{status} {HTTPStatus(status).phrase}", headers)
        none = environ["REQUEST_METHOD"] == "HEAD" or status in (204, 304, 412, 416)
        return Sent(self, none, start, stop)


class Sent:
    def __init__(self, response, none, start, stop):
        self.response, self.none, self.start, self.stop = response, none, start, stop

    def __iter__(self):
        body = self.response.body
        if self.none:
            return
        if isinstance(body, bytes):
            yield body[self.start : self.stop]
        elif isinstance(body, Opened):
            body.file.seek(self.start)
            while self.start < self.stop:
                data = body.file.read(min(8192, self.stop - self.start))
                self.start += len(data)
                yield data
        else:
            yield from body

    def close(self):
        for one in (self.response.body, self.response.then):
            if hasattr(one, "close"):
                one.close()


class Opened:
    def __init__(self, path):
        self.file, self.size = Path(path).open("rb"), Path(path).stat().st_size  # noqa: SIM115
        self.close = self.file.close

    def __len__(self):
        return self.size


def precondition(request, etag, modified):
    ask = request.headers.get
    get, at = request.method in ("GET", "HEAD"), None if modified is None else int(modified)

    def known(field, weak):
        """Whether the tag is in the list, by spelling; for a weak comparison without the W/."""
        listed = re.findall('(?:W/)?"[^"]*"', field)
        if weak:
            return (etag or "").removeprefix("W/") in [one.removeprefix("W/") for one in listed]
        return not (etag or "").startswith("W/") and etag in listed

    def when(name):
        try:
            return parsedate_to_datetime(ask(name)).timestamp()
        except (TypeError, ValueError):
            return None

    if ask("If-Match"):
        if ask("If-Match") != "*" and not known(ask("If-Match"), weak=False):
            return 412
    elif at and when("If-Unmodified-Since") is not None and at > when("If-Unmodified-Since"):
        return 412
    if ask("If-None-Match"):
        if ask("If-None-Match") == "*" or known(ask("If-None-Match"), weak=True):
            return 304 if get else 412
    elif get and at and when("If-Modified-Since") is not None and at <= when("If-Modified-Since"):
        return 304
    return 0


def json_response(value, status=200, headers=()):
    return Response(json.dumps(value), status, headers, "application/json")


def redirect(location, status=303):
    return Response(status=status, headers=[("Location", quote(fine(location), safe=":/?#[]@!$&'()*+,;=~%"))])


def file(path, content_type=None):
    guessed, packed = (content_type, None) if content_type else mimetypes.guess_type(path)
    # RFC 9110 §8.4: a type with its coding, or the bytes as they are.
    coding = [("Content-Encoding", "gzip")] if packed == "gzip" else []
    kind = guessed if guessed and packed in (None, "gzip") else "application/octet-stream"
    try:
        body = Opened(path)
    except OSError:
        raise HTTPError(404, "no such file") from None
    stat = Path(path).stat()
    tag, changed = f'"{stat.st_mtime_ns}"', stat.st_mtime
    return Response(body, headers=coding, content_type=kind, etag=tag, modified=changed)


def wsgi(handler):
    def application(environ, start_response):
        request = Request(environ)
        try:
            response = handler(request)
        except HTTPError as error:
            response = json_response({"error": str(error)}, error.status, error.headers)
        response.then = request
        return response(environ, start_response)

    return application


class Api:
    """The tasks API: a method for each method; the path's two shapes told apart inside."""

    def __init__(self):
        self.tasks, self.lock = Tasks(), threading.Lock()

    def __call__(self, request):
        found = re.fullmatch(r"/tasks(?:/([0-9]+)|(\.csv))?", request.path)
        if not found:
            raise HTTPError(404, "nothing here")
        allowed = "GET HEAD PUT PATCH DELETE" if found[1] else "GET HEAD" if found[2] else "GET HEAD POST"
        if request.method not in allowed.split():
            raise HTTPError(405, "not that", [("Allow", allowed.replace(" ", ", "))])
        try:
            with self.lock:
                return getattr(self, request.method.lower().replace("head", "get"))(request, found)
        except KeyError:
            raise HTTPError(404, "no such task") from None
        except ValueError as error:
            raise HTTPError(400, str(error)) from None

    def get(self, request, found):
        if found[2]:
            rows = ["id,title,done\r\n", *map(csv_row, self.tasks.all())]
            return Response((row.encode() for row in rows), content_type="text/csv")
        return json_response(self.tasks.get(int(found[1])) if found[1] else self.tasks.all())

    def post(self, request, found):
        task = self.tasks.add(checked(request.json(), new=True))
        return json_response(task, 201, [("Location", f"/tasks/{task['id']}")])

    def patch(self, request, found):
        return json_response(self.tasks.change(int(found[1]), checked(request.json())))

    put = patch

    def delete(self, request, found):
        self.tasks.delete(int(found[1]))
        return Response(status=204)


application = wsgi(Api())
