"""Lab 6's checks read the lines of the log, from `log`, from wsgi.errors and from a service's output."""

import random
import re
import time
from typing import Any

from layer_answers import ended_well

from workshop.judge.checks import (
    Probe,
    Response,
    Transcript,
    expect,
    fail,
    made,
    method,
    named,
    note,
    that,
    wsgi_app,
)

LINE = re.compile(r'(\S+) (\S+) "(\S+) (\S+)" (\d{3}|-) (\d+)(?: (\w+))?')


def logging(**script: Any) -> Any:
    return made("middleware:access_log", wsgi_app(**script), note("log"))


def lines(seen: Transcript) -> list[str]:
    """What `log` was called with, in order."""
    said = [event["args"][0] for event in seen.all("noted") if event["args"]]
    return [line if isinstance(line, str) else repr(line) for line in said]


def the_line(seen: Transcript, when: str) -> tuple[str, ...]:
    """The parts of the one line: client, id, method, target, status, bytes, exception."""
    found = lines(seen)
    why = f"they were {found!r}" if found else "whatever becomes of a request has a line"
    expect(f"lines of the log, {when}", len(found), 1, why)
    match = LINE.fullmatch(found[0].rstrip("\n"))
    if match is None:
        fail(f"the line {found[0]!r}", "'127.0.0.1 7f3a-1 \"GET /tasks?done=1\" 200 51'")
    return tuple(part or "" for part in match.groups())


def default_log(probe: Probe) -> None:
    """Without `log`, the line goes to wsgi.errors."""
    seen = probe.steps(
        ("errors", made("io:StringIO")),
        (
            "environ",
            {
                "SCRIPT_NAME": "",
                "PATH_INFO": "/tasks",
                "REMOTE_ADDR": "127.0.0.1",
                "wsgi.errors": named("errors"),
            },
        ),
        made("wsgiref.util:setup_testing_defaults", named("environ")),
        ("app", made("middleware:access_log", wsgi_app(chunks=[b"abc"]))),
        ("body", made(named("app"), named("environ"), note("start_response"))),
        made("builtins:list", named("body")),
        method(named("body"), "close"),
        method(named("errors"), "getvalue"),
        sent="access_log(inner), without `log`; GET /tasks, to the end of its body",
    )
    ended_well(seen, "a line on wsgi.errors when there is no `log`")
    that(
        '"GET /tasks" 200 3\n' in str(seen.values[-1]),
        got=f"{seen.values[-1]!r} on wsgi.errors",
        expected="'127.0.0.1 - \"GET /tasks\" 200 3\\n' on wsgi.errors, when no `log` is given",
        rule='PEP 3333, "Input and Error Streams"',
    )


def logged(stack: Any, mark: int, own: str) -> list[tuple[str, ...]]:
    """The lines of the service's output that carry this request's id; waits for the first of them."""
    deadline = time.monotonic() + 2
    while True:
        output = stack.ask("status", service="tasks", since=mark)["output"]
        found = [match for match in map(LINE.fullmatch, output.splitlines()) if match and match[2] == own]
        if found or time.monotonic() > deadline:
            return [match.groups() for match in found]
        time.sleep(0.02)


def logged_as_answered(stack: Any, mark: int, own: str, answer: Response, what: str) -> None:
    """The answer to a request is in the log: one line, with the answer's id, status and bytes."""
    where = "the order of your layers: which of them saw this response, and which saw its id?"
    found = logged(stack, mark, own)
    why = "every response is logged, with its id, whichever layer wrote it"
    what = f"lines of the log for {what}, with the id of its response"
    expect(what, len(found), 1, why, rule="the lesson, task 5", where=where)
    wanted = (str(answer.status), str(len(answer.body)))
    expect("status and bytes in the line", found[0][4:6], wanted, "what the client got", where=where)


def cannot_be_forged(probe: Probe) -> None:
    """What a client sends can't end the line, nor the quotation in it: path, query, and its own id."""
    bad = '1 - "GET /admin" 200 1\x1b[2J\x7f\xe9'
    for what, sent, asked in (
        ("path", f"/a\r\n{bad}", {"path": f"/a\r\n{bad}"}),
        ("query", f"a={bad}", {"query": f"a={bad}"}),
        ("X-Request-ID", bad, {"headers": [("X-Request-ID", bad)]}),
    ):
        seen = probe.wsgi(logging(), **asked)
        ended_well(seen)
        found = "".join(lines(seen)).rstrip("\n")
        that(
            LINE.fullmatch(found) and found.isascii() and found.isprintable() and found.count('"') == 2,
            got=f"the line {found!r} for the {what} {sent!r}",
            expected="one line, six words of printable ASCII, two quotation marks: spaces, quotation marks "
            "and control characters are percent-encoded. A client must not write your log",
            rule="CWE-117",
        )
    is_encoded(probe)


def is_encoded(probe: Probe) -> None:
    """Each byte that the client sent is one of the encoded ones: \xc3\xa9 is how PEP 3333 gives an é."""
    for path, wanted in (("/caf\xc3\xa9", "/caf%C3%A9"), ("/a\\b", "/a%5Cb")):
        seen = probe.wsgi(logging(), path=path)
        ended_well(seen)
        # RFC 3986 §2.1: both cases of the digits mean the same.
        got = re.sub("%[0-9a-fA-F]{2}", lambda found: found[0].upper(), the_line(seen, "for this path")[3])
        why = f"the path {path!r}, each byte that is not allowed is written as %XX"
        expect("target in the line", got, wanted, why, rule="the lesson, task 4")


def each_has_its_line(probe: Probe, rng: random.Random) -> None:
    """Requests that overlap, and one after another: status, bytes and exception are each one's own."""
    sizes = [rng.randrange(2, 40) for _ in range(3)]
    codes = rng.sample(["200 OK", "201 Created", "404 Not Found", "409 Conflict"], k=3)
    facts, pages = {}, {}
    for path, status, size in zip(("/ok", "/lost", "/broken"), codes, sizes, strict=True):
        broken = path == "/broken"  # it raises where its second chunk would be
        pages[path] = wsgi_app(
            status=status, chunks=[b"a", b"b" * (size - 1)], raises="iteration" if broken else ""
        )
        facts[path] = (status[:3], "1", "RuntimeError") if broken else (status[:3], str(size), "")
    app = made("middleware:access_log", made("requests_in_turn:by_path", pages), note("log"))
    for turns in ([["/broken", "/ok", "/lost"]], [["/broken"], ["/lost"], ["/ok"]]):
        how = "at the same time" if len(turns) == 1 else "one after another"
        asked = [made("requests_in_turn:served", named("app"), *paths) for paths in turns]
        sent = f"to one access_log, {how}: {', '.join(path for paths in turns for path in paths)}"
        seen = probe.steps(("app", app), *asked, sent=sent)
        ended_well(seen)
        found = [match.groups("") for match in map(LINE.fullmatch, lines(seen)) if match]
        got = sorted((line[3], *line[4:]) for line in found)
        wanted = sorted((path, *fact) for path, fact in facts.items())
        what = f"path, status, bytes and exception of the lines, {how}"
        why = "what belongs to one of them lives in its own call"
        expect(what, got, wanted, why, rule='PEP 3333, "Thread Support"')
