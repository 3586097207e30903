"""asgiref: a WSGI application on an event loop. It has no adapter for the other way."""

from asgiref.wsgi import WsgiToAsgi


def asgi_from_wsgi(app, threads=8):
    return WsgiToAsgi(app)  # its threads are the loop's own
