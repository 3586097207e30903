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


def called_in(node: ast.AST) -> set[str]:
    """The names of what code calls. What it only mentions, as in a table of handlers, waits for its task."""
    functions = [one.func for one in ast.walk(node) if isinstance(one, ast.Call)]
    found = {one.id for one in functions if isinstance(one, ast.Name)}
    return found | {one.attr for one in functions if isinstance(one, ast.Attribute)}


def needed(solved: ast.Module, first: set[str]) -> set[str]:
    """The functions that these ones of the solution are built on, themselves among them.

    What the solution shares between two tasks is its own affair: it proves nothing of what a check needs.
    """
    known = dict(functions(solved))
    found, waiting = set(), [key for key in first if key in known]
    while waiting:
        key = waiting.pop()
        if key in found:
            continue
        found.add(key)
        mentioned = called_in(known[key])
        for other in known:
            owner, _, name = other.rpartition(".")
            made = owner in mentioned and (name.startswith("__") or name in mentioned)
            same = owner == key.rpartition(".")[0] and name in mentioned
            if (made or same) and other not in found:
                waiting.append(other)
    return found


def module_level(solved: ast.Module, later: set[str]) -> set[str]:
    """The names that are given a value when the module is imported, by what later tasks ask for."""
    found = set()
    for node in solved.body:
        if isinstance(node, ast.Assign) and called_in(node.value) & later:
            found |= {one.id for one in node.targets if isinstance(one, ast.Name)}
    return found


def without_later_tasks(lab: Lab, name: str, task: int) -> str:
    """A file of the solution whose functions of later tasks are holes, as far as earlier ones do without."""
    text = (SOLUTIONS / lab.name / name).read_text(encoding="utf-8")
    begun_text = (starter(lab) / name).read_text(encoding="utf-8")
    solved, begun = ast.parse(text), ast.parse(begun_text)
    holes = {key: number for key, one in functions(begun) if (number := hole_of(one))}
    kept = needed(solved, {key for key, number in holes.items() if number <= task})
    later = {key: number for key, number in holes.items() if number > task and key not in kept}
    lines = text.splitlines()
    cut: list[tuple[int, int, list[str]]] = []
    for key, one in functions(solved):
        if key in later:
            body = body_of(one)
            hole = f'raise NotImplementedError("lab {lab.number} task {later[key]}: {one.name}")'
            cut.append((body[0].lineno, one.end_lineno or 0, [" " * body[0].col_offset + hole]))
    given = dict(functions(begun))
    for node in solved.body:  # `application = stack(…)`: the starter has a function in its place
        made = module_level(ast.Module([node], []), {key.rpartition(".")[2] for key in later})
        for key in made & given.keys():
            source = ast.get_source_segment(begun_text, given[key]) or ""
            cut.append((node.lineno, node.end_lineno or 0, source.splitlines()))
    for first, last, instead in sorted(cut, reverse=True):
        lines[first - 1 : last] = instead
    return "\n".join(lines) + "\n"


def cut_off(lab: Lab, task: int, folder: Path) -> Path:
    """A copy of the solution in `folder` that knows the tasks up to `task` alone."""
    target = folder / "target"
    shutil.copytree(SOLUTIONS / lab.name, target)
    for name in lab.edit:
        if name.endswith(".py"):
            (target / name).write_text(without_later_tasks(lab, name, task), encoding="utf-8")
    return target
