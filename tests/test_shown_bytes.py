"""Bytes in a report: on one line, and the same for the same program at any time of the day."""

from __future__ import annotations

from workshop.judge.shown_bytes import show_bytes

HEAD = b"HTTP/1.1 500 Oh no\r\nServer: nginx\r\nDate: Mon, 30 Nov 2026 03:4%d:17 GMT\r\nX-Note: %b\r\n"


def test_what_is_cut_short_is_cut_at_the_same_place_at_any_time() -> None:
    early, late = (show_bytes(HEAD % (minute, b"n" * 140), 160) for minute in (8, 9))
    assert early == late
    assert "bytes more" in early


def test_what_fits_has_its_date() -> None:
    assert show_bytes(HEAD % (9, b"short")).count("30 Nov 2026 03:49:17 GMT") == 1


def test_bytes_are_on_one_line() -> None:
    assert show_bytes(b"a\r\nb\\\x00\xff") == r"a\r\nb\\\x00\xff"
