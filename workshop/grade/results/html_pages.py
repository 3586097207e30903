"""The pages that people read: one for each student, one grid for the class. Everything on them is escaped.

They look as the lab page does, by its style sheet and its script for timelines, which lie in each page with
a policy that lets no other script run. A student's page draws timelines from the file beside it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from workshop.clauses import find
from workshop.grade.results import transcript_timelines
from workshop.grade.results.gradescope_json import labelled
from workshop.grade.results.score_distribution import distribution
from workshop.grade.results.student_result import Result
from workshop.self_contained import Carried, carried

SIGNS = {"PASS": "✓", "FAIL": "✗", "TIMEOUT": "◷", "CRASH": "⚡", "NO_START": "∅", "INFRA_ERROR": "!"}
LOAD_SIGNS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?"}
STYLES = ("lab.css",)
# Where a file beside the page may come from: this disk, or the server that the page is from.
BESIDE = ("file:", "'self'")


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(Path(__file__).with_name("templates"))
    made = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.update(signs=SIGNS, load_signs=LOAD_SIGNS, told=labelled, quote=quote, standing=standing)
    made.filters["linked"] = linked
    return made


@cache
def _of_student() -> Carried:
    return carried(STYLES, ("timeline.js", "report.js"), beside=BESIDE)


@cache
def _of_class() -> Carried:
    return carried(STYLES, ("class.js",))


def linked(rule: str) -> Markup:
    """A rule in which each clause leads to its section. Addresses are from clauses.toml."""
    made, end = Markup(), 0
    for citation in find(rule):
        if citation.url:
            shown = rule[citation.start : citation.end]
            made += escape(rule[end : citation.start])
            made += Markup('<a href="{}" rel="noreferrer">{}</a>').format(citation.url, shown)
            end = citation.end
    return made + escape(rule[end:])


def student(result: Result) -> str:
    return (
        _templates()
        .get_template("student.html.j2")
        .render(
            data=result.data,
            run=result.counted_run,
            flaky=set(result.flaky),
            passed=sum(check["verdict"] == "PASS" for check in result.data["checks"]),
            load_details=result.load_details,
            timelines=transcript_timelines.FILE,
            ours=_of_student(),
        )
    )


def timelines(result: Result) -> str:
    """What a student's page draws beside the checks that failed: a script that is data."""
    failed = [check["name"] for check in result.data["checks"] if check["verdict"] != "PASS"]
    return transcript_timelines.script(result.transcript, failed)


def grid(results: list[Result]) -> str:
    """Students down, checks across; what failed leads to its report. Below: the scores, and the checks."""
    checks = results[0].data["checks"] if results else []
    rows = [[check["verdict"] for check in result.data["checks"]] for result in results]
    scores = [(result.score, result.data["of"]) for result in results if result.score is not None]
    return (
        _templates()
        .get_template("grid.html.j2")
        .render(
            results=results,
            checks=checks,
            passed=[column.count("PASS") for column in zip(*rows, strict=True)],
            driven=any("load" in result.data for result in results),
            spread=distribution(scores),
            unscored=len(results) - len(scores),
            ours=_of_class(),
        )
    )


def standing(result: Result) -> str:
    """What the class's page is filtered by: "all" or "some" of the points, "none" for no score yet."""
    if result.score is None:
        return "none"
    return "all" if result.score >= result.data["of"] else "some"
