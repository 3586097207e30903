"""url_for: the routes with names, and the URLs that are built for them."""

from __future__ import annotations

import re
from typing import Any

from router_calls import route, router

from workshop.judge.checks import Transcript, attribute, fail, made, named, that

# RFC 3986 §2: what a URI is made of.
URI = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")


NASTY = (
    "100%",
    "%41",
    "a b",
    "a+b",
    "what?",
    "#1",
    "a&b=c;d",
    "«é»",
    'say "hi"',
    "a:b@c",
    "back\\slash",
    "~x",
)


def named_routes() -> list[dict[str, Any]]:
    return [
        route("/", called="home", name="home"),
        route("/tasks/<int:id>", called="task", name="task"),
        route("/tasks/<int:id>/notes/<int:note>", called="note", name="note"),
        route("/jobs/<uuid:key>", called="job", name="job"),
        route("/hello/<name>/", called="hello", name="hello"),
        route("/labels/<str:label>", ["POST", "GET"], called="label", name="label"),
        route("/files/<path:rest>", called="file", name="file"),
        route("/café/<name>", called="café", name="café"),
    ]


def urls_of(
    probe: Any, routes: list[dict[str, Any]], script_name: str, wanted: list[tuple[str, dict[str, Any]]]
) -> list[str]:
    """What url_for gives; fail when it raises, or gives what is no URL's path."""
    seen = ask_urls(probe, routes, script_name, wanted)
    urls = seen.values[1:]
    error = seen.raised
    if error is not None:
        call = called_as(*wanted[len(urls)]) if seen.values else "Router([…])"
        sent = where_it_leads(routes, *wanted[len(urls)]) if seen.values else ""
        fail(f"{call} raised {error['type']}: {error['message']}", "a path, as text", sent=sent)
    for (of, values), url in zip(wanted, urls, strict=True):
        sent = where_it_leads(routes, of, values, script_name)
        got = f"{called_as(of, values)} gave {url!r}"
        that(isinstance(url, str), got, "text: '/hello/Zo%C3%AB/'", sent=sent)
        why = "a path in ASCII: letters, digits, -._~!$&'()*+,;=:@/ and percent-encoded bytes of UTF-8"
        path = URI.fullmatch(url) and not {"?", "#"} & set(url)
        that(path, got, why, sent=sent)
    return urls


def called_as(of: str, values: dict[str, Any]) -> str:
    return f"url_for({', '.join(['environ', repr(of), *[f'{k}={v!r}' for k, v in values.items()]])})"


def where_it_leads(
    routes: list[dict[str, Any]], of: str, values: dict[str, Any], script_name: str = ""
) -> str:
    """A call of url_for, and the pattern of the route that it names."""
    made_of = [one["$call"] for one in routes]
    patterns = [one["args"][0] for one in made_of if one["kwargs"].get("name") == of]
    behind = f", with SCRIPT_NAME {script_name!r}" if script_name else ""
    return f"router.{called_as(of, values)}{behind}; the route's pattern is {', '.join(patterns) or 'none'}"


def ask_urls(
    probe: Any, routes: list[dict[str, Any]], script_name: str, wanted: list[tuple[str, dict[str, Any]]]
) -> Transcript:
    environ = {"SCRIPT_NAME": script_name, "PATH_INFO": "/", "REQUEST_METHOD": "GET"}
    environ |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http"}
    url_for = attribute(named("router"), "url_for")
    calls = [made(url_for, environ, of, **values) for of, values in wanted]
    sent = where_it_leads(routes, *wanted[0], script_name) if len(wanted) == 1 else ""
    asked: Transcript = probe.steps(("router", router(*routes)), *calls, sent=sent)
    return asked


def refuses(probe: Any, routes: list[dict[str, Any]], unknown: str) -> None:
    """Fail when url_for makes up an answer, or lets a value change the path's shape."""
    for of, values, what in (
        (unknown, {}, "a name that no route has"),
        ("note", {"id": 1}, "a value that is missing"),
        ("task", {"id": "x"}, "a value that its converter does not take"),
    ):
        seen = ask_urls(probe, routes, "", [(of, values)])
        that(
            seen.raised,
            f"{seen.values[-1] if seen.values else None!r} for {what}",
            "an exception: a link to nowhere is found too late",
        )
    slash = ask_urls(probe, routes, "", [("label", {"label": "a/b"})])
    got = slash.values[-1:] if slash.raised is None else []
    right = "an exception, or /labels/a%2Fb: a slash would make two segments of one, and lead elsewhere"
    that(
        not got or "a/b" not in str(got[0]),
        f"url_for(environ, 'label', label='a/b') = {got!r}",
        right,
        rule="RFC 3986 §2.2",
    )
