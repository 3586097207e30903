"""Clients that ask for 4 MiB and then hardly read: does anybody else get an answer?

    python services/load/slow_readers.py http://127.0.0.1:8000/four/ [how many]

The URL must lead to services/apps/wsgi_behaviours.py. After so many slow readers came, one more client asks
for a small answer, and waits three seconds for it.
"""

import http.client
import socket
import sys
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

PATIENCE = 3.0
BIG, SMALL = "do/endless?chunks=64", "do/ignore?name=Ada"


def slow_reader(host: str, port: int, target: str) -> socket.socket:
    """A connection that has seen the first bytes of its answer, and leaves the rest in the network."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(PATIENCE)
    reader.connect((host, port))
    reader.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    reader.recv(100)
    return reader


def small_answer(host: str, port: int, target: str) -> str:
    """How a client fares that reads as everybody does."""
    link = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    began = time.perf_counter()
    try:
        link.request("GET", target)
        status = link.getresponse().status
    except TimeoutError:
        return f"no answer within {PATIENCE:g} s"
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error!r}"
    finally:
        link.close()
    return f"{status} after {(time.perf_counter() - began) * 1000:.0f} ms"


def main() -> None:
    parts = urlsplit(sys.argv[1])
    host, port, path = parts.hostname or "127.0.0.1", parts.port or 80, parts.path or "/"
    many = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    with ExitStack() as open_ones:
        for _ in range(many):
            open_ones.enter_context(slow_reader(host, port, path + BIG))
        time.sleep(0.5)  # for what is on its way to fill every buffer
        print(f"{many} slow readers, and one more client: {small_answer(host, port, path + SMALL)}")


if __name__ == "__main__":
    main()
