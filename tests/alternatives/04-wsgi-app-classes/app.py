"""A class for each kind of resource, an iterator class for the stream, and no lock around all.

An id comes from itertools.count, whose `next` is one instruction; a task is an object with a lock of its own;
the table of tasks is only ever touched by single operations of dict.
"""

import itertools
import json
import threading

BODY_LIMIT, TITLE_LIMIT, EXPORTS = 64 * 1024, 200, 4
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
    503: "Service Unavailable",
}


class Problem(Exception):
    pass


class Task:
    def __init__(self, number, title, done):
        self.number, self.title, self.done = number, title, done
        self.gone, self.lock = False, threading.Lock()

    def plain(self):
        with self.lock:
            return {"id": self.number, "title": self.title, "done": self.done}


class Tasks:
    def __init__(self):
        self.numbers, self.table = itertools.count(1), {}

    def add(self, title, done=False):
        task = Task(next(self.numbers), title, done)
        self.table[task.number] = task
        return task.plain()

    def all(self):
        return [task.plain() for task in self.table.copy().values()]


tasks = Tasks()
places = threading.Semaphore(EXPORTS)


class Request:
    def __init__(self, environ):
        self.environ, self.method = environ, environ["REQUEST_METHOD"]

    def fields(self, required=()):
        environ = self.environ
        if environ.get("CONTENT_TYPE", "").split(";")[0].strip().casefold() != "application/json":
            raise Problem(415, "JSON, please")
        if environ.get("HTTP_TRANSFER_ENCODING"):
            raise Problem(411, "say how long the body is")
        if not environ.get("CONTENT_LENGTH"):
            raise Problem(411, "say how long the body is")
        try:
            length = int(environ.get("CONTENT_LENGTH") or 0)
        except ValueError:
            raise Problem(400, "what a length") from None
        if length > BODY_LIMIT:
            environ["wsgi.input"].read(min(length, 2 * BODY_LIMIT))
            raise Problem(413, "too much")
        data = environ["wsgi.input"].read(max(0, length))
        if len(data) < length:
            raise Problem(400, "where is the rest?")
        try:
            value = json.loads(data.decode())
        except (ValueError, RecursionError):
            raise Problem(400, "no JSON") from None
        return self.checked(value, required)

    def checked(self, value, required):
        if not isinstance(value, dict):
            raise Problem(400, "no object")
        said = {key: value[key] for key in ("title", "done") if key in value}
        if not said or any(key not in said for key in required):
            raise Problem(400, "something is missing")
        if type(said.get("done", True)) is not bool:
            raise Problem(400, "done is a bool")
        title = said.get("title", "x")
        if not isinstance(title, str) or not 1 <= len(title) <= TITLE_LIMIT or title.isspace():
            raise Problem(400, "title is text")
        if title.encode("utf-8", "replace").decode() != title:
            raise Problem(400, "title is half a character")
        return said


class Resource:
    def __init__(self, request):
        self.request = request

    def methods(self):
        found = [name for name in ("GET", "POST", "PUT", "PATCH", "DELETE") if hasattr(self, name.lower())]
        return [*found, "HEAD"]

    def answer(self):
        method = "GET" if self.request.method == "HEAD" else self.request.method
        if method not in self.methods():
            raise Problem(405, "not so", ("Allow", ", ".join(self.methods())))
        return getattr(self, method.lower())()


class All(Resource):
    def get(self):
        return 200, tasks.all(), ()

    def post(self):
        task = tasks.add(**self.request.fields(required=["title"]))
        return 201, task, [("Location", f"http://{self.request.environ['HTTP_HOST']}/tasks/{task['id']}")]


class One(Resource):
    def __init__(self, request, number):
        super().__init__(request)
        self.task = tasks.table.get(number)
        if self.task is None:
            raise Problem(404, "no such task")

    def get(self):
        return 200, self.task.plain(), ()

    def patch(self):
        said = self.request.fields()
        with self.task.lock:
            if self.task.gone:
                raise Problem(404, "gone meanwhile")
            self.task.__dict__.update(said)
        return 200, self.task.plain(), ()

    put = patch

    def delete(self):
        with self.task.lock:
            if self.task.gone:
                raise Problem(404, "gone already")
            self.task.gone = True
        tasks.table.pop(self.task.number)
        return 204, None, ()


class Export(Resource):
    def get(self):
        if not places.acquire(blocking=False):
            raise Problem(503, "busy", ("Retry-After", "2"))
        return 200, Lines(), [("Content-Type", "text/csv; charset=utf-8")]


class Lines:
    """An iterator with a close of its own: it can be closed before it began, and more than once."""

    def __init__(self):
        self.left, self.mine = iter(["id,title,done", *tasks.table.copy().values()]), [True]

    def __iter__(self):
        return self

    def __next__(self):
        item = next(self.left)
        if isinstance(item, Task):
            row = item.plain()
            title = '"' + row["title"].replace('"', '""') + '"'
            item = f"{row['id']},{title},{str(row['done']).lower()}"
        return item.encode() + b"\r\n"

    def close(self):
        if self.mine:
            self.mine.pop()
            places.release()


def find(request):
    match request.environ.get("PATH_INFO", "").split("/"):
        case ["", "tasks"]:
            return All(request)
        case ["", "tasks.csv"]:
            return Export(request)
        case ["", "tasks", number] if number.isascii() and number.isdigit() and len(number) < 20:
            return One(request, int(number))
    raise Problem(404, "nothing here")


class application:
    """Called with environ and start_response, it makes an object; that object is the iterable."""

    def __init__(self, environ, start_response):
        request = Request(environ)
        try:
            code, value, headers = find(request).answer()
        except Problem as problem:
            code, why, *headers = problem.args
            value = {"error": why}
        self.body = value if isinstance(value, Lines) else self.encoded(value)
        if value is not None and not isinstance(value, Lines):
            headers = [*headers, ("Content-Type", "application/json; charset=utf-8")]
        start_response(f"{code} {REASONS[code]}", list(headers))
        self.silent = request.method == "HEAD"

    def encoded(self, value):
        return iter([] if value is None else [json.dumps(value, ensure_ascii=False).encode()])

    def __iter__(self):
        return iter([]) if self.silent else self.body

    def close(self):
        if isinstance(self.body, Lines):
            self.body.close()
