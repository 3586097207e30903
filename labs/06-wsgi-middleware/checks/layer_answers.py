"""Lab 6's checks build requests, and read what came out of a layer and what reached the application in it."""

import base64
import random
import re
import string
from typing import Any

from workshop.judge.checks import Client, Response, Transcript, WireCase, expect, fail


def word(rng: random.Random, size: int = 8) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=size))


def basic(user: str, password: str, scheme: str = "Basic") -> tuple[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    return "Authorization", f"{scheme} {token}"


def sent_with_id(front: Client, case: WireCase, own: str) -> tuple[Response, str]:
    """The answer to a wire case with this id, and the id that must be in it.

    The case `no-id` is sent without one, and gets a new one.
    """
    head, _, body = case.data.partition(b"\r\n\r\n")
    if case.name == "no-id":
        answer = front.send(head + b"\r\nConnection: close\r\n\r\n" + body)
        return answer, answer.get("X-Request-ID") or "a new one"
    sent = f"\r\nX-Request-ID: {own}\r\nConnection: close\r\n\r\n".encode()
    return front.send(head + sent + body), own


def values(seen: Transcript, field: str) -> list[str]:
    """Every value of a response field; names compare without case (RFC 9110 §5.1)."""
    pairs = [pair for pair in seen.headers if len(pair) == 2 and all(type(part) is str for part in pair)]
    return [value for key, value in pairs if key.lower() == field.lower()]


def listed(seen: Transcript, field: str) -> set[str]:
    """The members of a field that is a list, in lower case."""
    return {
        part.strip().lower() for value in values(seen, field) for part in value.split(",") if part.strip()
    }


def one(seen: Transcript, field: str, value: str, why: str, **more: str) -> None:
    """Fail unless the field is there once, with this value."""
    expect(f"values of {field}", values(seen, field), [value], why, **more)


def code(seen: Transcript) -> str:
    """The status code, whatever the status was given as."""
    return str(seen.status)[:3]


def is_called(seen: Transcript) -> bool:
    return seen.first("inner called") is not None


def inner_environ(seen: Transcript) -> dict[str, Any]:
    return (seen.first("inner called") or {}).get("environ", {})


def ended_well(seen: Transcript, why: str = "a response, and no exception") -> None:
    """Fail with the exception when one came out."""
    error = seen.raised
    if error is None:
        return
    when = {
        "call": "when it was called",
        "preparing": "when it was put around an application",
        "close": "in close",
    }
    when |= {"iteration": "while its body was iterated over", "step": "in one of these calls"}
    said = f"{error['type']} {when.get(error['during'], '')}: {error['message']}"
    if "NoneType" in error["message"] and "callable" in error["message"]:
        why = "start_response that returns what the server's one returned: `write`. Some applications call it"
    elif "positional argument" in error["message"]:
        why = "start_response that takes three arguments: the third, exc_info, comes after a failure"
    fail(said, why)


def answered(seen: Transcript, status: str, body: bytes) -> None:
    ended_well(seen)
    expect("status", seen.status, status, "the application's own")
    expect("body", seen.body, body, "the application's own, every byte of it")


def duration(seen: Transcript) -> float:
    """The app's milliseconds in Server-Timing, however it is spelled."""
    metrics = [part.strip() for value in values(seen, "Server-Timing") for part in value.split(",")]
    mine = [metric for metric in metrics if metric.split(";")[0].strip() == "app"]
    found = re.search(r';\s*dur\s*=\s*"?([0-9]+(?:\.[0-9]+)?)', mine[0]) if mine else None
    if len(mine) != 1 or found is None:
        fail(f"values of Server-Timing = {values(seen, 'Server-Timing')!r}", "one value: 'app;dur=12.5'")
    return float(found[1])
