"""The page of a load run: both sides' mean over time, as one HTML file that needs nothing else."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workshop.load.load_verdict import Run, Series
from workshop.load.result import LoadResult
from workshop.paths import SERVICES, STATE

REPORTS = STATE / "reports"
KEPT = 10
WIDTH, HEIGHT, LEFT, BOTTOM = 720, 260, 60, 30
BLOCK_SECONDS = 0.5
COLOURS = {"yours": "#c2410c", "reference": "#1d4ed8"}
DASHES = ("", "6 4", "2 3", "10 3 2 3")


def write(result: LoadResult) -> Path:
    """Write the page, named after the lab and the time; the ten newest of a lab are kept."""
    run = result.runs[-1]
    charts = [
        ("Mean time of a request (ms)", chart(run, lambda requests, ms: ms / requests)),
        ("Requests a second", chart(run, lambda requests, ms: requests / BLOCK_SECONDS)),
    ]
    text = (
        Environment(
            loader=FileSystemLoader(SERVICES / "load"),
            undefined=StrictUndefined,
            autoescape=True,
            trim_blocks=True,
        )
        .get_template("curves.html.j2")
        .render(
            result=result,
            charts=charts,
            series=[_row(one) for one in run.series],
            when=time.strftime("%Y-%m-%d %H:%M"),
        )
    )
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{result.name}-{time.strftime('%Y%m%d-%H%M%S')}.html"
    path.write_text(text, encoding="utf-8")
    path.with_suffix(".json").write_text(json.dumps(result.as_dict()), encoding="utf-8")
    for old in sorted(REPORTS.glob(f"{result.name}-*.html"))[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".json").unlink(missing_ok=True)
    return path


def _row(one: Series) -> dict[str, object]:
    mean = f"{one.mean:.2f} ms" if math.isfinite(one.mean) else "-"
    return {"name": _name(one), "requests": one.requests, "failed": one.failed, "mean": mean}


def _name(one: Series) -> str:
    return f"{one.side}, {one.way}" if one.way else one.side


def chart(run: Run, height_of: Callable[[float, float], float]) -> dict[str, object]:
    """One line a series, over the seconds of the run; `height_of` a block's requests and milliseconds."""
    blocks = [when for one in run.series for when, *_ in one.blocks]
    first, last = (min(blocks), max(blocks)) if blocks else (0, 1)
    curves = {
        _name(one): [(when - first, height_of(requests, ms)) for when, requests, ms in one.blocks if requests]
        for one in run.series
    }
    top = _round_up(max((value for curve in curves.values() for _, value in curve), default=1.0))
    across = max(1, last - first)

    def at(when: float, value: float) -> str:
        return f"{LEFT + when / across * (WIDTH - LEFT - 20):.1f},{_down(value, top):.1f}"

    lines = [
        {
            "name": _name(one),
            "points": " ".join(at(when, value) for when, value in curves[_name(one)]),
            "colour": COLOURS.get(one.side, "#555"),
            "dash": DASHES[run.ways.index(one.way) % len(DASHES)],
        }
        for one in run.series
    ]
    step = max(1, math.ceil(across * BLOCK_SECONDS / 12))
    seconds = range(0, int(across * BLOCK_SECONDS) + 1, step)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "lines": lines,
        "marks": [{"y": _down(top * part / 4, top), "text": f"{top * part / 4:g}"} for part in range(5)],
        "seconds": [{"x": float(at(one / BLOCK_SECONDS, 0).split(",")[0]), "text": one} for one in seconds],
    }


def _down(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - 10)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten: the top of an axis."""
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return (
        next(factor * power for factor in (1, 2, 4, 8, 10) if factor * power >= value) if value > 0 else 1.0
    )
