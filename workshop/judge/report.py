"""How a lab's verdict reads on a terminal: each check's line, a failure in full, and what to do next."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from workshop.clauses import find
from workshop.hyperlinks import shows_links, with_links
from workshop.judge.shown_bytes import clean
from workshop.judge.timeline_text import drawn
from workshop.judge.verdict import CheckResult, LabResult, Verdict

LINES = 25
INDENT = "    "
LABEL = 10
AGAIN = ("again", " ")
SIGNS = {Verdict.PASS: ("✓", "green"), Verdict.SKIPPED: ("·", "dim")}


def headline(check: CheckResult, width: int) -> Text:
    """✗ task 2 · PATH_INFO is percent-decoded                     0/2"""
    sign, style = SIGNS.get(check.verdict, ("✗", "bold red"))
    word = "" if check.verdict in (Verdict.PASS, Verdict.FAIL) else f"   {check.verdict.value}"
    points = f"{check.points}/{check.of}"
    room = max(20, width - len(points) - 2)
    title = f"{sign} task {check.task} · {check.title}"
    if len(title) + len(word) > room:
        title = title[: room - len(word) - 1] + "…"
    title += word
    return Text(title.ljust(room) + "  ", style=style).append(points)


def explain(check: CheckResult, width: int, links: bool = False) -> list[Text]:
    """A failure in full, at most 25 lines. With `links`, each clause of its rule is a hyperlink (OSC 8)."""
    finding = check.finding
    rows: list[tuple[str, str]] = [
        ("sent", finding.sent),
        ("got", finding.got),
        *(("trace" if number == 0 else "", row) for number, row in enumerate(finding.trace[-5:])),
        ("expected", finding.expected),
        ("rule", finding.rule),
        ("where", finding.where),
        *((AGAIN[min(number, 1)], row) for number, row in enumerate(finding.again)),
    ]
    lines = [headline(check, width)]
    for label, text in rows:
        if text:
            lines += _wrapped(label, clean(text), width, links=links and label == "rule")
    if len(lines) > LINES:
        lines[LINES - 1 :] = [Text(f"{INDENT}… cut: `--json` has the rest", style="dim")]
    return lines


def _wrapped(label: str, text: str, width: int, most: int = 6, links: bool = False) -> list[Text]:
    room = max(30, width - len(INDENT) - LABEL)
    if label in AGAIN:
        room = len(text) + 1  # to be copied: never cut
    style = {"got": "red", "expected": "green", "trace": "yellow"}.get(label, "")
    whole = [with_links(line, find(line) if links else ()) for line in text.splitlines()]
    pieces = [line[begin:end] for line in whole for begin, end in _cut(line.plain, room)] or [Text()]
    if len(pieces) > most and label == "sent":  # what was sent last matters most
        pieces = [pieces[0][: room - 2] + " …", *pieces[1 - most :]]
    elif len(pieces) > most:
        pieces[most - 1 :] = [pieces[most - 1][: room - 2] + " …"]
    lines = []
    for number, piece in enumerate(pieces):
        start = Text(INDENT + (label if number == 0 else "").ljust(LABEL), style="dim")
        piece.style = style
        lines.append(start.append(piece))
    return lines


def _cut(line: str, room: int) -> list[tuple[int, int]]:
    """Where to wrap: at spaces where there are some in the last third, so that commands can be copied."""
    pieces, begin = [], 0
    while len(line) - begin > room:
        cut = line.rfind(" ", begin + room * 2 // 3, begin + room)
        end = begin + room if cut < 0 else cut
        pieces.append((begin, end))
        begin = end
        if cut >= 0:
            begin += len(line[end:]) - len(line[end:].lstrip(" "))
    return [*pieces, (begin, len(line))]


def show(
    result: LabResult,
    console: Console,
    everything: bool = False,
    first_run: bool = False,
    draws: bool = False,
) -> None:
    """Print a lab's verdict: what passed, the first failure in full (all of them with `everything`).

    With `draws`, what was recorded of a failure is drawn below it, and of what passes where it was chosen.
    """
    width = min(console.width, 100)
    links = shows_links(console)
    for note in result.notes:
        console.print(Text(note, style="yellow"))
    explained = False
    for check in result.checks:
        if check.verdict in (Verdict.PASS, Verdict.SKIPPED):
            if check.verdict is Verdict.PASS:
                console.print(headline(check, width))
                _draw(check, console, draws and not result.whole)
        elif everything or not explained:
            explained = True
            for line in explain(check, width, links):
                console.print(line, soft_wrap=True)
            _draw(check, console, draws)
        else:
            console.print(headline(check, width))
    console.print()
    for line in closing(result, everything, first_run):
        console.print(line)


def _draw(check: CheckResult, console: Console, wanted: bool) -> None:
    """What happened, where it was recorded."""
    if check.timeline is not None and wanted:
        console.print()
        for line in drawn(check.timeline, console.width):
            console.print(line, soft_wrap=True)
        console.print()


def closing(result: LabResult, everything: bool, first_run: bool) -> list[Text]:
    """The last lines: the sum, and what to do next."""
    passed = sum(check.verdict is Verdict.PASS for check in result.checks)
    failed = [check for check in result.checks if check.verdict not in (Verdict.PASS, Verdict.SKIPPED)]
    skipped = [check for check in result.checks if check.verdict is Verdict.SKIPPED]
    total = f"lab {result.lab} · {result.title}: {result.points} of {result.of} points, "
    total += f"{passed} of {len(result.checks)} checks pass (seed {result.seed}, {result.mode})"
    lines = [Text(total, style="bold green" if result.verdict is Verdict.PASS else "bold")]
    if result.verdict is Verdict.INFRA_ERROR:
        lines.append(Text("The workshop itself failed here, not you: nothing was counted.", style="bold"))
    elif result.verdict is Verdict.PASS:
        lines.append(_done(result))
    elif failed:
        lines.append(_next_step(result, failed[0], len(failed), len(skipped), everything))
        if first_run and result.points == 0:
            lines.append(
                Text(
                    f"Red is the start: nothing is broken. Open {_edited(result)}, begin with task "
                    f"{failed[0].task}, save, and look here again."
                )
            )
    elif skipped:
        lines.append(Text(f"{len(skipped)} checks did not run: {skipped[0].finding.got}"))
    return lines


def _done(result: LabResult) -> Text:
    if not result.whole:
        return Text(f"These pass. `make lab-{result.lab}` runs all of them.")
    return Text(f"Done. `make load-{result.lab}` puts it under load; NOTES: `make solution-{result.lab}`.")


def _edited(result: LabResult) -> str:
    return f"labs/{result.name}"


def _next_step(result: LabResult, first: CheckResult, failed: int, skipped: int, everything: bool) -> Text:
    more = []
    if failed > 1 and not everything:
        more.append(f"{failed - 1} more in this task")
    if skipped:
        more.append(f"{skipped} of later tasks not run yet")
    rest = f" ({', '.join(more)}; ARGS=--all shows everything)" if more else ""
    return Text(f"Next: task {first.task}{rest}. Stuck? `make hint-{result.lab}`")
