"""What WSGIClient and ASGIClient have in common: requests and cookies, through apps_to_test."""

from __future__ import annotations

import json
from typing import Any

from client_steps import ask, asked, cookies_of, key_of, pairs, seen_by_app

from workshop.judge.checks import expect, name, that

COOKIES = "RFC 6265 §5.2, §5.3 and §5.4"
PLAIN = [("Content-Type", "text/plain")]


def cookies_come_back(probe: Any, rng: Any, begin: Any, end: Any) -> None:
    """What an application sets comes back with later requests, and what it takes back does not."""
    number = str(rng.randrange(10**6))
    first = f"session={number}%3D%3D%3B+Path=/&lang=is%3B+HttpOnly%3B+Max-Age=soon%3B+Expires=never"
    first += "&tea=green%3B+Expires=Fri%2C+31+Dec+9999+23:59:59+GMT"
    values = ask(
        probe,
        *begin,
        asked("get", f"/cookies?{first}"),
        ("first", asked("get", "/echo")),
        asked("get", f"/cookies?lang=%3B+Max-Age=0&tea=%3B+max-age=0&session={number}0%3B+Max-Age=60"),
        ("second", asked("get", "/echo")),
        *end,
        sent=f"a response with Set-Cookie: session={number}==; Path=/, lang=is; HttpOnly; Max-Age=soon; "
        "Expires=never and tea=green; Expires in the year 9999; then "
        "GET /echo; then lang with Max-Age=0, tea with max-age=0, and another session; then GET /echo",
    )
    why = "what was set is sent back, in one Cookie field; a value ends at the first ;"
    why += ", and an attribute that can't be read is ignored"
    wanted = ["lang=is", f"session={number}==", "tea=green"]
    expect(
        "the cookies of the first GET /echo",
        cookies_of(key_of(seen_by_app(values["first"]), "headers", "it")),
        wanted,
        why,
        rule=COOKIES,
    )
    why = "Max-Age=0 takes a cookie back, in any case; a new value replaces the old one"
    second = cookies_of(key_of(seen_by_app(values["second"]), "headers", "it"))
    expect("the cookies of the second", second, [f"session={number}0"], why, rule=COOKIES)


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
