"""Lab 4 over real implementations: Flask for HTTP, SQLite for what threads share."""

from __future__ import annotations

import csv
import io
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask, Response, abort, jsonify, request, stream_with_context
from werkzeug.exceptions import HTTPException

EXPORTS = 4
COLUMNS = "id, title, done"

application = Flask("tasks")
application.config["MAX_CONTENT_LENGTH"] = 64 * 1024
places = threading.BoundedSemaphore(EXPORTS)


class Tasks:
    """Tasks in SQLite, which is serializes its calls: AUTOINCREMENT gives ids, one UPDATE is one change."""

    def __init__(self) -> None:
        self._lock, self._by = threading.Lock(), 0

    @property
    def db(self) -> sqlite3.Connection:
        """This process's connection: none is carried over a fork."""
        with self._lock:
            if self._by != os.getpid():
                self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                columns = "id integer primary key autoincrement, title text, done int"
                self._db.execute(f"create table tasks ({columns})")
                self._by = os.getpid()
            return self._db

    def all(self) -> list[dict[str, Any]]:
        return [_task(row) for row in self.db.execute(f"select {COLUMNS} from tasks order by id").fetchall()]

    def numbers(self) -> list[int]:
        return [row[0] for row in self.db.execute("select id from tasks order by id").fetchall()]

    def get(self, number: int) -> dict[str, Any] | None:
        return self._one(f"select {COLUMNS} from tasks where id = ?", number)

    def add(self, title: str, done: bool = False) -> dict[str, Any]:
        row = self._one(f"insert into tasks (title, done) values (?, ?) returning {COLUMNS}", title, done)
        assert row is not None
        return row

    def change(self, number: int, title: str | None, done: bool | None) -> dict[str, Any] | None:
        words = "update tasks set title = coalesce(?, title), done = coalesce(?, done) where id = ?"
        return self._one(f"{words} returning {COLUMNS}", title, done, number)

    def delete(self, number: int) -> bool:
        return self._one(f"delete from tasks where id = ? returning {COLUMNS}", number) is not None

    def _one(self, words: str, *values: object) -> dict[str, Any] | None:
        rows = self.db.execute(words, values).fetchall()
        return _task(rows[0]) if rows else None


def _task(row: tuple[int, str, int]) -> dict[str, Any]:
    return {"id": row[0], "title": row[1], "done": bool(row[2])}


tasks = Tasks()


@application.errorhandler(HTTPException)
def in_json(error: HTTPException) -> Any:
    answer = jsonify(error=error.description or error.name)
    answer.status_code = error.code or 500
    for name, value in error.get_headers():
        if name in ("Allow", "Retry-After"):
            answer.headers[name] = value
    return answer


def fields() -> dict[str, Any]:
    if request.mimetype != "application/json":
        abort(415)
    if (request.content_length or 0) > application.config["MAX_CONTENT_LENGTH"]:
        request.environ["wsgi.input"].read(128 * 1024)  # Flask would leave it to gunicorn, which closes then
    try:
        said = request.get_json()
        if request.content_length is None and request.environ["wsgi.input"].read(1):
            abort(413)  # Flask cuts a body without a length off at its limit
    except RecursionError:
        abort(400)
    if not isinstance(said, dict) or not said.keys() & {"title", "done"}:
        abort(400, "a task has title and done")
    title, done = said.get("title", "-"), said.get("done", False)
    if not isinstance(title, str) or not title.strip() or len(title) > 200 or not isinstance(done, bool):
        abort(400, "title is text, done is true or false")
    try:
        title.encode()
    except UnicodeEncodeError:
        abort(400, "title is text")
    return {"title": said.get("title"), "done": said.get("done")}


@application.get("/tasks")
def listed() -> Any:
    return jsonify(tasks.all())


@application.post("/tasks")
def create() -> Any:
    said = fields()
    if said["title"] is None:
        abort(400, "a new task has a title")
    task = tasks.add(said["title"], bool(said["done"]))
    return jsonify(task), 201, {"Location": f"/tasks/{task['id']}"}


def known(task: dict[str, Any] | None) -> dict[str, Any]:
    return task or abort(404)


NUMBER = "/tasks/<int(max=999999999999999999):number>"


@application.get(NUMBER)
def show(number: int) -> Any:
    return jsonify(known(tasks.get(number)))


@application.route(NUMBER, methods=["PUT", "PATCH"])
def change(number: int) -> Any:
    known(tasks.get(number))
    return jsonify(known(tasks.change(number, **fields())))


@application.delete(NUMBER)
def delete(number: int) -> Any:
    if not tasks.delete(number):
        abort(404)
    return "", 204


@application.get("/tasks.csv")
def export() -> Response:
    if not places.acquire(blocking=False):
        abort(
            Response('{"error": "try again"}\n', 503, [("Retry-After", "1")], content_type="application/json")
        )
    response = Response(stream_with_context(lines()), content_type="text/csv; charset=utf-8")
    response.call_on_close(once(places.release))
    return response


def once(function: Callable[[], None]) -> Callable[[], None]:
    left = [function]
    return lambda: left.pop()() if left else None


def lines() -> Iterator[str]:
    yield "id,title,done\r\n"
    for number in tasks.numbers():
        task = tasks.get(number)
        if task is None:
            continue
        line = io.StringIO()
        csv.writer(line).writerow([task["id"], task["title"], str(task["done"]).lower()])
        yield line.getvalue()
