"""Answers that locust reads: so many bytes at most, and nothing is decompressed."""

from __future__ import annotations

from geventhttpclient.response import HTTPParseError, HTTPResponse, HTTPSocketResponse
from locust.contrib.fasthttp import FastResponse

ANSWER_CAP = 512 << 10  # bytes of one answer, its interim ones and its head among them


class TooMuch(HTTPParseError):
    """More bytes than any answer has that a load script asks for."""


class Answer(FastResponse):
    """An answer as it came: a small body can be a huge one, compressed."""

    def _content(self) -> bytes | None:
        if self._response is None:
            return None
        try:
            return bytes(self._response.read())
        finally:
            self.release()


def _feed(answer: HTTPSocketResponse, data: bytes) -> None:
    """Count what is read of an answer."""
    answer.fed = getattr(answer, "fed", 0) + len(data)
    if answer.fed > ANSWER_CAP:
        raise TooMuch(f"more than {ANSWER_CAP >> 10} KiB of answer")
    HTTPResponse.feed(answer, data)


HTTPSocketResponse.feed = _feed
