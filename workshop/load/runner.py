"""`workshop load N`: a learner's service and the reference under the same load, in turn, and a verdict.

Exit codes: 0 PASS, 1 FAIL, 2 wrong usage, 3 the workshop's own failure, 4 INCONCLUSIVE.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from workshop.errors import EXIT_FAILED, EXIT_PASSED, InfraError, Refusal
from workshop.judge.shown_bytes import clean
from workshop.judge.stack import Stack
from workshop.judge.start_failure import exit_text, start_text
from workshop.judge.tracebacks import last_traceback
from workshop.labs import Lab
from workshop.load import curves_page, locust_runs
from workshop.load.load_verdict import (
    REFERENCE,
    YOURS,
    LoadVerdict,
    Outcome,
    Run,
    broken,
    is_worth_repeating,
    judge,
    ratios,
    read,
)
from workshop.load.result import LoadResult
from workshop.paths import ROOT, TEMPORARY
from workshop.run import nginx_config

EXIT_INCONCLUSIVE = 4
EXITS = {
    LoadVerdict.PASS: EXIT_PASSED,
    LoadVerdict.FAIL: EXIT_FAILED,
    LoadVerdict.INCONCLUSIVE: EXIT_INCONCLUSIVE,
}
CREWS = {YOURS: "learner", REFERENCE: "reference"}
OPEN_FILES = 8192
SHOWN_REASONS = 5
SPIN = """
import time
wall, used = time.perf_counter(), time.process_time()
while time.perf_counter() - wall < 0.3: pass
print((time.perf_counter() - wall) / max(0.001, time.process_time() - used))
"""


def load(lab: Lab, stack: Stack, as_json: bool = False) -> int:
    """Put a lab's service under load and say how it did; the exit code says it too."""
    seconds = _number("LOAD_SECONDS", 600) or lab.load.seconds
    plan = locust_runs.Plan(lab.load.users, seconds, _number("WORKERS", 32))
    if not (lab.folder / "locustfile.py").exists():
        raise Refusal(f"Lab {lab.number} has no load script.")
    if stack.front is None or stack.reference_front is None:
        raise Refusal("A load run goes through nginx, and there is no nginx on this machine.")
    locust_runs.program()
    with _folder() as folder, terminable():
        stack.await_front()
        trouble = start_services(stack)
        if os.environ.get("UI") and trouble is None:
            locust_runs.page(lab, stack, plan, folder, lambda line: print(line, flush=True))
        result = _not_started(stack, plan, trouble) if trouble else measure(stack, plan, folder)
    if result.runs:
        result.report = str(curves_page.write(result).relative_to(ROOT))
    if as_json:
        print(json.dumps(result.as_dict(), indent=2))
    else:
        show(result, Console(file=sys.stdout, highlight=False))
    return EXITS[result.outcome.verdict]


def raise_open_files() -> None:
    """Let what starts from here (nginx, the services) hold thousands of connections, where allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _number(name: str, most: int) -> int:
    text = os.environ.get(name) or "0"
    if not re.fullmatch("[0-9]{1,4}", text) or int(text) > most:
        raise Refusal(f"{name}={text} can't be used: give a number from 0 to {most}.")
    return int(text)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as name:
        yield Path(name)


@contextmanager
def terminable() -> Iterator[None]:
    """Have SIGTERM unwind like Ctrl-C, so that nothing is left running."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- measuring --------------------------------------------------------------------------------------


def start_services(stack: Stack) -> dict[str, Any] | None:
    """Start both sides; the agent's reply when the learner's does not start."""
    for service in nginx_config.shown(stack.lab):
        for crew in CREWS.values():
            reply = stack.ask("start", service=service.name, crew=crew)
            if reply["state"] == "ready":
                continue
            if crew == "reference":
                raise InfraError(f"The reference did not start: {start_text(reply)}.")
            return reply
    return None


def _not_started(stack: Stack, plan: locust_runs.Plan, reply: dict[str, Any]) -> LoadResult:
    outcome = Outcome(LoadVerdict.FAIL, (start_text(reply),))
    trace = last_traceback(reply["output"], Path(reply["folder"]))
    return _result(stack, plan, outcome, trace=trace)


def _result(stack: Stack, plan: locust_runs.Plan, outcome: Outcome, **more: Any) -> LoadResult:
    lab = stack.lab
    return LoadResult(
        lab.number, lab.name, lab.title, stack.target, stack.mode, plan.users, plan.seconds, outcome, **more
    )


def measure(stack: Stack, plan: locust_runs.Plan, folder: Path) -> LoadResult:
    """Run, and run once more when only a ratio was over its limit."""
    lab = stack.lab
    before = _peers(stack)
    marks = {one.name: stack.ask("status", service=one.name)["mark"] for one in nginx_config.shown(lab)}
    runs = [_one_run(lab, stack, plan, folder)]
    if is_worth_repeating(runs[0], lab.load):
        print("The ratio is over its limit; measuring once more ...", file=sys.stderr, flush=True)
        runs.append(_one_run(lab, stack, plan, folder))
    return _result(
        stack,
        plan,
        judge(runs, lab.load),
        runs=runs,
        ratios=ratios(runs[-1], lab.load),
        connections=_opened(before, _peers(stack)),
        ended=_ended(stack),
        trace=_trace(stack, marks) if broken(runs[-1], YOURS) else [],
    )


def _one_run(lab: Lab, stack: Stack, plan: locust_runs.Plan, folder: Path) -> Run:
    before = crowding()
    measured = locust_runs.run(lab, stack, plan, folder)
    return read(measured, min(before, crowding()))


def crowding() -> float:
    """How much longer a little work takes here than the processor time it needs, on every core at once.

    1.0 on a machine that does nothing else, 2.0 when something else wants every core too.
    """
    cores = min(4, os.cpu_count() or 1)
    words = [sys.executable, "-I", "-S", "-c", SPIN]
    spinning = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(cores)]
    return sum(float(one.communicate()[0] or 1) for one in spinning) / cores


Peers = dict[str, dict[str, set[str] | None]]


def _peers(stack: Stack) -> Peers:
    """The other ends of every service's connections, by service and side."""
    found: Peers = {}
    for service in nginx_config.shown(stack.lab):
        found[service.name] = {}
        for side, crew in CREWS.items():
            peers = stack.ask("connections", service=service.name, crew=crew)["peers"]
            found[service.name][side] = None if peers is None else set(peers)
    return found


def _opened(before: Peers, after: Peers) -> dict[str, dict[str, int]]:
    """How many connections were opened to each service, by side; none where the kernel does not say."""
    return {
        name: {side: len(peers - (before[name][side] or set())) for side, peers in sides.items() if peers}
        for name, sides in after.items()
    }


def _ended(stack: Stack) -> list[str]:
    """The learner's services that run no more, and how they ended."""
    replies = [stack.ask("status", service=service.name) for service in nginx_config.shown(stack.lab)]
    return [
        f"`{one['command']}` ended during the run ({exit_text(one['code'])})"
        for one in replies
        if one["state"] == "exited"
    ]


def _trace(stack: Stack, marks: dict[str, int]) -> list[str]:
    """The learner's last traceback since the run began."""
    for name, mark in marks.items():
        reply = stack.ask("status", service=name, since=mark)
        trace = last_traceback(reply["output"], Path(reply["folder"]))
        if trace:
            return trace
    return []


# --- how it reads -----------------------------------------------------------------------------------

STYLES = {
    LoadVerdict.PASS: "bold green",
    LoadVerdict.FAIL: "bold red",
    LoadVerdict.INCONCLUSIVE: "bold yellow",
}


def show(result: LoadResult, console: Console) -> None:
    """The verdict: a table of both sides, the facts, what was wrong, and what to do next."""
    visitors = f"{result.users} visitor{'s' if result.users != 1 else ''} for {result.seconds} s"
    head = f"load {result.lab} · {result.title}: {visitors}, yours and the reference in turn ({result.mode})"
    console.print(Text(head, style="bold"), soft_wrap=True)
    if result.runs:
        console.print(_table(result))
    for line in [*_ratio_lines(result), *_fact_lines(result)]:
        console.print(line, soft_wrap=True)
    for line in _closing(result):
        console.print(line, soft_wrap=True)


def _table(result: LoadResult) -> Table:
    run = result.runs[-1]
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for column in ("yours", "reference"):
        table.add_column(column, justify="right")
    for way in run.ways:
        sides = [run.find(side, way) for side in (YOURS, REFERENCE)]
        name = f"{way}: " if way else ""
        table.add_row(f"  {name}requests", *(str(one.requests - one.failed) for one in sides))
        table.add_row(f"  {name}mean", *(_milliseconds(one.mean) for one in sides))
    for service, opened in result.connections.items():
        if opened:
            name = f" ({service})" if len(result.connections) > 1 else ""
            row = [str(opened.get(side, 0)) for side in (YOURS, REFERENCE)]
            table.add_row(f"  connections from nginx{name}, at least", *row)
    return table


def _milliseconds(value: float) -> str:
    return f"{value:.1f} ms" if math.isfinite(value) else "-"


def _ratio_lines(result: LoadResult) -> Iterator[Text]:
    if any(broken(run, YOURS) for run in result.runs):
        return  # how fast a failure was says nothing
    for ratio in result.ratios:
        sign, style = ("✗", "red") if ratio.is_over else ("✓", "green")
        chance = f" ± {ratio.high - ratio.value:.2f}" if math.isfinite(ratio.high) else ""
        text = f"{sign} {ratio.one} / {ratio.other} = {ratio.value:.2f}{chance}   (limit {ratio.limit:g})"
        yield Text(text, style=style)


def _fact_lines(result: LoadResult) -> Iterator[Text]:
    for fact in result.runs[-1].facts if result.runs else ():
        if fact.side == YOURS and not fact.instead:
            yield Text(f"✓ {fact.title}", style="green")
    reasons = [*result.ended, *(result.outcome.reasons if _is_broken(result) else ())]
    for reason in reasons[:SHOWN_REASONS]:
        yield Text(f"✗ {clean(reason)}", style="red")
    if len(reasons) > SHOWN_REASONS:
        yield Text(f"  … and {len(reasons) - SHOWN_REASONS} more: `--json` has the rest", style="dim")
    for number, line in enumerate(result.trace[-5:]):
        yield Text(f"  {'trace' if number == 0 else '':<8}{clean(line)}", style="yellow")


def _is_broken(result: LoadResult) -> bool:
    """Whether it failed for another reason than a ratio."""
    broke = not result.runs or bool(broken(result.runs[-1], YOURS))
    return broke and result.outcome.verdict is LoadVerdict.FAIL


def _closing(result: LoadResult) -> Sequence[Text]:
    verdict, reasons = result.outcome.verdict, result.outcome.reasons
    lines = []
    if verdict is LoadVerdict.PASS:
        said = f"PASS: {result.runs[-1].completed(YOURS)} requests, nothing failed, nothing over its limit."
    elif not result.runs:
        said = f"FAIL: nothing was driven. `make lab-{result.lab}` first, until it is green."
    elif _is_broken(result):
        said = f"FAIL: `make lab-{result.lab}` may show the same fault with one request."
    else:
        said = f"{verdict}: {clean(reasons[0])}"
    lines.append(Text(said, style=STYLES[verdict]))
    if verdict is LoadVerdict.INCONCLUSIVE:
        lines.append(Text(f"Neither passed nor failed. Once more: make load-{result.lab}"))
    if result.report:
        lines.append(Text(f"The curves: {result.report}", style="dim"))
    return lines
