"""Text from strangers, made harmless: for files, terminals, spreadsheets and pages."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from urllib.parse import quote

from workshop.judge.shown_bytes import DATE

CAP = 4000
NAME_CAP = 80
# Full-width ones, too: where people write them, a spreadsheet takes them for the others.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# What some spreadsheet takes for the end of a cell: what follows it must not begin a formula either.
INNER = re.compile(r"([;,|\t])(?=[\s\"']*[=+\-@\uff1d\uff0b\uff0d\uff20])")
MARKED = re.compile(r"-[0-9a-f]{8}$")


def plain(text: str, cap: int = CAP) -> str:
    """Text that every encoding and screen can hold: no control, no direction marks, no lone surrogates."""
    shown = "".join(_shown(char) for char in text[: cap + 1])
    return shown if len(shown) <= cap else f"{shown[: cap - 1]}…"


def _shown(char: str) -> str:
    if char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return char
    return char.encode("unicode_escape").decode("ascii")


def one_line(text: str, cap: int = CAP) -> str:
    return plain(text.replace("\n", "\\n"), cap)


def cell(text: str) -> str:
    """Text for a spreadsheet, which must not take it, or a part of it, for a formula."""
    shown = INNER.sub(r"\1'", one_line(text))
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def file_name(text: str) -> str:
    """A name for a file or folder, the same for the same text and for no other, wherever case is folded."""
    safe = quote(unicodedata.normalize("NFC", plain(text)), safe=" @+,=()").replace("%", "_")
    kept = safe[:NAME_CAP].strip(" .") or "student"
    if kept == text and text == text.lower() and not MARKED.search(text):
        return kept
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept}-{mark}"


# What differs between two runs of the same code and means nothing.
NOISE = [
    (re.compile(r"\b(within|after|in) \d+(?:\.\d+)? s\b"), r"\1 the time allowed"),
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0x…"),
    (DATE, "a date"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?"), "a time"),
    (re.compile(r"((?:REMOTE_PORT|[Pp]ort|pid)\W{1,6})\d{5,7}"), r"\1…"),
]


def steady(text: str) -> str:
    """Text without what differs from run to run: times, addresses, a client's port."""
    for pattern, instead in NOISE:
        text = pattern.sub(instead, text)
    return text
