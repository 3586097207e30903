"""What becomes of a response whose application raises."""

from __future__ import annotations

import re
from typing import Any

from behaviours_client import behave, must_fail, printed, shown_request

from workshop.judge.checks import Client, NoAnswer, expect, fail, that

START = 'PEP 3333, "The start_response() Callable"'
BYTES = 'PEP 3333, "A Note On String Types"'


def exceptions_are_errors(client: Client, stack: Any, who: str) -> None:
    """A 500 before the first byte, a broken body after it; and the traceback is told."""
    for query in ({"raise_at": -1, "name": who}, {"raise_at": 0, "chunk": who}):
        response = client.get(behave("answer", **query))
        expect("status after an exception before the first chunk", response.status, 500)
    nothing = "500: an empty chunk sends nothing, not even the head, so an error page can still be sent"
    try:
        response = client.get(behave("answer", chunk=["", who], raise_at=1))
    except NoAnswer as error:
        fail(f"after an empty chunk and an exception, {error.got}", nothing, rule=START)
    that(response.status == 500, f"{response.line}, after an empty chunk", nothing, rule=START)
    silent = "500, and no traceback on standard error"
    right = "the application's traceback there: nothing else shows what went wrong"
    asked = shown_request(behave("answer", raise_at=-1, name=who))
    said = printed(client, stack, f"at once, for {who}")
    that(said, silent, right, rule="rule 10 of the lesson", sent=asked)
    output = stack.ask("status", service=client.service, since=0)["output"]
    line = next(line for line in output.splitlines() if f"at once, for {who}" in line)
    traced = re.search(rf'File ".*\n.*\n([ ~^]+\n)?.*at once, for {who}', output)
    got = f"500, and {line!r} on standard error, without a traceback"
    that(traced, got, right, rule="rule 10 of the lesson", sent=asked)
    asked = behave("answer", error=f"wsgi.errors of {who}")
    client.get(asked)
    silent = f"{f'wsgi.errors of {who}'!r}, which the application wrote to wsgi.errors, is nowhere"
    right = "it on standard error: wsgi.errors is a stream that somebody reads"
    rule = 'PEP 3333, "Input and Error Streams"'
    said = printed(client, stack, f"wsgi.errors of {who}")
    that(said, silent, right, rule=rule, sent=shown_request(asked))
    text = "500, or no response: a body is made of bytes, and this chunk is text"
    must_fail(client, behave("answer", chunk=who, kind="text"), who, text, rule=BYTES)
    for header in ([], [f"Content-Length:{2 * len(who)}"]):
        response = client.get(behave("answer", chunk=[who, who], header=header))
        expect("body without an exception", response.text, who + who)
        try:
            response = client.get(behave("answer", chunk=[who, who], header=header, raise_at=1))
        except NoAnswer:
            continue
        got = f"{response.line} and a body that looks whole: {response.text!r}"
        that(response.status >= 500, got, "a connection that ends before the body does: no last chunk")
    silent = "no traceback on standard error, of an exception after the first chunk"
    asked = shown_request(behave("answer", chunk=[who, who], raise_at=1))
    said = printed(client, stack, f"after [{who.encode()!r}]")
    that(
        said,
        silent,
        "the application's traceback there: nothing else shows what went wrong",
        rule="rule 10 of the lesson",
        sent=asked,
    )
