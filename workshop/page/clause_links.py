"""Where the clause that a rule names can be read: the documents' own addresses."""

from __future__ import annotations

import re

RFC = re.compile(r"RFC (\d+)(?:,? §+\s?(\d+(?:\.\d+)*))?")
PEP = re.compile(r'PEP (\d+)(?:, "([^"]+)")?')
ASGI = re.compile(r'ASGI,? ?(lifespan|www|HTTP|WebSocket)?[^"]*(?:"([^"]+)")?', re.IGNORECASE)
ASGI_PAGES = {"lifespan": "lifespan.html", "www": "www.html", "http": "www.html", "websocket": "www.html"}


def link(rule: str) -> str:
    """The address of the first clause that a rule names; "" where it names none that is known."""
    if found := RFC.search(rule):
        section = f"#section-{found[2]}" if found[2] else ""
        return f"https://www.rfc-editor.org/rfc/rfc{found[1]}{section}"
    if found := PEP.search(rule):
        return f"https://peps.python.org/pep-{int(found[1]):04d}/{_anchor(found[2])}"
    if found := ASGI.search(rule):
        page = ASGI_PAGES.get((found[1] or found[2] or "").lower(), "main.html")
        return f"https://asgi.readthedocs.io/en/latest/specs/{page}{_anchor(found[2])}"
    return ""


def _anchor(title: str | None) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", (title or "").lower()).strip("-")
    return f"#{words}" if words else ""
