"""Verdicts, and how a failure reads: sent, got, expected, rule, where, again."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

LINES = 25
INDENT = "    "
LABEL = 10
AGAIN = ("again", " ")


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    TIMEOUT = "TIMEOUT"
    CRASH = "CRASH"
    NO_START = "NO_START"
    SKIPPED = "SKIPPED"
    INFRA_ERROR = "INFRA_ERROR"


@dataclass
class Finding:
    """Why a check did not pass. Every field is text for a person; an empty one is left out."""

    sent: str = ""
    got: str = ""
    expected: str = ""
    rule: str = ""
    where: str = ""
    trace: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)


@dataclass
class CheckResult:
    name: str
    task: int
    title: str
    verdict: Verdict
    points: int
    of: int
    finding: Finding = field(default_factory=Finding)


@dataclass
class LabResult:
    """A lab's verdict. `checks` is in the order of lab.toml; the denominator is lab.toml's."""

    lab: int
    name: str
    title: str
    target: str
    mode: str
    seed: int
    checks: list[CheckResult]
    of: int
    whole: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def verdict(self) -> Verdict:
        found = {check.verdict for check in self.checks}
        if Verdict.INFRA_ERROR in found:
            return Verdict.INFRA_ERROR
        return Verdict.PASS if found == {Verdict.PASS} else Verdict.FAIL

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "points": self.points, "verdict": self.verdict}


def show_bytes(data: bytes, limit: int = 400) -> str:
    """Bytes as text on one line: \\r\\n spelled out, the middle left out when it is long."""
    text = data.decode("latin-1")
    if len(text) > limit:
        left_out = len(text) - limit
        text = f"{text[: limit // 2]} … {left_out} bytes more … {text[-limit // 2 :]}"
    return "".join(_shown(char) for char in text)


def _shown(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char == "…" or (char.isascii() and char.isprintable()):
        return char
    return char.encode("unicode_escape").decode("ascii")


def clean(text: str) -> str:
    """Text from outside without control characters, so that it can't paint a terminal."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], text)


# --- tracebacks -------------------------------------------------------------------------------------

FRAME = re.compile(r'\s+File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<name>.+))?')


def last_traceback(output: str, folder: Path) -> list[str]:
    """The last Python traceback in a program's output, cut to the frames in `folder`."""
    start = output.rfind("Traceback (most recent call last)")
    if start < 0:
        bare = list(re.finditer(r'^ *File "[^"]+", line \d+$', output, re.MULTILINE))
        return _frames(output[bare[-1].start() :].splitlines(), folder) if bare else []
    return _frames(output[start:].splitlines()[1:], folder)


def _frames(lines: list[str], folder: Path) -> list[str]:
    found: list[str] = []
    for number, line in enumerate(lines):
        match = FRAME.match(line)
        if match:
            code = lines[number + 1].strip() if number + 1 < len(lines) else ""
            name = f" in {match['name']}" if match["name"] else ""
            found.append(f"{match['file']}:{match['line']}{name}: {code}")
        elif line and not line[0].isspace() and re.match(r"[\w.]+(:|$)", line):
            return [*own(found, folder), line.strip()]
    return own(found, folder)


def own(frames: list[str], folder: Path) -> list[str]:
    """The frames in `folder`, by their names there."""
    prefix = f"{folder}/"
    return [frame.removeprefix(prefix) for frame in frames if frame.startswith(prefix)]


# --- how it reads -----------------------------------------------------------------------------------

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


def explain(check: CheckResult, width: int) -> list[Text]:
    """A failure in full, at most 25 lines."""
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
            lines += _wrapped(label, clean(text), width)
    if len(lines) > LINES:
        lines[LINES - 1 :] = [Text(f"{INDENT}… cut: `--json` has the rest", style="dim")]
    return lines


def _wrapped(label: str, text: str, width: int, most: int = 6) -> list[Text]:
    room = max(30, width - len(INDENT) - LABEL)
    if label in AGAIN:
        room = len(text) + 1  # to be copied: never cut
    pieces = [piece for line in text.splitlines() for piece in _cut(line, room)] or [""]
    if len(pieces) > most:
        pieces[most - 1 :] = [pieces[most - 1][: room - 2] + " …"]
    style = {"got": "red", "expected": "green", "trace": "yellow"}.get(label, "")
    lines = []
    for number, piece in enumerate(pieces):
        start = Text(INDENT + (label if number == 0 else "").ljust(LABEL), style="dim")
        lines.append(start.append(Text(piece, style=style)))
    return lines


def _cut(line: str, room: int) -> list[str]:
    """Wrap at spaces where there are some in the last third, so that commands can be copied."""
    pieces = []
    while len(line) > room:
        cut = line.rfind(" ", room * 2 // 3, room)
        cut = room if cut < 0 else cut
        pieces.append(line[:cut])
        line = line[cut:].lstrip(" ") if cut < room else line[cut:]
    return [*pieces, line]


def show(result: LabResult, console: Console, everything: bool = False, first_run: bool = False) -> None:
    """Print a lab's verdict: what passed, the first failure in full (all of them with `everything`)."""
    width = min(console.width, 100)
    for note in result.notes:
        console.print(Text(note, style="yellow"))
    explained = False
    for check in result.checks:
        if check.verdict in (Verdict.PASS, Verdict.SKIPPED):
            if check.verdict is Verdict.PASS:
                console.print(headline(check, width))
        elif everything or not explained:
            explained = True
            for line in explain(check, width):
                console.print(line, soft_wrap=True)
        else:
            console.print(headline(check, width))
    console.print()
    for line in closing(result, everything, first_run):
        console.print(line)


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
        if first_run:
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
