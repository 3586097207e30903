"""`make trace-N ARGS="--curl …"`: a request of the learner's own, and what happened on every hop."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from workshop.errors import EXIT_FAILED, EXIT_PASSED, Refusal
from workshop.judge import http_wire
from workshop.judge.http_client import Client, Clock, Trail
from workshop.judge.recorder import Recorder
from workshop.judge.shown_bytes import clean
from workshop.judge.stack import Stack
from workshop.judge.start_failure import start_text
from workshop.judge.timeline_text import drawn
from workshop.run.nginx_config import is_own

SECONDS = 15.0


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    fields: tuple[tuple[str, str], ...]
    body: bytes


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refusal(f"--curl: {message}. It takes a path, a URL, or curl with -X, -H, -d, -I and -v.")


def parsed(text: str) -> Request:
    """A request from a path, a URL or a line with curl, as the reports write them. Raises Refusal."""
    parser = _Parser(prog="curl", add_help=False, allow_abbrev=False)
    parser.add_argument("-X", "--request", default="")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-binary", "--data-raw", dest="data")
    parser.add_argument("-I", "--head", action="store_true")
    for ignored in ("-v", "-s", "-i", "-N"):
        parser.add_argument(ignored, action="store_true")
    parser.add_argument("url")
    try:
        words = shlex.split(text)
    except ValueError as error:
        parser.error(str(error))
    found = parser.parse_args(words[1:] if words[:1] == ["curl"] else words)
    try:
        url = urlsplit(found.url)
        host = url.netloc
    except ValueError as error:
        parser.error(f"{found.url!r} is not a URL ({error})")
    if host and url.scheme != "http":
        parser.error(f"{found.url!r} is not an http URL")
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    if not target.startswith("/") or not target.isascii() or set(target) & set(" \r\n"):
        parser.error(f"{target!r} is not a target: it begins with / and is ASCII without spaces")
    method = "HEAD" if found.head else found.request or ("POST" if found.data is not None else "GET")
    fields = [_field(parser, line) for line in found.header]
    if host and not any(name.lower() == "host" for name, _ in fields):
        fields.insert(0, ("Host", host))
    if not any(name.lower() == "connection" for name, _ in fields):
        fields.append(("Connection", "close"))
    return Request(method, target, tuple(fields), (found.data or "").encode())


def _field(parser: _Parser, line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not line.isascii():
        parser.error(f"{line!r} is not a header line")
    return name, value.strip()


def own_request(stack: Stack, text: str) -> int:
    """Send it through nginx, and draw what happened."""
    request = parsed(text)
    if stack.front is None:
        raise Refusal("There is no nginx on this machine for the request to go through.")
    status = stack.ask("nginx")
    if is_own(stack.lab) and status.get("refused"):
        raise Refusal(status["refused"])
    client = Client(stack, Trail(), Clock(SECONDS), stack.front, "", lambda name: _start(stack, name))
    data = http_wire.request_bytes(request.method, request.target, request.fields, request.body)
    recorder, console = Recorder(), Console(file=sys.stdout, highlight=False)
    recorder.listen()
    try:
        client.wake(request.target)  # what has to be up, before the time begins
        recorder.begin()
        said, code = _answered(client, data, request)
        found = recorder.end(stack)
    finally:
        recorder.leave()
    console.print(Text(f"{request.method} {request.target}: {clean(said)}", style="bold"), soft_wrap=True)
    for line in drawn(found, console.width):
        console.print(line, soft_wrap=True)
    return code


def _answered(client: Client, data: bytes, request: Request) -> tuple[str, int]:
    try:
        response = client.send(data, request.method, SECONDS)
    except http_wire.WireError as error:
        return error.got, EXIT_FAILED
    return f"{response.line}, {len(response.body)} bytes of body", EXIT_PASSED


def _start(stack: Stack, name: str) -> None:
    reply = stack.ask("start", service=name)
    if reply["state"] != "ready":
        print(f"{name}: {clean(start_text(reply))}", file=sys.stderr)
