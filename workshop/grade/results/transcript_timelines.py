"""What happened in each check that failed, of a submission's transcript, as the lab page draws it.

A transcript is the checks' own side of every connection (workshop/grade/judging/exchange_log.py): of nginx,
the server and the application there is what they answered, and the picture says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator

from workshop.grade.judging.exchange_log import HEAD
from workshop.judge.timeline import WIRE_WORDS, Event, Timeline, timeline
from workshop.run import unix_to_tcp

FILE = "timelines.js"
SHOWN = 1200  # characters of one event
LINE = re.compile(
    r"\s*(?P<at>\d+\.\d+)  #(?P<number>\d+)\s+(?P<port>agent|\d+)\s+"
    r"(?P<word>[<>]|[a-z][a-z -]*)(?: (?P<data>(?<=[<>] ).*))?"
)
MORE = re.compile(r"(?P<kept>.*) \.\.\. (?P<more>\d+) bytes more")
LEFT_OUT = re.compile(r"\s*(\d+) events more")
BYTE = re.compile(r"\\x[0-9a-f]{2}|\\.|.")
ASKED = re.compile(r'\{"do": "(\w+)"')
# Where it shows what became of a request to the sandbox; all others are of no interest to a reader.
LANES_OF = {"start": "server", "restart": "server", "signal": "server", "probe": "application"}
SILENT = {
    "nginx": "keeps no log while a class is graded",
    "server": "is seen only in what it answered",
    "application": "is seen only in what came back",
}


def script(transcript: str, failed: Collection[str]) -> str:
    """A script that lays the timelines of these checks ready for the page beside it."""
    found = {name: [one.as_dict() for one in runs] for name, runs in timelines(transcript, failed).items()}
    text = json.dumps(found, sort_keys=True).replace("<", "\\u003c").replace("&", "\\u0026")
    return f"window.timelines = {text};\n"


def timelines(transcript: str, failed: Collection[str]) -> dict[str, list[Timeline]]:
    """By check; a check that ran once more has a second one."""
    found: dict[str, list[Timeline]] = {}
    for part in re.split(rf"(?m)^(?={HEAD})", transcript):
        name, _, text = part.removeprefix(HEAD).partition("\n")
        if part.startswith(HEAD) and name in failed:
            found.setdefault(name, []).append(_timeline(text.splitlines()))
    return found


def _timeline(lines: list[str]) -> Timeline:
    made = timeline(_events(lines), SILENT, 0.0)
    made.left_out += sum(int(found[1]) for line in lines if (found := LEFT_OUT.fullmatch(line)))
    return made


def _events(lines: list[str]) -> Iterator[Event]:
    asked = ""  # of the sandbox: what it was asked for last
    for line in lines:
        if (found := LINE.fullmatch(line)) is None:
            continue
        data, size = _data(found["data"])
        at, number, word = float(found["at"]), int(found["number"]), found["word"]
        if found["port"] != "agent":
            to = "nginx" if int(found["port"]) == unix_to_tcp.FRONT else f"port {found['port']}"
            what = f"connected to {to}" if word == "open" else WIRE_WORDS.get(word, word)
            yield Event(at, "client", what, data, size, number)
            continue
        if word == ">":
            asked = said[1] if (said := ASKED.match(data)) else ""
        if asked in LANES_OF:
            yield from _of_sandbox(at, asked, word, data.removesuffix("\\n"))


def _of_sandbox(at: float, asked: str, word: str, data: str) -> Iterator[Event]:
    """What the sandbox was asked to do with the program, and what came of it."""
    if word == ">":
        yield Event(at, "client", f"asked the sandbox: {asked}", data)
    elif word == "<":
        yield Event(at, LANES_OF[asked], "the probe said" if asked == "probe" else "the sandbox said", data)
    elif word != "open":
        yield Event(at, LANES_OF[asked], "the sandbox was gone")


def _data(text: str | None) -> tuple[str, int | None]:
    """What a line has of the bytes, and how many they were."""
    if text is None:
        return "", None
    cut = MORE.fullmatch(text)
    kept, more = (cut["kept"], int(cut["more"])) if cut else (text, 0)
    shown = kept if len(kept) <= SHOWN else f"{kept[:SHOWN]} …"
    return shown, len(BYTE.findall(kept)) + more
