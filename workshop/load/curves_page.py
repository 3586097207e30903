"""The page of a load run: both sides' mean over time, as one HTML file that needs nothing else.

The curves are drawn by uPlot, which lies in the page with the run's numbers, as on the lab page. A policy in
the page lets these scripts run and no other: what a service said is a string to them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from workshop.load.result import LoadResult
from workshop.paths import PAGE_ASSETS, SERVICES, STATE

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
    styles = [_asset(name) for name in STYLES]
    scripts = [*(_asset(name) for name in SCRIPTS), BEGIN]
    policy = (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; base-uri 'none'"
    )
    templates = Environment(
        loader=FileSystemLoader(SERVICES / "load"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
    )
    return templates.get_template("curves.html.j2").render(
        result=result,
        policy=policy,
        styles=[Markup(text) for text in styles],  # ours, not escaped
        scripts=[Markup(text) for text in scripts],
        run=Markup(_in_script(numbers(result))),
        when=time.strftime("%Y-%m-%d %H:%M"),
    )


def numbers(result: LoadResult) -> str:
    """The result as the JSON that a browser reads: what is no number is null."""
    return json.dumps(json.loads(json.dumps(result.as_dict()), parse_constant=lambda _: None))


def _asset(name: str) -> str:
    return (PAGE_ASSETS / name).read_text(encoding="utf-8")


def _hashes(texts: list[str]) -> str:
    """The texts that a browser may take, as a policy names them."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)


def _in_script(text: str) -> str:
    """JSON that can't end the element it stands in, nor begin another one."""
    return text.replace("<", "\\u003c").replace("&", "\\u0026")
