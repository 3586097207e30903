"""How many requests are in an application at the same time, and who waits for whom."""

from __future__ import annotations

import contextlib
import signal
import time
from typing import Any

from behaviours_client import behave, gate_line
from raw_connections import next_is, something_came

from workshop.judge.checks import Client, Deadline, expect, fail, request_bytes, that

ENDS = 8.0  # seconds
TOLD = {"rule": "your server.py, serve", "sent": "GET, its response, then SIGTERM"}


def answered_beside_idle_ones(connection: Any, index: int, threads: int) -> None:
    """A request on a new connection, while `index` others are open and idle."""
    connection.send(request_bytes("GET", behave("ignore", name=index)))
    try:
        response = connection.response()
    except Deadline:
        fail(
            f"no response to client {index + 1}: {index} others hold an idle connection each",
            f"a response: {threads} threads are enough for any number of idle connections",
        )
    expect("the response", response.json(), {"ignored": str(index)})


def meet(client: Client, threads: int, place: str) -> None:
    """As many requests as there are threads wait for each other inside the application."""
    with contextlib.ExitStack() as open_ones:
        busy = [open_ones.enter_context(client.connect(seconds=6)) for _ in range(threads)]
        target = behave("meet", of=threads, place=place)
        for connection in busy:
            connection.send(request_bytes("GET", target, [("Connection", "close")]))
        for connection in busy:
            response = connection.response()
            got = f"{response.line}: a request waited in the application for {threads - 1} others, in vain"
            that(response.status == 200, got, f"{threads} requests in the application at the same time")
            expect("the response", response.json(), {"met": True, "place": place})


def keep_their_own(client: Client, threads: int, place: str) -> None:
    """Requests that have all called start_response before the first of them gives its body."""
    why = "status and headers are of one request: other threads call start_response meanwhile"
    names = [f"{place} {index}" for index in range(threads)]
    with contextlib.ExitStack() as open_ones:
        busy = {who: open_ones.enter_context(client.connect(seconds=6)) for who in names}
        for who, connection in busy.items():
            target = behave("meet", of=threads, place=place, early=who)
            connection.send(request_bytes("GET", target, [("Connection", "close")]))
        for who, connection in busy.items():
            response = connection.response()
            expect("X-Name", response.get("X-Name"), who, why)
            expect("the body", response.text, who, why)


def one_at_a_time(client: Client, stack: Any, who: str) -> None:
    """With --threads 1, a request waits until the application is through with the one before."""
    with contextlib.ExitStack() as open_ones:
        first = open_ones.enter_context(client.connect(seconds=6))
        first.send(request_bytes("GET", behave("gate", how="iterator", lines=2), [("Connection", "close")]))
        pid, number = gate_line(first, 0, "iterator", in_time=False)
        second = open_ones.enter_context(client.connect(seconds=6))  # not before: it would have been idle
        second.send(request_bytes("GET", behave("ignore", name=who), [("Connection", "close")]))
        client.rests(1)  # less than the gate waits, where nobody can tell
        got = "with --threads 1, the response to a second request while the first was in the application"
        # Where the line was held back, the rest came with it: the application is through with that request.
        is_over = b"gave up" in first.received or something_came(first)
        early = something_came(second) and not is_over
        stack.ask("signal", service="single", number=number, pid=pid)
        that(not early, got, "--threads requests in the application at once, no more")
        expect("the first request's lines", len(first.response().text.splitlines()), 2)
        next_is(second, who, "the one thread is free again")


def asked_while_busy(client: Client, stack: Any, who: str) -> None:
    """A request that comes while the one before it, on its connection, is in the application."""
    with client.connect(seconds=8) as connection:
        connection.send(request_bytes("GET", behave("gate", how="iterator", lines=2)))
        pid, number = gate_line(connection, 0, "iterator", in_time=False)
        connection.send(request_bytes("GET", behave("ignore", name=who)))
        client.rests(1)
        stack.ask("signal", service=client.service, number=number, pid=pid)
        response = connection.response()
        expect("the first response's lines", len(response.text.splitlines()), 2)
        if (response.get("Connection") or "").lower() != "close":
            next_is(connection, who, "a request that came while the first was in the application")


def leaving_holds_no_thread(client: Client, who: str) -> None:
    """The one thread's client leaves while the application reads its body: then the thread is free."""
    with client.connect(seconds=6) as connection:
        fields = [("Content-Length", "100")]
        connection.send(request_bytes("POST", behave("read", how="all"), fields) + b"half")
        client.rests()  # the application waits for the other half
        connection.reset()
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("GET", behave("ignore", name=who), [("Connection", "close")]))
        next_is(connection, who, "the client that left in the middle of its body holds no thread any more")


def ends_when_told(client: Client, stack: Any, who: str) -> None:
    """SIGTERM ends the process, although a client is connected; a request in flight is lab 9's matter."""
    with client.connect(seconds=ENDS + 2) as idle:
        idle.send(request_bytes("GET", behave("ignore", name=who)))
        next_is(idle, who, "the last request before SIGTERM")
        stack.ask("signal", service=client.service, number=int(signal.SIGTERM))
        deadline = time.monotonic() + ENDS
        while (reply := stack.ask("status", service=client.service))["state"] == "running":
            got = f"a process that is still there {ENDS:g} s after SIGTERM, with no request in flight"
            that(time.monotonic() < deadline, got, "its end: serve lets SystemExit through", **TOLD)
            time.sleep(0.05)
    # 0, or what the system says of a process that a SIGTERM ended.
    right = "0: nothing has failed"
    that(reply["code"] in (0, -15, 143), f"exit code {reply['code']} after SIGTERM", right, **TOLD)
