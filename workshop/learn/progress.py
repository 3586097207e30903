"""How far a learner is: the best and the last verdict of every lab, kept in .workshop/results."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from workshop.labs import Lab, all_labs
from workshop.last_verdicts import PASSED, best_points, last_result, standing_of


def show_progress(console: Console) -> None:
    """A row a lab: its bar, its points, and the task that is next."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("lab", "", "", "points", "next"):
        table.add_column(head, justify="right" if head in ("lab", "points") else "left")
    part = ""
    for lab in all_labs():
        if lab.part != part:
            part = lab.part
            table.add_row("", f"[bold]{part}[/bold]")
        table.add_row(*_row(lab))
    console.print(table)
    for line in picture():
        console.print(line)


# The stack from the browser down. A lab's `layer` in lab.toml says where it belongs.
STACK = (
    "nginx, and two instances",
    "server",
    "processes",
    "frames, lifespan",
    "middleware",
    "routing, request, response",
    "framework",
    "application",
)
WHOSE = {
    "yours": "[green]█ yours    [/green]",
    "in part": "[yellow]▒ in part  [/yellow]",
    "reference": "[dim]· reference[/dim]",
}


def picture() -> list[str]:
    """The stack as boxes, one below the other: whose each layer is, and the numbers of its labs."""
    edge = "─" * 41
    rows = [_layer(layer) for layer in STACK]
    return ["", "  the stack, from the browser down", f"  ┌{edge}┐", *rows, f"  └{edge}┘"]


def _layer(layer: str) -> str:
    there = [lab for lab in all_labs() if lab.layer == layer]
    yours = [lab for lab in there if standing_of(lab) == PASSED]
    whose = "reference" if not yours else "yours" if yours == there else "in part"
    said = " ".join(f"[{'green' if lab in yours else 'dim'}]{lab.number}[/]" for lab in there)
    return f"  │ {layer:<28}{WHOSE[whose]} │  {said}"


def _row(lab: Lab) -> list[str]:
    result = last_result(lab)
    if result is None:
        return [str(lab.number), lab.title, "[dim]" + "·" * 10 + "[/dim]", f"0/{lab.points}", "not begun"]
    points, last = best_points(lab), min(int(result["points"]), lab.points)
    full = round(10 * points / lab.points)
    bar = f"[green]{'█' * full}[/green][dim]{'·' * (10 - full)}[/dim]"
    now = f"last {last}/{lab.points}; " if last < points else ""
    return [str(lab.number), lab.title, bar, f"{points}/{lab.points}", now + _next(lab, result)]


def _next(lab: Lab, result: dict[str, Any]) -> str:
    for check in result["checks"]:
        if check["verdict"] != "PASS":
            return f"task {check['task']}: {lab.tasks[check['task'] - 1].title}"
    return "done"
