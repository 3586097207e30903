"""Where a clause is on the web: `RFC 9112 §6.3`, `PEP 3333, "Error Handling"`; the table is clauses.toml."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("clauses.toml")
RFC = "https://www.rfc-editor.org/rfc/rfc{number}.html"
# What stands before another section of a document: "§3, §5", `and "Close"`, `(the same, "Scope")`.
BETWEEN = re.compile(r"(?:[(,;:]|\band|\bor|\bthe same,)\s*$")
SECTION = r"§\s?(?P<number>\d+(?:\.\d+)*)"
TITLE = r"[\"“](?P<title>[^\"“”\0]{2,90})[\"”]"
DIRECTIVE = r"`(?P<directive>[a-z][a-z_]+)(?:[ ;\0][^`\n]*)?`"


@dataclass(frozen=True)
class Page:
    """A document's address, and the anchors of its sections by title (in lower case) and by number."""

    url: str
    titles: dict[str, str]
    numbers: dict[str, str]

    def section(self, title: str) -> str | None:
        """The address of the section with this title; a title may leave out what follows its " - "."""
        anchor = self.titles.get(title)
        if anchor is None:
            anchor = next((self.titles[one] for one in self.titles if one.partition(" - ")[0] == title), None)
        return None if anchor is None else self.url + (f"#{anchor}" if anchor else "")

    def numbered(self, number: str) -> str | None:
        return f"{self.url}#{self.numbers[number]}" if number in self.numbers else None


@dataclass(frozen=True)
class Document:
    """What a name stands for: its pages, in the order in which a section is looked for."""

    name: str
    pages: tuple[Page, ...]
    alone: bool = True


@dataclass(frozen=True)
class Citation:
    """A clause in a text. `url` is empty where the table has no such section; `label` names it in full."""

    start: int
    end: int
    label: str
    url: str
    whole: bool = False


@dataclass
class Context:
    """The documents that a text has named, the last one at the end."""

    named: list[Document] = field(default_factory=list)
    last: Page | None = None


@dataclass(frozen=True)
class Table:
    documents: dict[str, Document]
    pattern: re.Pattern[str]


def slug(title: str) -> str:
    """The anchor that docutils, Sphinx and MkDocs make of a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


@cache
def table() -> Table:
    """clauses.toml, read once."""
    data = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    pages = {name: _page(page) for name, page in data["pages"].items()}
    documents = {}
    for kind in ("documents", "prefixes"):
        for name, keys in data[kind].items():
            chosen = tuple(pages[key] for key in keys)
            documents[name] = Document(name, chosen, kind == "documents")
    for number, numbers in data["rfc"].items():
        documents[f"RFC {number}"] = _rfc(f"RFC {number}", numbers)
    words = sorted(documents, key=len, reverse=True)
    names = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in words)
    pattern = rf"(?P<name>(?<![\w/-])(?:{names}|RFC\s+\d+)(?![\w(-]))|{SECTION}|{TITLE}|{DIRECTIVE}"
    return Table(documents, re.compile(pattern))


def _page(page: dict[str, Any]) -> Page:
    anchors = {title: slug(title) for title in page.get("titles", [])}
    anchors |= {name: name for name in page.get("directives", "").split()}
    anchors |= page.get("anchors", {})
    return Page(
        page["url"], {title.lower(): anchor for title, anchor in anchors.items()}, page.get("numbers", {})
    )


def _rfc(name: str, numbers: str = "") -> Document:
    anchors = {one: f"section-{one}" for one in _numbers(numbers)}
    return Document(name, (Page(RFC.format(number=name.removeprefix("RFC ")), {}, anchors),))


def _numbers(text: str) -> Iterator[str]:
    """The section numbers in a list of them: "3.1..3" is 3.1, 3.2 and 3.3."""
    for word in text.split():
        first, _, last = word.partition("..")
        head, dot, tail = first.rpartition(".")
        for number in range(int(tail), int(last or tail) + 1):
            yield f"{head}{dot}{number}"


def link(clause: str) -> str | None:
    """The address of the first section that a clause names; None when the table knows none of them."""
    return next((one.url for one in find(clause) if one.url), None)


def find(text: str, context: Context | None = None) -> list[Citation]:
    """The citations in a text, in order.

    A section without a document's name right before it belongs to the last document named that has it:
    in this text, else in `context`, which is brought up to date.
    """
    return _Search(text, context or Context()).run()


class _Search:
    """One pass over a text."""

    def __init__(self, text: str, context: Context) -> None:
        self.text, self.context = text, context
        self.found: list[Citation] = []

    def run(self) -> list[Citation]:
        for match in table().pattern.finditer(self.text):
            if match["name"]:
                self._name(match)
            elif match["number"]:
                self._number(match)
            elif match["title"]:
                self._title(match)
            else:
                self._directive(match)
        return [one for one in self.found if not one.whole or not _is_prefix(one)]

    def _name(self, match: re.Match[str]) -> None:
        name = re.sub(r"\s+", " ", match["name"])
        document = table().documents.get(name) or _rfc(name)
        self.context.named.append(document)
        self.found.append(Citation(*match.span(), name, document.pages[0].url, whole=True))

    def _number(self, match: re.Match[str]) -> None:
        number = match["number"]
        documents = self._documents(match)
        for document in documents:
            for page in document.pages:
                if number in page.numbers:
                    self._add(match, document, page, f" §{number}", page.numbered(number))
                    return
        self._add(match, documents[0] if documents else Document("?", ()), None, f" §{number}", "")

    def _title(self, match: re.Match[str]) -> None:
        continues = self._named_before(match)
        if not continues and not BETWEEN.search(self.text[: match.start()]):
            return
        title = re.sub(r"\s+", " ", match["title"])
        documents = self._documents(match)
        for document in documents:
            for page in sorted(document.pages, key=lambda page: page is not self.context.last):
                url = page.section(title.lower())
                if url is not None:
                    self._add(match, _named_for(document, page, title), page, f', "{title}"', url)
                    return
        if continues:
            self._add(match, documents[0], None, f', "{title}"', "")

    def _directive(self, match: re.Match[str]) -> None:
        """nginx's, as code: one of one word counts only after "nginx" or after another one."""
        name, document = match["directive"], table().documents["nginx"]
        before = self.found[-1] if self.found else None
        follows = before is not None and before.label.startswith("nginx") and self._between(match) == ","
        page = next((page for page in document.pages if name in page.titles), None)
        if page is not None and ("_" in name or follows):
            self._add(match, document, page, f', "{name}"', page.section(name))

    def _documents(self, match: re.Match[str]) -> list[Document]:
        """The documents that a section can be of, the likeliest first."""
        return self.context.named[-1:] if self._named_before(match) else self.context.named[::-1]

    def _named_before(self, match: re.Match[str]) -> bool:
        """Whether a document's name is right before a section: `RFC 9112 §6.3`, `PEP 3333, "Abstract"`."""
        return bool(self.found) and self.found[-1].whole and self._between(match) in ("", ",")

    def _between(self, match: re.Match[str]) -> str:
        return self.text[self.found[-1].end : match.start()].strip()

    def _add(
        self, match: re.Match[str], document: Document, page: Page | None, section: str, url: str | None
    ) -> None:
        start = self.found.pop().start if self._named_before(match) else match.start()
        self.context.last = page or self.context.last
        self.found.append(Citation(start, match.end(), document.name + section, url or ""))


def _named_for(document: Document, page: Page, title: str) -> Document:
    """The document whose name with this title leads to this page, whatever was cited before."""
    first = next(one for one in document.pages if one.section(title.lower()) is not None)
    if first is page:
        return document
    return next(one for one in table().documents.values() if one.pages[0] is page)


def _is_prefix(citation: Citation) -> bool:
    document = table().documents.get(citation.label)
    return document is not None and not document.alone
