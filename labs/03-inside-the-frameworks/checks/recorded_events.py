"""Lab 3's checks read what `record` was called with: the events in order, each before it is passed on."""

import random
import string
from collections import Counter
from typing import Any

from workshop.judge.checks import Transcript, fail, made, note

BOUNDARIES = 'PEP 3333, "Middleware Handling of Block Boundaries"'
DETAILS = 'PEP 3333, "Specification Details"'
ERROR_HANDLING = 'PEP 3333, "Error Handling"'
MIDDLEWARE = 'PEP 3333, "Middleware: Components that Play Both Sides"'
START_RESPONSE = 'PEP 3333, "The start_response() Callable"'
RULES = {
    "start_response": START_RESPONSE,
    "write": START_RESPONSE,
    "chunk": BOUNDARIES,
    "exhausted": BOUNDARIES,
    "close": DETAILS,
    "raised": ERROR_HANDLING,
}


def word(rng: random.Random, size: int = 8) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=size))


def wsgi_traced(app: Any) -> Any:
    return made("xray:wsgi_xray", app, note("record"))


def asgi_traced(app: Any) -> Any:
    return made("xray:asgi_xray", app, note("record"))


def recorded(seen: Transcript) -> list[tuple[Any, ...]]:
    """What record was called with, in order."""
    return [tuple(event["args"]) for event in seen.all("noted") if event["name"] == "record"]


def ended_well(seen: Transcript) -> None:
    """Fail with the exception when one came out."""
    error = seen.raised
    if error is None:
        return
    why = "a response, and no exception"
    if "NoneType" in error["message"] and "callable" in error["message"]:
        why = "start_response that returns `write`, as the server's one does: some applications call it"
    elif "positional argument" in error["message"]:
        why = "start_response that takes exc_info as well: it comes third, after a failure"
    fail(f"{error['type']}: {error['message']}", why)


def plain(value: Any) -> Any:
    """A recorded value for comparison: a pair is a pair, whether it is a list or a tuple."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def line(event: tuple[Any, ...]) -> str:
    return f"record({', '.join(repr(item) for item in event)})"


def records(seen: Transcript, *wanted: tuple[Any, ...], rule: str = "") -> None:
    """Fail at the first event of the record that is not the wanted one."""
    got = recorded(seen)
    for index, right in enumerate(wanted):
        before = f"after {line(wanted[index - 1])}: " if index else ""
        clause = rule or RULES.get(str(right[1]), MIDDLEWARE)
        if index >= len(got):
            fail(f"{before}{'nothing more' if index else 'nothing'} was recorded", line(right), rule=clause)
        if plain(got[index]) != plain(right):
            fail(f"{before or 'first: '}{line(got[index])}", line(right), rule=clause)
    if len(got) > len(wanted):
        more = got[len(wanted)]
        clause = rule or RULES.get(str(more[1:2] and more[1]), MIDDLEWARE)
        fail(f"one event too many: {line(more)}", f"nothing after {line(wanted[-1])}", rule=clause)
    recorded_first(seen)


# What is passed on, and the word under which it must have been recorded by then.
PASSED_ON = {
    "inner called": "called",
    "start_response": "start_response",
    "write": "write",
    "returned": "returned",
    "chunk": "chunk",
    "exhausted": "exhausted",
    "inner closed": "close",
    "inner received": "receive",
    "send": "send",
}


def recorded_first(seen: Transcript) -> None:
    """Fail at what was passed on before it was recorded."""
    known: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for event in seen.events:
        if event["event"] == "noted" and event["name"] == "record" and len(event["args"]) > 1:
            known[str(event["args"][1])] += 1
        word_ = PASSED_ON.get(event["event"], "")
        passed[word_] += 1
        if word_ and passed[word_] > known[word_]:
            fail(
                f"{word_!r} was recorded only after it had been passed on ({event['event']})",
                "first record, then pass on: what fails or hangs on the other side is on record then",
                rule=RULES.get(word_, MIDDLEWARE),
            )
