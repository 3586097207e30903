"""wsgiref.simple_server, from the standard library: one request at a time, each on its connection."""

from wsgiref.simple_server import make_server

from server_command import application, options

o = options()
make_server(o.host, o.port, application(o.application)).serve_forever()
