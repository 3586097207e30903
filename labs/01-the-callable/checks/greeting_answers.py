"""Lab 1's checks read what a greeting answered: its headers, its chunks, what `call` made of it."""

import random
import string
from collections.abc import Iterable
from typing import Any

from workshop.judge.checks import Response, Thing, Transcript, expect, fail, http_scope, that

APPLICATION_SIDE = 'PEP 3333, "The Application/Framework Side"'
FAR_NAMES = ("Zoë", "Łukasz", "Aşkın", "Νίκη", "Юлия", "明", "José")
AWAITED = "await send(…): without `await`, the call makes a coroutine that never runs"


def far_name(rng: random.Random) -> str:
    """A name with characters that take more than one byte in UTF-8."""
    return f"{rng.choice(FAR_NAMES)} {rng.randrange(100, 999)}"


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=8))


# --- a call of `application` ---------------------------------------------------------------------------


def ended_well(seen: Transcript) -> None:
    """Fail with the exception when the application raised one."""
    error = seen.raised
    if error is not None:
        while_ = {"call": "when it was called", "iteration": "while its body was iterated over"}
        when = while_.get(error["during"], f"in {error['during']}")
        fail(f"{error['type']} {when}", "a response, and no exception")


def body_of(seen: Transcript) -> bytes:
    """The body of a call that ended well, made of bytes: else nobody can tell how long it is."""
    ended_well(seen)
    odd = next((event for event in seen.all("chunk") if event["type"] != "bytes"), None)
    if odd is not None:
        fail(
            f"a body whose first item is {odd['data']!r}, of type {odd['type']}",
            "an iterable of bytes, [b'…']: the body's length is the sum of their lengths",
            rule=APPLICATION_SIDE,
        )
    return seen.body


def pairs(headers: Iterable[object]) -> list[tuple[str, str]]:
    """Those of the headers that are pairs of text."""
    as_tuples = [tuple(pair) for pair in headers if isinstance(pair, tuple | list)]
    return [(pair[0], pair[1]) for pair in as_tuples if len(pair) == 2 and all(type(x) is str for x in pair)]


def header_list(start: dict) -> list[tuple[str, str]]:
    """The headers that start_response was given: a list of pairs of text."""
    headers = start["headers"]
    shown = [pair.get("not", pair) if isinstance(pair, dict) else tuple(pair) for pair in headers]
    got = f"headers of type {start['of']}: {shown!r}"
    if start["of"] == "dict":
        got = f"headers as a dict, with the keys {', '.join(map(str, shown))}"
    fine = start["of"] == "list" and len(pairs(headers)) == len(headers)
    that(fine, got, "a list of tuples of two texts: [('Content-Type', 'text/plain; charset=utf-8'), …]")
    return pairs(headers)


def value_of(headers: Iterable[object], field: str) -> str | None:
    """A field's value; names compare without case (RFC 9110 §5.1)."""
    return next((value for key, value in pairs(headers) if key.lower() == field.lower()), None)


# --- what is answered ----------------------------------------------------------------------------------


def is_utf8_text(content_type: str | None) -> bool:
    """Whether it says text/plain in UTF-8, however it is spelled (RFC 9110 §8.3.1)."""
    media, _, parameters = (content_type or "").lower().partition(";")
    return media.strip() == "text/plain" and parameters.replace('"', "").strip() == "charset=utf-8"


def text_type(got: str | None) -> None:
    that(
        is_utf8_text(got),
        got=f"Content-Type = {got!r}",
        expected="Content-Type = 'text/plain; charset=utf-8'     it tells the browser how to read the bytes",
        rule="RFC 9110 §8.3",
    )


def fields_once(answer: Response, turn: str) -> None:
    """Fail when a field that is there once is there twice, as in a list that is kept and grows."""
    for field in ("Content-Length", "Content-Type"):
        values = answer.all(field)
        that(
            len(values) == 1,
            got=f"{field} = {values}, {turn}",
            expected=f"one {field}: a list of headers made anew for each request; one that is kept grows",
            rule="RFC 9110 §5.3",
        )


def body_is(got: bytes, expected: str, length: str | None = None, **more: str) -> None:
    """Fail unless the body is that text in UTF-8; say which mistake it looks like."""
    wanted = expected.encode()
    why = ""
    if got == expected.encode().decode("latin-1").encode():
        why = "the query's bytes were decoded as latin-1: each became a character of its own. They are UTF-8"
    elif got == expected.encode("latin-1", "replace"):
        why = "the text was encoded as latin-1, and Content-Type says utf-8"
    elif b"%" in got:
        why = "the query arrives as it was sent: percent-encoded. Decoding it is the application's part"
    elif got and wanted.startswith(got) and length == str(len(got)):
        why = f"Content-Length said {length}, so the server sent {length} bytes and cut the rest off"
    elif b"+" in got:
        why = "in a query, + is a space (URL Standard, application/x-www-form-urlencoded)"
    elif "&" in expected and b"&" not in got:
        why = "split the query at & first, then decode: %26 is a character of the value, and splits nothing"
    expect("body", got, wanted, why, **more)


def own_length(seen: Transcript) -> None:
    """Fail when an answer of `application` has a Content-Length, and it is another body's."""
    size, length = len(body_of(seen)), value_of(seen.headers, "Content-Length")
    that(
        length in (None, str(size)),
        got=f"{seen.status}: Content-Length = {length!r} with a body of {size} bytes",
        expected=f"Content-Length = '{size}'     the length of this body, not of a greeting's",
        rule="RFC 9110 §8.6",
    )


def allows(value: str | None) -> set[str]:
    return {part.strip() for part in (value or "").split(",") if part.strip()}


def refused(answer: Response) -> None:
    """Fail unless it is a 405 that says what would have been right."""
    expect("status", answer.status, 405, "/ exists, but not for this method")
    allow, rule = answer.get("Allow"), "RFC 9110 §15.5.6"
    why = "a 405 lists the methods that / has"
    that({"GET", "HEAD"} <= allows(allow), f"Allow = {allow!r}", f"Allow = 'GET, HEAD'     {why}", rule=rule)
    more = allows(allow) & {"POST", "PUT", "PATCH", "DELETE"}
    that(not more, f"Allow = {allow!r}", "Allow = 'GET, HEAD'     the others were refused", rule=rule)


# --- what `call` brought back --------------------------------------------------------------------------


def came_back(seen: Transcript, why: str = "") -> None:
    """Fail when `call` itself raised; `why` says what to expect instead."""
    error = seen.raised
    if error is None:
        return
    why = f"a call that returns     {why}".rstrip()
    if "'NoneType' object is not callable" in error["message"]:
        why = "start_response that returns write: a function that takes bytes"
    elif "has no attribute 'close'" in error["message"]:
        why = "close only where there is one: a list has none"
    elif "unexpected keyword argument" in error["message"] or "passed as keyword" in error["message"]:
        why = "app(environ, start_response): two positional arguments; their names are the application's own"
    fail(f"call raised {error['type']}: {error['message']}", why)


def triple(value: object) -> tuple[str, list[object], bytes]:
    """What `call` returned, as (status, headers, body); a named tuple or a dataclass will do."""
    items = list(value.attributes.values()) if isinstance(value, Thing) else value
    if not isinstance(items, tuple | list) or len(items) != 3:
        fail(f"call returned {value!r}", 'three values: ("200 OK", [("Content-Type", "text/plain")], b"…")')
    status, headers, body = items
    what = f"call returned {value!r}"
    that(isinstance(status, str), what, 'the status as start_response got it: "200 OK"')
    that(isinstance(headers, list | tuple), what, "the headers as start_response got them: a list of pairs")
    that(isinstance(body, bytes), what, "the body as one bytes object: the chunks joined")
    return status, list(headers), body


# --- what `asgi` sent ----------------------------------------------------------------------------------


def messages_of(seen: Transcript) -> tuple[dict, list[dict]]:
    """The start and the bodies that were sent, in that order; an `await` that was forgotten is named."""
    ended_well(seen)
    types = [message.get("type") if isinstance(message, dict) else message for message in seen.sends]
    right = types[:1] == ["http.response.start"] and set(types[1:]) == {"http.response.body"}
    got, wanted = f"the messages sent were {types!r}", "['http.response.start', 'http.response.body']"
    if not right and "was never awaited" in seen.output:
        wanted = AWAITED
    that(right, got, wanted)
    start, *bodies = seen.sends
    return start, bodies


def listed(headers: object) -> None:
    """Fail unless the headers are pairs of bytes with names in lower case."""
    some = headers and not isinstance(headers, dict)
    that(
        some,
        f"headers = {headers!r}",
        "[(b'content-type', b'text/plain; charset=utf-8'), …]: a list of pairs",
    )
    for pair in headers if isinstance(headers, list | tuple) else []:
        two = isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(x, bytes) for x in pair)
        that(two, f"a header {pair!r}", "a pair of bytes: (b'content-type', b'text/plain; charset=utf-8')")
        expect("header name", pair[0], pair[0].lower(), "ASGI has names in lower case")


def knows_or_raises(probe: Any, kind: str, event: str) -> None:
    """Fail unless a scope of this type, which is not http, raises or is answered in its own messages."""
    scope = {**http_scope(), "type": kind, "subprotocols": [], "state": {}}
    seen = probe.asgi("app:asgi", scope, receive=[{"type": event}], settle=0.2)
    types = [str(message.get("type")) for message in seen.sends if isinstance(message, dict)]
    own = types and all(one.startswith(f"{kind}.") for one in types)
    that(
        seen.raised or own,
        got=f"a scope of type {kind!r}: no exception, and the messages sent were {types!r}",
        expected="an exception: it tells the server that the application doesn't support this type",
        rule='ASGI, "Applications"',
    )
