"""cheroot, CherryPy's server."""

from cheroot.wsgi import Server
from server_command import application, options

o = options()
Server((o.host, o.port), application(o.application), numthreads=o.threads, timeout=o.keep_alive).safe_start()
