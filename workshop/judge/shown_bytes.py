"""Bytes and text from outside as a report shows them: on one line, and harmless to a terminal."""

from __future__ import annotations

import re

# RFC 9110 §5.6.7. In what is cut short it would cut elsewhere at another time.
DATE = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")
# All but ASCII's printable characters, less the backslash, and the sign for what was left out.
UNPRINTED = re.compile(r"[^ -\[\]-~…]")


def show_bytes(data: bytes, limit: int = 400) -> str:
    """Bytes as text on one line: \\r\\n spelled out, dates and the middle left out when it is long."""
    text = data.decode("latin-1")
    if len(text) > limit:
        text = DATE.sub("(a date)", text)
    if len(text) > limit:
        left_out = len(text) - limit
        text = f"{text[: limit // 2]} … {left_out} bytes more … {text[-limit // 2 :]}"
    return UNPRINTED.sub(lambda found: _escaped(found[0]), text)


def _escaped(char: str) -> str:
    if char == "\\":
        return "\\\\"
    return char.encode("unicode_escape").decode("ascii")


def clean(text: str) -> str:
    """Text from outside without control characters, so that it can't paint a terminal."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda match: repr(match[0])[1:-1], text)
