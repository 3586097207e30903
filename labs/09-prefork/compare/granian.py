"""granian: a process that keeps workers, each with a listening socket of its own."""

from server_command import become
from shared_arbiter import options

o = options()
words = ["--interface", "wsgi", "--host", o.host, "--port", o.port, "--workers", o.workers]
words += ["--workers-kill-timeout", o.grace, "--respawn-failed-workers"]
become("granian", *words, o.application)
