"""The load generator believes nobody: no answer of a submission's can harm it."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from workshop.judge.stack import Address, Stack
from workshop.labs import find
from workshop.load import load_verdict, locust_runs
from workshop.load.load_verdict import REFERENCE, YOURS

HEAD = b"HTTP/1.1 200 OK\r\n"
ATTACKS: dict[str, Callable[[socket.socket], object]] = {}


def attack(function: Callable[[socket.socket], object]) -> Callable[[socket.socket], object]:
    ATTACKS[function.__name__] = function
    return function


def for_ever(link: socket.socket, piece: bytes, pause: float = 0.0) -> None:
    """Until the other side leaves."""
    wait = threading.Event()
    while not wait.wait(pause) if pause else True:
        link.sendall(piece)


@attack
def endless_body(link: socket.socket) -> None:
    link.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for_ever(link, b"10000\r\n" + b"x" * 65536 + b"\r\n")


@attack
def dripped_body(link: socket.socket) -> None:
    link.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    for_ever(link, b"x", pause=0.1)


@attack
def dripped_head(link: socket.socket) -> None:
    link.sendall(HEAD)
    for_ever(link, b"X-A: b\r\n", pause=0.1)


@attack
def gzip_bomb(link: socket.socket) -> None:
    bomb = gzip.compress(b"\0" * (64 << 20))
    link.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)


@attack
def flood_of_1xx(link: socket.socket) -> None:
    for_ever(link, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000)


@attack
def many_headers(link: socket.socket) -> None:
    link.sendall(HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(100_000)) + b"\r\n")


@attack
def one_long_header(link: socket.socket) -> None:
    link.sendall(HEAD + b"X: ")
    for_ever(link, b"y" * 65536)


@attack
def silence(link: socket.socket) -> None:
    link.recv(1)  # returns when the other side leaves


def right(link: socket.socket) -> None:
    link.sendall(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")


@contextmanager
def answering(hostile: bool) -> Iterator[tuple[Address, list[bytes]]]:
    """A server that does to a request what its path says; the heads that it has seen."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def one(link: socket.socket) -> None:
        with link, suppress(OSError, IndexError):
            seen.append(link.recv(65536))
            word = seen[-1].split()[1].decode()[1:]
            ATTACKS.get(word if hostile else "", right)(link)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=one, args=[listener.accept()[0]], daemon=True).start()

    accepting = threading.Thread(target=serve)
    accepting.start()
    try:
        yield Address(*listener.getsockname()), seen
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()


ATTACKED = """
from pathlib import Path
from two_sides import Visitor, fact

class User(Visitor):
    ways = {{name: "/" + name for name in {names}}}

    def visit(self, site):
        site.get("", body=b"ok")

@fact("memory")
def memory(side):
    return next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)

@fact("the page outside of the measurement")
def fetched(side):
    return str(side.fetch("/endless_body")[0])
"""


@pytest.mark.whole("load scripts")
def test_no_answer_harms_the_load_generator(tmp_path: Path) -> None:
    names = list(ATTACKS)
    (tmp_path / "locustfile.py").write_text(ATTACKED.format(names=names), encoding="utf-8")
    with answering(hostile=True) as (yours, seen), answering(hostile=False) as (reference, _):
        stack = Stack(replace(find("5"), folder=tmp_path), "t", "embedded", tmp_path, yours, "")
        stack.reference_front = reference
        measured = locust_runs.run(stack.lab, stack, locust_runs.Plan(users=2, seconds=3), tmp_path)
    faults = measured["faults"]
    assert all(map(load_verdict.LATE.search, faults[REFERENCE])), (
        "what a flood costs makes everybody late, no more"
    )
    assert {name for name in names if any(one.startswith(name) for one in faults[YOURS])} == set(names)
    facts = {(one["title"], one["side"]): one["instead"] for one in measured["facts"]}
    assert int(facts["memory", YOURS].split()[1]) < 512 << 10, "more than 512 MiB"
    assert facts["the page outside of the measurement", YOURS] == "0"
    heads = b"".join(seen).lower()
    assert b"user-agent" not in heads and b"gzip," not in heads and b"host: localhost\r\n" in heads
