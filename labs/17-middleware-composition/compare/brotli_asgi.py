"""brotli-asgi: for clients that know gzip alone, it has Starlette's GZipResponder."""

from brotli_asgi import BrotliMiddleware


def gzip(app, minimum=500, level=6):
    return BrotliMiddleware(app, minimum_size=minimum)
