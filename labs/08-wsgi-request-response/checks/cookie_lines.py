"""Set-Cookie lines that a response sends, and what a client sends back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from wrapper_calls import environ, part, request, response, values

from workshop.judge.checks import fail, made, method, named, note, that


def cookie_fields(one: str, two: str, key: str) -> list[tuple[str, dict[str, str], str]]:
    """Values of Cookie, the pairs that they say, and why."""
    return [
        (f"sid={one}; theme={two}", {"sid": one, "theme": two}, ""),
        (f"sid={one};theme={two};", {"sid": one, "theme": two}, "the space may be missing"),
        (f'sid="{one}"; x=', {"sid": one, "x": ""}, "quotes around a value are not part of it"),
        ('sid=""', {"sid": ""}, "nothing in quotes is an empty value"),
        (
            f'theme="{one} \\"{two}\\""',
            {"theme": f'{one} "{two}"'},
            "a backslash before a quote",
        ),
        (f"sid={one}; sid={two}", {"sid": one}, "the one with the longest path comes first"),
        (f"{key}={one}=={two},x; b=2", {key: f"{one}=={two},x", "b": "2"}, "only a semicolon ends a value"),
        (f"SID={one}; sid={two}", {"SID": one, "sid": two}, "a cookie's name is compared with its case"),
    ]


def split_cookie(line: str) -> tuple[str, dict[str, str]]:
    """The pair of a Set-Cookie, and its attributes by name in lower case."""
    pair, *rest = line.split(";")
    parts = [item.strip().partition("=") for item in rest]
    return pair.strip(), {key.lower(): value for key, _, value in parts}


def is_over(attributes: dict[str, str]) -> bool:
    """Whether a client forgets the cookie: its age is nothing, or its date is past, if only by a second."""
    if re.fullmatch("-?[0-9]+", attributes.get("max-age", "")):
        return int(attributes["max-age"]) <= 0
    try:
        return parsedate_to_datetime(attributes.get("expires", "")) < datetime.now(UTC)
    except (TypeError, ValueError):
        return False


def set_cookies(probe: Any, calls: list[Any]) -> list[str]:
    """The Set-Cookie fields after these calls on a new response. Fails when another response has one, too."""
    other = made(named("other"), environ(), note("start_response"))
    seen = probe.steps(("other", response(b"")), *cookie_steps(calls), other)
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}", "cookies, and no exception")
    noted = seen.all("noted")
    that(len(noted) == 2, f"{len(noted)} calls of start_response, by two responses", "one by each")
    own, others = map(cookies_in, noted)
    that(
        not others,
        f"Set-Cookie: {others[:1]} on another response, on which no cookie was set",
        "cookies on one response only: each has headers of its own",
        sent="two responses; set_cookie on one of them; both are called",
    )
    return own


def cookies_in(event: dict[str, Any]) -> list[str]:
    """The Set-Cookie fields that start_response was given."""
    pairs = map(tuple, event["args"][1])
    return [str(one[1]) for one in pairs if str(one[0]).lower() == "set-cookie"]


def cookie_steps(calls: list[Any]) -> list[Any]:
    steps: list[Any] = [("made", response(b""))]
    steps += [method(named("made"), call, *args, **more) for call, args, more in calls]
    return [*steps, made(named("made"), environ(), note("start_response"))]


def comes_back(probe: Any, value: str) -> None:
    """A value is refused with ValueError, or a client that sends it back as it got it brings the same."""
    seen = probe.steps(*cookie_steps([("set_cookie", ("sid", value), {})]))
    error = seen.raised
    if error is not None:
        got = f"{error['type']}: {error['message']}"
        that(
            "ValueError" in error["bases"],
            got,
            f"ValueError, or a cookie that is {value!r} when it comes back",
        )
        return
    (line,) = set_cookies(probe, [("set_cookie", ("sid", value), {})]) or [""]
    pair, _ = split_cookie(line)
    (got,) = values(probe.steps(request(environ(HTTP_COOKIE=pair)), part("cookies")), 1)
    that(
        got == {"sid": value},
        f"Set-Cookie: {line}; when it came back: {got!r}",
        f"{{'sid': {value!r}}}, or ValueError",
    )


def no_age_is_an_age(probe: Any) -> None:
    """A Max-Age of 0 is one: the cookie ends now."""
    (line,) = set_cookies(probe, [("set_cookie", ("sid", "42"), {"max_age": 0})]) or [""]
    right = "Max-Age=0, or Expires in the past: max_age=0 was said, which is not None"
    that(is_over(split_cookie(line)[1]), f"Set-Cookie: {line}", right)


def nothing_gets_into_cookies(probe: Any, evil: str, some: str) -> None:
    """Fail when a name, a value or an attribute makes a new line, a new attribute, or has NUL in it."""
    calls = [
        ("set_cookie", ("sid", f"a\r\n{evil}"), {}),
        ("set_cookie", (f"sid\r\n{evil}", "a"), {}),
        ("set_cookie", ("sid", "a"), {"path": f"/\r\n{evil}"}),
        ("set_cookie", ("sid", "a"), {"path": "/; Domain=evil.example"}),
        ("set_cookie", ("sid", "a; Domain=evil.example"), {}),
        ("set_cookie", ("sid", f"a\0{some}"), {}),
        ("set_cookie", ("sid", "a"), {"path": f"/{some}\0"}),
        ("set_cookie", (f"sid\0{some}", "a"), {}),
    ]
    for one in calls:
        seen = probe.steps(*cookie_steps([one]))
        error = seen.raised
        if error is not None:
            got = f"{error['type']}: {error['message']}"
            that("ValueError" in error["bases"], got, "ValueError for what can't stand in a cookie")
            continue
        pairs = [tuple(pair) for event in seen.all("noted") for pair in event["args"][1]]
        for line in (str(pair[1]) for pair in pairs if str(pair[0]).lower() == "set-cookie"):
            smuggled = re.search("[\r\n\0]", line) or "domain" in split_cookie(line)[1]
            that(
                not smuggled,
                f"Set-Cookie: {line!r}",
                "ValueError, or an encoded value: no new line, no new attribute, no NUL",
            )
