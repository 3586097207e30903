"""A Python traceback in a program's output, cut to the learner's own frames."""

from __future__ import annotations

import re
from pathlib import Path

STACK_SHOWN = 4  # frames of a task or thread
STACK_FRAME = re.compile(r'\s+File "(?P<file>.+)", line (?P<line>\d+) in (?P<name>.+)')
TOP = re.compile(r"^(?:Traceback|  \+ Exception Group Traceback) \(most recent call last\)", re.MULTILINE)
CHAINED = re.compile(r"(?:During handling of|The above exception was)[^\n]*\n\s*\Z")
FRAME = re.compile(r'\s+File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<name>.+))?')


def last_traceback(output: str, folder: Path) -> list[str]:
    """The last Python traceback in a program's output, cut to the frames in `folder`."""
    start = output.rfind("Traceback (most recent call last)")
    if start < 0:
        bare = list(re.finditer(r'^ *File "[^"]+", line \d+$', output, re.MULTILINE))
        return _frames(output[bare[-1].start() :].splitlines(), folder) if bare else []
    return _frames(output[start:].splitlines()[1:], folder)


def first_traceback(output: str, folder: Path) -> list[str]:
    """The first of several: what was raised after it may only follow from it. A chain of causes is one."""
    begins = [match.start() for match in TOP.finditer(output)]
    ends = (end for end in begins[1:] if not CHAINED.search(output[:end]))
    return last_traceback(output[: next(ends, len(output))], folder)


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


def is_of_import(trace: list[str]) -> bool:
    """Whether it happened while the learner's file was imported, so while no request was answered."""
    return not any(re.match(r"[^:]+:\d+ in (?!<module>)", frame) for frame in trace)


def waiting_frames(output: str, folder: Path) -> list[str]:
    """A line for each task or thread that was written out: its frames in `folder`, the last call last."""
    found: list[str] = []
    for thread in re.split(r"^(?:(?:Current t|T)hread 0x|Task ).*$", output, flags=re.MULTILINE)[1:]:
        frames = [
            f"{match['file']}:{match['line']} in {match['name']}"
            for match in map(STACK_FRAME.match, thread.splitlines())
            if match
        ]
        line = " → ".join(own(frames[::-1], folder)[-STACK_SHOWN:])
        found += [line] if line and line not in found else []
    return found
