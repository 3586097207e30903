"""What the adapters of lab 8 share: the lab's HTTPError and Upload, and an application to be started."""

from dataclasses import dataclass
from typing import IO


class HTTPError(Exception):
    def __init__(self, status, why, headers=()):
        super().__init__(why)
        self.status, self.headers = status, headers


@dataclass
class Upload:
    filename: str
    content_type: str
    file: IO[bytes]


def application(environ, start_response):
    start_response("404 Not Found", [("Content-Length", "0")])
    return []
