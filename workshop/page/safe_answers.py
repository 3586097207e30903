"""How the tool's pages answer a browser: a strict policy, templates that escape, assets of ours."""

from __future__ import annotations

import secrets
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from workshop.paths import PAGE_ASSETS

KINDS = {".js": "text/javascript", ".css": "text/css"}
SHARED = Path(__file__).parent / "templates"


def headers(nonce: str = "") -> dict[str, str]:
    """What a browser may do with an answer: next to nothing; scripts and styles of ours, by their nonce."""
    ours = (
        f"script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; "
        if nonce
        else ""
    )
    policy = f"default-src 'none'; {ours}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return {
        "Content-Security-Policy": f"{policy}; require-trusted-types-for 'script'; trusted-types 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


@cache
def _templates(folder: Path) -> Environment:
    return Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def from_template(folder: Path, name: str, **values: Any) -> Response:
    """A page of that folder's templates, or of the shared ones; `at` is where its assets are, below /."""
    nonce = secrets.token_urlsafe(16)
    text = _templates(folder).get_template(name).render(nonce=nonce, **values)
    return HTMLResponse(text, headers=headers(nonce))


def not_there() -> Response:
    return Response("There is no such thing here.\n", 404, headers(), "text/plain")


async def asset(request: Request) -> Response:
    """A script or a style sheet of the tool's, by the route's `path`."""
    path = PAGE_ASSETS / request.path_params["path"]
    inside = path.resolve().is_relative_to(PAGE_ASSETS)
    if not inside or path.suffix not in KINDS or not path.is_file():
        return not_there()
    return FileResponse(path, headers=headers(), media_type=KINDS[path.suffix])
