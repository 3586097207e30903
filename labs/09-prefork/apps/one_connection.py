"""One connection, one request, one answer, for servers whose subject is not HTTP.

    client, address = listener.accept()
    serve_connection(client, address, application)

Parsing and answering are those of the standard library's wsgiref; lab 5 writes a better one. It answers as
HTTP/1.0 and closes, as gunicorn's sync worker does: who serves one at a time should not wait for the next.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

Address = Any  # what accept() gives: (host, port), and two more numbers for IPv6
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
SILENCE = 10.0


def serve_connection(client: socket.socket, address: Address, application: Application) -> None:
    """Answer the one request that comes, and close; seconds of silence end it as well.

    An application that raises is answered with 500, and its traceback goes to standard error. A client that
    leaves is no error. The application runs in this thread: it takes as long as it takes.
    """
    with client:
        with contextlib.suppress(OSError):
            _Handler(client, address, _Server(client, application))
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)


class _Server:
    """What wsgiref's handler asks of its server."""

    def __init__(self, client: socket.socket, application: Application) -> None:
        host, port = client.getsockname()[:2]
        self.base_environ = {
            "SERVER_NAME": host,
            "SERVER_PORT": str(port),
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REMOTE_HOST": "",
            "CONTENT_LENGTH": "",
            "SCRIPT_NAME": "",
        }
        self._application = application

    def get_app(self) -> Application:
        return self._application


class _Handler(WSGIRequestHandler):
    timeout = SILENCE

    def __init__(self, client: socket.socket, address: Address, server: _Server) -> None:
        super().__init__(client, address, server)  # type: ignore[arg-type]

    def address_string(self) -> str:
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        """One line a request would be too many under load."""
