"""Tasks in memory, and what a task must be: the part of the tasks API that knows nothing of HTTP.

`Tasks` has no lock. On an event loop it needs none, as nothing here awaits; threads would need one.
"""

from __future__ import annotations

from typing import Any

TITLE_LIMIT = 200  # characters

Task = dict[str, Any]


class Tasks:
    """Tasks by id, {"id": 42, "title": "Call Ada", "done": False}. What it hands out are copies."""

    def __init__(self) -> None:
        self._by_id: dict[int, Task] = {}
        self._last = 0

    def all(self) -> list[Task]:
        return [dict(task) for task in self._by_id.values()]

    def get(self, number: int) -> Task:
        """Raises KeyError, as `change` and `delete` do, when there is no such task."""
        return dict(self._by_id[number])

    def add(self, fields: Task) -> Task:
        self._last += 1
        task = {"id": self._last, "title": fields["title"], "done": fields.get("done", False)}
        self._by_id[self._last] = task
        return dict(task)

    def change(self, number: int, fields: Task) -> Task:
        self._by_id[number].update(fields)
        return dict(self._by_id[number])

    def delete(self, number: int) -> Task:
        """The task as it was."""
        return self._by_id.pop(number)


def checked(value: Any, new: bool = False) -> Task:
    """The title, or done, or both, of what came as JSON; a new task needs its title.

    Raises ValueError with a sentence for the client.
    """
    if not isinstance(value, dict) or not value.keys() & {"title", "done"}:
        raise ValueError("a task is an object with a title and done")
    if new and "title" not in value:
        raise ValueError("a task has a title")
    fields = {key: value[key] for key in ("title", "done") if key in value}
    if not _is_title(fields.get("title", "-")):
        raise ValueError(f"a title is text, of 1 to {TITLE_LIMIT} characters")
    if not isinstance(fields.get("done", False), bool):
        raise ValueError("done is true or false")
    return fields


def csv_row(task: Task) -> str:
    """A task as a line of /tasks.csv, whose first line is id,title,done (RFC 4180)."""
    title = task["title"].replace('"', '""')
    return f'{task["id"]},"{title}",{"true" if task["done"] else "false"}\r\n'


def _is_title(value: Any) -> bool:
    """Whether it is text that says something, and that UTF-8 can say (JSON can name half a character)."""
    if not isinstance(value, str) or not value.strip() or len(value) > TITLE_LIMIT:
        return False
    return not any("\ud800" <= char <= "\udfff" for char in value)
