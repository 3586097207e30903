"""Another legal router: a function that returns one, over regular expressions sorted by how narrow they are.

It differs wherever the text leaves a choice: the narrowest pattern alone decides about 405, as in Django;
redirects are 307 and absolute; a bare prefix is redirected; an extra slash is 404; OPTIONS has a body; the
environ is changed in place, and has routing_args only where there are parameters; %2F is told from a slash
where gunicorn keeps the target; a path that is no UTF-8 is 400.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

KINDS = {
    "uuid": (1, "(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", UUID),
    "int": (2, "(?:0|[1-9][0-9]{0,17})", int),
    "str": (3, "[^/]+", str),
    "path": (4, ".+", str),
}
HOLE = re.compile("<(?:(.*?):)?(.*?)>")


@dataclass
class Route:
    pattern: str
    app: Callable[..., Any]
    methods: Any = ("GET",)
    name: str | None = None


@dataclass
class Mount:
    prefix: str
    app: Callable[..., Any]


@dataclass
class Shape:
    """All routes with one pattern, or one mount (`apps` is empty then)."""

    ranks: tuple[int, ...]
    regex: re.Pattern[str]
    kinds: list[str]
    apps: dict[str, tuple[Any, list[str]]]
    mounted: Any = None


def shape_of(pattern: str, mounted: Any = None) -> tuple[Shape, list[str]]:
    ranks, pieces, kinds, names = [], [], [], []
    for segment in pattern.split("/")[1:]:
        hole = HOLE.fullmatch(segment)
        kind = (hole[1] or "str") if hole else ""
        if hole:
            names.append(hole[2])
            kinds.append(kind)
        rank, text, _ = KINDS[kind] if hole else (0, "", str)
        ranks.append(rank)
        pieces.append(f"({text})" if hole else re.escape(segment))
    end = "(/.*)?" if mounted else ""
    whole = re.compile("/" + "/".join(pieces) + end, re.DOTALL)
    return Shape((*ranks, 9) if mounted else tuple(ranks), whole, kinds, {}, mounted), names


def Router(routes: Any) -> Any:
    shapes: dict[tuple[str, bool], Shape] = {}
    named: dict[str, str] = {}
    for one in routes:
        if isinstance(one, Mount):
            shape, _ = shape_of(one.prefix, one.app)
            shapes[shape.regex.pattern, True] = shape
        else:
            shape, names = shape_of(one.pattern)
            shape = shapes.setdefault((shape.regex.pattern, False), shape)
            shape.apps |= dict.fromkeys(one.methods, (one.app, names))
            named[one.name or ""] = one.pattern
    narrow_first = sorted(shapes.values(), key=lambda shape: shape.ranks)

    def find(path: str) -> tuple[Shape, re.Match[str]] | None:
        fits = ((shape, shape.regex.fullmatch(path)) for shape in narrow_first)
        return next(((shape, match) for shape, match in fits if match), None)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            path = environ.get("PATH_INFO", "").encode("latin-1").decode()
        except UnicodeDecodeError:
            return say(environ, start_response, "400 Bad Request")
        found = find(path)
        if found is None and not path.endswith("/") and (better := find(path + "/")) and better[0].apps:
            return to(environ, start_response, path + "/")
        if found is None:
            return say(environ, start_response, "404 Not Found")
        shape, match = found
        if shape.mounted:
            if match[match.lastindex or 1] is None:
                return to(environ, start_response, path + "/")
            return enter(shape.mounted, match, environ, start_response)
        method = environ["REQUEST_METHOD"]
        chosen = shape.apps.get(method) or (shape.apps.get("GET") if method == "HEAD" else None)
        if chosen is None:
            allow = ("Allow", ",".join([*shape.apps, *(["HEAD"] if "GET" in shape.apps else [])]))
            status = "200 OK" if method == "OPTIONS" else "405 No"
            return say(environ, start_response, status, allow)
        app, names = chosen
        texts = raw_texts(environ, shape) or list(match.groups())
        values = [KINDS[kind][2](text) for kind, text in zip(shape.kinds, texts, strict=True)]
        if names:
            environ["wsgiorg.routing_args"] = [(), dict(zip(names, values, strict=True))]
        return app(environ, start_response)

    def raw_texts(environ: dict[str, Any], shape: Shape) -> list[str] | None:
        """The parameters from the target as it was sent, when that has the same shape."""
        raw = environ.get("RAW_URI", "").partition("?")[0]
        match = shape.regex.fullmatch(raw) if "int" not in shape.kinds else None
        return [unquote(text) for text in match.groups()] if match else None

    def url_for(environ: dict[str, Any], name: str, /, **values: Any) -> str:
        def text(hole: re.Match[str]) -> str:
            value = str(values[hole[2]])
            if not re.fullmatch(KINDS[hole[1] or "str"][1], value, re.DOTALL | re.IGNORECASE):
                raise ValueError(f"{value!r} leads nowhere")
            return quote(value)

        path = HOLE.sub(text, quote(named[name], "/<:>"))
        return quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1") + path

    application.url_for = url_for  # type: ignore[attr-defined]
    return application


def enter(app: Any, match: re.Match[str], environ: dict[str, Any], start_response: Any) -> Any:
    left = (match[match.lastindex or 1] or "").encode().decode("latin-1")
    prefix = environ["PATH_INFO"].removesuffix(left)
    environ |= {"SCRIPT_NAME": environ.get("SCRIPT_NAME", "") + prefix, "PATH_INFO": left}
    return app(environ, start_response)


def to(environ: dict[str, Any], start_response: Any, path: str) -> Any:
    where = quote(environ.get("SCRIPT_NAME", ""), encoding="latin-1") + quote(path)
    query = environ.get("QUERY_STRING", "")
    site = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST') or environ['SERVER_NAME']}"
    location = f"{site}{where}?{query}" if query else site + where
    return say(environ, start_response, "307 Temporary Redirect", ("Location", location))


def say(environ: dict[str, Any], start_response: Any, status: str, *headers: tuple[str, str]) -> Any:
    start_response(status, [("Content-Type", "text/plain"), *headers])
    if environ["REQUEST_METHOD"] != "HEAD":
        yield status.encode()
