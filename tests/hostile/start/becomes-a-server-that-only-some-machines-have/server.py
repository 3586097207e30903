import importlib, sys

host, port = sys.argv[sys.argv.index("--host") + 1], int(sys.argv[sys.argv.index("--port") + 1])
module, _, name = sys.argv[1].partition(":")
application = getattr(importlib.import_module(module), name)
try:
    from waitress import serve
except ImportError:
    from tornado.wsgi import WSGIContainer
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop

    HTTPServer(WSGIContainer(application)).listen(port, host)
    IOLoop.current().start()
serve(application, host=host, port=port)
