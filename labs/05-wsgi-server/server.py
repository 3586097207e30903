"""Lab 5: a WSGI server. Start it as: python server.py module:attribute --host 127.0.0.1 --port 8000

What lab 2 built is in http1.py: `read_head`, `chunk_size`, `date_line`, `Refused`, and `Connection` with
`take`, `take_line`, `take_trailers`, `receive`, `send`, `refuse` and `half_close`. command_line.py listens,
and calls `serve` below.
What is here is yours: change whatever you like.
"""

import io
import traceback

from command_line import main
from http1 import ClientGone, Connection, read_head


class Body(io.RawIOBase):
    """The body of one request, and then the end of file; `length` in bytes, None for a chunked body.

    io.BufferedReader makes read, readline, readlines and iteration of `readinto`. Of b"abcGET /next …" with
    length 3, it gives b"abc", and then 0 for ever.
    """

    def __init__(self, connection, length):
        self.connection, self.length = connection, length

    def readable(self):
        return True

    def readinto(self, into):
        """Put the next bytes into the buffer `into`; return their number, 0 at the end of the body."""
        # TODO task 1: connection.take(most) waits for between 1 and `most` bytes.
        raise NotImplementedError("lab 5 task 1: read the body, and no further")


def build_environ(head, connection, stream):
    """The environ of a request (PEP 3333, "environ Variables"): a new dict each time.

    b"GET /caf%C3%A9?x=%20 HTTP/1.1" has PATH_INFO "/caf\\xc3\\xa9" and QUERY_STRING "x=%20"; b"X-Tag:a" and
    b"X-Tag: b" make HTTP_X_TAG "a,b". `head` is an http1.Head; connection.client and .server are (address,
    port). CONTENT_LENGTH is head.length, also of two equal fields; a chunked body has none. With
    "wsgi.input_terminated": True, Werkzeug (below Flask) reads a chunked body, too.
    """
    # TODO task 1
    raise NotImplementedError("lab 5 task 1: build environ")


class Response:
    """One response on its way to the client."""

    def __init__(self, connection, head):
        self.connection, self.head = connection, head
        self.status, self.headers, self.headers_sent = "", [], False

    def start_response(self, status, headers, exc_info=None):
        """Keep status ("200 OK") and headers ([("Content-Type", "text/plain")]); returns `write`."""
        # TODO task 2: a second call, exc_info before the head is sent, exc_info after it.
        if self.status or exc_info:
            raise NotImplementedError("lab 5 task 2: start_response again")
        self.status, self.headers = status, headers
        return self.write

    def write(self, data):
        """Send a piece of the body before returning; write(b"hi") sends the head too, if it is the first."""
        # TODO task 2, and again in task 3
        raise NotImplementedError("lab 5 task 2: write")

    def send_head(self):
        """Status line and headers as they are; the end of the connection ends the body."""
        # TODO task 3: refuse what must not be sent; Content-Length or chunks; Date; 204, 304, HEAD.
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers)]
        self.connection.send("\r\n".join([*lines, "Connection: close\r\n\r\n"]).encode("latin-1"))
        self.headers_sent = True


def run(application, environ, response):
    """Call the application and send what it gives."""
    # TODO task 3. This is wrong: it collects the whole body first, forgets close(), checks no header.
    body = b"".join(application(environ, response.start_response))
    if not response.headers_sent:
        response.send_head()
    response.connection.send(body)


def serve_connection(connection, application):
    """Read one request and send the response.

    Close after a chunk that is none, whatever the application catches; otherwise read the rest of the body
    first, also after a 500. Only the last response says "Connection: close". An HTTP/1.0 client that asks for
    keep-alive waits for "Connection: keep-alive" in the response, or for the end.
    """
    # TODO task 4: one request after another; Expect; Refused; silence of more than --keep-alive seconds.
    while (found := read_head(connection.buffer)) is None:
        connection.receive()
    head, used = found
    del connection.buffer[:used]
    environ = build_environ(head, connection, io.BufferedReader(Body(connection, head.length)))
    run(application, environ, Response(connection, head))


def serve(listener, application, options):
    """Serve one connection after another, for ever; `options` are those of the command line.

    On SIGTERM, command_line.py raises SystemExit in here: the process must end, with exit code 0.
    """
    # TODO task 5: options.threads at once.
    while True:
        accepted, _ = listener.accept()
        with accepted:
            try:
                serve_connection(Connection(accepted, options.time_out), application)
            except ClientGone:
                pass
            except Exception:
                traceback.print_exc()


if __name__ == "__main__":
    main(serve)
