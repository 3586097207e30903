"""Clauses in Markdown as links: `[RFC 9112 §6.3]` in the text, its address at the file's end.

`linked` writes them, `unlinked` takes them away again: lessons are edited and shown on a terminal without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from workshop.clauses import Citation, Context, Document, Page, find, table

FENCE = re.compile(r"\s*(?:[-*]\s+|\d+\.\s+)?(```|~~~)")
ITEM = re.compile(r"\s*(?:[-*]|\d+\.)\s|\s*\|")
DEFINITION = re.compile(r"^\[([^\[\]\n]+)\]: (https://\S+)\n?", re.MULTILINE)
# What is not text: links and images of an author's own, code, tags, addresses.
NOT_TEXT = re.compile(
    r"!?\[[^\[\]]*\](?:\([^()\s]*\)|\[[^\[\]]*\])"
    r"|(?P<ticks>`+)(?P<code>(?:(?!(?P=ticks)).)+)(?P=ticks)|<[^<>\n]+>|https?://[^\s)]+",
    re.DOTALL,
)
DEFAULT = "Sections are of "


@dataclass
class _Part:
    """Lines that belong together (a paragraph, an item of a list), from this place of the text on."""

    start: int
    text: str


@dataclass
class _Section:
    """What the text under one heading has named so far."""

    named: list[Document] = field(default_factory=list)
    last: Page | None = None


def linked(text: str) -> str:
    """The text with each clause as a link, and the addresses at its end. Links of ours are made anew."""
    text = unlinked(text)
    made, labels, end = list[str](), dict[str, str](), 0
    for citation in citations(text):
        if not citation.url or (made and citation.start == end):  # two links without a space would be one
            continue
        made.append(text[end : citation.start])
        made.append(_link(text, citation))
        labels[citation.label] = citation.url
        end = citation.end
    if not labels:
        return text
    definitions = "".join(f"[{label}]: {url}\n" for label, url in sorted(labels.items(), key=_by_number))
    return "".join(made) + text[end:].rstrip("\n") + "\n\n" + definitions


def unlinked(text: str) -> str:
    """The text as its author wrote it, without the links that `linked` makes."""
    ours = {label for label, url in DEFINITION.findall(text) if _address(label) == url}
    if not ours:
        return text
    text = DEFINITION.sub(lambda match: "" if match[1] in ours else match[0], text).rstrip("\n") + "\n"

    def shown(match: re.Match[str]) -> str:
        label = re.sub(r"\s+", " ", match["label"] or match["shown"])
        return match["shown"] if label in ours else match[0]

    return re.sub(r"\[(?P<shown>[^\[\]]+)\](?:\[(?P<label>[^\[\]]*)\])?", shown, text)


def citations(text: str) -> list[Citation]:
    """What a Markdown text cites outside of code: every section, and a document where it is named first."""
    found, seen = [], set[str]()
    earlier, default = list[Document](), list[Document]()
    for section in _sections(text):
        known = _Section()
        for part in section:
            context = Context([*earlier, *known.named, *default], known.last)
            before = len(context.named)
            for one in find(_without_code(part.text), context):
                first = one.label not in seen
                seen.add(one.label)
                if part.text[one.start - 1 : one.start] == "]":
                    continue  # together with it, a link would be another one
                if first or not (one.whole or part.text[one.start] == "`"):
                    found.append(replace(one, start=part.start + one.start, end=part.start + one.end))
            named = context.named[before:]
            known.named, known.last = known.named + named, context.last
            default = named[:1] if DEFAULT in part.text else default
        earlier += known.named
    return found


def _without_code(text: str) -> str:
    """The text with all that is not text blotted out, but for the names of nginx's directives in code."""

    def blot(match: re.Match[str]) -> str:
        word = re.match(r"`[a-z_]+", match[0])
        keep = len(word[0]) if word and _is_directive(word[0][1:]) and match["ticks"] == "`" else 0
        whole = match[0][:keep] + "\0" * (len(match[0]) - keep)
        return whole[:-1] + "`" if keep else whole

    return NOT_TEXT.sub(blot, text)


def _is_directive(word: str) -> bool:
    return any(word in page.titles for page in table().documents["nginx"].pages)


def _link(text: str, citation: Citation) -> str:
    shown = text[citation.start : citation.end]
    if re.sub(r"\s+", " ", shown) != citation.label:
        return f"[{shown}][{citation.label}]"
    # Brackets alone would be something else before these.
    return f"[{shown}]" + ("[]" if text[citation.end : citation.end + 1] in ("(", "[", ":") else "")


def _address(label: str) -> str:
    cited = find(label)
    return cited[0].url if len(cited) == 1 else ""


def _by_number(entry: tuple[str, str]) -> list[tuple[int, int, str]]:
    words = re.findall(r"\d+|\D+", entry[0])
    return [(1, int(word), "") if word.isdigit() else (0, 0, word) for word in words]


def _sections(text: str) -> Iterator[list[_Part]]:
    """The parts of each section, without its heading and its blocks of code."""
    parts: list[_Part] = []
    grows, fence, start = False, "", 0
    for line in text.splitlines(keepends=True):
        mark = FENCE.match(line)
        if fence:
            fence = "" if line.strip().startswith(fence) else fence
            grows = False
        elif mark:
            fence, grows = mark[1], False
        elif line.startswith("#"):
            yield parts
            parts, grows = [], False
        elif not line.strip() or line.lstrip().startswith("<"):
            grows = False
        elif grows and not ITEM.match(line):
            parts[-1].text += line
        else:
            parts.append(_Part(start, line))
            grows = True
        start += len(line)
    yield parts
