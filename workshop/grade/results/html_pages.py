"""The pages that people read: one for each student, one grid for the class. Everything on them is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from workshop.clauses import find
from workshop.grade.results.gradescope_json import told
from workshop.grade.results.student_result import Result

SIGNS = {"PASS": "✓", "FAIL": "✗", "TIMEOUT": "◷", "CRASH": "⚡", "NO_START": "∅", "INFRA_ERROR": "!"}
LOAD_SIGNS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?"}


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.update(signs=SIGNS, load_signs=LOAD_SIGNS, told=told, quote=quote)
    made.filters["linked"] = linked
    return made


def linked(line: str) -> Markup:
    """A line of a report; in a rule's, each clause leads to its section. Addresses are from clauses.toml."""
    made, end = Markup(), 0
    for citation in find(line) if line.startswith("rule ") else []:
        if citation.url:
            shown = line[citation.start : citation.end]
            made += escape(line[end : citation.start])
            made += Markup('<a href="{}" rel="noreferrer">{}</a>').format(citation.url, shown)
            end = citation.end
    return made + escape(line[end:])


def student(result: Result) -> str:
    flaky = set(result.flaky)
    return (
        _templates()
        .get_template("student.html.j2")
        .render(data=result.data, run=result.counted_run, flaky=flaky, load_details=result.load_details)
    )


def grid(results: list[Result]) -> str:
    """Students down, checks across; a student's name leads to the page. Below: how many passed each check."""
    checks = results[0].data["checks"] if results else []
    rows = [[check["verdict"] for check in result.data["checks"]] for result in results]
    passed = [column.count("PASS") for column in zip(*rows, strict=True)]
    driven = any("load" in result.data for result in results)
    return (
        _templates()
        .get_template("grid.html.j2")
        .render(results=results, checks=checks, passed=passed, driven=driven)
    )
