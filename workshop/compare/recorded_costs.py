"""What a lab's real implementations cost, in turn in one run: `labs/NN-slug/compare/costs.json`.

{"lab": "05-wsgi-server", "cores": 2, "costs": {"waitress": {"rate": 4821.2, "idle": null, …}, …}}
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from workshop import environment
from workshop.compare import compare_venv, service_costs
from workshop.compare.implementations import Implementation, folder_of, read_toml, target
from workshop.errors import InfraError
from workshop.labs import Lab, target_folder
from workshop.paths import ROOT
from workshop.run import nginx_config

ROUNDS = 3
SECONDS = 120
REFERENCE, YOURS = "this lab's solution", "yours"
Record = dict[str, Any]


def path_of(lab: Lab) -> Path:
    return folder_of(lab) / "costs.json"


def is_measured(lab: Lab) -> bool:
    """Whether the lab has services whose cost says something."""
    return "costs" in read_toml(lab)


def load(lab: Lab) -> Record | None:
    """What is recorded of a lab; None when nothing is."""
    try:
        data: Record = json.loads(path_of(lab).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return data


def save(lab: Lab, data: Record) -> None:
    path_of(lab).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def measure(lab: Lab, chosen: list[Implementation], yours: bool) -> Record:
    """Measure these, the lab's solution, and the learner's files if wanted, in turn: the medians."""
    if "quick" in read_toml(lab)["costs"]:
        service_costs.wrk()  # said before anything starts
    with tempfile.TemporaryDirectory(prefix="compare-") as place:
        folders = {one.name: target(lab, one, Path(place) / str(n)) for n, one in enumerate(chosen)}
        folders[REFERENCE] = target_folder(lab, "solution")
        if yours:
            folders[YOURS] = target_folder(lab, "starter")
        rounds: dict[str, list[service_costs.Costs]] = {name: [] for name in folders}
        for number in range(ROUNDS):
            for name, folder in folders.items():
                print(f"lab {lab.number}: {name}, round {number + 1} ...", file=sys.stderr, flush=True)
                rounds[name].append(once(lab, folder))
    costs = {name: medians(found) for name, found in rounds.items()}
    return {"lab": lab.name, "cores": os.cpu_count(), "costs": costs}


def once(lab: Lab, folder: Path) -> service_costs.Costs:
    """One round of one implementation, in the environment that has it; {} where it does not start."""
    env = environment.of_tool(os.environ)
    if program := nginx_config.command():
        env["NGINX"] = program
    with tempfile.NamedTemporaryFile("r", prefix="costs-", encoding="utf-8") as out:
        words = [str(compare_venv.python()), "-E", "-m", "workshop.compare.service_costs"]
        words += [str(lab.number), str(folder), out.name]
        try:
            done = subprocess.run(
                words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=SECONDS, check=False
            )
        except subprocess.TimeoutExpired as late:
            raise InfraError(f"Measuring lab {lab.number} in {folder} took over {SECONDS} s.") from late
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:]
            print(f"  it can't be measured: {''.join(said)[:300]}", file=sys.stderr, flush=True)
        found: service_costs.Costs = json.loads(out.read() or "{}")
    return found


def medians(rounds: list[service_costs.Costs]) -> service_costs.Costs:
    """Of each cost; None where one round has none."""
    found: service_costs.Costs = {}
    for name in dict.fromkeys(name for one in rounds for name in one):
        values = [value for one in rounds if (value := one.get(name)) is not None]
        found[name] = round(statistics.median(values), 2) if len(values) == len(rounds) else None
    return found


def table(lab: Lab, data: Record) -> list[str]:
    """A Markdown table: each number, and its ratio to that of the implementation that the lab names."""
    costs: dict[str, service_costs.Costs] = data["costs"]
    beside = costs[read_toml(lab)["costs"]["beside"]]
    names = [name for name in service_costs.HEADS if any(name in one for one in costs.values())]
    heads = " | ".join(service_costs.HEADS[name] for name in names)
    rows = [f"| implementation | {heads} |", f"| --- |{' --: |' * len(names)}"]
    for who, found in costs.items():
        cells = " | ".join(cell(found.get(name), beside.get(name)) for name in names)
        rows.append(f"| {who} | {cells} |")
    return rows


def cell(value: float | None, beside: float | None) -> str:
    if value is None:
        return "–"
    shown = f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    return f"{shown} ({value / beside:.2g} ×)" if beside else shown
