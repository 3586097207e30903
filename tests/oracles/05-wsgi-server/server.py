"""The oracle of lab 5: gunicorn with its threaded worker, behind the lab's command line.

Two departures of gunicorn 27 from PEP 3333 are mended: it sends the head with an empty chunk ("The
start_response() Callable"), and keeps the connection after a body that is shorter than its Content-Length.
"""

import argparse
import sys

from gunicorn.app.wsgiapp import run
from gunicorn.http.wsgi import Response

write, should_close = Response.write, Response.should_close


def write_unless_empty(self: Response, chunk: bytes) -> None:
    if chunk or not isinstance(chunk, bytes):
        write(self, chunk)


def should_close_when_short(self: Response) -> bool:
    cut_short = self.response_length is not None and self.sent < self.response_length and not self._omits_body
    return (self.headers_sent and cut_short) or bool(should_close(self))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--time-out", type=float, default=10.0)
    options = parser.parse_args()
    words = ["gunicorn", options.application]
    words += ["--bind", f"{options.host}:{options.port}", "--no-control-socket"]
    words += ["--worker-class", "gthread", "--threads", str(options.threads)]
    words += ["--keep-alive", str(int(options.keep_alive))]
    sys.argv = words
    Response.write, Response.should_close = write_unless_empty, should_close_when_short
    run()


if __name__ == "__main__":
    main()
