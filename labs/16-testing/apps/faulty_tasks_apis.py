"""A line-up of tasks APIs, some right and some with one fault; nobody can tell which from their names.

    POST /open      {"shape": "flask", "fault": "forgets a deletion"}    201, {"name": "5f0c…"}
    any other       X-Lineup: 5f0c…/3                                    answered by that API, its third copy
                    X-Lineup-Method: BREW                                as if its method were that

A right one comes in three shapes. They differ in all that the contract (labs/16-testing/test_tasks.py) leaves
open: ids, order, further keys and headers, a charset, the words of an error. Each copy begins empty, so that
each test has an API of its own. The fault is one of FAULTS, or "" for none.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.responses import Response as Answered
from starlette.routing import Route
from werkzeug.test import EnvironBuilder, run_wsgi_app

Task = dict[str, Any]
Scope = dict[str, Any]
Event = dict[str, Any]
Asgi = Callable[[Scope, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]]

FAULTS = (
    "forgets a deletion",
    "deletes every task",
    "changes every task",
    "a change resets what it does not name",
    "finds a task that is not there",
    "takes a title that says nothing",
    "keeps what it refuses",
    "a wrong method is told nothing",
    "spoils text",
    "gives an id again",
    "points elsewhere",
)


class Refused(Exception):
    """A request that gets an error: its status and a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Store:
    """Tasks by id, as the path has it. `fault` may make it a bad one."""

    def __init__(self, ids: Iterator[Any], fault: str) -> None:
        self.ids, self.fault = ids, fault
        self.rows: dict[str, Task] = {}
        self.free: list[Any] = []

    def get(self, id: str) -> Task | None:
        if id not in self.rows and self.fault != "finds a task that is not there":
            raise Refused(404, f"no task {id}")
        return self.rows.get(id)

    def add(self, said: Task) -> Task:
        id = self.free.pop() if self.free else next(self.ids)
        self.rows[str(id)] = {"id": id, "title": said["title"], "done": said.get("done", False)}
        return self.rows[str(id)]

    def change(self, id: str, said: Task) -> Task:
        task = self.rows.get(id)
        if task is None:
            raise Refused(404, f"no task {id}")
        if self.fault == "a change resets what it does not name":
            task.update(title="", done=False)
        for one in self.rows.values() if self.fault == "changes every task" else [task]:
            one.update(said)
        return task

    def delete(self, id: str) -> None:
        task = self.rows.get(id)
        if task is None:
            raise Refused(404, f"no task {id}")
        if self.fault == "gives an id again":
            self.free.append(task["id"])
        if self.fault == "deletes every task":
            self.rows.clear()
        elif self.fault != "forgets a deletion":
            del self.rows[id]

    def read(self, kind: str, body: bytes, new: bool = False) -> Task:
        """What a body says of a task. Raises Refused 400 and 415."""
        try:
            return self.checked(kind, body, new)
        except Refused:
            if new and self.fault == "keeps what it refuses":
                self.keep(body)
            raise

    def keep(self, body: bytes) -> None:
        """The task of a refused body, as far as it is one."""
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(said := json.loads(body), dict):
                self.add({"title": "", **said})

    def checked(self, kind: str, body: bytes, new: bool) -> Task:
        if kind.partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "JSON, please")
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(400, "that is no JSON") from None
        if not isinstance(said, dict) or not said.keys() & {"title", "done"} or (new and "title" not in said):
            raise Refused(400, "a task is an object with a title")
        said = {key: said[key] for key in ("title", "done") if key in said}
        if not isinstance(said.get("title", ""), str) or not isinstance(said.get("done", False), bool):
            raise Refused(400, "a title is text; done is true or false")
        if re.search("[\ud800-\udfff]", said.get("title", "")):
            raise Refused(400, "a title is text, and half a surrogate pair is none")
        if self.fault == "spoils text" and "title" in said:
            said["title"] = said["title"].encode("utf-8", "replace").decode("latin-1")
        if not said.get("title", "-").strip() and self.fault != "takes a title that says nothing":
            raise Refused(400, "a title says something")
        return said

    def location(self, task: Task) -> str:
        return f"/tasks/{task['id']}{'0' if self.fault == 'points elsewhere' else ''}"


# --- three shapes -------------------------------------------------------------------------------------


def plain(fault: str) -> Asgi:
    return over_asgi(by_hand(fault))


def by_hand(fault: str) -> Any:
    """WSGI, by hand: ids 1, 2, 3; in the order of creation."""
    store = Store(iter(range(1, 10**9)), fault)

    def respond(start_response: Any, status: int, value: Any, *headers: tuple[str, str]) -> list[bytes]:
        body = b"" if status == 204 else json.dumps(value).encode()
        kind = [] if status == 204 else [("Content-Type", "application/json")]
        start_response(f"{status} Whatever", [*kind, *headers])
        return [body]

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        match = re.fullmatch(r"/tasks(?:/([^/]+))?", path)
        if match is None:
            return respond(start_response, 404, {"error": "nothing here"})
        known = ["DELETE", "GET", "PATCH"] if match[1] else ["GET", "POST"]
        if method not in known:
            return respond(start_response, 405, {"error": method}, ("Allow", ", ".join(known)))
        kind = environ.get("CONTENT_TYPE", "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            if method == "POST":
                task = store.add(store.read(kind, body, new=True))
                return respond(start_response, 201, task, ("Location", store.location(task)))
            if method == "PATCH":
                store.get(match[1])
                return respond(start_response, 200, store.change(match[1], store.read(kind, body)))
            if method == "DELETE":
                store.delete(match[1])
                return respond(start_response, 204, None)
            found = store.get(match[1]) if match[1] else list(store.rows.values())
            return respond(start_response, 200, found)
        except Refused as refused:
            return respond(start_response, refused.status, {"error": refused.why})

    return application


def in_flask(fault: str) -> Asgi:
    """Flask: ids far apart, the newest first; indented, a charset, a header of its own, errors as pages."""
    store = Store(iter(range(4000 + secrets.randbelow(4000), 10**9, 17)), fault)

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return FLASK({**environ, "tasks.store": store}, start_response)

    return over_asgi(application)


def flask_app() -> flask.Flask:
    """One for all copies, for making one takes milliseconds; each request brings the store of its copy."""
    app = flask.Flask("tasks")
    app.json.compact = False  # type: ignore[attr-defined]
    app.json.mimetype = "application/json; charset=utf-8"  # type: ignore[attr-defined]

    @app.errorhandler(Refused)
    def refuse(refused: Refused) -> Any:
        return f"<h1>{refused.status}</h1>", refused.status

    @app.after_request
    def stamp(response: flask.Response) -> flask.Response:
        response.headers["X-Request-Id"] = secrets.token_hex(4)
        return response

    def store() -> Store:
        found: Store = flask.request.environ["tasks.store"]
        return found

    def said(new: bool = False) -> Task:
        request = flask.request
        return store().read(request.headers.get("Content-Type", ""), request.get_data(), new)

    @app.get("/tasks")
    def all_tasks() -> Any:
        return flask.jsonify(list(reversed(store().rows.values())))

    @app.post("/tasks")
    def create() -> Any:
        task = store().add(said(new=True))
        return flask.jsonify(task), 201, {"Location": store().location(task)}

    @app.get("/tasks/<id>")
    def show(id: str) -> Any:
        return flask.jsonify(store().get(id))

    @app.patch("/tasks/<id>")
    def change(id: str) -> Any:
        return flask.jsonify(store().change(id, said()))

    @app.delete("/tasks/<id>")
    def delete(id: str) -> Any:
        store().delete(id)
        return "", 204

    return app


FLASK = flask_app()


def in_starlette(fault: str) -> Asgi:
    """Starlette: ids are text that nobody foresees, the newest task comes first; each has one key more."""
    store = Store(iter(lambda: secrets.token_hex(6), ""), fault)

    def shown(task: Task | None) -> Task | None:
        return None if task is None else {"url": f"/tasks/{task['id']}", **task}

    async def said(request: Request, new: bool = False) -> Task:
        return store.read(request.headers.get("content-type", ""), await request.body(), new)

    async def all_tasks(request: Request) -> Answered:
        return JSONResponse([shown(task) for task in reversed(store.rows.values())])

    async def create(request: Request) -> Answered:
        task = store.add(await said(request, new=True))
        return JSONResponse(shown(task), 201, {"Location": store.location(task)})

    async def show(request: Request) -> Answered:
        return JSONResponse(shown(store.get(request.path_params["id"])))

    async def change(request: Request) -> Answered:
        return JSONResponse(shown(store.change(request.path_params["id"], await said(request))))

    async def delete(request: Request) -> Answered:
        store.delete(request.path_params["id"])
        return Answered(status_code=204)

    async def refuse(request: Request, refused: Exception) -> Answered:
        return JSONResponse({"detail": str(refused)}, getattr(refused, "status", 500))

    async def every(request: Request) -> Answered:
        return await (create if request.method == "POST" else all_tasks)(request)

    async def one(request: Request) -> Answered:
        return await {"PATCH": change, "DELETE": delete}.get(request.method, show)(request)

    # One route a path: of several, Starlette's 405 would name the methods of the first only.
    routes = [
        Route("/tasks", every, methods=["GET", "POST"]),
        Route("/tasks/{id}", one, methods=["GET", "PATCH", "DELETE"]),
    ]
    made: Any = Starlette(routes=routes, exception_handlers={Refused: refuse})
    answer: Asgi = made
    return answer


def over_asgi(application: Any) -> Asgi:
    """A WSGI application that never waits, called on the event loop as it is."""

    async def answer(scope: Scope, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        fields = [(name, value) for name, value in request.headers.items() if name != "content-length"]
        builder = EnvironBuilder(
            scope["path"], method=scope["method"], headers=fields, data=await request.body()
        )
        chunks, status, headers = run_wsgi_app(application, builder.get_environ(), buffered=True)
        response = Answered(b"".join(chunks), int(status.split()[0]))
        # Starlette's own length goes: in a 204 there is none.
        response.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        await response(scope, receive, send)

    return answer


SHAPES: dict[str, Callable[[str], Asgi]] = {"plain": plain, "flask": in_flask, "starlette": in_starlette}


# --- the line-up --------------------------------------------------------------------------------------


class Lineup:
    """The ASGI application: opens APIs, and passes each request on to the copy that it names."""

    def __init__(self) -> None:
        self.opened: dict[str, tuple[str, str]] = {}
        self.copies: dict[str, Asgi] = {}

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"a line-up knows http, not {scope['type']!r}")
        named = dict(scope["headers"]).get(b"x-lineup")
        if named is None:
            answer = await self.open(Request(scope, receive))
            await answer(scope, receive, send)
            return
        copy = named.decode("latin-1")
        name = copy.partition("/")[0]
        if name not in self.opened:
            await Answered("nobody of that name", 410)(scope, receive, send)
            return
        shape, fault = self.opened[name]
        if copy not in self.copies:
            self.copies[copy] = SHAPES[shape](fault)
        method = dict(scope["headers"]).get(b"x-lineup-method")
        if method is not None:
            scope = {**scope, "method": method.decode("latin-1")}
        silent = fault == "a wrong method is told nothing"
        await self.copies[copy](scope, receive, without_allow(send) if silent else send)

    async def open(self, request: Request) -> Answered:
        if (request.method, request.url.path) != ("POST", "/open"):
            return Answered("POST /open, or X-Lineup", 404)
        wanted = await request.json()
        if wanted.get("shape") not in SHAPES or wanted.get("fault") not in ("", *FAULTS):
            return JSONResponse({"shapes": list(SHAPES), "faults": list(FAULTS)}, 400)
        # The last one's copies are over: nothing grows with the number of runs.
        if len(self.opened) > 200:
            self.opened.clear()
            self.copies.clear()
        name = secrets.token_hex(8)
        self.opened[name] = (wanted["shape"], wanted["fault"])
        return JSONResponse({"name": name}, 201)


def without_allow(send: Any) -> Any:
    async def sending(message: Event) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message["headers"] if pair[0].lower() != b"allow"]
            message = {**message, "headers": kept}
        await send(message)

    return sending


application = Lineup()
