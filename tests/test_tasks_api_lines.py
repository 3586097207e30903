"""What lab 8 says of its size: the same API over request and response objects, in how many lines of code?

Counted is what speaks HTTP about tasks, without blanks, comments and docstrings. Left out on both sides: the
tasks themselves, what makes a title, how a row of CSV reads: lab 8 has them from services/apps/task_store.py.
On lab 8's side also everything that knows nothing of tasks: that is what the lab is about.

`python -m tests.test_tasks_api_lines` prints the figures.
"""

from __future__ import annotations

import ast
import re

from workshop.paths import LABS, SOLUTIONS

BY_HAND = {
    *(
        "BODY_LIMIT",
        "TASK_PATH",
        "HTTPError",
        "in_json",
        "application",
        "close",
        "answer",
        "resource",
        "found",
    ),
    *("create", "change", "delete", "read_task", "read_body", "discard", "export_answer", "tasks"),
}
OVER_OBJECTS = {
    *("tasks", "said", "change_with", "list_tasks", "create_task", "show_task", "change_task", "delete_task"),
    *("tasks_csv", "ROUTES", "application"),
}


def names(node: ast.stmt) -> set[str]:
    """What a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {one.id for target in targets if target for one in ast.walk(target) if isinstance(one, ast.Name)}


def docstring_lines(tree: ast.AST) -> set[int]:
    """The lines of what is a text and nothing else."""
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Expr) and is_text(node.value)]
    return {line for node in texts for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def code_lines(lab: str, file: str, wanted: set[str]) -> int:
    """How many lines the definitions of these names have, without blanks, comments and docstrings."""
    text = (SOLUTIONS / lab / file).read_text(encoding="utf-8")
    tree, lines = ast.parse(text), text.splitlines()
    defined = [node for node in tree.body if names(node) & wanted]
    assert set().union(*map(names, defined)) >= wanted, "a name is gone: say anew what is counted"
    counted = {line for node in defined for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    counted -= docstring_lines(tree)
    return sum(bool(re.match(r"\s*[^\s#]", lines[line - 1])) for line in counted)


def figures() -> tuple[int, int]:
    """Lines of lab 4's solution, and of lab 8's."""
    by_hand = code_lines("04-wsgi-app", "app.py", BY_HAND)
    return by_hand, code_lines("08-wsgi-request-response", "wrappers.py", OVER_OBJECTS)


def test_the_figures_that_the_lesson_says() -> None:
    lesson = (LABS / "08-wsgi-request-response" / "README.md").read_text(encoding="utf-8")
    said = re.search(r"took (\d+) lines in lab 4's solution takes (\d+) here", lesson)
    assert said, "lab 8's lesson says how many lines there and here"
    assert (int(said[1]), int(said[2])) == figures()


if __name__ == "__main__":
    print("lab 4: {} lines, lab 8: {}".format(*figures()))
