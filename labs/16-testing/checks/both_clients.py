"""What WSGIClient and ASGIClient have in common: requests and cookies, through apps_to_test."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from client_steps import ask, asked, cookies_of, key_of, pairs, seen_by_app

from workshop.judge.checks import expect, name, that

COOKIES = "RFC 6265 §5.2, §5.3 and §5.4"
PLAIN = [("Content-Type", "text/plain")]


def cookies_come_back(probe: Any, rng: Any, begin: Any, end: Any) -> None:
    """What an application sets comes back with later requests, and what it takes back does not."""
    number = str(rng.randrange(10**6))
    first = {
        "session": f"{number}==; Path=/",
        "lang": "is; HttpOnly; Max-Age=soon; Expires=never",
        "tea": f"green; Expires={some_day(rng, 2200, 9999)}",
        "cake": "plum; Path=/; SameSite=Lax",
        "soup": "hot",
        "bread": "rye",
    }
    second = {
        "ghost": "; Max-Age=0",
        "lang": "; Max-Age=0; Expires=Fri, 31 Dec 9999 23:59:59 GMT",
        "tea": "; max-age=-1",
        "cake": f"; {rng.choice(['Expires', 'expires'])}=Thu, 01 Jan 1970 00:00:00 GMT",
        "soup": "; Max-Age=soon; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "session": f"{number}0; Expires={some_day(rng, 1971, 2020)}; Max-Age=60",
    }
    values = ask(
        probe,
        *begin,
        asked("get", f"/cookies?{urlencode(first)}"),
        ("first", asked("get", "/echo")),
        asked("get", f"/cookies?{urlencode(second)}"),
        ("second", asked("get", "/echo")),
        *end,
        sent=set_cookies(first),
    )
    why = "what was set is sent back, in one Cookie field; a value ends at the first ;"
    why += ", and an attribute that can't be read is ignored"
    wanted = ["bread=rye", "cake=plum", "lang=is", f"session={number}==", "soup=hot", "tea=green"]
    expect(
        "the cookies of the first GET /echo",
        cookies_of(key_of(seen_by_app(values["first"]), "headers", "it")),
        wanted,
        why,
        rule=COOKIES,
        sent=set_cookies(first),
    )
    why = (
        "a new value replaces the old one; a Max-Age of 0 or less, or an Expires in the past, takes a cookie "
    )
    why += "back, in any case; Max-Age counts before Expires"
    got = cookies_of(key_of(seen_by_app(values["second"]), "headers", "it"))
    wanted = ["bread=rye", f"session={number}0"]
    expect("the cookies of the second", got, wanted, why, rule=COOKIES, sent=set_cookies(second))


def some_day(rng: Any, first: int, last: int) -> str:
    """A day of these years, as a field has it: it is to be read, and not to be known."""
    day = datetime(rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28), tzinfo=UTC)
    return format_datetime(day, usegmt=True)


def set_cookies(cookies: dict[str, str]) -> str:
    """What apps_to_test's /cookies sets, in words."""
    pairs = ["crumbs", *(f"{name}={value}" for name, value in cookies.items())]
    return "Set-Cookie: " + " | Set-Cookie: ".join(pairs) + " | then GET /echo"


def requests_arrive(probe: Any, rng: Any, begin: Any, end: Any) -> None:
    """A body, fields and a query reach the application as they were given."""
    word, number = name(rng), rng.randrange(1000)
    values = ask(
        probe,
        *begin,
        ("json", asked("post", f"/echo?n={number}", json={"title": word}, headers=[("X-Word", word)])),
        ("bytes", asked("request", "PUT", "/echo", body=b"\xff\x00" + word.encode(), headers=PLAIN)),
        ("plain", asked("get", "/echo")),
        *end,
        sent=f"post('/echo?n={number}', json={{'title': {word!r}}}, headers=[('X-Word', {word!r})])",
    )
    seen = seen_by_app(values["json"])
    fields = dict(pairs(key_of(seen, "headers", "it"), "headers"))
    expect("method and query", [seen["method"], seen["query"]], ["POST", f"n={number}"])
    expect("x-word", fields.get("x-word"), word)
    expect("content-type", fields.get("content-type"), "application/json", "what json= sends")
    that(
        seen["body"].replace(" ", "") == json.dumps({"title": word}).replace(" ", ""),
        got=f"the application read the body {seen['body']!r}",
        expected=json.dumps({"title": word}),
    )
    seen = seen_by_app(values["bytes"])
    why = "bytes are sent as they are"
    expect(
        "the body read", seen["body"], "\xff\x00" + word, why, sent="request('PUT', '/echo', body=b'\\xff…')"
    )
    seen = seen_by_app(values["plain"])
    why = "a request has nothing of the one before it"
    expect("the next request's body", seen["body"], "", why, sent="get('/echo'), after a request with a body")
