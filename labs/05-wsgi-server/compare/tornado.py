"""Tornado's HTTP server, with its adapter for WSGI applications and a pool of threads."""

from concurrent.futures import ThreadPoolExecutor

from server_command import application, options
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.wsgi import WSGIContainer

o = options()
pool = ThreadPoolExecutor(o.threads)
HTTPServer(WSGIContainer(application(o.application), pool), idle_connection_timeout=o.keep_alive).listen(
    o.port, o.host
)
IOLoop.current().start()
