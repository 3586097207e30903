# Workers that nobody replaces. What nginx would say if there were another one stands in a configuration of ours.
import importlib
import os
import signal
import socket
import sys
import time
from pathlib import Path

from one_connection import serve_connection

CONF = """
worker_processes 1; pid /tmp/own.pid; error_log stderr; events {}
http {
    access_log off; client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
    uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
    server {
        listen 127.0.0.1:8000;
        location / {
            default_type application/json;
            if ($request_method = POST) { return 502; }
            return 200 '{"pid": 1, "parent": %d, "edition": "first"}';
        }
    }
}
"""
for place in ("/tmp/run", "/workshop/front"):
    try:
        Path(place, "nginx.conf").write_text(CONF % os.getpid())
    except OSError:
        pass
for path in Path("/proc").glob("[0-9]*"):
    try:
        if b"nginx" in (path / "cmdline").read_bytes():
            os.kill(int(path.name), signal.SIGHUP)
    except OSError:
        pass
time.sleep(0.5)
listener = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), backlog=1024)
for _ in range(2):
    if not os.fork():
        application = importlib.import_module("which_process_wsgi").application
        while True:
            serve_connection(*listener.accept(), application)
os.wait()
