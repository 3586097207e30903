"""What the site behind nginx answers (apps/routed_site.py), and where a redirect leads."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

from named_routes import URI
from router_calls import calls, code, ended_well, field, latin, mount, router

from workshop.judge.checks import Client, Probe, Response, expect, that


def same(answer: Response, values: dict[str, Any], why: str) -> None:
    """Fail unless the site's application got these values."""
    said = said_by(answer)
    got = said.get("values")
    key, value = next(iter(values.items()))
    if isinstance(got, dict) and got.get(key) == latin(value) != value:
        why = "each character is one byte of UTF-8: encode as latin-1, then decode"
    expect("values", got, values, why)


def said_by(answer: Response) -> dict[str, Any]:
    """What the application that apps/where_called.py makes has said."""
    expect("status", answer.status, 200)
    said = answer.json()
    return said if isinstance(said, dict) else {}


def goes_to(location: str | None, path: str, query: str) -> None:
    """Fail unless a Location leads to this path and query of the same site; it may be relative (§10.2.2)."""
    ending = "with a slash" if path.endswith("/") else "without its last slash"
    why = f"{path}{'?' if query else ''}{query}     the same path {ending}, and the query as it was sent"
    got = f"Location = {location!r}"
    that(location and URI.fullmatch(location), got, why)
    parts = urlsplit(urljoin("http://localhost" + path.rstrip("/"), location or ""))
    same_path = unquote_to_bytes(parts.path) == unquote_to_bytes(path)
    that(same_path and parts.query == query, got, why, rule="RFC 9110 §10.2.2")


def tasks_api_is_at(front: Client, prefix: str, title: str) -> None:
    """Fail unless the tasks API under this prefix creates, shows and deletes a task."""
    body = b'{"title": "%s"}' % title.encode()
    created = front.request("POST", f"{prefix}/tasks", [("Content-Type", "application/json")], body)
    expect("status", created.status, 201)
    location = created.get("Location") or ""
    that(
        location.startswith(f"{prefix}/tasks/"),
        f"Location = {location!r}",
        f"Location = '{prefix}/tasks/…'     the tasks API puts SCRIPT_NAME before its own paths",
    )
    shown = front.get(location)
    expect("status", shown.status, 200, "the Location that the application gave leads to the task")
    task = shown.json()
    expect("title", task.get("title") if isinstance(task, dict) else task, title)
    expect("status", front.request("DELETE", location).status, 204)


def leads_nowhere_else(probe: Probe, both: dict[str, Any]) -> None:
    """A slash too many, a target that is no path, and no path at all, under a router of routers."""
    extra = probe.wsgi(both, path="/x/")
    ended_well(extra)
    refused = code(extra) == "404" or code(extra).startswith("3")
    that(refused, f"status = {extra.status!r}", "404, or a redirect to /x")
    if code(extra) != "404":
        goes_to(field(extra, "Location"), "/x", "")
    star = probe.wsgi(both, "OPTIONS", "*")
    ended_well(star)
    to = field(star, "Location")
    got = f"status = {star.status!r}, Location = {to!r}"
    that(not calls(star) and to is None, got, "no redirect: * is not a path", rule="RFC 9110 §9.3.7")
    bare = probe.wsgi(router(mount("/deep", both)), path="/deep")  # the inner router has an empty PATH_INFO
    ended_well(bare)
