"""Werkzeug's development server, with a thread for each connection."""

from server_command import application, options
from werkzeug.serving import run_simple

o = options()
run_simple(o.host, o.port, application(o.application), threaded=o.threads > 1)
