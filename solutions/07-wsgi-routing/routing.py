"""A router: one WSGI application that picks another one by path and method.

How it works. All patterns are kept as one tree, with an edge for each segment. The path "/tasks/42" walks
from the root along "tasks" and along whatever takes "42":

    (root) ─ "tasks" ─▶ ( ) ─ "new" ──────▶ (GET)
        │                ├─── <int:id> ───▶ (GET, DELETE)
        │                └─── <str:name> ─▶ (GET)
        └─── "api" ────▶ (a mounted application: takes whatever is left)

At each node the edges are tried from the narrowest to the widest, whatever order they were added in: the
exact text, then uuid, int, str and path. A dead end goes back to the last choice. So a path costs as many
dictionary look-ups as it has segments, with five routes or five hundred.

A trailing slash is an empty last segment: "/tasks/" walks along "tasks" and along "".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ARGS = "wsgiorg.routing_args"
PARAMETER = re.compile(r"<(?:([a-z]+):)?([A-Za-z_]\w*)>")
# RFC 3986 §3.3: what may stand in a path as it is. The rest is percent-encoded.
PCHAR = "/!$&'()*+,;=:@"


class Route(NamedTuple):
    """A pattern ("/tasks/<int:id>"), the application it leads to, its methods, a name for `url_for`."""

    pattern: str
    app: WSGIApplication
    methods: Sequence[str] = ("GET",)
    name: str = ""


class Mount(NamedTuple):
    """An application that takes whatever is under a prefix ("/api")."""

    prefix: str
    app: WSGIApplication


# --- parameters ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Converter:
    """Text of a path to a value and back. `matches` must fit the whole text."""

    matches: re.Pattern[str]
    to_value: Callable[[str], Any]

    def value(self, text: str) -> Any:
        """The value, or None when the text is not for this converter."""
        # fullmatch, not match with "$": "$" also fits before a newline at the end, and %0A is one.
        if self.matches.fullmatch(text) is None:
            return None
        try:
            return self.to_value(text)
        except ValueError:  # int() refuses more digits than sys.get_int_max_str_digits()
            return None

    def text(self, value: Any) -> str:
        """The text that would give this value. Raises ValueError when no path can say it."""
        text = str(value)
        if self.matches.fullmatch(text) is None:
            raise ValueError(f"{value!r} can't stand here: a path that says it would not lead back")
        return text


# From the narrowest to the widest: this order is the precedence. Bytes that are no UTF-8 have become lone
# surrogates (see `segments`), and a value that nobody can encode again is no text.
CONVERTERS = {
    "uuid": Converter(re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), UUID),
    "int": Converter(re.compile(r"[0-9]+"), int),
    "str": Converter(re.compile(r"[^/\ud800-\udfff]+"), str),
    "path": Converter(re.compile(r"[^/\ud800-\udfff][^\ud800-\udfff]*"), str),
}


class Parameter(NamedTuple):
    kind: str
    name: str


def parse(pattern: str) -> list[str | Parameter]:
    """The segments of a pattern: "/tasks/<int:id>" -> ["tasks", Parameter("int", "id")].

    Raises ValueError for what is no pattern, so that a site with a slip in it does not start.
    """
    if not pattern.startswith("/"):
        raise ValueError(f"{pattern!r} does not begin with a slash")
    parts = [_part(segment, pattern) for segment in pattern.split("/")[1:]]
    names = [part.name for part in parts if isinstance(part, Parameter)]
    if len(set(names)) < len(names):
        raise ValueError(f"{pattern!r} uses a name twice")
    if any(isinstance(part, Parameter) and part.kind == "path" for part in parts[:-1]):
        raise ValueError(f"{pattern!r}: a path parameter takes all that is left, so it stands last")
    return parts


def _part(segment: str, pattern: str) -> str | Parameter:
    found = PARAMETER.fullmatch(segment)
    if found is None and ("<" in segment or ">" in segment):
        raise ValueError(f"{pattern!r}: {segment!r} is neither text nor one parameter")
    if found is None:
        return segment
    kind = found[1] or "str"
    if kind not in CONVERTERS:
        raise ValueError(f"{pattern!r}: there is no converter {kind!r}, only {', '.join(CONVERTERS)}")
    return Parameter(kind, found[2])


def segments(path_info: str) -> list[str]:
    """The segments of PATH_INFO as text: "/caf\\xc3\\xa9/x" -> ["café", "x"]; "/x/" -> ["x", ""].

    PEP 3333, "environ Variables": the server has decoded the percent signs, so nobody decodes them again.
    "Unicode Issues": each character stands for a byte. What is no UTF-8 becomes lone surrogates.
    """
    raw = path_info.split("/")[1:]
    return [segment.encode("latin-1").decode("utf-8", "surrogateescape") for segment in raw]


# --- the tree -----------------------------------------------------------------------------------------


class Endpoint(NamedTuple):
    app: WSGIApplication
    names: tuple[str, ...]


@dataclass
class Node:
    """A place in the tree: the edges that leave it, and what ends here, by method."""

    static: dict[str, Node] = field(default_factory=dict)
    dynamic: dict[str, Node] = field(default_factory=dict)
    routes: dict[str, Endpoint] = field(default_factory=dict)
    mount: WSGIApplication | None = None

    def follow(self, parts: Iterable[str | Parameter]) -> Node:
        """The node at the end of these parts; what is missing on the way is made."""
        node = self
        for part in parts:
            if isinstance(part, Parameter):
                node.dynamic.setdefault(part.kind, Node())
                # Precedence is a property of the pattern, not of the order in which it was written.
                node.dynamic = {kind: node.dynamic[kind] for kind in CONVERTERS if kind in node.dynamic}
                node = node.dynamic[part.kind]
            else:
                node = node.static.setdefault(part, Node())
        return node


class Found(NamedTuple):
    """One thing that a path can mean: routes by method or a mount, the values and segments on the way."""

    routes: dict[str, Endpoint]
    mount: WSGIApplication | None
    values: tuple[Any, ...]
    used: int


def candidates(
    node: Node, path: Sequence[str], values: tuple[Any, ...] = (), used: int = 0
) -> Iterator[Found]:
    """All that a path can mean, the most specific first; a mount comes after the routes beside it.

    No node is visited twice for one path, so there is no path that makes this slow.
    """
    if used == len(path):
        if node.routes:
            yield Found(node.routes, None, values, used)
    else:
        if path[used] in node.static:
            yield from candidates(node.static[path[used]], path, values, used + 1)
        for kind, child in node.dynamic.items():
            end = len(path) if kind == "path" else used + 1
            value = CONVERTERS[kind].value("/".join(path[used:end]))
            if value is not None:
                yield from candidates(child, path, (*values, value), end)
    if node.mount is not None:
        yield Found({}, node.mount, values, used)


# --- the router ---------------------------------------------------------------------------------------


class Router:
    """A WSGI application made of routes and mounts; their order means nothing."""

    def __init__(self, routes: Iterable[Route | Mount]) -> None:
        """Raises ValueError for a bad pattern, and for two routes that the same request would fit."""
        self.root = Node()
        self.names: dict[str, list[str | Parameter]] = {}
        for route in routes:
            if isinstance(route, Mount):
                self._mount(route)
            else:
                self._add(route)

    def _add(self, route: Route) -> None:
        parts = parse(route.pattern)
        names = tuple(part.name for part in parts if isinstance(part, Parameter))
        node = self.root.follow(parts)
        for method in route.methods:
            # Of two routes for the same requests, the order would have to decide. It must not.
            if method in node.routes:
                raise ValueError(f"there are two routes for {method} {route.pattern}")
            node.routes[method] = Endpoint(route.app, names)
        if route.name and self.names.setdefault(route.name, parts) is not parts:
            raise ValueError(f"there are two routes with the name {route.name!r}")

    def _mount(self, mount: Mount) -> None:
        prefix = mount.prefix.rstrip("/")
        parts = parse(prefix) if prefix else []
        if any(isinstance(part, Parameter) for part in parts):
            raise ValueError(f"{mount.prefix!r}: a prefix is plain text")
        self.root.follow(parts).mount = mount.app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """PEP 3333: an application to the server in front, a server to the applications behind."""
        method, allowed = environ["REQUEST_METHOD"], set[str]()
        # PEP 3333, "environ Variables": PATH_INFO may be empty, and what is empty may be absent.
        for found in candidates(self.root, segments(environ.get("PATH_INFO", ""))):
            if found.mount is not None:
                return found.mount(shifted(environ, found.used), start_response)
            # RFC 9110 §9.3.2: HEAD is GET without the content, so it is there wherever GET is.
            like = "GET" if method == "HEAD" and "HEAD" not in found.routes else method
            if like in found.routes:
                app, names = found.routes[like]
                args = ((), dict(zip(names, found.values, strict=True)))
                return app({**environ, ARGS: args}, start_response)
            allowed |= found.routes.keys()
        if allowed:
            return wrong_method(environ, start_response, allowed)
        location = self._with_the_other_ending(environ)
        if location:
            return redirect(environ, start_response, location)
        return answer(environ, start_response, "404 Not Found", "There is nothing at this path.\n")

    def _with_the_other_ending(self, environ: WSGIEnvironment) -> str:
        """The URL with its last slash added or taken away, if there is a route; else ""."""
        path: str = environ.get("PATH_INFO", "")
        if path and not path.startswith("/"):  # "OPTIONS *"
            return ""
        other = path[:-1] if path.endswith("/") else path + "/"
        if not any(found.routes for found in candidates(self.root, segments(other))):
            return ""
        # What arrived decoded is encoded again: a newline in it would end the header line.
        return encoded(environ.get("SCRIPT_NAME", "") + other, "latin-1")

    def url_for(self, environ: WSGIEnvironment, name: str, /, **values: Any) -> str:
        """The path of a route as a link has it: "/v1/hello/Zo%C3%AB/" under the SCRIPT_NAME "/v1".

        Raises LookupError for a name or a value that is missing, ValueError for a value that its
        converter would not take back, TypeError for values that the pattern has no place for.
        """
        if name not in self.names:
            raise LookupError(f"there is no route with the name {name!r}")
        parts = self.names[name]
        needed = {part.name for part in parts if isinstance(part, Parameter)}
        if missing := needed - values.keys():
            raise LookupError(f"{name!r} needs {', '.join(sorted(missing))}")
        if unknown := values.keys() - needed:
            raise TypeError(f"{name!r} has no {', '.join(sorted(unknown))}")
        texts = [CONVERTERS[p.kind].text(values[p.name]) if isinstance(p, Parameter) else p for p in parts]
        path = "/" + "/".join(texts)
        # RFC 3986 §5.2.4: a client takes "." and ".." out of a path before it asks.
        if {".", ".."} & set(path.split("/")):
            raise ValueError(f"{path!r} has a segment that clients take away")
        return encoded(environ.get("SCRIPT_NAME", ""), "latin-1") + encoded(path, "utf-8")


def shifted(environ: WSGIEnvironment, count: int) -> WSGIEnvironment:
    """A copy with the first `count` segments of PATH_INFO moved to the end of SCRIPT_NAME.

    PEP 3333, "URL Reconstruction": SCRIPT_NAME + PATH_INFO stays what it was, byte for byte.
    """
    path: str = environ.get("PATH_INFO", "")
    prefix = "/".join(path.split("/")[: count + 1])
    script_name = environ.get("SCRIPT_NAME", "") + prefix
    return {**environ, "SCRIPT_NAME": script_name, "PATH_INFO": path[len(prefix) :]}


def encoded(path: str, charset: str) -> str:
    """RFC 3986 §2.1: a path as ASCII. `charset` says how its characters become bytes."""
    return quote(path, safe=PCHAR, encoding=charset)


# --- the router's own answers -------------------------------------------------------------------------


def wrong_method(
    environ: WSGIEnvironment, start_response: StartResponse, methods: set[str]
) -> Iterable[bytes]:
    """RFC 9110 §15.5.6: a 405 says in Allow what there is. §9.3.7: OPTIONS asks for that alone."""
    all_of_them = methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    listed = ", ".join(sorted(all_of_them))
    allow = ("Allow", listed)
    if environ["REQUEST_METHOD"] == "OPTIONS":
        return answer(environ, start_response, "204 No Content", "", allow)
    return answer(environ, start_response, "405 Method Not Allowed", f"{listed} would work.\n", allow)


def redirect(environ: WSGIEnvironment, start_response: StartResponse, location: str) -> Iterable[bytes]:
    """RFC 9110 §15.4.9: after 308 the client repeats the same method and body; after 301 it need not."""
    # The query was never decoded, so it goes back as it came.
    query = environ.get("QUERY_STRING", "")
    location += f"?{query}" if query else ""
    return answer(environ, start_response, "308 Permanent Redirect", "", ("Location", location))


def answer(
    environ: WSGIEnvironment,
    start_response: StartResponse,
    status: str,
    text: str,
    *headers: tuple[str, str],
) -> Iterable[bytes]:
    """An answer that no application behind the router gave."""
    body = text.encode("utf-8")
    own = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    # RFC 9110 §8.6: no Content-Length on a 204.
    start_response(status, [*([] if status.startswith("204") else own), *headers])
    # RFC 9110 §9.3.2: no content in the answer to a HEAD.
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
