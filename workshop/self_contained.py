"""What a page carries that needs nothing else: our styles and scripts, and a policy that lets no other run.

What a program said stands in such a page as text or as JSON: never as markup, and never as a script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from workshop.paths import PAGE_ASSETS


@dataclass(frozen=True)
class Carried:
    """Styles and scripts, in order, and the Content-Security-Policy of the page that they lie in."""

    styles: list[Markup]
    scripts: list[Markup]
    policy: str


def carried(
    styles: Sequence[str], scripts: Sequence[str], begin: str = "", beside: tuple[str, ...] = ()
) -> Carried:
    """Assets by their names; `begin` is a script's text that comes last.

    `beside` are sources of scripts that the policy also allows, for a file that lies beside the page.
    """
    looks = [asset(name) for name in styles]
    runs = [*(asset(name) for name in scripts), *([begin] if begin else [])]
    policy = (
        f"default-src 'none'; script-src {' '.join([*map(_hash, runs), *beside])}; "
        f"style-src {' '.join(map(_hash, looks))}; base-uri 'none'; form-action 'none'"
    )
    return Carried([Markup(text) for text in looks], [Markup(text) for text in runs], policy)  # ours


def asset(name: str) -> str:
    return (PAGE_ASSETS / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """A text that a browser may take, as a policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def in_script(text: str) -> Markup:
    """JSON that can't end the element it stands in, nor begin another one."""
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))
