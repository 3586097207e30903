"""What is printed where ✓ can't be: on a terminal, or in a file, of a narrower encoding than UTF-8."""

from __future__ import annotations

import codecs
import contextlib
import io
import sys
import unicodedata

SIGNS = {
    "✓": "+",
    "✗": "x",
    "·": "-",
    "…": "...",
    "→": "->",
    "≈": "~",
    "×": "x",
    "—": "--",
    "█": "#",
    "▒": "=",
    "│": "|",
    "─": "-",
    **dict.fromkeys("┌┐└┘├┤", "+"),
}


def plainly(error: UnicodeError) -> tuple[str, int]:
    """Instead of an error: a sign that says the same, a letter without its accent, or "?"."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(SIGNS.get(sign) or _letter(sign) for sign in text), error.end


def _letter(sign: str) -> str:
    return unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode() or "?"


def say_plainly() -> None:
    """From here on, nothing that is printed ends in a UnicodeEncodeError."""
    codecs.register_error("plainly", plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError):
                stream.reconfigure(errors="plainly")
