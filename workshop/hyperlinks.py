"""Clauses as hyperlinks on a terminal that shows them (OSC 8), and as plain text elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.style import Style
from rich.text import Text

from workshop.clauses import Citation
from workshop.markdown_links import citations, unlinked

FOLDED = re.compile(r"<details><summary>(.*?)</summary>|\n</details>(?=\n|$)", re.DOTALL)


def shows_links(console: Console) -> bool:
    """Whether a hyperlink does anything there: on a terminal, not a dumb one, and without NO_COLOR."""
    return console.is_terminal and not console.no_color and console.color_system is not None


def with_links(text: str, cited: Iterable[Citation]) -> Text:
    """The text, in which each citation leads to its section."""
    made = Text(text)
    for citation in cited:
        if citation.url:
            made.stylize(Style(link=citation.url), citation.start, citation.end)
    return made


def print_markdown(text: str) -> None:
    """Print Markdown as its author wrote it, its clauses as hyperlinks where the terminal shows them.

    What is folded on a page (`<details>`) is open here: the tags go, the summary stays.
    """
    text = FOLDED.sub(r"\1", unlinked(text))
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    if shows_links(console):
        console.print(with_links(text, citations(text)))
    else:
        print(text)
