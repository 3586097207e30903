"""The page of a load run: both sides' mean over time, as one HTML file that needs nothing else.

The curves are drawn by uPlot, which lies in the page with the run's numbers, as on the lab page. A policy in
the page lets these scripts run and no other: what a service said is a string to them.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workshop.load.result import LoadResult
from workshop.paths import SERVICES, STATE
from workshop.self_contained import carried, in_script

REPORTS = STATE / "reports"
KEPT = 10
STYLES = ("lab.css", "uplot/uPlot.min.css")
SCRIPTS = ("uplot/uPlot.iife.min.js", "curves.js")
BEGIN = 'drawLoad(document.getElementById("curves"), JSON.parse(document.getElementById("run").textContent));'


def write(result: LoadResult) -> Path:
    """Write the page and its numbers, named after the lab and the time; the ten newest of a lab are kept."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{result.name}-{time.strftime('%Y%m%d-%H%M%S')}.html"
    path.write_text(page(result), encoding="utf-8")
    path.with_suffix(".json").write_text(numbers(result), encoding="utf-8")
    for old in sorted(REPORTS.glob(f"{result.name}-*.html"))[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".json").unlink(missing_ok=True)
    return path


def page(result: LoadResult) -> str:
    ours = carried(STYLES, SCRIPTS, BEGIN)
    templates = Environment(
        loader=FileSystemLoader(SERVICES / "load"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
    )
    return templates.get_template("curves.html.j2").render(
        result=result,
        ours=ours,
        run=in_script(numbers(result)),
        when=time.strftime("%Y-%m-%d %H:%M"),
    )


def numbers(result: LoadResult) -> str:
    """The result as the JSON that a browser reads: what is no number is null."""
    return json.dumps(json.loads(json.dumps(result.as_dict()), parse_constant=lambda _: None))
