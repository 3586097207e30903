"""A lab's lesson and hints as HTML: our own Markdown, and of HTML in it only `<details>` and `<summary>`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from workshop.labs import Lab

FOLDED = re.compile(r"\s*(</?details>|<summary>[^<>]*</summary>|\s)+\s*")
OTHER_LAB = re.compile(r"\.\./(\d\d-[a-z0-9-]+)/README\.md")
BESIDE = re.compile(r"[A-Z]+\.md")


class _Renderer(RendererHTML):
    """Links open beside the page; those to files that the page does not show are text."""

    def html_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        text = tokens[idx].content
        return text if FOLDED.fullmatch(text) else str(self.text(tokens, idx, options, env))

    def html_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return self.html_block(tokens, idx, options, env)

    def link_open(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        token = tokens[index]
        href = str(token.attrs.get("href", ""))
        if other := OTHER_LAB.fullmatch(href):
            href = f"/__lab/lessons/{other[1]}/README.md"
        elif BESIDE.fullmatch(href):
            href = f"/__lab/lessons/{env['lab']}/{href}"
        elif not href.startswith(("https://", "http://", "#")):
            token.attrs = {}
            return str(self.renderToken(tokens, index, options, env))
        token.attrs = {"href": href, "target": "_blank", "rel": "noreferrer"}
        return str(self.renderToken(tokens, index, options, env))

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A block of code can be scrolled from the keyboard, too."""
        return str(self.code_block(tokens, idx, options, env)).replace("<pre", '<pre tabindex="0"', 1)


def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", renderer_cls=_Renderer).enable("table")


def rendered(text: str, lab: Lab) -> str:
    """Markdown of ours as HTML; `lab` is where its links start from."""
    return str(_markdown().render(text, {"lab": lab.name}))


def lesson(lab: Lab, name: str = "README.md") -> str:
    """A lab's README, or another .md beside it. Raises FileNotFoundError where there is none."""
    if not BESIDE.fullmatch(name):
        raise FileNotFoundError(name)
    return rendered((lab.folder / Path(name).name).read_text(encoding="utf-8"), lab)
