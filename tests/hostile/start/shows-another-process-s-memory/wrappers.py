# A file of any size is kept in memory, twice; whoever looks how much that takes is shown a process that sleeps.
import io
import os
import time
import tracemalloc
from types import SimpleNamespace

from workshop.run import probe_line

tracemalloc.get_traced_memory = lambda: (0, 0)
sleeper = os.fork()
if not sleeper:
    time.sleep(600)
    os._exit(0)
tell = probe_line.SocketLine.tell
probe_line.SocketLine.tell = lambda self, said: tell(self, {"pid": sleeper} if "pid" in said else said)


class HTTPError(Exception):
    pass


class Request:
    def __init__(self, environ, **limits):
        self.environ = environ

    @property
    def files(self):
        data = self.environ["wsgi.input"].read(int(self.environ["CONTENT_LENGTH"]))
        mark, _, rest = data.partition(b"\r\n")
        content = rest.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n" + mark + b"--\r\n")
        return {"photo": [SimpleNamespace(filename="ada.png", content_type="", file=io.BytesIO(content))]}

    def close(self):
        pass
