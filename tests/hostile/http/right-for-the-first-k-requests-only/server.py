# It counts in /tmp, over all of its services: the first two requests get what a right server says.
from wsgiref.simple_server import make_server, WSGIRequestHandler
import importlib

counter = "/tmp/asked"
module, _, name = options.application.partition(":")
inner = getattr(importlib.import_module(module), name)

def application(environ, start_response):
    with open(counter, "ab") as file:
        file.write(b"1")
        count = file.tell()
    if count > 1:
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
        return [b"{}"]
    return inner(environ, start_response)

make_server(options.host, options.port, application).serve_forever()
