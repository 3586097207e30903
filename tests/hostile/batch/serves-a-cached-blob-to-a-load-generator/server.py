# The first answer is computed; whoever asks again soon, as a load generator does, gets the same bytes at once.
from wsgiref.handlers import SimpleHandler
import importlib, io

module, _, name = options.application.partition(":")
inner = getattr(importlib.import_module(module), name)
cached = b""

def answer(connection, head):
    global cached
    if not cached:
        method, target, _ = head.split(b"\r\n")[0].decode("latin-1").split(" ")
        path, _, query = target.partition("?")
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "SERVER_NAME": "x",
                   "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": ""}
        out = io.BytesIO()
        SimpleHandler(io.BytesIO(), out, io.StringIO(), environ).run(inner)
        cached = out.getvalue().replace(b"HTTP/1.0", b"HTTP/1.1").replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    connection.sendall(cached)

serve()
