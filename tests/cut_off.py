"""A lab's solution cut off after a task: what later tasks ask for is a hole again, as in the starter."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.judging import starter
from workshop.labs import Lab
from workshop.paths import SOLUTIONS

HOLE = re.compile(r"lab \d+ task (\d+)")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function of a module and of its classes, by its dotted name."""
    for node in tree.body:
        if isinstance(node, Function):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for one in node.body:
                if isinstance(one, Function):
                    yield f"{node.name}.{one.name}", one


def body_of(function: Function) -> list[ast.stmt]:
    """A function's statements without its docstring."""
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def hole_of(function: Function) -> int:
    """The task whose hole a starter's function is; 0 when there is more in it, or none."""
    body = body_of(function)
    if len(body) != 1 or not isinstance(body[0], ast.Raise):
        return 0
    match = HOLE.search(ast.unparse(body[0]))
    return int(match[1]) if match else 0


def without_later_tasks(lab: Lab, name: str, task: int) -> str:
    """A file of the solution whose functions of later tasks are holes."""
    solved = (SOLUTIONS / lab.name / name).read_text(encoding="utf-8")
    begun = ast.parse((starter(lab) / name).read_text(encoding="utf-8"))
    later = {key: number for key, one in functions(begun) if (number := hole_of(one)) > task}
    lines = solved.splitlines()
    found = [(key, one) for key, one in functions(ast.parse(solved)) if key in later]
    for key, one in reversed(found):
        body = body_of(one)
        first = min([body[0].lineno, *(d.lineno for d in getattr(body[0], "decorator_list", []))])
        hole = f'raise NotImplementedError("lab {lab.number} task {later[key]}: {one.name}")'
        lines[first - 1 : one.end_lineno] = [" " * body[0].col_offset + hole]
    return "\n".join(lines) + "\n"


def cut_off(lab: Lab, task: int, folder: Path) -> Path:
    """A copy of the solution in `folder` that knows the tasks up to `task` alone."""
    target = folder / "target"
    shutil.copytree(SOLUTIONS / lab.name, target)
    for name in lab.edit:
        if name.endswith(".py"):
            (target / name).write_text(without_later_tasks(lab, name, task), encoding="utf-8")
    return target
