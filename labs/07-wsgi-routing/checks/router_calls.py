"""Routers in the learner's process: how they are made and called, and what came of it."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from typing import Any

from workshop.judge.checks import Probe, Transcript, expect, fail, made, that, wsgi_app

ARGS = "wsgiorg.routing_args"


LAYERS = {"REMOTE_USER": "Ada", "ada.session": "s42"}  # what layers outside of the router put into an environ


SEEN = ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", ARGS, *LAYERS]


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


FAR_NAMES = ("Zoë", "Łukasz", "Aşkın", "Νίκη", "Юлия", "明", "José")


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=6))


def far_name(rng: random.Random) -> str:
    """A name with characters that take more than one byte in UTF-8."""
    return f"{rng.choice(FAR_NAMES)} {rng.randrange(100, 999)}"


def latin(text: str) -> str:
    """Text as PEP 3333 has it in an environ: its UTF-8 bytes, each as one character."""
    return text.encode("utf-8").decode("latin-1")


def app(called: str, **script: Any) -> dict[str, Any]:
    """An inner application that says that it was called, and with what."""
    return wsgi_app(**{"name": called, "environ": SEEN, "chunks": [called.encode()], **script})


def route(pattern: str, methods: Sequence[str] = ("GET",), called: str = "", **more: Any) -> dict[str, Any]:
    leads_to = more.pop("app", None) or app(called or pattern)
    more |= {} if tuple(methods) == ("GET",) else {"methods": list(methods)}
    return made("routing:Route", pattern, leads_to, **more)


def mount(prefix: str, leads_to: dict[str, Any]) -> dict[str, Any]:
    return made("routing:Mount", prefix, leads_to)


def router(*routes: dict[str, Any]) -> dict[str, Any]:
    return made("routing:Router", list(routes))


def ended_well(seen: Transcript) -> None:
    """Fail with the exception when the router raised one."""
    error = seen.raised
    if error is not None:
        while_ = {"preparing": "while the Router was made", "call": "when it was called"}
        when = while_.get(error["during"], f"in {error['during']}")
        fail(f"{error['type']} {when}: {error['message']}", "a response, and no exception")
    that(
        seen.status is not None,
        "start_response was not called",
        "a response: from a route's application, or the router's own",
        rule='PEP 3333, "The Application/Framework Side"',
    )


def code(seen: Transcript) -> str:
    return str(seen.status)[:3]


def calls(seen: Transcript) -> list[str]:
    """The inner applications that were called."""
    return [event["name"] for event in seen.all("inner called")]


def reached(seen: Transcript, called: str, why: str = "") -> dict[str, Any]:
    """The environ that an inner application was called with; fail when another one was, or none."""
    ended_well(seen)
    names = calls(seen)
    got = (
        f"the application of {names[0]} was called" if names else f"the router's own response, {seen.status}"
    )
    reason = f"     {why}" if why else ""
    that(names == [called], got, f"the application of {called} is called{reason}")
    environ: dict[str, Any] = (seen.first("inner called") or {}).get("environ", {})
    return environ


def keeps_what_layers_put(environ: dict[str, Any]) -> None:
    """Fail when keys that are none of the router's are missing."""
    got = {key: environ.get(key) for key in LAYERS}
    why = "what a layer in front has put into the environ is for the application"
    expect("REMOTE_USER and ada.session", got, LAYERS, why)


def under_its_prefix(path: str) -> str:
    why = "all paths under the prefix belong to it, with any method"
    return why if path.isascii() else f"{why}; in PATH_INFO the prefix is UTF-8's bytes, as latin-1"


def prefix_alone(probe: Probe, site: Any, prefix: str, called: str) -> None:
    """Fail unless a mount's prefix without a slash leads to its application, or to the prefix with one."""
    bare = probe.wsgi(site, path=prefix)
    ended_well(bare)
    if code(bare).startswith("3"):
        return
    environ = reached(bare, called, "or a redirect to the prefix with a slash")
    expect("SCRIPT_NAME", environ.get("SCRIPT_NAME"), prefix)
    expect("PATH_INFO", environ.get("PATH_INFO"), "", "nothing is left: an empty PATH_INFO is legal")


def not_found(seen: Transcript, why: str) -> None:
    ended_well(seen)
    names = calls(seen)
    got = f"the application of {names[0]} was called" if names else f"status = {seen.status!r}"
    that(not names and code(seen) == "404", got, f"404 Not Found     {why}")


def values_of(environ: dict[str, Any]) -> dict[str, Any]:
    """The parameters that a route's application was given; fail when they are not where they belong."""
    args = environ.get(ARGS)
    shaped = isinstance(args, tuple | list) and len(args) == 2 and isinstance(args[1], dict)
    shape = f'environ["{ARGS}"] = ((), {{"id": 42}}): a pair, nothing positional, then values by name'
    that(shaped, f'environ["{ARGS}"] = {args!r}', shape)
    values: dict[str, Any] = args[1] if shaped and args else {}
    return values


def field(seen: Transcript, wanted: str) -> str | None:
    """A header's value; names compare without case (RFC 9110 §5.1)."""
    pairs = [tuple(pair) for pair in seen.headers if len(tuple(pair)) == 2]
    return next((str(value) for key, value in pairs if str(key).lower() == wanted.lower()), None)


def allowed(value: str | None) -> set[str]:
    return {part.strip() for part in (value or "").split(",") if part.strip()}


def own_length_is_right(seen: Transcript) -> None:
    length = field(seen, "Content-Length")
    size = len(seen.body)
    why = f"no length, or {size}: the body has {size} bytes"
    that(length in (None, str(size)), f"Content-Length = {length!r}", why, rule="RFC 9110 §8.6")


def one_of_each() -> dict[str, Any]:
    return router(
        route("/tasks/<int:id>", called="task"),
        route("/tasks/<int:id>/notes/<int:note>", called="note"),
        route("/jobs/<uuid:key>", called="job"),
        route("/hello/<name>", called="hello"),
        route("/labels/<str:label>/edit", called="label"),
        route("/files/<path:rest>", called="file"),
    )


def allow_has_what_is_named(probe: Probe, verb: str, methods: list[str]) -> None:
    """A route that names HEAD and OPTIONS itself: the 405 to another method lists them once more."""
    seen = probe.wsgi(router(route("/own", methods, called="own")), verb, "/own")
    ended_well(seen)
    allow = field(seen, "Allow")
    right = f"405, Allow = '{', '.join(methods)}'     in any order: the route names all of them itself"
    got = f"status = {seen.status!r}, Allow = {allow!r}"
    that(code(seen) == "405" and allowed(allow) == set(methods), got, right)


def bad_patterns(probe: Probe, rng: random.Random) -> None:
    """An unknown converter raises at the start; a path parameter before the end does so, or works."""
    unknown = probe.wsgi(router(route(f"/x/<{word(rng)}:id>")), path="/x/1")
    that(unknown.raised, f"an unknown converter, and {unknown.status}", "an exception, at the start")
    hole = (unknown.raised or {}).get("type") == "NotImplementedError"
    that(not hole, "NotImplementedError", "an exception that names the unknown converter")
    early = probe.wsgi(router(route("/x/<path:rest>/edit", called="early")), path="/x/a/b/edit")
    if not early.raised:
        why = "or an exception, at the start: a path takes the rest, and stands last"
        expect("rest", values_of(reached(early, "early", why)).get("rest"), "a/b", why)


def dead_ends_leave_no_value(probe: Probe, first: str, number: str) -> None:
    """An int that leads nowhere is given back, and the same segment tried as a str."""
    site = router(
        route(f"/{first}/<int:id>/x/<int:other>", called="id"),
        route(f"/{first}/<name>/x/<last>", called="name"),
    )
    values = values_of(reached(probe.wsgi(site, path=f"/{first}/{number}/x/y"), "name"))
    why = "a value of the pattern that fits; what was tried before it is not"
    expect("values", values, {"name": number, "last": "y"}, why)


def digits_without_end(probe: Probe) -> None:
    """A number that int() refuses to make is nothing that a path can break the router with."""
    many = probe.wsgi(one_of_each(), path=f"/tasks/{'9' * 5000}")
    that(
        many.raised is None,
        f"five thousand digits raised {(many.raised or {}).get('type')}",
        "404: int() refuses that many, and a path must not be able to break the router",
    )
