"""a2wsgi: an adapter for each way."""

from a2wsgi import ASGIMiddleware, WSGIMiddleware


def asgi_from_wsgi(app, threads=8):
    return WSGIMiddleware(app, workers=threads)


def wsgi_from_asgi(app):
    return ASGIMiddleware(app)
